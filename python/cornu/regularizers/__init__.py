"""Penalties on weights and activities: `keras.regularizers`."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        ".regularizers": (
            "L1 l1=L1 L1L2 l1_l2=L1L2 L2 l2=L2 OrthogonalRegularizer "
            "orthogonal_regularizer=OrthogonalRegularizer Regularizer"
        ),
        ".registry": "deserialize get serialize",
    },
)
