//! Which way a convolution is computed.

use super::Pass;
use super::geometry::{Geometry, SPATIAL, Window};
use super::winograd::{Problem, Tile};
use super::{lines, planes};

/// A way to compute a convolution and its gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// A matrix product with virtual patches; of the input as it lies, where each window is one position.
    ImplicitGemm,
    /// A matrix product whose left side is read in lines where it lies.
    Lines,
    /// Directly, with filters as lanes: few channels of a group.
    Depthwise,
    /// With positions as lanes: the gradient of an input of few channels.
    Planes,
    /// By tiles of outputs: 3 x 3 taps without strides, dilation and groups.
    Winograd(Tile),
}

/// Channels and filters of a group up to which a matrix product would fill too little of its tiles.
const NARROW: usize = 8;

/// The fastest way, from the sizes alone: the same on any number of threads. A kernel that is `prepared` costs nothing to transform.
///
/// On one AVX2 core with a peak of 91 GFLOP/s, in GFLOP/s with packed patches and in lines: ResNet's stem (7 x 7 of 3 channels by
/// twos) 27 and 85, MobileNet's 23 and 72, 3 x 3 by twos of 56 x 56 x 64 70 and 80, 1 x 1 by twos of 56 x 56 x 256 64 and 82. One
/// channel with filters as lanes and in lines: 14 and 27 for LeNet's 5 x 5 to 6 filters, 20 and 47 for 3 x 3 to 32 of 28 x 28.
/// Points of a 1 x 1 kernel without strides are a matrix as they lie; those 4 KiB apart, by twos of 28 x 28 x 512, push each other
/// out of the first-level cache: packed 202 and in lines 153 on two AVX-512 cores with a peak of 236.
///
/// On one AVX-512 core with a peak of 118 GFLOP/s, gradients of inputs in GFLOP/s otherwise and in planes: ResNet's stem 19 and 98,
/// MobileNet's 17 and 62, U-Net's (3 x 3 of 128 x 128 x 3 to 64) 20 and 81, LeNet's second layer 22 and 52; 3 x 3 of 64 x 64 to 64 of 8
/// channels 82 (Winograd's) and 95, by twos 43 and 65, of 12 channels 102 and 87, 68 and 73.
pub fn choose(pass: Pass, geometry: &Geometry, prepared: bool) -> Algorithm {
    let (channels, filters) = (geometry.group_channels(), geometry.group_filters());
    let narrow = channels == 1 || channels.max(filters) <= NARROW;
    if geometry.groups > 1 && narrow {
        return Algorithm::Depthwise;
    }
    let few = pass == Pass::InputGradient && channels <= NARROW;
    if few && !is_point(&geometry.window) && planes::suits(geometry) {
        return Algorithm::Planes;
    }
    let product = product(pass, geometry);
    let problem = Problem::new(pass, geometry).filter(|_| geometry.winograd);
    let Some(problem) = problem else {
        return product;
    };
    let positions = problem.images * problem.output[0] * problem.output[1];
    let plain = (9 * positions * problem.depth * problem.columns) as f64;
    let tiles = [Tile::Four, Tile::Two].map(|tile| {
        let cost = match pass {
            Pass::KernelGradient => gradient_cost(&problem, tile),
            _ => cost(&problem, tile, prepared),
        };
        (tile, cost)
    });
    let (tile, least) = if tiles[1].1 < tiles[0].1 {
        tiles[1]
    } else {
        tiles[0]
    };
    if least < plain {
        Algorithm::Winograd(tile)
    } else {
        product
    }
}

/// Whether windows are single points, each of which is one.
fn is_point(window: &Window) -> bool {
    window.size == [1; SPATIAL] && window.strides == [1; SPATIAL]
}

/// Whether a forward pass can add its sums to what the output holds: the products of points can, whatever their number.
pub fn adds(geometry: &Geometry) -> bool {
    is_point(&geometry.window) && choose(Pass::Forward, geometry, true) == Algorithm::ImplicitGemm
}

/// Whether the gradient of a kernel of points is summed in lines: few channels leave little to pack, few filters are read in place as
/// a matrix, too.
fn points_in_lines(geometry: &Geometry) -> bool {
    geometry.group_channels() <= 192 && geometry.group_filters() >= 64
}

/// The fastest way of the plain products.
///
/// Points are a matrix, but gradients of their kernels may ask for the lines behind theirs in the other way. On one core, as a matrix
/// and in lines, GFLOP/s with AVX-512 and a peak of 118: 8 images of 56 x 56 x 64 to 64 86 and 109, of 112 x 112 x 16 to 96 68 and 88,
/// of 112 x 112 x 32 to 16 107 and 74; with AVX2 48 and 89 for the second, 104 and 60 for 14 x 14 x 1024 to 256.
pub fn product(pass: Pass, geometry: &Geometry) -> Algorithm {
    let matrix =
        is_point(&geometry.window) && (pass != Pass::KernelGradient || !points_in_lines(geometry));
    if !matrix && lines::suits(pass, geometry) {
        Algorithm::Lines
    } else {
        Algorithm::ImplicitGemm
    }
}

