//! What is known of a tensor before it is computed: its dtype and its shape, sizes maybe unknown.

use std::fmt;
use std::ops::{Deref, DerefMut};

use smallvec::SmallVec;

use crate::{Bindings, DType, Dim, Result, value_error};

/// The sizes of a tensor's axes.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(pub SmallVec<[Dim; 4]>);

/// A tensor's dtype and shape.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Spec {
    /// The element type.
    pub dtype: DType,
    /// The sizes of the axes.
    pub shape: Shape,
}

/// The specs of an op's outputs.
pub type Specs = SmallVec<[Spec; 1]>;

impl Shape {
    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The number of elements.
    pub fn size(&self) -> Dim {
        self.0
            .iter()
            .fold(Dim::Known(1), |product, dim| &product * dim)
    }

    /// The sizes, when all are known.
    pub fn known(&self) -> Option<SmallVec<[usize; 6]>> {
        let mut sizes = SmallVec::new();
        for dim in &self.0 {
            sizes.push(dim.known()?);
        }
        Some(sizes)
    }

    /// The sizes under `bindings`.
    pub fn eval(&self, bindings: &Bindings) -> SmallVec<[usize; 6]> {
        self.0.iter().map(|dim| dim.size(bindings)).collect()
    }

    /// The axis as an index, negative ones counted from the end.
    ///
    /// # Errors
    /// `Error::Value` when there is no such axis.
    pub fn axis(&self, axis: i64) -> Result<usize> {
        normalize_axis(axis, self.rank())
    }

    /// The shape that two shapes broadcast to, numpy's way.
    ///
    /// A symbol meets another size as its equal: the trace checks that when memory is planned.
    ///
    /// # Errors
    /// `Error::Value` when two known sizes differ and neither is 1.
    pub fn broadcast(&self, other: &Shape) -> Result<Shape> {
        let rank = self.rank().max(other.rank());
        let at = |shape: &Shape, i: usize| -> Option<Dim> {
            (i + shape.rank())
                .checked_sub(rank)
                .map(|i| shape.0[i].clone())
        };
        let mut dims = SmallVec::with_capacity(rank);
        for i in 0..rank {
            dims.push(match (at(self, i), at(other, i)) {
                (Some(a), Some(b)) => {
                    if a == b || b.is(1) {
                        a
                    } else if a.is(1) {
                        b
                    } else if a.never_equals(&b) {
                        return value_error!(
                            "shapes {self} and {other} cannot be broadcast together"
                        );
                    } else {
                        crate::trace::assume_equal(&a, &b)
                    }
                }
                (Some(a), None) | (None, Some(a)) => a,
                (None, None) => Dim::Known(1),
            });
        }
        Ok(Shape(dims))
    }
}

/// The axis as an index below `rank`, negative ones counted from the end.
///
/// # Errors
/// `Error::Value` when there is no such axis.
pub fn normalize_axis(axis: i64, rank: usize) -> Result<usize> {
    let index = if axis < 0 { axis + rank as i64 } else { axis };
    if index < 0 || index >= rank as i64 {
        return value_error!("axis {axis} is out of bounds for a tensor of rank {rank}");
    }
    Ok(index as usize)
}

impl Deref for Shape {
    type Target = SmallVec<[Dim; 4]>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Shape {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl FromIterator<Dim> for Shape {
    fn from_iter<I: IntoIterator<Item = Dim>>(dims: I) -> Shape {
        Shape(dims.into_iter().collect())
    }
}

impl From<&[usize]> for Shape {
    fn from(sizes: &[usize]) -> Shape {
        sizes.iter().map(|&n| Dim::from(n)).collect()
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(sizes: [usize; N]) -> Shape {
        Shape::from(&sizes[..])
    }
}

impl Shape {
    fn write(&self, f: &mut fmt::Formatter<'_>, name: impl Fn(&Dim) -> String) -> fmt::Result {
        let sizes: Vec<String> = self.0.iter().map(name).collect();
        let comma = if sizes.len() == 1 { "," } else { "" };
        write!(f, "({}{comma})", sizes.join(", "))
    }
}

/// As Keras shows it: an unknown size is `None`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, |dim| match dim {
            Dim::Known(size) => size.to_string(),
            _ => "None".to_owned(),
        })
    }
}

/// With the symbols of unknown sizes.
impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, Dim::to_string)
    }
}

impl Spec {
    /// A dtype and a shape.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> Spec {
        Spec {
            dtype,
            shape: shape.into(),
        }
    }

    /// The same shape with another dtype.
    pub fn with_dtype(&self, dtype: DType) -> Spec {
        Spec {
            dtype,
            shape: self.shape.clone(),
        }
    }

    /// The same dtype with another shape.
    pub fn with_shape(&self, shape: impl Into<Shape>) -> Spec {
        Spec {
            dtype: self.dtype,
            shape: shape.into(),
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
