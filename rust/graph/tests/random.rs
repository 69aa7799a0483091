//! Random ops and updates, eager and in plans.

use graph::op::builder;
use graph::op::{Attr, Attrs};
use graph::passes::Options;
use graph::trace::Trace;
use graph::{DType, Dim, Plan, Tensor, Value, Values, Variable, apply};

fn run(
    name: &str,
    attributes: Vec<(&'static str, Attr<'static>)>,
    operands: &[&Value],
) -> graph::Result<Values> {
    apply(builder(name).unwrap()(&Attrs(attributes.into()))?, operands)
}

fn shape(sizes: Vec<Dim>) -> (&'static str, Attr<'static>) {
    (
        "shape",
        Attr::List(sizes.into_iter().map(Attr::Int).collect()),
    )
}

fn seed() -> Value {
    Value::concrete(Tensor::from_slice(&[3u32, 4], &[2]))
}

#[test]
fn draws_in_a_plan_are_those_of_the_seed() {
    let dtype = ("dtype", Attr::Str("float32"));
    for name in ["random_uniform", "random_normal", "truncated_normal"] {
        let eager = run(
            name,
            vec![shape(vec![5.into(), 3.into()]), dtype.clone()],
            &[&seed()],
        )
        .unwrap();
        let trace = Trace::begin();
        let n = trace.symbol("n");
        let key = trace.input(seed().spec().clone()).unwrap();
        let x = trace
            .input(graph::Spec {
                dtype: DType::Float32,
                shape: [n.clone()].into_iter().collect(),
            })
            .unwrap();
        let y = run(name, vec![shape(vec![n, 3.into()]), dtype.clone()], &[&key]).unwrap();
        let plan = Plan::new(
            trace.finish(&[y[0].clone(), x]).unwrap(),
            Options::default(),
        )
        .unwrap();
        let given = [
            seed().require().unwrap().clone(),
            Tensor::zeros(DType::Float32, &[5]).unwrap(),
        ];
        let planned = plan.run(&given).unwrap();
        assert_eq!(
            planned[0].as_slice::<f32>(),
            eager[0].require().unwrap().as_slice::<f32>()
        );
    }
}

#[test]
fn integers_and_permutations() {
    let bound = |x: u8| Value::concrete(Tensor::scalar(x));
    let attributes = vec![shape(vec![50.into()]), ("dtype", Attr::Str("uint8"))];
    let y = run("random_int", attributes, &[&seed(), &bound(3), &bound(6)]).unwrap();
    assert!(
        y[0].require()
            .unwrap()
            .as_slice::<u8>()
            .iter()
            .all(|y| (3..6).contains(y))
    );
    let y = run(
        "shuffle_permutation",
        vec![("n", Attr::Int(9.into()))],
        &[&seed()],
    )
    .unwrap();
    let mut order = y[0].require().unwrap().as_slice::<i64>().to_vec();
    order.sort_unstable();
    assert_eq!(order, (0..9).collect::<Vec<_>>());
}

#[test]
fn wrong_seeds_and_dtypes_are_named() {
    let dtype = ("dtype", Attr::Str("int32"));
    let error = run(
        "random_normal",
        vec![shape(vec![2.into()]), dtype],
        &[&seed()],
    )
    .unwrap_err();
    assert!(error.to_string().contains("int32"));
    let float = Value::concrete(Tensor::scalar(1f32));
    let dtype = ("dtype", Attr::Str("float32"));
    let error = run(
        "random_normal",
        vec![shape(vec![2.into()]), dtype],
        &[&float],
    )
    .unwrap_err();
    assert!(error.to_string().contains("seed"));
}

#[test]
fn updates_run_in_place_in_a_plan() {
    let w = Variable::new(Tensor::from_slice(&[1f32, 2.0], &[2]));
    let v = Variable::new(Tensor::from_slice(&[0.5f32, 0.0], &[2]));
    let trace = Trace::begin();
    let g = trace.input(w.tensor().spec()).unwrap();
    let rate = Value::concrete(Tensor::scalar(0.1f32));
    let momentum = Value::concrete(Tensor::scalar(0.9f32));
    let new = run(
        "momentum_update",
        vec![],
        &[&w.read(), &v.read(), &g, &rate, &momentum],
    )
    .unwrap();
    w.assign(&new[0]).unwrap();
    v.assign(&new[1]).unwrap();
    let plan = Plan::new(trace.finish(&[]).unwrap(), Options::default()).unwrap();
    let before = w.tensor().buffer().as_ptr();
    plan.run(&[Tensor::from_slice(&[1f32, -1.0], &[2])])
        .unwrap();
    assert_eq!(v.tensor().as_slice::<f32>(), [0.9 * 0.5 - 0.1, 0.1]);
    assert_eq!(w.tensor().as_slice::<f32>(), [1.0 + (0.9 * 0.5 - 0.1), 2.1]);
    assert_eq!(w.tensor().buffer().as_ptr(), before);
}
