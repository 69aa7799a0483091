//! Pooling of single precision by folds along memory, a register at a time over as many positions as adjoin.
//!
//! Windows of a few taps are folded at once. For larger ones the lines of the input are folded to one first, in a scratch that
//! the first-level cache holds, and then the columns under each window: windows that overlap share the folds of columns. No
//! sum depends on how the work is split, so that results have the same bits for every number of threads.

use std::marker::PhantomData;
use std::ops::Range;

use simd::{Float, Isa, Lanes, Task, dispatch};

use super::Pooling;
use crate::conv::geometry::SPATIAL;
use crate::real::MAX_LANES;
use crate::threads::{Disjoint, grain, num_threads, parallel_for};

/// What is made of the items of a window.
trait Operation {
    /// What is made of some of its items, for this operation to go on with.
    type Part: Operation;

    /// With one item more.
    fn join<L: Float>(total: L, x: L) -> L;

    /// After the last item.
    #[inline(always)]
    fn finish<L: Float>(total: L, _count: L) -> L {
        total
    }
}

struct Maximum;
struct Sum;
struct Average;

impl Operation for Maximum {
    type Part = Maximum;

    #[inline(always)]
    fn join<L: Float>(total: L, x: L) -> L {
        total.maximum(x)
    }
}

impl Operation for Sum {
    type Part = Sum;

    #[inline(always)]
    fn join<L: Float>(total: L, x: L) -> L {
        total + x
    }
}

impl Operation for Average {
    type Part = Sum;

    #[inline(always)]
    fn join<L: Float>(total: L, x: L) -> L {
        total + x
    }

    #[inline(always)]
    fn finish<L: Float>(total: L, count: L) -> L {
        total / count
    }
}

/// [`super::max_pool`].
pub(super) fn max_pool(pooling: &Pooling, x: &[f32], out: &mut [f32]) {
    lines::<Maximum>(pooling, x, out);
}

/// [`super::avg_pool`].
pub(super) fn avg_pool(pooling: &Pooling, x: &[f32], out: &mut [f32]) {
    lines::<Average>(pooling, x, out);
}

/// Items of the scratch: with what a fold reads beside it they fit into the first-level cache.
const SCRATCH: usize = if cfg!(test) { 64 } else { 4096 };

/// Taps that one pass over memory joins to the first.
const MORE: usize = 3;

/// All lines of the output, along its last spatial dimension.
fn lines<O: Operation>(pooling: &Pooling, x: &[f32], out: &mut [f32]) {
    assert_eq!((x.len(), out.len()), (pooling.x_len(), pooling.out_len()));
    if out.is_empty() {
        return;
    }
    let (w, channels) = (&pooling.window, pooling.channels);
    let lines = pooling.batch * w.output[0] * w.output[1];
    // As many channels as the scratch holds under one window; fewer where there are more threads than lines.
    let mut fitting = SCRATCH / w.reach(2);
    if fitting < channels {
        fitting -= fitting % MAX_LANES;
    }
    let separable = w.taps_len() > 1 + MORE && fitting > 0;
    let mut block = channels.div_ceil(num_threads().div_ceil(lines));
    block = block.next_multiple_of(MAX_LANES).min(channels);
    if separable {
        block = block.min(fitting);
    }
    let blocks = channels.div_ceil(block);
    let inside = [0, 1, 2].map(|axis| w.inside(axis));
    let cost = w.output[2] * block * w.taps_len();
    let out = Disjoint::new(out);
    parallel_for(lines * blocks, grain(cost), |parts| {
        dispatch(Parts::<O> {
            pooling,
            x,
            out: &out,
            parts,
            block,
            blocks,
            separable,
            inside: &inside,
            operation: PhantomData,
        });
    });
}

/// Blocks of channels of lines.
struct Parts<'a, O> {
    pooling: &'a Pooling,
    x: &'a [f32],
    out: &'a Disjoint<'a, f32>,
    /// Which of them; those of a line follow each other.
    parts: Range<usize>,
    /// Channels of a block.
    block: usize,
    /// Blocks of a line.
    blocks: usize,
    /// Whether lines are folded before columns.
    separable: bool,
    /// The output positions whose windows are whole.
    inside: &'a [Range<usize>; SPATIAL],
    operation: PhantomData<O>,
}

impl<O: Operation> Task for Parts<'_, O> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let mut filled;
        let mut scratch = &mut [][..];
        if self.separable {
            filled = [0.0; SCRATCH + MAX_LANES];
            scratch = &mut filled;
        }
        for part in self.parts.clone() {
            let first = part % self.blocks * self.block;
            let channels = first..self.pooling.channels.min(first + self.block);
            self.line(isa, part / self.blocks, channels, scratch);
        }
    }
}

