//! Reductions over axes, positions of extremes, running sums.

use std::sync::Arc;

use kernels::reduce::{self, Reduction};
use smallvec::SmallVec;

use super::{Attrs, Family, Op, Operand, Run, Vjp, create, expect_operands, layout};
use crate::emit::Emitter;
use crate::{Bindings, DType, Dim, Result, Shape, Spec, Specs, Value, type_error, value_error};

/// The family's ops.
pub const OPS: Family = &[
    ("sum", |attrs| build(Kind::Sum, attrs)),
    ("prod", |attrs| build(Kind::Prod, attrs)),
    ("mean", |attrs| build(Kind::Mean, attrs)),
    ("max", |attrs| build(Kind::Max, attrs)),
    ("min", |attrs| build(Kind::Min, attrs)),
    ("any", |attrs| build(Kind::Any, attrs)),
    ("all", |attrs| build(Kind::All, attrs)),
    ("logsumexp", |attrs| build(Kind::LogSumExp, attrs)),
    ("argmax", |attrs| arg(false, attrs)),
    ("argmin", |attrs| arg(true, attrs)),
    ("cumsum", |attrs| scan(false, attrs)),
    ("cumprod", |attrs| scan(true, attrs)),
];

fn build(kind: Kind, attrs: &Attrs<'_>) -> Result<Arc<dyn Op>> {
    Ok(Arc::new(Reduce {
        kind,
        axes: attrs.ints_or_none("axes")?,
        keepdims: attrs.bool_or("keepdims", false)?,
    }))
}

fn arg(least: bool, attrs: &Attrs<'_>) -> Result<Arc<dyn Op>> {
    Ok(Arc::new(Arg {
        least,
        axis: attrs.int("axis")?,
        keepdims: attrs.bool_or("keepdims", false)?,
    }))
}

fn scan(product: bool, attrs: &Attrs<'_>) -> Result<Arc<dyn Op>> {
    Ok(Arc::new(Cumulative {
        product,
        axis: attrs.int("axis")?,
        reverse: attrs.bool_or("reverse", false)?,
    }))
}

/// What a reduction computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Sum,
    Prod,
    Mean,
    Max,
    Min,
    Any,
    All,
    LogSumExp,
}

/// A reduction.
#[derive(Clone, Debug)]
pub struct Reduce {
    /// What it computes.
    pub kind: Kind,
    /// The axes that are reduced, negative ones counted from the end; `None` for all.
    pub axes: Option<SmallVec<[i64; 4]>>,
    /// Whether reduced axes stay, with size 1.
    pub keepdims: bool,
}

impl Reduce {
    /// The reduced axes of a tensor, ascending.
    fn axes(&self, rank: usize) -> Result<SmallVec<[usize; 4]>> {
        let Some(axes) = &self.axes else {
            return Ok((0..rank).collect());
        };
        let mut axes = axes
            .iter()
            .map(|&axis| crate::spec::normalize_axis(axis, rank))
            .collect::<Result<SmallVec<[usize; 4]>>>()?;
        axes.sort_unstable();
        if axes.windows(2).any(|pair| pair[0] == pair[1]) {
            return value_error!("duplicate value in axes {:?}", self.axes);
        }
        Ok(axes)
    }

    /// The kernel's name for it; `None` for log-sum-exp, which has a kernel of its own.
    fn reduction(&self) -> Option<Reduction> {
        Some(match self.kind {
            Kind::Sum => Reduction::Sum,
            Kind::Prod => Reduction::Prod,
            Kind::Mean => Reduction::Mean,
            Kind::Max => Reduction::Max,
            Kind::Min => Reduction::Min,
            Kind::Any => Reduction::Any,
            Kind::All => Reduction::All,
            Kind::LogSumExp => return None,
        })
    }
}

/// `shape` with size 1 at `axes`, or without them.
fn without(shape: &Shape, axes: &[usize], keepdims: bool) -> Shape {
    let kept = |(axis, dim): (usize, &Dim)| match (axes.contains(&axis), keepdims) {
        (false, _) => Some(dim.clone()),
        (true, true) => Some(Dim::Known(1)),
        (true, false) => None,
    };
    shape.iter().enumerate().filter_map(kept).collect()
}

