//! The transforms of one dimension, on lanes. Those of a tile apply them along its columns, then along its rows.
//!
//! F(4, 3) has the points 0, ±1/√2, ±√2 and infinity: with the usual 0, ±1, ±2 the error is four times as great (2e-6 against 7e-6 of
//! the greatest result at 256 channels of unit scale; the plain sum has 4e-7, F(2, 3) too).

use simd::{Float, Task, dispatch};

use super::Tile;

/// Points along an axis, at most.
pub const POINTS: usize = 6;

/// [`simd::unrolled`] for bounds of at most [`POINTS`].
macro_rules! each {
    ($index:ident < $bound:expr, $body:block) => {
        simd::unrolled!(@ $index $bound, $body, 0 1 2 3 4 5)
    };
}
pub(super) use each;

const ROOT: f32 = std::f32::consts::SQRT_2;

/// A tile of outputs and its transforms (Lavin and Gray, Fast algorithms for convolutional neural networks, 2015).
pub trait Transform: Copy + Send + Sync + 'static {
    /// Outputs along an axis.
    const OUTPUTS: usize;
    /// Inputs along an axis, and points of the transforms: two more.
    const POINTS: usize;

    /// The inputs of a tile.
    fn input<V: Float<Item = f32>>(isa: V::Isa, x: [V; POINTS]) -> [V; POINTS];
    /// The taps of the kernel.
    fn kernel<V: Float<Item = f32>>(isa: V::Isa, taps: [V; 3]) -> [V; POINTS];
    /// The sums of products at the points, to outputs.
    fn output<V: Float<Item = f32>>(isa: V::Isa, sums: [V; POINTS]) -> [V; 4];
    /// The transpose of `output`: the gradient of outputs, to that of the sums.
    fn output_gradient<V: Float<Item = f32>>(isa: V::Isa, g: [V; POINTS]) -> [V; POINTS];
    /// The transpose of `kernel`: the gradient of a kernel's transform, to that of its taps.
    fn kernel_gradient<V: Float<Item = f32>>(isa: V::Isa, g: [V; POINTS]) -> [V; 3];
}

/// F(2, 3).
#[derive(Clone, Copy)]
pub struct Two;

/// F(4, 3).
#[derive(Clone, Copy)]
pub struct Four;

/// A part of the work under a transform.
pub struct Of<P, F>(pub P, pub F);

/// Runs a part of the work under the transform of a tile.
pub fn run_under<P>(tile: Tile, part: P)
where
    Of<P, Two>: Task<Output = ()>,
    Of<P, Four>: Task<Output = ()>,
{
    match tile {
        Tile::Two => dispatch(Of(part, Two)),
        Tile::Four => dispatch(Of(part, Four)),
    }
}

impl Transform for Two {
    const OUTPUTS: usize = 2;
    const POINTS: usize = 4;

    #[inline(always)]
    fn input<V: Float<Item = f32>>(isa: V::Isa, x: [V; POINTS]) -> [V; POINTS] {
        let zero = V::zero(isa);
        [
            x[0] - x[2],
            x[1] + x[2],
            x[2] - x[1],
            x[1] - x[3],
            zero,
            zero,
        ]
    }

    #[inline(always)]
    fn kernel<V: Float<Item = f32>>(isa: V::Isa, [a, b, c]: [V; 3]) -> [V; POINTS] {
        let (half, zero) = (V::splat(isa, 0.5), V::zero(isa));
        let ends = (a + c) * half;
        [
            a,
            b.mul_add(half, ends),
            b.neg_mul_add(half, ends),
            c,
            zero,
            zero,
        ]
    }

    #[inline(always)]
    fn output<V: Float<Item = f32>>(isa: V::Isa, s: [V; POINTS]) -> [V; 4] {
        let zero = V::zero(isa);
        [s[0] + (s[1] + s[2]), (s[1] - s[2]) - s[3], zero, zero]
    }

    #[inline(always)]
    fn output_gradient<V: Float<Item = f32>>(isa: V::Isa, g: [V; POINTS]) -> [V; POINTS] {
        let zero = V::zero(isa);
        [g[0], g[0] + g[1], g[0] - g[1], -g[1], zero, zero]
    }

