//! Reads and writes at places that indices name.
//!
//! Indices are int32 or int64 and count from the end when negative. What lies outside reads as NaN (the least signed or the
//! greatest unsigned integer), or as 0 where `outside` is "zero", and writes nothing.

use std::sync::Arc;

use kernels::embedding;
use kernels::index::{self as kernel, Fill, Scatter};

use super::create::FromInteger;
use super::{Attrs, Family, Op, Run, Vjp, create, expect_operands, expect_same_dtype, layout};
use crate::emit::Emitter;
use crate::spec::normalize_axis;
use crate::tensor::Word;
use crate::{DType, Dim, Result, Shape, Spec, Specs, Value, trace, type_error, value_error};

/// The family's ops.
pub const OPS: Family = &[
    ("gather", |attrs| {
        Ok(Arc::new(Gather {
            axis: attrs.int_or("axis", 0)?,
            zero: outside(attrs)?,
        }))
    }),
    ("scatter_add", |attrs| {
        Ok(Arc::new(ScatterAdd(attrs.int_or("axis", 0)?)))
    }),
    ("gather_nd", |attrs| {
        Ok(Arc::new(GatherNd {
            zero: outside(attrs)?,
        }))
    }),
    ("scatter_nd", |attrs| {
        Ok(Arc::new(ScatterNd(match attrs.str_or("mode", "set")? {
            "set" => Scatter::Set,
            "add" => Scatter::Add,
            "min" => Scatter::Min,
            "max" => Scatter::Max,
            "mul" => Scatter::Mul,
            other => return value_error!("there is no mode \"{other}\""),
        })))
    }),
    ("take_along_axis", |attrs| {
        Ok(Arc::new(TakeAlongAxis {
            axis: attrs.int("axis")?,
            zero: outside(attrs)?,
        }))
    }),
    ("put_along_axis_add", |attrs| {
        Ok(Arc::new(PutAlongAxisAdd(attrs.int("axis")?)))
    }),
    ("embedding", |attrs| {
        Ok(Arc::new(Embedding {
            zero: outside(attrs)?,
        }))
    }),
    ("embedding_gradient", |attrs| {
        Ok(Arc::new(EmbeddingGradient(attrs.dim("rows")?)))
    }),
    ("one_hot", |attrs| {
        Ok(Arc::new(OneHot {
            classes: attrs.dim("num_classes")?,
            axis: attrs.int_or("axis", -1)?,
            dtype: attrs.dtype("dtype")?,
        }))
    }),
    ("searchsorted", |attrs| {
        Ok(Arc::new(SearchSorted {
            right: match attrs.str_or("side", "left")? {
                "left" => false,
                "right" => true,
                other => {
                    return value_error!("`side` must be \"left\" or \"right\", got \"{other}\"");
                }
            },
        }))
    }),
];

/// Whether what lies outside reads as 0.
fn outside(attrs: &Attrs<'_>) -> Result<bool> {
    match attrs.str_or("outside", "fill")? {
        "fill" => Ok(false),
        "zero" => Ok(true),
        other => value_error!("`outside` must be \"fill\" or \"zero\", got \"{other}\""),
    }
}

fn one(spec: Spec) -> Specs {
    std::iter::once(spec).collect()
}

fn expect_indices(indices: &Spec) -> Result<()> {
    if matches!(indices.dtype, DType::Int32 | DType::Int64) {
        return Ok(());
    }
    type_error!("indices must be int32 or int64, got {}", indices.dtype)
}

/// Checks a shape, under a guard where sizes are unknown.
fn expect_shape(what: &str, found: &Shape, expected: &Shape) -> Result<()> {
    let differ = |(a, b): (&Dim, &Dim)| a.never_equals(b);
    if found.rank() != expected.rank() || found.iter().zip(expected.iter()).any(differ) {
        return value_error!("expected {what} of shape {expected}, got {found}");
    }
    for (a, b) in found.iter().zip(expected.iter()) {
        trace::assume_equal(a, b);
    }
    Ok(())
}

/// What lies outside of a tensor, as a word.
fn fill<W: Word>(dtype: DType, zero: bool) -> Result<W> {
    fn word<T: Copy, W: Word>(value: T) -> W {
        assert_eq!(size_of::<T>(), size_of::<W>());
        // SAFETY: both are as long, and any bits are a word.
        unsafe { std::mem::transmute_copy(&value) }
    }
    if zero {
        return Ok(W::default());
    }
    if dtype == DType::Bool {
        return Ok(word(1u8));
    }
    with_type!(dtype, any, T => Ok(word(<T as Fill>::FILL)))
}

