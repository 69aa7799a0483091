//! Random numbers by index: what element `i` is depends on the key and on `i` alone, so any number of threads gives the same stream.
//!
//! The generator is Philox4x32-10 (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, 2011). Its block `j` of a key is four
//! words. Elements lie as lanes do: of each 64 words, from sixteen blocks, the first words come first, then the second ones, ...
use half::{bf16, f16};
use simd::{F32Lanes, Float, I32Lanes, Isa, Lanes, Task, math};

use crate::Element;
use crate::threads::{grain, parallel_chunks_mut};

/// What a stream is known by.
pub type Key = [u32; 2];

/// Blocks made at once: the compiler turns loops over as many into lanes.
const WIDTH: usize = 16;
/// Elements that share a pass through the generator.
const PIECE: usize = 4 * WIDTH;
/// Elements of a parallel piece.
const CHUNK: usize = 32 * PIECE;

/// Word `k` of [`WIDTH`] blocks, for each `k`, as lanes hold them.
type Words = [[i32; WIDTH]; 4];

/// The words of blocks `first..first + WIDTH`.
#[inline(always)]
fn blocks<I: Isa>(isa: I, key: Key, first: u64) -> Words {
    const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    let [m0, m1] = MULTIPLIERS.map(u32::cast_signed);
    let (m0, m1) = (isa.splat_i32(m0), isa.splat_i32(m1));
    let mut words = [[0; WIDTH]; 4];
    #[expect(clippy::needless_range_loop, reason = "lane j of every word")]
    for j in 0..WIDTH {
        let counter = first.wrapping_add(j as u64);
        words[0][j] = counter as i32;
        words[1][j] = (counter >> 32) as i32;
    }
    for j in (0..WIDTH).step_by(I::I32::LEN) {
        let mut c0 = I::I32::load(isa, &words[0][j..]);
        let mut c1 = I::I32::load(isa, &words[1][j..]);
        let (mut c2, mut c3) = (isa.splat_i32(0), isa.splat_i32(0));
        let [mut k0, mut k1] = key;
        for _ in 0..10 {
            let (low_0, low_2) = (c0 * m0, c2 * m1);
            let (high_0, high_2) = (c0.mul_high_unsigned(m0), c2.mul_high_unsigned(m1));
            c0 = high_2 ^ c1 ^ isa.splat_i32(k0.cast_signed());
            c2 = high_0 ^ c3 ^ isa.splat_i32(k1.cast_signed());
            (c1, c3) = (low_2, low_0);
            k0 = k0.wrapping_add(WEYL[0]);
            k1 = k1.wrapping_add(WEYL[1]);
        }
        c0.store(&mut words[0][j..]);
        c1.store(&mut words[1][j..]);
        c2.store(&mut words[2][j..]);
        c3.store(&mut words[3][j..]);
    }
    words
}

/// Turns the words of a stream into elements, a piece of [`PIECE`] words at a time.
trait Convert<T>: Copy + Sync {
    /// How many words an element takes.
    const WORDS: usize;
    /// Whether it is compiled for every instruction set, or for the target's baseline alone.
    const TUNED: bool = false;

    /// `words` are those of [`blocks`]; `out` are the elements of as many words, in order.
    fn convert<I: Isa>(self, isa: I, words: &Words, out: &mut [T]);
}

struct Fill<'a, T, C> {
    key: Key,
    /// The first block.
    block: u64,
    convert: C,
    out: &'a mut [T],
}

impl<T: Element, C: Convert<T>> Task for Fill<'_, T, C> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let per_piece = PIECE / C::WORDS;
        let mut block = self.block;
        for out in self.out.chunks_mut(per_piece) {
            let words = blocks(isa, self.key, block);
            if out.len() == per_piece {
                self.convert.convert(isa, &words, out);
            } else {
                let mut whole = [T::default(); PIECE];
                self.convert.convert(isa, &words, &mut whole[..per_piece]);
                out.copy_from_slice(&whole[..out.len()]);
            }
            block = block.wrapping_add(WIDTH as u64);
        }
    }
}

