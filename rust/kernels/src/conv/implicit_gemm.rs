//! Convolution as a matrix product of virtual patches with the kernel.

use std::ops::Range;

use super::Pass;
use super::geometry::{Geometry, SPATIAL};
use super::patches::Transposed;
use super::products::Product;
use crate::gemm::{self, Epilogue, Gemm, Packed, Real, Side, Strided};
use crate::threads::{grain, parallel_chunks_mut};

/// The kernel of a pass.
#[derive(Clone, Copy)]
pub enum Kernel<'a, T> {
    /// As it lies.
    Plain(&'a [T]),
    /// The packed right sides of all products.
    Packed(&'a [T]),
}

/// Items that the positions of the longest phase hold, where phases are computed aside.
fn aside_len(pass: Pass, geometry: &Geometry) -> usize {
    if pass == Pass::Forward || geometry.window.strides == [1; SPATIAL] {
        return 0;
    }
    let positions = Product::all(pass, geometry).map(|product| product.positions());
    geometry.batch * positions.max().unwrap_or(0) * geometry.group_channels()
}

/// Items of scratch that [`run`] takes.
pub fn scratch_len<T: Real>(pass: Pass, geometry: &Geometry) -> usize {
    let products = Product::all(pass, geometry).map(|product| {
        let rows = geometry.batch * product.positions();
        gemm::scratch_len::<T>(1, rows, product.target.columns.len, product.depth())
    });
    aside_len(pass, geometry) + products.max().unwrap_or(0)
}

/// `out (batch, ..output, filters) = epilogue(conv(x, kernel))`, or the gradient of the input from that of the output.
///
/// That is a convolution of the gradient with the flipped kernel, one for each phase of the strides: no tap is multiplied by the
/// zeros that strides would put between the items of the gradient.
pub fn run<T: Real>(
    pass: Pass,
    geometry: &Geometry,
    x: &[T],
    kernel: Kernel<T>,
    epilogue: Epilogue<'_, T>,
    out: &mut [T],
    scratch: &mut [T],
) {
    let aside_len = aside_len(pass, geometry);
    let (aside, scratch) = scratch.split_at_mut(aside_len);
    let mut done = 0;
    for product in Product::all(pass, geometry) {
        let (columns, depth) = (product.target.columns, product.depth());
        let rows = geometry.batch * product.positions();
        let patches = product.patches(x);
        let mut multiply = |b: Side<T>| {
            let product_of = Gemm::new(rows, columns.len, depth, patches.side(), b)
                .epilogue(epilogue.after_columns(columns.start));
            if aside_len == 0 {
                product_of.run(&mut out[columns.start..], product.target.row, scratch);
            } else {
                let aside = &mut aside[..rows * columns.len];
                product_of.run(aside, columns.len, scratch);
                spread(&product, aside, out);
            }
        };
        match kernel {
            Kernel::Plain(kernel) => {
                product.with_kernel(pass, geometry, kernel, |b| multiply(Side::Operand(b)));
            }
            Kernel::Packed(kernel) => {
                let here = &kernel[done..][..product.packed_len::<T>()];
                multiply(Packed::new(simd::level(), here).into());
                done += here.len();
            }
        }
    }
}

/// Copies the positions of a phase to where they belong in `out`.
fn spread<T: Real>(product: &Product, items: &[T], out: &mut [T]) {
    let target = &product.target;
    let ([outer, middle, inner], lines) = (target.sizes, product.axes.map(|axis| axis.lines));
    let columns: Range<usize> = target.columns.start..target.columns.start + target.columns.len;
    let row = inner * target.row;
    parallel_chunks_mut(out, row, grain(row), |index, out| {
        let (image, i, j) = (
            index / middle / outer,
            index / middle % outer,
            index % middle,
        );
        if i % target.step[0] != target.first[0] || j % target.step[1] != target.first[1] {
            return;
        }
        let line = (image * lines[0] + i / target.step[0]) * lines[1] + j / target.step[1];
        let items = items[line * lines[2] * columns.len()..].chunks_exact(columns.len());
        let positions = out
            .chunks_exact_mut(target.row)
            .skip(target.first[2])
            .step_by(target.step[2]);
        for (position, items) in positions.zip(items) {
            position[columns.clone()].copy_from_slice(items);
        }
    });
}

/// Items of scratch that [`kernel_gradient`] takes.
pub fn kernel_gradient_scratch_len<T: Real>(geometry: &Geometry) -> usize {
    gemm::scratch_len::<T>(
        1,
        geometry.depth(),
        geometry.group_filters(),
        geometry.rows(),
    )
}

/// The gradient of the kernel: `out (..size, channels / groups, filters)` from `x` and `g (batch, ..output, filters)`.
pub fn kernel_gradient<T: Real>(
    geometry: &Geometry,
    x: &[T],
    g: &[T],
    out: &mut [T],
    scratch: &mut [T],
) {
    for product in Product::all(Pass::Forward, geometry) {
        let columns = product.target.columns;
        let patches = Transposed(product.patches::<T>(x));
        let b = Strided::new(&g[columns.start..], 1, geometry.filters);
        let [m, n, k] = [geometry.depth(), columns.len, geometry.rows()];
        let out = &mut out[columns.start..];
        Gemm::new(m, n, k, patches.side(), b).run(out, geometry.filters, scratch);
    }
}
