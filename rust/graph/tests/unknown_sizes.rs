//! Each op traced once with an unknown size, then run at several sizes: the results are those of eager calls.

use graph::emit::Dispatch;
use graph::op::{Attr, Attrs, builder};
use graph::passes::Options;
use graph::trace::Trace;
use graph::{DType, Dim, Emitter, Error, Plan, Result, Shape, Spec, Tensor, Value};

type Attributes = Vec<(&'static str, Attr<'static>)>;

fn call(name: &str, attributes: Attributes, operands: &[&Value]) -> Result<Value> {
    let op = builder(name).unwrap_or_else(|| panic!("no op {name}"))(&Attrs(attributes.into()))?;
    let e: &mut dyn Emitter = &mut Dispatch;
    e.one(op, operands)
}

fn int(value: i64) -> Attr<'static> {
    Attr::Int(Dim::Known(value))
}

fn sizes(dims: &[&Dim]) -> Attr<'static> {
    Attr::List(dims.iter().map(|&dim| Attr::Int(dim.clone())).collect())
}

fn plus(a: &Dim, b: i64) -> Dim {
    a + &Dim::Known(b)
}

fn numbers(shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    let x: Vec<f32> = (0..n)
        .map(|i| ((i * 37 + 11) % 64) as f32 / 4.0 - 8.0)
        .collect();
    Tensor::from_slice(&x, shape)
}

