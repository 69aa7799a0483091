//! Ops that move elements without computing.

use std::sync::Arc;

use kernels::layout::{self as kernel, PadMode};
use smallvec::SmallVec;

use super::slice::{slice, slice_axis};
use super::{Family, Op, Operand, Run, Vjp, create, expect_operands, expect_same_dtype, reduce};
use crate::emit::Emitter;
use crate::{
    DType, Dim, Error, Result, Shape, Spec, Specs, Tensor, Value, Values, trace, unsupported,
    value_error,
};

/// The family's ops.
pub const OPS: Family = &[
    ("reshape", |attrs| {
        Ok(Arc::new(Reshape(Shape(attrs.dims("shape")?))))
    }),
    ("bitcast", |attrs| {
        Ok(Arc::new(Bitcast(attrs.dtype("dtype")?)))
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

pub(super) type Dims = SmallVec<[Dim; 4]>;
pub(super) type Sizes = SmallVec<[usize; 6]>;

pub(super) fn one(spec: Spec) -> Specs {
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

    fn by_rows(&self, inputs: &[&Spec], _batched: &[bool]) -> bool {
        let first = inputs[0].shape.first();
        first.is_some() && (self.infer(inputs)).is_ok_and(|out| out[0].shape.first() == first)
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

/// The same bytes as elements of another dtype: the last size grows or shrinks with their width.
#[derive(Clone, Debug)]
pub struct Bitcast(pub DType);

impl Op for Bitcast {
    fn name(&self) -> &'static str {
        "bitcast"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        let spec = inputs[0];
        let misfit = || {
            Err(Error::Value(format!(
                "the bytes of a tensor {spec} cannot be read as {}",
                self.0
            )))
        };
        let [old, new] = [spec.dtype, self.0].map(|dtype| dtype.size() as i64);
        if self.0 == DType::Bool && spec.dtype != DType::Bool {
            return misfit();
        }
        let mut shape = spec.shape.clone();
        if old != new {
            let Some(last) = shape.rank().checked_sub(1) else {
                return misfit();
            };
            let bytes = &shape[last] * &Dim::Known(old);
            let Some(size) = bytes.exact_div(&Dim::Known(new)) else {
                return misfit();
            };
            shape[last] = size;
        }
        Ok(one(spec.with_shape(shape).with_dtype(self.0)))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let bytes = run.inputs[0].bytes();
        run.outputs[0].bytes_mut().copy_from_slice(bytes);
        Ok(())
    }

    fn vjp(&self, _: &mut dyn Emitter, _: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        Ok(vec![None])
    }

    fn flops(&self, _: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        0
    }
}

/// A permutation of the axes; `None` reverses them.
#[derive(Clone, Debug)]
pub struct Transpose(pub Option<SmallVec<[i64; 4]>>);

impl Transpose {
    /// The axis that each axis of the result is.
    ///
    /// # Errors
    /// `Error::Value` when they are no permutation of so many.
    pub fn axes(&self, rank: usize) -> Result<SmallVec<[usize; 4]>> {
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
