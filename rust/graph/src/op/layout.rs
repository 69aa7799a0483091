//! Ops that move elements without computing.

use std::sync::Arc;

use kernels::layout::{self as kernel, PadMode};
use smallvec::SmallVec;

use super::{Family, Op, Operand, Run, Vjp, create, expect_operands, expect_same_dtype, reduce};
use crate::emit::Emitter;
use crate::{
    DType, Dim, Error, Result, Shape, Spec, Specs, Tensor, Value, Values, trace, type_error,
    unsupported, value_error,
};

/// The family's ops.
pub const OPS: Family = &[
    ("reshape", |attrs| {
        Ok(Arc::new(Reshape(Shape(attrs.dims("shape")?))))
    }),
    ("transpose", |attrs| {
        Ok(Arc::new(Transpose(attrs.ints_or_none("axes")?)))
    }),
    ("broadcast_to", |attrs| {
        Ok(Arc::new(BroadcastTo(Shape(attrs.dims("shape")?))))
    }),
    ("pad", |attrs| {
        Ok(Arc::new(Pad {
            low: attrs.dims("low")?,
            high: attrs.dims("high")?,
            mode: match attrs.str_or("mode", "constant")? {
                "constant" => PadMode::Constant,
                "reflect" => PadMode::Reflect,
                "symmetric" => PadMode::Symmetric,
                "edge" => PadMode::Edge,
                other => return value_error!("there is no padding mode \"{other}\""),
            },
        }))
    }),
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
    ("concatenate", |attrs| {
        Ok(Arc::new(Concatenate(attrs.int_or("axis", 0)?)))
    }),
    ("split", |attrs| {
        Ok(Arc::new(Split {
            sizes: attrs.dims("sizes")?,
            axis: attrs.int_or("axis", 0)?,
        }))
    }),
    ("flip", |attrs| {
        Ok(Arc::new(Flip(attrs.ints_or_none("axes")?)))
    }),
    ("repeat", |attrs| {
        Ok(Arc::new(Repeat {
            repeats: attrs.dim("repeats")?,
            axis: attrs.int("axis")?,
        }))
    }),
];

type Dims = SmallVec<[Dim; 4]>;
type Sizes = SmallVec<[usize; 6]>;

fn one(spec: Spec) -> Specs {
    std::iter::once(spec).collect()
}

/// Sizes of attributes in this run; `Error::Value` for a negative one.
fn sizes(run: &Run<'_, '_>, dims: &[Dim]) -> Result<Sizes> {
    dims.iter()
        .map(|dim| {
            let size = run.dim(dim);
            usize::try_from(size).map_err(|_| Error::Value(format!("a size of {size}")))
        })
        .collect()
}

/// Another shape for the same elements; one size may be -1, for what is left.
#[derive(Clone, Debug)]
pub struct Reshape(pub Shape);

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        let from = &inputs[0].shape;
        let misfit = || {
            Err(Error::Value(format!(
                "cannot reshape a tensor of shape {from} into shape {}",
                self.0
            )))
        };
        let mut shape = self.0.clone();
        let free: SmallVec<[usize; 4]> = (0..shape.rank()).filter(|&i| shape[i].is(-1)).collect();
        if shape
            .iter()
            .enumerate()
            .any(|(i, dim)| matches!(dim, Dim::Known(n) if *n < 0) && !free.contains(&i))
        {
            return misfit();
        }
        match free[..] {
            [] => {}
            [i] => {
                shape[i] = Dim::Known(1);
                let (all, given) = (from.size(), shape.size());
                if given.is(0) {
                    return misfit();
                }
                shape[i] = match all.exact_div(&given) {
                    Some(rest) => rest,
                    None if all.is_symbolic() || given.is_symbolic() => all.floor_div(&given)?,
                    None => return misfit(),
                };
            }
            _ => return value_error!("only one size can be -1, got {}", self.0),
        }
        let (all, new) = (from.size(), shape.size());
        if all != new {
            if all.never_equals(&new) {
                return misfit();
            }
            trace::assume_equal(&all, &new);
        }
        Ok(one(inputs[0].with_shape(shape)))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let bytes = run.inputs[0].bytes();
        run.outputs[0].bytes_mut().copy_from_slice(bytes);
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        Ok(vec![Some(reshape(e, vjp.grad()?, vjp.inputs[0].shape())?)])
    }

    fn is_alias(&self) -> bool {
        true
    }

    fn flops(&self, _: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        0
    }
}

