//! The loops around the microkernel: tasks, blocks, panels.
use std::ops::Range;

use simd::{Isa, Lanes, Level, Task, dispatch_at, level};

use super::blocking::{self, Blocks, CACHE_LINE, Caches, Grid, register_bytes, slice_depth, tile};
use super::epilogue::{Epilogue, activate, activate_slice};
use super::microkernel::{self, Base, Panels, Place, WHOLE, tile_ahead};
use super::operand::{Operand, PackStrided, Strided};
use super::panels::Shared;
use super::{Real, gemv};
use crate::activation::Activation;
use crate::threads::{grain, num_threads, parallel_chunks_mut, share_tasks};

/// A side of a product.
#[derive(Clone, Copy)]
pub enum Side<'a, T> {
    /// A matrix in memory.
    Strided(Strided<'a, T>),
    /// Whatever packs itself; its lines are the rows of `A` or the columns of `B`.
    Operand(&'a dyn Operand<T>),
    /// A `B` that was packed in advance.
    Packed(Packed<'a, T>),
}

/// The right side of a product.
pub type Right<'a, T> = Side<'a, T>;

impl<'a, T> From<Strided<'a, T>> for Side<'a, T> {
    fn from(matrix: Strided<'a, T>) -> Self {
        Side::Strided(matrix)
    }
}

impl<'a, T, O: Operand<T>> From<&'a O> for Side<'a, T> {
    fn from(operand: &'a O) -> Self {
        Side::Operand(operand)
    }
}

impl<'a, T> From<Packed<'a, T>> for Side<'a, T> {
    fn from(packed: Packed<'a, T>) -> Self {
        Side::Packed(packed)
    }
}

/// A whole `B` in panels, as one instruction set reads them.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a, T> {
    pub(super) items: &'a [T],
    pub(super) level: Level,
}

impl<'a, T: Real> Packed<'a, T> {
    /// Items in the panels of a `k` x `n` matrix.
    pub fn len(level: Level, n: usize, k: usize) -> usize {
        n.next_multiple_of(panel_columns::<T>(level)) * k
    }

    /// Packs `b` of `k` x `n` into `items`, which should start at a cache line.
    pub fn pack(level: Level, b: &dyn Operand<T>, n: usize, k: usize, items: &'a mut [T]) -> Self {
        let width = panel_columns::<T>(level);
        assert!(
            items.len() >= Self::len(level, n, k),
            "a packed matrix is longer"
        );
        let (len, packed) = ((width * k).max(1), Self::len(level, n, k));
        parallel_chunks_mut(&mut items[..packed], len, grain(len), |index, panel| {
            let start = index * width;
            b.pack(start..n.min(start + width), 0..k, width, panel);
        });
        Packed { items, level }
    }

    /// What [`Packed::pack`] wrote for that level.
    pub fn new(level: Level, items: &'a [T]) -> Self {
        Packed { items, level }
    }

    /// The matrix of depth `k` from a column on that starts a panel.
    pub(crate) fn after_columns(&self, column: usize, k: usize) -> Self {
        debug_assert!(column.is_multiple_of(panel_columns::<T>(self.level)));
        Packed {
            items: &self.items[column * k..],
            ..*self
        }
    }
}

/// The product `C = epilogue(A B)` of an `m` x `k` and a `k` x `n` matrix.
#[derive(Clone, Copy)]
pub struct Gemm<'a, T> {
    m: usize,
    n: usize,
    k: usize,
    a: Side<'a, T>,
    b: Side<'a, T>,
    epilogue: Epilogue<'a, T>,
}

impl<'a, T: Real> Gemm<'a, T> {
    /// The plain product.
    pub fn new(
        m: usize,
        n: usize,
        k: usize,
        a: impl Into<Side<'a, T>>,
        b: impl Into<Side<'a, T>>,
    ) -> Self {
        Gemm {
            m,
            n,
            k,
            a: a.into(),
            b: b.into(),
            epilogue: Epilogue::default(),
        }
    }

    /// With that made of the sums.
    pub fn epilogue(self, epilogue: Epilogue<'a, T>) -> Self {
        Gemm { epilogue, ..self }
    }

