//! Gradients, and gradients of gradients, against finite differences in float64.

mod attention;
mod recurrent;

use graph::op::builder;
use graph::op::{Attr, Attrs};
use graph::tape::Source;
use graph::{DType, Dim, Tape, Tensor, Value, apply};

fn attrs(attributes: &[(&'static str, Attr<'static>)]) -> Attrs<'static> {
    Attrs(attributes.iter().cloned().collect())
}

/// A fixed sequence of numbers between -1 and 1.
fn numbers(n: usize, seed: u32) -> Vec<f64> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 23) - 1.0
        })
        .collect()
}

fn tensor(data: &[f64], shape: &[usize]) -> Value {
    Value::concrete(Tensor::from_slice(data, shape))
}

fn floats(value: &Value) -> Vec<f64> {
    value.require().unwrap().as_slice::<f64>().to_vec()
}

/// An op of float64 operands, all differentiable, and of others that are not.
struct Case<'a> {
    name: &'a str,
    attributes: &'a [(&'static str, Attr<'static>)],
    operands: Vec<Value>,
    /// How many of the first results count.
    results: usize,
}

impl Case<'_> {
    fn run(&self, operands: &[Value]) -> Vec<Value> {
        let op = builder(self.name).unwrap()(&attrs(self.attributes)).unwrap();
        let outputs = apply(op, &operands.iter().collect::<Vec<_>>()).unwrap();
        outputs.into_iter().take(self.results).collect()
    }

    /// The gradients with respect to the float64 operands of the results weighted by fixed numbers.
    fn gradients(&self, operands: &[Value]) -> Vec<Vec<f64>> {
        let values = self.gradient_values(operands);
        values.iter().map(floats).collect()
    }

    fn gradient_values(&self, operands: &[Value]) -> Vec<Value> {
        let tape = Tape::new(true);
        let sources = sources(operands);
        sources.iter().for_each(|x| tape.watch(x));
        tape.start();
        let results = self.run(operands);
        tape.stop();
        let seeds: Vec<_> = results
            .iter()
            .enumerate()
            .map(|(k, y)| Some(weights(y, k)))
            .collect();
        let wanted: Vec<_> = sources.iter().map(|x| Source::Value(x.clone())).collect();
        let grads = tape.gradient(&results, &seeds, &wanted).unwrap();
        grads
            .into_iter()
            .zip(&sources)
            .map(|(grad, x)| {
                let grad = grad.unwrap_or_else(|| panic!("{}: no gradient", self.name));
                assert_eq!(grad.spec(), x.spec(), "{}", self.name);
                grad
            })
            .collect()
    }

    /// Checks one order: `f` gives the weighted sum, `grads` its gradients.
    fn check(&self, order: &str, f: &dyn Fn(&[Value]) -> f64, grads: &[Vec<f64>]) {
        let mut k = 0;
        for (i, operand) in self.operands.iter().enumerate() {
            if operand.dtype() != DType::Float64 {
                continue;
            }
            let x = floats(operand);
            let shape = operand.shape().known().unwrap();
            for j in 0..x.len() {
                let moved = |by: f64| {
                    let mut y = x.clone();
                    y[j] += by;
                    let mut operands = self.operands.clone();
                    operands[i] = tensor(&y, &shape);
                    f(&operands)
                };
                // Richardson's step removes the error of second order.
                let slope = |h: f64| (moved(h) - moved(-h)) / (2.0 * h);
                let want = (4.0 * slope(1e-4) - slope(2e-4)) / 3.0;
                let got = grads[k][j];
                assert!(
                    (got - want).abs() <= 2e-7 * want.abs().max(1.0),
                    "{} gradient of {} with respect to operand {i}[{j}] at {:?}: {got}, differences give {want}",
                    order,
                    self.name,
                    self.operands
                        .iter()
                        .map(|x| (x.dtype() == DType::Float64).then(|| floats(x)))
                        .collect::<Vec<_>>(),
                );
            }
            k += 1;
        }
    }

    fn check_first(&self) {
        let f = |operands: &[Value]| {
            let results = self.run(operands);
            results
                .iter()
                .enumerate()
                .map(|(k, y)| dot(y, &weights(y, k)))
                .sum()
        };
        self.check("the", &f, &self.gradients(&self.operands));
    }

    fn check_second(&self) {
        // The inner gradients, weighted, are the function whose gradient is checked.
        let inner = |operands: &[Value]| {
            let grads = self.gradient_values(operands);
            grads
                .iter()
                .enumerate()
                .map(|(k, g)| dot(g, &weights(g, k + 7)))
                .sum()
        };
        let sources = sources(&self.operands);
        let tape = Tape::new(true);
        sources.iter().for_each(|x| tape.watch(x));
        tape.start();
        let grads = self.gradient_values(&self.operands);
        tape.stop();
        let seeds: Vec<_> = grads
            .iter()
            .enumerate()
            .map(|(k, g)| Some(weights(g, k + 7)))
            .collect();
        let wanted: Vec<_> = sources.iter().map(|x| Source::Value(x.clone())).collect();
        let second = tape.gradient(&grads, &seeds, &wanted).unwrap();
        let second: Vec<Vec<f64>> = second
            .iter()
            .zip(&sources)
            .map(|(g, x)| match g {
                Some(g) => floats(g),
                None => vec![0.0; x.require().unwrap().size()],
            })
            .collect();
        self.check("the second", &inner, &second);
    }
}

