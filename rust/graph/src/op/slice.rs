//! Ops that read or write a part of a tensor.

use std::sync::Arc;

use kernels::layout as kernel;
use smallvec::SmallVec;

use super::layout::{Dims, Sizes, one};
use super::{Family, Op, Run, Vjp, create, expect_operands, expect_same_dtype};
use crate::emit::Emitter;
use crate::{DType, Dim, Result, Shape, Spec, Specs, Value, type_error, value_error};

/// The family's ops.
pub const OPS: Family = &[
    ("slice", |attrs| Ok(Arc::new(Slice(Cut::new(attrs)?)))),
    ("slice_gradient", |attrs| {
        Ok(Arc::new(SliceGradient {
            shape: Shape(attrs.dims("shape")?),
            cut: Cut::new(attrs)?,
        }))
    }),
    ("dynamic_slice", |attrs| {
        Ok(Arc::new(DynamicSlice(Shape(attrs.dims("sizes")?))))
    }),
    ("dynamic_update_slice", |_| Ok(Arc::new(DynamicUpdateSlice))),
];

/// Which elements a slice takes along each axis: from `starts` to below `stops`, `strides` apart, all within the axis.
#[derive(Clone, Debug)]
pub struct Cut {
    starts: Dims,
    stops: Dims,
    strides: SmallVec<[i64; 4]>,
}

impl Cut {
    fn new(attrs: &super::Attrs<'_>) -> Result<Cut> {
        let (starts, stops) = (attrs.dims("starts")?, attrs.dims("stops")?);
        let strides = attrs
            .ints_or_none("strides")?
            .unwrap_or_else(|| SmallVec::from_elem(1, starts.len()));
        if stops.len() != starts.len() || strides.len() != starts.len() {
            return value_error!("a slice needs a start, a stop and a stride for each axis");
        }
        if strides.iter().any(|&stride| stride < 1) {
            return value_error!("strides must be positive, got {strides:?}");
        }
        Ok(Cut {
            starts,
            stops,
            strides,
        })
    }

    /// The shape of what is taken of a tensor.
    fn shape(&self, of: &Shape) -> Result<Shape> {
        if of.rank() != self.starts.len() {
            return value_error!(
                "a slice of {} axes of a tensor of shape {of}",
                self.starts.len()
            );
        }
        let mut shape = Shape::default();
        for (axis, dim) in of.iter().enumerate() {
            let (start, stop) = (&self.starts[axis], &self.stops[axis]);
            let mut count = (stop - start).ceil_div(&Dim::Known(self.strides[axis]))?;
            if let (Dim::Known(from), Dim::Known(to)) = (start, stop) {
                if from < to && (*from < 0 || matches!(dim, Dim::Known(n) if to > n)) {
                    return value_error!(
                        "slice {from}:{to} of axis {axis} of a tensor of shape {of}"
                    );
                }
                count = count.maximum(&Dim::Known(0));
            }
            shape.push(count);
        }
        Ok(shape)
    }

    /// The starts and strides in this run, which keep `taken` elements of each axis inside `shape`.
    fn bounds(
        &self,
        run: &Run<'_, '_>,
        shape: &[usize],
        taken: &[usize],
    ) -> Result<(Sizes, SmallVec<[isize; 6]>)> {
        let mut starts = Sizes::new();
        for (axis, (&size, &taken)) in shape.iter().zip(taken).enumerate() {
            let start = run.dim(&self.starts[axis]);
            let last = start + (taken as i64 - 1) * self.strides[axis];
            if taken > 0 && (start < 0 || last >= size as i64) {
                return value_error!(
                    "a slice of {taken} elements from {start} on leaves axis {axis} of shape {shape:?}"
                );
            }
            starts.push(if taken > 0 { start as usize } else { 0 });
        }
        Ok((
            starts,
            self.strides.iter().map(|&stride| stride as isize).collect(),
        ))
    }

    fn is_symbolic(&self) -> bool {
        self.starts.iter().chain(&self.stops).any(Dim::is_symbolic)
    }
}