impl Op for Reduce {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Sum => "sum",
            Kind::Prod => "prod",
            Kind::Mean => "mean",
            Kind::Max => "max",
            Kind::Min => "min",
            Kind::Any => "any",
            Kind::All => "all",
            Kind::LogSumExp => "logsumexp",
        }
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        let Spec { dtype, shape } = inputs[0];
        let fits = match self.kind {
            Kind::Sum | Kind::Prod => *dtype != DType::Bool,
            Kind::Mean => dtype.is_float() || dtype.is_complex(),
            Kind::LogSumExp => dtype.is_float(),
            Kind::Max | Kind::Min => true,
            Kind::Any | Kind::All => *dtype == DType::Bool,
        };
        if !fits {
            return type_error!("a tensor of dtype {dtype} cannot be reduced so");
        }
        let axes = self.axes(shape.rank())?;
        if matches!(self.kind, Kind::Max | Kind::Min) && axes.iter().any(|&axis| shape[axis].is(0))
        {
            return value_error!("the extreme of no elements: axes {axes:?} of shape {shape}");
        }
        Ok(std::iter::once(inputs[0].with_shape(without(shape, &axes, self.keepdims))).collect())
    }

    fn scratch(&self, inputs: &[Operand<'_>], _: &[Operand<'_>], _: &Bindings) -> usize {
        let Operand { dtype, shape } = inputs[0];
        let Ok(axes) = self.axes(shape.len()) else {
            return 0;
        };
        reduce::reduce_scratch_len(dtype, shape, &axes) * dtype.size().max(size_of::<f32>())
    }

    fn by_rows(&self, inputs: &[&Spec], _batched: &[bool]) -> bool {
        let axes = self.axes(inputs[0].shape.rank());
        axes.is_ok_and(|axes| !axes.contains(&0))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let shape = run.inputs[0].shape;
        let axes = self.axes(shape.len())?;
        let dtype = run.inputs[0].dtype;
        match self.reduction() {
            Some(reduction) => with_type!(dtype, any, T => {
                let (x, y) = (run.input::<T>(0), run.output::<T>(0));
                reduce::reduce(reduction, x, shape, &axes, y, run.scratch_of());
            }),
            None => with_type!(dtype, floats, T => {
                let (x, y) = (run.input::<T>(0), run.output::<T>(0));
                reduce::logsumexp(x, shape, &axes, y, run.scratch_of());
            }),
        }
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let (x, y, g) = (&vjp.inputs[0], &vjp.outputs[0], vjp.grad()?);
        let axes = self.axes(x.rank())?;
        let kept = without(x.shape(), &axes, true);
        let g = layout::reshape(e, g, &kept)?;
        let gradient = match self.kind {
            Kind::Sum => layout::broadcast_to(e, &g, x.shape())?,
            Kind::Mean => {
                let count = axes
                    .iter()
                    .fold(Dim::Known(1), |count, &axis| &count * &x.shape()[axis]);
                let count = create::size(e, &count, x.dtype())?;
                let share = e.call("divide", &[&g, &count])?;
                layout::broadcast_to(e, &share, x.shape())?
            }
            Kind::Prod => {
                let others = products_of_others(e, x, &axes)?;
                e.call("multiply", &[&g, &others])?
            }
            Kind::Max | Kind::Min => {
                // Equals share the gradient.
                let y = layout::reshape(e, y, &kept)?;
                let chosen = e.call("equal", &[x, &y])?;
                let zeros = create::zeros_like(e, x)?;
                let ones = super::elementwise::ones_like(e, x)?;
                let chosen = e.call("where", &[&chosen, &ones, &zeros])?;
                let count = sum(e, &chosen, &axes, true)?;
                let share = e.call("divide", &[&g, &count])?;
                e.call("multiply", &[&share, &chosen])?
            }
            Kind::LogSumExp => {
                let y = layout::reshape(e, y, &kept)?;
                let log = e.call("subtract", &[x, &y])?;
                let weights = e.call("exp", &[&log])?;
                e.call("multiply", &[&g, &weights])?
            }
            Kind::Any | Kind::All => return Ok(vec![None]),
        };
        Ok(vec![Some(gradient)])
    }
}

