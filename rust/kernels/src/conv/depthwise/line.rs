//! A line of sums over a few lines of a source: of outputs, or of the gradient's items that take the same taps.

use simd::{Float, Isa, Lanes, Level, Task, dispatch, prefetch_second, unrolled};

use super::{read, write};
use crate::gemm::Real;

/// Columns that share the load of a weight.
const COLUMNS: usize = 4;

/// Columns that do in longer lines, of which images of 224 x 224 give multiples of seven. With AVX-512, a peak of 118 GFLOP/s and 5 x 5
/// taps, 8 images of 14 x 14 x 672 reach 69 by fours and 103 by sevens, of 28 x 28 x 240 72 and 95.
const MORE_COLUMNS: usize = 7;

/// Taps along the last axis that have a kernel of their own, at most.
const MOST_TAPS: usize = 5;

/// Lines of the source that are added at a time; more take several passes over the output.
const LINES: usize = 64;

/// How sums read the last axis: column `j` and a tap take position `first + j * step` of a line of the source, with the tap's `first`, zero
/// outside of it.
pub struct Sums<'a, T> {
    /// Lines of `positions` x `channels`.
    pub source: &'a [T],
    /// Positions of a line.
    pub positions: usize,
    /// The kernel `(taps, channels)`.
    pub kernel: &'a [T],
    /// Channels.
    pub channels: usize,
    /// Positions between columns.
    pub step: usize,
    /// Columns.
    pub columns: usize,
    /// The position in the line of the output of the first column.
    pub out_first: usize,
    /// Positions in it between columns.
    pub out_step: usize,
    /// Lines of the source behind those of this line of the output that the next one takes.
    pub new_lines: usize,
    /// What sums begin with.
    pub bias: Option<&'a [T]>,
}

/// Neighbouring taps over a line of the source.
#[derive(Clone, Copy)]
struct Entry {
    /// The item that the line begins with.
    line: usize,
    /// The position of the first tap for column 0.
    first: isize,
    /// The first tap in the kernel.
    tap: usize,
}

impl<T: Real> Sums<'_, T> {
    /// Whether neighbouring taps are taken together: only in single precision, which images have, as each case is code of its own for
    /// every instruction set.
    const CASES: bool = size_of::<T>() == size_of::<f32>();

    /// Writes the line. `lines` gives an index of a line and the first of the kernel's taps over it, `taps` the taps to be added to
    /// that with the position that they take for column 0.
    pub fn run(
        &self,
        lines: impl Iterator<Item = (usize, usize)>,
        taps: impl Iterator<Item = (usize, isize)> + Clone,
        out: &mut [T],
    ) {
        let count = taps.clone().count();
        let pairs = || taps.clone().zip(taps.clone().skip(1));
        let next = pairs().next();
        let tap_step = next.map_or(1, |(a, b)| b.0 as isize - a.0 as isize);
        // Taps at neighbouring positions are taken together, the steps between columns being known.
        let neighbours = pairs().all(|(a, b)| b.1 == a.1 + 1);
        let together = Self::CASES
            && neighbours
            && count > 1
            && count <= MOST_TAPS
            && matches!((count, self.step), (2 | 3 | 5, 1) | (3 | 5, 2));
        let mut entries = [Entry {
            line: 0,
            first: 0,
            tap: 0,
        }; LINES];
        let (mut used, mut begun) = (0, false);
        let mut pass = |entries: &[Entry], begun: bool, whole: bool| {
            let task = Pass {
                sums: self,
                entries,
                tap_step,
                begun,
                whole,
                out: &mut *out,
            };
            match (count, self.step) {
                (2, 1) if Self::CASES && together => dispatch(Of::<T, 2, 1>(task)),
                (3, 1) if Self::CASES && together => dispatch(Of::<T, 3, 1>(task)),
                (5, 1) if Self::CASES && together => dispatch(Of::<T, 5, 1>(task)),
                (3, 2) if Self::CASES && together => dispatch(Of::<T, 3, 2>(task)),
                (5, 2) if Self::CASES && together => dispatch(Of::<T, 5, 2>(task)),
                _ => dispatch(Of::<T, 1, 0>(task)),
            }
        };
        for (line, tap) in lines {
            let most = if together { 1 } else { count };
            for (index, first) in taps.clone().take(most) {
                if used == LINES {
                    pass(&entries, begun, false);
                    (used, begun) = (0, true);
                }
                entries[used] = Entry {
                    line: line * self.positions * self.channels,
                    first,
                    tap: tap + index,
                };
                used += 1;
            }
        }
        pass(&entries[..used], begun, !begun);
    }
}

