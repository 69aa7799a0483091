//! Discrete Fourier transforms of rows, of any size.
//!
//! A size of small prime factors is cut into stages after Stockham, which leave the numbers in order: radix 4, 2, and odd
//! ones that pair the roots of opposite signs. Other sizes become a convolution of a smooth size (L. Bluestein, A linear
//! filtering approach to the computation of discrete Fourier transform, 1970), in double precision. Several rows lie
//! beside each other, one per lane; real rows of even size are transformed as complex ones of half the size.

mod complex;
mod stages;
#[cfg(test)]
mod tests;

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::ops::{Add, Mul, Range, Sub};
use std::sync::{Arc, Mutex, PoisonError};

use simd::level;

use self::complex::{Core, factors, root, work_size};
use self::stages::Work;
use crate::gemm::register_bytes;
use crate::real::{MAX_LANES, Real};
use crate::threads::{Disjoint, grain, num_threads, parallel_chunks_mut};

/// Fewer rows than this are transformed one after the other.
const FEW_ROWS: usize = 3;
/// Plans that are kept.
const KEPT: usize = 64;

/// A number that transforms compute with.
pub trait Number: Real + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> {}
impl Number for f32 {}
impl Number for f64 {}

/// What is computed of each row of `n` numbers; none divides by `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transform {
    /// `y[k] = sum of x[j] exp(-2 pi i j k / n)`.
    Forward,
    /// The same with the opposite sign of the exponent.
    Backward,
    /// The first `n / 2 + 1` results of `Forward` for real numbers.
    FromReal,
    /// `y[j]`, the real part of the sum of `x[k] exp(2 pi i j k / n)` over `k <= n / 2`: the transpose of `FromReal`.
    ToReal,
}

impl Transform {
    fn is_real(self) -> bool {
        matches!(self, Transform::FromReal | Transform::ToReal)
    }

    /// Numbers in a row of complex numbers, for rows of `n`.
    pub fn complex_len(self, n: usize) -> usize {
        if self.is_real() { n / 2 + 1 } else { n }
    }
}

/// What transforms of one kind and size need.
struct Plan<T> {
    core: Core<T>,
    /// The roots of the size, for real rows of even size.
    turns: Vec<[T; 2]>,
}

/// The plan of a size, made once.
fn plan<T: Number>(n: usize, real: bool) -> Arc<Plan<T>> {
    type Key = (TypeId, usize, bool);
    static PLANS: Mutex<Option<HashMap<Key, Arc<dyn Any + Send + Sync>>>> = Mutex::new(None);
    let key = (TypeId::of::<T>(), n, real && n.is_multiple_of(2));
    let mut held = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
    let plans = held.get_or_insert_default();
    if let Some(plan) = plans.get(&key).cloned().and_then(|p| p.downcast().ok()) {
        return plan;
    }
    let plan = Arc::new(if key.2 {
        Plan {
            core: Core::<T>::new(n / 2),
            turns: (0..=n / 2).map(|k| root(k, n)).collect(),
        }
    } else {
        Plan {
            core: Core::new(n),
            turns: Vec::new(),
        }
    });
    if plans.len() >= KEPT {
        plans.clear();
    }
    plans.insert(key, plan.clone());
    plan
}

/// The size of the complex transforms that rows are made of.
fn core_size(transform: Transform, n: usize) -> usize {
    if transform.is_real() && n.is_multiple_of(2) {
        n / 2
    } else {
        n
    }
}

/// Whether the transform is a convolution, in double precision.
fn is_convolution(size: usize) -> bool {
    factors(size).1 > 1
}

fn lanes_of(rows: usize) -> usize {
    if rows < FEW_ROWS { 1 } else { MAX_LANES }
}

/// Numbers of a slot's scratch.
fn slot_len(transform: Transform, rows: usize, n: usize) -> usize {
    4 * work_size(core_size(transform, n)) * lanes_of(rows)
}

/// Numbers of double precision that [`run`] wants for scratch.
pub fn scratch_len(transform: Transform, rows: usize, n: usize) -> usize {
    let groups = rows.div_ceil(MAX_LANES);
    slot_len(transform, rows, n) * num_threads().min(groups)
}

