//! A complex transform of one size: the tables of its stages, or of the convolution that it becomes.
use std::f64::consts::PI;

use simd::dispatch;

use super::Number;
use super::stages::{Stage, Stages, Work};

/// The largest prime factor that has a stage.
const LARGEST_PRIME: usize = 13;

/// The cosines and sines of `2 pi t / size`, exact in the angle.
pub fn root<T: Number>(t: usize, size: usize) -> [T; 2] {
    let angle = 2.0 * PI * ((t % size) as f64 / size as f64);
    [T::from_f64(angle.cos()), T::from_f64(angle.sin())]
}

/// A complex forward transform of one size.
pub struct Core<T> {
    size: usize,
    pub stages: Vec<Stage>,
    pub roots: Vec<[T; 2]>,
    chirp: Option<Box<Chirp<T>>>,
}

/// A transform as a convolution with a chirp.
struct Chirp<T> {
    /// `exp(-pi i j^2 / n)`.
    factors: Vec<[T; 2]>,
    /// The transform of the opposite chirp, divided by its size.
    spectrum: Vec<[T; 2]>,
    inner: Core<T>,
}

/// The factors of a size in the order of its stages, and what is left of it.
pub fn factors(mut size: usize) -> (Vec<usize>, usize) {
    let mut found = Vec::new();
    for radix in [4, 2, 3, 5, 7, 11, LARGEST_PRIME] {
        while size.is_multiple_of(radix) && size > 1 {
            found.push(radix);
            size /= radix;
        }
    }
    (found, size)
}

/// The size of the convolution that a size needs; the size itself where it has small factors alone.
pub fn work_size(size: usize) -> usize {
    if factors(size).1 <= 1 {
        return size;
    }
    let power = (2 * size - 1).next_power_of_two();
    if power / 4 * 3 >= 2 * size - 1 {
        power / 4 * 3
    } else {
        power
    }
}

impl<T: Number> Core<T> {
    pub fn new(size: usize) -> Core<T> {
        let mut core = Core {
            size,
            stages: Vec::new(),
            roots: Vec::new(),
            chirp: None,
        };
        let (radices, rest) = factors(size);
        if rest > 1 {
            core.chirp = Some(Box::new(Chirp::new(size)));
            return core;
        }
        let (mut left, mut stride) = (size, 1);
        for radix in radices {
            let count = left / radix;
            core.stages.push(Stage {
                radix,
                count,
                stride,
                roots: core.roots.len(),
            });
            core.roots.extend((0..radix).map(|t| root::<T>(t, radix)));
            for p in 0..count {
                core.roots
                    .extend((1..radix).map(|j| root::<T>(p * j, left)));
            }
            (left, stride) = (count, stride * radix);
        }
        core
    }

    /// Items of each of the four parts of work, per lane.
    pub fn work(&self) -> usize {
        self.chirp.as_ref().map_or(self.size, |c| c.inner.size)
    }

    /// Transforms the first two parts; the result is in the last two when it says so.
    pub fn run(&self, lanes: usize, work: &mut Work<'_, T>) {
        let Some(chirp) = &self.chirp else {
            return self.run_stages(lanes, work);
        };
        let inner = &chirp.inner;
        scale(work, lanes, &chirp.factors);
        for part in &mut work.now {
            part[self.size * lanes..inner.size * lanes].fill(T::default());
        }
        inner.run_stages(lanes, work);
        scale(work, lanes, &chirp.spectrum);
        work.now.swap(0, 1);
        inner.run_stages(lanes, work);
        work.now.swap(0, 1);
        scale(work, lanes, &chirp.factors);
    }

    fn run_stages(&self, lanes: usize, work: &mut Work<'_, T>) {
        dispatch(Stages {
            core: self,
            lanes,
            work,
        });
    }
}

impl<T: Number> Chirp<T> {
    fn new(size: usize) -> Chirp<T> {
        let inner = Core::new(work_size(size));
        let square = |j: usize| ((j as u128 * j as u128) % (2 * size) as u128) as usize;
        let factors: Vec<[T; 2]> = (0..size)
            .map(|j| {
                let [c, s] = root::<T>(square(j), 2 * size);
                [c, T::default() - s]
            })
            .collect();
        let m = inner.size;
        let mut parts = [const { Vec::new() }; 4].map(|_: Vec<T>| vec![T::default(); m]);
        for (j, [c, s]) in factors.iter().enumerate() {
            for at in [j, (m - j) % m] {
                (parts[0][at], parts[1][at]) = (*c, T::default() - *s);
            }
        }
        let [a, b, c, d] = &mut parts;
        let mut work = Work {
            now: [a, b],
            next: [c, d],
        };
        inner.run_stages(1, &mut work);
        let share = T::from_f64(1.0 / m as f64);
        let spectrum = (0..m)
            .map(|k| [work.now[0][k] * share, work.now[1][k] * share])
            .collect();
        Chirp {
            factors,
            spectrum,
            inner,
        }
    }
}

/// Multiplies item after item by complex factors.
fn scale<T: Number>(work: &mut Work<'_, T>, lanes: usize, factors: &[[T; 2]]) {
    let [re, im] = &mut work.now;
    let items = re.chunks_exact_mut(lanes).zip(im.chunks_exact_mut(lanes));
    for ((re, im), &[c, s]) in items.zip(factors) {
        for (re, im) in re.iter_mut().zip(im) {
            (*re, *im) = (*re * c - *im * s, *re * s + *im * c);
        }
    }
}