impl<O: Operation> Parts<'_, O> {
    /// The taps of an output position that fall on the input.
    #[inline(always)]
    fn taps(&self, axis: usize, o: usize) -> Range<usize> {
        let inside = &self.inside[axis];
        self.pooling.window.taps_beside(axis, o, inside)
    }

    /// Some channels of a line.
    #[inline(always)]
    fn line<I: Isa>(&self, isa: I, line: usize, channels: Range<usize>, scratch: &mut [f32]) {
        let w = &self.pooling.window;
        let (rest, j) = (line / w.output[1], line % w.output[1]);
        let (image, i) = (rest / w.output[0], rest % w.output[0]);
        let [above, beside] = [self.taps(0, i), self.taps(1, j)];
        let lines = [above.len(), beside.len()];
        let mut items = self.x;
        let width = w.input[2] * self.pooling.channels;
        if !lines.contains(&0) {
            let plane = image * w.input[0] + w.place(0, i, above.start);
            let row = plane * w.input[1] + w.place(1, j, beside.start);
            items = &items[row * width + channels.start..];
        }
        let x = Columns {
            items,
            lines,
            steps: [w.dilation[0] * w.input[1] * width, w.dilation[1] * width],
            first: 0,
            pitch: self.pooling.channels,
        };
        let mut tile = w.output[2];
        let separable = self.separable && lines[0] * lines[1] > 1;
        if separable {
            tile = (SCRATCH / channels.len() - w.reach(2)) / w.strides[2] + 1;
        }
        for first in (0..w.output[2]).step_by(tile) {
            let outputs = first..w.output[2].min(first + tile);
            let mut columns = x;
            if separable {
                let end = w.origin(2, outputs.end - 1) + w.reach(2) as isize;
                let start = w.origin(2, first).max(0) as usize;
                let under = start..w.input[2].min(end.max(0) as usize);
                columns = x.folded::<I, O::Part>(isa, under, channels.len(), scratch);
            }
            let count = lines[0] * lines[1];
            self.windows(isa, line, outputs, channels.clone(), columns, count);
        }
    }

    /// Some channels of the outputs of a line, whose windows reach over so many lines of the input.
    #[inline(always)]
    fn windows<I: Isa>(
        &self,
        isa: I,
        line: usize,
        outputs: Range<usize>,
        channels: Range<usize>,
        columns: Columns<'_>,
        lines: usize,
    ) {
        let (w, inside) = (&self.pooling.window, &self.inside[2]);
        let (all, some) = (self.pooling.channels, channels.len());
        let ([a, b], steps, pitch) = (columns.lines, columns.steps, columns.pitch);
        let mut k = outputs.start;
        while k < outputs.end {
            let taps = self.taps(2, k);
            let at = (line * w.output[2] + k) * all + channels.start;
            let (mut runs, mut end) = (1, at + some);
            if self.blocks == 1 {
                end = self.parts.end * w.output[2] * all;
                if inside.contains(&k) {
                    runs = inside.end.min(outputs.end) - k;
                }
            }
            // SAFETY: it stays in this task's parts, which are disjoint from others', and is the only slice of them now.
            let out = unsafe { self.out.slice_mut(at..end) };
            if lines == 0 || taps.is_empty() {
                out[..runs * some].fill(0.0);
            } else {
                let fold = Fold {
                    taps: [a, b, taps.len()],
                    steps: [steps[0], steps[1], w.dilation[2] * pitch],
                    runs,
                    len: some,
                    pitch: [w.strides[2] * pitch, all],
                    count: lines * taps.len(),
                };
                let first = w.place(2, k, taps.start) - columns.first;
                fold.run::<I, O>(isa, &columns.items[first * pitch..], out);
            }
            k += runs;
        }
    }
}

/// Columns of some lines: of the input, or of what those were folded to.
#[derive(Clone, Copy)]
struct Columns<'a> {
    items: &'a [f32],
    /// Lines in the two outer dimensions.
    lines: [usize; 2],
    /// Items from a line to the next.
    steps: [usize; 2],
    /// The column that `items` start with.
    first: usize,
    /// Items from a column to the next.
    pitch: usize,
}

