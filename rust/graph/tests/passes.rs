//! Each pass: what it makes of a small graph, and that results stay the same.

use std::sync::Arc;

use graph::op::elementwise::{Elementwise, add, cast, multiply, scalar_like};
use graph::op::{Attr, Attrs, Op, builder};
use graph::passes::Options;
use graph::tape::{Source, Tape};
use graph::trace::Trace;
use graph::{DType, Dim, Emitter, Graph, Plan, Shape, Spec, Tensor, Value, Variable};
use kernels::elementwise::Op as Function;

fn input(trace: &Trace, dims: &[usize]) -> Value {
    let mut shape = Shape::from(dims);
    if let Some(first) = shape.first_mut() {
        *first = trace.symbol("batch");
    }
    trace
        .input(Spec {
            dtype: DType::Float32,
            shape,
        })
        .unwrap()
}

fn map(e: &mut dyn Emitter, function: Function, args: &[&Value]) -> Value {
    e.one(Elementwise::op(function), args).unwrap()
}

fn ramp(shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|i| (i as f32 * 0.37).sin() * 2.0).collect();
    Tensor::from_slice(&values, shape)
}

/// The optimised plan, after checking it against the recorded steps.
fn checked(graph: Graph, inputs: &[Tensor]) -> Plan {
    checked_within(graph, inputs, 1e-6)
}

fn checked_within(graph: Graph, inputs: &[Tensor], tolerance: f32) -> Plan {
    let verbatim = Plan::new(graph.clone(), Options { verbatim: true }).unwrap();
    let plan = Plan::new(graph, Options::default()).unwrap();
    let (expected, got) = (verbatim.run(inputs).unwrap(), plan.run(inputs).unwrap());
    for (a, b) in expected.iter().zip(&got) {
        assert_eq!(a.shape(), b.shape());
        for (a, b) in a.as_slice::<f32>().iter().zip(b.as_slice::<f32>()) {
            assert!(
                (a - b).abs() <= tolerance * (1.0 + a.abs()),
                "{a} {b}\n{}",
                plan.graph()
            );
        }
    }
    plan
}

fn list(items: &[i64]) -> Attr<'static> {
    Attr::List(items.iter().map(|&n| Attr::Int(Dim::Known(n))).collect())
}

fn names(plan: &Plan) -> Vec<String> {
    plan.graph()
        .nodes
        .iter()
        .map(|node| format!("{:?}", node.op))
        .collect()
}

#[test]
fn a_chain_becomes_one_loop() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let trace = Trace::begin();
    let x = input(&trace, &[0, 3]);
    let row = Value::concrete(Tensor::from_slice(&[1.0f32, -2.0, 3.0], &[3]));
    let y = multiply(e, &x, &row).unwrap();
    let y = add(e, &y, &scalar_like(&y, 0.5)).unwrap();
    let positive = map(e, Function::Greater, &[&y, &scalar_like(&y, 0.0)]);
    let positive = cast(e, &positive, DType::Float32).unwrap();
    let exp = map(e, Function::Exp, &[&y]);
    let y = multiply(e, &exp, &positive).unwrap();
    let plan = checked(trace.finish(&[y]).unwrap(), &[ramp(&[5, 3])]);
    assert_eq!(names(&plan), ["Fused(multiply add greater exp multiply)"]);
}

#[test]
fn what_others_use_stays_apart_and_results_join() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let trace = Trace::begin();
    let x = input(&trace, &[0, 3]);
    let a = map(e, Function::Tanh, &[&x]);
    let b = map(e, Function::Negative, &[&a]);
    let copy = builder("copy").unwrap()(&Attrs::default()).unwrap();
    let total = e.one(copy, &[&a]).unwrap();
    let plan = checked(trace.finish(&[b, total]).unwrap(), &[ramp(&[4, 3])]);
    assert_eq!(names(&plan).len(), 3);
    let trace = Trace::begin();
    let x = input(&trace, &[0, 3]);
    let a = map(e, Function::Tanh, &[&x]);
    let b = map(e, Function::Negative, &[&a]);
    let plan = checked(trace.finish(&[b, a]).unwrap(), &[ramp(&[4, 3])]);
    assert_eq!(names(&plan), ["Fused(tanh negative)"]);
}