/// The shape of `of` with `by` in place of `axis`.
fn replaced(of: &Shape, axis: usize, by: &[Dim]) -> Shape {
    let (before, behind) = (&of[..axis], &of[axis + 1..]);
    before.iter().chain(by).chain(behind).cloned().collect()
}

/// Slices of a tensor along an axis, which the axes of the indices replace.
#[derive(Clone, Debug)]
pub struct Gather {
    /// The axis, negative ones counted from the end.
    pub axis: i64,
    /// Whether what lies outside reads as 0.
    pub zero: bool,
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 2..=2)?;
        expect_indices(inputs[1])?;
        let axis = inputs[0].shape.axis(self.axis)?;
        let shape = replaced(&inputs[0].shape, axis, &inputs[1].shape);
        Ok(one(inputs[0].with_shape(shape)))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let (x, indices, y) = (run.inputs[0], run.inputs[1], &mut run.outputs[0]);
        let axis = normalize_axis(self.axis, x.shape.len())?;
        with_type!(x.dtype, words, W => with_type!(indices.dtype, indices, I => {
            let fill: W = fill(x.dtype, self.zero)?;
            kernel::gather::<W, I>(x.as_words(), x.shape, axis, indices.as_slice(), fill, y.as_mut_words());
        }));
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let zeros = create::zeros_like(e, &vjp.inputs[0])?;
        let op = Arc::new(ScatterAdd(self.axis));
        Ok(vec![
            Some(e.one(op, &[&zeros, &vjp.inputs[1], vjp.grad()?])?),
            None,
        ])
    }
}

/// A tensor with slices along an axis added to: operands are the tensor, indices and updates, whose axes replace the axis.
#[derive(Clone, Debug)]
pub struct ScatterAdd(pub i64);

impl Op for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 3..=3)?;
        expect_indices(inputs[1])?;
        expect_same_dtype(&[inputs[0], inputs[2]])?;
        let axis = inputs[0].shape.axis(self.0)?;
        let expected = replaced(&inputs[0].shape, axis, &inputs[1].shape);
        expect_shape("updates", &inputs[2].shape, &expected)?;
        Ok(one(inputs[0].clone()))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run.carry_over(0, 0);
        let (indices, updates, y) = (run.inputs[1], run.inputs[2], &mut run.outputs[0]);
        let axis = normalize_axis(self.0, y.shape.len())?;
        with_type!(updates.dtype, any, T => with_type!(indices.dtype, indices, I => {
            kernel::scatter::<T, I>(Scatter::Add, updates.as_slice(), indices.as_slice(), y.as_mut_slice(), y.shape, axis);
        }));
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let g = vjp.grad()?;
        let op = Arc::new(Gather {
            axis: self.0,
            zero: true,
        });
        Ok(vec![
            Some(g.clone()),
            None,
            Some(e.one(op, &[g, &vjp.inputs[1]])?),
        ])
    }

    fn inplace(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }
}

/// The shape of what points name: one slice of `of`, behind the axes that a point indexes, for each point.
fn pointed(indices: &Spec, of: &Shape) -> Result<Shape> {
    expect_indices(indices)?;
    let Some((depth, points)) = indices.shape.split_last() else {
        return value_error!("indices must have an axis, got a scalar");
    };
    let depth = depth.require()? as usize;
    if depth > of.rank() {
        return value_error!("points of {depth} indices in a tensor of shape {of}");
    }
    Ok(points.iter().chain(&of[depth..]).cloned().collect())
}

/// Slices of a tensor at points: the last axis of the indices holds a point's index for each of the first axes.
#[derive(Clone, Debug)]
pub struct GatherNd {
    /// Whether what lies outside reads as 0.
    pub zero: bool,
}

impl Op for GatherNd {
    fn name(&self) -> &'static str {
        "gather_nd"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 2..=2)?;
        Ok(one(
            inputs[0].with_shape(pointed(inputs[1], &inputs[0].shape)?)
        ))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let (x, indices, y) = (run.inputs[0], run.inputs[1], &mut run.outputs[0]);
        let depth = indices.shape[indices.shape.len() - 1];
        with_type!(x.dtype, words, W => with_type!(indices.dtype, indices, I => {
            let fill: W = fill(x.dtype, self.zero)?;
            kernel::gather_nd::<W, I>(x.as_words(), x.shape, indices.as_slice(), depth, fill, y.as_mut_words());
        }));
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let zeros = create::zeros_like(e, &vjp.inputs[0])?;
        Ok(vec![
            Some(scatter_nd(
                e,
                Scatter::Add,
                &zeros,
                &vjp.inputs[1],
                vjp.grad()?,
            )?),
            None,
        ])
    }
}

