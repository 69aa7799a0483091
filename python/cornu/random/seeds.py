"""Where randomness begins: a seed is a key and a counter, `uint32[2]`."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from cornu._cornu import Tensor
from cornu.naming import auto_name, name_scope
from cornu.ops.promotion import as_tensor
from cornu.variable import Variable

_default_seed: int | None = None
_global_generator: SeedGenerator | None = None


def make_default_seed() -> int:
    """A seed for whoever is given none, from Python's own generator."""
    return random.randint(1, int(1e9))


def set_random_seed(seed: int) -> None:
    """Makes everything that is random and has no seed of its own begin anew from an integer.

    Args:
        seed: The integer; Python's and numpy's generators are seeded with it too.

    Raises:
        ValueError: it is no integer.
    """
    global _default_seed
    if not isinstance(seed, int):
        raise ValueError(
            "Expected `seed` argument to be an integer. "
            f"Received: seed={seed} (of type {type(seed)})"
        )
    random.seed(seed)
    np.random.seed(seed)
    _default_seed = seed
    reset()


def reset() -> None:
    """Forgets the global generator; the next one begins where `seed_from` said."""
    global _global_generator
    _global_generator = None


class SeedGenerator:
    """A stream of seeds. Each seed is given out once.

    Args:
        seed: The integer that it begins with; by default one is drawn.
        name: The name of the generator.

    Raises:
        ValueError: the seed is no integer, or is negative.

    >>> generator = SeedGenerator(seed=1)
    >>> a, b = (keras.random.normal((2,), seed=generator) for _ in range(2))
    """

    _tracked_as = "seed_generator"

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any) -> None:
        kwargs.pop("backend", None)
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments: {kwargs}")
        self.name = name or auto_name("SeedGenerator")
        self._initial_seed = seed
        if seed is None:
            seed = make_default_seed()
        if not isinstance(seed, int):
            raise ValueError(f"Argument `seed` must be an integer. Received: seed={seed}")
        if seed < 0:
            raise ValueError(f"Argument `seed` cannot be negative. Received: seed={seed}")
        key = [seed & 0xFFFFFFFF, seed >> 32]
        with name_scope(self.name, caller=self):
            self.state = Variable(
                lambda shape, dtype: as_tensor(key, dtype),
                shape=(2,),
                dtype="uint32",
                trainable=False,
                aggregation="none",
                name="seed_generator_state",
            )

    def next(self, ordered: bool = True) -> Tensor:
        """The next seed.

        Args:
            ordered: Accepted for compatibility.

        Returns:
            A `uint32` tensor of shape `(2,)`.
        """
        seed = as_tensor(self.state)
        self.state.assign(seed + as_tensor([0, 1], "uint32"))
        return seed

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such a generator."""
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """A generator of these arguments."""
        return cls(**config)


def global_seed_generator() -> SeedGenerator:
    """The generator for whoever is given no seed."""
    global _global_generator
    if _global_generator is None:
        _global_generator = SeedGenerator(_default_seed, name="global_seed_generator")
    return _global_generator


def draw_seed(seed: int | SeedGenerator | Tensor | None) -> Tensor:
    """The next seed of a generator, or the seed that an integer stands for.

    Args:
        seed: A generator, an integer, a seed, or None for the global generator.

    Returns:
        A `uint32` tensor of shape `(2,)`.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if seed is None:
        return global_seed_generator().next()
    if isinstance(seed, int):
        return as_tensor([seed & 0xFFFFFFFF, 0], "uint32")
    if isinstance(seed, Tensor) and tuple(seed.shape) == (2,):
        return as_tensor(seed, "uint32")
    raise ValueError(
        "Argument `seed` must be either an integer or an instance of `SeedGenerator`. "
        f"Received: seed={seed} (of type {type(seed)})"
    )
