//! Discrete Fourier transforms of rows, of any size.
//!
//! A size of small prime factors is cut into stages after Stockham, which leave the numbers in order: radix 4, 2, and odd
//! ones that pair the roots of opposite signs. Other sizes become a convolution of a smooth size (L. Bluestein, A linear
//! filtering approach to the computation of discrete Fourier transform, 1970), in double precision. Several rows lie
//! beside each other, one per lane; real rows of even size are transformed as complex ones of half the size.
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::f64::consts::PI;
use std::ops::{Add, Mul, Range, Sub};
use std::sync::{Arc, Mutex, PoisonError};

use simd::{Float, Isa, Lanes, Task, dispatch, level};

use crate::gemm::{self, register_bytes};
use crate::real::{MAX_LANES, Real};
use crate::threads::{Disjoint, grain, num_threads, parallel_chunks_mut};

/// Fewer rows than this are transformed one after the other.
const FEW_ROWS: usize = 3;
/// Plans that are kept.
const KEPT: usize = 64;
/// The largest prime factor that has a stage.
const LARGEST_PRIME: usize = 13;

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

/// The cosines and sines of `2 pi t / size`, exact in the angle.
fn root<T: Number>(t: usize, size: usize) -> [T; 2] {
    let angle = 2.0 * PI * ((t % size) as f64 / size as f64);
    [T::from_f64(angle.cos()), T::from_f64(angle.sin())]
}

/// One pass over the numbers: `count` times `stride` transforms of `radix`.
struct Stage {
    radix: usize,
    count: usize,
    stride: usize,
    /// Where its roots begin: `radix` ones of its own, then `radix - 1` for each of `count`.
    roots: usize,
}

