//! Arithmetic on values, so that a gradient rule reads as its formula.
//!
//! Operators build elementwise ops. The first error stays in the term and comes out of [`Term::value`].
use std::cell::RefCell;
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::sync::Arc;

use kernels::elementwise::Op as Function;
use smallvec::SmallVec;

use super::Vjp;
use super::elementwise::{Cast, Copy, Elementwise, scalar_like};
use super::layout;
use super::reduce::{Kind, Reduce, sum_to};
use crate::emit::{Dispatch, Emitter};
use crate::tape::{Source, Tape};
use crate::{DType, Dim, Op, Result, Shape, Value};

/// Makes terms of values.
pub struct Terms<'e>(RefCell<&'e mut dyn Emitter>);

/// A value, or why there is none.
#[derive(Clone)]
pub struct Term<'t, 'e> {
    terms: &'t Terms<'e>,
    value: Result<Value>,
}

impl<'e> Terms<'e> {
    /// Terms whose ops `emitter` takes.
    pub fn new(emitter: &'e mut dyn Emitter) -> Self {
        Terms(RefCell::new(emitter))
    }

    /// The term of a value.
    pub fn of(&self, value: &Value) -> Term<'_, 'e> {
        Term {
            terms: self,
            value: Ok(value.clone()),
        }
    }

    /// The term of a value that may have failed.
    pub fn of_result(&self, value: Result<Value>) -> Term<'_, 'e> {
        Term { terms: self, value }
    }

    /// Applies an op of one result to terms.
    pub fn apply(&self, op: Arc<dyn Op>, args: &[&Term<'_, 'e>]) -> Term<'_, 'e> {
        let apply = || {
            let values = args
                .iter()
                .map(|arg| arg.value.as_ref().map_err(Clone::clone));
            let values = values.collect::<Result<Vec<&Value>>>()?;
            self.0.borrow_mut().one(op, &values)
        };
        Term {
            terms: self,
            value: apply(),
        }
    }

    /// `x1` where the condition holds, else `x2`.
    pub fn select<'t>(
        &'t self,
        condition: &Term<'t, 'e>,
        x1: &Term<'t, 'e>,
        x2: &Term<'t, 'e>,
    ) -> Term<'t, 'e> {
        self.apply(Elementwise::op(Function::Where), &[condition, x1, x2])
    }
}

/// The gradients of a fused op, by those of a formula that computes the same from the op's operands.
///
/// For gradients of gradients, where speed counts less than having no rule to write.
///
/// # Errors
/// Those of the formula and of its ops' rules.
pub fn differentiate(
    vjp: &Vjp<'_>,
    formula: impl for<'t, 'e> Fn(&'t Terms<'e>, &[Term<'t, 'e>]) -> Vec<Term<'t, 'e>>,
) -> Result<Vec<Option<Value>>> {
    let mut dispatch = Dispatch;
    let tape = Tape::new(false);
    let terms = Terms::new(&mut dispatch);
    // An operand that stands at two places has a gradient for each.
    let operands = vjp.inputs.iter().enumerate().map(|(i, x)| {
        let again = vjp.inputs[..i].iter().any(|other| other.id() == x.id());
        let x = terms.of(x);
        if again {
            terms.apply(Arc::new(Copy), &[&x])
        } else {
            x
        }
    });
    let operands: Vec<Term<'_, '_>> = operands.collect();
    let mut sources = Vec::new();
    for (x, _) in operands
        .iter()
        .zip(vjp.wanted)
        .filter(|(_, wanted)| **wanted)
    {
        let value = x.clone().value()?;
        tape.watch(&value);
        sources.push(Source::Value(value));
    }
    tape.start();
    let results = formula(&terms, &operands);
    tape.stop();
    let (mut targets, mut seeds) = (Vec::new(), Vec::new());
    for (result, grad) in results.into_iter().zip(vjp.grads) {
        if grad.is_some() {
            targets.push(result.value()?);
            seeds.push(grad.clone());
        }
    }
    let mut grads = tape.gradient(&targets, &seeds, &sources)?.into_iter();
    let place = |wanted: &bool| {
        if *wanted {
            grads.next().flatten()
        } else {
            None
        }
    };
    Ok(vjp.wanted.iter().map(place).collect())
}

