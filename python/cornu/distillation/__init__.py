"""Training a small model on what a large one says."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        ".distiller": "Distiller",
        ".losses": "DistillationLoss FeatureDistillation LogitsDistillation",
    },
)
