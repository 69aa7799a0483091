//! Squares of a tensor, one for each tile, brought to the points.

use std::marker::PhantomData;

use simd::{Float, Isa, Lanes};

use super::Problem;
use super::transform::{POINTS, Transform, each};

/// Applies a transform along the columns, then the rows of a square of `FROM` x `FROM` that `load` reads, and hands the result's
/// items to `store`.
macro_rules! along_both_axes {
    ($isa:ident, $from:expr => $to:expr, $transform:expr, |$i:ident, $j:ident| $load:expr, |$k:ident, $l:ident, $y:ident| $store:expr) => {{
        let zero = I::F32::zero($isa);
        let mut half = [[zero; POINTS]; POINTS];
        for $j in 0..$from {
            let mut column = [zero; POINTS];
            each!(ROW < $from, {
                let $i = ROW;
                column[ROW] = $load;
            });
            let column = $transform($isa, column);
            each!(ROW < $to, {
                half[ROW][$j] = column[ROW % column.len()];
            });
        }
        for ($k, row) in half[..$to].iter().enumerate() {
            let row = $transform($isa, *row);
            each!(COLUMN < $to, {
                let ($l, $y) = (COLUMN, row[COLUMN % row.len()]);
                $store;
            });
        }
    }};
}
pub(super) use along_both_axes;

/// Which squares: what they span, and the transform of one dimension.
pub trait Side {
    /// Positions along an axis.
    const POSITIONS: usize;
    /// Points along an axis.
    const POINTS: usize;

    fn transform<V: Float<Item = f32>>(isa: V::Isa, x: [V; POINTS]) -> [V; POINTS];
}

/// The inputs of tiles.
pub struct Inputs<F>(PhantomData<F>);

/// The gradients of the outputs of tiles.
pub struct Gradients<F>(PhantomData<F>);

impl<F: Transform> Side for Inputs<F> {
    const POSITIONS: usize = F::POINTS;
    const POINTS: usize = F::POINTS;

    #[inline(always)]
    fn transform<V: Float<Item = f32>>(isa: V::Isa, x: [V; POINTS]) -> [V; POINTS] {
        F::input(isa, x)
    }
}

impl<F: Transform> Side for Gradients<F> {
    const POSITIONS: usize = F::OUTPUTS;
    const POINTS: usize = F::POINTS;

    #[inline(always)]
    fn transform<V: Float<Item = f32>>(isa: V::Isa, x: [V; POINTS]) -> [V; POINTS] {
        F::output_gradient(isa, x)
    }
}

/// A tensor `(images, ..size, channels)` that squares are cut from.
#[derive(Clone, Copy)]
pub struct Squares<'a> {
    pub items: &'a [f32],
    pub size: [usize; 2],
    pub channels: usize,
    /// How far the first square reaches over the start.
    pub low: [isize; 2],
    /// What squares read beside the tensor, for all channels.
    pub zeros: &'a [f32],
    /// Items from a point of a result to the next.
    pub apart: usize,
}

impl<'a> Squares<'a> {
    /// The input of a problem.
    pub fn of_input(problem: &Problem, x: &'a [f32], zeros: &'a [f32]) -> Self {
        Squares {
            items: x,
            size: problem.input,
            channels: problem.depth,
            low: problem.low,
            zeros,
            apart: 0,
        }
    }

    /// The gradient of the output of a problem.
    pub fn of_output(problem: &Problem, g: &'a [f32], zeros: &'a [f32]) -> Self {
        Squares {
            items: g,
            size: problem.output,
            channels: problem.columns,
            low: [0; 2],
            zeros,
            apart: 0,
        }
    }

    /// Writes the transform of the square of a tile, given by its image and place.
    ///
    /// # Safety
    /// Whole registers for the channels may be written at each point, which are `apart` from each other.
    #[inline(always)]
    pub unsafe fn transform<I: Isa, S: Side>(
        &self,
        isa: I,
        (image, at): (usize, [usize; 2]),
        to: *mut f32,
    ) {
        let (channels, [height, width]) = (self.channels, self.size);
        // What each position reads: one of the tensor or zeros.
        let mut sources = [[self.zeros.as_ptr(); POINTS]; POINTS];
        for (i, sources) in sources[..S::POSITIONS].iter_mut().enumerate() {
            let y = (at[0] + i) as isize - self.low[0];
            for (j, source) in sources[..S::POSITIONS].iter_mut().enumerate() {
                let x = (at[1] + j) as isize - self.low[1];
                if (0..height as isize).contains(&y) && (0..width as isize).contains(&x) {
                    let position = (image * height + y as usize) * width + x as usize;
                    *source = self.items[position * channels..][..channels].as_ptr();
                }
            }
        }
        assert!(self.zeros.len() >= channels);
        let len = I::F32::LEN;
        let mut channel = 0;
        while channel < channels {
            let left = channels - channel;
            // SAFETY: so many items follow each source; for what is written, the caller's promise.
            unsafe {
                if left >= len {
                    along_both_axes!(isa, S::POSITIONS => S::POINTS, S::transform,
                        |i, j| I::F32::load_ptr(isa, sources[i][j].add(channel)),
                        |k, l, y| y.store_ptr(to.add((k * S::POINTS + l) * self.apart + channel)));
                } else {
                    along_both_axes!(isa, S::POSITIONS => S::POINTS, S::transform,
                        |i, j| I::F32::load_ptr_partial(isa, sources[i][j].add(channel), left),
                        |k, l, y| y.store_ptr(to.add((k * S::POINTS + l) * self.apart + channel)));
                }
            }
            channel += len;
        }
    }
}