/// A permutation of the axes; `None` reverses them.
#[derive(Clone, Debug)]
pub struct Transpose(pub Option<SmallVec<[i64; 4]>>);

impl Transpose {
    fn axes(&self, rank: usize) -> Result<SmallVec<[usize; 4]>> {
        let Some(axes) = &self.0 else {
            return Ok((0..rank).rev().collect());
        };
        let found = axes
            .iter()
            .map(|&axis| crate::spec::normalize_axis(axis, rank))
            .collect::<Result<SmallVec<[usize; 4]>>>()?;
        if found.len() != rank || (0..rank).any(|axis| !found.contains(&axis)) {
            return value_error!(
                "axes {axes:?} are no permutation of those of a tensor of rank {rank}"
            );
        }
        Ok(found)
    }
}

impl Op for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        let shape = &inputs[0].shape;
        let axes = self.axes(shape.rank())?;
        let shape: Shape = axes.iter().map(|&axis| shape[axis].clone()).collect();
        Ok(one(inputs[0].with_shape(shape)))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let x = run.inputs[0];
        let axes = self.axes(x.shape.len())?;
        with_type!(x.dtype, words, W => kernel::transpose(x.as_words::<W>(), x.shape, &axes, run.outputs[0].as_mut_words()));
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let axes = self.axes(vjp.inputs[0].rank())?;
        Ok(vec![Some(transpose(e, vjp.grad()?, &inverse(&axes))?)])
    }
}

/// The permutation that undoes `axes`.
pub fn inverse(axes: &[usize]) -> SmallVec<[usize; 4]> {
    let mut back = SmallVec::from_elem(0, axes.len());
    for (to, &from) in axes.iter().enumerate() {
        back[from] = to;
    }
    back
}

/// Repeats a tensor along new axes and axes of size 1.
#[derive(Clone, Debug)]
pub struct BroadcastTo(pub Shape);

impl Op for BroadcastTo {
    fn name(&self) -> &'static str {
        "broadcast_to"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        let from = &inputs[0].shape;
        let grows = |i: usize| !from[i].is(1) && self.0[i + self.0.rank() - from.rank()].is(1);
        if from.rank() > self.0.rank() || (0..from.rank()).any(grows) {
            return value_error!("a tensor of shape {from} does not broadcast to {}", self.0);
        }
        from.broadcast(&self.0)?;
        Ok(one(inputs[0].with_shape(self.0.clone())))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let (x, y) = (run.inputs[0], &mut run.outputs[0]);
        with_type!(x.dtype, words, W => kernel::broadcast_to(x.as_words::<W>(), x.shape, y.as_mut_words(), y.shape));
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        Ok(vec![Some(reduce::sum_to(
            e,
            vjp.grad()?,
            vjp.inputs[0].shape(),
        )?)])
    }

    fn flops(&self, _: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        0
    }
}

/// Elements before and behind each axis; operands are the tensor and, for the constant mode, a scalar.
#[derive(Clone, Debug)]
pub struct Pad {
    /// Elements before each axis.
    pub low: Dims,
    /// Elements behind each axis.
    pub high: Dims,
    /// What fills them.
    pub mode: PadMode,
}