#[test]
fn equal_calls_are_one() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let trace = Trace::begin();
    let x = input(&trace, &[0]);
    let a = map(e, Function::Exp, &[&x]);
    let b = map(e, Function::Exp, &[&x]);
    let plan = checked(trace.finish(&[a, b]).unwrap(), &[ramp(&[4])]);
    assert_eq!(plan.graph().nodes.len(), 1);
}

#[test]
fn hoisted_results_follow_their_variables() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let kernel = Variable::new(Tensor::from_slice(&[1.0f32, 2.0, 3.0], &[3]));
    let scale = Variable::new(Tensor::from_slice(&[2.0f32], &[1]));
    let trace = Trace::begin();
    let x = input(&trace, &[0, 3]);
    let scaled = multiply(e, &kernel.read(), &scale.read()).unwrap();
    let scaled = map(e, Function::Exp, &[&scaled]);
    let y = map(e, Function::Maximum, &[&x, &scaled]);
    let plan = Plan::new(trace.finish(&[y]).unwrap(), Options::default()).unwrap();
    assert_eq!(plan.graph().nodes.len(), 1);
    let run = || {
        plan.run(&[Tensor::zeros(DType::Float32, &[2, 3]).unwrap()])
            .unwrap()[0]
            .as_slice::<f32>()[0]
    };
    assert_eq!(run(), 2f32.exp());
    scale
        .assign(&Value::concrete(Tensor::from_slice(&[0.0f32], &[1])))
        .unwrap();
    assert_eq!(run(), 1.0);
    assert_eq!(run(), 1.0);
}

#[test]
fn an_optimizer_step_is_one_loop_in_place() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let (w, m) = (
        Variable::new(ramp(&[64])),
        Variable::new(Tensor::zeros(DType::Float32, &[64]).unwrap()),
    );
    let before = w.tensor().buffer().as_ptr();
    let trace = Trace::begin();
    let g = trace.input(Spec::new(DType::Float32, [64])).unwrap();
    let decayed = multiply(e, &m.read(), &scalar_like(&g, 0.9)).unwrap();
    let m_new = add(e, &decayed, &g).unwrap();
    m.assign(&m_new).unwrap();
    let step = multiply(e, &m_new, &scalar_like(&g, -0.1)).unwrap();
    w.assign(&add(e, &w.read(), &step).unwrap()).unwrap();
    let plan = Plan::new(trace.finish(&[]).unwrap(), Options::default()).unwrap();
    assert_eq!(plan.graph().nodes.len(), 1);
    plan.run(&[ramp(&[64])]).unwrap();
    plan.run(&[ramp(&[64])]).unwrap();
    assert_eq!(w.tensor().buffer().as_ptr(), before);
    let expected: Vec<f32> = ramp(&[64])
        .as_slice::<f32>()
        .iter()
        .map(|x| x - 0.1 * x - 0.1 * 1.9 * x)
        .collect();
    for (a, b) in w.tensor().as_slice::<f32>().iter().zip(expected) {
        assert!((a - b).abs() < 1e-5);
    }
}

/// A convolution with the padding "same".
fn conv(name: &str) -> Arc<dyn Op> {
    let one = || Attr::List(vec![Attr::Int(Dim::Known(1)), Attr::Int(Dim::Known(1))]);
    let attrs = [
        ("strides", one()),
        ("padding", Attr::Str("same")),
        ("dilation", one()),
        ("groups", Attr::Int(Dim::Known(1))),
    ];
    builder(name).unwrap()(&Attrs(attrs.into_iter().collect())).unwrap()
}