/// Functions of a tensor of shape (unknown, 6), by name.
fn functions() -> Vec<(&'static str, fn(&Value) -> Result<Value>)> {
    fn k(value: i64) -> Dim {
        Dim::Known(value)
    }
    fn batch(x: &Value) -> Dim {
        x.shape()[0].clone()
    }
    fn halves(x: &Value, stride: i64) -> Result<Value> {
        // From the third row from the end on, every so many columns.
        let start = plus(&batch(x), -2);
        call(
            "slice",
            vec![
                ("starts", sizes(&[&start, &k(1)])),
                ("stops", sizes(&[&batch(x), &k(6)])),
                ("strides", sizes(&[&k(1), &k(stride)])),
            ],
            &[x],
        )
    }
    vec![
        ("merged axes", |x| {
            call("reshape", vec![("shape", sizes(&[&k(-1)]))], &[x])
        }),
        ("split axes", |x| {
            call(
                "reshape",
                vec![("shape", sizes(&[&k(-1), &k(2), &k(3)]))],
                &[x],
            )
        }),
        ("an unknown size kept", |x| {
            call(
                "reshape",
                vec![("shape", sizes(&[&batch(x), &k(-1), &k(2)]))],
                &[x],
            )
        }),
        ("a division that comes out even in fact", |x| {
            let pairs = call("repeat", vec![("repeats", int(2)), ("axis", int(0))], &[x])?;
            call(
                "reshape",
                vec![("shape", sizes(&[&batch(x), &k(-1)]))],
                &[&pairs],
            )
        }),
        ("transposed", |x| call("transpose", vec![], &[x])),
        ("the last rows", |x| halves(x, 1)),
        ("every other column", |x| halves(x, 2)),
        ("every other row", |x| {
            call(
                "slice",
                vec![
                    ("starts", sizes(&[&k(1), &k(0)])),
                    ("stops", sizes(&[&batch(x), &k(6)])),
                    ("strides", sizes(&[&k(2), &k(1)])),
                ],
                &[x],
            )
        }),
        ("padded", |x| {
            let zero = Value::concrete(Tensor::scalar(0.5f32));
            call(
                "pad",
                vec![
                    ("low", sizes(&[&k(1), &k(0)])),
                    ("high", sizes(&[&batch(x), &k(2)])),
                ],
                &[x, &zero],
            )
        }),
        ("mirrored", |x| {
            let attributes = vec![
                ("low", sizes(&[&k(1), &k(2)])),
                ("high", sizes(&[&k(1), &k(0)])),
                ("mode", Attr::Str("reflect")),
            ];
            call("pad", attributes, &[x])
        }),
        ("joined", |x| {
            call("concatenate", vec![("axis", int(0))], &[x, x])
        }),
        ("parted", |x| {
            let rest = plus(&batch(x), -1);
            call(
                "split",
                vec![("sizes", sizes(&[&rest, &k(1)])), ("axis", int(0))],
                &[x],
            )
        }),
        ("repeated", |x| {
            call(
                "repeat",
                vec![("repeats", Attr::Int(batch(x))), ("axis", int(1))],
                &[x],
            )
        }),
        ("broadcast", |x| {
            call(
                "broadcast_to",
                vec![("shape", sizes(&[&k(2), &batch(x), &k(6)]))],
                &[x],
            )
        }),
        ("summed rows", |x| call("sum", vec![("axes", int(0))], &[x])),
        ("mean of all", |x| call("mean", vec![], &[x])),
        ("greatest columns", |x| {
            call(
                "max",
                vec![("axes", int(-1)), ("keepdims", Attr::Bool(true))],
                &[x],
            )
        }),
        ("positions", |x| {
            call("argmax", vec![("axis", int(0))], &[x])
        }),
        ("running", |x| {
            call(
                "cumsum",
                vec![("axis", int(0)), ("reverse", Attr::Bool(true))],
                &[x],
            )
        }),
        ("sorted", |x| call("sort", vec![("axis", int(0))], &[x])),
        ("greatest two", |x| call("top_k", vec![("k", int(2))], &[x])),
        ("counted", |x| {
            call(
                "iota",
                vec![
                    ("shape", sizes(&[&batch(x)])),
                    ("dtype", Attr::Str("int32")),
                ],
                &[],
            )
        }),
        ("the size", |x| {
            call(
                "dim",
                vec![
                    ("value", Attr::Int(batch(x))),
                    ("dtype", Attr::Str("float32")),
                ],
                &[],
            )
        }),
        ("gathered rows", |x| {
            let rows = call(
                "iota",
                vec![
                    ("shape", sizes(&[&batch(x), &k(2)])),
                    ("dtype", Attr::Str("int32")),
                ],
                &[],
            )?;
            call("gather", vec![("axis", int(0))], &[x, &rows])
        }),
        ("classes", |x| {
            let rows = call(
                "iota",
                vec![
                    ("shape", sizes(&[&batch(x)])),
                    ("dtype", Attr::Str("int32")),
                ],
                &[],
            )?;
            call(
                "one_hot",
                vec![
                    ("num_classes", Attr::Int(batch(x))),
                    ("dtype", Attr::Str("float32")),
                ],
                &[&rows],
            )
        }),
        ("rows added to", |x| {
            let rows = call(
                "iota",
                vec![
                    ("shape", sizes(&[&batch(x)])),
                    ("dtype", Attr::Str("int32")),
                ],
                &[],
            )?;
            call("scatter_add", vec![("axis", int(0))], &[x, &rows, x])
        }),
        ("a block moved", |x| {
            let starts = Value::concrete(Tensor::from_slice(&[-1i32, 9], &[2]));
            let block = call(
                "dynamic_slice",
                vec![("sizes", sizes(&[&k(2), &k(3)]))],
                &[x, &starts],
            )?;
            let zeros = Value::concrete(Tensor::from_slice(&[0i32, 0], &[2]));
            call("dynamic_update_slice", vec![], &[x, &block, &zeros])
        }),
        ("steps of sequences", |x| {
            let projected = call(
                "reshape",
                vec![("shape", sizes(&[&k(2), &batch(x), &k(3)]))],
                &[x],
            )?;
            let [kernel, state] = [&[1, 3], &[2, 1]].map(|shape| Value::concrete(numbers(shape)));
            call(
                "recurrent",
                vec![("cell", Attr::Str("gru"))],
                &[&projected, &kernel, &state],
            )
        }),
        ("attention along sequences", |x| {
            let heads = call(
                "reshape",
                vec![("shape", sizes(&[&k(1), &batch(x), &k(2), &k(3)]))],
                &[x],
            )?;
            let attributes = vec![("scale", Attr::Float(0.5)), ("causal", Attr::Bool(true))];
            call("attention", attributes, &[&heads, &heads, &heads])
        }),
    ]
}