impl Op for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1 + usize::from(self.mode == PadMode::Constant)..=2)?;
        expect_same_dtype(inputs)?;
        let from = &inputs[0].shape;
        if self.low.len() != from.rank() || self.high.len() != from.rank() {
            return value_error!(
                "padding of {} and {} axes for a tensor of shape {from}",
                self.low.len(),
                self.high.len()
            );
        }
        if let Some(value) = inputs.get(1).filter(|value| value.shape.rank() != 0) {
            return value_error!("the constant must be a scalar, got shape {}", value.shape);
        }
        let mut shape = Shape::default();
        for ((low, dim), high) in self.low.iter().zip(from.iter()).zip(&self.high) {
            if matches!(low, Dim::Known(n) if *n < 0) || matches!(high, Dim::Known(n) if *n < 0) {
                return value_error!("padding cannot be negative, got {low} and {high}");
            }
            let padded = &(low + dim) + high;
            if self.mode != PadMode::Constant && dim.is(0) && !padded.is(0) {
                return value_error!("no element to pad shape {from} with");
            }
            shape.push(padded);
        }
        Ok(one(inputs[0].with_shape(shape)))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let (low, high) = (sizes(run, &self.low)?, sizes(run, &self.high)?);
        let (x, value) = (run.inputs[0], run.inputs.get(1));
        let output = &mut run.outputs[0];
        with_type!(x.dtype, words, W => {
            let value = value.map_or(W::default(), |value| value.as_words::<W>()[0]);
            kernel::pad(x.as_words(), x.shape, &low, &high, self.mode, value, output.as_mut_words());
        });
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let (x, g) = (&vjp.inputs[0], vjp.grad()?);
        if self.mode == PadMode::Constant {
            let stops: Dims = self
                .low
                .iter()
                .zip(x.shape().iter())
                .map(|(low, dim)| low + dim)
                .collect();
            let inside = slice(e, g, &self.low, &stops)?;
            let outside = if vjp.wanted[1] {
                let all = reduce::sum(e, g, &(0..g.rank()).collect::<Vec<_>>(), false)?;
                let kept = reduce::sum(e, &inside, &(0..g.rank()).collect::<Vec<_>>(), false)?;
                Some(e.call("subtract", &[&all, &kept])?)
            } else {
                None
            };
            return Ok(vec![Some(inside), outside]);
        }
        let mut g = g.clone();
        for axis in 0..x.rank() {
            g = self.fold_ends(e, &g, axis, &x.shape()[axis])?;
        }
        let mut grads = vec![None; vjp.inputs.len()];
        grads[0] = Some(g);
        Ok(grads)
    }
}

impl Pad {
    /// Takes the padding of one axis off a gradient and adds it to where it was copied from.
    fn fold_ends(&self, e: &mut dyn Emitter, g: &Value, axis: usize, size: &Dim) -> Result<Value> {
        let (low, high) = (&self.low[axis], &self.high[axis]);
        let end = low + size;
        let mut inside = slice_axis(e, g, axis, low, &end)?;
        // Distance of the nearest origin from the edge.
        let gap = Dim::Known(i64::from(self.mode == PadMode::Reflect));
        for (width, from, at_end) in [(low, Dim::Known(0), false), (high, end, true)] {
            if width.is(0) {
                continue;
            }
            let part = slice_axis(e, g, axis, &from, &(&from + width))?;
            let (part, near, far) = if self.mode == PadMode::Edge {
                let part = reduce::sum(e, &part, &[axis], true)?;
                (part, Dim::Known(0), size - &Dim::Known(1))
            } else {
                (flip(e, &part, axis)?, gap.clone(), &(size - &gap) - width)
            };
            if matches!(far, Dim::Known(n) if n < 0) {
                return unsupported!("the gradient of a padding of {width} for an axis of {size}");
            }
            let (before, behind) = if at_end { (far, near) } else { (near, far) };
            let part = pad_axis(e, &part, axis, &before, &behind, 0.0)?;
            inside = e.call("add", &[&inside, &part])?;
        }
        Ok(inside)
    }
}

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
        run.carry_over();
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

/// Tensors one after another along an axis.
#[derive(Clone, Debug)]
pub struct Concatenate(pub i64);

impl Op for Concatenate {
    fn name(&self) -> &'static str {
        "concatenate"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=usize::MAX)?;
        expect_same_dtype(inputs)?;
        let mut shape = inputs[0].shape.clone();
        let axis = shape.axis(self.0)?;
        for input in &inputs[1..] {
            if input.shape.rank() != shape.rank() {
                return value_error!(
                    "tensors of shapes {} and {} cannot be joined",
                    inputs[0].shape,
                    input.shape
                );
            }
            for (i, dim) in input.shape.iter().enumerate() {
                if i == axis {
                    shape[i] = &shape[i] + dim;
                } else if shape[i] != *dim {
                    if shape[i].never_equals(dim) {
                        return value_error!(
                            "tensors of shapes {} and {} cannot be joined along axis {axis}",
                            inputs[0].shape,
                            input.shape
                        );
                    }
                    shape[i] = trace::assume_equal(&shape[i], dim);
                }
            }
        }
        Ok(one(inputs[0].with_shape(shape)))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let y = &mut run.outputs[0];
        let axis = crate::spec::normalize_axis(self.0, y.shape.len())?;
        let width: usize = y.shape[axis..].iter().product();
        let mut start = 0;
        for x in run.inputs {
            let part: usize = x.shape[axis..].iter().product();
            with_type!(x.dtype, words, W => kernel::write_columns(x.as_words::<W>(), part, y.as_mut_words(), width, start));
            start += part;
        }
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let g = vjp.grad()?;
        let axis = g.shape().axis(self.0)?;
        let mut start = Dim::Known(0);
        let mut grads = Vec::with_capacity(vjp.inputs.len());
        for (x, wanted) in vjp.inputs.iter().zip(vjp.wanted) {
            let stop = &start + &x.shape()[axis];
            grads.push(if *wanted {
                Some(slice_axis(e, g, axis, &start, &stop)?)
            } else {
                None
            });
            start = stop;
        }
        Ok(grads)
    }
}