/// Transforms rows of `n` numbers. Complex rows have a real and an imaginary part; of real rows the second one is empty.
///
/// # Panics
/// When an operand, a result or the scratch is too short.
pub fn run<S: Number>(
    transform: Transform,
    rows: usize,
    n: usize,
    x: [&[S]; 2],
    y: [&mut [S]; 2],
    scratch: &mut [f64],
) {
    if rows == 0 || n == 0 {
        return;
    }
    let complex = transform.complex_len(n);
    let len = |real: bool, part| match (real, part) {
        (true, 0) => n,
        (true, _) => 0,
        (false, _) => complex,
    };
    for part in [0, 1] {
        assert!(x[part].len() >= rows * len(transform == Transform::FromReal, part));
        assert!(y[part].len() >= rows * len(transform == Transform::ToReal, part));
    }
    if S::DTYPE == crate::DType::Float64 || is_convolution(core_size(transform, n)) {
        share::<S, f64>(transform, rows, n, x, y, scratch);
    } else {
        // SAFETY: a double has room for a float, whose alignment is no greater; any bits are numbers.
        let scratch =
            unsafe { std::slice::from_raw_parts_mut(scratch.as_mut_ptr().cast(), scratch.len()) };
        share::<S, f32>(transform, rows, n, x, y, scratch);
    }
}

/// [`run`] with arithmetic in T.
fn share<S: Number, T: Number>(
    transform: Transform,
    rows: usize,
    n: usize,
    x: [&[S]; 2],
    y: [&mut [S]; 2],
    scratch: &mut [T],
) {
    let slot = slot_len(transform, rows, n);
    let groups = rows.div_ceil(MAX_LANES);
    let slots = (scratch.len() / slot).min(groups);
    assert!(slots > 0, "the scratch of a transform is too short");
    let job = Job {
        transform,
        n,
        plan: &plan::<T>(n, transform.is_real()),
        x,
        y: &y.map(Disjoint::new),
    };
    let work = 4 * n * (n.ilog2() as usize + 4) * rows.div_ceil(slots);
    parallel_chunks_mut(
        &mut scratch[..slots * slot],
        slot,
        grain(work),
        |s, scratch| {
            for group in (s..groups).step_by(slots) {
                let rows = group * MAX_LANES..rows.min((group + 1) * MAX_LANES);
                transform_rows(job, rows, scratch);
            }
        },
    );
}

struct Job<'a, S, T> {
    transform: Transform,
    n: usize,
    plan: &'a Plan<T>,
    x: [&'a [S]; 2],
    y: &'a [Disjoint<'a, S>; 2],
}

impl<S, T> Clone for Job<'_, S, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, T> Copy for Job<'_, S, T> {}

/// Transforms some rows with a slot's scratch.
fn transform_rows<S: Number, T: Number>(job: Job<'_, S, T>, rows: Range<usize>, scratch: &mut [T]) {
    let core = &job.plan.core;
    let all = register_bytes(level()) / size_of::<T>();
    let mut row = rows.start;
    while row < rows.end {
        let left = rows.end - row;
        let wide = left >= FEW_ROWS && scratch.len() >= 4 * core.work() * MAX_LANES;
        let (lanes, count) = if wide { (all, left.min(all)) } else { (1, 1) };
        let (a, rest) = scratch.split_at_mut(core.work() * lanes);
        let (b, rest) = rest.split_at_mut(core.work() * lanes);
        let (c, rest) = rest.split_at_mut(core.work() * lanes);
        let mut work = Work {
            now: [a, b],
            next: [c, &mut rest[..core.work() * lanes]],
        };
        if count < lanes {
            // What other lanes hold is of no account, but numbers of earlier runs may be slow ones.
            work.now.iter_mut().for_each(|part| part.fill(T::default()));
        }
        for lane in 0..count {
            job.gather(row + lane, lane, lanes, &mut work.now);
        }
        core.run(lanes, &mut work);
        for lane in 0..count {
            job.scatter(row + lane, lane, lanes, &work.now);
        }
        row += count;
    }
}

fn cast<S: Number, T: Number>(x: S) -> T {
    T::from_f64(x.to_f64())
}

