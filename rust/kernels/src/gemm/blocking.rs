//! How a product is cut: pure functions of its sizes, the caches and the tile of the microkernel.
use std::sync::OnceLock;

use simd::Level;

/// The tile of a microkernel: rows, and registers per row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    pub rows: usize,
    pub registers: usize,
}

/// The tile of each instruction set: as many sums as its registers hold, less those for a row of `B` and an item of `A`.
pub const fn tile(level: Level) -> Tile {
    match level {
        Level::Avx512 => Tile {
            rows: 14,
            registers: 2,
        },
        Level::Avx2 => Tile {
            rows: 6,
            registers: 2,
        },
        Level::Scalar => Tile {
            rows: 6,
            registers: 1,
        },
    }
}

/// The rows of the next tile where `left` are left, one more than those if they are odd: halves of what is not two whole tiles, as few
/// rows do not hide the latency of their sums.
pub const fn tile_rows(left: usize, greatest: usize) -> usize {
    let rows = if left >= 2 * greatest {
        greatest
    } else if left > greatest {
        left.div_ceil(2)
    } else {
        left
    };
    if rows == 1 {
        1
    } else {
        rows.next_multiple_of(2)
    }
}

/// Bytes in a register of each instruction set.
pub const fn register_bytes(level: Level) -> usize {
    match level {
        Level::Avx2 => 32,
        // The portable lanes stand in for AVX-512.
        Level::Avx512 | Level::Scalar => 64,
    }
}

/// Bytes of a cache line, where panels start.
pub const CACHE_LINE: usize = 64;

/// Bytes of data cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caches {
    /// Of the second level, per core.
    pub second: usize,
    /// Of the last level, which cores share; of this no more is counted on than others may leave.
    pub last: usize,
}

impl Caches {
    /// Those of this machine, or common ones where it does not tell.
    pub fn of_machine() -> Caches {
        static CACHES: OnceLock<Caches> = OnceLock::new();
        *CACHES.get_or_init(|| {
            let [second, third] = [2, 3].map(cache_bytes);
            let second = second.unwrap_or(512 << 10).clamp(256 << 10, 16 << 20);
            Caches {
                second,
                last: third.unwrap_or(8 << 20).clamp(second, 32 << 20),
            }
        })
    }
}

/// The size of the data or unified cache of that level (CPUID leaf 4, or AMD's with the same layout).
#[cfg(target_arch = "x86_64")]
fn cache_bytes(level: u32) -> Option<usize> {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    let leaves = [(4, __cpuid(0).eax), (0x8000_001d, __cpuid(0x8000_0000).eax)];
    for (leaf, greatest) in leaves {
        if leaf > greatest {
            continue;
        }
        for index in 0..8 {
            let info = __cpuid_count(leaf, index);
            let kind = info.eax & 0x1f;
            if kind == 0 {
                break;
            }
            const INSTRUCTIONS: u32 = 2;
            if kind != INSTRUCTIONS && (info.eax >> 5) & 7 == level {
                let ways = (info.ebx >> 22) + 1;
                let partitions = ((info.ebx >> 12) & 0x3ff) + 1;
                let line = (info.ebx & 0xfff) + 1;
                let sets = info.ecx + 1;
                return Some(
                    [ways, partitions, line, sets]
                        .map(|x| x as usize)
                        .iter()
                        .product(),
                );
            }
        }
    }
    None
}

#[cfg(not(target_arch = "x86_64"))]
fn cache_bytes(_level: u32) -> Option<usize> {
    None
}

/// The blocks of one worker: `rows` x `depth` of `A` and `depth` x `columns` of `B` are packed at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    pub rows: usize,
    pub columns: usize,
    pub depth: usize,
}

impl Blocks {
    /// The blocks of an `m` x `n` x `k` product with panels of `panel_rows` and `panel_columns` items of `item` bytes.
    pub fn new(
        caches: Caches,
        panel_rows: usize,
        panel_columns: usize,
        item: usize,
        [m, n, k]: [usize; 3],
    ) -> Blocks {
        // Panels come from the second-level cache as fast as they are multiplied: fewer steps of depth are fewer passes over C.
        // With AVX-512, a peak of 118 GFLOP/s and 1 MiB, 1024 x 1024 x 1024 reaches 99 in steps of 256, 105 of 512, 109 of 1024.
        let depth = (caches.second / 8 / (panel_columns * item)).clamp(256, 1024);
        let depth = even_step(k, depth, 8);
        // The block of A stays in the second-level cache; that of B may lie behind it, so that A is packed seldom.
        let rows = (caches.second / 4 / (depth * item)).max(panel_rows);
        let columns = (caches.second * 4 / (depth * item)).max(panel_columns);
        Blocks {
            rows: even_step(m, rows, panel_rows),
            columns: even_step(n, columns, panel_columns),
            depth,
        }
    }
}