fn sources(operands: &[Value]) -> Vec<Value> {
    operands
        .iter()
        .filter(|x| x.dtype() == DType::Float64)
        .cloned()
        .collect()
}

fn weights(y: &Value, k: usize) -> Value {
    let shape = y.shape().known().unwrap();
    tensor(&numbers(shape.iter().product(), 99 + k as u32), &shape)
}

fn dot(a: &Value, b: &Value) -> f64 {
    floats(a).iter().zip(floats(b)).map(|(a, b)| a * b).sum()
}

#[test]
fn of_functions_of_one_tensor() {
    let whole = [
        "negative",
        "abs",
        "exp",
        "expm1",
        "square",
        "sin",
        "cos",
        "tan",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "arcsinh",
        "erf",
        "sigmoid",
        "relu",
        "relu6",
        "softplus",
        "softsign",
        "silu",
        "gelu",
        "gelu_tanh",
        "selu",
        "hard_sigmoid",
        "hard_silu",
        "log_sigmoid",
        "mish",
        "elu",
        "celu",
        "leaky_relu",
        "copy",
    ];
    let positive = ["log", "log1p", "sqrt", "rsqrt", "reciprocal", "lgamma"];
    let unit = ["arcsin", "arccos", "arctanh", "erfinv"];
    let x: Vec<f64> = numbers(12, 1)
        .iter()
        .map(|x| 2.0 * x)
        .chain([-4.0, 4.0, 7.0])
        .collect();
    let check = |name: &str, x: Vec<f64>| {
        let case = Case {
            name,
            attributes: &[],
            operands: vec![tensor(&x, &[x.len()])],
            results: 1,
        };
        case.check_first();
        if name != "lgamma" {
            case.check_second();
        }
    };
    for name in whole {
        check(name, x.clone());
    }
    for name in positive {
        check(name, x.iter().map(|x| x.abs() + 0.3).collect());
    }
    for name in unit {
        check(name, x.iter().map(|x| 0.1 * x).collect());
    }
    check("arccosh", x.iter().map(|x| x.abs() + 1.3).collect());
    for approximate in [false, true] {
        let attributes = &[("approximate", Attr::Bool(approximate))];
        Case {
            name: "gelu",
            attributes,
            operands: vec![tensor(&x, &[x.len()])],
            results: 1,
        }
        .check_second();
    }
    for (name, parameter) in [
        ("elu", "alpha"),
        ("celu", "alpha"),
        ("leaky_relu", "negative_slope"),
    ] {
        let attributes = &[(parameter, Attr::Float(0.7))];
        let case = Case {
            name,
            attributes,
            operands: vec![tensor(&x, &[x.len()])],
            results: 1,
        };
        case.check_first();
        case.check_second();
    }
}

#[test]
fn of_functions_of_several_tensors() {
    let names = [
        "add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "arctan2", "mod",
    ];
    for name in names {
        let a: Vec<f64> = numbers(6, 3).iter().map(|x| x.abs() + 0.4).collect();
        let b: Vec<f64> = numbers(6, 4).iter().map(|x| x.abs() + 0.3).collect();
        let case = Case {
            name,
            attributes: &[],
            operands: vec![tensor(&a, &[2, 3]), tensor(&b, &[2, 3])],
            results: 1,
        };
        case.check_first();
        case.check_second();
        if builder("sum").is_none() {
            continue;
        }
        for shapes in [
            [&[2, 3][..], &[3]],
            [&[2, 1], &[1, 3]],
            [&[], &[2, 3]],
            [&[2, 3], &[2, 1]],
        ] {
            let [a, b] = [&a, &b].map(|x| x.clone());
            let size = |shape: &[usize]| shape.iter().product::<usize>();
            let case = Case {
                name,
                attributes: &[],
                operands: vec![
                    tensor(&a[..size(shapes[0])], shapes[0]),
                    tensor(&b[..size(shapes[1])], shapes[1]),
                ],
                results: 1,
            };
            case.check_first();
            case.check_second();
        }
    }
}

