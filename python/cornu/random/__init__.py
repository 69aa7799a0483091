"""Random numbers: `keras.random`."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        ".draws": (
            "beta binomial categorical dropout gamma normal randint shuffle truncated_normal "
            "uniform"
        ),
        ".seeds": (
            "SeedGenerator draw_seed global_seed_generator make_default_seed set_random_seed"
        ),
    },
)