/// The rows, that many bytes apart, that can be read side by side: in a first-level cache of 8 ways whose sets repeat every 4 KiB, more
/// rows of the same set push each other out.
pub fn rows_in_sets(stride: usize) -> usize {
    /// Lines of one set.
    const WAYS: usize = 8;
    let apart = (stride.max(1) & stride.wrapping_neg()).clamp(CACHE_LINE, 4096);
    WAYS * (4096 / apart)
}

/// Depth of the slices of a product that are summed apart, all of it where it is not sliced: threads that share a deep product with a
/// small output by its depth pack each item once, and so read memory once. It depends on the sizes alone.
pub fn slice_depth([m, n, k]: [usize; 3]) -> usize {
    /// Items of an output that stays in the second-level cache.
    const OUTPUT: usize = 1 << 16;
    /// Depth that pays for one more output to add.
    const DEPTH: usize = 1024;
    /// Outputs that are added at most.
    const SLICES: usize = 8;
    let slices = (k / DEPTH).min(SLICES);
    if slices < 2 || m.saturating_mul(n) > OUTPUT {
        return k;
    }
    k.div_ceil(slices).next_multiple_of(DEPTH / 16)
}

/// Steps of about the same length, at most about `most` and multiples of `unit`, that cover `n`.
fn even_step(n: usize, most: usize, unit: usize) -> usize {
    let most = (most / unit * unit).max(unit);
    let steps = n.div_ceil(most).max(1);
    n.div_ceil(steps).max(1).next_multiple_of(unit)
}

/// Multiply-adds that are worth waking a thread for: about 10 microseconds of one AVX-512 core.
const TASK_MACS: usize = 1 << 19;

/// Tasks per worker: more balance the load, fewer pack less.
const TASKS_PER_WORKER: usize = 3;

/// Items of each task where `workers` take at least `wanted` tasks of each of `rounds` lots of `items`: as many as leave the busiest
/// worker the least, in the fewest tasks.
pub fn even_share(items: usize, wanted: usize, rounds: usize, workers: usize) -> usize {
    let most = items.div_ceil(wanted.max(1)).max(1);
    (most.div_ceil(2)..=most)
        .rev()
        .min_by_key(|share| (items.div_ceil(*share) * rounds).div_ceil(workers.max(1)) * share)
        .unwrap_or(1)
}

/// Multiply-adds in the time in which an item is packed.
pub const PACKED_MACS: usize = 8;

/// Multiply-adds in the time in which an item comes that needs no packing.
pub const READ_MACS: usize = 2;

/// The grid of tasks of a product (of each product of a batch): rows and columns of `C` per task, and the workers that
/// share them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    pub rows: usize,
    pub columns: usize,
    pub workers: usize,
}