    /// Items of scratch that [`Gemm::run`] wants.
    pub fn scratch_len(&self) -> usize {
        scratch_len::<T>(1, self.m, self.n, self.k)
    }

    /// Computes the product into `c`, whose rows of `n` items start every `c_stride` items.
    ///
    /// # Panics
    /// When an operand, the output or the scratch is too short.
    pub fn run(&self, c: &mut [T], c_stride: usize, scratch: &mut [T]) {
        assert!(c_stride >= self.n, "rows of the output overlap");
        let len = c.len();
        T::run_all(
            1,
            [self.m, self.n, self.k],
            &|_| *self,
            c,
            c_stride,
            len,
            scratch,
        );
    }
}

/// Computes `count` products of one size into consecutive `m` x `n` matrices of `c`.
///
/// # Panics
/// When a product has another size, or an operand, the output or the scratch is too short.
pub fn batched<'a, T: Real>(
    count: usize,
    size: [usize; 3],
    product: impl Fn(usize) -> Gemm<'a, T> + Sync,
    c: &mut [T],
    scratch: &mut [T],
) {
    let [m, n, _] = size;
    T::run_all(count, size, &product, c, n, m * n, scratch);
}

/// Items of scratch for `count` products of `m` x `n` x `k`.
pub fn scratch_len<T: Real>(count: usize, m: usize, n: usize, k: usize) -> usize {
    let cut = |item_macs: [usize; 2]| {
        let shape = Shape::new::<T>(level(), num_threads(), count, item_macs, [m, n, k]);
        let len = shape.others(m * n) + shape.grid.workers * shape.worker_len::<T>();
        (shape.grid.workers, len)
    };
    let (workers, mut work) = cut(EVERY_COST[0]);
    // A worker alone has one task, whatever its sides cost.
    if workers > 1 {
        for item_macs in &EVERY_COST[1..] {
            work = work.max(cut(*item_macs).1);
        }
    }
    // Some more, to align the first panel; a vector is packed whole.
    let vector = if m == 1 || n == 1 { k } else { 0 };
    work.max(vector) + CACHE_LINE / size_of::<T>()
}

/// Scratch that was measured for more threads than this may be too short for fewer.
const MAX_THREADS_OF_SCRATCH: usize = 256;

/// What [`Checked::item_macs`] gives.
const EVERY_COST: [[usize; 2]; 4] = {
    let [packed, read] = [blocking::PACKED_MACS, blocking::READ_MACS];
    [
        [packed, packed],
        [packed, read],
        [read, packed],
        [read, read],
    ]
};

/// The items of a panel's row.
pub(super) fn panel_columns<T>(level: Level) -> usize {
    tile(level).registers * register_bytes(level) / size_of::<T>()
}

/// Sizes up to which a product is too little work to look for a cut.
const SMALL: usize = 64;

/// How products of one size are cut under an instruction set.
#[derive(Clone, Copy)]
struct Shape {
    level: Level,
    panel_rows: usize,
    panel_columns: usize,
    grid: Grid,
    blocks: Blocks,
    /// Slices of the depth whose sums are added at the end, and the depth of one.
    slices: usize,
    slice: usize,
}

impl Shape {
    fn new<T>(
        level: Level,
        threads: usize,
        count: usize,
        item_macs: [usize; 2],
        [m, n, k]: [usize; 3],
    ) -> Shape {
        let panel_rows = tile(level).rows;
        let panel_columns = panel_columns::<T>(level);
        if count == 1 && m.max(n).max(k) <= SMALL {
            // One task of one block, whatever the caches are.
            let blocks = Blocks {
                rows: m.next_multiple_of(panel_rows),
                columns: n.next_multiple_of(panel_columns),
                depth: k.max(1),
            };
            return Shape {
                level,
                panel_rows,
                panel_columns,
                grid: Grid {
                    rows: blocks.rows,
                    columns: blocks.columns,
                    workers: 1,
                },
                blocks,
                slices: 1,
                slice: k,
            };
        }
        let slice = if count == 1 {
            slice_depth([m, n, k])
        } else {
            k
        };
        let slices = k.div_ceil(slice.max(1)).max(1);
        let products = count * slices;
        let panel = [panel_rows, panel_columns];
        let grid = Grid::new(threads, products, panel, item_macs, [m, n, slice]);
        let task = [grid.rows.min(m), grid.columns.min(n), slice];
        let blocks = Blocks::new(
            Caches::of_machine(),
            panel_rows,
            panel_columns,
            size_of::<T>(),
            task,
        );
        Shape {
            level,
            panel_rows,
            panel_columns,
            grid,
            blocks,
            slices,
            slice,
        }
    }

