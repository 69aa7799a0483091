//! Which way a convolution is computed.

use super::geometry::Geometry;

/// A way to compute a convolution and its gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// A matrix product with virtual patches; of the input as it lies, where each window is one position.
    ImplicitGemm,
    /// Directly, with channels as lanes.
    Depthwise,
}

/// The fastest way, from the sizes alone: the same on any number of threads.
pub fn choose(geometry: &Geometry) -> Algorithm {
    if geometry.groups > 1 && geometry.group_channels() == 1 {
        Algorithm::Depthwise
    } else {
        Algorithm::ImplicitGemm
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv::geometry::Padding;

    #[test]
    fn choices() {
        use Algorithm::{Depthwise, ImplicitGemm};
        // (x, kernel, stride, groups) -> algorithm
        let table: [(&str, [usize; 4], [usize; 4], usize, usize, Algorithm); 6] = [
            (
                "ResNet's stem",
                [1, 224, 224, 3],
                [7, 7, 3, 64],
                2,
                1,
                ImplicitGemm,
            ),
            (
                "one channel",
                [1, 28, 28, 1],
                [3, 3, 1, 32],
                1,
                1,
                ImplicitGemm,
            ),
            (
                "projection",
                [1, 56, 56, 64],
                [1, 1, 64, 256],
                1,
                1,
                ImplicitGemm,
            ),
            (
                "MobileNet",
                [1, 112, 112, 32],
                [3, 3, 1, 32],
                1,
                32,
                Depthwise,
            ),
            ("multiplier", [1, 28, 28, 8], [3, 3, 1, 16], 2, 8, Depthwise),
            (
                "ResNeXt",
                [1, 56, 56, 128],
                [3, 3, 4, 128],
                1,
                32,
                ImplicitGemm,
            ),
        ];
        for (name, x, kernel, stride, groups, expected) in table {
            let strides = [stride; 2];
            let geometry = Geometry::new(&x, &kernel, &strides, &Padding::Same, &[1, 1], groups);
            assert_eq!(choose(&geometry), expected, "{name}");
        }
    }
}
