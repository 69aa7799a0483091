use half::{bf16, f16};
use num_complex::Complex;
use proptest::prelude::*;

use super::special::*;
use super::*;
use crate::threads::set_num_threads;

/// The value by the `f64` (or integer, complex) path, one item at a time.
fn reference(op: Op, args: &[f64]) -> f64 {
    let mut out = 0.0;
    let pointers = std::array::from_fn(|i| &raw const args[i.min(args.len() - 1)]);
    // SAFETY: one item behind every pointer.
    unsafe { float64::execute(op, pointers, &mut out, 1) };
    out
}

fn samples(n: usize, seed: u32) -> Vec<f32> {
    let special = [
        0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -2.5, 3.5, 100.0, -100.0, 1e-6, -1e-6,
    ];
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    (0..n)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if i % 3 == 0 {
                special[(state >> 8) as usize % special.len()]
            } else {
                (state >> 8) as f32 / (1 << 24) as f32 * 12.0 - 6.0
            }
        })
        .collect()
}

fn close(got: f64, want: f64, tolerance: f64) -> bool {
    got == want
        || (got.is_nan() && want.is_nan())
        || (got - want).abs() <= tolerance * want.abs().max(0.1)
}

fn run_any(op: Op, inputs: &[&[f32]]) -> Vec<f32> {
    let n = inputs[0].len();
    let shape = [n];
    let dtypes = vec![DType::Float32; inputs.len()];
    let operands: Vec<_> = inputs.iter().map(|x| Operand::new(x, &shape)).collect();
    let args: Vec<_> = (0..inputs.len()).map(Value::Input).collect();
    let program = Program::new(
        Compute::F32,
        &dtypes,
        &[Instruction::new(op, &args)],
        &[(Value::Result(0), DType::Float32)],
    )
    .unwrap();
    let mut out = vec![f32::NAN; n];
    // SAFETY: operands and output are of that length.
    unsafe { program.run(&shape, &operands, &[out.as_mut_ptr().cast()]) };
    out
}

#[test]
fn float32_agrees_with_float64_under_every_isa() {
    simd::for_each_isa(|level| {
        for &op in Op::ALL.iter().filter(|op| op.is_defined_for(Compute::F32)) {
            for n in [1, 7, 8, 15, 16, 17, 33, 100] {
                let args: Vec<_> = (0..op.arity())
                    .map(|k| samples(n, (n + k * 7) as u32))
                    .collect();
                let args: Vec<&[f32]> = args.iter().map(|x| &x[..]).collect();
                let got = run_any(op, &args);
                for i in 0..n {
                    let x: Vec<f64> = args.iter().map(|a| a[i].into()).collect();
                    let want = reference(op, &x);
                    // A quotient that is nearly an integer may round to either side of it.
                    assert!(
                        close(got[i].into(), want as f32 as f64, 4e-6),
                        "{op:?} of {x:?} under {level:?}: {} for {want}",
                        got[i]
                    );
                }
            }
        }
    });
}

#[test]
fn not_a_number_passes_through() {
    use Op::*;
    simd::for_each_isa(|_| {
        let nan = f32::NAN;
        for op in [
            Relu,
            Relu6,
            Sigmoid,
            Softplus,
            Silu,
            Gelu,
            Elu,
            HardSigmoid,
            Sign,
            Maximum,
            Minimum,
        ] {
            for x in [[nan, 1.0], [1.0, nan]] {
                if x[0] == 1.0 && op.arity() == 1 {
                    continue;
                }
                let args: Vec<&[f32]> = x[..op.arity()].iter().map(std::slice::from_ref).collect();
                assert!(
                    run_any(op, &args)[0].is_nan() || op == Elu && x[0] == 1.0,
                    "{op:?} of {x:?}"
                );
            }
        }
        assert_eq!(run_any(Equal, &[&[nan], &[nan]]), [0.0]);
        assert_eq!(run_any(NotEqual, &[&[nan], &[nan]]), [1.0]);
        assert_eq!(run_any(IsNan, &[&[nan, 1.0]]), [1.0, 0.0]);
        assert_eq!(
            run_any(IsFinite, &[&[nan, f32::INFINITY, 1.0]]),
            [0.0, 0.0, 1.0]
        );
    });
}

