//! A warm run allocates nothing, on no thread: a counting allocator watches.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use graph::op::{Attr, Attrs, builder};
use graph::passes::Options;
use graph::tape::Source;
use graph::trace::Trace;
use graph::{DType, Dim, Emitter, Graph, Plan, Shape, Spec, Tape, Tensor, Value, Variable};

/// The system's allocator, with a count of the requests.
struct Counting;

static REQUESTS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        REQUESTS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, data: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(data, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn ramp(shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|i| (i as f32 * 0.37).sin() * 0.1).collect();
    Tensor::from_slice(&values, shape)
}

fn ints(list: &[usize]) -> Attr<'static> {
    Attr::List(list.iter().map(|&n| Attr::Int(n.into())).collect())
}

fn call(name: &str, attributes: &[(&'static str, Attr<'static>)], operands: &[&Value]) -> Value {
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let op = builder(name).unwrap()(&Attrs(attributes.iter().cloned().collect())).unwrap();
    e.one(op, operands).unwrap()
}

/// Convolution, bias, relu, pooling, flattening, two products, softmax.
fn network() -> Graph {
    let variables: Vec<Variable> = [&[3, 3, 8, 32][..], &[32], &[32 * 14 * 14, 64], &[64, 10]]
        .map(|shape| Variable::new(ramp(shape)))
        .into();
    let [kernel, bias, hidden, head] = [0, 1, 2, 3].map(|i| variables[i].read());
    let trace = Trace::begin();
    let shape: Shape = [trace.symbol("batch"), 28.into(), 28.into(), 8.into()]
        .into_iter()
        .collect();
    let x = trace
        .input(Spec {
            dtype: DType::Float32,
            shape,
        })
        .unwrap();
    let y = call(
        "conv",
        &[("strides", ints(&[1, 1])), ("padding", Attr::Str("same"))],
        &[&x, &kernel],
    );
    let y = call("relu", &[], &[&call("add", &[], &[&y, &bias])]);
    let y = call(
        "max_pool",
        &[("window", ints(&[2, 2])), ("strides", ints(&[2, 2]))],
        &[&y],
    );
    let e: &mut dyn Emitter = &mut graph::emit::Dispatch;
    let flat: Shape = [x.spec().shape[0].clone(), (32 * 14 * 14).into()]
        .into_iter()
        .collect();
    let y = graph::op::layout::reshape(e, &y, &flat).unwrap();
    let y = call("tanh", &[], &[&call("matmul", &[], &[&y, &hidden])]);
    let y = call("matmul", &[], &[&y, &head]);
    trace
        .finish(&[call(
            "softmax",
            &[("axis", Attr::Int(1usize.into()))],
            &[&y],
        )])
        .unwrap()
}

/// An LSTM along sequences of unknown length, whose last state is asked for, and the gradients of its kernel's and inputs' squares.
fn sequences() -> Graph {
    const UNITS: usize = 40;
    let kernel = Variable::new(ramp(&[UNITS, 4 * UNITS])).read();
    let trace = Trace::begin();
    let (batch, steps) = (trace.symbol("batch"), trace.symbol("steps"));
    let input = |dims: [Dim; 3], dtype| {
        let shape: Shape = dims.into_iter().filter(|dim| !dim.is(0)).collect();
        trace.input(Spec { dtype, shape }).unwrap()
    };
    let x = input(
        [batch.clone(), steps.clone(), (4 * UNITS).into()],
        DType::Float32,
    );
    let state = input([batch.clone(), UNITS.into(), 0.into()], DType::Float32);
    let mask = input([batch, steps, 0.into()], DType::Bool);
    let attributes = [("cell", Attr::Str("lstm")), ("use_mask", Attr::Bool(true))];
    let op = builder("recurrent").unwrap()(&Attrs(attributes.into_iter().collect())).unwrap();
    let tape = Tape::new(true);
    tape.watch(&x);
    tape.watch(&kernel);
    tape.start();
    let results = graph::apply(op, &[&x, &kernel, &state, &state, &mask]).unwrap();
    tape.stop();
    let sources = [&x, &kernel].map(|value| Source::Value(value.clone()));
    let seeds: Vec<_> = results.iter().cloned().map(Some).collect();
    let grads = tape.gradient(&results, &seeds, &sources).unwrap();
    let mut outputs: Vec<Value> = grads.into_iter().flatten().collect();
    outputs.push(results[1].clone());
    trace.finish(&outputs).unwrap()
}