/// For each element of `x`, the product of the others that share its place in the reduction of `axes`: right for zeros too.
fn products_of_others(e: &mut dyn Emitter, x: &Value, axes: &[usize]) -> Result<Value> {
    // The reduced axes as one, behind the kept ones.
    let kept = (0..x.rank()).filter(|axis| !axes.contains(axis));
    let order: SmallVec<[usize; 4]> = kept.chain(axes.iter().copied()).collect();
    let rows = layout::transpose(e, x, &order)?;
    let last = x.rank() - axes.len();
    let mut shape: Shape = rows.shape()[..last].iter().cloned().collect();
    shape.push(Shape(rows.shape()[last..].iter().cloned().collect()).size());
    let line = layout::reshape(e, &rows, &shape)?;

    let before = exclusive_product(e, &line, last, false)?;
    let behind = exclusive_product(e, &line, last, true)?;
    let others = e.call("multiply", &[&before, &behind])?;

    let others = layout::reshape(e, &others, rows.shape())?;
    layout::transpose(e, &others, &layout::inverse(&order))
}

/// The product of the elements before each one along `axis` (behind it if `reverse`).
fn exclusive_product(e: &mut dyn Emitter, x: &Value, axis: usize, reverse: bool) -> Result<Value> {
    let shifted = layout::shift(e, x, axis, reverse, 1.0)?;
    let op = Cumulative {
        product: true,
        axis: axis as i64,
        reverse,
    };
    e.one(Arc::new(op), &[&shifted])
}

/// The position of an extreme along an axis, as int32.
#[derive(Clone, Debug)]
pub struct Arg {
    /// Whether the least element is meant, not the greatest.
    pub least: bool,
    /// The axis, negative ones counted from the end.
    pub axis: i64,
    /// Whether the axis stays, with size 1.
    pub keepdims: bool,
}

impl Op for Arg {
    fn name(&self) -> &'static str {
        if self.least { "argmin" } else { "argmax" }
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        let shape = &inputs[0].shape;
        let axis = shape.axis(self.axis)?;
        if shape[axis].is(0) {
            return value_error!("the extreme of no elements: axis {axis} of shape {shape}");
        }
        let shape = without(shape, &[axis], self.keepdims);
        Ok(std::iter::once(Spec::new(DType::Int32, shape)).collect())
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let shape = run.inputs[0].shape;
        let axis = crate::spec::normalize_axis(self.axis, shape.len())?;
        let y = run.output::<i32>(0);
        with_type!(run.inputs[0].dtype, any, T => {
            let find = if self.least { reduce::argmin::<T> } else { reduce::argmax::<T> };
            find(run.input(0), shape, axis, y);
        });
        Ok(())
    }
}

/// A running sum or product along an axis.
#[derive(Clone, Debug)]
pub struct Cumulative {
    /// Whether it is a product, not a sum.
    pub product: bool,
    /// The axis, negative ones counted from the end.
    pub axis: i64,
    /// Whether it runs from the end.
    pub reverse: bool,
}