fn fill<T: Element, C: Convert<T>>(key: Key, convert: C, out: &mut [T]) {
    let chunk = CHUNK / C::WORDS;
    parallel_chunks_mut(out, chunk, grain(8 * CHUNK), |i, out| {
        let block = (i * (CHUNK / 4)) as u64;
        let task = Fill {
            key,
            block,
            convert,
            out,
        };
        if C::TUNED {
            simd::dispatch(task)
        } else {
            task.run(simd::Portable)
        }
    });
}

/// An element of each word.
#[derive(Clone, Copy)]
struct PerWord<F>(F);

impl<T: Element, F: Fn(u32) -> T + Copy + Sync> Convert<T> for PerWord<F> {
    const WORDS: usize = 1;
    const TUNED: bool = true;

    #[inline(always)]
    fn convert<I: Isa>(self, _isa: I, words: &Words, out: &mut [T]) {
        for (out, words) in out.chunks_exact_mut(WIDTH).zip(words) {
            for j in 0..WIDTH {
                out[j] = self.0(words[j].cast_unsigned());
            }
        }
    }
}

/// An element of each pair of words.
#[derive(Clone, Copy)]
struct PerPair<F>(F);

impl<T: Element, F: Fn(u64) -> T + Copy + Sync> Convert<T> for PerPair<F> {
    const WORDS: usize = 2;

    #[inline(always)]
    fn convert<I: Isa>(self, _isa: I, words: &Words, out: &mut [T]) {
        for (out, words) in out.chunks_exact_mut(WIDTH).zip(words.chunks_exact(2)) {
            for j in 0..WIDTH {
                let [low, high] =
                    [words[0][j], words[1][j]].map(|word| u64::from(word.cast_unsigned()));
                out[j] = self.0(high << 32 | low);
            }
        }
    }
}

/// An element of each word, in lanes.
#[derive(Clone, Copy)]
struct Normal;

impl Convert<f32> for Normal {
    const WORDS: usize = 1;
    const TUNED: bool = true;

    /// Box and Muller's way: the first two words of a block give two numbers, the last two more.
    #[inline(always)]
    fn convert<I: Isa>(self, isa: I, words: &Words, out: &mut [f32]) {
        for (out, words) in out.chunks_exact_mut(2 * WIDTH).zip(words.chunks_exact(2)) {
            let (cosines, sines) = out.split_at_mut(WIDTH);
            for j in (0..WIDTH).step_by(I::F32::LEN) {
                // In (0, 1], so that its logarithm is finite.
                let u = unit(isa, &words[0], j) + isa.splat(1.0 / (1 << 24) as f32);
                let turn = unit(isa, &words[1], j) * isa.splat(std::f32::consts::TAU);
                let radius = (math::log(isa, u) * isa.splat(-2.0)).sqrt();
                (radius * math::cos(isa, turn)).store(&mut cosines[j..]);
                (radius * math::sin(isa, turn)).store(&mut sines[j..]);
            }
        }
    }
}

/// A normal distribution cut at two standard deviations, by the inverse of its distribution function.
#[derive(Clone, Copy)]
struct TruncatedNormal;

/// `erf(sqrt 2)`: the part of a normal distribution within two standard deviations.
const WITHIN_TWO: f64 = 0.954_499_736_103_641_6;

impl Convert<f32> for TruncatedNormal {
    const WORDS: usize = 1;
    const TUNED: bool = true;

    #[inline(always)]
    fn convert<I: Isa>(self, isa: I, words: &Words, out: &mut [f32]) {
        for (out, words) in out.chunks_exact_mut(WIDTH).zip(words) {
            for j in (0..WIDTH).step_by(I::F32::LEN) {
                // The middles of 2^24 steps, even about zero.
                let u = unit(isa, words, j) + isa.splat(0.5 / (1 << 24) as f32);
                let u = (u + u - isa.splat(1.0)) * isa.splat(WITHIN_TWO as f32);
                let z = erfinv_middle(isa, u) * isa.splat(std::f32::consts::SQRT_2);
                isa.splat(2.0)
                    .min(isa.splat(-2.0).max(z))
                    .store(&mut out[j..]);
            }
        }
    }
}

/// Multiples of 2^-24 in [0, 1), from the words from `j` on.
#[inline(always)]
fn unit<I: Isa>(isa: I, words: &[i32; WIDTH], j: usize) -> I::F32 {
    let high = I::I32::load(isa, &words[j..]).shr_logical::<8>();
    I::F32::from_i32(high) * isa.splat(1.0 / (1 << 24) as f32)
}

