//! Arithmetic on `i64` and `u64`. Nothing traps: overflow wraps, as it does when a narrower integer is stored.
use super::Op;
use super::{map1, map2, map3};

/// What the two types do differently.
pub(super) trait Integer: Copy + Ord + From<bool> {
    const ZERO: Self;
    const ONE: Self;
    const MINUS_ONE: Self;
    fn wrapping_add(self, y: Self) -> Self;
    fn wrapping_sub(self, y: Self) -> Self;
    fn wrapping_mul(self, y: Self) -> Self;
    fn wrapping_div(self, y: Self) -> Self;
    fn wrapping_rem(self, y: Self) -> Self;
    fn not(self) -> Self;
    fn and(self, y: Self) -> Self;
    fn or(self, y: Self) -> Self;
    fn xor(self, y: Self) -> Self;
    fn shl(self, y: u32) -> Self;
    fn shr(self, y: u32) -> Self;
    /// As a number of bits to shift by, if a word has as many.
    fn bits(self) -> Option<u32>;
}

macro_rules! integer {
    ($($t:ident)*) => {$(impl Integer for $t {
        const ZERO: Self = 0;
        const ONE: Self = 1;
        const MINUS_ONE: Self = (-1i64) as $t;
        fn wrapping_add(self, y: Self) -> Self { self.wrapping_add(y) }
        fn wrapping_sub(self, y: Self) -> Self { self.wrapping_sub(y) }
        fn wrapping_mul(self, y: Self) -> Self { self.wrapping_mul(y) }
        fn wrapping_div(self, y: Self) -> Self { self.wrapping_div(y) }
        fn wrapping_rem(self, y: Self) -> Self { self.wrapping_rem(y) }
        fn not(self) -> Self { !self }
        fn and(self, y: Self) -> Self { self & y }
        fn or(self, y: Self) -> Self { self | y }
        fn xor(self, y: Self) -> Self { self ^ y }
        fn shl(self, y: u32) -> Self { self << y }
        fn shr(self, y: u32) -> Self { self >> y }
        fn bits(self) -> Option<u32> { u32::try_from(self).ok().filter(|&n| n < 64) }
    })*};
}
integer!(i64 u64);

/// # Safety
/// As for [`super::program::execute`].
pub(super) unsafe fn execute<T: Integer>(op: Op, args: [*const T; 3], out: *mut T, n: usize) {
    use Op::*;
    let truth = |x: bool| T::from(x);
    // SAFETY: the caller vouches for `n` items behind every pointer.
    unsafe {
        macro_rules! each {
            (|$x:ident| $body:expr) => {
                map1(args, out, n, |$x: T| -> T { $body })
            };
            (|$x:ident, $y:ident| $body:expr) => {
                map2(args, out, n, |$x: T, $y: T| -> T { $body })
            };
            (|$x:ident, $y:ident, $z:ident| $body:expr) => {
                map3(args, out, n, |$x: T, $y: T, $z: T| -> T { $body })
            };
        }
        match op {
            Negative => each!(|x| T::ZERO.wrapping_sub(x)),
            Abs => each!(|x| if x < T::ZERO {
                T::ZERO.wrapping_sub(x)
            } else {
                x
            }),
            Sign => each!(|x| match x.cmp(&T::ZERO) {
                std::cmp::Ordering::Less => T::MINUS_ONE,
                std::cmp::Ordering::Equal => T::ZERO,
                std::cmp::Ordering::Greater => T::ONE,
            }),
            Square => each!(|x| x.wrapping_mul(x)),
            Floor | Ceil | Round | Trunc | Real | Conj => each!(|x| x),
            Imag | IsNan | IsInf => each!(|_x| T::ZERO),
            IsFinite => each!(|_x| T::ONE),
            LogicalNot => each!(|x| truth(x == T::ZERO)),
            BitwiseNot => each!(|x| x.not()),
            Relu => each!(|x| x.max(T::ZERO)),
            Add => each!(|x, y| x.wrapping_add(y)),
            Subtract => each!(|x, y| x.wrapping_sub(y)),
            Multiply => each!(|x, y| x.wrapping_mul(y)),
            FloorDivide => each!(|x, y| floor_divide(x, y)),
            Mod => each!(|x, y| modulo(x, y)),
            Power => each!(|x, y| power(x, y)),
            Maximum => each!(|x, y| x.max(y)),
            Minimum => each!(|x, y| x.min(y)),
            Equal => each!(|x, y| truth(x == y)),
            NotEqual => each!(|x, y| truth(x != y)),
            Less => each!(|x, y| truth(x < y)),
            LessEqual => each!(|x, y| truth(x <= y)),
            Greater => each!(|x, y| truth(x > y)),
            GreaterEqual => each!(|x, y| truth(x >= y)),
            LogicalAnd => each!(|x, y| truth(x != T::ZERO && y != T::ZERO)),
            LogicalOr => each!(|x, y| truth(x != T::ZERO || y != T::ZERO)),
            LogicalXor => each!(|x, y| truth((x != T::ZERO) != (y != T::ZERO))),
            BitwiseAnd => each!(|x, y| x.and(y)),
            BitwiseOr => each!(|x, y| x.or(y)),
            BitwiseXor => each!(|x, y| x.xor(y)),
            LeftShift => each!(|x, y| match y.bits() {
                Some(by) => x.shl(by),
                None => T::ZERO,
            }),
            RightShift => each!(|x, y| match y.bits() {
                Some(by) => x.shr(by),
                None if x < T::ZERO => T::MINUS_ONE,
                None => T::ZERO,
            }),
            Where => each!(|c, x, y| if c != T::ZERO { x } else { y }),
            Clip => each!(|x, low, high| x.max(low).min(high)),
            other => unreachable!("{} of integers", other.name()),
        }
    }
}

/// Rounded down; by zero it is 0.
fn floor_divide<T: Integer>(x: T, y: T) -> T {
    if y == T::ZERO {
        return T::ZERO;
    }
    let q = x.wrapping_div(y);
    let r = x.wrapping_rem(y);
    if r != T::ZERO && (r < T::ZERO) != (y < T::ZERO) {
        q.wrapping_sub(T::ONE)
    } else {
        q
    }
}

/// With the sign of the divisor; by zero it is 0.
fn modulo<T: Integer>(x: T, y: T) -> T {
    if y == T::ZERO {
        return T::ZERO;
    }
    let r = x.wrapping_rem(y);
    if r != T::ZERO && (r < T::ZERO) != (y < T::ZERO) {
        r.wrapping_add(y)
    } else {
        r
    }
}

/// By squaring; a negative exponent leaves the integer part of the fraction.
fn power<T: Integer>(x: T, y: T) -> T {
    if y < T::ZERO {
        return if x == T::ONE || (x == T::MINUS_ONE && y.and(T::ONE) == T::ZERO) {
            T::ONE
        } else if x == T::MINUS_ONE {
            T::MINUS_ONE
        } else {
            T::ZERO
        };
    }
    let (mut base, mut rest, mut product) = (x, y, T::ONE);
    while rest != T::ZERO {
        if rest.and(T::ONE) != T::ZERO {
            product = product.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        rest = rest.shr(1);
    }
    product
}