/// Kernels are brought to the form that is fastest once per version of their variable, whatever the form is.
#[test]
fn kernels_are_prepared_before_the_runs() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    for (name, x_shape, kernel_shape, form) in [
        ("conv", [0, 9, 8, 3], [5, 5, 3, 7], "Panels"),
        ("conv", [0, 9, 8, 3], [1, 1, 3, 7], "Panels"),
        ("conv", [0, 24, 24, 32], [3, 3, 32, 32], "Winograd"),
        ("conv_transpose", [0, 9, 8, 7], [5, 5, 12, 7], "Panels"),
    ] {
        let kernel = Variable::new(ramp(&kernel_shape));
        let trace = Trace::begin();
        let y = e
            .one(conv(name), &[&input(&trace, &x_shape), &kernel.read()])
            .unwrap();
        let graph = trace.finish(&[y]).unwrap();
        let mut x_shape = x_shape;
        for batch in [2, 5] {
            x_shape[0] = batch;
            let plan = checked_within(graph.clone(), &[ramp(&x_shape)], 1e-4);
            assert_eq!(plan.graph().nodes.len(), 1, "{}", plan.graph());
            assert!(names(&plan)[0].contains(form), "{}", plan.graph());
            let zeros = Tensor::zeros(DType::Float32, &kernel_shape).unwrap();
            kernel.assign(&Value::concrete(zeros)).unwrap();
            let run = || plan.run(&[ramp(&x_shape)]).unwrap().remove(0);
            assert!(run().as_slice::<f32>().iter().all(|&y| y == 0.0));
            kernel
                .assign(&Value::concrete(ramp(&kernel_shape)))
                .unwrap();
            assert!(run().as_slice::<f32>().iter().any(|&y| y != 0.0));
        }
    }
}

#[test]
fn a_batch_norm_folds_into_the_product_before_it_or_joins_a_chain() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let variable = |shape: &[usize]| Variable::new(ramp(shape)).read();
    let positive = Variable::new(Tensor::from_slice(&[0.5f32, 1.0, 2.0, 0.25], &[4]));
    let [kernel, matrix, bias, row] =
        [&[3, 3, 2, 4][..], &[2, 4], &[1, 1, 1, 4], &[4]].map(variable);
    let matmul = builder("matmul").unwrap()(&Attrs::default()).unwrap();
    let attrs = Attrs([("epsilon", Attr::Float(1e-3))].into_iter().collect());
    let norm = builder("batch_norm_inference").unwrap()(&attrs).unwrap();
    let cases = [
        ("Conv", Some((conv("conv"), &kernel)), 2),
        ("Dense", Some((matmul, &matrix)), 2),
        ("Fused", None, 4),
    ];
    for (step, product, channels) in cases {
        let trace = Trace::begin();
        let x = input(&trace, &[0, 6, 6, channels]);
        let y = match product {
            Some((op, weights)) => {
                let y = e.one(op, &[&x, weights]).unwrap();
                add(e, &y, &bias).unwrap()
            }
            None => x,
        };
        let operands = [&y, &row, &row, &row, &positive.read()];
        let y = e.one(norm.clone(), &operands).unwrap();
        let y = map(e, Function::Relu, &[&y]);
        let given = [ramp(&[2, 6, 6, channels])];
        let plan = checked_within(trace.finish(&[y]).unwrap(), &given, 1e-4);
        assert_eq!(plan.graph().nodes.len(), 1, "{}", plan.graph());
        assert!(names(&plan)[0].contains(step), "{}", plan.graph());
        assert!(
            names(&plan)[0].to_lowercase().contains("relu"),
            "{}",
            plan.graph()
        );
    }
}

/// The steps of the gradients of `activation(norm(x))` in training, or of what `head` makes of it.
fn steps_of_a_trained_norm(
    function: Function,
    head: fn(&mut dyn Emitter, &Value, &Value) -> Value,
) -> String {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let [gamma, beta] = [ramp(&[4]), ramp(&[4])].map(Variable::new);
    let trace = Trace::begin();
    let x = input(&trace, &[0, 5, 4]);
    let tape = Tape::new(false);
    let [gamma, beta] = [gamma.read(), beta.read()];
    [&x, &gamma, &beta]
        .iter()
        .for_each(|value| tape.watch(value));
    tape.start();
    let norm = builder("batch_norm_train").unwrap()(&Attrs::default()).unwrap();
    let results = e.emit(norm, &[&x, &gamma, &beta]).unwrap();
    let y = map(e, function, &[&results[0]]);
    let z = head(e, &results[0], &y);
    tape.stop();
    let sources = [x, gamma, beta].map(Source::Value);
    let mut outputs: Vec<Value> = tape
        .gradient(
            std::slice::from_ref(&z),
            &[Some(multiply(e, &z, &z).unwrap())],
            &sources,
        )
        .unwrap()
        .into_iter()
        .flatten()
        .collect();
    outputs.extend([z, results[1].clone()]);
    let plan = checked_within(trace.finish(&outputs).unwrap(), &[ramp(&[3, 5, 4])], 1e-5);
    names(&plan).join(" ")
}

