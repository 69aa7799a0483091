use super::*;
use crate::testing::numbers;
use crate::threads::{Run, tests::with_threads};
use proptest::prelude::*;
use simd::for_each_isa;

/// The operands and the gradients of the results, of one call.
#[derive(Clone)]
struct Data {
    projected: Vec<f64>,
    kernel: Vec<f64>,
    states: [Vec<f64>; 2],
    bias: Option<Vec<f64>>,
    mask: Option<Vec<u8>>,
    /// Those of the outputs and of the states.
    weights: [Vec<f64>; 3],
}

impl Data {
    fn new(this: &Recurrent, masked: bool) -> Data {
        let (state, steps) = (this.batch * this.units, this.batch * this.steps);
        let second = if this.cell.states() > 1 { state } else { 0 };
        let scaled = |mut x: Vec<f64>| {
            let scale = 1.5 / (this.units as f64).sqrt();
            x.iter_mut().for_each(|x| *x *= scale);
            x
        };
        Data {
            projected: numbers(steps * this.width(), 1),
            kernel: scaled(numbers(this.units * this.width(), 2)),
            states: [numbers(state, 3), numbers(second, 4)],
            bias: (this.cell == Cell::Gru).then(|| numbers(this.width(), 5)),
            mask: masked.then(|| {
                numbers(steps, 6)
                    .iter()
                    .map(|x: &f64| u8::from(*x > -0.3))
                    .collect()
            }),
            weights: [
                numbers(state * this.steps, 7),
                numbers(state, 8),
                numbers(second, 9),
            ],
        }
    }
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Outputs and last states, by the formulas.
fn reference(this: &Recurrent, data: &Data) -> [Vec<f64>; 3] {
    let (n, width) = (this.units, this.width());
    let mut sequence = vec![0.0; this.batch * this.steps * n];
    let mut states = data.states.clone();
    for row in 0..this.batch {
        let mut h = states[0][row * n..][..n].to_vec();
        let mut c = states[1].get(row * n..).unwrap_or_default().to_vec();
        let mut output = vec![0.0; n];
        for turn in 0..this.steps {
            let time = if this.go_backwards {
                this.steps - 1 - turn
            } else {
                turn
            };
            let at = row * this.steps + time;
            if data.mask.as_ref().is_none_or(|mask| mask[at] != 0) {
                let x = &data.projected[at * width..][..width];
                let p: Vec<f64> = (0..width)
                    .map(|j| {
                        let sum: f64 = (0..n).map(|d| h[d] * data.kernel[d * width + j]).sum();
                        sum + data.bias.as_ref().map_or(0.0, |bias| bias[j])
                    })
                    .collect();
                for j in 0..n {
                    let sum = |gate: usize| x[gate * n + j] + p[gate * n + j];
                    h[j] = match this.cell {
                        Cell::SimpleRnn => sum(0).tanh(),
                        Cell::Lstm => {
                            c[j] = logistic(sum(1)) * c[j] + logistic(sum(0)) * sum(2).tanh();
                            logistic(sum(3)) * c[j].tanh()
                        }
                        Cell::Gru => {
                            let (z, r) = (logistic(sum(0)), logistic(sum(1)));
                            let candidate = (x[2 * n + j] + r * p[2 * n + j]).tanh();
                            z * h[j] + (1.0 - z) * candidate
                        }
                    };
                }
                output.clone_from(&h);
            } else if this.zero_output_for_mask {
                output.fill(0.0);
            }
            sequence[(row * this.steps + turn) * n..][..n].copy_from_slice(&output);
        }
        states[0][row * n..][..n].copy_from_slice(&h);
        if this.cell.states() > 1 {
            states[1][row * n..][..n].copy_from_slice(&c[..n]);
        }
    }
    let [h, c] = states;
    [sequence, h, c]
}

fn narrow<T: Real>(x: &[f64]) -> Vec<T> {
    x.iter().map(|&x| T::from_f64(x)).collect()
}

fn wide<T: Real>(x: &[T]) -> Vec<f64> {
    x.iter().map(|x| x.to_f64()).collect()
}

/// What the kernels give: outputs and states; the gradients of projected inputs, kernel, states and bias.
fn run<T: Real>(this: &Recurrent, data: &Data) -> ([Vec<f64>; 3], [Vec<f64>; 5]) {
    let (state, steps) = (this.batch * this.units, this.batch * this.steps);
    let [projected, kernel, h, c] = [
        &data.projected,
        &data.kernel,
        &data.states[0],
        &data.states[1],
    ]
    .map(|x| narrow::<T>(x));
    let bias = data.bias.as_ref().map(|bias| narrow::<T>(bias));
    let operands = Operands {
        projected: &projected,
        states: [&h, &c],
        bias: bias.as_deref(),
        mask: data.mask.as_deref(),
    };
    let zeros = |len: usize| vec![T::default(); len];
    let garbage = |len: usize| vec![T::from_f64(f64::NAN); len];
    let mut packed = garbage(packed_len::<T>(this.cell, this.units));
    pack(this.cell, this.units, &kernel, &mut packed);
    let mut results = [zeros(state * this.steps), zeros(state), zeros(c.len())];
    let mut kept = garbage(steps * this.cell.kept() * this.units);
    for keep in [false, true] {
        let [sequence, h, c] = results.each_mut();
        let outputs = Outputs {
            sequence,
            states: [h, c],
            kept: keep.then_some(&mut kept),
        };
        forward(
            this,
            &packed,
            &operands,
            outputs,
            &mut garbage(forward_scratch_len::<T>(this)),
        );
    }
    let weights = data.weights.each_ref().map(|x| narrow::<T>(x));
    let gradients = Gradients {
        sequence: &results[0],
        kept: &kept,
        outputs: Some(&weights[0]),
        states: [
            Some(&weights[1]),
            (!c.is_empty()).then_some(&weights[2][..]),
        ],
    };
    let mut grads = [
        garbage(projected.len()),
        garbage(kernel.len()),
        garbage(state),
        garbage(c.len()),
        garbage(bias.as_ref().map_or(0, Vec::len)),
    ];
    let [g_projected, g_kernel, g_h, g_c, g_bias] = grads.each_mut();
    let written = Results {
        projected: g_projected,
        kernel: g_kernel,
        states: [g_h, g_c],
        bias: bias.is_some().then_some(g_bias),
    };
    backward(
        this,
        &kernel,
        &operands,
        &gradients,
        written,
        &mut garbage(backward_scratch_len::<T>(this)),
    );
    (results.map(|x| wide(&x)), grads.map(|x| wide(&x)))
}

fn assert_close(got: &[f64], want: &[f64], tolerance: f64, what: &dyn std::fmt::Debug) {
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!(
            (got - want).abs() <= tolerance * want.abs().max(1.0),
            "{what:?} [{i}]: {got}, not {want}"
        );
    }
}

