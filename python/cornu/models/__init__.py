"""Models: `cornu.models`."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        ".cloning": "clone_model",
        ".functional": "Functional",
        ".model": "Model model_from_json",
        ".sequential": "Sequential",
        "cornu.saving": "load_model save_model",
    },
)
