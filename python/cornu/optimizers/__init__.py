"""Optimizers, and schedules of their learning rates."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        ".registry": "get serialize deserialize",
        ".optimizer": "Optimizer",
        ".descent": "Adadelta Adagrad Ftrl Lion RMSprop SGD",
        ".adam": "Adam AdamW Adamax Lamb Nadam ScheduleFreeAdamW",
        ".adafactor": "Adafactor",
        ".muon": "Muon",
        ".loss_scale": "LossScaleOptimizer",
        ".multi": "MultiOptimizer OptimizerMap",
    },
    submodules="legacy schedules",
)
