"""Images as files and arrays; Keras 2's generators of augmented images."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "cornu.legacy.images": """
            DataFrameIterator DirectoryIterator ImageDataGenerator Iterator NumpyArrayIterator""",
        "cornu.legacy.image_moves": """
            apply_affine_transform apply_brightness_shift apply_channel_shift random_brightness
            random_channel_shift random_rotation random_shear random_shift random_zoom""",
        "cornu.utils": "array_to_img img_to_array load_img save_img",
        "cornu.utils.images": "smart_resize",
    },
)