/// Attention along sequences of unknown length, with a mask of the keys, and the gradient of its operand.
fn attention() -> Graph {
    let trace = Trace::begin();
    let (batch, steps) = (trace.symbol("batch"), trace.symbol("steps"));
    let input = |dims: [Dim; 4], dtype| {
        let shape: Shape = dims.into_iter().collect();
        trace.input(Spec { dtype, shape }).unwrap()
    };
    let heads = [batch.clone(), steps.clone(), 4.into(), 24.into()];
    let x = input(heads, DType::Float32);
    let mask = input([batch, 1.into(), 1.into(), steps], DType::Bool);
    let attributes = [("scale", Attr::Float(0.2)), ("use_mask", Attr::Bool(true))];
    let op = builder("attention").unwrap()(&Attrs(attributes.into_iter().collect())).unwrap();
    let tape = Tape::new(true);
    tape.watch(&x);
    tape.start();
    let results = graph::apply(op, &[&x, &x, &x, &mask]).unwrap();
    tape.stop();
    let seeds = [Some(results[0].clone())];
    let grads = tape.gradient(&results, &seeds, &[Source::Value(x)]);
    let mut outputs: Vec<Value> = grads.unwrap().into_iter().flatten().collect();
    outputs.push(results[0].clone());
    trace.finish(&outputs).unwrap()
}

/// Returns when every thread has worked: each waits for the others.
fn all_start(threads: usize) {
    let met = AtomicUsize::new(0);
    kernels::threads::parallel_for(threads, 1, |_| {
        met.fetch_add(1, Ordering::SeqCst);
        while met.load(Ordering::SeqCst) < threads {
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_warm_run_allocates_nothing() {
    let sequence = |batch: usize| {
        let ones = Tensor::from_slice(&vec![1u8; batch * 9], &[batch, 9]);
        let state = ramp(&[batch, 40]);
        vec![ramp(&[batch, 9, 160]), state, ones.retyped(DType::Bool)]
    };
    let image = |batch: usize| vec![ramp(&[batch, 28, 28, 8])];
    let heads = |batch: usize| {
        let seen = Tensor::from_slice(&vec![1u8; batch * 150], &[batch, 1, 1, 150]);
        vec![ramp(&[batch, 150, 4, 24]), seen.retyped(DType::Bool)]
    };
    let cases: [(Graph, &dyn Fn(usize) -> Vec<Tensor>); 3] = [
        (network(), &image),
        (sequences(), &sequence),
        (attention(), &heads),
    ];
    for (i, (graph, inputs)) in cases.into_iter().enumerate() {
        let plan = Plan::new(graph, Options::default()).unwrap();
        for threads in [1, 2] {
            kernels::threads::set_num_threads(threads);
            all_start(threads);
            for batch in [1, 8] {
                let inputs = inputs(batch);
                let views: Vec<_> = inputs.iter().map(Tensor::view).collect();
                let shapes: Vec<_> = inputs.iter().map(Tensor::shape).collect();
                let layout = plan.layout(&shapes).unwrap();
                let mut results = plan.fresh(&layout).unwrap();
                let mut results = results.views();
                let mut run = || {
                    let before = REQUESTS.load(Ordering::SeqCst);
                    let layout = plan.layout(&shapes).unwrap();
                    plan.execute(&layout, &views, &mut results).unwrap();
                    REQUESTS.load(Ordering::SeqCst) - before
                };
                let cold = run();
                assert!(threads == 2 || batch == 8 || cold > 0, "the count works");
                run();
                assert_eq!(
                    [run(), run()],
                    [0, 0],
                    "graph {i}, {threads} threads, batch {batch}"
                );
            }
        }
    }
}