/// What Winograd's way costs, in multiply-adds of the plain way.
///
/// One AVX2 core with a peak of 91 GFLOP/s gives, for images of 56 x 56 x 64, 28 x 28 x 128, 14 x 14 x 256 and 7 x 7 x 512, as many
/// effective GFLOP/s as: 64, 75, 69, 44 plainly; 277, 259, 83 to 130, 20 by F(4, 3); 125 and 35 by F(2, 3) for the last two. With 8
/// images 62, 67, 68, 49 plainly; 230, 260, 150, 80 to 105 by F(4, 3); 150 and 75 by F(2, 3). The transform of a kernel of many
/// channels is what counts: of 512 it is 38 MB, and few tiles share the time to make it and to read it. With AVX-512, a peak of 118 and
/// prepared kernels, one image of 14 x 14 x 256 gives 242 by F(2, 3) and 310 by F(4, 3), one of 7 x 7 x 512 107 plainly and 168 by
/// F(2, 3); where their kernels come from memory, in ResNet50, the whole network takes 0.96 of the time.
fn cost(problem: &Problem, tile: Tile, prepared: bool) -> f64 {
    /// An item of an input's transform: about 180 cycles for 36 x 8 items, at 16 multiply-adds a cycle.
    const INPUT: usize = 10;
    /// An item of sums brought to outputs: about 150 cycles for 36 x 8 items, and more where the outputs come from memory: with 8
    /// images of 128 x 128 x 3 to 64 this way gives 53 GFLOP/s, lines 80.
    const OUTPUT: usize = 9;
    /// An item of the kernel's transform that is read: it comes from the third-level cache or from memory.
    const READ: usize = 10;
    /// An item of the kernel's transform that is made.
    const MADE: usize = 20;
    let (points, tiles) = (tile.points(), problem.tiles(tile));
    let products = tiles * problem.depth * problem.columns;
    let transforms = tiles * (INPUT * problem.depth + OUTPUT * problem.columns);
    let item = READ + if prepared { 0 } else { MADE };
    let kernel = item * problem.depth * problem.columns;
    (points * (products + transforms + kernel)) as f64
}

