"""Cornu: Keras for CPUs. `import cornu as keras` gives the API of Keras 3."""

from cornu.lazy import attach

__version__ = "3.15.0"

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        ".as_keras": "install_as_keras",
        ".autodiff": "GradientTape",
        ".compiled": "function",
        ".dtype_policies": "DTypePolicy FloatDTypePolicy",
        ".initializers": "Initializer",
        ".layers": "Layer Input InputSpec",
        ".losses": "Loss",
        ".metrics": "Metric",
        ".models": "Model Sequential",
        ".naming": "name_scope",
        ".ops.function": "Function",
        ".ops.operation": "Operation",
        ".ops.symbolic": "KerasTensor",
        ".optimizers": "Optimizer",
        ".profiling": "profile",
        ".quantizers": "Quantizer",
        ".regularizers": "Regularizer",
        ".rematerialization": "RematScope remat",
        ".scopes": "SymbolicScope device",
        ".tensor": "Tensor",
        ".variable": "StatelessScope Variable",
    },
    submodules="""
        activations applications backend callbacks config constraints datasets distillation
        distribution dtype_policies export initializers layers legacy losses metrics
        mixed_precision models ops optimizers preprocessing quantizers random regularizers saving
        training tree utils visualization wrappers""",
)


def version() -> str:
    """Returns the version of the API of Keras that this is."""
    return __version__