/// Every kind of call on sequences of a size.
fn kinds([batch, steps, units]: [usize; 3], mut check: impl FnMut(&Recurrent, bool)) {
    for (_, cell) in Cell::ALL {
        for go_backwards in [false, true] {
            for (masked, zero_output_for_mask) in [(false, false), (true, false), (true, true)] {
                let this = Recurrent {
                    cell,
                    batch,
                    steps,
                    units,
                    go_backwards,
                    zero_output_for_mask,
                };
                check(&this, masked);
            }
        }
    }
}

const SIZES: [[usize; 3]; 8] = [
    [1, 1, 1],
    [1, 3, 33],
    [2, 4, 5],
    [3, 5, 16],
    [7, 2, 17],
    [13, 3, 40],
    [16, 2, 8],
    [67, 2, 3],
];

#[test]
fn steps_follow_the_formulas() {
    for_each_isa(|level| {
        for size in SIZES {
            kinds(size, |this, masked| {
                let data = Data::new(this, masked);
                let want = reference(this, &data);
                let (double, _) = run::<f64>(this, &data);
                let (single, _) = run::<f32>(this, &data);
                for i in 0..3 {
                    assert_close(&double[i], &want[i], 1e-12, &(level, this, masked));
                    assert_close(&single[i], &want[i], 2e-5, &(level, this, masked));
                }
            });
        }
    });
}

