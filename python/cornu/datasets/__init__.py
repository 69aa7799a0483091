"""Small datasets to try models on: `cornu.datasets`."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {},
    submodules="""
        boston_housing california_housing cifar10 cifar100 fashion_mnist imdb mnist reuters""",
)