    /// Items of the outputs of `len` items of the slices behind the first.
    fn others(&self, len: usize) -> usize {
        (self.slices - 1) * len
    }

    /// Items of scratch of a worker: a block of `A`, a block of `B`.
    fn worker_len<T>(&self) -> usize {
        (self.blocks.rows + self.blocks.columns)
            * self
                .blocks
                .depth
                .next_multiple_of(CACHE_LINE / size_of::<T>())
    }
}

/// [`batched`], with the strides of an output's rows and from one output to the next.
pub(super) fn run_all<'a, T: Real>(
    count: usize,
    size: [usize; 3],
    product: &(dyn Fn(usize) -> Gemm<'a, T> + Sync),
    c: &mut [T],
    c_stride: usize,
    c_step: usize,
    scratch: &mut [T],
) {
    let [m, n, k] = size;
    if count == 0 || m == 0 || n == 0 {
        return;
    }
    assert!(
        c.len() >= (count - 1) * c_step + (m - 1) * c_stride + n,
        "{count} outputs of {m} x {n} leave their slice of {} items",
        c.len()
    );
    let first = product(0);
    if count == 1 && gemv::run(&first.checked(size), c, c_stride, scratch) {
        return;
    }
    let level = match first.b {
        Side::Packed(b) => b.level,
        _ => level(),
    };
    let skip = scratch.as_ptr().align_offset(CACHE_LINE).min(scratch.len());
    let scratch = &mut scratch[skip..];
    let item_macs = first.checked(size).item_macs();
    // The number of threads may have changed since the scratch was measured: then another cut, which gives the same bits.
    let shape = std::iter::once(num_threads())
        .chain(1..=MAX_THREADS_OF_SCRATCH)
        .map(|threads| Shape::new::<T>(level, threads, count, item_macs, size))
        .find(|shape| shape.others(m * n) + shape.worker_len::<T>() <= scratch.len());
    let shape = shape.expect("the scratch of a product is longer");
    let (others, scratch) = scratch.split_at_mut(shape.others(m * n));
    let worker_len = shape.worker_len::<T>();
    let workers = shape.grid.workers.min(scratch.len() / worker_len);
    let (down, across) = (m.div_ceil(shape.grid.rows), n.div_ceil(shape.grid.columns));
    let out = Shared(c.as_mut_ptr());
    let other = Shared(others.as_mut_ptr());
    let tasks = count * shape.slices * down * across;
    share_tasks(tasks, workers, scratch, worker_len, |tasks, scratch| {
        for task in tasks {
            let (index, task) = (task / (down * across), task % (down * across));
            let (item, slice) = (index / shape.slices, index % shape.slices);
            let part =
                |index: usize, step: usize, n: usize| index * step..n.min((index + 1) * step);
            // SAFETY: the output was found long enough for every item, and there is one more for each slice behind the first.
            let (c, c_stride) = unsafe {
                match slice {
                    0 => (out.get().add(item * c_step), c_stride),
                    _ => (other.get().add((slice - 1) * m * n), n),
                }
            };
            dispatch_at(
                shape.level,
                Part {
                    product: product(item).checked(size),
                    shape,
                    rows: part(task / across, shape.grid.rows, m),
                    columns: part(task % across, shape.grid.columns, n),
                    depth: part(slice, shape.slice, k),
                    c,
                    c_stride,
                    scratch,
                },
            );
        }
    });
    if shape.slices > 1 {
        add_slices(c, c_stride, others, n, first.epilogue.activation);
    }
}

