"""The layer that turns numbers into bins."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cornu import ops
from cornu.layers.configured import ConfiguredLayer
from cornu.layers.preprocessing.adapting import batches
from cornu.layers.preprocessing.encoding import (
    OUTPUT_MODES,
    check_output_mode,
    check_sparse,
    encoded,
    encoded_shape,
)
from cornu.ops.symbolic import KerasTensor

_OF_KERAS_2 = ("batch_input_shape", "trainable")


class Discretization(ConfiguredLayer):
    """Turns numbers into the bins between which boundaries they lie.

    Args:
        bin_boundaries: the boundaries, in order; `[0.0, 1.0]` makes three bins.
        num_bins: how many bins of equal weight `adapt` finds boundaries of.
        epsilon: error of the quantiles, at least 0: smaller takes more memory.
        output_mode: `"int"`: bins; `"one_hot"`: a vector for each number; `"multi_hot"`: one for
            each sample; `"count"`: with numbers of occurrence.
        sparse: must be False: tensors are dense.
        dtype, name: as of any layer.

    >>> layers.Discretization([0.0, 1.0])(np.array([[-1.5, 0.5, 3.0]]))
    """

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        check_sparse(sparse, output_mode)
        check_output_mode(self, output_mode, OUTPUT_MODES)
        if num_bins is not None and num_bins < 0:
            raise ValueError(
                f"`num_bins` must be greater than or equal to 0. Received: `num_bins={num_bins}`"
            )
        if num_bins is not None and bin_boundaries is not None:
            raise ValueError(
                "Both `num_bins` and `bin_boundaries` should not be set. Received: "
                f"`num_bins={num_bins}` and `bin_boundaries={bin_boundaries}`"
            )
        if num_bins is None and bin_boundaries is None:
            raise ValueError("You need to set either `num_bins` or `bin_boundaries`.")
        self._keep(num_bins=num_bins, epsilon=epsilon, output_mode=output_mode, sparse=sparse)
        self.input_bin_boundaries = bin_boundaries
        self.bin_boundaries = [] if bin_boundaries is None else list(bin_boundaries)
        self.reset_state()

    def build(self, input_shape: Any = None) -> None:
        """Does nothing: there are no weights."""

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Finds the boundaries of bins that hold equally many of the numbers.

        Args:
            data: an array, or an iterable of batches.
            steps: how many batches are taken at most.

        Raises:
            ValueError: if the layer was made with boundaries.
        """
        if self.input_bin_boundaries is not None:
            raise ValueError(
                "Cannot adapt a Discretization layer that has been initialized with "
                "`bin_boundaries`, use `num_bins` instead."
            )
        self.reset_state()
        for batch in batches(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Adds a batch to the summary; `finalize_state` makes the boundaries."""
        values = np.asarray(ops.convert_to_numpy(data), "float32")
        merged = np.concatenate([self.summary, _summary(values, self.epsilon)], axis=1)
        merged = merged[:, np.argsort(merged[0], kind="stable")]
        self.summary = _compressed(merged, self.epsilon)

    def finalize_state(self) -> None:
        """Makes the boundaries of the batches that were added."""
        if self.input_bin_boundaries is None and self.summary.size:
            self.bin_boundaries = _compressed(self.summary, 1 / self.num_bins)[0, :-1].tolist()

    def reset_state(self) -> None:
        """Forgets the batches that were added."""
        self.summary = np.zeros((2, 0), "float32")

    def call(self, inputs: Any) -> Any:
        if not self.bin_boundaries:
            raise ValueError(
                "You need to either pass the `bin_boundaries` argument at construction time or "
                "call `adapt(dataset)` before you can start using the `Discretization` layer."
            )
        bins = ops.digitize(inputs, self.bin_boundaries)
        return encoded(bins, self.output_mode, len(self.bin_boundaries) + 1, self.output_dtype)

    @property
    def output_dtype(self) -> str:
        """The dtype of the outputs."""
        return "int32" if self.output_mode == "int" else self.compute_dtype

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return encoded_shape(input_shape, self.output_mode, len(self.bin_boundaries) + 1)

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        return KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.output_dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("trainable")
        boundaries = self.bin_boundaries or None
        return config | {"bin_boundaries": boundaries, "dtype": self.dtype_policy.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Discretization":
        """Returns the layer that `get_config` told, adapted as it was."""
        # What Keras 2 tells besides is left out.
        config = {key: value for key, value in config.items() if key not in _OF_KERAS_2}
        if config.get("num_bins") is None:
            return cls(**config)
        boundaries = config.pop("bin_boundaries", None)
        layer = cls(**config)
        layer.bin_boundaries = list(boundaries or [])
        return layer

    def load_own_variables(self, store: dict[str, Any]) -> None:
        """Reads the boundaries where Keras 2 has stored them as a weight."""
        if len(store) == 1:
            self.bin_boundaries = np.asarray(store["0"]).tolist()


# A summary of numbers is an array of two rows: some of the numbers in order, and how many each
# stands for.


def _summary(values: np.ndarray, epsilon: float) -> np.ndarray:
    """Returns a summary in which one number stands for the share `epsilon` of all."""
    values = np.sort(values, axis=None)
    share = max(values.size * epsilon, 1.0)
    kept = values[int(share) - 1 :: int(share)]
    return np.stack([kept, np.full_like(kept, share)])


def _compressed(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """Returns the summary of the quantiles `epsilon`, `2 epsilon`, ..."""
    if summary.shape[1] * epsilon < 1:
        return summary
    totals = summary[1].cumsum()
    shares = totals / totals[-1]
    wanted = epsilon + np.arange(0.0, 1.0, epsilon)
    kept = np.interp(wanted, shares, summary[0])
    weights = np.diff(np.interp(wanted, shares, totals), prepend=0.0)
    return np.stack([kept, weights]).astype("float32")