/// A tensor with slices at points written to: operands are the tensor, indices as those of `gather_nd`, and updates.
#[derive(Clone, Debug)]
pub struct ScatterNd(pub Scatter);

impl Op for ScatterNd {
    fn name(&self) -> &'static str {
        "scatter_nd"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 3..=3)?;
        expect_same_dtype(&[inputs[0], inputs[2]])?;
        let expected = pointed(inputs[1], &inputs[0].shape)?;
        expect_shape("updates", &inputs[2].shape, &expected)?;
        Ok(one(inputs[0].clone()))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run.carry_over(0, 0);
        let (indices, updates, y) = (run.inputs[1], run.inputs[2], &mut run.outputs[0]);
        let depth = indices.shape[indices.shape.len() - 1];
        with_type!(updates.dtype, any, T => with_type!(indices.dtype, indices, I => {
            kernel::scatter_nd::<T, I>(self.0, updates.as_slice(), indices.as_slice(), depth, y.as_mut_slice(), y.shape);
        }));
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let [base, indices, updates] = vjp.inputs else {
            unreachable!("three operands")
        };
        let g = vjp.grad()?;
        let (for_base, for_updates) = match self.0 {
            Scatter::Add => (g.clone(), gather_nd(e, g, indices)?),
            Scatter::Set => {
                let zeros = create::zeros_like(e, updates)?;
                let kept = scatter_nd(e, Scatter::Set, g, indices, &zeros)?;
                let written = gather_nd(e, g, indices)?;
                let stays = last_writes(e, base.shape(), indices, updates.rank())?;
                (kept, e.call("where", &[&stays, &written, &zeros])?)
            }
            Scatter::Min | Scatter::Max => {
                // Equals share the gradient.
                let y = &vjp.outputs[0];
                let chosen_base = equal_as_float(e, base, y)?;
                let there = gather_nd(e, y, indices)?;
                let chosen_updates = equal_as_float(e, updates, &there)?;
                let count = scatter_nd(e, Scatter::Add, &chosen_base, indices, &chosen_updates)?;
                let share = e.call("divide", &[g, &count])?;
                let written = gather_nd(e, &share, indices)?;
                (
                    e.call("multiply", &[&share, &chosen_base])?,
                    e.call("multiply", &[&written, &chosen_updates])?,
                )
            }
            Scatter::Mul => {
                let ones = super::elementwise::ones_like(e, base)?;
                let factors = scatter_nd(e, Scatter::Mul, &ones, indices, updates)?;
                // The product without one factor; a factor of 0 is taken as the only one at its place.
                let product = e.call("multiply", &[g, &vjp.outputs[0]])?;
                let product = gather_nd(e, &product, indices)?;
                let single = e.call("multiply", &[g, base])?;
                let single = gather_nd(e, &single, indices)?;
                let zeros = create::zeros_like(e, updates)?;
                let ones = super::elementwise::ones_like(e, updates)?;
                let is_zero = e.call("equal", &[updates, &zeros])?;
                let divisor = e.call("where", &[&is_zero, &ones, updates])?;
                let others = e.call("divide", &[&product, &divisor])?;
                (
                    e.call("multiply", &[g, &factors])?,
                    e.call("where", &[&is_zero, &single, &others])?,
                )
            }
        };
        Ok(vec![Some(for_base), None, Some(for_updates)])
    }

    fn inplace(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }
}

/// 1 where two values are equal, else 0, in their dtype.
fn equal_as_float(e: &mut dyn Emitter, a: &Value, b: &Value) -> Result<Value> {
    let equal = e.call("equal", &[a, b])?;
    super::elementwise::cast(e, &equal, a.dtype())
}

/// For each point, whether no later one names its place; as bools that broadcast to updates of `rank`.
fn last_writes(e: &mut dyn Emitter, base: &Shape, indices: &Value, rank: usize) -> Result<Value> {
    let (depth, points) = indices.shape().split_last().expect("indices have an axis");
    let depth = depth.require()? as usize;
    let points: Shape = points.iter().cloned().collect();
    let order = create::iota(e, &Shape::from_iter([points.size()]), 0, DType::Int32)?;
    let order = layout::reshape(e, &order, &points)?;
    let places: Shape = base[..depth].iter().cloned().collect();
    let nobody = create::zeros(e, DType::Int32, &places)?;
    let last = scatter_nd(e, Scatter::Set, &nobody, indices, &order)?;
    let last = gather_nd(e, &last, indices)?;
    let stays = e.call("equal", &[&last, &order])?;
    let mut shape = points;
    shape.resize(rank, Dim::Known(1));
    layout::reshape(e, &stays, &shape)
}