/// Adds the other slices' sums to the rows of `n` items of the first one, and applies the activation.
fn add_slices<T: Real>(
    c: &mut [T],
    c_stride: usize,
    others: &[T],
    n: usize,
    activation: Option<Activation>,
) {
    let rows = c.len().div_ceil(c_stride);
    parallel_chunks_mut(c, c_stride, grain(others.len() / rows), |index, row| {
        let row = &mut row[..n];
        for other in others.chunks_exact(rows * n) {
            for (sum, &more) in row.iter_mut().zip(&other[index * n..]) {
                *sum = *sum + more;
            }
        }
        if let Some(activation) = activation {
            activate_slice(activation, row);
        }
    });
}

impl<'a, T: Real> Side<'a, T> {
    /// The side, once what lies in memory is found long enough.
    fn checked(self, lines: usize, depth: usize) -> Self {
        match self {
            Side::Strided(strided) => {
                strided.check(lines, depth);
                self
            }
            Side::Operand(operand) => match operand.as_strided() {
                Some(strided) => Side::Strided(strided).checked(lines, depth),
                None => self,
            },
            Side::Packed(b) => {
                assert!(
                    b.items.len() >= Packed::<T>::len(b.level, lines, depth),
                    "a packed matrix is longer"
                );
                self
            }
        }
    }

    /// The matrix in memory, where the depth `k` gives it items.
    fn strided(&self, k: usize) -> Option<&Strided<'a, T>> {
        match self {
            Side::Strided(matrix) if k > 0 => Some(matrix),
            _ => None,
        }
    }

    /// Packs the panels of some lines.
    #[inline(always)]
    fn pack<I: Isa>(
        &self,
        isa: I,
        lines: Range<usize>,
        depth: Range<usize>,
        width: usize,
        panels: &mut [T],
    ) {
        match self {
            Side::Strided(source) => isa.run(PackStrided {
                source,
                lines,
                depth,
                width,
                panels,
            }),
            Side::Operand(operand) => {
                let panels = panels.chunks_mut((width * depth.len()).max(1));
                for (panel, lines) in panels.zip(steps(lines, width)) {
                    operand.pack(lines, depth.clone(), width, panel);
                }
            }
            Side::Packed(_) => unreachable!("packed already"),
        }
    }

    /// Writes the first `depth` items of the only line.
    pub(super) fn pack_vector(&self, depth: usize, out: &mut [T]) {
        match self {
            Side::Strided(strided) => strided.pack(0..1, 0..depth, 1, out),
            Side::Operand(operand) => operand.pack(0..1, 0..depth, 1, out),
            Side::Packed(_) => unreachable!("packed already"),
        }
    }
}

/// A product whose operands were checked.
pub(super) struct Checked<'a, T> {
    pub size: [usize; 3],
    pub a: Side<'a, T>,
    pub b: Side<'a, T>,
    pub epilogue: Epilogue<'a, T>,
}

impl<T: Real> Checked<'_, T> {
    /// What an item of each side costs a task, in multiply-adds.
    fn item_macs(&self) -> [usize; 2] {
        let lies = match &self.a {
            Side::Strided(a) => a.strides().1 == 1,
            _ => false,
        };
        let cost = |lies| match lies {
            true => blocking::READ_MACS,
            false => blocking::PACKED_MACS,
        };
        [cost(lies), cost(matches!(self.b, Side::Packed(_)))]
    }
}

impl<'a, T: Real> Gemm<'a, T> {
    /// Panics unless it has that size and what lies in memory is long enough.
    fn checked(&self, size: [usize; 3]) -> Checked<'a, T> {
        let [m, n, k] = size;
        assert!([self.m, self.n, self.k] == size, "products of one size");
        if let Some(bias) = self.epilogue.bias {
            assert!(
                bias.len() >= n,
                "a bias of {} items for {n} columns",
                bias.len()
            );
        }
        assert!(
            !matches!(self.a, Side::Packed(_)),
            "the right side may be packed"
        );
        Checked {
            size,
            a: self.a.checked(m, k),
            b: self.b.checked(n, k),
            epilogue: self.epilogue,
        }
    }
}