/// The parts of a tensor, of given sizes along an axis.
#[derive(Clone, Debug)]
pub struct Split {
    /// The sizes along the axis; together, that of the axis.
    pub sizes: Dims,
    /// The axis, negative ones counted from the end.
    pub axis: i64,
}

impl Op for Split {
    fn name(&self) -> &'static str {
        "split"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        let shape = &inputs[0].shape;
        let axis = shape.axis(self.axis)?;
        let total = self
            .sizes
            .iter()
            .fold(Dim::Known(0), |total, size| &total + size);
        if self
            .sizes
            .iter()
            .any(|size| matches!(size, Dim::Known(n) if *n < 0))
            || total.never_equals(&shape[axis])
        {
            return value_error!(
                "axis {axis} of a tensor of shape {shape} cannot be split into {:?}",
                self.sizes
            );
        }
        if total != shape[axis] {
            trace::assume_equal(&total, &shape[axis]);
        }
        let part = |size: &Dim| {
            let mut shape = shape.clone();
            shape[axis] = size.clone();
            inputs[0].with_shape(shape)
        };
        Ok(self.sizes.iter().map(part).collect())
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let x = run.inputs[0];
        let axis = crate::spec::normalize_axis(self.axis, x.shape.len())?;
        let width: usize = x.shape[axis..].iter().product();
        let mut start = 0;
        for y in run.outputs.iter_mut() {
            let part: usize = y.shape[axis..].iter().product();
            if start + part > width {
                return value_error!(
                    "axis {axis} of a tensor of shape {:?} cannot be split so",
                    x.shape
                );
            }
            with_type!(x.dtype, words, W => kernel::read_columns(x.as_words::<W>(), width, start, part, y.as_mut_words()));
            start += part;
        }
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let axis = vjp.inputs[0].shape().axis(self.axis)?;
        let mut parts = Values::new();
        for (y, g) in vjp.outputs.iter().zip(vjp.grads) {
            parts.push(match g {
                Some(g) => g.clone(),
                None => create::zeros_like(e, y)?,
            });
        }
        Ok(vec![Some(concatenate(e, &parts, axis)?)])
    }
}

/// The opposite order along axes; `None` for all.
#[derive(Clone, Debug)]
pub struct Flip(pub Option<SmallVec<[i64; 4]>>);

impl Flip {
    fn axes(&self, rank: usize) -> Result<SmallVec<[usize; 4]>> {
        let Some(axes) = &self.0 else {
            return Ok((0..rank).collect());
        };
        let mut axes = axes
            .iter()
            .map(|&axis| crate::spec::normalize_axis(axis, rank))
            .collect::<Result<SmallVec<[usize; 4]>>>()?;
        axes.sort_unstable();
        if axes.windows(2).any(|pair| pair[0] == pair[1]) {
            return value_error!("an axis is flipped twice: {:?}", self.0);
        }
        Ok(axes)
    }
}

impl Op for Flip {
    fn name(&self) -> &'static str {
        "flip"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        self.axes(inputs[0].shape.rank())?;
        Ok(one(inputs[0].clone()))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let x = run.inputs[0];
        let axes = self.axes(x.shape.len())?;
        with_type!(x.dtype, words, W => kernel::flip(x.as_words::<W>(), x.shape, &axes, run.outputs[0].as_mut_words()));
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        Ok(vec![Some(e.one(Arc::new(self.clone()), &[vjp.grad()?])?)])
    }
}

/// Each element several times along an axis.
#[derive(Clone, Debug)]
pub struct Repeat {
    /// How often.
    pub repeats: Dim,
    /// The axis, negative ones counted from the end.
    pub axis: i64,
}