/// Some entries added to the line.
struct Pass<'a, T> {
    sums: &'a Sums<'a, T>,
    entries: &'a [Entry],
    /// From a tap to the next of an entry.
    tap_step: isize,
    /// Whether the line holds the sums of a pass before.
    begun: bool,
    /// Whether there is no other pass: then columns may be computed twice.
    whole: bool,
    out: &'a mut [T],
}

/// A pass over entries of `K` taps, columns being `S` positions apart (any distance for 0, with one tap).
struct Of<'a, T, const K: usize, const S: usize>(Pass<'a, T>);

impl<T: Real, const K: usize, const S: usize> Task for Of<'_, T, K, S> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Of(mut pass) = self;
        let (columns, channels) = (pass.sums.columns, pass.sums.channels);
        let mut first = 0;
        // Without lanes in registers, columns have no room side by side.
        let wide = I::LEVEL != Level::Scalar;
        let sevens = match K {
            // Fours take two registers of channels, which hides as much of the latency where registers are short.
            3 if I::LEVEL == Level::Avx512 => {
                columns >= MORE_COLUMNS && !columns.is_multiple_of(COLUMNS)
            }
            5 => columns == MORE_COLUMNS || columns > 2 * COLUMNS,
            _ => false,
        };
        if wide && sevens && pass.whole {
            first = channels - channels % T::Lanes::<I>::LEN;
            isa.run(More::<T, K, S>(&mut pass, first));
        }
        let mut column = 0;
        while column < columns && first < channels {
            if wide && column + COLUMNS <= columns {
                pass.channels::<I, COLUMNS, K, S>(isa, first, column);
                column += COLUMNS;
            } else if wide && columns > COLUMNS && pass.whole {
                pass.channels::<I, COLUMNS, K, S>(isa, first, columns - COLUMNS);
                break;
            } else {
                pass.channels::<I, 1, K, S>(isa, first, column);
                column += 1;
            }
        }
    }
}

/// The first channels, whole registers, of all columns of an [`Of`], of which there are as many as a tile takes.
struct More<'p, 'a, T, const K: usize, const S: usize>(&'p mut Pass<'a, T>, usize);

impl<T: Real, const K: usize, const S: usize> Task for More<'_, '_, T, K, S> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let More(pass, channels) = self;
        let (columns, lanes) = (pass.sums.columns, T::Lanes::<I>::LEN);
        for column in (0..columns).step_by(MORE_COLUMNS) {
            let column = column.min(columns - MORE_COLUMNS);
            for channel in (0..channels).step_by(lanes) {
                pass.tile::<T::Lanes<I>, 1, MORE_COLUMNS, K, S, true>(isa, channel, lanes, column);
            }
        }
    }
}