#[test]
fn every_size_gives_what_eager_calls_give() {
    for (name, function) in functions() {
        let trace = Trace::begin();
        let batch = trace.symbol("batch");
        let shape = Shape([batch, Dim::Known(6)].into_iter().collect());
        let x = trace
            .input(Spec {
                dtype: DType::Float32,
                shape,
            })
            .unwrap();
        let y = function(&x).unwrap_or_else(|error| panic!("{name}: {error}"));
        let plan = Plan::new(trace.finish(&[y]).unwrap(), Options::default()).unwrap();
        for n in [2, 3, 8] {
            let x = numbers(&[n, 6]);
            let traced = plan
                .run(std::slice::from_ref(&x))
                .unwrap_or_else(|error| panic!("{name} of {n}: {error}"));
            let eager = function(&Value::concrete(x)).unwrap();
            let eager = eager.require().unwrap();
            assert_eq!(traced[0].spec(), eager.spec(), "{name} of {n}");
            assert_eq!(
                traced[0].view().bytes(),
                eager.view().bytes(),
                "{name} of {n}"
            );
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error_with_both_shapes() {
    let x = Value::concrete(numbers(&[2, 6]));
    let shape = |dims: &[i64]| ("shape", Attr::List(dims.iter().copied().map(int).collect()));
    let ids = Value::concrete(Tensor::from_slice(&[0.5f32], &[1]));
    let wrong: [(&str, Attributes, Vec<&Value>, &str); 10] = [
        (
            "reshape",
            vec![shape(&[5])],
            vec![&x],
            "cannot reshape a tensor of shape (2, 6) into shape (5,)",
        ),
        (
            "reshape",
            vec![shape(&[-1, 5])],
            vec![&x],
            "into shape (-1, 5)",
        ),
        (
            "transpose",
            vec![("axes", Attr::List(vec![int(0), int(0)]))],
            vec![&x],
            "no permutation",
        ),
        ("broadcast_to", vec![shape(&[4, 6])], vec![&x], "(2, 6)"),
        (
            "sum",
            vec![("axes", int(2))],
            vec![&x],
            "axis 2 is out of bounds",
        ),
        (
            "gather",
            vec![("axis", int(0))],
            vec![&x, &ids],
            "indices must be int32 or int64, got float32",
        ),
        ("top_k", vec![("k", int(7))], vec![&x], "7"),
        (
            "concatenate",
            vec![("axis", int(0))],
            vec![&x, &ids],
            "cannot be joined",
        ),
        (
            "recurrent",
            vec![("cell", Attr::Str("simple_rnn"))],
            vec![&x, &x, &x],
            "got shapes (2, 6) and (2, 6)",
        ),
        (
            "attention",
            vec![("scale", Attr::Float(1.0))],
            vec![&x, &x, &x],
            "got shapes (2, 6), (2, 6) and (2, 6)",
        ),
    ];
    for (name, attributes, operands, message) in wrong {
        let error = call(name, attributes, &operands).unwrap_err();
        assert!(error.to_string().contains(message), "{name}: {error}");
    }
}

#[test]
fn a_size_that_does_not_divide_is_found_when_memory_is_planned() {
    let trace = Trace::begin();
    let batch = trace.symbol("batch");
    let x = trace
        .input(Spec {
            dtype: DType::Float32,
            shape: Shape([batch].into_iter().collect()),
        })
        .unwrap();
    let y = call(
        "reshape",
        vec![("shape", sizes(&[&Dim::Known(-1), &Dim::Known(4)]))],
        &[&x],
    )
    .unwrap();
    let plan = Plan::new(trace.finish(&[y]).unwrap(), Options::default()).unwrap();
    assert_eq!(plan.run(&[numbers(&[8])]).unwrap()[0].shape(), [2, 4]);
    assert!(matches!(plan.run(&[numbers(&[6])]), Err(Error::Value(_))));
}

#[test]
fn reductions_of_nothing() {
    let nothing = Value::concrete(numbers(&[0, 3]));
    let value = |name: &str| {
        let y = call(name, vec![("axes", int(0))], &[&nothing])?;
        Ok::<f32, Error>(y.require().unwrap().as_slice::<f32>()[0])
    };
    assert_eq!(value("sum"), Ok(0.0));
    assert_eq!(value("prod"), Ok(1.0));
    assert_eq!(value("logsumexp"), Ok(f32::NEG_INFINITY));
    assert!(value("mean").unwrap().is_nan());
    assert!(matches!(value("max"), Err(Error::Value(_))));
    assert!(call("argmax", vec![("axis", int(0))], &[&nothing]).is_err());
}

#[test]
fn reads_outside_are_filled() {
    let outside = Value::concrete(Tensor::from_slice(&[7i64], &[1]));
    let read = |x: Tensor, attributes: Attributes| {
        let y = call("gather", attributes, &[&Value::concrete(x), &outside]).unwrap();
        y.require().unwrap().clone()
    };
    let nan = read(numbers(&[3]), vec![]);
    assert!(nan.as_slice::<f32>()[0].is_nan());
    let zero = read(numbers(&[3]), vec![("outside", Attr::Str("zero"))]);
    assert_eq!(zero.as_slice::<f32>(), [0.0]);
    let least = read(Tensor::from_slice(&[1i32, 2], &[2]), vec![]);
    assert_eq!(least.as_slice::<i32>(), [i32::MIN]);
}