/// The inverse of the error function for |x| < 0.996 (M. Giles, Approximating the erfinv function, 2010).
#[inline(always)]
fn erfinv_middle<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    const C: [f32; 9] = [
        2.810_226_4e-8,
        3.432_739_4e-7,
        -3.523_387_7e-6,
        -4.391_506_5e-6,
        0.000_218_580_87,
        -0.001_253_725,
        -0.004_177_681_6,
        0.246_640_73,
        1.501_409_4,
    ];
    let w = -math::log(isa, (isa.splat(1.0) - x) * (isa.splat(1.0) + x)) - isa.splat(2.5);
    let mut y = isa.splat(C[0]);
    for c in &C[1..] {
        y = y.mul_add(w, isa.splat(*c));
    }
    y * x
}

/// Uniform words.
pub fn bits(key: Key, out: &mut [u32]) {
    fill(key, PerWord(|word| word), out);
}

/// A float that can be drawn.
pub trait Draw: Element {
    /// Numbers of the uniform distribution on [0, 1).
    fn uniform(key: Key, out: &mut [Self]);
    /// Numbers of the standard normal distribution.
    fn normal(key: Key, out: &mut [Self]);
    /// Numbers of the standard normal distribution without those beyond two standard deviations.
    fn truncated_normal(key: Key, out: &mut [Self]);
}

impl Draw for f32 {
    fn uniform(key: Key, out: &mut [f32]) {
        fill(
            key,
            PerWord(|word| (word >> 8) as f32 / (1 << 24) as f32),
            out,
        );
    }

    fn normal(key: Key, out: &mut [f32]) {
        fill(key, Normal, out);
    }

    fn truncated_normal(key: Key, out: &mut [f32]) {
        fill(key, TruncatedNormal, out);
    }
}

impl Draw for f64 {
    fn uniform(key: Key, out: &mut [f64]) {
        fill(
            key,
            PerPair(|pair| (pair >> 11) as f64 / (1u64 << 53) as f64),
            out,
        );
    }

    fn normal(key: Key, out: &mut [f64]) {
        fill(
            key,
            PerPair(|pair| crate::elementwise::special::normal_quantile(middle(pair))),
            out,
        );
    }

    fn truncated_normal(key: Key, out: &mut [f64]) {
        let draw = |pair| {
            let u = (2.0 * middle(pair) - 1.0) * WITHIN_TWO;
            std::f64::consts::SQRT_2 * crate::elementwise::special::erfinv(u)
        };
        fill(key, PerPair(draw), out);
    }
}

/// In (0, 1), even about one half.
fn middle(pair: u64) -> f64 {
    ((pair >> 12) as f64 + 0.5) / (1u64 << 52) as f64
}

macro_rules! half {
    ($($t:ty, $digits:literal;)*) => {$(
        impl Draw for $t {
            /// Of as many binary digits as the type has, lest rounding reaches 1.
            fn uniform(key: Key, out: &mut [$t]) {
                let scale = 1.0 / (1u32 << $digits) as f32;
                fill(key, PerWord(|word| <$t>::from_f32((word >> (32 - $digits)) as f32 * scale)), out);
            }

            fn normal(key: Key, out: &mut [$t]) {
                fill(key, Narrow(Normal), out);
            }

            fn truncated_normal(key: Key, out: &mut [$t]) {
                fill(key, Narrow(TruncatedNormal), out);
            }
        }

        impl<C: Convert<f32>> Convert<$t> for Narrow<C> {
            const WORDS: usize = C::WORDS;

            #[inline(always)]
            fn convert<I: Isa>(self, isa: I, words: &Words, out: &mut [$t]) {
                let mut wide = [0f32; PIECE];
                self.0.convert(isa, words, &mut wide[..out.len()]);
                for (out, x) in out.iter_mut().zip(wide) {
                    *out = <$t>::from_f32(x);
                }
            }
        }
    )*};
}
half!(f16, 11; bf16, 8;);

/// What is drawn in `f32` and rounded.
#[derive(Clone, Copy)]
struct Narrow<C>(C);

