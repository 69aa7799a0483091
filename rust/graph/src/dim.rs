//! Sizes: known integers, or expressions over the symbols of a trace.
//!
//! An expression is kept as a canonical sum of products, so equal expressions compare equal by structure. A symbol
//! stands for a size of at least 2: sizes 0 and 1 are traced on their own.

use std::fmt;
use std::ops::{Add, Mul, Sub};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::{Error, Result, value_error};

/// An unknown size of a trace, by its place in the trace's list of symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(pub u32);

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// The sizes of a trace's symbols, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bindings(pub SmallVec<[usize; 4]>);

/// A factor of a product: a symbol, or a quotient that does not come out even.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Atom {
    Symbol(Symbol),
    FloorDiv(Expr, Expr),
    Max(Expr, Expr),
}

/// A sum of products: each term is a coefficient and its sorted factors, terms sorted by factors, none with
/// coefficient 0. The term without factors is the constant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
struct Expr(Vec<(Vec<Atom>, i64)>);

/// A size, or an integer made of sizes (it may be negative, as a slice's start).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dim {
    /// A known integer.
    Known(i64),
    /// An expression over symbols; never one without symbols.
    Symbolic(Arc<Unknown>),
}

/// An integer that depends on a trace's symbols.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unknown(Expr);

impl Expr {
    fn constant(value: i64) -> Expr {
        if value == 0 {
            Expr(Vec::new())
        } else {
            Expr(vec![(Vec::new(), value)])
        }
    }

    fn atom(atom: Atom) -> Expr {
        Expr(vec![(vec![atom], 1)])
    }

    fn as_constant(&self) -> Option<i64> {
        match self.0.as_slice() {
            [] => Some(0),
            [(factors, value)] if factors.is_empty() => Some(*value),
            _ => None,
        }
    }

    fn from_terms(mut terms: Vec<(Vec<Atom>, i64)>) -> Expr {
        terms.sort();
        let mut merged: Vec<(Vec<Atom>, i64)> = Vec::with_capacity(terms.len());
        for (factors, value) in terms {
            match merged.last_mut() {
                Some(last) if last.0 == factors => last.1 += value,
                _ => merged.push((factors, value)),
            }
        }
        merged.retain(|term| term.1 != 0);
        Expr(merged)
    }

    fn add(&self, other: &Expr) -> Expr {
        Expr::from_terms(self.0.iter().chain(&other.0).cloned().collect())
    }

    fn scale(&self, by: i64) -> Expr {
        Expr::from_terms(self.0.iter().map(|(f, v)| (f.clone(), v * by)).collect())
    }

    fn mul(&self, other: &Expr) -> Expr {
        let mut terms = Vec::new();
        for (f1, v1) in &self.0 {
            for (f2, v2) in &other.0 {
                let mut factors: Vec<Atom> = f1.iter().chain(f2).cloned().collect();
                factors.sort();
                terms.push((factors, v1 * v2));
            }
        }
        Expr::from_terms(terms)
    }

    /// The exact quotient by one product, if every term divides.
    fn exact_div(&self, by: &Expr) -> Option<Expr> {
        let [(divisor, coefficient)] = by.0.as_slice() else {
            // A sum of several terms divides itself only, up to a factor.
            let (lead, first) = (by.0.first()?, self.0.first()?);
            if lead.1 == 0 || first.1 % lead.1 != 0 {
                return None;
            }
            let mut rest = first.0.clone();
            for atom in &lead.0 {
                let at = rest.iter().position(|a| a == atom)?;
                rest.remove(at);
            }
            let factor = Expr(vec![(rest, first.1 / lead.1)]);
            return (by.mul(&factor) == *self).then_some(factor);
        };
        let mut terms = Vec::with_capacity(self.0.len());
        for (factors, value) in &self.0 {
            if value % coefficient != 0 {
                return None;
            }
            let mut rest = factors.clone();
            for atom in divisor {
                let at = rest.iter().position(|a| a == atom)?;
                rest.remove(at);
            }
            terms.push((rest, value / coefficient));
        }
        Some(Expr::from_terms(terms))
    }