#[test]
fn of_choices() {
    let condition = Tensor::from_slice(&[1u8, 0, 1, 0], &[4]).retyped(DType::Bool);
    let (a, b) = (tensor(&numbers(4, 5), &[4]), tensor(&numbers(4, 6), &[4]));
    let case = Case {
        name: "where",
        attributes: &[],
        operands: vec![Value::concrete(condition), a.clone(), b.clone()],
        results: 1,
    };
    case.check_first();
    let (low, high) = (tensor(&[-0.5; 4], &[4]), tensor(&[0.5; 4], &[4]));
    Case {
        name: "clip",
        attributes: &[],
        operands: vec![a, low, high],
        results: 1,
    }
    .check_first();
}

#[test]
fn at_zero_and_ties() {
    let grad = |name: &str, operands: &[Value]| {
        let seeded = Case {
            name,
            attributes: &[],
            operands: operands.to_vec(),
            results: 1,
        };
        let scale = floats(&weights(&operands[0], 0));
        let grads = seeded.gradients(operands);
        grads
            .into_iter()
            .map(|g| g.iter().zip(&scale).map(|(g, s)| g / s).collect())
            .collect::<Vec<Vec<f64>>>()
    };
    assert_eq!(grad("relu", &[tensor(&[0.0], &[1])]), [[0.0]]);
    assert_eq!(
        grad("maximum", &[tensor(&[2.0], &[1]), tensor(&[2.0], &[1])]),
        [[0.5], [0.5]]
    );
    assert_eq!(
        grad("power", &[tensor(&[0.0], &[1]), tensor(&[2.0], &[1])]),
        [[0.0], [0.0]]
    );
    assert_eq!(
        grad("power", &[tensor(&[0.0], &[1]), tensor(&[0.0], &[1])])[0],
        [0.0]
    );
    assert_eq!(grad("abs", &[tensor(&[0.0], &[1])]), [[0.0]]);
}

#[test]
fn of_dropout() {
    let seed = Value::concrete(Tensor::from_slice(&[1u32, 2], &[2]));
    for noise in [None, Some([1, 4]), Some([3, 1])] {
        let noise = match noise {
            Some(shape) => Attr::List(shape.map(|n| Attr::Int(n.into())).to_vec()),
            None => Attr::None,
        };
        let case = Case {
            name: "dropout",
            attributes: &[("rate", Attr::Float(0.4)), ("noise_shape", noise)],
            operands: vec![tensor(&numbers(12, 8), &[3, 4]), seed.clone()],
            results: 1,
        };
        case.check_first();
        let (x, y) = (
            floats(&case.operands[0]),
            floats(&case.run(&case.operands)[0]),
        );
        assert!(y.contains(&0.0));
        assert!(
            x.iter()
                .zip(&y)
                .all(|(x, y)| *y == 0.0 || (y - x / 0.6).abs() < 1e-12)
        );
    }
}

/// Checks ops by name, attributes and shapes of float64 operands, and operands of other dtypes behind them.
fn check_all(
    cases: &[(
        &str,
        &[(&'static str, Attr<'static>)],
        &[&[usize]],
        &[Value],
    )],
) {
    for (seed, (name, attributes, shapes, others)) in cases.iter().enumerate() {
        let operand = |(i, shape): (usize, &&[usize])| {
            let x = numbers(shape.iter().product(), (seed * 7 + i) as u32 + 20);
            tensor(&x, shape)
        };
        let floats = shapes.iter().enumerate().map(operand);
        let case = Case {
            name,
            attributes,
            operands: floats.chain(others.iter().cloned()).collect(),
            results: 9,
        };
        case.check_first();
        case.check_second();
    }
}

fn ints(values: &[i64]) -> Attr<'static> {
    Attr::List(values.iter().copied().map(int).collect())
}

fn int(value: i64) -> Attr<'static> {
    Attr::Int(Dim::Known(value))
}

fn indices(values: &[i32], shape: &[usize]) -> Value {
    Value::concrete(Tensor::from_slice(values, shape))
}

