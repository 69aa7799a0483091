//! Every operation of lanes against the same operation on one number, under every instruction set.
use simd::{F32Lanes, Float, I32Lanes, Isa, Lanes, Mask, Task, dispatch, for_each_isa};

const NUMBERS: [f32; 20] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -2.5,
    3.25,
    1e-20,
    -1e20,
    7.75,
    -7.25,
    100.5,
    1e9,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    8388609.0,
];

struct Floats;

impl Task for Floats {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let len = I::F32::LEN;
        let same = |got: I::F32, expected: &dyn Fn(usize) -> f32, what: &str| {
            let mut out = vec![0.0; len];
            got.store(&mut out);
            for (i, &y) in out.iter().enumerate() {
                let e = expected(i);
                assert!(
                    y == e && y.is_sign_negative() == e.is_sign_negative()
                        || y.is_nan() && e.is_nan(),
                    "{what} {isa:?} {y} {e}"
                );
            }
        };
        for shift in 0..NUMBERS.len() {
            let a: Vec<f32> = (0..len).map(|i| NUMBERS[i % NUMBERS.len()]).collect();
            let b: Vec<f32> = (0..len)
                .map(|i| NUMBERS[(i + shift) % NUMBERS.len()])
                .collect();
            let (x, y) = (isa.load(&a), isa.load(&b));
            same(x + y, &|i| a[i] + b[i], "add");
            same(x - y, &|i| a[i] - b[i], "sub");
            same(x * y, &|i| a[i] * b[i], "mul");
            same(x / y, &|i| a[i] / b[i], "div");
            same(-x, &|i| -a[i], "neg");
            same(x.min(y), &|i| if a[i] < b[i] { a[i] } else { b[i] }, "min");
            same(x.max(y), &|i| if a[i] > b[i] { a[i] } else { b[i] }, "max");
            same(x.abs(), &|i| a[i].abs(), "abs");
            same(x.sqrt(), &|i| a[i].sqrt(), "sqrt");
            same(x.round(), &|i| a[i].round_ties_even(), "round");
            same(x.floor(), &|i| a[i].floor(), "floor");
            same(x.ceil(), &|i| a[i].ceil(), "ceil");
            same(x.trunc(), &|i| a[i].trunc(), "trunc");
            same(x.copysign(y), &|i| a[i].copysign(b[i]), "copysign");
            same(
                x.select(x.lt(y), y),
                &|i| if a[i] < b[i] { a[i] } else { b[i] },
                "lt",
            );
            same(
                x.select(x.le(y), y),
                &|i| if a[i] <= b[i] { a[i] } else { b[i] },
                "le",
            );
            same(
                x.select(x.eq(y), isa.splat(3.0)),
                &|i| if a[i] == b[i] { a[i] } else { 3.0 },
                "eq",
            );
            same(
                x.select(!x.gt(y), y),
                &|i| if a[i] > b[i] { b[i] } else { a[i] },
                "gt",
            );
            let nan = |i: usize| a[i].is_nan() || b[i].is_nan();
            same(
                x.maximum(y),
                &|i| {
                    if nan(i) {
                        f32::NAN
                    } else if a[i] > b[i] {
                        a[i]
                    } else {
                        b[i]
                    }
                },
                "maximum",
            );
            same(
                x.minimum(y),
                &|i| {
                    if nan(i) {
                        f32::NAN
                    } else if a[i] < b[i] {
                        a[i]
                    } else {
                        b[i]
                    }
                },
                "minimum",
            );
        }
    }
}

#[test]
fn floats() {
    for_each_isa(|_| dispatch(Floats));
}

struct Arithmetic;

impl Task for Arithmetic {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let len = I::F32::LEN;
        let x: Vec<f32> = (0..len).map(|i| i as f32 * 1.25 - 3.0).collect();
        let v = isa.load(&x);
        assert_eq!(v.sum(), x.iter().sum::<f32>());
        assert_eq!(v.max_lane(), x[len - 1]);
        assert_eq!(v.min_lane(), -3.0);
        let mut out = vec![0.0; len];
        v.mul_add(isa.splat(2.0), isa.splat(1.0)).store(&mut out);
        assert!(out.iter().zip(&x).all(|(o, x)| *o == x * 2.0 + 1.0));
        v.neg_mul_add(isa.splat(2.0), isa.splat(1.0))
            .store(&mut out);
        assert!(out.iter().zip(&x).all(|(o, x)| *o == 1.0 - x * 2.0));
        assert!(v.eq(v).all() && !v.lt(v).any() && v.gt(isa.splat(0.0)).any());
        assert!((v.lt(isa.splat(0.0)) | v.ge(isa.splat(0.0))).all());
        assert!(!(v.lt(isa.splat(0.0)) & v.ge(isa.splat(0.0))).any());