    fn eval(&self, bindings: &Bindings) -> i64 {
        self.0
            .iter()
            .map(|(factors, value)| {
                factors.iter().fold(*value, |product, atom| {
                    product.saturating_mul(match atom {
                        Atom::Symbol(symbol) => {
                            bindings.0.get(symbol.0 as usize).copied().unwrap_or(0) as i64
                        }
                        Atom::FloorDiv(a, b) => match b.eval(bindings) {
                            0 => 0,
                            divisor => floor_div(a.eval(bindings), divisor),
                        },
                        Atom::Max(a, b) => a.eval(bindings).max(b.eval(bindings)),
                    })
                })
            })
            .fold(0i64, i64::saturating_add)
    }

    fn first_symbol(&self) -> Option<Symbol> {
        self.0
            .iter()
            .flat_map(|(factors, _)| factors)
            .find_map(|atom| match atom {
                Atom::Symbol(symbol) => Some(*symbol),
                Atom::FloorDiv(a, b) | Atom::Max(a, b) => {
                    a.first_symbol().or_else(|| b.first_symbol())
                }
            })
    }

    /// A lower bound, given that every symbol is at least 2.
    fn lower_bound(&self) -> Option<i64> {
        let mut sum = 0i64;
        for (factors, value) in &self.0 {
            if *value < 0 && !factors.is_empty() {
                return None;
            }
            let mut product = *value;
            for atom in factors {
                product = product.checked_mul(match atom {
                    Atom::Symbol(_) => 2,
                    Atom::FloorDiv(a, b) => match (a.lower_bound(), b.as_constant()) {
                        (Some(low), Some(divisor)) if divisor > 0 => floor_div(low, divisor).max(0),
                        _ => return None,
                    },
                    Atom::Max(a, b) => a.lower_bound().max(b.lower_bound())?.max(0),
                })?;
            }
            sum = sum.checked_add(product)?;
        }
        Some(sum)
    }
}

fn floor_div(a: i64, b: i64) -> i64 {
    let quotient = a.wrapping_div(b);
    if a % b != 0 && ((a < 0) != (b < 0)) {
        quotient - 1
    } else {
        quotient
    }
}

impl Dim {
    /// The size that a symbol stands for.
    pub fn symbol(symbol: Symbol) -> Dim {
        Dim::from_expr(Expr::atom(Atom::Symbol(symbol)))
    }

    fn from_expr(expr: Expr) -> Dim {
        match expr.as_constant() {
            Some(value) => Dim::Known(value),
            None => Dim::Symbolic(Arc::new(Unknown(expr))),
        }
    }

    fn expr(&self) -> Expr {
        match self {
            Dim::Known(value) => Expr::constant(*value),
            Dim::Symbolic(unknown) => unknown.0.clone(),
        }
    }

    /// The integer, if it is known.
    pub fn known(&self) -> Option<usize> {
        match self {
            Dim::Known(value) => usize::try_from(*value).ok(),
            Dim::Symbolic(_) => None,
        }
    }

    /// Whether this is exactly `value`, and known to be.
    pub fn is(&self, value: i64) -> bool {
        matches!(self, Dim::Known(v) if *v == value)
    }

    /// Whether this depends on a symbol.
    pub fn is_symbolic(&self) -> bool {
        matches!(self, Dim::Symbolic(_))
    }

    /// The symbol, when the size is one and nothing else.
    pub fn as_symbol(&self) -> Option<Symbol> {
        let Dim::Symbolic(unknown) = self else {
            return None;
        };
        match unknown.0.0.as_slice() {
            [(factors, 1)] => match factors.as_slice() {
                [Atom::Symbol(symbol)] => Some(*symbol),
                _ => None,
            },
            _ => None,
        }
    }

    /// The integer, or the error that makes a trace start again with one more size known.
    pub fn require(&self) -> Result<i64> {
        match self {
            Dim::Known(value) => Ok(*value),
            Dim::Symbolic(unknown) => Err(match unknown.0.first_symbol() {
                Some(symbol) => Error::Specialize(symbol),
                None => Error::Internal("a symbolic size without symbols".into()),
            }),
        }
    }

    /// The integer under `bindings`.
    pub fn eval(&self, bindings: &Bindings) -> i64 {
        match self {
            Dim::Known(value) => *value,
            Dim::Symbolic(unknown) => unknown.0.eval(bindings),
        }
    }

    /// The size under `bindings`; a negative result is a size of 0.
    pub fn size(&self, bindings: &Bindings) -> usize {
        usize::try_from(self.eval(bindings)).unwrap_or(0)
    }