/// One task: some rows and columns of a product.
struct Part<'a, T> {
    product: Checked<'a, T>,
    shape: Shape,
    rows: Range<usize>,
    columns: Range<usize>,
    depth: Range<usize>,
    /// The whole output.
    c: *mut T,
    c_stride: usize,
    scratch: &'a mut [T],
}

/// Rows of a task, in panels, up to which `B` is read where it lies: fewer uses of an item do not pay for packing it.
const UNPACKED_PANELS: usize = 2;

/// Columns of a task up to which rows of `A` that are contiguous along the depth are read where they lie: more uses of an
/// item pay for packing it, as the rows of a great matrix share few sets of the cache.
const UNPACKED_COLUMNS: usize = 512;

/// Columns of a task, in panels, up to which rows of `A` that lie side by side at each depth are read where they lie. With AVX-512,
/// 32 x 16 x 100352 reaches 105 GFLOP/s of 118 so and 50 packed; four panels of 512 x 6272, whose depths share few sets of the cache,
/// 77 and 89.
const UNPACKED_PANELS_ACROSS: usize = 3;

/// Steps of at most `step` through `range`; one empty step through an empty range.
pub(super) fn steps(range: Range<usize>, step: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    let count = range.len().div_ceil(step).max(1);
    (0..count).map(move |i| range.start + i * step..end.min(range.start + (i + 1) * step))
}

