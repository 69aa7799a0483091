//! Rows of a table, looked up by id, and the gradient of the table.
use crate::index::{Index, Scatter, gather, scatter};
use crate::reduce::Reducible;

/// `output[m] = table[ids[m]]`, rows of `width`; an id outside of the table gives `fill`.
///
/// # Panics
/// When a slice does not fit.
pub fn embedding<T: Copy + Send + Sync, I: Index>(
    table: &[T],
    width: usize,
    ids: &[I],
    fill: T,
    output: &mut [T],
) {
    let rows = table.len().checked_div(width).unwrap_or(0);
    gather(table, &[rows, width], 0, ids, fill, output);
}

/// The gradient of a table of rows of `width`: each row is the sum of `gradient[m]` over its ids, in their order.
///
/// Rows that no id names are zeroed and never read again.
///
/// # Panics
/// When a slice does not fit.
pub fn embedding_gradient<T: Reducible, I: Index>(
    gradient: &[T],
    width: usize,
    ids: &[I],
    output: &mut [T],
) {
    let rows = output.len().checked_div(width).unwrap_or(0);
    output.fill(T::default());
    scatter(Scatter::Add, gradient, ids, output, &[rows, width], 0);
}
