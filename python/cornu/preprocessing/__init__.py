"""Data preparation under the names of `keras.preprocessing`."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "cornu.utils": """
            image_dataset_from_directory text_dataset_from_directory
            timeseries_dataset_from_array""",
    },
    submodules="image sequence text",
)