impl<S: Number, T: Number> Job<'_, S, T> {
    /// Puts a row into a lane as the core wants it. A backward transform is a forward one with both parts swapped.
    fn gather(&self, row: usize, lane: usize, lanes: usize, to: &mut [&mut [T]; 2]) {
        let n = self.n;
        let complex = self.transform.complex_len(n);
        let part = |i: usize, len: usize| &self.x[i][row * len..(row + 1) * len];
        let half = T::from_f64(0.5);
        match self.transform {
            Transform::Forward | Transform::Backward => {
                let swapped = usize::from(self.transform == Transform::Backward);
                for (i, to) in to.iter_mut().enumerate() {
                    let to = to.iter_mut().skip(lane).step_by(lanes);
                    for (to, &x) in to.zip(part(i ^ swapped, n)) {
                        *to = cast(x);
                    }
                }
            }
            Transform::FromReal if self.plan.turns.is_empty() => {
                for (j, &x) in part(0, n).iter().enumerate() {
                    to[0][j * lanes + lane] = cast(x);
                    to[1][j * lanes + lane] = T::default();
                }
            }
            Transform::FromReal => {
                for (j, x) in part(0, n).chunks_exact(2).enumerate() {
                    to[0][j * lanes + lane] = cast(x[0]);
                    to[1][j * lanes + lane] = cast(x[1]);
                }
            }
            Transform::ToReal => {
                let (re, im) = (part(0, complex), part(1, complex));
                // Half of each number, which stands for two opposite ones; the ends are real.
                let number = |k: usize| -> [T; 2] {
                    let x = cast::<S, T>(re[k]);
                    if k == 0 || 2 * k == n {
                        [x, T::default()]
                    } else {
                        [x * half, cast::<S, T>(im[k]) * half]
                    }
                };
                if self.plan.turns.is_empty() {
                    for j in 0..n {
                        let [re, im] = number(j.min(n - j));
                        let im = if 2 * j > n { T::default() - im } else { im };
                        (to[1][j * lanes + lane], to[0][j * lanes + lane]) = (re, im);
                    }
                } else {
                    let h = n / 2;
                    for (k, &[c, s]) in self.plan.turns[..h].iter().enumerate() {
                        let ([a_re, a_im], [b_re, b_im]) = (number(k), number(h - k));
                        let (re, im) = (a_re - b_re, a_im + b_im);
                        to[1][k * lanes + lane] = a_re + b_re - (re * s + im * c);
                        to[0][k * lanes + lane] = a_im - b_im + (re * c - im * s);
                    }
                }
            }
        }
    }

    /// Writes a lane as a row.
    fn scatter(&self, row: usize, lane: usize, lanes: usize, from: &[&mut [T]; 2]) {
        let n = self.n;
        let complex = self.transform.complex_len(n);
        let at = |i: usize, k: usize| from[i][k * lanes + lane];
        // SAFETY: each row belongs to one group, and each group to one thread.
        let part =
            |i: usize, len: usize| unsafe { self.y[i].slice_mut(row * len..(row + 1) * len) };
        let half = T::from_f64(0.5);
        match self.transform {
            Transform::Forward | Transform::Backward => {
                let swapped = usize::from(self.transform == Transform::Backward);
                for i in [0, 1] {
                    for (k, y) in part(i, n).iter_mut().enumerate() {
                        *y = cast(at(i ^ swapped, k));
                    }
                }
            }
            Transform::FromReal if self.plan.turns.is_empty() => {
                for i in [0, 1] {
                    for (k, y) in part(i, complex).iter_mut().enumerate() {
                        *y = cast(at(i, k));
                    }
                }
            }
            Transform::FromReal => {
                let h = n / 2;
                let turns = self.plan.turns.iter().enumerate();
                let to = part(0, complex).iter_mut().zip(part(1, complex));
                for ((to_re, to_im), (k, &[c, s])) in to.zip(turns) {
                    let (near, far) = (k % h, (h - k) % h);
                    let (a_re, a_im) = (at(0, near), at(1, near));
                    let (b_re, b_im) = (at(0, far), at(1, far));
                    let (re, im) = (a_im + b_im, b_re - a_re);
                    *to_re = cast((a_re + b_re + (re * c + im * s)) * half);
                    *to_im = cast((a_im - b_im + (im * c - re * s)) * half);
                }
            }
            Transform::ToReal if self.plan.turns.is_empty() => {
                for (j, y) in part(0, n).iter_mut().enumerate() {
                    *y = cast(at(1, j));
                }
            }
            Transform::ToReal => {
                for (j, y) in part(0, n).chunks_exact_mut(2).enumerate() {
                    (y[0], y[1]) = (cast(at(1, j)), cast(at(0, j)));
                }
            }
        }
    }
}