#[test]
fn of_reductions() {
    let x: &[&[usize]] = &[&[2, 3, 4]];
    let axes = |values| ("axes", ints(values));
    let keep = ("keepdims", Attr::Bool(true));
    let (axis, reverse) = (("axis", int(1)), ("reverse", Attr::Bool(true)));
    for name in ["sum", "mean", "prod", "max", "min", "logsumexp"] {
        check_all(&[
            (name, &[], x, &[]),
            (name, &[axes(&[1])], x, &[]),
            (name, &[axes(&[0, -1]), keep.clone()], x, &[]),
            (name, &[axes(&[])], x, &[]),
        ]);
    }
    for name in ["cumsum", "cumprod"] {
        check_all(&[
            (name, std::slice::from_ref(&axis), x, &[]),
            (name, &[axis.clone(), reverse.clone()], x, &[]),
        ]);
    }
}

#[test]
fn of_products_with_zeros() {
    for name in ["prod", "cumprod"] {
        let x = tensor(&[2.0, 0.0, 3.0, 0.0, 0.0, 5.0, 1.5, 2.5], &[2, 4]);
        let case = Case {
            name,
            attributes: &[("axes", ints(&[1])), ("axis", int(1))],
            operands: vec![x],
            results: 1,
        };
        case.check_first();
        case.check_second();
    }
}

#[test]
fn of_extremes_shared_by_equals() {
    let x = tensor(&[1.0, 3.0, 3.0, 2.0], &[4]);
    let case = Case {
        name: "max",
        attributes: &[],
        operands: vec![x.clone()],
        results: 1,
    };
    let seed = floats(&weights(&tensor(&[0.0], &[]), 0))[0];
    assert_eq!(case.gradients(&[x]), [[0.0, seed / 2.0, seed / 2.0, 0.0]]);
}

#[test]
fn of_moves() {
    let x: &[&[usize]] = &[&[2, 3, 4]];
    let pad = |mode| {
        let low = ("low", ints(&[1, 0, 3]));
        vec![low, ("high", ints(&[0, 2, 1])), ("mode", Attr::Str(mode))]
    };
    let cut = [
        ("starts", ints(&[0, 1, 0])),
        ("stops", ints(&[2, 3, 4])),
        ("strides", ints(&[1, 1, 3])),
    ];
    check_all(&[
        ("reshape", &[("shape", ints(&[6, -1]))], x, &[]),
        ("transpose", &[], x, &[]),
        ("transpose", &[("axes", ints(&[2, 0, 1]))], x, &[]),
        (
            "broadcast_to",
            &[("shape", ints(&[5, 2, 3, 4]))],
            &[&[3, 1]],
            &[],
        ),
        ("pad", &pad("constant"), &[&[2, 3, 4], &[]], &[]),
        ("slice", &cut, x, &[]),
        ("flip", &[("axes", ints(&[0, 2]))], x, &[]),
        ("repeat", &[("repeats", int(3)), ("axis", int(1))], x, &[]),
        (
            "concatenate",
            &[("axis", int(1))],
            &[&[2, 3], &[2, 1], &[2, 2]],
            &[],
        ),
        (
            "split",
            &[("sizes", ints(&[1, 2, 1])), ("axis", int(-1))],
            x,
            &[],
        ),
        (
            "dynamic_slice",
            &[("sizes", ints(&[1, 2]))],
            &[&[3, 4]],
            &[indices(&[1, 9], &[2])],
        ),
        (
            "dynamic_update_slice",
            &[],
            &[&[3, 4], &[2, 2]],
            &[indices(&[-2, 1], &[2])],
        ),
    ]);
    for mode in ["reflect", "symmetric", "edge"] {
        let mut attributes = pad(mode);
        attributes[0].1 = ints(&[1, 0, 3]);
        check_all(&[("pad", &attributes, x, &[])]);
    }
}