impl<T: Real> Pass<'_, T> {
    /// The channels from the first on of `C` columns.
    #[inline(always)]
    fn channels<I: Isa, const C: usize, const K: usize, const S: usize>(
        &mut self,
        isa: I,
        first: usize,
        column: usize,
    ) {
        let (lanes, channels) = (T::Lanes::<I>::LEN, self.sums.channels);
        let mut channel = first;
        while channel < channels {
            let left = channels - channel;
            if K <= 3 && C > 1 && left >= 2 * lanes {
                self.tile::<T::Lanes<I>, 2, C, K, S, true>(isa, channel, lanes, column);
                channel += 2 * lanes;
            } else if (K > 3 || C == 1) && left >= lanes {
                self.tile::<T::Lanes<I>, 1, C, K, S, true>(isa, channel, lanes, column);
                channel += lanes;
            } else {
                self.tile::<T::Lanes<I>, 1, C, K, S, false>(isa, channel, left.min(lanes), column);
                channel += lanes;
            }
        }
    }

    /// `N` vectors of channels (each whole, or the first `n` lanes of one) of `C` columns.
    #[inline(always)]
    fn tile<
        V: Float<Item = T>,
        const N: usize,
        const C: usize,
        const K: usize,
        const S: usize,
        const WHOLE: bool,
    >(
        &mut self,
        isa: V::Isa,
        channel: usize,
        n: usize,
        column: usize,
    ) {
        let sums_of = self.sums;
        let channels = sums_of.channels;
        let n = if WHOLE { V::LEN } else { n };
        let out_step = sums_of.out_step * channels;
        let to = (sums_of.out_first + column * sums_of.out_step) * channels + channel;
        assert!(to + (C - 1) * out_step + (N - 1) * V::LEN + n <= self.out.len());
        // SAFETY: as was just checked.
        let out = unsafe { self.out.as_mut_ptr().add(to) };
        let mut sums = [[V::zero(isa); N]; C];
        for (t, sums) in sums.iter_mut().enumerate() {
            for (v, sum) in sums.iter_mut().enumerate() {
                if self.begun {
                    // SAFETY: an item of the output.
                    *sum = unsafe { read(isa, out.add(t * out_step + v * V::LEN).cast_const(), n) };
                } else if let Some(bias) = sums_of.bias {
                    *sum = V::load_partial(isa, &bias[channel + v * V::LEN..][..n]);
                }
            }
        }
        let step = if S == 0 { sums_of.step } else { S };
        for entry in self.entries {
            let first = entry.first + (column * step) as isize;
            let last_tap = entry.tap as isize + (K as isize - 1) * self.tap_step;
            debug_assert!(
                (entry.tap.max(last_tap as usize) + 1) * channels <= sums_of.kernel.len()
            );
            debug_assert!(entry.line + sums_of.positions * channels <= sums_of.source.len());
            // SAFETY: the entry's taps are taps of the kernel and its line one of the source, whose lengths are checked where
            // the sums are made; positions outside of the line are not read.
            unsafe {
                let kernel = sums_of.kernel.as_ptr().add(entry.tap * channels + channel);
                let mut weights = [[V::zero(isa); N]; K];
                for (c, weights) in weights.iter_mut().enumerate() {
                    for (v, weight) in weights.iter_mut().enumerate() {
                        let at = c as isize * self.tap_step * channels as isize;
                        *weight = read(isa, kernel.offset(at).add(v * V::LEN), n);
                    }
                }
                let line = sums_of.source.as_ptr().add(entry.line + channel);
                let x = line.wrapping_offset(first * channels as isize);
                let positions = sums_of.positions as isize;
                if S == 0 {
                    unrolled!(@ T_ C, {
                        let p = T_ * step;
                        if (0..positions).contains(&(first + p as isize)) {
                            for v in 0..N {
                                let x: V = read(isa, x.wrapping_add(p * channels + v * V::LEN), n);
                                sums[T_ % C][v] = x.mul_add(weights[0][v], sums[T_ % C][v]);
                            }
                        }
                    }, 0 1 2 3 4 5 6);
                } else {
                    unrolled!(@ P (C - 1) * S + K, {
                        if (0..positions).contains(&(first + P as isize)) {
                            for v in 0..N {
                                let x: V = read(isa, x.wrapping_add(P * channels + v * V::LEN), n);
                                unrolled!(@ T_ C, {
                                    let c = P.wrapping_sub(T_ * S);
                                    if c < K {
                                        sums[T_ % C][v] = x.mul_add(weights[c][v], sums[T_ % C][v]);
                                    }
                                }, 0 1 2 3 4 5 6);
                            }
                        }
                    }, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
                }
            }
        }
        // What the next line takes and writes: there is time until then.
        let ahead = C >= COLUMNS && Sums::<T>::CASES;
        if let (true, Some(last)) = (ahead, self.entries.last()) {
            let first = last.first + (column * step) as isize;
            let x = sums_of.source.as_ptr().wrapping_add(last.line + channel);
            let x = x.wrapping_offset(first * channels as isize);
            for line in 1..=sums_of.new_lines {
                let x = x.wrapping_add(line * sums_of.positions * channels);
                for p in 0..C * step {
                    for v in 0..N {
                        prefetch_second(x.wrapping_add(p * channels + v * V::LEN));
                    }
                }
            }
            for t in 0..C {
                for v in 0..N {
                    let next = self.out.len() + t * out_step + v * V::LEN;
                    prefetch_second(out.wrapping_add(next));
                }
            }
        }
        for (t, sums) in sums.into_iter().enumerate() {
            for (v, sum) in sums.into_iter().enumerate() {
                // SAFETY: an item of the output, as was checked.
                unsafe { write(sum, out.add(t * out_step + v * V::LEN), n) };
            }
        }
    }
}
