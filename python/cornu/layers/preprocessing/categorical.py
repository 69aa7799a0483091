"""Layers that prepare categories."""

from typing import Any

from cornu import ops
from cornu.layers.configured import ConfiguredLayer
from cornu.layers.preprocessing.encoding import encoded


class CategoryEncoding(ConfiguredLayer):
    """Encodes integers below `num_tokens` as vectors of this size.

    Args:
        num_tokens: how many different integers there are.
        output_mode: `"one_hot"`: a vector for each integer; `"multi_hot"`: one for each sample,
            with ones for the integers that occur; `"count"`: with their numbers.
        sparse: accepted; outputs are dense.

    Call arguments: `inputs`: integers of shape `(batch,)` or `(batch, n)`; `count_weights`: what
    each counts, for `"count"`.
    """

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if output_mode == "binary":  # a name of Keras 2
            output_mode = "multi_hot"
        if output_mode not in ("count", "one_hot", "multi_hot"):
            raise ValueError(f"Unknown arg for output_mode: {output_mode}")
        if num_tokens is None:
            raise ValueError(
                "num_tokens must be set to use this layer. If the number of tokens is not known "
                "beforehand, use the IntegerLookup layer instead."
            )
        if num_tokens < 1:
            raise ValueError(f"`num_tokens` must be >= 1. Received: num_tokens={num_tokens}.")
        self._keep(num_tokens=num_tokens, output_mode=output_mode)
        self._allow_non_tensor_positional_args = True

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(
                "`count_weights` is not used when `output_mode` is not `'count'`. "
                f"Received `count_weights={count_weights}`."
            )
        inputs = ops.cast(inputs, "int32")
        return encoded(inputs, self.output_mode, self.num_tokens, self.compute_dtype, count_weights)