impl<T: Real> Task for Part<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Part {
            product,
            shape,
            rows,
            columns,
            depth: slice,
            c,
            c_stride,
            scratch,
        } = self;
        let Shape {
            level,
            panel_rows,
            panel_columns,
            blocks,
            slices,
            ..
        } = shape;
        let [m, n, k] = product.size;
        assert!(I::LEVEL == level, "panels of another instruction set");
        let cached = |items: usize| items * size_of::<T>() <= Caches::of_machine().second;
        // An output that comes from memory, and whose tiles are no stream.
        let far = n > panel_columns && !cached(m * n);
        // Packed panels that other data pushes out of the cache from one use to the next.
        let b_far = matches!(product.b, Side::Packed(_)) && !cached(2 * n * k);
        let (a_block, b_block) = scratch.split_at_mut(blocks.rows * blocks.depth);
        // A matrix of a panel's columns is one.
        let few_rows = rows.len() <= UNPACKED_PANELS * panel_rows || n <= panel_columns;
        let in_place = product
            .b
            .strided(k)
            .filter(|b| few_rows && b.strides().0 == 1);
        let (a_in_place, panel_rows) = match product.a.strided(k) {
            Some(a) if columns.len() <= UNPACKED_COLUMNS && a.strides().1 == 1 => {
                let held = blocking::rows_in_sets(a.strides().0 * size_of::<T>());
                (Some(a), panel_rows.min(held))
            }
            Some(a) if columns.len() <= UNPACKED_PANELS_ACROSS * panel_columns => {
                (Some(a).filter(|a| a.strides().0 == 1), panel_rows)
            }
            _ => (None, panel_rows),
        };
        // The microkernels take even numbers of rows, or one.
        let fits = |rows: usize| rows == 1 || rows.is_multiple_of(2);
        for columns in steps(columns, blocks.columns) {
            for depth in steps(slice.clone(), blocks.depth) {
                let deep = depth.len();
                let last = slices == 1 && depth.end == k;
                let activation = product.epilogue.activation.filter(|_| last);
                let (a_len, b_len) = ((panel_rows * deep).max(1), (panel_columns * deep).max(1));
                if in_place.is_none() && !matches!(product.b, Side::Packed(_)) {
                    let (lines, depth) = (columns.clone(), depth.clone());
                    product.b.pack(isa, lines, depth, panel_columns, b_block);
                }
                for rows in steps(rows.clone(), blocks.rows) {
                    // Of rows that are read where they lie, those of an odd tile.
                    let lying = match a_in_place {
                        Some(_) if !fits(rows.len() % panel_rows) => rows.len() / panel_rows,
                        Some(_) => rows.len().div_ceil(panel_rows),
                        None => 0,
                    };
                    let lines = rows.end.min(rows.start + lying * panel_rows)..rows.end;
                    if !lines.is_empty() {
                        product
                            .a
                            .pack(isa, lines, depth.clone(), panel_rows, a_block);
                    }
                    for (index, columns) in steps(columns.clone(), panel_columns).enumerate() {
                        let (b, b_step) = match (&product.b, in_place) {
                            (Side::Packed(b), _) => {
                                let start = columns.start * k + depth.start * panel_columns;
                                (b.items[start..].as_ptr(), panel_columns)
                            }
                            (_, None) => (b_block[index * b_len..].as_ptr(), panel_columns),
                            (_, Some(b)) if columns.len().is_multiple_of(T::Lanes::<I>::LEN) => {
                                // SAFETY: the operand was checked, and its columns fill whole registers here.
                                (unsafe { b.at(columns.start, depth.start) }, b.strides().1)
                            }
                            (side, Some(_)) => {
                                side.pack(
                                    isa,
                                    columns.clone(),
                                    depth.clone(),
                                    panel_columns,
                                    b_block,
                                );
                                (b_block.as_ptr(), panel_columns)
                            }
                        };
                        let first = product.epilogue.bias.filter(|_| depth.start == 0);
                        let base = Base {
                            row: first.map(|bias| bias[columns.start..].as_ptr()),
                            tile: depth.start > slice.start
                                || product.epilogue.add && depth.start == 0,
                        };
                        // A packed panel behind this one comes to the caches meanwhile, a part of it with each tile.
                        let next = b.wrapping_add(panel_columns * k);
                        let next_step = match b_far {
                            true => panel_columns.div_ceil(rows.len().div_ceil(panel_rows)),
                            false => 0,
                        };
                        let last_row = rows.end;
                        for (tile, rows) in steps(rows.clone(), panel_rows).enumerate() {
                            let (a, a_row, a_step) = match a_in_place {
                                Some(lines) if tile < lying => {
                                    // SAFETY: the operand was checked.
                                    let a = unsafe { lines.at(rows.start, depth.start) };
                                    let (a_row, a_step) = lines.strides();
                                    (a, a_row, a_step)
                                }
                                _ => (a_block[(tile - lying) * a_len..].as_ptr(), 1, panel_rows),
                            };
                            let next = if tile * next_step < panel_columns && next_step > 0 {
                                (next.wrapping_add(tile * next_step * deep), next_step)
                            } else if index == 0 && a_row == deep {
                                // Else whole rows of `A` behind these.
                                (a.wrapping_add(rows.len() * deep), rows.len())
                            } else {
                                (b, 0)
                            };
                            let panels = Panels {
                                depth: deep,
                                segments: WHOLE,
                                a,
                                a_row,
                                a_step,
                                b,
                                b_step,
                                next,
                            };
                            let following = if far { last_row - rows.end } else { 0 };
                            isa.run(Tile {
                                panels,
                                place: Place {
                                    // SAFETY: the output was found long enough.
                                    start: unsafe { c.add(rows.start * c_stride + columns.start) },
                                    stride: c_stride,
                                    rows: rows.len(),
                                    columns: columns.len(),
                                    base,
                                    ahead: tile_ahead(rows.len(), following, c_stride),
                                },
                                activation,
                            });
                        }
                    }
                }
            }
        }
    }
}

/// One call of the microkernel: its panels hold the steps they say, and the task that owns the place alone writes to it.
pub(super) struct Tile<'a, T> {
    pub panels: Panels<'a, T>,
    pub place: Place<T>,
    pub activation: Option<Activation>,
}

impl<T: Real> Task for Tile<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let bounds = self.activation.and_then(Activation::bounds);
        let other = self.activation.filter(|_| bounds.is_none());
        let bounds = bounds.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]);
        // SAFETY: what the struct promises.
        unsafe {
            microkernel::tile::<I, T>(isa, self.panels, self.place, bounds.map(T::from));
            if let Some(activation) = other {
                activate(isa, activation, self.place);
            }
        }
    }
}