    #[inline(always)]
    fn kernel_gradient<V: Float<Item = f32>>(isa: V::Isa, g: [V; POINTS]) -> [V; 3] {
        let half = V::splat(isa, 0.5);
        let (ends, middle) = ((g[1] + g[2]) * half, (g[1] - g[2]) * half);
        [g[0] + ends, middle, ends + g[3]]
    }
}

impl Transform for Four {
    const OUTPUTS: usize = 4;
    const POINTS: usize = 6;

    #[inline(always)]
    fn input<V: Float<Item = f32>>(isa: V::Isa, x: [V; POINTS]) -> [V; POINTS] {
        let (root, half_root) = (V::splat(isa, ROOT), V::splat(isa, ROOT / 2.0));
        let (middle, half) = (V::splat(isa, 2.5), V::splat(isa, 0.5));
        let near = x[2].neg_mul_add(V::splat(isa, 2.0), x[4]);
        let near_odd = x[1].neg_mul_add(root, x[3] * half_root);
        let far = x[2].neg_mul_add(half, x[4]);
        let far_odd = x[1].neg_mul_add(half_root, x[3] * root);
        [
            x[2].neg_mul_add(middle, x[0] + x[4]),
            near + near_odd,
            near - near_odd,
            far + far_odd,
            far - far_odd,
            x[3].neg_mul_add(middle, x[1] + x[5]),
        ]
    }

    #[inline(always)]
    fn kernel<V: Float<Item = f32>>(isa: V::Isa, [a, b, c]: [V; 3]) -> [V; POINTS] {
        let splat = |x| V::splat(isa, x);
        let near = -a.mul_add(splat(2.0 / 3.0), c * splat(1.0 / 3.0));
        let near_odd = b * splat(-ROOT / 3.0);
        let far = a.mul_add(splat(1.0 / 6.0), c * splat(1.0 / 3.0));
        let far_odd = b * splat(ROOT / 6.0);
        [
            a,
            near + near_odd,
            near - near_odd,
            far + far_odd,
            far - far_odd,
            c,
        ]
    }

    #[inline(always)]
    fn output<V: Float<Item = f32>>(isa: V::Isa, s: [V; POINTS]) -> [V; 4] {
        let splat = |x| V::splat(isa, x);
        let (near, near_odd) = (s[1] + s[2], s[1] - s[2]);
        let (far, far_odd) = (s[3] + s[4], s[3] - s[4]);
        [
            s[0] + (near + far),
            near_odd.mul_add(splat(ROOT / 2.0), far_odd * splat(ROOT)),
            near.mul_add(splat(0.5), far * splat(2.0)),
            near_odd.mul_add(splat(ROOT / 4.0), far_odd.mul_add(splat(2.0 * ROOT), s[5])),
        ]
    }

    #[inline(always)]
    fn output_gradient<V: Float<Item = f32>>(isa: V::Isa, g: [V; POINTS]) -> [V; POINTS] {
        let splat = |x| V::splat(isa, x);
        let near = g[2].mul_add(splat(0.5), g[0]);
        let near_odd = g[1].mul_add(splat(ROOT / 2.0), g[3] * splat(ROOT / 4.0));
        let far = g[2].mul_add(splat(2.0), g[0]);
        let far_odd = g[1].mul_add(splat(ROOT), g[3] * splat(2.0 * ROOT));
        [
            g[0],
            near + near_odd,
            near - near_odd,
            far + far_odd,
            far - far_odd,
            g[3],
        ]
    }

    #[inline(always)]
    fn kernel_gradient<V: Float<Item = f32>>(isa: V::Isa, g: [V; POINTS]) -> [V; 3] {
        let splat = |x| V::splat(isa, x);
        let (near, near_odd) = (g[1] + g[2], g[1] - g[2]);
        let (far, far_odd) = (g[3] + g[4], g[3] - g[4]);
        [
            near.mul_add(splat(-2.0 / 3.0), far.mul_add(splat(1.0 / 6.0), g[0])),
            near_odd.mul_add(splat(-ROOT / 3.0), far_odd * splat(ROOT / 6.0)),
            (far - near).mul_add(splat(1.0 / 3.0), g[5]),
        ]
    }
}