impl Op for Cumulative {
    fn name(&self) -> &'static str {
        if self.product { "cumprod" } else { "cumsum" }
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        inputs[0].shape.axis(self.axis)?;
        if inputs[0].dtype == DType::Bool {
            return type_error!("a tensor of dtype bool cannot be reduced so");
        }
        Ok(std::iter::once(inputs[0].clone()).collect())
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let shape = run.inputs[0].shape;
        let axis = crate::spec::normalize_axis(self.axis, shape.len())?;
        with_type!(run.inputs[0].dtype, any, T => {
            let scan = if self.product { reduce::cumprod::<T> } else { reduce::cumsum::<T> };
            scan(run.input(0), shape, axis, self.reverse, run.output(0));
        });
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let (x, g) = (&vjp.inputs[0], vjp.grad()?);
        let axis = x.shape().axis(self.axis)?;
        if !self.product {
            let back = Cumulative {
                reverse: !self.reverse,
                ..self.clone()
            };
            return Ok(vec![Some(e.one(Arc::new(back), &[g])?)]);
        }
        // y[i] = x[i] y[i - 1]: what reaches y[i] is s[i] = g[i] + x[i + 1] s[i + 1], and x[i] gets s[i] y[i - 1].
        let factors = layout::shift(e, x, axis, !self.reverse, 0.0)?;
        let reached = recurrence(e, &factors, g, axis, !self.reverse)?;
        let before = layout::shift(e, &vjp.outputs[0], axis, self.reverse, 1.0)?;
        Ok(vec![Some(e.call("multiply", &[&reached, &before])?)])
    }
}

/// `y[i] = a[i] y[i - 1] + b[i]` along an axis, from the end if `reverse`; the neighbour of the first is 0.
#[derive(Clone, Debug)]
pub struct Recurrence {
    /// The axis.
    pub axis: usize,
    /// Whether it runs from the end.
    pub reverse: bool,
}

impl Op for Recurrence {
    fn name(&self) -> &'static str {
        "recurrence"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 2..=2)?;
        super::expect_same_dtype(inputs)?;
        if inputs[0].shape != inputs[1].shape {
            return value_error!("shapes {} and {} differ", inputs[0].shape, inputs[1].shape);
        }
        Ok(std::iter::once(inputs[0].clone()).collect())
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let shape = run.inputs[0].shape;
        with_type!(run.inputs[0].dtype, any, T => {
            reduce::recurrence::<T>(run.input(0), run.input(1), shape, self.axis, self.reverse, run.output(0));
        });
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        // What reaches y[i] is s[i] = g[i] + a[i + 1] s[i + 1].
        let factors = layout::shift(e, &vjp.inputs[0], self.axis, !self.reverse, 0.0)?;
        let reached = recurrence(e, &factors, vjp.grad()?, self.axis, !self.reverse)?;
        let before = layout::shift(e, &vjp.outputs[0], self.axis, self.reverse, 0.0)?;
        let factors = e.call("multiply", &[&reached, &before])?;
        Ok(vec![Some(factors), Some(reached)])
    }
}

fn recurrence(
    e: &mut dyn Emitter,
    a: &Value,
    b: &Value,
    axis: usize,
    reverse: bool,
) -> Result<Value> {
    e.one(Arc::new(Recurrence { axis, reverse }), &[a, b])
}

/// The sum over `axes`.
///
/// # Errors
/// When an axis is not there.
pub fn sum(e: &mut dyn Emitter, x: &Value, axes: &[usize], keepdims: bool) -> Result<Value> {
    let op = Reduce {
        kind: Kind::Sum,
        axes: Some(axes.iter().map(|&axis| axis as i64).collect()),
        keepdims,
    };
    e.one(Arc::new(op), &[x])
}

/// The sum of `x` over the axes that a tensor of `shape` was repeated along to get its shape: the gradient of broadcasting.
///
/// # Errors
/// When `shape` does not broadcast to that of `x`.
pub fn sum_to(e: &mut dyn Emitter, x: &Value, shape: &Shape) -> Result<Value> {
    if x.shape() == shape {
        return Ok(x.clone());
    }
    let Some(added) = x.rank().checked_sub(shape.rank()) else {
        return value_error!("{} does not broadcast to {}", shape, x.shape());
    };
    let repeated =
        |&axis: &usize| axis < added || (shape[axis - added].is(1) && !x.shape()[axis].is(1));
    let axes: SmallVec<[usize; 4]> = (0..x.rank()).filter(repeated).collect();
    let total = if axes.is_empty() {
        x.clone()
    } else {
        sum(e, x, &axes, true)?
    };
    layout::reshape(e, &total, shape)
}