/// [`cost`] of the gradient of a kernel.
///
/// One core with AVX-512 and a peak of 118 GFLOP/s gives, plainly, by F(4, 3) and by F(2, 3): with 8 images of 56 x 56 x 64 104, 234,
/// 157; of 28 x 28 x 128 107, 281, 193; of 14 x 14 x 256 102, 186, 176; of 7 x 7 x 512 90, 103, 122; with one image of 14 x 14 x 256
/// 99, 80, 158 and of 7 x 7 x 512 82, 17, 47. What counts with many channels is the sums at all points.
fn gradient_cost(problem: &Problem, tile: Tile) -> f64 {
    /// An item of an input or a gradient at a point: made, written and read.
    const SQUARE: usize = 33;
    /// An item of the sums at a point: written, read and brought to a tap.
    const SUM: usize = 33;
    let (points, tiles) = (tile.points(), problem.tiles(tile));
    let [depth, columns] = [problem.depth, problem.columns].map(|n| n.next_multiple_of(16));
    let sums = problem.depth * problem.columns;
    (points * (tiles * sums + tiles * SQUARE * (depth + columns) + SUM * sums)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv::geometry::Padding;

    /// A geometry of square images and windows.
    fn square([batch, side, channels, size, filters, stride, groups]: [usize; 7]) -> Geometry {
        Geometry::new(
            &[batch, side, side, channels],
            &[size, size, channels / groups, filters],
            &[stride; 2],
            &Padding::Same,
            &[1, 1],
            groups,
        )
    }

    #[test]
    fn choices_of_few_channels() {
        use Algorithm::{Depthwise, Lines, Planes};
        // As below -> the way forward, to the input's gradient and to the kernel's.
        for (name, sizes, ways) in [
            (
                "ResNet's stem",
                [1, 224, 3, 7, 64, 2, 1],
                [Lines, Planes, Lines],
            ),
            (
                "VGG16's first",
                [1, 224, 3, 3, 64, 1, 1],
                [Lines, Planes, Lines],
            ),
            ("CIFAR's", [32, 32, 3, 3, 32, 1, 1], [Lines, Planes, Lines]),
            (
                "LeNet's first",
                [1, 28, 1, 5, 6, 1, 1],
                [Lines, Planes, Lines],
            ),
            (
                "LeNet's second",
                [1, 14, 6, 5, 16, 1, 1],
                [Lines, Planes, Lines],
            ),
            ("patches", [1, 64, 8, 8, 99, 8, 1], [Lines, Planes, Lines]),
            ("groups", [1, 56, 6, 3, 64, 1, 2], [Lines; 3]),
            ("narrow groups", [1, 56, 6, 3, 6, 1, 2], [Depthwise; 3]),
            ("more channels", [1, 56, 9, 3, 64, 2, 1], [Lines; 3]),
            ("many taps", [1, 56, 3, 23, 64, 1, 1], [Lines; 3]),
        ] {
            let geometry = square(sizes);
            let passes = [Pass::Forward, Pass::InputGradient, Pass::KernelGradient];
            assert_eq!(
                passes.map(|pass| choose(pass, &geometry, false)),
                ways,
                "{name}"
            );
        }
    }

    #[test]
    fn choices() {
        use Algorithm::{Depthwise, ImplicitGemm, Lines, Winograd};
        let (two, four) = (Winograd(Tile::Two), Winograd(Tile::Four));
        // (images, side, channels, side of the kernel, filters, stride, groups) -> the way with the kernel as it lies, with a
        // prepared one, where Winograd's is not taken, and to the kernel's gradient.
        for (name, sizes, [plain, prepared, direct, gradient]) in [
            ("shortcut", [1, 56, 256, 1, 512, 2, 1], [Lines; 4]),
            ("MobileNet", [1, 112, 32, 3, 32, 1, 32], [Depthwise; 4]),
            ("multiplier", [1, 28, 8, 3, 16, 2, 8], [Depthwise; 4]),
            ("ResNeXt", [1, 56, 128, 3, 128, 1, 32], [Depthwise; 4]),
            ("two groups", [1, 56, 128, 3, 128, 1, 2], [Lines; 4]),
            ("strides", [1, 28, 128, 3, 128, 2, 1], [Lines; 4]),
            ("5 x 5", [1, 28, 128, 5, 128, 1, 1], [Lines; 4]),
            ("short lines", [8, 3, 128, 3, 128, 2, 1], [ImplicitGemm; 4]),
            (
                "56 x 56",
                [1, 56, 64, 3, 64, 1, 1],
                [four, four, Lines, four],
            ),
            (
                "28 x 28",
                [1, 28, 128, 3, 128, 1, 1],
                [four, four, Lines, four],
            ),
            (
                "few tiles",
                [1, 14, 256, 3, 256, 1, 1],
                [two, four, Lines, two],
            ),
            (
                "some tiles",
                [8, 14, 256, 3, 256, 1, 1],
                [four, four, Lines, four],
            ),
            (
                "fewer tiles",
                [1, 7, 512, 3, 512, 1, 1],
                [ImplicitGemm, two, ImplicitGemm, ImplicitGemm],
            ),
            (
                "many images",
                [8, 7, 512, 3, 512, 1, 1],
                [four, four, ImplicitGemm, four],
            ),
            (
                "few channels",
                [1, 56, 16, 3, 16, 1, 1],
                [four, four, Lines, Lines],
            ),
        ] {
            let mut geometry = square(sizes);
            for pass in [Pass::Forward, Pass::InputGradient] {
                assert_eq!(choose(pass, &geometry, false), plain, "{name}");
                assert_eq!(choose(pass, &geometry, true), prepared, "{name}");
            }
            assert_eq!(
                choose(Pass::KernelGradient, &geometry, false),
                gradient,
                "{name}"
            );
            geometry.winograd = false;
            for pass in [Pass::Forward, Pass::KernelGradient] {
                assert_eq!(choose(pass, &geometry, false), direct, "{name}");
            }
            assert!(!adds(&geometry), "{name}");
        }
    }

    #[test]
    fn points_are_a_matrix() {
        use Algorithm::{ImplicitGemm, Lines};
        for (channels, filters, gradient) in [
            (64, 256, Lines),
            (3, 64, Lines),
            (192, 63, ImplicitGemm),
            (193, 256, ImplicitGemm),
        ] {
            let geometry = square([1, 56, channels, 1, filters, 1, 1]);
            let passes = [Pass::Forward, Pass::InputGradient, Pass::KernelGradient];
            assert_eq!(
                passes.map(|pass| choose(pass, &geometry, false)),
                [ImplicitGemm, ImplicitGemm, gradient],
                "{channels} to {filters}"
            );
            assert!(adds(&geometry));
        }
    }

    #[test]
    fn points_of_one_set_are_packed() {
        simd::for_each_isa(|level| {
            let [x, kernel] = [[1, 28, 28, 512], [1, 1, 512, 1024]];
            let geometry = Geometry::new(&x, &kernel, &[2, 2], &Padding::Same, &[1, 1], 1);
            let way = match level {
                simd::Level::Avx512 => Algorithm::ImplicitGemm,
                _ => Algorithm::Lines,
            };
            assert_eq!(choose(Pass::Forward, &geometry, true), way, "{level:?}");
        });
    }
}
