//! Eager values, tapes, traces and plans together.

use graph::op::elementwise::{add, multiply};
use graph::passes::Options;
use graph::tape::Source;
use graph::trace::Trace;
use graph::{DType, Dim, Emitter, Plan, Shape, Spec, Tape, Tensor, Value, Variable};

fn vector(values: &[f32]) -> Value {
    Value::concrete(Tensor::from_slice(values, &[values.len()]))
}

fn floats(value: &Value) -> Vec<f32> {
    value.require().unwrap().as_slice::<f32>().to_vec()
}

#[test]
fn gradient_of_gradient() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let x = vector(&[2.0, 3.0]);
    let outer = Tape::new(true);
    outer.watch(&x);
    outer.start();
    let inner = Tape::new(true);
    inner.watch(&x);
    inner.start();
    let square = multiply(e, &x, &x).unwrap();
    let cube = multiply(e, &square, &x).unwrap();
    inner.stop();
    let first = inner
        .gradient(&[cube], &[None], &[Source::Value(x.clone())])
        .unwrap();
    outer.stop();
    let first = first[0].clone().unwrap();
    assert_eq!(floats(&first), [12.0, 27.0]);
    let second = outer
        .gradient(&[first], &[None], &[Source::Value(x)])
        .unwrap();
    assert_eq!(floats(second[0].as_ref().unwrap()), [12.0, 18.0]);
}

#[test]
fn a_plan_updates_variables_in_place_and_fits_any_size() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let variable = Variable::new(Tensor::from_slice(&[1.0f32], &[1]));
    let trace = Trace::begin();
    let batch = trace.symbol("batch");
    let x = trace
        .input(Spec {
            dtype: DType::Float32,
            shape: Shape([batch].into_iter().collect()),
        })
        .unwrap();
    let w = variable.read();
    let y = multiply(e, &x, &w).unwrap();
    let one = vector(&[1.0]);
    variable.assign(&add(e, &w, &one).unwrap()).unwrap();
    assert_eq!(variable.read().shape(), w.shape());
    let graph = trace.finish(&[y]).unwrap();
    assert_eq!(variable.version(), 0);
    let plan = Plan::new(graph, Options::default()).unwrap();
    for (n, size) in [2usize, 3, 7].into_iter().enumerate() {
        let x = Tensor::from_slice(&vec![2.0f32; size], &[size]);
        let y = plan.run(&[x]).unwrap();
        assert_eq!(y[0].as_slice::<f32>(), vec![2.0 * (n as f32 + 1.0); size]);
    }
    assert_eq!(variable.tensor().as_slice::<f32>(), [4.0]);
    // A held content is never overwritten.
    let held = variable.tensor();
    plan.run(&[Tensor::from_slice(&[2.0f32; 2], &[2])]).unwrap();
    assert_eq!(held.as_slice::<f32>(), [4.0]);
    assert_eq!(variable.tensor().as_slice::<f32>(), [5.0]);
}

#[test]
fn an_abandoned_trace_leaves_nothing() {
    let variable = Variable::new(Tensor::from_slice(&[1.0f32], &[1]));
    {
        let _trace = Trace::begin();
        variable.assign(&vector(&[5.0])).unwrap();
        assert_eq!(floats(&variable.read()), [5.0]);
    }
    assert!(!graph::trace::is_running());
    assert_eq!(variable.tensor().as_slice::<f32>(), [1.0]);
    assert_eq!(variable.version(), 0);
}

#[test]
fn unknown_sizes_broadcast_under_a_guard() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let trace = Trace::begin();
    let batch = trace.symbol("batch");
    let x = trace
        .input(Spec {
            dtype: DType::Float32,
            shape: Shape([batch].into_iter().collect()),
        })
        .unwrap();
    let y = add(e, &x, &vector(&[1.0, 2.0])).unwrap();
    assert_eq!(y.shape().0.as_slice(), [Dim::Known(2)]);
    let plan = Plan::new(trace.finish(&[y]).unwrap(), Options::default()).unwrap();
    let run = |n: usize| plan.run(&[Tensor::from_slice(&vec![1.0f32; n], &[n])]);
    assert_eq!(run(2).unwrap()[0].as_slice::<f32>(), [2.0, 3.0]);
    assert!(run(3).unwrap_err().to_string().contains("must be equal"));
}

#[test]
fn a_gradient_passes_through_an_assignment() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let variable = Variable::new(Tensor::from_slice(&[0.0f32], &[1]));
    variable.set_trainable(false);
    let x = vector(&[3.0]);
    let tape = Tape::new(true);
    tape.watch(&x);
    tape.start();
    variable.assign(&multiply(e, &x, &x).unwrap()).unwrap();
    let y = multiply(e, &variable.read(), &x).unwrap();
    tape.stop();
    let grads = tape.gradient(&[y], &[None], &[Source::Value(x)]).unwrap();
    assert_eq!(floats(grads[0].as_ref().unwrap()), [27.0]);
    // The next tape starts from what is in memory.
    let next = Tape::new(true);
    next.start();
    assert_eq!(floats(&variable.read()), [9.0]);
    next.stop();
}

#[test]
fn sizes_beyond_memory_are_errors() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let scalar = Value::concrete(Tensor::scalar(1.0f32));
    for sizes in [
        &[1usize << 55][..],
        &[1 << 60],
        &[1 << 40, 1 << 40],
        &[1 << 40, 1 << 40, 0],
        &[i64::MAX as usize, i64::MAX as usize],
    ] {
        let shape = Shape::from(sizes);
        let outcome = graph::op::layout::broadcast_to(e, &scalar, &shape);
        let Err(graph::Error::Memory(message)) = outcome else {
            panic!("{sizes:?} gave {outcome:?}");
        };
        assert!(message.starts_with("`broadcast_to`: "), "{message}");
        assert!(message.contains(&format!("float32{shape}")), "{message}");
    }
}

#[test]
fn a_plan_without_memory_leaves_its_variables() {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let variable = Variable::new(Tensor::from_slice(&[1.0f32], &[1]));
    let trace = Trace::begin();
    let n = trace.symbol("n");
    let x = trace
        .input(Spec {
            dtype: DType::Float32,
            shape: Shape([n.clone()].into_iter().collect()),
        })
        .unwrap();
    let wide = Shape(std::iter::repeat_n(n, 5).collect());
    let spread = graph::op::layout::broadcast_to(e, &x, &wide).unwrap();
    let sum = graph::op::reduce::sum(e, &spread, &[0, 1, 2, 3, 4], false).unwrap();
    variable
        .assign(&add(e, &variable.read(), &vector(&[1.0])).unwrap())
        .unwrap();
    let plan = Plan::new(trace.finish(&[sum]).unwrap(), Options::default()).unwrap();
    for size in [1000, 1 << 14] {
        let data = vec![0.0f32; size];
        let outcome = plan.run(&[Tensor::from_slice(&data, &[size])]);
        assert!(
            matches!(outcome, Err(graph::Error::Memory(_))),
            "{outcome:?}"
        );
        assert_eq!(variable.tensor().as_slice::<f32>(), [1.0]);
    }
}