#[test]
fn a_norm_in_training_takes_the_relu_behind_it() {
    let alone = |_: &mut dyn Emitter, _: &Value, y: &Value| y.clone();
    for (function, name) in [(Function::Relu, "Relu"), (Function::Relu6, "Relu6")] {
        let steps = steps_of_a_trained_norm(function, alone);
        let joined = format!("activation: Some({name})");
        assert_eq!(steps.matches(&joined).count(), 2, "{steps}");
        assert!(!steps.contains("where"), "{steps}");
    }
    let steps = steps_of_a_trained_norm(Function::Tanh, alone);
    assert_eq!(steps.matches("activation: None").count(), 2, "{steps}");
    // Used by something else, too.
    let both = |e: &mut dyn Emitter, norm: &Value, y: &Value| add(e, norm, y).unwrap();
    let steps = steps_of_a_trained_norm(Function::Relu, both);
    assert_eq!(steps.matches("activation: None").count(), 2, "{steps}");
    // What reaches the relu's result by another way, too, reaches the norm through it.
    let twice = |e: &mut dyn Emitter, _: &Value, y: &Value| multiply(e, y, y).unwrap();
    let steps = steps_of_a_trained_norm(Function::Relu, twice);
    assert_eq!(
        steps.matches("activation: Some(Relu)").count(),
        2,
        "{steps}"
    );
}

#[test]
fn a_product_takes_the_bias_of_its_view() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let kernel = Variable::new(ramp(&[3, 10]));
    for (bias, taken) in [
        (&[2, 5][..], true),
        (&[1, 2, 5], true),
        (&[5], false),
        (&[4, 2, 5], false),
    ] {
        let bias = Variable::new(ramp(bias));
        let trace = Trace::begin();
        let x = input(&trace, &[0, 4, 3]);
        let matmul = builder("matmul").unwrap()(&Attrs::default()).unwrap();
        let y = e.one(matmul, &[&x, &kernel.read()]).unwrap();
        let mut shape: Vec<Dim> = x.shape()[..2].to_vec();
        shape.extend([2, 5].map(Dim::Known));
        let shape: Shape = shape.into_iter().collect();
        let y = graph::op::layout::reshape(e, &y, &shape).unwrap();
        let y = add(e, &bias.read(), &y).unwrap();
        let y = add(e, &y, &bias.read()).unwrap();
        let plan = checked(trace.finish(&[y]).unwrap(), &[ramp(&[2, 4, 3])]);
        let dense = names(&plan).iter().any(|name| name.starts_with("Dense"));
        assert_eq!(dense, taken, "{}", plan.graph());
    }
}