/// The gradients of a fused op's gradients. The call's operands begin with the op's own, of which those that are `wanted` have
/// gradients; `grads` finds what reaches the op's results among them, and `formula` computes these from the op's operands.
///
/// # Errors
/// Those of the formula and of its ops' rules.
pub fn differentiate_gradients(
    vjp: &Vjp<'_>,
    wanted: &[bool],
    grads: impl Fn(&[Value]) -> Vec<Option<Value>>,
    formula: impl for<'t, 'e> Fn(&'t Terms<'e>, &[Term<'t, 'e>]) -> Result<Vec<Term<'t, 'e>>>,
) -> Result<Vec<Option<Value>>> {
    differentiate(vjp, |terms: &Terms<'_>, x: &[Term<'_, '_>]| {
        let gradients = || -> Result<Vec<Option<Value>>> {
            let values = x.iter().cloned().map(Term::value);
            let values = values.collect::<Result<Vec<Value>>>()?;
            let grads = grads(&values);
            let inner = Vjp {
                inputs: &values[..wanted.len()],
                outputs: &[],
                grads: &grads,
                wanted,
            };
            differentiate(&inner, |terms, x| {
                formula(terms, x)
                    .unwrap_or_else(|error| vec![terms.of_result(Err(error)); grads.len()])
            })
        };
        match gradients() {
            Ok(gradients) => (gradients.into_iter().zip(x).zip(wanted))
                .filter(|(_, wanted)| **wanted)
                .map(|((gradient, x), _)| match gradient {
                    Some(gradient) => terms.of(&gradient),
                    None => x * 0.0,
                })
                .collect(),
            Err(error) => vec![terms.of_result(Err(error)); wanted.len()],
        }
    })
}

impl<'t, 'e> Term<'t, 'e> {
    /// The value.
    ///
    /// # Errors
    /// The first error of the ops that led here.
    pub fn value(self) -> Result<Value> {
        self.value
    }

    /// The function of this.
    pub fn map(&self, function: Function) -> Self {
        self.terms.apply(Elementwise::op(function), &[self])
    }

    /// The function of this and another.
    pub fn with(&self, function: Function, other: &Self) -> Self {
        self.terms.apply(Elementwise::op(function), &[self, other])
    }

    /// The function of this and a number.
    pub fn with_number(&self, function: Function, number: f64) -> Self {
        self.with(function, &self.number(number))
    }

    /// A number of this one's dtype.
    pub fn number(&self, number: f64) -> Self {
        let value = self.value.as_ref().map_err(Clone::clone);
        Term {
            terms: self.terms,
            value: value.map(|like| scalar_like(like, number)),
        }
    }

    /// Summed over the axes along which `shape` broadcast to this one's.
    pub fn sum_to(&self, shape: &Shape) -> Self {
        let sum = |value: &Value| sum_to(*self.terms.0.borrow_mut(), value, shape);
        Term {
            terms: self.terms,
            value: self.value.as_ref().map_err(Clone::clone).and_then(sum),
        }
    }

    /// Reduced over axes, which stay with size 1.
    pub fn reduce(&self, kind: Kind, axes: &[usize]) -> Self {
        let op = Reduce {
            kind,
            axes: Some(axes.iter().map(|&axis| axis as i64).collect()),
            keepdims: true,
        };
        self.terms.apply(Arc::new(op), &[self])
    }

    /// The same elements in another shape.
    pub fn reshape(&self, shape: &Shape) -> Self {
        let reshape = |value: &Value| layout::reshape(*self.terms.0.borrow_mut(), value, shape);
        Term {
            terms: self.terms,
            value: self.value.as_ref().map_err(Clone::clone).and_then(reshape),
        }
    }

