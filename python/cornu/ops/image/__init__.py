"""Images: sizes, warps, filters, colours."""

from cornu.ops.image.colors import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv
from cornu.ops.image.filters import (
    extract_patches,
    extract_patches_3d,
    gaussian_blur,
    sobel_edges,
    ssim,
)
from cornu.ops.image.sizes import crop_images, pad_images, resize, scale_and_translate
from cornu.ops.image.warps import (
    affine_transform,
    elastic_transform,
    map_coordinates,
    perspective_transform,
)

__all__ = [
    "affine_transform",
    "crop_images",
    "elastic_transform",
    "extract_patches",
    "extract_patches_3d",
    "gaussian_blur",
    "hsv_to_rgb",
    "map_coordinates",
    "pad_images",
    "perspective_transform",
    "resize",
    "rgb_to_grayscale",
    "rgb_to_hsv",
    "scale_and_translate",
    "sobel_edges",
    "ssim",
]
