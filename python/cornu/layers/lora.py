"""Low-rank adaptation: training a product of two thin matrices on top of a frozen weight."""

from typing import Any

from cornu import ops
from cornu.layers.configured import ConfiguredLayer


class LowRankLayer(ConfiguredLayer):
    """A layer with one large weight that may be adapted by `enable_lora`.

    The weight itself is the attribute `_{name}`; `_adapted()` gives it with the adaptation.

    Paper: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (2021).
    """

    _adapted_name = "kernel"

    def _keep_lora(self, rank: int | None, alpha: float | None) -> None:
        self.lora_rank = rank
        self.lora_alpha = rank if alpha is None else alpha
        self.lora_enabled = False

    def _add_adapted(self, shape: tuple[int, ...], arguments: str | None = None) -> None:
        """Adds the weight, and adapts it if the constructor was given a rank."""
        name = self._adapted_name
        self._weight_shape = tuple(shape)
        setattr(self, f"_{name}", self._add(name, shape, arguments))

    def _finish_build(self) -> None:
        self.built = True
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    def _adapted(self) -> Any:
        name = self._adapted_name
        if not self.built:
            raise AttributeError(f"You must build the layer before accessing `{name}`.")
        weight = getattr(self, f"_{name}")
        if not self.lora_enabled:
            return weight
        return ops.add(weight, self._lora_delta())

    def _lora_delta(self) -> Any:
        """Returns what the adaptation adds to the weight."""
        a, b = self._lora_pair()
        return ops.multiply(self.lora_alpha / self.lora_rank, ops.matmul(a, b))

    def _lora_pair(self) -> tuple[Any, Any]:
        return tuple(getattr(self, f"lora_{self._adapted_name}_{side}") for side in "ab")

    def _check_adaptable(self) -> None:
        name = self._adapted_name
        if getattr(self, f"{name}_constraint", None):
            raise ValueError(f"Lora is incompatible with {name} constraints.")
        if not self.built:
            raise ValueError("Cannot enable lora on a layer that isn't yet built.")
        if self.lora_enabled:
            raise ValueError("lora is already enabled. This can only be done once per layer.")

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Freezes the weight and adds two trainable matrices of the given rank.

        Args:
            rank: inner size of the product.
            lora_alpha: the product is scaled by `lora_alpha / rank`; the rank itself if None.
            a_initializer, b_initializer: initializers of the two matrices.

        Raises:
            ValueError: if the layer has a constraint on the weight, is not built, or is
                adapted already.
        """
        self._check_adaptable()
        name = self._adapted_name
        self._tracker.unlock()
        weight = getattr(self, f"_{name}")
        shape = self._weight_shape
        shapes = {"a": (*shape[:-1], rank), "b": (rank, shape[-1])}
        initializers = {"a": a_initializer, "b": b_initializer}
        for side, shape in shapes.items():
            matrix = self.add_weight(
                name=f"lora_{name}_{side}",
                shape=shape,
                initializer=initializers[side],
                regularizer=getattr(self, f"{name}_regularizer", None),
            )
            setattr(self, f"lora_{name}_{side}", matrix)
        if not self._in_build:
            self._lock_state()
        weight.trainable = False
        self.lora_enabled = True
        self.lora_rank = rank
        self.lora_alpha = rank if lora_alpha is None else lora_alpha

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.lora_rank:
            config |= {"lora_rank": self.lora_rank, "lora_alpha": self.lora_alpha}
        return config

    def save_own_variables(self, store: Any) -> None:
        """Saves the adapted weight in place of the frozen one, so any reader can use it."""
        if not self.lora_enabled:
            return super().save_own_variables(store)
        store["0"] = self._adapted()
        if getattr(self, "bias", None) is not None:
            store["1"] = self.bias

    def load_own_variables(self, store: Any) -> None:
        """Loads the weight and resets its adaptation."""
        if not self.lora_enabled:
            return super().load_own_variables(store)
        getattr(self, f"_{self._adapted_name}").assign(store["0"])
        if getattr(self, "bias", None) is not None:
            self.bias.assign(store["1"])
        for matrix in self._lora_pair():
            matrix.assign(ops.zeros(matrix.shape))