    /// Its equal parts along an axis of known size.
    pub fn split(&self, axis: usize, parts: usize) -> Vec<Self> {
        let split = |value: &Value| {
            let size = Dim::Known(value.shape()[axis].require()? / parts.max(1) as i64);
            let op = layout::Split {
                sizes: SmallVec::from_elem(size, parts),
                axis: axis as i64,
            };
            self.terms.0.borrow_mut().emit(Arc::new(op), &[value])
        };
        match self.value.as_ref().map_err(Clone::clone).and_then(split) {
            Ok(values) => values.iter().map(|value| self.terms.of(value)).collect(),
            Err(error) => vec![self.terms.of_result(Err(error)); parts],
        }
    }

    /// Converted to a dtype.
    pub fn cast(&self, dtype: DType) -> Self {
        match &self.value {
            Ok(value) if value.dtype() == dtype => self.clone(),
            _ => self.terms.apply(Arc::new(Cast(dtype)), &[self]),
        }
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident $function:ident;)*) => {$(
        impl<'t, 'e> $trait<&Term<'t, 'e>> for &Term<'t, 'e> {
            type Output = Term<'t, 'e>;
            fn $method(self, other: &Term<'t, 'e>) -> Term<'t, 'e> {
                self.with(Function::$function, other)
            }
        }
        impl<'t, 'e> $trait<Term<'t, 'e>> for Term<'t, 'e> {
            type Output = Term<'t, 'e>;
            fn $method(self, other: Term<'t, 'e>) -> Term<'t, 'e> {
                self.with(Function::$function, &other)
            }
        }
        impl<'t, 'e> $trait<&Term<'t, 'e>> for Term<'t, 'e> {
            type Output = Term<'t, 'e>;
            fn $method(self, other: &Term<'t, 'e>) -> Term<'t, 'e> {
                self.with(Function::$function, other)
            }
        }
        impl<'t, 'e> $trait<Term<'t, 'e>> for &Term<'t, 'e> {
            type Output = Term<'t, 'e>;
            fn $method(self, other: Term<'t, 'e>) -> Term<'t, 'e> {
                self.with(Function::$function, &other)
            }
        }
        impl<'t, 'e> $trait<f64> for &Term<'t, 'e> {
            type Output = Term<'t, 'e>;
            fn $method(self, other: f64) -> Term<'t, 'e> {
                self.with_number(Function::$function, other)
            }
        }
        impl<'t, 'e> $trait<f64> for Term<'t, 'e> {
            type Output = Term<'t, 'e>;
            fn $method(self, other: f64) -> Term<'t, 'e> {
                self.with_number(Function::$function, other)
            }
        }
        impl<'t, 'e> $trait<&Term<'t, 'e>> for f64 {
            type Output = Term<'t, 'e>;
            fn $method(self, other: &Term<'t, 'e>) -> Term<'t, 'e> {
                other.number(self).with(Function::$function, other)
            }
        }
        impl<'t, 'e> $trait<Term<'t, 'e>> for f64 {
            type Output = Term<'t, 'e>;
            fn $method(self, other: Term<'t, 'e>) -> Term<'t, 'e> {
                other.number(self).with(Function::$function, &other)
            }
        }
    )*};
}
operators! {
    Add add Add;
    Sub sub Subtract;
    Mul mul Multiply;
    Div div Divide;
}

impl<'t, 'e> Neg for &Term<'t, 'e> {
    type Output = Term<'t, 'e>;
    fn neg(self) -> Term<'t, 'e> {
        self.map(Function::Negative)
    }
}

impl<'t, 'e> Neg for Term<'t, 'e> {
    type Output = Term<'t, 'e>;
    fn neg(self) -> Term<'t, 'e> {
        self.map(Function::Negative)
    }
}
