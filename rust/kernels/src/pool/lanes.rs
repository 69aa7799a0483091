//! Maximum pooling of single precision: a register of channels stays in place while its window passes by.

use simd::{Float, Isa, Lanes, Task, dispatch};

use super::{Pooling, span};
use crate::threads::{Disjoint, grain, parallel_chunks_mut};

/// [`super::max_pool`], and [`super::max_pool_argmax`] unless `argmax` is empty.
pub(super) fn max_pool(pooling: &Pooling, x: &[f32], out: &mut [f32], argmax: &mut [i32]) {
    let [outer, middle, inner] = pooling.window.output;
    let len = inner * pooling.channels;
    if out.is_empty() {
        return;
    }
    let wanted = !argmax.is_empty();
    let argmax = Disjoint::new(argmax);
    let cost = pooling.window.taps_len();
    parallel_chunks_mut(out, len, grain(len * cost), |index, best| {
        let (image, rest) = (index / (outer * middle), index % (outer * middle));
        dispatch(MaxLine {
            pooling,
            x,
            image,
            at: [rest / middle, rest % middle],
            best,
            // SAFETY: the lines of a region are disjoint.
            argmax: wanted.then(|| unsafe { argmax.slice_mut(span(index, len)) }),
        });
    });
}

/// One line of positions of the output, along the last spatial dimension.
struct MaxLine<'a> {
    pooling: &'a Pooling,
    x: &'a [f32],
    image: usize,
    /// The indices of the line in the two outer dimensions.
    at: [usize; 2],
    best: &'a mut [f32],
    /// Where in its image each maximum stands, if wanted.
    argmax: Option<&'a mut [i32]>,
}

impl Task for MaxLine<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let MaxLine {
            pooling,
            x,
            image,
            at: [i, j],
            best,
            mut argmax,
        } = self;
        let (len, channels) = (I::F32::LEN, pooling.channels);
        let image = image * pooling.window.input_len();
        for k in 0..best.len() / channels {
            for channel in (0..channels).step_by(len) {
                let width = len.min(channels - channel);
                let mut greatest = I::F32::zero(isa);
                let mut place = isa.splat_i32(-1);
                let mut first = true;
                pooling.for_each_tap(
                    [i, j, k],
                    #[inline(always)]
                    |position| {
                        let x = &x[(image + position) * channels + channel..];
                        // What a whole register reads behind the channels is not kept.
                        let x = if x.len() >= len {
                            I::F32::load(isa, x)
                        } else {
                            I::F32::load_partial(isa, &x[..width])
                        };
                        let here = isa.splat_i32(position as i32);
                        if std::mem::take(&mut first) {
                            (greatest, place) = (x, here);
                        } else {
                            // Greater, or the first NaN; the first of equals stays.
                            let wins = greatest.lt(x) | (x.is_nan() & !greatest.is_nan());
                            greatest = x.select(wins, greatest);
                            place = here.select(wins, place);
                        }
                    },
                );
                let start = k * channels + channel;
                store(greatest, &mut best[start..], width);
                if let Some(argmax) = &mut argmax {
                    store(place, &mut argmax[start..], width);
                }
            }
        }
    }
}

/// Stores `width` lanes, or a whole register where there is room: what it writes behind, the next store overwrites.
#[inline(always)]
fn store<L: Lanes>(lanes: L, out: &mut [L::Item], width: usize) {
    if out.len() >= L::LEN {
        lanes.store(out);
    } else {
        lanes.store_partial(&mut out[..width]);
    }
}
