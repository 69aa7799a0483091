//! Matrix products against sums in plain loops.

use graph::op::{Attr, Attrs, builder};
use graph::trace::Trace;
use graph::{DType, Element, Result, Shape, Spec, Tensor, Value, apply};
use half::{bf16, f16};
use num_complex::Complex;

fn call(
    name: &str,
    attributes: &[(&'static str, Attr<'static>)],
    operands: &[&Value],
) -> Result<Value> {
    let op = builder(name).unwrap()(&Attrs(attributes.iter().cloned().collect()))?;
    Ok(apply(op, operands)?.swap_remove(0))
}

fn transposes(a: bool, b: bool) -> [(&'static str, Attr<'static>); 2] {
    [
        ("transpose_a", Attr::Bool(a)),
        ("transpose_b", Attr::Bool(b)),
    ]
}

/// Small integers, exact in every dtype.
fn numbers(n: usize, seed: usize) -> Vec<i64> {
    (0..n)
        .map(|i| ((i * 7 + seed * 3) % 5) as i64 - 2)
        .collect()
}

/// Batched product of `[batch, m, k]` and `[batch, k, n]` integers by loops; a batch of 1 broadcasts.
fn naive(
    a: &[i64],
    b: &[i64],
    batches: [usize; 2],
    [m, n, k]: [usize; 3],
    transposed: [bool; 2],
) -> Vec<i64> {
    let mut out = Vec::new();
    for i in 0..batches[0].max(batches[1]) {
        let a = &a[i % batches[0] * m * k..][..m * k];
        let b = &b[i % batches[1] * k * n..][..k * n];
        for row in 0..m {
            for column in 0..n {
                let term = |d: usize| {
                    let x = a[if transposed[0] {
                        d * m + row
                    } else {
                        row * k + d
                    }];
                    x * b[if transposed[1] {
                        column * k + d
                    } else {
                        d * n + column
                    }]
                };
                out.push((0..k).map(term).sum());
            }
        }
    }
    out
}

/// Checks products of one dtype, whose sums may be of another.
fn check<T: Element, S: Element>(convert: fn(i64) -> T, sum: fn(i64) -> S) {
    let [m, n, k] = [3, 5, 4];
    for transposed in [[false, false], [true, false], [false, true], [true, true]] {
        for batches in [[1, 1], [2, 2], [2, 1], [1, 2]] {
            let (x, y) = (
                numbers(batches[0] * m * k, 1),
                numbers(batches[1] * k * n, 2),
            );
            let tensor = |x: &[i64], batch: usize, mut sizes: [usize; 2], transposed: bool| {
                if transposed {
                    sizes.reverse();
                }
                let data: Vec<T> = x.iter().map(|&x| convert(x)).collect();
                let shape: Vec<usize> = if batch == 1 {
                    sizes.into()
                } else {
                    vec![batch, sizes[0], sizes[1]]
                };
                Value::concrete(Tensor::from_slice(&data, &shape))
            };
            let a = tensor(&x, batches[0], [m, k], transposed[0]);
            let b = tensor(&y, batches[1], [k, n], transposed[1]);
            let c = call(
                "matmul",
                &transposes(transposed[0], transposed[1]),
                &[&a, &b],
            )
            .unwrap();
            let expected = naive(&x, &y, batches, [m, n, k], transposed);
            let expected: Vec<S> = expected.into_iter().map(sum).collect();
            assert_eq!(
                c.require().unwrap().as_slice::<S>(),
                expected,
                "{} {transposed:?} {batches:?}",
                T::DTYPE
            );
        }
    }
}

#[test]
fn every_dtype_and_transposition() {
    fn same<T: Element>(convert: fn(i64) -> T) {
        check(convert, convert);
    }
    same(|x| x as f32);
    same(|x| x as f64);
    same(|x| f16::from_f64(x as f64));
    same(|x| bf16::from_f64(x as f64));
    check(|x| x as i8, |x| x as i32);
    same(|x| x as i32);
    same(|x| x);
    same(|x| x as u8);
    same(|x| Complex::new(x as f32, 0.0));
    same(|x| Complex::new(x as f64, 0.0));
}

fn floats(data: &[f32], shape: &[usize]) -> Value {
    Value::concrete(Tensor::from_slice(data, shape))
}

fn ramp(shape: &[usize]) -> Value {
    let data: Vec<f32> = numbers(shape.iter().product(), 3)
        .iter()
        .map(|&x| x as f32)
        .collect();
    floats(&data, shape)
}