/// An integer that can be drawn.
pub trait Integer: Element {
    /// Uniform integers from `low` up to, not including, `high`; `low` when there are none.
    fn between(key: Key, low: Self, high: Self, out: &mut [Self]);
}

macro_rules! integer {
    ($($t:ty)*) => {$(
        impl Integer for $t {
            fn between(key: Key, low: $t, high: $t, out: &mut [$t]) {
                let span = if low < high { (high as i128 - low as i128) as u128 } else { 1 };
                // The high word of a product is uniform up to 2^-64.
                fill(key, PerPair(|pair| low.wrapping_add((u128::from(pair) * span >> 64) as $t)), out);
            }
        }
    )*};
}
integer!(i8 i16 i32 i64 u8 u16 u32 u64);

/// 1 for what dropout keeps and 0 for the part `rate` that it drops.
pub fn keep_mask(key: Key, rate: f64, out: &mut [u8]) {
    let dropped = (rate * 4_294_967_296.0) as u64;
    fill(key, PerWord(|word| (u64::from(word) >= dropped) as u8), out);
}

/// The numbers from 0 up to the length of `out`, in random order (Fisher and Yates).
pub fn permutation(key: Key, out: &mut [i64]) {
    for (i, x) in out.iter_mut().enumerate() {
        *x = i as i64;
    }
    let mut drawn = [0u64; PIECE];
    for i in (1..out.len()).rev() {
        // A fresh 64-bit number for each position, pieces of a stream at a time.
        let at = out.len() - 1 - i;
        if at.is_multiple_of(PIECE / 2) {
            let words = blocks(simd::Portable, key, (at / 2) as u64);
            PerPair(|pair: u64| pair).convert(simd::Portable, &words, &mut drawn[..PIECE / 2]);
        }
        let pick = (u128::from(drawn[at % (PIECE / 2)]) * (i as u128 + 1)) >> 64;
        out.swap(i, pick as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elementwise::special::normal_cdf;
    use crate::threads::set_num_threads;

    const KEY: Key = [0x1234_5678, 42];
    const N: usize = 200_000;

    #[test]
    fn known_answers() {
        // From the generator's authors: counter and key all zeros, and all ones.
        let words = |key, first| blocks(simd::Portable, key, first).map(|w| w[0].cast_unsigned());
        assert_eq!(
            words([0, 0], 0),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
    }

    fn moments(x: &[f64]) -> (f64, f64) {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        (
            mean,
            x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / x.len() as f64,
        )
    }

    /// Pearson's statistic of values of a distribution function over `bins` equal bins.
    fn chi_square(u: impl Iterator<Item = f64>, bins: usize) -> f64 {
        let mut counts = vec![0f64; bins];
        let mut n = 0.0;
        for u in u {
            counts[((u * bins as f64) as usize).min(bins - 1)] += 1.0;
            n += 1.0;
        }
        let expected = n / bins as f64;
        counts
            .iter()
            .map(|c| (c - expected) * (c - expected) / expected)
            .sum()
    }

    fn draws<T: Draw + Into<f64>>(draw: fn(Key, &mut [T])) -> Vec<f64> {
        let mut out = vec![T::default(); N];
        draw(KEY, &mut out);
        out.into_iter().map(Into::into).collect()
    }

    #[test]
    fn uniform_is_uniform() {
        for x in [
            draws(f32::uniform),
            draws(f64::uniform),
            draws(f16::uniform),
            draws(bf16::uniform),
        ] {
            assert!(x.iter().all(|x| (0.0..1.0).contains(x)));
            let (mean, variance) = moments(&x);
            // Coarse floats round down.
            assert!(
                (mean - 0.5).abs() < 4e-3 && (variance - 1.0 / 12.0).abs() < 1e-3,
                "{mean} {variance}"
            );
            // 63 degrees of freedom: beyond 120 once in 10^5.
            assert!(chi_square(x.into_iter(), 64) < 120.0);
        }
    }

    #[test]
    fn normal_is_normal() {
        simd::for_each_isa(|_| {
            for x in [draws(f32::normal), draws(f64::normal)] {
                let (mean, variance) = moments(&x);
                assert!(
                    mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02,
                    "{mean} {variance}"
                );
                assert!(chi_square(x.iter().map(|x| normal_cdf(*x)), 64) < 120.0);
                let lag: f64 = x.windows(2).map(|x| x[0] * x[1]).sum::<f64>() / N as f64;
                assert!(lag.abs() < 0.01);
            }
            let (mean, variance) = moments(&draws(f16::normal));
            assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02);
        });
    }

    #[test]
    fn truncated_normal_stays_within_two() {
        simd::for_each_isa(|_| {
            for x in [
                draws(f32::truncated_normal),
                draws(f64::truncated_normal),
                draws(bf16::truncated_normal),
            ] {
                assert!(x.iter().all(|x| x.abs() <= 2.0));
                let (mean, variance) = moments(&x);
                assert!(
                    mean.abs() < 0.01 && (variance - 0.7737).abs() < 0.01,
                    "{mean} {variance}"
                );
            }
            let low = normal_cdf(-2.0);
            let x = draws(f32::truncated_normal);
            assert!(
                chi_square(
                    x.iter().map(|x| (normal_cdf(*x) - low) / (1.0 - 2.0 * low)),
                    64
                ) < 120.0
            );
        });
    }

    #[test]
    fn integers_fill_their_range() {
        let mut x = vec![0i32; N];
        i32::between(KEY, -3, 7, &mut x);
        assert!(x.iter().all(|x| (-3..7).contains(x)));
        // 9 degrees of freedom.
        assert!(chi_square(x.iter().map(|x| (f64::from(*x) + 3.5) / 10.0), 10) < 35.0);
        let mut x = vec![0u64; 100];
        u64::between(KEY, 0, u64::MAX, &mut x);
        assert!(x.iter().any(|x| *x > u64::MAX / 2));
        let mut x = [0i8; 9];
        i8::between(KEY, -128, 127, &mut x);
        assert!(x.iter().any(|x| *x != x.signum() * x.abs() || *x != 0));
        i8::between(KEY, 5, 5, &mut x);
        assert_eq!(x, [5; 9]);
    }

    #[test]
    fn masks_keep_their_part() {
        let mut mask = vec![9u8; N];
        keep_mask(KEY, 0.3, &mut mask);
        let kept = mask.iter().map(|m| u64::from(*m)).sum::<u64>() as f64 / N as f64;
        assert!((kept - 0.7).abs() < 5e-3);
        keep_mask(KEY, 0.0, &mut mask);
        assert!(mask.iter().all(|m| *m == 1));
        keep_mask(KEY, 1.0, &mut mask);
        assert!(mask.iter().all(|m| *m == 0));
    }

    #[test]
    fn permutations_hold_each_number_once() {
        for n in [0, 1, 2, 33, 1000] {
            let mut x = vec![0; n];
            permutation(KEY, &mut x);
            let mut sorted = x.clone();
            sorted.sort_unstable();
            assert!(sorted.iter().enumerate().all(|(i, x)| *x == i as i64));
            assert!(n < 33 || x != sorted);
        }
        // Each of the six orders of three, about as often.
        let mut counts = std::collections::HashMap::new();
        for seed in 0..6000 {
            let mut x = [0; 3];
            permutation([seed, 0], &mut x);
            *counts.entry(x).or_insert(0) += 1;
        }
        assert!(
            counts.len() == 6 && counts.values().all(|n| (880..1120).contains(n)),
            "{counts:?}"
        );
    }

    #[test]
    fn streams_do_not_depend_on_threads_or_length() {
        let run = |n: usize| {
            let (mut a, mut b, mut c) = (vec![0f32; n], vec![0f64; n], vec![0u32; n]);
            f32::normal(KEY, &mut a);
            f64::uniform(KEY, &mut b);
            bits(KEY, &mut c);
            (a, b, c)
        };
        simd::for_each_isa(|_| {
            let all = run(N);
            set_num_threads(1);
            assert!(run(N) == all);
            set_num_threads(0);
            for n in [1, 63, 64, 65, 2049] {
                let part = run(n);
                assert!(part.0 == all.0[..n] && part.1 == all.1[..n] && part.2 == all.2[..n]);
            }
        });
        let mut other = vec![0u32; 64];
        bits([KEY[0], KEY[1] + 1], &mut other);
        assert_ne!(other, run(64).2);
    }
}