/// A complex forward transform of one size.
struct Core<T> {
    size: usize,
    stages: Vec<Stage>,
    roots: Vec<[T; 2]>,
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
fn factors(mut size: usize) -> (Vec<usize>, usize) {
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
fn work_size(size: usize) -> usize {
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
    fn new(size: usize) -> Core<T> {
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
    fn work(&self) -> usize {
        self.chirp.as_ref().map_or(self.size, |c| c.inner.size)
    }

    /// Transforms the first two parts; the result is in the last two when it says so.
    fn run(&self, lanes: usize, work: &mut Work<'_, T>) {
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

/// The stages of as many transforms as there are lanes.
struct Stages<'a, 'b, T> {
    core: &'a Core<T>,
    lanes: usize,
    work: &'a mut Work<'b, T>,
}

impl<T: Number> Task for Stages<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Stages { core, lanes, work } = self;
        for stage in &core.stages {
            let roots = &core.roots[stage.roots..];
            let (own, roots) = roots.split_at(stage.radix);
            let pass = Pass {
                stage,
                own,
                roots,
                run: stage.stride * lanes,
            };
            let (x, y) = (&work.now, &mut work.next);
            match stage.radix {
                2 => pass.two(isa, x, y),
                4 => pass.four(isa, x, y),
                3 => pass.odd::<I, 1>(isa, x, y),
                5 => pass.odd::<I, 2>(isa, x, y),
                7 => pass.odd::<I, 3>(isa, x, y),
                11 => pass.odd::<I, 5>(isa, x, y),
                _ => pass.odd::<I, 6>(isa, x, y),
            }
            std::mem::swap(&mut work.now, &mut work.next);
        }
    }
}

/// Real and imaginary parts, those in use and those that a stage writes: item `j` of a row is at `j * lanes + lane`.
struct Work<'a, T> {
    now: [&'a mut [T]; 2],
    next: [&'a mut [T]; 2],
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

/// A stage with its tables, over runs of numbers that share a factor.
struct Pass<'a, T> {
    stage: &'a Stage,
    own: &'a [[T; 2]],
    roots: &'a [[T; 2]],
    run: usize,
}

/// Complex lanes.
type Pair<I, T> = [<T as gemm::Real>::Lanes<I>; 2];

#[inline(always)]
fn get<I: Isa, T: Number>(isa: I, x: &[&mut [T]; 2], at: usize, width: usize) -> Pair<I, T> {
    let len = T::Lanes::<I>::LEN;
    if width == len {
        [0, 1].map(|part| T::Lanes::<I>::load(isa, &x[part][at..at + len]))
    } else {
        [0, 1].map(|part| T::Lanes::<I>::load_partial(isa, &x[part][at..at + width]))
    }
}

#[inline(always)]
fn put<I: Isa, T: Number>(y: &mut [&mut [T]; 2], at: usize, width: usize, [re, im]: Pair<I, T>) {
    let len = T::Lanes::<I>::LEN;
    if width == len {
        re.store(&mut y[0][at..at + len]);
        im.store(&mut y[1][at..at + len]);
    } else {
        re.store_partial(&mut y[0][at..at + width]);
        im.store_partial(&mut y[1][at..at + width]);
    }
}

/// `x` times the conjugate of a root.
#[inline(always)]
fn turned<I: Isa, T: Number>(isa: I, [re, im]: Pair<I, T>, [c, s]: [T; 2]) -> Pair<I, T> {
    let (c, s) = (T::Lanes::<I>::splat(isa, c), T::Lanes::<I>::splat(isa, s));
    [im.mul_add(s, re * c), re.neg_mul_add(s, im * c)]
}

#[inline(always)]
fn plus<I: Isa, T: Number>(x: Pair<I, T>, y: Pair<I, T>) -> Pair<I, T> {
    [x[0] + y[0], x[1] + y[1]]
}

#[inline(always)]
fn minus<I: Isa, T: Number>(x: Pair<I, T>, y: Pair<I, T>) -> Pair<I, T> {
    [x[0] - y[0], x[1] - y[1]]
}

impl<T: Number> Pass<'_, T> {
    #[inline(always)]
    fn two<I: Isa>(&self, isa: I, x: &[&mut [T]; 2], y: &mut [&mut [T]; 2]) {
        let (run, count) = (self.run, self.stage.count);
        for p in 0..count {
            let mut q = 0;
            while q < run {
                let width = (run - q).min(T::Lanes::<I>::LEN);
                let a = get::<I, T>(isa, x, q + run * p, width);
                let b = get::<I, T>(isa, x, q + run * (p + count), width);
                put::<I, T>(y, q + run * (2 * p), width, plus::<I, T>(a, b));
                let odd = turned::<I, T>(isa, minus::<I, T>(a, b), self.roots[p]);
                put::<I, T>(y, q + run * (2 * p + 1), width, odd);
                q += width;
            }
        }
    }

    #[inline(always)]
    fn four<I: Isa>(&self, isa: I, x: &[&mut [T]; 2], y: &mut [&mut [T]; 2]) {
        let (run, count) = (self.run, self.stage.count);
        for p in 0..count {
            let roots = &self.roots[3 * p..3 * p + 3];
            let mut q = 0;
            while q < run {
                let width = (run - q).min(T::Lanes::<I>::LEN);
                let [a, b, c, d] =
                    [0, 1, 2, 3].map(|k| get::<I, T>(isa, x, q + run * (p + count * k), width));
                let (even, difference) = (plus::<I, T>(a, c), minus::<I, T>(a, c));
                let (odd, [re, im]) = (plus::<I, T>(b, d), minus::<I, T>(b, d));
                // By minus i.
                let quarter = [im, -re];
                let to = q + run * (4 * p);
                put::<I, T>(y, to, width, plus::<I, T>(even, odd));
                let one = turned::<I, T>(isa, plus::<I, T>(difference, quarter), roots[0]);
                put::<I, T>(y, to + run, width, one);
                let two = turned::<I, T>(isa, minus::<I, T>(even, odd), roots[1]);
                put::<I, T>(y, to + 2 * run, width, two);
                let three = turned::<I, T>(isa, minus::<I, T>(difference, quarter), roots[2]);
                put::<I, T>(y, to + 3 * run, width, three);
                q += width;
            }
        }
    }

    /// The radix `2 H + 1`.
    #[inline(always)]
    fn odd<I: Isa, const H: usize>(&self, isa: I, x: &[&mut [T]; 2], y: &mut [&mut [T]; 2]) {
        let (run, count, radix) = (self.run, self.stage.count, 2 * H + 1);
        let splat = |x| T::Lanes::<I>::splat(isa, x);
        for p in 0..count {
            let roots = &self.roots[2 * H * p..2 * H * (p + 1)];
            let mut q = 0;
            while q < run {
                let width = (run - q).min(T::Lanes::<I>::LEN);
                let first = get::<I, T>(isa, x, q + run * p, width);
                let mut sum = first;
                let (mut even, mut odd) = ([first; H], [first; H]);
                for k in 1..=H {
                    let a = get::<I, T>(isa, x, q + run * (p + count * k), width);
                    let b = get::<I, T>(isa, x, q + run * (p + count * (radix - k)), width);
                    (even[k - 1], odd[k - 1]) = (plus::<I, T>(a, b), minus::<I, T>(a, b));
                    sum = plus::<I, T>(sum, even[k - 1]);
                }
                let to = q + run * (radix * p);
                put::<I, T>(y, to, width, sum);
                for j in 1..=H {
                    let [mut c_re, mut c_im] = first;
                    let [mut s_re, mut s_im] = [T::Lanes::<I>::zero(isa); 2];
                    for k in 1..=H {
                        let [c, s] = self.own[j * k % radix].map(splat);
                        c_re = even[k - 1][0].mul_add(c, c_re);
                        c_im = even[k - 1][1].mul_add(c, c_im);
                        s_re = odd[k - 1][0].mul_add(s, s_re);
                        s_im = odd[k - 1][1].mul_add(s, s_im);
                    }
                    let near = turned::<I, T>(isa, [c_re + s_im, c_im - s_re], roots[j - 1]);
                    put::<I, T>(y, to + run * j, width, near);
                    let far = [c_re - s_im, c_im + s_re];
                    let far = turned::<I, T>(isa, far, roots[radix - j - 1]);
                    put::<I, T>(y, to + run * (radix - j), width, far);
                }
                q += width;
            }
        }
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

#[cfg(test)]
mod tests {
    use simd::for_each_isa;

    use super::*;
    use crate::threads::set_num_threads;

    fn numbers<S: Number>(len: usize, seed: u64) -> Vec<S> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..len)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                S::from_f64((state >> 40) as f64 / (1 << 23) as f64 - 1.0)
            })
            .collect()
    }

    /// One result of a row, by its definition.
    fn naive<S: Number>(t: Transform, n: usize, re: &[S], im: &[S], k: usize) -> [f64; 2] {
        let sign = if matches!(t, Transform::Backward | Transform::ToReal) {
            1.0
        } else {
            -1.0
        };
        let mut sum = [0.0; 2];
        for j in 0..re.len() {
            let [c, s] = root::<f64>(j * k, n);
            let (re, im) = (re[j].to_f64(), im.get(j).map_or(0.0, |x| x.to_f64()));
            sum[0] += re * c - im * s * sign;
            sum[1] += im * c + re * s * sign;
        }
        sum
    }

    fn check<S: Number>(t: Transform, rows: usize, n: usize, tolerance: f64) {
        let complex = t.complex_len(n);
        let (inputs, outputs) = match t {
            Transform::FromReal => ([n, 0], [complex; 2]),
            Transform::ToReal => ([complex; 2], [n, 0]),
            _ => ([n; 2], [n; 2]),
        };
        let x: [Vec<S>; 2] = [0, 1].map(|i| numbers(rows * inputs[i], n as u64 + i as u64));
        let mut before: Option<[Vec<S>; 2]> = None;
        for threads in [1, 3] {
            set_num_threads(threads);
            let mut y: [Vec<S>; 2] = [0, 1].map(|i| vec![S::from_f64(9.0); rows * outputs[i]]);
            let mut scratch = vec![f64::NAN; scratch_len(t, rows, n)];
            let [re, im] = &mut y;
            run(t, rows, n, [&x[0], &x[1]], [re, im], &mut scratch);
            if let Some(before) = &before {
                assert!(*before == y, "{t:?} {rows} x {n}: threads change bits");
            }
            before = Some(y);
        }
        set_num_threads(0);
        let y = before.unwrap();
        // All results of small sizes, some of large ones.
        let step = (outputs[0] / 150).max(1);
        for row in 0..rows {
            let part = |i: usize| &x[i][row * inputs[i]..(row + 1) * inputs[i]];
            let (mut error, mut norm) = (0.0, 0.0);
            for k in (0..outputs[0]).step_by(step) {
                let expected = naive(t, n, part(0), part(1), k);
                for i in 0..2 {
                    if outputs[i] > 0 {
                        let got = y[i][row * outputs[i] + k].to_f64();
                        error += (got - expected[i]).powi(2);
                        norm += expected[i].powi(2);
                    }
                }
            }
            assert!(
                error.sqrt() <= tolerance * norm.sqrt() + 1e-30,
                "{t:?} {rows} x {n}: {:e}",
                (error / norm).sqrt()
            );
        }
    }

    const ALL: [Transform; 4] = [
        Transform::Forward,
        Transform::Backward,
        Transform::FromReal,
        Transform::ToReal,
    ];

    #[test]
    fn every_size() {
        for_each_isa(|_| {
            for t in ALL {
                for n in (1..=130).chain([251, 509, 1000, 1024, 1155]) {
                    for rows in [1, 5] {
                        check::<f32>(t, rows, n, 5e-7);
                        check::<f64>(t, rows, n, 1e-14);
                    }
                }
            }
        });
    }

    #[test]
    fn large_sizes_and_many_rows() {
        for t in ALL {
            for (rows, n) in [
                (1, 4096),
                (2, 44_100),
                (1, 44_101),
                (19, 400),
                (40, 17),
                (33, 64),
            ] {
                check::<f32>(t, rows, n, 5e-7);
                check::<f64>(t, rows, n, 1e-13);
            }
        }
    }
}