#[test]
fn batches_broadcast() {
    for (a, b, c) in [
        (&[2, 1, 3, 4][..], &[5, 4, 2][..], &[2, 5, 3, 2][..]),
        (&[3, 4], &[2, 5, 4, 2], &[2, 5, 3, 2]),
        (&[2, 5, 3, 4], &[4, 2], &[2, 5, 3, 2]),
        (&[2, 5, 3, 4], &[1, 1, 4, 2], &[2, 5, 3, 2]),
        (&[0, 3, 4], &[4, 2], &[0, 3, 2]),
        (&[2, 3, 0], &[0, 2], &[2, 3, 2]),
    ] {
        let (x, y) = (ramp(a), ramp(b));
        let z = call("matmul", &[], &[&x, &y]).unwrap();
        assert_eq!(z.shape().known().unwrap().as_slice(), c);
        // The last matrix is the product of the last ones.
        let last = |value: &Value, shape: &[usize]| -> Vec<i64> {
            let [.., m, n] = shape else { unreachable!() };
            let data = value.require().unwrap().as_slice::<f32>();
            data[data.len() - (m * n).min(data.len())..]
                .iter()
                .map(|&x| x as i64)
                .collect()
        };
        let [.., m, k] = a else { unreachable!() };
        if z.require().unwrap().size() > 0 {
            let expected = naive(
                &last(&x, a),
                &last(&y, b),
                [1, 1],
                [*m, b[b.len() - 1], *k],
                [false, false],
            );
            assert_eq!(last(&z, c), expected);
        }
    }
}

#[test]
fn dense_applies_bias_and_activation() {
    let x = floats(&[1.0, 2.0, -1.0, 0.5], &[2, 1, 2]);
    let kernel = floats(&[1.0, 0.0, -1.0, 2.0, 1.0, 1.0], &[2, 3]);
    let bias = floats(&[0.5, -1.0, 0.0], &[3]);
    let sums = [[5.5f32, 1.0, 1.0], [0.5, -0.5, 1.5]].concat();
    let plain = call("dense", &[], &[&x, &kernel, &bias]).unwrap();
    assert_eq!(plain.shape().known().unwrap().as_slice(), [2, 1, 3]);
    assert_eq!(plain.require().unwrap().as_slice::<f32>(), sums);
    let attribute = [("activation", Attr::Str("relu"))];
    let relu = call("dense", &attribute, &[&x, &kernel, &bias]).unwrap();
    let expected: Vec<f32> = sums.iter().map(|x| x.max(0.0)).collect();
    assert_eq!(relu.require().unwrap().as_slice::<f32>(), expected);
    let none = call("dense", &[], &[&x, &kernel]).unwrap();
    assert_eq!(
        none.require().unwrap().as_slice::<f32>(),
        [5.0, 2.0, 1.0, 0.0, 0.5, 1.5]
    );
    assert!(
        call(
            "dense",
            &[("activation", Attr::Str("softmax"))],
            &[&x, &kernel]
        )
        .is_err()
    );
}

#[test]
fn sizes_may_be_unknown() {
    let trace = Trace::begin();
    let (batch, width) = (trace.symbol("batch"), trace.symbol("width"));
    let input = |dims: &[graph::Dim]| {
        let shape: Shape = dims.iter().cloned().collect();
        trace.input(Spec::new(DType::Float32, shape)).unwrap()
    };
    let a = input(&[batch.clone(), 3.into(), width.clone()]);
    let b = input(&[4.into(), 5.into()]);
    let c = call("matmul", &[], &[&a, &b]).unwrap();
    assert_eq!(c.shape().as_slice(), [batch.clone(), 3.into(), 5.into()]);
    let y = call("dense", &[], &[&a, &b]).unwrap();
    assert_eq!(y.shape(), c.shape());
}

#[test]
fn misfits_are_explained() {
    let message = |a: &[usize], b: &[usize]| {
        call("matmul", &[], &[&ramp(a), &ramp(b)])
            .unwrap_err()
            .to_string()
    };
    assert!(message(&[2, 3], &[4, 5]).contains("the sizes that are summed over differ: 3"));
    assert!(message(&[3], &[3, 5]).contains("at least 2 axes"));
    assert!(message(&[2, 2, 3], &[3, 3, 5]).contains("broadcast"));
    let double = Value::concrete(Tensor::from_slice(&[1.0f64; 4], &[2, 2]));
    assert!(
        call("matmul", &[], &[&ramp(&[2, 2]), &double])
            .unwrap_err()
            .to_string()
            .contains("share a dtype")
    );
}