fn gather_nd(e: &mut dyn Emitter, x: &Value, indices: &Value) -> Result<Value> {
    e.one(Arc::new(GatherNd { zero: true }), &[x, indices])
}

fn scatter_nd(
    e: &mut dyn Emitter,
    mode: Scatter,
    base: &Value,
    indices: &Value,
    updates: &Value,
) -> Result<Value> {
    e.one(Arc::new(ScatterNd(mode)), &[base, indices, updates])
}

/// Checks indices that name an element along `axis` for each of theirs, in a tensor of shape `of`.
fn expect_along(indices: &Spec, of: &Shape, axis: usize) -> Result<()> {
    expect_indices(indices)?;
    if indices.shape.rank() != of.rank() {
        return value_error!(
            "indices of shape {} along axis {axis} of a tensor of shape {of}",
            indices.shape
        );
    }
    expect_shape(
        "indices",
        &indices.shape,
        &replaced(of, axis, &indices.shape[axis..=axis]),
    )
}

/// An element along an axis for each index.
#[derive(Clone, Debug)]
pub struct TakeAlongAxis {
    /// The axis, negative ones counted from the end.
    pub axis: i64,
    /// Whether what lies outside reads as 0.
    pub zero: bool,
}

impl Op for TakeAlongAxis {
    fn name(&self) -> &'static str {
        "take_along_axis"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 2..=2)?;
        let axis = inputs[0].shape.axis(self.axis)?;
        expect_along(inputs[1], &inputs[0].shape, axis)?;
        Ok(one(inputs[0].with_shape(inputs[1].shape.clone())))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let (x, indices, y) = (run.inputs[0], run.inputs[1], &mut run.outputs[0]);
        let axis = normalize_axis(self.axis, x.shape.len())?;
        with_type!(x.dtype, words, W => with_type!(indices.dtype, indices, I => {
            let (count, fill) = (indices.shape[axis], fill::<W>(x.dtype, self.zero)?);
            kernel::take_along_axis::<W, I>(x.as_words(), x.shape, axis, indices.as_slice(), count, fill, y.as_mut_words());
        }));
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let g = put_along_axis(e, &vjp.inputs[0], &vjp.inputs[1], vjp.grad()?, self.axis)?;
        Ok(vec![Some(g), None])
    }
}

/// Zeros like `like` with updates added along an axis at the places that `indices` name.
///
/// # Errors
/// When the shapes do not fit.
pub fn put_along_axis(
    e: &mut dyn Emitter,
    like: &Value,
    indices: &Value,
    updates: &Value,
    axis: i64,
) -> Result<Value> {
    let zeros = create::zeros_like(e, like)?;
    e.one(Arc::new(PutAlongAxisAdd(axis)), &[&zeros, indices, updates])
}

/// A tensor with elements along an axis added to: operands are the tensor, indices and an update for each index.
#[derive(Clone, Debug)]
pub struct PutAlongAxisAdd(pub i64);

impl Op for PutAlongAxisAdd {
    fn name(&self) -> &'static str {
        "put_along_axis_add"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 3..=3)?;
        expect_same_dtype(&[inputs[0], inputs[2]])?;
        let axis = inputs[0].shape.axis(self.0)?;
        expect_along(inputs[1], &inputs[0].shape, axis)?;
        expect_shape("updates", &inputs[2].shape, &inputs[1].shape)?;
        Ok(one(inputs[0].clone()))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run.carry_over(0, 0);
        let (indices, updates, y) = (run.inputs[1], run.inputs[2], &mut run.outputs[0]);
        let axis = normalize_axis(self.0, y.shape.len())?;
        with_type!(updates.dtype, any, T => with_type!(indices.dtype, indices, I => {
            let count = indices.shape[axis];
            kernel::put_along_axis_add::<T, I>(updates.as_slice(), indices.as_slice(), count, y.as_mut_slice(), y.shape, axis);
        }));
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let g = vjp.grad()?;
        let op = Arc::new(TakeAlongAxis {
            axis: self.0,
            zero: true,
        });
        Ok(vec![
            Some(g.clone()),
            None,
            Some(e.one(op, &[g, &vjp.inputs[1]])?),
        ])
    }

    fn inplace(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }
}