fn unary<T: Element>(op: Op, x: &[T]) -> Vec<T> {
    let mut out = vec![T::default(); x.len()];
    apply(op, &[x.len()], &[(x, &[x.len()])], &mut out);
    out
}

fn binary<T: Element>(op: Op, x: &[T], y: &[T]) -> Vec<T> {
    let mut out = vec![T::default(); x.len()];
    apply(
        op,
        &[x.len()],
        &[(x, &[x.len()]), (y, &[y.len()])],
        &mut out,
    );
    out
}

#[test]
fn halves_round_once() {
    let x: Vec<f16> = samples(50, 3).into_iter().map(f16::from_f32).collect();
    for (got, x) in unary(Op::Tanh, &x).into_iter().zip(&x) {
        assert!(close(got.into(), f64::from(*x).tanh(), 1e-3));
    }
    let x: Vec<bf16> = samples(50, 4).into_iter().map(bf16::from_f32).collect();
    for (got, x) in binary(Op::Multiply, &x, &x).into_iter().zip(&x) {
        assert_eq!(got, bf16::from_f32(x.to_f32() * x.to_f32()));
    }
}

#[test]
fn integers_never_trap() {
    use Op::*;
    let x = [i64::MIN, -7, -1, 0, 7, i64::MAX];
    assert_eq!(binary(FloorDivide, &x, &[0; 6]), [0; 6]);
    assert_eq!(binary(Mod, &x, &[0; 6]), [0; 6]);
    assert_eq!(
        binary(FloorDivide, &[i64::MIN, -7, 7, -8], &[-1, 2, -2, 2]),
        [i64::MIN, -4, -4, -4]
    );
    assert_eq!(
        binary(Mod, &[i64::MIN, -7, 7, -8], &[-1, 2, -2, 2]),
        [0, 1, -1, 0]
    );
    assert_eq!(binary(FloorDivide, &[i8::MIN], &[-1]), [i8::MIN]);
    assert_eq!(binary(Add, &[i8::MAX, -128], &[1, -1]), [i8::MIN, 127]);
    assert_eq!(binary(Subtract, &[1u32, 5], &[2, 3]), [u32::MAX, 2]);
    assert_eq!(
        binary(LeftShift, &[1i32, 1, 1, 1], &[31, 32, 64, -1]),
        [i32::MIN, 0, 0, 0]
    );
    assert_eq!(
        binary(RightShift, &[-8i32, -8, 8], &[1, 99, 99]),
        [-4, -1, 0]
    );
    assert_eq!(binary(RightShift, &[u64::MAX], &[63]), [1]);
    assert_eq!(
        binary(Power, &[2i32, -1, 3, 2, 0], &[10, -3, -1, 31, 0]),
        [1024, -1, 0, i32::MIN, 1]
    );
    assert_eq!(unary(Sign, &[-5i16, 0, 9]), [-1, 0, 1]);
    assert_eq!(unary(Abs, &[i8::MIN, -3, 3]), [i8::MIN, 3, 3]);
    assert_eq!(unary(BitwiseNot, &[0u8, 255, 7]), [255, 0, 248]);
    assert_eq!(binary(Maximum, &[u64::MAX], &[1]), [u64::MAX]);
}

#[test]
fn floats_divide_as_numpy_does() {
    use Op::*;
    let (x, y) = (
        [7.0, -7.0, 7.0, -7.0, 0.3, 6.0],
        [2.0, 2.0, -2.0, -2.0, 0.1, -3.0],
    );
    assert_eq!(
        binary::<f64>(FloorDivide, &x, &y)[..4],
        [3.0, -4.0, -4.0, 3.0]
    );
    assert_eq!(binary::<f64>(FloorDivide, &x, &y)[4..], [2.0, -2.0]);
    assert_eq!(binary::<f64>(Mod, &x, &y)[..4], [1.0, 1.0, -1.0, -1.0]);
    assert!(binary::<f64>(Mod, &x, &y)[5].is_sign_negative());
    assert_eq!(
        unary(Round, &[0.5f64, 1.5, 2.5, -0.5]),
        [0.0, 2.0, 2.0, 0.0]
    );
    assert_eq!(
        unary(Round, &[0.5f32, 1.5, 2.5, -0.5]),
        [0.0, 2.0, 2.0, 0.0]
    );
}