/// Matrices are packed once per version of their variable; a batch of one reads them too.
#[test]
fn matrices_are_packed_before_the_runs() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let kernel = Variable::new(ramp(&[70, 90]));
    let bias = Variable::new(ramp(&[90]));
    let transposed = Attrs([("transpose_b", Attr::Bool(true))].into_iter().collect());
    for attrs in [Attrs::default(), transposed] {
        let turned = attrs.has("transpose_b");
        let x_shape = [0, if turned { 90 } else { 70 }];
        let trace = Trace::begin();
        let x = input(&trace, &x_shape);
        let matmul = builder("matmul").unwrap()(&attrs).unwrap();
        let mut y = e.one(matmul, &[&x, &kernel.read()]).unwrap();
        if !turned {
            y = add(e, &y, &bias.read()).unwrap();
            y = map(e, Function::Gelu, &[&y]);
        }
        let graph = trace.finish(&[y]).unwrap();
        for batch in [1, 2, 33] {
            let x = ramp(&[batch, x_shape[1]]);
            let plan = checked_within(graph.clone(), std::slice::from_ref(&x), 1e-5);
            assert!(
                names(&plan)[0].starts_with("PackedDense"),
                "{}",
                plan.graph()
            );
            let zeros = Tensor::zeros(DType::Float32, &[70, 90]).unwrap();
            kernel.assign(&Value::concrete(zeros)).unwrap();
            let rows = plan.run(&[x]).unwrap().remove(0);
            let row = rows.as_slice::<f32>().chunks(rows.shape()[1]);
            assert!(row.clone().all(|other| Some(other) == row.clone().next()));
            kernel.assign(&Value::concrete(ramp(&[70, 90]))).unwrap();
        }
    }
}

/// Zeros around images are the windows' own; behind a relu those of a maximum too.
#[test]
fn padding_joins_windows() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let kernel = Variable::new(ramp(&[3, 3, 2, 4]));
    for (function, pooled, steps) in [
        (None, false, 1),
        (Some(Function::Relu), true, 2),
        (Some(Function::Abs), true, 4),
    ] {
        let trace = Trace::begin();
        let x = input(&trace, &[0, 7, 6, 2]);
        let zero = scalar_like(&x, 0.0);
        let pad = [("low", list(&[0, 1, 0, 0])), ("high", list(&[0, 1, 2, 0]))];
        let pad = builder("pad").unwrap()(&Attrs(pad.into_iter().collect())).unwrap();
        let attrs = Attrs([("strides", list(&[2, 1]))].into_iter().collect());
        let conv = builder("conv").unwrap()(&attrs).unwrap();
        let mut y = e.one(pad.clone(), &[&x, &zero]).unwrap();
        y = e.one(conv, &[&y, &kernel.read()]).unwrap();
        if let Some(function) = function {
            y = map(e, function, &[&y]);
        }
        if pooled {
            let attrs = [("window", list(&[2, 3])), ("strides", list(&[2, 3]))];
            let pool = builder("max_pool").unwrap()(&Attrs(attrs.into_iter().collect())).unwrap();
            y = e.one(pad, &[&y, &zero]).unwrap();
            y = e.one(pool, &[&y]).unwrap();
        }
        let plan = checked_within(trace.finish(&[y]).unwrap(), &[ramp(&[2, 7, 6, 2])], 1e-4);
        assert_eq!(plan.graph().nodes.len(), steps, "{}", plan.graph());
    }
}

#[test]
fn a_product_takes_bias_and_activation() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let (kernel, bias) = (Variable::new(ramp(&[3, 5])), Variable::new(ramp(&[5])));
    let trace = Trace::begin();
    let x = input(&trace, &[0, 3]);
    let matmul = builder("matmul").unwrap()(&Attrs::default()).unwrap();
    let y = e.one(matmul, &[&x, &kernel.read()]).unwrap();
    let y = add(e, &y, &bias.read()).unwrap();
    let y = map(e, Function::Tanh, &[&y]);
    let plan = checked(trace.finish(&[y]).unwrap(), &[ramp(&[4, 3])]);
    assert_eq!(plan.graph().nodes.len(), 1, "{}", plan.graph());
}