/// A part of a tensor: every so many elements of a range along each axis.
#[derive(Clone, Debug)]
pub struct Slice(pub Cut);

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        Ok(one(inputs[0].with_shape(self.0.shape(&inputs[0].shape)?)))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let x = run.inputs[0];
        let (starts, strides) = self.0.bounds(run, x.shape, run.outputs[0].shape)?;
        let y = &mut run.outputs[0];
        with_type!(x.dtype, words, W => {
            kernel::slice(x.as_words::<W>(), x.shape, &starts, &strides, y.as_mut_words(), y.shape);
        });
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let op = SliceGradient {
            shape: vjp.inputs[0].shape().clone(),
            cut: self.0.clone(),
        };
        Ok(vec![Some(e.one(Arc::new(op), &[vjp.grad()?])?)])
    }

    fn is_symbolic(&self) -> bool {
        self.0.is_symbolic()
    }
}

/// Zeros of a shape with a tensor in the places that a slice takes.
#[derive(Clone, Debug)]
pub struct SliceGradient {
    /// The shape that is sliced.
    pub shape: Shape,
    /// The slice.
    pub cut: Cut,
}

impl Op for SliceGradient {
    fn name(&self) -> &'static str {
        "slice_gradient"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        let (expected, found) = (self.cut.shape(&self.shape)?, &inputs[0].shape);
        if expected.rank() != found.rank()
            || expected
                .iter()
                .zip(found.iter())
                .any(|(a, b)| a.never_equals(b))
        {
            return value_error!("expected a gradient of shape {expected}, got {found}");
        }
        Ok(one(inputs[0].with_shape(self.shape.clone())))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let g = run.inputs[0];
        let (starts, strides) = self.cut.bounds(run, run.outputs[0].shape, g.shape)?;
        let y = &mut run.outputs[0];
        y.bytes_mut().fill(0);
        with_type!(g.dtype, words, W => {
            kernel::update_slice(g.as_words::<W>(), g.shape, &starts, &strides, y.as_mut_words(), y.shape);
        });
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        Ok(vec![Some(
            e.one(Arc::new(Slice(self.cut.clone())), &[vjp.grad()?])?,
        )])
    }

    fn is_symbolic(&self) -> bool {
        self.cut.is_symbolic()
    }
}

/// Checks an operand that holds an integer for each axis of a tensor.
fn expect_starts(starts: &Spec, of: &Shape) -> Result<()> {
    if !matches!(starts.dtype, DType::Int32 | DType::Int64) {
        return type_error!("starts must be int32 or int64, got {}", starts.dtype);
    }
    if starts.shape.rank() != 1 || starts.shape[0].never_equals(&Dim::from(of.rank())) {
        return value_error!(
            "expected a start for each axis of shape {of}, got starts of shape {}",
            starts.shape
        );
    }
    Ok(())
}

/// The starts that an operand holds, moved so that `taken` elements lie inside each axis of `shape`.
fn clamped_starts(
    starts: crate::tensor::TensorRef<'_>,
    shape: &[usize],
    taken: &[usize],
) -> Result<Sizes> {
    if starts.size() != shape.len() {
        return value_error!("{} starts for {} axes", starts.size(), shape.len());
    }
    with_type!(starts.dtype, indices, I => {
        let starts = starts.as_slice::<I>().iter().zip(shape).zip(taken);
        Ok(starts.map(|((&start, &size), &taken)| kernel::clamp_start(start, taken, size)).collect())
    })
}

/// A block of a tensor whose starts are data, moved inside where they would leave it.
#[derive(Clone, Debug)]
pub struct DynamicSlice(pub Shape);