    /// `floor(self / by)`.
    ///
    /// # Errors
    /// `Error::Value` when `by` is 0.
    pub fn floor_div(&self, by: &Dim) -> Result<Dim> {
        if by.is(0) {
            return value_error!("a size cannot be divided by 0");
        }
        if let (Dim::Known(a), Dim::Known(b)) = (self, by) {
            return Ok(Dim::Known(floor_div(*a, *b)));
        }
        let (a, b) = (self.expr(), by.expr());
        if let Some(quotient) = a.exact_div(&b) {
            return Ok(Dim::from_expr(quotient));
        }
        // floor((n q + r) / n) = q + floor(r / n): the multiples leave the quotient.
        if let Some(divisor) = b.as_constant() {
            let (even, odd): (Vec<_>, Vec<_>) =
                a.0.iter()
                    .map(|(f, v)| {
                        let (quotient, rest) =
                            (floor_div(*v, divisor), v - floor_div(*v, divisor) * divisor);
                        ((f.clone(), quotient), (f.clone(), rest))
                    })
                    .unzip();
            let rest = Expr::from_terms(odd);
            let even = Expr::from_terms(even);
            if let Some(rest) = rest.as_constant() {
                return Ok(Dim::from_expr(
                    even.add(&Expr::constant(floor_div(rest, divisor))),
                ));
            }
            let quotient = Expr::atom(Atom::FloorDiv(rest, b));
            return Ok(Dim::from_expr(even.add(&quotient)));
        }
        Ok(Dim::from_expr(Expr::atom(Atom::FloorDiv(a, b))))
    }

    /// `ceil(self / by)`.
    ///
    /// # Errors
    /// `Error::Value` when `by` is 0.
    pub fn ceil_div(&self, by: &Dim) -> Result<Dim> {
        (self + &(by - &Dim::Known(1))).floor_div(by)
    }

    /// `self - floor(self / by) * by`.
    ///
    /// # Errors
    /// `Error::Value` when `by` is 0.
    pub fn modulo(&self, by: &Dim) -> Result<Dim> {
        let quotient = self.floor_div(by)?;
        Ok(self - &(&quotient * by))
    }

    /// The quotient if it comes out even for every value of the symbols.
    pub fn exact_div(&self, by: &Dim) -> Option<Dim> {
        match (self, by) {
            (_, Dim::Known(0)) => None,
            (Dim::Known(a), Dim::Known(b)) => (a % b == 0).then(|| Dim::Known(a / b)),
            _ => self.expr().exact_div(&by.expr()).map(Dim::from_expr),
        }
    }

    /// The larger of two.
    pub fn maximum(&self, other: &Dim) -> Dim {
        if self == other {
            return self.clone();
        }
        let difference = self - other;
        match &difference {
            Dim::Known(d) => {
                if *d >= 0 {
                    self.clone()
                } else {
                    other.clone()
                }
            }
            Dim::Symbolic(unknown) => {
                if unknown.0.lower_bound().is_some_and(|low| low >= 0) {
                    return self.clone();
                }
                if unknown
                    .0
                    .scale(-1)
                    .lower_bound()
                    .is_some_and(|low| low >= 0)
                {
                    return other.clone();
                }
                let (mut a, mut b) = (self.expr(), other.expr());
                if b < a {
                    std::mem::swap(&mut a, &mut b);
                }
                Dim::from_expr(Expr::atom(Atom::Max(a, b)))
            }
        }
    }

    /// The smaller of two.
    pub fn minimum(&self, other: &Dim) -> Dim {
        &(self + other) - &self.maximum(other)
    }

    /// Whether this is at least `other` for every value of the symbols.
    pub fn always_at_least(&self, other: &Dim) -> bool {
        (self - other)
            .expr()
            .lower_bound()
            .is_some_and(|low| low >= 0)
    }

    /// Whether the two differ for every value of the symbols (each at least 2).
    pub fn never_equals(&self, other: &Dim) -> bool {
        let difference = (self - other).expr();
        difference.lower_bound().is_some_and(|low| low > 0)
            || difference
                .scale(-1)
                .lower_bound()
                .is_some_and(|low| low > 0)
    }