/// What is added to products of points or of rows joins them at inference, in the memory of what is added where it dies there.
#[test]
fn a_product_takes_what_is_added_to_it() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let [points, taps] = [1, 3].map(|n| Variable::new(ramp(&[n, n, 6, 6])));
    let [matrix, bias] = [&[6, 6][..], &[6]].map(|shape| Variable::new(ramp(shape)));
    let matmul = || builder("matmul").unwrap()(&Attrs::default()).unwrap();
    let mean = Attrs([("axes", list(&[0]))].into_iter().collect());
    let mean = builder("mean").unwrap()(&mean).unwrap();
    #[derive(Clone, Copy, PartialEq)]
    enum Use {
        Dies,
        Kept,
        Operand,
        Updated,
    }
    use Use::*;
    for (op, kernel, biased, added, taken) in [
        (conv("conv"), &points, true, Dies, true),
        (conv("conv"), &points, false, Dies, true),
        (conv("conv"), &points, true, Kept, true),
        (conv("conv"), &points, true, Operand, true),
        (conv("conv"), &points, true, Updated, false),
        (conv("conv"), &taps, true, Dies, false),
        (matmul(), &matrix, true, Dies, true),
        (matmul(), &matrix, false, Kept, true),
    ] {
        for turned in [false, true] {
            let state = Variable::new(ramp(&[6]));
            let trace = Trace::begin();
            let x = input(&trace, &[0, 5, 4, 6]);
            let residual = map(e, Function::Exp, &[&x]);
            let other = map(e, Function::Tanh, &[&x]);
            let operand = if added == Operand { &residual } else { &other };
            let mut y = e.one(op.clone(), &[operand, &kernel.read()]).unwrap();
            if biased {
                y = add(e, &y, &bias.read()).unwrap();
            }
            y = if turned {
                add(e, &y, &residual)
            } else {
                add(e, &residual, &y)
            }
            .unwrap();
            y = map(e, Function::Relu, &[&y]);
            let mut results = vec![e.one(mean.clone(), &[&y]).unwrap()];
            match added {
                Kept => results.push(map(e, Function::Sign, &[&residual])),
                Updated => state
                    .assign(&add(e, &state.read(), &bias.read()).unwrap())
                    .unwrap(),
                _ => {}
            }
            let graph = trace.finish(&results).unwrap();
            let inputs = [ramp(&[3, 5, 4, 6])];
            let plan = if added == Updated {
                Plan::new(graph, Options::default()).unwrap()
            } else {
                checked_within(graph, &inputs, 1e-5)
            };
            let step = (plan.graph().nodes.iter())
                .find(|node| format!("{:?}", node.op).contains("residual: true"));
            assert_eq!(step.is_some(), taken, "{}", plan.graph());
            if let Some(step) = step {
                assert!(format!("{:?}", step.op).contains("Relu"));
                let places = &plan.layout(&[inputs[0].shape()]).unwrap().places;
                let same = places[step.inputs[2]] == places[step.outputs[0]];
                assert_eq!(same, added == Dies, "{}", plan.graph());
            }
        }
    }
}

/// A batch norm behind a residual norms it too, and a product's view takes one as the product.
#[test]
fn what_is_behind_a_residual_stays_behind() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let [points, row] = [&[1, 1, 6, 6][..], &[6]].map(|shape| Variable::new(ramp(shape)));
    let trace = Trace::begin();
    let x = input(&trace, &[0, 5, 4, 6]);
    let y = e.one(conv("conv"), &[&x, &points.read()]).unwrap();
    let y = add(e, &y, &x).unwrap();
    let attrs = Attrs([("epsilon", Attr::Float(3.0))].into_iter().collect());
    let norm = builder("batch_norm_inference").unwrap()(&attrs).unwrap();
    let row = row.read();
    let y = e.one(norm, &[&y, &row, &row, &row, &row]).unwrap();
    let plan = checked_within(trace.finish(&[y]).unwrap(), &[ramp(&[2, 5, 4, 6])], 1e-4);
    assert_eq!(plan.graph().nodes.len(), 2, "{}", plan.graph());

    let matrix = Variable::new(ramp(&[6, 10]));
    let trace = Trace::begin();
    let x = input(&trace, &[0, 6]);
    let dims = [x.shape()[0].clone(), Dim::Known(2), Dim::Known(5)];
    let shape = dims.into_iter().collect();
    let dtype = DType::Float32;
    let other = trace.input(Spec { dtype, shape }).unwrap();
    let matmul = builder("matmul").unwrap()(&Attrs::default()).unwrap();
    let y = e.one(matmul, &[&x, &matrix.read()]).unwrap();
    let y = graph::op::layout::reshape(e, &y, other.shape()).unwrap();
    let y = add(e, &y, &other).unwrap();
    let graph = trace.finish(&[y]);
    let plan = checked(graph.unwrap(), &[ramp(&[3, 6]), ramp(&[3, 2, 5])]);
    let taken = names(&plan)
        .iter()
        .any(|name| name.contains("residual: true"));
    assert!(taken, "{}", plan.graph());
}