impl Op for DynamicSlice {
    fn name(&self) -> &'static str {
        "dynamic_slice"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 2..=2)?;
        let shape = &inputs[0].shape;
        expect_starts(inputs[1], shape)?;
        fits(&self.0, shape)?;
        Ok(one(inputs[0].with_shape(self.0.clone())))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let (x, y) = (run.inputs[0], &mut run.outputs[0]);
        expect_inside(y.shape, x.shape)?;
        let starts = clamped_starts(run.inputs[1], x.shape, y.shape)?;
        let strides: SmallVec<[isize; 6]> = SmallVec::from_elem(1, starts.len());
        with_type!(x.dtype, words, W => {
            kernel::slice(x.as_words::<W>(), x.shape, &starts, &strides, y.as_mut_words(), y.shape);
        });
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let zeros = create::zeros_like(e, &vjp.inputs[0])?;
        let g = e.one(
            Arc::new(DynamicUpdateSlice),
            &[&zeros, vjp.grad()?, &vjp.inputs[1]],
        )?;
        Ok(vec![Some(g), None])
    }
}

/// Checks that a block is not known to be larger than the tensor it is of.
fn fits(block: &Shape, of: &Shape) -> Result<()> {
    let larger = |(a, b): (&Dim, &Dim)| !a.is_symbolic() && !b.is_symbolic() && a > b;
    if block.rank() != of.rank() || block.iter().zip(of.iter()).any(larger) {
        return value_error!("a block of shape {block} does not fit into shape {of}");
    }
    Ok(())
}

/// Checks that a block is not larger than the tensor it is of.
fn expect_inside(block: &[usize], of: &[usize]) -> Result<()> {
    if block.iter().zip(of).any(|(a, b)| a > b) {
        return value_error!("a block of shape {block:?} does not fit into shape {of:?}");
    }
    Ok(())
}

/// A tensor with a block written over: operands are the tensor, the block and its starts, moved inside where they would leave it.
#[derive(Clone, Copy, Debug)]
pub struct DynamicUpdateSlice;

impl Op for DynamicUpdateSlice {
    fn name(&self) -> &'static str {
        "dynamic_update_slice"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 3..=3)?;
        expect_same_dtype(&inputs[..2])?;
        expect_starts(inputs[2], &inputs[0].shape)?;
        fits(&inputs[1].shape, &inputs[0].shape)?;
        Ok(one(inputs[0].clone()))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run.carry_over(0, 0);
        let (update, y) = (run.inputs[1], &mut run.outputs[0]);
        expect_inside(update.shape, y.shape)?;
        let starts = clamped_starts(run.inputs[2], y.shape, update.shape)?;
        let strides: SmallVec<[isize; 6]> = SmallVec::from_elem(1, starts.len());
        with_type!(update.dtype, words, W => {
            kernel::update_slice(update.as_words::<W>(), update.shape, &starts, &strides, y.as_mut_words(), y.shape);
        });
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let (update, starts, g) = (&vjp.inputs[1], &vjp.inputs[2], vjp.grad()?);
        let zeros = create::zeros_like(e, update)?;
        let kept = e.one(Arc::new(DynamicUpdateSlice), &[g, &zeros, starts])?;
        let block = e.one(Arc::new(DynamicSlice(update.shape().clone())), &[g, starts])?;
        Ok(vec![Some(kept), Some(block), None])
    }

    fn inplace(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }
}

/// The block between `starts` and `stops`.
///
/// # Errors
/// When it leaves the tensor.
pub fn slice(e: &mut dyn Emitter, x: &Value, starts: &[Dim], stops: &[Dim]) -> Result<Value> {
    let cut = Cut {
        starts: starts.into(),
        stops: stops.into(),
        strides: SmallVec::from_elem(1, starts.len()),
    };
    if cut.starts.iter().all(|start| start.is(0)) && cut.stops == x.shape().0 {
        return Ok(x.clone());
    }
    e.one(Arc::new(Slice(cut)), &[x])
}

/// The part between `start` and `stop` along one axis.
///
/// # Errors
/// When it leaves the tensor.
pub fn slice_axis(
    e: &mut dyn Emitter,
    x: &Value,
    axis: usize,
    start: &Dim,
    stop: &Dim,
) -> Result<Value> {
    let mut starts: Dims = SmallVec::from_elem(Dim::Known(0), x.rank());
    let mut stops: Dims = x.shape().0.clone();
    starts[axis] = start.clone();
    stops[axis] = stop.clone();
    slice(e, x, &starts, &stops)
}