    /// The same size with the symbol `from` replaced.
    pub fn substitute(&self, with: &dyn Fn(Symbol) -> Dim) -> Dim {
        fn expr(e: &Expr, with: &dyn Fn(Symbol) -> Dim) -> Dim {
            e.0.iter().fold(Dim::Known(0), |sum, (factors, value)| {
                let term = factors.iter().fold(Dim::Known(*value), |product, atom| {
                    let factor = match atom {
                        Atom::Symbol(s) => with(*s),
                        Atom::FloorDiv(a, b) => {
                            let (a, b) = (expr(a, with), expr(b, with));
                            a.floor_div(&b).unwrap_or(Dim::Known(0))
                        }
                        Atom::Max(a, b) => expr(a, with).maximum(&expr(b, with)),
                    };
                    &product * &factor
                });
                &sum + &term
            })
        }
        match self {
            Dim::Known(_) => self.clone(),
            Dim::Symbolic(unknown) => expr(&unknown.0, with),
        }
    }
}

impl From<usize> for Dim {
    fn from(value: usize) -> Dim {
        Dim::Known(value as i64)
    }
}

impl Add for &Dim {
    type Output = Dim;
    fn add(self, other: &Dim) -> Dim {
        match (self, other) {
            (Dim::Known(a), Dim::Known(b)) => Dim::Known(a.saturating_add(*b)),
            _ => Dim::from_expr(self.expr().add(&other.expr())),
        }
    }
}

impl Sub for &Dim {
    type Output = Dim;
    fn sub(self, other: &Dim) -> Dim {
        match (self, other) {
            (Dim::Known(a), Dim::Known(b)) => Dim::Known(a.saturating_sub(*b)),
            _ => Dim::from_expr(self.expr().add(&other.expr().scale(-1))),
        }
    }
}

impl Mul for &Dim {
    type Output = Dim;
    fn mul(self, other: &Dim) -> Dim {
        match (self, other) {
            (Dim::Known(a), Dim::Known(b)) => Dim::Known(a.saturating_mul(*b)),
            _ => Dim::from_expr(self.expr().mul(&other.expr())),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("0");
        }
        for (i, (factors, value)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(if *value < 0 { "-" } else { "+" })?;
            } else if *value < 0 {
                f.write_str("-")?;
            }
            let magnitude = value.unsigned_abs();
            if magnitude != 1 || factors.is_empty() {
                write!(f, "{magnitude}")?;
                if !factors.is_empty() {
                    f.write_str("*")?;
                }
            }
            for (j, atom) in factors.iter().enumerate() {
                if j > 0 {
                    f.write_str("*")?;
                }
                match atom {
                    Atom::Symbol(symbol) => write!(f, "{symbol}")?,
                    Atom::FloorDiv(a, b) => write!(f, "(({a})//({b}))")?,
                    Atom::Max(a, b) => write!(f, "max({a}, {b})")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Known(value) => write!(f, "{value}"),
            Dim::Symbolic(unknown) => write!(f, "{}", unknown.0),
        }
    }
}

impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(i: u32) -> Dim {
        Dim::symbol(Symbol(i))
    }
    fn k(v: i64) -> Dim {
        Dim::Known(v)
    }

    #[test]
    fn equal_expressions_are_equal() {
        assert_eq!(&(&s(0) + &k(3)) * &k(2), &(&s(0) * &k(2)) + &k(6));
        assert_eq!(&s(0) * &s(1), &s(1) * &s(0));
        assert_eq!(&s(0) - &s(0), k(0));
    }

    #[test]
    fn division() {
        assert_eq!((&s(0) * &k(12)).floor_div(&k(4)).unwrap(), &s(0) * &k(3));
        assert_eq!((&s(0) * &s(1)).floor_div(&s(1)).unwrap(), s(0));
        let sum = &(&s(0) + &k(1)) * &k(5);
        assert_eq!(sum.exact_div(&(&s(0) + &k(1))), Some(k(5)));
        let halves = (&s(0) + &k(1)).floor_div(&k(2)).unwrap();
        for n in [2usize, 3, 7, 8] {
            assert_eq!(
                halves.size(&Bindings([n].into_iter().collect())),
                n.div_ceil(2)
            );
        }
        assert_eq!(k(-7).floor_div(&k(2)).unwrap(), k(-4));
        assert!(s(0).floor_div(&k(0)).is_err());
    }

    #[test]
    fn order() {
        assert_eq!(s(0).maximum(&k(1)), s(0));
        assert_eq!(s(0).minimum(&k(2)), k(2));
        assert!(s(0).never_equals(&k(1)));
        assert!(!s(0).never_equals(&k(5)));
        let larger = s(0).maximum(&k(5));
        assert_eq!(larger.size(&Bindings([3].into_iter().collect())), 5);
        assert_eq!(larger.size(&Bindings([9].into_iter().collect())), 9);
    }
}