#[test]
fn steps_beyond_the_caches_run_on_some_rows_at_a_time() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let op = |name: &str, attrs: &[(&'static str, Attr<'static>)]| {
        builder(name).unwrap()(&Attrs(attrs.iter().cloned().collect())).unwrap()
    };
    let trace = Trace::begin();
    let x = input(&trace, &[0, 64, 64, 8]);
    let doubled = add(e, &x, &x).unwrap();
    // Summed in the memory of what is added.
    let points = Variable::new(ramp(&[1, 1, 8, 8]));
    let squares = map(e, Function::Square, &[&x]);
    let mixed = e.one(conv("conv"), &[&squares, &points.read()]).unwrap();
    let mixed = add(e, &doubled, &mixed).unwrap();
    let window = [("window", list(&[2, 2])), ("strides", list(&[2, 2]))];
    let pooled = e.one(op("max_pool", &window), &[&mixed]).unwrap();
    let signs = map(e, Function::Sign, &[&pooled]);
    let means = e.one(op("mean", &[("axes", list(&[1, 2]))]), &[&signs]);
    let means = means.unwrap();
    let total = e
        .one(op("sum", &[("axes", list(&[0]))]), &[&means])
        .unwrap();
    let results = [pooled, means, total];
    let plan = Plan::new(trace.finish(&results).unwrap(), Options::default()).unwrap();
    const PART: usize = 9;
    let (batch, image) = (29 * PART, 64 * 64 * 8);
    let x = ramp(&[batch, 64, 64, 8]);
    let layout = plan.layout(&[x.shape()]).unwrap();
    let rows = layout.rows.as_ref().expect("more than the caches hold");
    assert!(rows.at_a_time < batch && rows.steps < plan.graph().nodes.len());
    let all = plan.run(std::slice::from_ref(&x)).unwrap();
    let mut total = [0.0; 8];
    for start in (0..batch).step_by(PART) {
        let part = &x.as_slice::<f32>()[start * image..(start + PART) * image];
        let part = Tensor::from_slice(part, &[PART, 64, 64, 8]);
        let part = plan.run(&[part]).unwrap();
        for (all, part) in all.iter().zip(&part).take(2) {
            let row = part.size() / PART;
            let same = &all.as_slice::<f32>()[start * row..(start + PART) * row];
            assert_eq!(same, part.as_slice::<f32>());
        }
        for (total, part) in total.iter_mut().zip(part[2].as_slice::<f32>()) {
            *total += part;
        }
    }
    for (total, got) in total.iter().zip(all[2].as_slice::<f32>()) {
        assert!((total - got).abs() < 1e-3, "{total} {got}");
    }
}

#[test]
fn transposes_join_or_cancel_each_other() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    for (permutations, left) in [
        (&[[1, 2, 0], [2, 0, 1]][..], 0),
        (&[[1, 2, 0], [1, 2, 0]], 1),
        (&[[1, 2, 0], [1, 2, 0], [1, 2, 0]], 0),
        (&[[2, 1, 0], [2, 1, 0], [0, 2, 1]], 1),
        (&[[0, 1, 2]], 0),
    ] {
        let trace = Trace::begin();
        let mut x = input(&trace, &[0, 3, 4]);
        for axes in permutations {
            let attrs = Attrs([("axes", list(axes))].into_iter().collect());
            x = e
                .one(builder("transpose").unwrap()(&attrs).unwrap(), &[&x])
                .unwrap();
        }
        let y = map(e, Function::Exp, &[&x]);
        let plan = checked(trace.finish(&[y]).unwrap(), &[ramp(&[2, 3, 4])]);
        assert_eq!(plan.graph().nodes.len(), left + 1, "{}", plan.graph());
    }
}
