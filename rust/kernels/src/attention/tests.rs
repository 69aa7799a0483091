use super::*;
use crate::testing::numbers;
use crate::threads::{num_threads, set_num_threads};
use proptest::prelude::*;
use simd::for_each_isa;

/// Along which of batch, heads, queries and keys a mask differs, and how likely a key is hidden.
type MaskKind = Option<([bool; 4], f64)>;

struct Data {
    query: Vec<f64>,
    key: Vec<f64>,
    value: Vec<f64>,
    gradient: Vec<f64>,
    mask: Option<(Vec<u8>, [usize; 4])>,
}

impl Data {
    fn new(this: &Attention, mask: MaskKind) -> Data {
        let [queries, keys] = [this.queries * this.heads, this.keys * this.key_heads];
        Data {
            query: numbers(this.batch * queries * this.depth, 1),
            key: numbers(this.batch * keys * this.depth, 2),
            value: numbers(this.batch * keys * this.value_depth, 3),
            gradient: numbers(this.batch * queries * this.value_depth, 4),
            mask: mask.map(|(along, hidden)| {
                let mut strides = [0; 4];
                let mut len = 1;
                let sizes = [this.batch, this.heads, this.queries, this.keys];
                for axis in (0..4).rev().filter(|&axis| along[axis]) {
                    (strides[axis], len) = (len, len * sizes[axis]);
                }
                let seen = numbers(len, 5)
                    .iter()
                    .map(|x: &f64| u8::from((x + 1.0) / 2.0 >= hidden))
                    .collect();
                (seen, strides)
            }),
        }
    }

    fn sees(&self, this: &Attention, place: [usize; 4]) -> bool {
        let [.., query, key] = place;
        (!this.causal || key <= query)
            && self.mask.as_ref().is_none_or(|(seen, strides)| {
                seen[place.iter().zip(strides).map(|(i, s)| i * s).sum::<usize>()] != 0
            })
    }
}

/// The output, and the gradients of query, key and value, by the formulas.
fn reference(this: &Attention, data: &Data) -> [Vec<f64>; 4] {
    let mut output = vec![0.0; data.gradient.len()];
    let mut query_gradient = vec![0.0; data.query.len()];
    let mut key_gradient = vec![0.0; data.key.len()];
    let mut value_gradient = vec![0.0; data.value.len()];
    let (depth, value_depth) = (this.depth, this.value_depth);
    for batch in 0..this.batch {
        for head in 0..this.heads {
            for query in 0..this.queries {
                let at = (batch * this.queries + query) * this.heads + head;
                let key_at = |key: usize| {
                    (batch * this.keys + key) * this.key_heads
                        + head / (this.heads / this.key_heads)
                };
                let q = &data.query[at * depth..][..depth];
                let seen: Vec<bool> = (0..this.keys)
                    .map(|key| data.sees(this, [batch, head, query, key]))
                    .collect();
                let blind = seen.iter().all(|seen| !seen);
                let scores: Vec<f64> = (0..this.keys)
                    .map(|key| {
                        let k = &data.key[key_at(key) * depth..][..depth];
                        let score = q.iter().zip(k).map(|(q, k)| q * k).sum::<f64>() * this.scale;
                        match seen[key] {
                            _ if blind => 0.0,
                            true => score,
                            false => f64::NEG_INFINITY,
                        }
                    })
                    .collect();
                let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scores.iter().map(|score| (score - greatest).exp()).sum();
                let weights: Vec<f64> = scores
                    .iter()
                    .map(|score| (score - greatest).exp() / sum)
                    .collect();
                let g = &data.gradient[at * value_depth..][..value_depth];
                let mut reached = vec![0.0; this.keys];
                for key in 0..this.keys {
                    for j in 0..value_depth {
                        let value = key_at(key) * value_depth + j;
                        output[at * value_depth + j] += weights[key] * data.value[value];
                        value_gradient[value] += weights[key] * g[j];
                        reached[key] += g[j] * data.value[value];
                    }
                }
                let dot: f64 = reached.iter().zip(&weights).map(|(r, w)| r * w).sum();
                for key in (0..this.keys).filter(|_| !blind) {
                    let slope = weights[key] * (reached[key] - dot) * this.scale;
                    for j in 0..depth {
                        query_gradient[at * depth + j] += slope * data.key[key_at(key) * depth + j];
                        key_gradient[key_at(key) * depth + j] += slope * q[j];
                    }
                }
            }
        }
    }
    [output, query_gradient, key_gradient, value_gradient]
}

fn narrow<T: Real>(x: &[f64]) -> Vec<T> {
    x.iter().map(|&x| T::from_f64(x)).collect()
}

/// What the kernels give, in scratch that holds no numbers.
fn run<T: Real>(this: &Attention, data: &Data) -> [Vec<f64>; 4] {
    let [query, key, value, gradient] =
        [&data.query, &data.key, &data.value, &data.gradient].map(|x| narrow::<T>(x));
    let operands = Operands {
        query: &query,
        key: &key,
        value: &value,
        mask: data.mask.as_ref().map(|(seen, strides)| Mask {
            seen,
            strides: *strides,
        }),
    };
    let nan = T::from_f64(f64::NAN);
    let mut output = vec![nan; gradient.len()];
    let mut kept = vec![nan; this.batch * this.heads * this.queries * KEPT];
    let mut scratch = vec![nan; forward_scratch_len::<T>(this)];
    forward(this, &operands, &mut output, Some(&mut kept), &mut scratch);
    let mut again = vec![nan; gradient.len()];
    forward(this, &operands, &mut again, None, &mut scratch);
    let bits = |x: &[T]| x.iter().map(|x| x.to_f64().to_bits()).collect::<Vec<u64>>();
    assert!(
        bits(&again) == bits(&output),
        "what is kept changes the output"
    );
    let [mut q, mut k, mut v] = [&query, &key, &value].map(|x| vec![nan; x.len()]);
    let mut scratch = vec![nan; backward_scratch_len::<T>(this)];
    backward(
        this,
        &operands,
        &Gradients {
            output: &output,
            kept: &kept,
            gradient: &gradient,
        },
        Results {
            query: &mut q,
            key: &mut k,
            value: &mut v,
        },
        &mut scratch,
    );
    [output, q, k, v].map(|x| x.iter().map(|x| x.to_f64()).collect())
}