/// Rows of a table by id: `gather` along the first axis, whose gradient touches each row once.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// Whether what lies outside reads as 0.
    pub zero: bool,
}

impl Op for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        Gather {
            axis: 0,
            zero: self.zero,
        }
        .infer(inputs)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        Gather {
            axis: 0,
            zero: self.zero,
        }
        .run(run)
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let op = Arc::new(EmbeddingGradient(vjp.inputs[0].shape()[0].clone()));
        Ok(vec![Some(e.one(op, &[vjp.grad()?, &vjp.inputs[1]])?), None])
    }
}

/// The gradient of a table of so many rows: operands are the gradient of the rows that were read and their ids.
#[derive(Clone, Debug)]
pub struct EmbeddingGradient(pub Dim);

impl Op for EmbeddingGradient {
    fn name(&self) -> &'static str {
        "embedding_gradient"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 2..=2)?;
        expect_indices(inputs[1])?;
        let (g, ids) = (&inputs[0].shape, &inputs[1].shape);
        if g.rank() < ids.rank() {
            return value_error!("a gradient of shape {g} for ids of shape {ids}");
        }
        let (rows, row) = g.split_at(ids.rank());
        expect_shape(
            "the gradient's first axes",
            &rows.iter().cloned().collect(),
            ids,
        )?;
        Ok(one(inputs[0].with_shape(
            std::iter::once(&self.0)
                .chain(row)
                .cloned()
                .collect::<Shape>(),
        )))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let (g, ids, y) = (run.inputs[0], run.inputs[1], &mut run.outputs[0]);
        let width = y.shape[1..].iter().product();
        with_type!(g.dtype, any, T => with_type!(ids.dtype, indices, I => {
            embedding::embedding_gradient::<T, I>(g.as_slice(), width, ids.as_slice(), y.as_mut_slice());
        }));
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let op = Arc::new(Embedding { zero: true });
        Ok(vec![Some(e.one(op, &[vjp.grad()?, &vjp.inputs[1]])?), None])
    }
}

/// 1 at the place of each id along a new axis, 0 elsewhere; an id that is no class is 0 everywhere.
#[derive(Clone, Debug)]
pub struct OneHot {
    /// The size of the new axis.
    pub classes: Dim,
    /// The new axis, negative ones counted from the end of the result.
    pub axis: i64,
    /// The dtype of the result.
    pub dtype: DType,
}

impl Op for OneHot {
    fn name(&self) -> &'static str {
        "one_hot"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        expect_indices(inputs[0])?;
        if matches!(self.classes, Dim::Known(n) if n < 0) {
            return value_error!(
                "the number of classes cannot be negative, got {}",
                self.classes
            );
        }
        let mut shape = inputs[0].shape.clone();
        let axis = normalize_axis(self.axis, shape.rank() + 1)?;
        shape.insert(axis, self.classes.clone());
        Ok(one(Spec::new(self.dtype, shape)))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let (ids, y) = (run.inputs[0], &mut run.outputs[0]);
        let axis = normalize_axis(self.axis, y.shape.len())?;
        let (classes, inner) = (y.shape[axis], y.shape[axis + 1..].iter().product());
        with_type!(self.dtype, real, T => with_type!(ids.dtype, indices, I => {
            let values = (T::from_integer(0), T::from_integer(1));
            kernel::one_hot::<I, T>(ids.as_slice(), inner, classes, values, y.as_mut_slice());
        }));
        Ok(())
    }
}

/// Where values would go among a sorted vector, as int32.
#[derive(Clone, Debug)]
pub struct SearchSorted {
    /// Whether behind their equals, not before.
    pub right: bool,
}

impl Op for SearchSorted {
    fn name(&self) -> &'static str {
        "searchsorted"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 2..=2)?;
        let dtype = expect_same_dtype(inputs)?;
        if dtype.is_complex() {
            return type_error!("{dtype} has no order");
        }
        if inputs[0].shape.rank() != 1 {
            return value_error!(
                "the sorted sequence must have one axis, got shape {}",
                inputs[0].shape
            );
        }
        Ok(one(inputs[1].with_dtype(DType::Int32)))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let y = run.output::<i32>(0);
        with_type!(run.inputs[0].dtype, real, T => kernel::searchsorted::<T>(run.input(0), run.input(1), self.right, y));
        Ok(())
    }
}