#[test]
fn complex_numbers() {
    let x = [Complex::new(3.0f32, 4.0), Complex::new(-1.0, 0.5)];
    let shape = [2];
    let program = Program::single(Op::Abs, &[DType::Complex64], None).unwrap();
    assert_eq!(program.output_dtype(0), DType::Float32);
    let mut norm = [0f32; 2];
    // SAFETY: two items on both sides.
    unsafe {
        program.run(
            &shape,
            &[Operand::new(&x, &shape)],
            &[norm.as_mut_ptr().cast()],
        )
    };
    assert_eq!(norm[0], 5.0);
    assert_eq!(binary(Op::Multiply, &x, &x)[0], Complex::new(-7.0, 24.0));
    assert_eq!(unary(Op::Conj, &x)[1], Complex::new(-1.0, -0.5));
    assert!(Program::single(Op::Less, &[DType::Complex64; 2], None).is_err());
}

#[test]
fn casts_saturate_wrap_and_round() {
    fn to<A: Element, B: Element>(x: &[A]) -> Vec<B> {
        let mut out = vec![B::default(); x.len()];
        cast(x, &mut out);
        out
    }
    assert_eq!(
        to::<f32, i8>(&[300.0, -300.0, f32::NAN, 1.9, -1.9]),
        [127, -128, 0, 1, -1]
    );
    assert_eq!(to::<f64, u8>(&[300.0, -1.0]), [255, 0]);
    assert_eq!(to::<i32, i8>(&[300, -129]), [44, 127]);
    assert_eq!(to::<i8, u64>(&[-1]), [u64::MAX]);
    assert_eq!(to::<u64, f64>(&[u64::MAX]), [1.844_674_407_370_955_2e19]);
    assert_eq!(to::<u64, u8>(&[511]), [255]);
    assert_eq!(
        to::<f64, f16>(&[1.0 + 1.0 / 2048.0, 1e6]),
        [f16::ONE, f16::INFINITY]
    );
    assert_eq!(to::<f16, i64>(&[f16::from_f32(-2.5)]), [-2]);
    assert_eq!(to::<u8, f32>(&[0, 255]), [0.0, 255.0]);
    assert_eq!(to::<i64, f64>(&[(1 << 53) - 1]), [9_007_199_254_740_991.0]);
    assert_eq!(to::<f64, f32>(&[0.1]), [0.1]);
    assert_eq!(to::<Complex<f32>, i16>(&[Complex::new(7.5, 3.0)]), [7]);
    let shape = [3];
    let mut truth = [9u8; 3];
    let halves = [
        Complex::new(0.0, 0.0),
        Complex::new(0.0, 1.0),
        Complex::new(f64::NAN, 0.0),
    ];
    // SAFETY: three items on both sides.
    unsafe {
        Program::cast(DType::Complex128, DType::Bool).run(
            &shape,
            &[Operand::new(&halves, &shape)],
            &[truth.as_mut_ptr()],
        );
    }
    assert_eq!(truth, [0, 1, 1]);
}

#[test]
fn every_pair_of_dtypes_casts() {
    for from in DType::ALL {
        for to in DType::ALL {
            // One is one in every dtype: take it there and back from float64.
            let (mut a, mut b, mut one) = ([0u128; 1], [0u128; 1], [0f64; 1]);
            let run = |program: Program, x: *const u8, out: *mut u8| {
                // SAFETY: sixteen bytes hold an item of any dtype.
                unsafe { program.run(&[1], &[Operand::from_ptr(x, &[1])], &[out]) }
            };
            run(
                Program::cast(DType::Float64, from),
                [1f64].as_ptr().cast(),
                a.as_mut_ptr().cast(),
            );
            run(
                Program::cast(from, to),
                a.as_ptr().cast(),
                b.as_mut_ptr().cast(),
            );
            run(
                Program::cast(to, DType::Float64),
                b.as_ptr().cast(),
                one.as_mut_ptr().cast(),
            );
            assert_eq!(one, [1.0], "{from} to {to}");
        }
    }
}

