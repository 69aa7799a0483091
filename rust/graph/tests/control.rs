//! Loops and branches of plans.

use graph::emit::Dispatch;
use graph::op::control::{branch, scan, while_loop};
use graph::op::elementwise::{add, cast, multiply};
use graph::passes::Options;
use graph::tape::Source;
use graph::trace::Trace;
use graph::{DType, Emitter, Plan, Shape, Spec, Tape, Tensor, Value, Variable};

/// A trace with a vector of unknown size, and the vector.
fn begin() -> (Trace, Value) {
    let trace = Trace::begin();
    let size = trace.symbol("size");
    let shape = Shape([size].into_iter().collect());
    let x = trace.input(Spec::new(DType::Float32, shape)).unwrap();
    (trace, x)
}

fn run(trace: Trace, results: &[Value], x: &[f32]) -> Vec<Vec<f32>> {
    let plan = Plan::new(trace.finish(results).unwrap(), Options::default()).unwrap();
    let results = plan.run(&[Tensor::from_slice(x, &[x.len()])]).unwrap();
    results
        .iter()
        .map(|r| r.as_slice::<f32>().to_vec())
        .collect()
}

fn scalar(value: f32) -> Value {
    Value::concrete(Tensor::scalar(value))
}

#[test]
fn the_gradient_of_a_running_product() {
    let e: &mut dyn Emitter = &mut Dispatch;
    for reverse in [false, true] {
        let (trace, x) = begin();
        let tape = Tape::new(true);
        tape.watch(&x);
        tape.start();
        let length = x.shape()[0].clone();
        let results = scan(
            &[scalar(1.0)],
            std::slice::from_ref(&x),
            &length,
            reverse,
            &mut |v| {
                let product = multiply(&mut Dispatch, &v[0], &v[1])?;
                Ok(vec![product.clone(), product])
            },
        )
        .unwrap();
        let sum = e.call("sum", &[&results[1]]).unwrap();
        tape.stop();
        let gradient = tape.gradient(&[sum], &[None], &[Source::Value(x)]).unwrap();
        let gradient = gradient[0].clone().unwrap();
        let mut values = vec![2.0, 3.0, 5.0];
        // d(a + ab + abc) = (1 + b + bc, a + ac, ab)
        let (mut products, mut expected) = (vec![2.0, 6.0, 30.0], vec![19.0, 12.0, 6.0]);
        if reverse {
            for list in [&mut values, &mut products, &mut expected] {
                list.reverse();
            }
        }
        let found = run(trace, &[results[1].clone(), gradient], &values);
        assert_eq!(found, [products, expected]);
    }
}

#[test]
fn a_body_captures_assigns_and_nests() {
    let variable = Variable::new(Tensor::scalar(10.0f32));
    let (trace, x) = begin();
    let length = x.shape()[0].clone();
    let one = scalar(1.0);
    let results = scan(&[one], std::slice::from_ref(&x), &length, false, &mut |v| {
        let e: &mut dyn Emitter = &mut Dispatch;
        let (state, entry) = (v[0].clone(), v[1].clone());
        let large = e.call("greater", &[&entry, &scalar(2.0)])?;
        let chosen = branch(
            &cast(e, &large, DType::Int32)?,
            &mut [
                &mut |_: &[Value]| Ok(vec![add(&mut Dispatch, &state, &entry)?]),
                &mut |_: &[Value]| {
                    let e: &mut dyn Emitter = &mut Dispatch;
                    let doubled = add(e, &variable.read(), &variable.read())?;
                    variable.assign(&doubled)?;
                    Ok(vec![multiply(e, &state, &entry)?])
                },
            ],
        )?;
        Ok(vec![chosen[0].clone(), variable.read()])
    })
    .unwrap();
    let found = run(trace, &results, &[1.0, 3.0, 2.0, 4.0]);
    assert_eq!(found, [vec![32.0], vec![10.0, 20.0, 20.0, 40.0]]);
    assert_eq!(variable.tensor().as_slice::<f32>(), [40.0]);
}

#[test]
fn a_loop_ends_by_its_condition_or_its_limit() {
    for (most, expected) in [(100, 128.0), (3, 8.0), (0, 1.0)] {
        let (trace, x) = begin();
        let states = [scalar(1.0), call("sum", &[&x])];
        let results = while_loop(
            &states,
            most,
            &mut |v| Ok(vec![call("less", &[&v[0], &v[1]])]),
            &mut |v| Ok(vec![add(&mut Dispatch, &v[0], &v[0])?, v[1].clone()]),
        )
        .unwrap();
        assert_eq!(run(trace, &results[..1], &[60.0, 40.0]), [vec![expected]]);
    }
}

fn call(name: &str, operands: &[&Value]) -> Value {
    let e: &mut dyn Emitter = &mut Dispatch;
    e.call(name, operands).unwrap()
}