#[test]
fn of_reads_and_writes_by_index() {
    let axis = |axis| [("axis", int(axis))];
    let mode = |mode| [("mode", Attr::Str(mode))];
    let x: &[&[usize]] = &[&[3, 4]];
    let some = || indices(&[1, -1, 9, 1], &[2, 2]);
    check_all(&[
        ("gather", &axis(1), x, &[indices(&[1, -1, 0, 1], &[2, 2])]),
        ("gather_nd", &[], x, &[indices(&[1, 2, -1, 0], &[2, 2])]),
        (
            "take_along_axis",
            &axis(0),
            x,
            &[indices(&[0, 2, 2, 1], &[1, 4])],
        ),
        ("embedding", &[], x, &[indices(&[2, 0, 2], &[3])]),
    ]);
    // Operands of writes: base, indices, updates.
    let write = |name: &str,
                 attributes: &[(&'static str, Attr<'static>)],
                 shapes: [&[usize]; 2],
                 places: Value| {
        let [base, updates] = shapes.map(|shape| {
            tensor(
                &numbers(shape.iter().product(), 31 + shape.len() as u32),
                shape,
            )
        });
        let case = Case {
            name,
            attributes,
            operands: vec![base, places, updates],
            results: 1,
        };
        case.check_first();
        case.check_second();
    };
    write("scatter_add", &axis(1), [&[3, 4], &[3, 2, 2]], some());
    for name in ["set", "add", "min", "max", "mul"] {
        write(
            "scatter_nd",
            &mode(name),
            [&[3, 4], &[2]],
            indices(&[1, 2, -1, 0], &[2, 2]),
        );
        write(
            "scatter_nd",
            &mode(name),
            [&[3, 4], &[5, 4]],
            indices(&[1, -3, 7, 1, 1], &[5, 1]),
        );
    }
    write(
        "put_along_axis_add",
        &axis(0),
        [&[3, 4], &[2, 4]],
        indices(&[0, 2, 2, 1, 0, 9, 1, -1], &[2, 4]),
    );
}

#[test]
fn of_orders() {
    let x: &[&[usize]] = &[&[3, 4]];
    check_all(&[
        ("sort", &[("axis", int(0))], x, &[]),
        ("sort", &[("axis", int(-1))], x, &[]),
    ]);
    let case = Case {
        name: "top_k",
        attributes: &[("k", int(2))],
        operands: vec![tensor(&numbers(12, 40), &[3, 4])],
        results: 1,
    };
    case.check_first();
    case.check_second();
}

#[test]
fn of_products() {
    for (a, b) in [(false, false), (true, false), (false, true), (true, true)] {
        let attributes = &[
            ("transpose_a", Attr::Bool(a)),
            ("transpose_b", Attr::Bool(b)),
        ];
        for batches in [
            [&[][..], &[]],
            [&[2], &[2]],
            [&[2], &[]],
            [&[], &[2]],
            [&[2, 1], &[3]],
        ] {
            let shape = |batch: &[usize], mut sizes: [usize; 2], transposed: bool| {
                if transposed {
                    sizes.reverse();
                }
                [batch, &sizes].concat()
            };
            let shapes: &[&[usize]] =
                &[&shape(batches[0], [2, 3], a), &shape(batches[1], [3, 2], b)];
            check_all(&[("matmul", attributes, shapes, &[])]);
        }
    }
    for name in [
        "relu",
        "relu6",
        "sigmoid",
        "tanh",
        "elu",
        "selu",
        "silu",
        "gelu",
        "softplus",
        "softsign",
        "hard_silu",
    ] {
        let attributes = &[("activation", Attr::Str(name))];
        check_all(&[("dense", attributes, &[&[2, 2, 3], &[3, 2], &[2]], &[])]);
    }
    check_all(&[
        ("dense", &[], &[&[3], &[3, 2], &[2]], &[]),
        ("dense", &[], &[&[2, 3], &[3, 2]], &[]),
    ]);
}

fn check_both(case: &Case<'_>) {
    case.check_first();
    case.check_second();
}

#[test]
fn of_softmax_and_cross_entropies() {
    let x = || tensor(&numbers(24, 11), &[2, 3, 4]);
    for name in ["softmax", "log_softmax"] {
        for axis in [0, 1, -1] {
            check_both(&Case {
                name,
                attributes: &[("axis", Attr::Int(graph::Dim::Known(axis)))],
                operands: vec![x()],
                results: 1,
            });
        }
    }
    check_both(&Case {
        name: "softmax_cross_entropy",
        attributes: &[],
        operands: vec![x(), tensor(&numbers(24, 12), &[2, 3, 4])],
        results: 1,
    });
    let ids = Value::concrete(Tensor::from_slice(&[0i32, 3, 1, 2, -1, 0], &[2, 3]));
    check_both(&Case {
        name: "sparse_softmax_cross_entropy",
        attributes: &[],
        operands: vec![x(), ids],
        results: 1,
    });
}