fn naive_broadcast(x: &[f32], x_shape: &[usize], shape: &[usize]) -> Vec<f32> {
    let len: usize = shape.iter().product();
    (0..len)
        .map(|flat| {
            let (mut rest, mut offset, mut stride) = (flat, 0, 1);
            for (i, &n) in shape.iter().rev().enumerate() {
                let at = rest % n;
                rest /= n;
                if i < x_shape.len() {
                    let own = x_shape[x_shape.len() - 1 - i];
                    offset += if own == 1 { 0 } else { at * stride };
                    stride *= own;
                }
            }
            x[offset]
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn broadcasting_is_numpys(
        shape in prop::collection::vec(prop_oneof![1usize..5, 60usize..70], 0..4),
        ones in any::<[u8; 2]>(),
        drop in any::<[u8; 2]>(),
    ) {
        let cut = |k: usize| {
            let mut own: Vec<usize> = shape.iter().enumerate()
                .map(|(i, &n)| if ones[k] >> i & 1 == 1 { 1 } else { n }).collect();
            own.drain(..drop[k] as usize % (shape.len() + 1));
            own
        };
        let (a_shape, b_shape) = (cut(0), cut(1));
        let a = samples(a_shape.iter().product(), 1);
        let b = samples(b_shape.iter().product(), 2);
        let mut out = vec![0.0; shape.iter().product()];
        apply(Op::Subtract, &shape, &[(&a, &a_shape), (&b, &b_shape)], &mut out);
        let want: Vec<f32> = naive_broadcast(&a, &a_shape, &shape).iter()
            .zip(naive_broadcast(&b, &b_shape, &shape)).map(|(x, y)| x - y).collect();
        prop_assert_eq!(out, want);
    }
}

/// What is written down for one function is what the general way finds.
#[test]
fn a_single_function_is_a_program_of_one_step() {
    for (&op, dtype) in Op::ALL
        .iter()
        .flat_map(|op| DType::ALL.map(|dtype| (op, dtype)))
    {
        let condition = (op == Op::Where).then_some(DType::Bool);
        let others = op.arity() - usize::from(condition.is_some());
        let inputs: Vec<DType> = (condition.into_iter())
            .chain(std::iter::repeat_n(dtype, others))
            .collect();
        let single = Program::single(op, &inputs, None);
        let resolved = Program::resolve(op, dtype);
        assert_eq!(single.is_ok(), resolved.is_ok());
        let (Ok(single), Ok((function, result))) = (single, resolved) else {
            continue;
        };
        let args: Vec<Value> = (0..op.arity()).map(Value::Input).collect();
        let code = [Instruction::new(function, &args)];
        let outputs = [(Value::Result(0), result)];
        let program = Program::new(Compute::of(dtype), &inputs, &code, &outputs).unwrap();
        assert_eq!(format!("{single:?}"), format!("{program:?}"), "{op:?}");
    }
}

/// y = relu(x * scale + shift), truth = y > 0.5, on float16 and a bool mask.
fn chain() -> Program {
    use Value::*;
    Program::new(
        Compute::F32,
        &[DType::Float32, DType::Float32, DType::Float16, DType::Bool],
        &[
            Instruction::new(Op::Multiply, &[Input(0), Input(1)]),
            Instruction::new(Op::Add, &[Result(0), Input(2)]),
            Instruction::new(Op::Relu, &[Result(1)]),
            Instruction::new(Op::Greater, &[Result(2), Constant(0.5)]),
            Instruction::new(Op::Where, &[Input(3), Result(2), Constant(-1.0)]),
        ],
        &[(Result(4), DType::Float32), (Result(3), DType::Bool)],
    )
    .unwrap()
}

#[test]
fn chains_run_in_place_with_any_number_of_threads() {
    let (rows, columns) = (301, 1001);
    let shape = [rows, columns];
    let x = samples(rows * columns, 5);
    let scale = samples(columns, 6);
    let shift: Vec<f16> = samples(rows, 7).into_iter().map(f16::from_f32).collect();
    let mask: Vec<u8> = (0..rows * columns).map(|i| (i % 5 != 0) as u8).collect();
    let (row, column) = ([columns], [rows, 1]);
    let run = || {
        let mut y = x.clone();
        let mut truth = vec![7u8; x.len()];
        let data = y.as_mut_ptr();
        let operands = [
            Operand::from_ptr(data.cast(), &shape),
            Operand::new(&scale, &row),
            Operand::new(&shift, &column),
            Operand::from_ptr(mask.as_ptr(), &shape),
        ];
        // SAFETY: whole tensors; the first output is the first operand's memory.
        unsafe { chain().run(&shape, &operands, &[data.cast(), truth.as_mut_ptr()]) };
        (y, truth)
    };
    let (y, truth) = run();
    for i in 0..x.len() {
        let (row, column) = (i / columns, i % columns);
        let z = (x[i] * scale[column] + shift[row].to_f32()).max(0.0);
        assert_eq!(truth[i], (z > 0.5) as u8);
        assert_eq!(y[i], if i % 5 != 0 { z } else { -1.0 });
    }
    set_num_threads(1);
    assert!(run() == (y, truth));
    set_num_threads(0);
}

#[test]
fn products_join_the_sums_that_alone_use_them() {
    use Value::*;
    let [x, y, z] = [1, 2, 3].map(|seed| samples(100, seed));
    let product = Instruction::new(Op::Multiply, &[Input(0), Input(1)]);
    let sum = |args: [Value; 2]| Instruction::new(Op::Add, &args);
    // A code, what it computes, and the items of its outputs.
    type Sum = fn(f32, f32, f32) -> f32;
    let cases: [(&[Instruction], &[Value], &[Sum]); 5] = [
        (
            &[product, sum([Input(2), Result(0)])],
            &[Result(1)],
            &[|x, y, z| z + x * y],
        ),
        (
            &[product, sum([Result(0), Result(0)])],
            &[Result(1)],
            &[|x, y, _| x * y + x * y],
        ),
        (
            &[product, product, sum([Result(0), Result(1)])],
            &[Result(2)],
            &[|x, y, _| x * y + x * y],
        ),
        (
            &[product, sum([Result(0), Input(2)])],
            &[Result(0), Result(1)],
            &[|x, y, _| x * y, |x, y, z| x * y + z],
        ),
        (
            &[
                product,
                sum([Result(0), Input(2)]),
                Instruction::new(Op::Multiply, &[Result(1), Input(0)]),
                sum([Result(2), Result(1)]),
            ],
            &[Result(3)],
            &[|x, y, z| (x * y + z) * x + (x * y + z)],
        ),
    ];
    for (code, outputs, expected) in cases {
        let outputs: Vec<_> = outputs.iter().map(|v| (*v, DType::Float32)).collect();
        let program = Program::new(Compute::F32, &[DType::Float32; 3], code, &outputs).unwrap();
        let mut got = vec![vec![f32::NAN; 100]; outputs.len()];
        let operands = [&x, &y, &z].map(|data| Operand::new(data, &[100]));
        let places: Vec<*mut u8> = got.iter_mut().map(|g| g.as_mut_ptr().cast()).collect();
        // SAFETY: whole tensors of that length.
        unsafe { program.run(&[100], &operands, &places) };
        for (got, expected) in got.iter().zip(expected) {
            for (i, &got) in got.iter().enumerate() {
                assert_eq!(got, expected(x[i], y[i], z[i]), "{code:?}");
            }
        }
    }
}

#[test]
fn long_chains_reuse_registers() {
    let mut code = vec![Instruction::new(
        Op::Add,
        &[Value::Input(0), Value::Constant(1.0)],
    )];
    for i in 0..100 {
        code.push(Instruction::new(
            Op::Add,
            &[Value::Result(i), Value::Constant(1.0)],
        ));
    }
    let program = Program::new(
        Compute::F64,
        &[DType::Float64],
        &code,
        &[(Value::Result(100), DType::Float64)],
    )
    .unwrap();
    let (x, mut y) = ([1.0, 2.0], [0f64; 2]);
    // SAFETY: two items on both sides.
    unsafe { program.run(&[2], &[Operand::new(&x, &[2])], &[y.as_mut_ptr().cast()]) };
    assert_eq!(y, [102.0, 103.0]);
    let narrow = Program::new(
        Compute::I64,
        &[DType::Int8],
        &[
            Instruction::new(Op::Add, &[Value::Input(0), Value::Input(0)]),
            Instruction::new(Op::Abs, &[Value::Result(0)]),
        ],
        &[(Value::Result(1), DType::Int8)],
    );
    assert_eq!(narrow.unwrap_err(), Unsupported::NarrowChain);
}

#[test]
fn special_functions_have_fifteen_digits() {
    let check = |got: f64, want: f64| {
        let error = (got - want).abs();
        assert!(error <= 4e-15 * want.abs().max(0.3), "{got} for {want}");
        assert!(error <= 2e-14 * want.abs(), "{got} for {want}");
    };
    check(erf(1e-10), 1.1283791670955126e-10);
    check(erf(0.1), 0.1124629160182849);
    check(erf(0.46), 0.4846553900016797);
    check(erf(0.47), 0.49374505088608206);
    check(erf(1.0), 0.8427007929497148);
    check(erf(2.0), 0.9953222650189527);
    check(erf(3.9), 0.9999999652077514);
    check(erf(4.1), 0.9999999932999724);
    check(erf(5.5), 0.9999999999999927);
    check(erf(-0.7), -0.6778011938374183);
    check(erf(-2.5), -0.999593047982555);
    check(erfc(-3.0), 1.9999779095030015);
    check(erfc(0.3), 0.6713732405408726);
    check(erfc(0.5), 0.4795001221869535);
    check(erfc(1.5), 0.03389485352468927);
    check(erfc(4.5), 1.9661604415428878e-10);
    check(erfc(10.0), 2.0884875837625446e-45);
    check(erfc(26.0), 5.663192408856145e-296);
    check(erfinv(1e-09), 8.86226925452758e-10);
    check(erfinv(0.1), 0.08885599049425769);
    check(erfinv(0.5), 0.4769362762044699);
    check(erfinv(-0.77), -0.8487818883709608);
    check(erfinv(0.95), 1.3859038243496775);
    check(erfinv(0.999), 2.326753765513524);
    check(erfinv(0.9999999), 3.766562581638471);
    check(lgamma(0.1), 2.252712651734206);
    check(lgamma(0.5), 0.5723649429247);
    check(lgamma(0.9), 0.06637623973474327);
    check(lgamma(1.2), -0.08537409000331585);
    check(lgamma(1.9), -0.0389842759230834);
    check(lgamma(2.1), 0.04543773854448518);
    check(lgamma(3.3), 0.9870985778947343);
    check(lgamma(9.5), 11.689333420797269);
    check(lgamma(10.0), 12.801827480081469);
    check(lgamma(171.5), 709.1431630309283);
    check(lgamma(10000000000.0), 220258509288.81058);
    check(lgamma(-0.5), 1.2655121234846454);
    check(lgamma(-3.7), -1.3797399049658245);
    check(digamma(0.01), -100.56088545786868);
    check(digamma(0.5), -1.9635100260214235);
    check(digamma(1.0), -0.5772156649015329);
    check(digamma(1.5), 0.03648997397857652);
    check(digamma(3.3), 1.0348224890596216);
    check(digamma(12.0), 2.4426616799758123);
    check(digamma(1000000.0), 13.81551005796419);
    check(digamma(-0.5), 0.03648997397857651);
    check(digamma(-3.7), -0.8450768588704185);
    assert_eq!(lgamma(1.0), 0.0);
    assert_eq!(lgamma(-3.0), f64::INFINITY);
    assert_eq!((erf(f64::INFINITY), erf(f64::NEG_INFINITY)), (1.0, -1.0));
    assert_eq!(
        (erfinv(1.0), erfinv(-1.0)),
        (f64::INFINITY, f64::NEG_INFINITY)
    );
    for x in [f64::NAN, 2.0, -1.5] {
        assert!(erfinv(x).is_nan());
    }
    assert!(erf(f64::NAN).is_nan() && lgamma(f64::NAN).is_nan() && digamma(f64::NAN).is_nan());
}
