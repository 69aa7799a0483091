//! Reads and writes at places that an array of indices names.
//!
//! An index counts from the end when it is negative. What lies outside reads as a fill value and writes nothing.
//! Writes to one place happen in the order of the indices, on one thread, so a result has the same bits with any number of them.
mod gather;
mod scatter;
#[cfg(test)]
mod tests;

pub use gather::{Fill, gather, gather_nd, take_along_axis};
pub use scatter::{Scatter, put_along_axis_add, scatter, scatter_nd};

/// An integer that names a place.
pub trait Index: Copy + Send + Sync {
    /// The place on an axis of `size`, if there is one.
    fn place(self, size: usize) -> Option<usize>;
}

macro_rules! index {
    ($($type:ty),*) => {$(
        impl Index for $type {
            #[inline(always)]
            fn place(self, size: usize) -> Option<usize> {
                let at = i64::from(self);
                // A wrapped sum of a negative index stays beyond every size.
                let at = if at < 0 { at.wrapping_add(size as i64) } else { at } as u64;
                (at < size as u64).then_some(at as usize)
            }
        }
    )*};
}
index!(i32, i64);

/// The flat row that the `indices` of `sizes` name, if each lies inside.
#[inline(always)]
fn row<I: Index>(indices: &[I], sizes: &[usize]) -> Option<usize> {
    let mut row = 0;
    for (index, &size) in indices.iter().zip(sizes) {
        row = row * size + index.place(size)?;
    }
    Some(row)
}

/// Sizes before, at and behind `axis`.
fn around(shape: &[usize], axis: usize) -> (usize, usize, usize) {
    (
        shape[..axis].iter().product(),
        shape[axis],
        shape[axis + 1..].iter().product(),
    )
}

/// `1` at each class that `ids` names and `0` elsewhere: `ids` is `[outer, inner]`, `output` is `[outer, classes, inner]`.
///
/// A negative id has no class.
pub fn one_hot<I: Index + PartialOrd + Default, T: Copy + Send + Sync>(
    ids: &[I],
    inner: usize,
    classes: usize,
    (zero, one): (T, T),
    output: &mut [T],
) {
    assert_eq!(
        output.len(),
        ids.len() * classes,
        "a place for each id and class"
    );
    if output.is_empty() {
        return;
    }
    crate::threads::parallel_chunks_mut(
        output,
        classes * inner,
        crate::threads::grain(classes * inner),
        |outer, block| {
            block.fill(zero);
            for (at, &id) in ids[outer * inner..(outer + 1) * inner].iter().enumerate() {
                if id >= I::default()
                    && let Some(class) = id.place(classes)
                {
                    block[class * inner + at] = one;
                }
            }
        },
    );
}

/// Where each of `values` would go among `sorted` (ascending, NaN last): before its equals, or behind them if `right`.
pub fn searchsorted<T: crate::sort::Sortable>(
    sorted: &[T],
    values: &[T],
    right: bool,
    output: &mut [i32],
) {
    assert_eq!(output.len(), values.len(), "a place for each value");
    assert!(
        i32::try_from(sorted.len()).is_ok(),
        "an axis longer than an int32 counts"
    );
    let cost = 8 * (1 + sorted.len().checked_ilog2().unwrap_or(0) as usize);
    crate::threads::parallel_ranges_mut(output, 1, crate::threads::grain(cost), |range, output| {
        for (output, value) in output.iter_mut().zip(&values[range]) {
            let key = value.key();
            *output = sorted.partition_point(|x| if right { x.key() <= key } else { x.key() < key })
                as i32;
        }
    });
}
