//! The maxima of single precision with their places, and their gradients: registers of channels stay in place while their window
//! passes by.

use std::ops::Range;

use simd::{Float, Isa, Lanes, Task, dispatch};

use super::{Pooling, share_lines, span};
use crate::threads::Disjoint;

/// [`super::max_pool_argmax`].
pub(super) fn max_pool_argmax(pooling: &Pooling, x: &[f32], out: &mut [f32], argmax: &mut [i32]) {
    assert_eq!((x.len(), out.len()), (pooling.x_len(), pooling.out_len()));
    let (sizes, channels) = (pooling.window.output, pooling.channels);
    let argmax = Disjoint::new(argmax);
    let cost = pooling.window.taps_len();
    share_lines(out, sizes, channels, cost, |index, image, at, out| {
        dispatch(Line {
            pooling,
            x,
            image,
            at,
            // SAFETY: the lines of a region are disjoint.
            argmax: unsafe { argmax.slice_mut(span(index, out.len())) },
            out,
        });
    });
}

/// One line.
struct Line<'a> {
    pooling: &'a Pooling,
    x: &'a [f32],
    image: usize,
    /// The indices of the line in the two outer dimensions.
    at: [usize; 2],
    out: &'a mut [f32],
    /// Where in its image each maximum stands.
    argmax: &'a mut [i32],
}

impl Task for Line<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Line {
            pooling,
            x,
            image,
            at: [i, j],
            out,
            argmax,
        } = self;
        let (w, channels, len) = (&pooling.window, pooling.channels, I::F32::LEN);
        let image = image * w.input_len();
        // Positions from a tap to the next along each dimension, and from the first tap to the last along the outer two.
        let [_, lines, width] = w.input;
        let steps = [
            w.dilation[0] * lines * width,
            w.dilation[1] * width,
            w.dilation[2],
        ];
        let outer = [w.taps(0, i), w.taps(1, j)];
        let rows = outer.each_ref().map(|taps| taps.len());
        let reach = |axis: usize| rows[axis].saturating_sub(1) * steps[axis];
        let reach = reach(0) + reach(1);
        let line = if rows.contains(&0) {
            0
        } else {
            w.place(0, i, outer[0].start) * lines + w.place(1, j, outer[1].start)
        };
        let inside = w.inside(2);
        for k in 0..w.output[2] {
            let taps = w.taps_beside(2, k, &inside);
            let count = rows[0] * rows[1] * taps.len();
            let (mut start, mut last) = (0, 0);
            if count > 0 {
                start = line * width + w.place(2, k, taps.start);
                last = start + reach + (taps.len() - 1) * steps[2];
            }
            for channel in (0..channels).step_by(len) {
                let width = len.min(channels - channel);
                // What a whole register reads behind the channels is not kept.
                let whole = (image + last) * channels + channel + len <= x.len();
                let load = |position: usize| {
                    let from = (image + position) * channels + channel;
                    if whole {
                        // SAFETY: no tap stands behind the last one, whose register was found in the slice.
                        unsafe { I::F32::load_ptr(isa, x.as_ptr().add(from)) }
                    } else {
                        I::F32::load_partial(isa, &x[from..from + width])
                    }
                };
                let mut total = I::F32::zero(isa);
                let mut place = isa.splat_i32(-1);
                if count > 0 {
                    (total, place) = (load(start), isa.splat_i32(start as i32));
                }
                for a in 0..rows[0] {
                    for b in 0..rows[1] {
                        let row = start + a * steps[0] + b * steps[1];
                        for c in 0..taps.len() {
                            let position = row + c * steps[2];
                            let x = load(position);
                            // Greater, or the first NaN; the first of equals stays.
                            let stays = x.le(total) | total.is_nan();
                            total = total.select(stays, x);
                            place = place.select(stays, isa.splat_i32(position as i32));
                        }
                    }
                }
                let to = k * channels + channel..k * channels + channel + width;
                store(total, out, to.clone());
                store(place, argmax, to);
            }
        }
    }
}

/// [`super::max_pool_gradient`].
pub(super) fn max_pool_gradient(pooling: &Pooling, g: &[f32], argmax: &[i32], out: &mut [f32]) {
    let (sizes, channels) = (pooling.window.input, pooling.channels);
    let cost = 2 * pooling.window.taps_len();
    share_lines(out, sizes, channels, cost, |_, image, at, out| {
        dispatch(GradientLine {
            pooling,
            g,
            argmax,
            image,
            at,
            out,
        });
    });
}

/// One line of the gradient of the input.
struct GradientLine<'a> {
    pooling: &'a Pooling,
    g: &'a [f32],
    argmax: &'a [i32],
    image: usize,
    /// The indices of the line in the two outer dimensions.
    at: [usize; 2],
    out: &'a mut [f32],
}

impl Task for GradientLine<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let (w, channels) = (&self.pooling.window, self.pooling.channels);
        let [i, j] = self.at;
        let inside = w.inside(2);
        let overlap = [0, 1, 2]
            .iter()
            .any(|&axis| w.reach(axis) > w.strides[axis]);
        self.out.fill(0.0);
        let first = (i * w.input[1] + j) * w.input[2];
        for (a, _) in w.touching(0, i) {
            for (b, _) in w.touching(1, j) {
                let windows = ((self.image * w.output[0] + a) * w.output[1] + b) * w.output[2];
                for k in 0..w.output[2] {
                    let taps = w.taps_beside(2, k, &inside);
                    let from = (windows + k) * channels;
                    for tap in taps {
                        let column = w.place(2, k, tap);
                        let out = &mut self.out[column * channels..];
                        let items = (&self.g[from..], &self.argmax[from..]);
                        add_where(isa, (first + column) as i32, channels, items, overlap, out);
                    }
                }
            }
        }
    }
}

/// Adds those of the first `count` items of `g` whose place is `here`, or writes them where there is nothing to add them to. What lies behind
/// may be read, and is written as it was, or as zero.
#[inline(always)]
fn add_where<I: Isa>(
    isa: I,
    here: i32,
    count: usize,
    (g, argmax): (&[f32], &[i32]),
    add: bool,
    out: &mut [f32],
) {
    const LANES: [i32; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    let (lanes, zero) = (I::I32::load(isa, &LANES), I::F32::zero(isa));
    for first in (0..count).step_by(I::F32::LEN) {
        let left = isa.splat_i32((count - first).min(I::F32::LEN) as i32);
        let place: I::I32 = load(isa, &argmax[first..]);
        let chosen = place.eq(isa.splat_i32(here)) & lanes.lt(left);
        let mut sum = load::<I::F32>(isa, &g[first..]).select(chosen, zero);
        if add {
            sum = sum + load::<I::F32>(isa, &out[first..]);
        }
        store(sum, out, first..count);
    }
}

/// The first items of a slice, zeros for those that it lacks.
#[inline(always)]
fn load<L: Lanes>(isa: L::Isa, x: &[L::Item]) -> L {
    if x.len() >= L::LEN {
        L::load(isa, x)
    } else {
        L::load_partial(isa, x)
    }
}

/// Stores the lanes of a range, or a whole register where there is room: what it writes behind, the next store overwrites.
#[inline(always)]
fn store<L: Lanes>(lanes: L, out: &mut [L::Item], range: Range<usize>) {
    let out = &mut out[range.start..];
    if out.len() >= L::LEN {
        lanes.store(out);
    } else {
        lanes.store_partial(&mut out[..range.len()]);
    }
}