#[test]
fn of_layer_norm() {
    for rms in [false, true] {
        for parameters in 0..3 {
            for axis_count in [1, 2] {
                let row: &[usize] = if axis_count == 1 { &[4] } else { &[3, 4] };
                let size = row.iter().product();
                let mut operands = vec![tensor(&numbers(24, 13), &[2, 3, 4])];
                operands.extend((0..parameters).map(|k| tensor(&numbers(size, 14 + k), row)));
                check_both(&Case {
                    name: "layer_norm",
                    attributes: &[
                        ("axis_count", Attr::Int(graph::Dim::Known(axis_count))),
                        ("epsilon", Attr::Float(0.1)),
                        ("rms", Attr::Bool(rms)),
                    ],
                    operands,
                    results: 1,
                });
            }
        }
    }
}

#[test]
fn of_group_norm() {
    for parameters in 0..3 {
        for groups in [1, 2, 4] {
            let mut operands = vec![tensor(&numbers(48, 20), &[2, 3, 2, 4])];
            operands.extend((0..parameters).map(|k| tensor(&numbers(4, 21 + k), &[4])));
            check_both(&Case {
                name: "group_norm",
                attributes: &[
                    ("groups", Attr::Int(graph::Dim::Known(groups))),
                    ("epsilon", Attr::Float(0.1)),
                ],
                operands,
                results: 1,
            });
        }
    }
}

#[test]
fn of_resampling() {
    let [rows, columns] = [([3, 2], 23), ([2, 5], 24)]
        .map(|(shape, seed)| tensor(&numbers(shape.iter().product(), seed), &shape));
    check_both(&Case {
        name: "resample",
        attributes: &[],
        operands: vec![tensor(&numbers(36, 22), &[2, 3, 2, 3]), rows, columns],
        results: 1,
    });
}

#[test]
fn of_batch_norm() {
    let operands = || {
        let channels = |seed| tensor(&numbers(3, seed), &[3]);
        vec![
            tensor(&numbers(24, 16), &[2, 4, 3]),
            channels(17),
            channels(18),
        ]
    };
    // The result alone, then the moments with it.
    for results in [1, 3] {
        check_both(&Case {
            name: "batch_norm_train",
            attributes: &[("epsilon", Attr::Float(0.1))],
            operands: operands(),
            results,
        });
    }
    let mut operands = operands();
    operands.push(tensor(&numbers(3, 19), &[3]));
    operands.push(tensor(&[0.3, 0.7, 1.1], &[3]));
    check_both(&Case {
        name: "batch_norm_inference",
        attributes: &[("epsilon", Attr::Float(0.1))],
        operands,
        results: 1,
    });
}

#[test]
fn halves_are_computed_in_single_precision() {
    use half::f16;
    let halves = |x: &Value| {
        let x: Vec<f16> = floats(x).into_iter().map(f16::from_f64).collect();
        x
    };
    let cases: [(&str, Vec<&[usize]>); 5] = [
        ("softmax", vec![&[4, 6]]),
        ("softmax_cross_entropy", vec![&[4, 6], &[4, 6]]),
        ("layer_norm", vec![&[4, 6], &[6], &[6]]),
        ("batch_norm_train", vec![&[4, 6], &[6], &[6]]),
        ("tanh", vec![&[4, 6]]),
    ];
    for (name, shapes) in cases {
        let wide: Vec<Value> = (shapes.iter().enumerate())
            .map(|(k, shape)| tensor(&numbers(shape.iter().product(), k as u32), shape))
            .collect();
        let narrow: Vec<Value> = (wide.iter().zip(&shapes))
            .map(|(x, shape)| Value::concrete(Tensor::from_slice(&halves(x), shape)))
            .collect();
        let rounded: Vec<Value> = (narrow.iter().zip(&shapes))
            .map(|(x, shape)| {
                let x = x.require().unwrap().as_slice::<f16>();
                tensor(&x.iter().map(|x| x.to_f64()).collect::<Vec<_>>(), shape)
            })
            .collect();
        let case = Case {
            name,
            attributes: &[],
            operands: narrow,
            results: 1,
        };
        let (got, want) = (case.run(&case.operands), case.run(&rounded));
        assert_eq!(got[0].dtype(), DType::Float16);
        let got = got[0].require().unwrap().as_slice::<f16>().to_vec();
        for (got, want) in got.iter().zip(floats(&want[0])) {
            assert!(
                (got.to_f64() - want).abs() <= 1e-3 * want.abs().max(0.1),
                "{name}: {got} for {want}"
            );
        }
    }
}