impl Op for Repeat {
    fn name(&self) -> &'static str {
        "repeat"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        if matches!(self.repeats, Dim::Known(n) if n < 0) {
            return value_error!("repeats cannot be negative, got {}", self.repeats);
        }
        let mut shape = inputs[0].shape.clone();
        let axis = shape.axis(self.axis)?;
        shape[axis] = &shape[axis] * &self.repeats;
        Ok(one(inputs[0].with_shape(shape)))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let x = run.inputs[0];
        let axis = crate::spec::normalize_axis(self.axis, x.shape.len())?;
        let [repeats] = sizes(run, std::slice::from_ref(&self.repeats))?[..] else {
            unreachable!("one size")
        };
        with_type!(x.dtype, words, W => kernel::repeat(x.as_words::<W>(), x.shape, axis, repeats, run.outputs[0].as_mut_words()));
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let x = &vjp.inputs[0];
        let axis = x.shape().axis(self.axis)?;
        let mut apart = x.shape().clone();
        apart.insert(axis + 1, self.repeats.clone());
        let g = reshape(e, vjp.grad()?, &apart)?;
        Ok(vec![Some(reduce::sum(e, &g, &[axis + 1], false)?)])
    }
}

/// The same elements under another shape of as many.
///
/// # Errors
/// When the number of elements differs.
pub fn reshape(e: &mut dyn Emitter, x: &Value, shape: &Shape) -> Result<Value> {
    if x.shape() == shape {
        return Ok(x.clone());
    }
    e.one(Arc::new(Reshape(shape.clone())), &[x])
}

/// The axes in another order.
///
/// # Errors
/// When `axes` is no permutation.
pub fn transpose(e: &mut dyn Emitter, x: &Value, axes: &[usize]) -> Result<Value> {
    if axes.iter().enumerate().all(|(to, &from)| to == from) {
        return Ok(x.clone());
    }
    let axes = axes.iter().map(|&axis| axis as i64).collect();
    e.one(Arc::new(Transpose(Some(axes))), &[x])
}

/// Repeats a value to a shape.
///
/// # Errors
/// When the value does not broadcast to it.
pub fn broadcast_to(e: &mut dyn Emitter, x: &Value, shape: &Shape) -> Result<Value> {
    if x.shape() == shape {
        return Ok(x.clone());
    }
    e.one(Arc::new(BroadcastTo(shape.clone())), &[x])
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

/// A number before and behind one axis.
///
/// # Errors
/// When a width is negative.
pub fn pad_axis(
    e: &mut dyn Emitter,
    x: &Value,
    axis: usize,
    low: &Dim,
    high: &Dim,
    value: f64,
) -> Result<Value> {
    let widths = |width: &Dim| {
        let mut widths: Dims = SmallVec::from_elem(Dim::Known(0), x.rank());
        widths[axis] = width.clone();
        widths
    };
    let op = Pad {
        low: widths(low),
        high: widths(high),
        mode: PadMode::Constant,
    };
    let value = Value::concrete(Tensor::scalar_of(x.dtype(), value));
    e.one(Arc::new(op), &[x, &value])
}

/// Each element in the place behind its own along an axis (before it if `reverse`), and a number in the place that is free.
///
/// # Errors
/// Those of the dtype.
pub fn shift(
    e: &mut dyn Emitter,
    x: &Value,
    axis: usize,
    reverse: bool,
    value: f64,
) -> Result<Value> {
    let (zero, one) = (Dim::Known(0), Dim::Known(1));
    let size = x.shape()[axis].clone();
    if reverse {
        let longer = pad_axis(e, x, axis, &zero, &one, value)?;
        slice_axis(e, &longer, axis, &one, &(&size + &one))
    } else {
        let longer = pad_axis(e, x, axis, &one, &zero, value)?;
        slice_axis(e, &longer, axis, &zero, &size)
    }
}

/// The opposite order along an axis.
///
/// # Errors
/// Those of the dtype.
pub fn flip(e: &mut dyn Emitter, x: &Value, axis: usize) -> Result<Value> {
    e.one(
        Arc::new(Flip(Some(std::iter::once(axis as i64).collect()))),
        &[x],
    )
}

/// Values one after another along an axis.
///
/// # Errors
/// When their other axes differ.
pub fn concatenate(e: &mut dyn Emitter, parts: &[Value], axis: usize) -> Result<Value> {
    let parts: SmallVec<[&Value; 4]> = parts.iter().collect();
    e.one(Arc::new(Concatenate(axis as i64)), &parts)
}
