//! Elementwise ops in plans.

use graph::op::Attrs;
use graph::op::builder;
use graph::passes::Options;
use graph::trace::Trace;
use graph::{DType, Plan, Spec, Tensor, Value, apply};

fn run(name: &str, operands: &[&Value]) -> Value {
    let op = builder(name).unwrap()(&Attrs::default()).unwrap();
    apply(op, operands).unwrap().remove(0)
}

#[test]
fn a_repeated_operand_is_not_written_over() {
    // Eight floats have the bytes of the 32 bools that they are compared to.
    let trace = Trace::begin();
    let x = trace.input(Spec::new(DType::Float32, [4, 8])).unwrap();
    let b = trace.input(Spec::new(DType::Float32, [8])).unwrap();
    let scores = run("lgamma", &[&b]);
    let scores = run("softmax", &[&scores]);
    let y = run("greater", &[&x, &scores]);
    let y = run("logical_not", &[&y]);
    let plan = Plan::new(trace.finish(&[y]).unwrap(), Options::default()).unwrap();
    let x = Tensor::from_slice(&[0.5f32; 32], &[4, 8]);
    let b = Tensor::from_slice(&[1f32, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 30.0], &[8]);
    let y = plan.run(&[x, b]).unwrap();
    let want: Vec<u8> = (0..32).map(|i| u8::from(i % 8 == 7)).collect();
    assert_eq!(y[0].as_slice::<u8>(), want);
}

#[test]
fn errors_name_the_op_and_what_came() {
    let ints = Value::concrete(Tensor::from_slice(&[1i32], &[1]));
    let floats = Value::concrete(Tensor::from_slice(&[1f32], &[1]));
    let error = |name: &str, operands: &[&Value]| {
        let op = builder(name).unwrap()(&Attrs::default()).unwrap();
        apply(op, operands).unwrap_err().to_string()
    };
    assert_eq!(
        error("sqrt", &[&ints]),
        "`sqrt`: sqrt is not defined for int32"
    );
    assert!(error("add", &[&ints, &floats]).contains("int32, float32"));
    assert!(error("where", &[&ints, &floats, &floats]).contains("bool"));
    let three = Value::concrete(Tensor::from_slice(&[1f32; 3], &[3]));
    let two = Value::concrete(Tensor::from_slice(&[1f32; 2], &[2]));
    assert!(error("add", &[&three, &two]).contains("(3,)"));
}