impl Grid {
    /// The grid of `count` products for at most `threads` workers, whose tasks start at panels; `item_macs` is what an item of `A`
    /// and one of `B` cost a task.
    pub fn new(
        threads: usize,
        count: usize,
        [panel_rows, panel_columns]: [usize; 2],
        item_macs: [usize; 2],
        [m, n, k]: [usize; 3],
    ) -> Grid {
        let macs = m.saturating_mul(n).saturating_mul(k.max(1));
        let most_down = m.div_ceil(panel_rows).max(1);
        let most_across = n.div_ceil(panel_columns).max(1);
        let workers = threads
            .min(macs.saturating_mul(count) / TASK_MACS)
            .min((most_down * most_across).saturating_mul(count))
            .max(1);
        // Tasks of one product: none below the gate, unless workers would be idle.
        let tasks = if workers == 1 {
            1
        } else {
            let balanced = (workers * TASKS_PER_WORKER).div_ceil(count);
            balanced.min((macs / TASK_MACS).max(workers.div_ceil(count)))
        };
        // Every row of tasks takes all of B, every column of them all of A; who takes one task more than others keeps them waiting.
        // The cheapest grid of enough tasks, or of half as many again.
        let cost = |down: usize, across: usize| {
            let (rows, columns) = (most_down.div_ceil(down), most_across.div_ceil(across));
            let tasks = most_down.div_ceil(rows) * most_across.div_ceil(columns) * count;
            let longest = tasks.div_ceil(workers) * rows * columns;
            let multiplied = longest.saturating_mul(panel_rows * panel_columns);
            let taken = item_macs[0] * m * across + item_macs[1] * n * down;
            (
                workers.saturating_sub(tasks),
                multiplied.saturating_add(taken.saturating_mul(count) / workers),
            )
        };
        let grids = (1..=tasks.min(most_down)).flat_map(|down| {
            let across = tasks.div_ceil(down);
            let most = (across + across / 2).min(most_across);
            (across.min(most)..=most).map(move |across| (down, across))
        });
        let (down, across) = if tasks == 1 {
            (1, 1)
        } else {
            grids
                .min_by_key(|&(down, across)| cost(down, across))
                .expect("at least one task")
        };
        Grid {
            rows: m.div_ceil(down).max(1).next_multiple_of(panel_rows),
            columns: n.div_ceil(across).max(1).next_multiple_of(panel_columns),
            workers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CACHES: Caches = Caches {
        second: 2 << 20,
        last: 32 << 20,
    };

    #[test]
    fn slices_of_deep_products() {
        for (size, depth) in [
            ([64, 64, 25088], 3136),
            ([64, 64, 2047], 2047),
            ([64, 64, 2049], 1088),
            ([512, 128, 4096], 1024),
            ([512, 129, 4096], 4096),
            ([usize::MAX, 2, 4096], 4096),
            ([1, 1, 0], 0),
        ] {
            assert_eq!(slice_depth(size), depth, "{size:?}");
        }
    }

    #[test]
    fn shares_of_workers() {
        for ((items, wanted, rounds, workers), share) in [
            ((16, 6, 1, 2), 2),
            ((8, 6, 1, 2), 2),
            ((32, 6, 1, 2), 4),
            ((4, 6, 1, 2), 1),
            ((7, 1, 1, 1), 7),
            ((0, 6, 1, 2), 1),
            ((16, 2, 3, 2), 8),
        ] {
            assert_eq!(
                even_share(items, wanted, rounds, workers),
                share,
                "{items} {wanted} {rounds} {workers}"
            );
        }
    }

    #[test]
    fn rows_of_the_same_sets() {
        for (stride, rows) in [
            (4096, 8),
            (3 * 8192, 8),
            (2048, 16),
            (1024, 32),
            (4096 + 64, 512),
            (12, 512),
            (0, 512),
        ] {
            assert_eq!(rows_in_sets(stride), rows, "{stride}");
        }
    }

    #[test]
    fn blocks_fit_the_caches() {
        for k in [1, 7, 64, 255, 1024, 5000] {
            for (m, n) in [(1, 1), (100, 3000), (5000, 20)] {
                let blocks = Blocks::new(CACHES, 14, 32, 4, [m, n, k]);
                assert!(blocks.depth * 32 * 4 <= CACHES.second / 8, "{blocks:?}");
                assert!(
                    blocks.depth * blocks.rows * 4 <= CACHES.second / 3,
                    "{blocks:?}"
                );
                assert!(
                    blocks.depth * blocks.columns * 4 <= CACHES.second * 4,
                    "{blocks:?}"
                );
                assert!(blocks.rows.is_multiple_of(14) && blocks.columns.is_multiple_of(32));
            }
        }
    }

    #[test]
    fn rows_of_tiles() {
        // Rows that are left, the greatest tile -> tiles.
        for (mut left, greatest, tiles) in [
            (1, 6, &[1][..]),
            (5, 6, &[6]),
            (7, 6, &[4, 4]),
            (10, 6, &[6, 4]),
            (14, 6, &[6, 4, 4]),
            (28, 6, &[6, 6, 6, 6, 4]),
            (56, 6, &[6, 6, 6, 6, 6, 6, 6, 6, 4, 4]),
            (15, 14, &[8, 8]),
            (28, 14, &[14, 14]),
        ] {
            for &tile in tiles {
                assert_eq!(tile_rows(left, greatest), tile);
                left = left.saturating_sub(tile);
            }
            assert_eq!(left, 0);
        }
    }

    #[test]
    fn depth_is_cut_evenly() {
        assert_eq!(Blocks::new(CACHES, 14, 32, 4, [64, 64, 2500]).depth, 840);
        assert_eq!(Blocks::new(CACHES, 14, 32, 4, [64, 64, 1024]).depth, 1024);
        assert_eq!(Blocks::new(CACHES, 14, 32, 4, [64, 64, 5]).depth, 8);
    }

    #[test]
    fn grids_cover_and_spread() {
        let grid = Grid::new(2, 1, [14, 32], [PACKED_MACS; 2], [1024, 1024, 1024]);
        assert_eq!(grid.workers, 2);
        // Sixteen panels are shared evenly, and so are 32.
        assert_eq!(
            Grid::new(2, 1, [14, 32], [PACKED_MACS; 2], [32, 512, 784]).columns,
            64
        );
        assert_eq!(
            Grid::new(2, 1, [14, 32], [PACKED_MACS; 2], [8, 1024, 1024]).columns,
            128
        );
        assert_eq!(
            Grid::new(8, 1, [14, 32], [PACKED_MACS; 2], [32, 32, 32]).workers,
            1
        );
        assert_eq!(
            Grid::new(8, 1000, [14, 32], [PACKED_MACS; 2], [32, 32, 32]).workers,
            8
        );
        for threads in [2, 3, 8, 64] {
            for size in [
                [1, 4096, 4096],
                [4096, 1, 4096],
                [32, 1000, 512],
                [100_000, 64, 576],
            ] {
                let grid = Grid::new(threads, 1, [14, 32], [PACKED_MACS; 2], size);
                let tasks = size[0].div_ceil(grid.rows) * size[1].div_ceil(grid.columns);
                assert!(
                    grid.workers <= threads && tasks <= 4 * TASKS_PER_WORKER * threads,
                    "{grid:?}"
                );
            }
        }
    }

    #[test]
    fn the_machine_tells_its_caches() {
        let caches = Caches::of_machine();
        assert!(caches.second <= caches.last);
    }
}
