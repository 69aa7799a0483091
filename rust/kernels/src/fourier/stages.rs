//! The stages of transforms, a row in each lane.
use simd::{Float, Isa, Lanes, Task};

use super::Number;
use super::complex::Core;
use crate::gemm;

/// One pass over the numbers: `count` times `stride` transforms of `radix`.
pub struct Stage {
    pub radix: usize,
    pub count: usize,
    pub stride: usize,
    /// Where its roots begin: `radix` ones of its own, then `radix - 1` for each of `count`.
    pub roots: usize,
}

/// The stages of as many transforms as there are lanes.
pub struct Stages<'a, 'b, T> {
    pub core: &'a Core<T>,
    pub lanes: usize,
    pub work: &'a mut Work<'b, T>,
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
pub struct Work<'a, T> {
    pub now: [&'a mut [T]; 2],
    pub next: [&'a mut [T]; 2],
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