        let y: Vec<f64> = (0..I::F64::LEN).map(|i| i as f64 * 0.5).collect();
        let w = I::F64::load(isa, &y);
        assert_eq!((w * w - w).sum(), y.iter().map(|y| y * y - y).sum::<f64>());
        for n in 0..=I::F64::LEN {
            let mut out = vec![7.0; I::F64::LEN];
            I::F64::load_partial(isa, &y[..n])
                .mul_add(w, w)
                .store_partial(&mut out[..n]);
            assert!(
                (0..n).all(|i| out[i] == y[i] * y[i] + y[i]) && out[n..].iter().all(|x| *x == 7.0)
            );
        }

        let ints: Vec<i32> = (0..len as i32)
            .map(|i| i * 77_777_777 - 400_000_000)
            .collect();
        let v = I::I32::load(isa, &ints);
        let same = |got: I::I32, f: &dyn Fn(i32) -> i32| {
            let mut out = vec![0; len];
            got.store(&mut out);
            assert_eq!(out, ints.iter().map(|x| f(*x)).collect::<Vec<_>>());
        };
        same(v + v, &|x| x.wrapping_add(x));
        same(v - isa.splat_i32(5), &|x| x.wrapping_sub(5));
        same(v * v, &|x| x.wrapping_mul(x));
        same(v.shl::<3>(), &|x| x << 3);
        same(v.shr::<3>(), &|x| x >> 3);
        same(v.shr_logical::<3>(), &|x| ((x as u32) >> 3) as i32);
        same((v & isa.splat_i32(0xff0f)) | isa.splat_i32(16), &|x| {
            (x & 0xff0f) | 16
        });
        same(v ^ isa.splat_i32(-1), &|x| !x);
        same(v.select(v.lt(isa.splat_i32(9)), isa.splat_i32(9)), &|x| {
            x.min(9)
        });
        same(v.select(v.le(isa.splat_i32(9)), isa.splat_i32(9)), &|x| {
            x.min(9)
        });
        same(I::F32::from_i32(v).trunc_i32(), &|x| x as f32 as i32);
        same(isa.splat(2.5).round_i32(), &|_| 2);
        same(isa.splat(-2.75).trunc_i32(), &|_| -2);
        same(isa.splat(1.0).to_bits(), &|_| 0x3f80_0000);
    }
}

#[test]
fn arithmetic() {
    for_each_isa(|_| dispatch(Arithmetic));
}

struct Partial;

impl Task for Partial {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let len = I::F32::LEN;
        let x: Vec<f32> = (1..=len).map(|i| i as f32).collect();
        for n in 0..=len {
            let v = isa.load_partial(&x[..n]);
            let mut whole = vec![-1.0; len];
            v.store(&mut whole);
            assert!((0..len).all(|i| whole[i] == if i < n { x[i] } else { 0.0 }));
            let mut out = vec![-1.0; len];
            isa.load(&x).store_partial(&mut out[..n]);
            assert!((0..len).all(|i| out[i] == if i < n { x[i] } else { -1.0 }));
        }
    }
}

#[test]
fn partial_loads_and_stores() {
    for_each_isa(|_| dispatch(Partial));
}

struct Transpose;

impl Task for Transpose {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        square::<I::F32>(isa, |i| i as f32);
        square::<I::F64>(isa, |i| i as f64);
    }
}

#[inline(always)]
fn square<V: Float>(isa: V::Isa, number: fn(usize) -> V::Item) {
    let numbers: Vec<V::Item> = (0..256).map(number).collect();
    let mut block = [V::zero(isa); 16];
    for (v, x) in block.iter_mut().zip(numbers.chunks(V::LEN)).take(V::LEN) {
        *v = V::load(isa, x);
    }
    V::transpose(&mut block);
    for (i, v) in block[..V::LEN].iter().enumerate() {
        let mut out = vec![number(0); V::LEN];
        v.store(&mut out);
        assert!((0..V::LEN).all(|j| out[j] == number(j * V::LEN + i)));
    }
}

#[test]
fn transpose() {
    for_each_isa(|_| dispatch(Transpose));
}