#[test]
fn gradients_are_those_of_differences() {
    kinds([2, 4, 3], |this, masked| {
        let data = Data::new(this, masked);
        let value = |data: &Data| -> f64 {
            let results = reference(this, data);
            let terms = results.iter().flatten().zip(data.weights.iter().flatten());
            terms.map(|(y, w)| y * w).sum()
        };
        let operand = |data: &mut Data, i: usize| match i {
            0 => std::mem::take(&mut data.projected),
            1 => std::mem::take(&mut data.kernel),
            2 | 3 => std::mem::take(&mut data.states[i - 2]),
            _ => data.bias.take().unwrap_or_default(),
        };
        let put = |data: &mut Data, i: usize, x: Vec<f64>| match i {
            0 => data.projected = x,
            1 => data.kernel = x,
            2 | 3 => data.states[i - 2] = x,
            _ => data.bias = Some(x),
        };
        for_each_isa(|level| {
            let (_, grads) = run::<f64>(this, &data);
            for (i, grad) in grads.iter().enumerate() {
                let x = operand(&mut data.clone(), i);
                let slope = |j: usize| {
                    let moved = |by: f64| {
                        let (mut data, mut x) = (data.clone(), x.clone());
                        x[j] += by;
                        put(&mut data, i, x);
                        value(&data)
                    };
                    (moved(1e-5) - moved(-1e-5)) / 2e-5
                };
                let want: Vec<f64> = (0..x.len()).map(slope).collect();
                assert_close(grad, &want, 1e-7, &(level, this, masked, i));
            }
        });
    });
}

#[test]
fn gradients_in_single_precision_are_near_those_in_double() {
    for_each_isa(|level| {
        for size in SIZES {
            kinds(size, |this, masked| {
                let data = Data::new(this, masked);
                let ((_, want), (_, got)) = (run::<f64>(this, &data), run::<f32>(this, &data));
                for i in 0..5 {
                    assert_close(&got[i], &want[i], 1e-4, &(level, this, masked, i));
                }
            });
        }
    });
}

#[test]
fn bits_do_not_depend_on_threads() {
    for_each_isa(|level| {
        // The first ones have teams, if someone turns up.
        for size in [[1, 4, 70], [2, 3, 35], [5, 3, 20], [40, 2, 9]] {
            kinds(size, |this, masked| {
                let data = Data::new(this, masked);
                let runs = [1, 2, 3].map(|threads| {
                    with_threads(threads, || {
                        let _looking_out = Run::enter();
                        run::<f32>(this, &data)
                    })
                });
                assert!(
                    runs[0] == runs[1] && runs[0] == runs[2],
                    "{level:?} {this:?}"
                );
            });
        }
    });
}

#[test]
fn nothing_to_step_leaves_states_and_zeros() {
    for size in [[0, 3, 2], [2, 0, 3]] {
        kinds(size, |this, masked| {
            let data = Data::new(this, masked);
            let (results, grads) = run::<f32>(this, &data);
            assert_eq!(
                results[1],
                data.states[0]
                    .iter()
                    .map(|&x| f64::from(x as f32))
                    .collect::<Vec<_>>()
            );
            assert!(grads[1].iter().all(|&g| g == 0.0));
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn any_size(batch in 1..20usize, steps in 1..6usize, units in 1..40usize, cell in 0..3usize, masked: bool, go_backwards: bool) {
        let this = Recurrent { cell: Cell::ALL[cell].1, batch, steps, units, go_backwards, zero_output_for_mask: false };
        let data = Data::new(&this, masked);
        let want = reference(&this, &data);
        for_each_isa(|level| {
            let (got, _) = run::<f32>(&this, &data);
            for i in 0..3 {
                assert_close(&got[i], &want[i], 5e-5, &(level, this, masked));
            }
        });
    }
}