impl Columns<'_> {
    /// One line in the scratch for all of them.
    #[inline(always)]
    fn folded<'a, I: Isa, O: Operation>(
        &self,
        isa: I,
        columns: Range<usize>,
        channels: usize,
        scratch: &'a mut [f32],
    ) -> Columns<'a> {
        if !columns.is_empty() {
            let fold = Fold {
                taps: [self.lines[0], self.lines[1], 1],
                steps: [self.steps[0], self.steps[1], 0],
                runs: columns.len(),
                len: channels,
                pitch: [self.pitch, channels],
                count: 1,
            };
            fold.run::<I, O>(isa, &self.items[columns.start * self.pitch..], scratch);
        }
        Columns {
            items: scratch,
            lines: [1; 2],
            steps: [0; 2],
            first: columns.start,
            pitch: channels,
        }
    }
}

/// A fold of runs of items: each of them becomes one with those at its other taps.
struct Fold {
    /// Taps along each dimension.
    taps: [usize; SPATIAL],
    /// Items from a tap to the next.
    steps: [usize; SPATIAL],
    runs: usize,
    /// Items of a run.
    len: usize,
    /// Items from a run to the next, in what is read and in what is written.
    pitch: [usize; 2],
    /// Items of a window.
    count: usize,
}

impl Fold {
    /// Folds `from` to `to`; what lies in `to` behind a run may be overwritten, up to the next one.
    #[inline(always)]
    fn run<I: Isa, O: Operation>(mut self, isa: I, from: &[f32], to: &mut [f32]) {
        let ([a, b, c], steps, pitch) = (self.taps, self.steps, self.pitch);
        if pitch == [self.len; 2] {
            (self.runs, self.len) = (1, self.runs * self.len);
        }
        let last = self.runs - 1;
        let reach = (a - 1) * steps[0] + (b - 1) * steps[1] + (c - 1) * steps[2];
        let fits = |len: usize| {
            last * pitch[0] + reach + len <= from.len() && last * pitch[1] + len <= to.len()
        };
        assert!(fits(self.len));
        // Runs end with whole registers, unless a second pass would find the next run's items spoilt.
        let whole = self.len.next_multiple_of(I::F32::LEN);
        if (self.runs == 1 || a * b * c <= 1 + MORE) && fits(whole) {
            self.len = whole;
        }

        let (from, to) = (from.as_ptr(), to.as_mut_ptr());
        let mut head = (from, pitch[0]);
        let (mut more, mut waiting) = ([from; MORE], 0);
        for i in 0..a {
            for j in 0..b {
                for k in usize::from(i + j == 0)..c {
                    if waiting == MORE {
                        // SAFETY: all taps of all runs fit into both slices.
                        unsafe { self.pass::<I, O::Part, MORE>(isa, head, more, to) };
                        (head, waiting) = ((to.cast_const(), pitch[1]), 0);
                    }
                    more[waiting] = from.wrapping_add(i * steps[0] + j * steps[1] + k * steps[2]);
                    waiting += 1;
                }
            }
        }
        let [first, second, _] = more;
        // SAFETY: as above.
        unsafe {
            match waiting {
                0 => self.pass::<I, O, 0>(isa, head, [], to),
                1 => self.pass::<I, O, 1>(isa, head, [first], to),
                2 => self.pass::<I, O, 2>(isa, head, [first, second], to),
                _ => self.pass::<I, O, MORE>(isa, head, more, to),
            }
        }
    }

    /// Joins the items at the taps `more` to those at `head`, whose runs have their own pitch.
    ///
    /// # Safety
    /// All runs are valid for reads at all taps and for writes at `to`.
    #[inline(always)]
    unsafe fn pass<I: Isa, O: Operation, const N: usize>(
        &self,
        isa: I,
        (head, head_pitch): (*const f32, usize),
        more: [*const f32; N],
        to: *mut f32,
    ) {
        let count = isa.splat(self.count as f32);
        for run in 0..self.runs {
            let head = head.wrapping_add(run * head_pitch);
            let from = run * self.pitch[0];
            let to = to.wrapping_add(run * self.pitch[1]);
            let mut at = 0;
            // SAFETY: by the caller's promise.
            unsafe {
                while at + I::F32::LEN <= self.len {
                    let mut total = I::F32::load_ptr(isa, head.add(at));
                    for tap in &more {
                        total = O::join(total, I::F32::load_ptr(isa, tap.add(from + at)));
                    }
                    O::finish(total, count).store_ptr(to.add(at));
                    at += I::F32::LEN;
                }
                if at < self.len {
                    let rest = self.len - at;
                    let mut total = I::F32::load_ptr_partial(isa, head.add(at), rest);
                    for tap in &more {
                        let x = I::F32::load_ptr_partial(isa, tap.add(from + at), rest);
                        total = O::join(total, x);
                    }
                    O::finish(total, count).store_ptr_partial(to.add(at), rest);
                }
            }
        }
    }
}