fn assert_right<T: Real>(this: &Attention, data: &Data, tolerance: f64) {
    let names = ["output", "query's gradient", "key's", "value's"];
    for ((got, want), name) in run::<T>(this, data)
        .iter()
        .zip(reference(this, data))
        .zip(names)
    {
        for (i, (got, want)) in got.iter().zip(want).enumerate() {
            assert!(
                (got - want).abs() <= tolerance * want.abs().max(1.0),
                "{this:?}: {name}[{i}] is {got}, not {want}"
            );
        }
    }
}

fn sized(batch: usize, lengths: [usize; 2], heads: [usize; 2], depths: [usize; 2]) -> Attention {
    Attention {
        batch,
        queries: lengths[0],
        keys: lengths[1],
        heads: heads[0],
        key_heads: heads[1],
        depth: depths[0],
        value_depth: depths[1],
        scale: 1.0 / (depths[0].max(1) as f64).sqrt(),
        causal: false,
    }
}

#[test]
fn edges_of_tiles() {
    for_each_isa(|_| {
        for lengths in [
            [1, 1],
            [1, 300],
            [2, 5],
            [56, 128],
            [57, 129],
            [61, 127],
            [130, 260],
            [113, 31],
        ] {
            for (heads, depths) in [([2, 1], [16, 16]), ([1, 1], [33, 7]), ([3, 3], [8, 40])] {
                for causal in [false, true] {
                    let this = Attention {
                        causal,
                        ..sized(1, lengths, heads, depths)
                    };
                    assert_right::<f32>(&this, &Data::new(&this, None), 3e-5);
                }
            }
        }
        let this = sized(2, [70, 140], [4, 2], [5, 6]);
        assert_right::<f64>(&this, &Data::new(&this, None), 1e-12);
    });
}

#[test]
fn masks() {
    for_each_isa(|_| {
        for along in 0..16 {
            let along = [0, 1, 2, 3].map(|axis| along >> axis & 1 == 1);
            for hidden in [0.4, 0.98, 1.0] {
                for causal in [false, true] {
                    let this = Attention {
                        causal,
                        ..sized(2, [67, 150], [2, 1], [9, 17])
                    };
                    assert_right::<f32>(&this, &Data::new(&this, Some((along, hidden))), 3e-5);
                }
            }
        }
    });
}

#[test]
fn nothing_to_see() {
    for (batch, lengths, depths) in [
        (0, [3, 4], [2, 2]),
        (2, [0, 4], [2, 2]),
        (2, [3, 0], [2, 2]),
        (1, [3, 4], [0, 2]),
        (1, [3, 4], [2, 0]),
    ] {
        let this = sized(batch, lengths, [2, 2], depths);
        assert_right::<f32>(&this, &Data::new(&this, None), 1e-5);
    }
}

#[test]
fn great_scores_and_numbers_that_are_none() {
    let this = Attention {
        scale: 1e4,
        ..sized(1, [5, 200], [1, 1], [4, 4])
    };
    assert_right::<f64>(&this, &Data::new(&this, None), 1e-9);
    let [output, ..] = run::<f32>(&this, &Data::new(&this, None));
    assert!(output.iter().all(|x| x.abs() <= 1.0));
    let mut data = Data::new(&this, None);
    data.query[2] = f64::NAN;
    let [output, ..] = run::<f32>(&this, &data);
    assert!(output[..4].iter().all(|x| x.is_nan()) && output[4..].iter().all(|x| x.is_finite()));
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let before = num_threads();
    for_each_isa(|_| {
        for (batch, heads) in [(1, [2, 1]), (3, [4, 4])] {
            for causal in [false, true] {
                let this = Attention {
                    causal,
                    ..sized(batch, [150, 300], heads, [16, 16])
                };
                let data = Data::new(&this, Some(([true, false, true, true], 0.5)));
                let [one, others @ ..] = [1, 2, 3, 8].map(|threads| {
                    set_num_threads(threads);
                    run::<f32>(&this, &data)
                });
                assert!(others.iter().all(|other| *other == one), "{this:?}");
            }
        }
    });
    set_num_threads(before);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_sizes(
        batch in 1..3_usize,
        queries in 1..140_usize,
        keys in 1..280_usize,
        key_heads in 1..3_usize,
        group in 1..4_usize,
        depth in 1..40_usize,
        value_depth in 1..40_usize,
        causal: bool,
        mask in prop::option::of((prop::array::uniform4(prop::bool::ANY), 0.0..1.0)),
    ) {
        let heads = [key_heads * group, key_heads];
        let this = sized(batch, [queries, keys], heads, [depth, value_depth]);
        let this = Attention { causal, ..this };
        assert_right::<f32>(&this, &Data::new(&this, mask), 5e-5);
    }
}
