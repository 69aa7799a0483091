"""What `keras.mixed_precision` names."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "cornu.config": """
            dtype_policy set_dtype_policy global_policy=dtype_policy
            set_global_policy=set_dtype_policy""",
        "cornu.dtype_policies": "DTypePolicy Policy=DTypePolicy",
        "cornu.optimizers": "LossScaleOptimizer",
    },
)
