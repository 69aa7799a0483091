"""Layers that turn values into bins by their hashes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cornu import ops
from cornu.layers.configured import ConfiguredLayer
from cornu.layers.preprocessing.encoding import (
    OUTPUT_MODES,
    check_output_mode,
    check_sparse,
    encoded,
    encoded_shape,
)
from cornu.layers.preprocessing.fingerprints import concatenated, farmhash64, siphash24
from cornu.layers.preprocessing.lookup import standardize_salt
from cornu.layers.preprocessing.strings import as_strings, is_strings
from cornu.ops.symbolic import KerasTensor
from cornu.tensor import is_int_dtype, standardize_dtype

# What TensorFlow's hashed crosses begin with.
_CROSS_SEED = 0xDECAFCAFFE


class _Binned(ConfiguredLayer):
    """What the layers of hashes share."""

    def _take_any_input(self) -> None:
        self._allow_non_tensor_positional_args = True
        self._convert_input_args = False
        self.supports_jit = False

    def build(self, input_shape: Any = None) -> None:
        """Does nothing: there are no weights."""

    def _encoded(self, bins: np.ndarray) -> Any:
        return encoded(bins, self.output_mode, self.num_bins, self.compute_dtype)


class Hashing(_Binned):
    """Turns strings or integers into bins by their hashes.

    Args:
        num_bins: how many bins there are.
        mask_value: a value that has the bin 0 to itself.
        salt: one or two integers that choose another hash, SipHash; else it is FarmHash.
        output_mode: `"int"`: bins; `"one_hot"`: a vector for each value; `"multi_hot"`: one for
            each sample; `"count"`: with numbers of occurrence.
        sparse: must be False: tensors are dense.

    Call arguments: `inputs`: strings or integers, in a list or an array.

    Paper: Weinberger et al., Feature Hashing for Large Scale Multitask Learning (2009).

    >>> layers.Hashing(num_bins=3)(np.array([["A"], ["B"]]))
    """

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: Any = None,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        check_sparse(sparse, output_mode)
        dtype = kwargs.get("dtype")
        if output_mode == "int":
            if dtype is None:
                kwargs["dtype"] = "int64"
            elif isinstance(dtype, str) and not is_int_dtype(dtype):
                raise ValueError(
                    "When `output_mode=\"int\"`, `dtype` should be an integer type, 'int32' or "
                    f"'int64'. Received: dtype={dtype}"
                )
        super().__init__(**kwargs)
        if num_bins is None or num_bins <= 0:
            raise ValueError(
                "The `num_bins` for `Hashing` cannot be `None` or non-positive values. "
                f"Received: num_bins={num_bins}."
            )
        check_output_mode(self, output_mode, OUTPUT_MODES)
        self._keep(
            num_bins=num_bins,
            salt=standardize_salt(self, salt),
            mask_value=mask_value,
            output_mode=output_mode,
            sparse=sparse,
        )
        self._take_any_input()

    def call(self, inputs: Any) -> Any:
        strings = is_strings(inputs)
        if strings:
            values = as_strings(inputs)
        else:
            values = np.asarray(ops.convert_to_numpy(inputs)).astype("int64")
        if self.mask_value is not None and isinstance(self.mask_value, str) != strings:
            raise TypeError(
                f"`mask_value` must be of the kind of the inputs. Received: mask_value="
                f"{self.mask_value!r} and inputs={inputs}"
            )
        masked = self.mask_value is not None
        bins = self.num_bins - masked  # the mask has a bin to itself
        if bins == 0 or self.num_bins == 1:
            return self._encoded(np.zeros(values.shape, "int64"))
        words = [str(value).encode() for value in values.ravel().tolist()]
        hashes = farmhash64(words) if self.salt is None else siphash24(words, self.salt)
        found = (hashes % np.uint64(bins)).astype("int64").reshape(values.shape)
        if masked:
            found = np.where(values == self.mask_value, 0, found + 1)
        return self._encoded(found)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return encoded_shape(input_shape, self.output_mode, self.num_bins)

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        return KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)


class HashedCrossing(_Binned):
    """Turns combinations of values into bins by their hashes.

    Args:
        num_bins: how many bins there are.
        output_mode: `"int"`: bins; `"one_hot"`: vectors.
        sparse: must be False: tensors are dense.
        name, dtype: as of any layer.

    Call arguments: `inputs`: two or more features, strings or integers, each of the shape `()`,
    `(batch,)` or `(batch, 1)`.

    >>> layers.HashedCrossing(num_bins=5)((np.array(["A", "B"]), np.array([101, 102])))
    """

    def __init__(
        self,
        num_bins: int,
        output_mode: str = "int",
        sparse: bool = False,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        check_sparse(sparse, output_mode)
        if dtype is None and output_mode == "int":
            dtype = "int64"
        super().__init__(name=name, dtype=dtype)
        check_output_mode(self, output_mode, ("int", "one_hot"))
        self._keep(num_bins=num_bins, output_mode=output_mode, sparse=sparse)
        self._take_any_input()

    def call(self, inputs: Any) -> Any:
        self._check_count(inputs)
        features = [
            as_strings(x) if is_strings(x) else np.asarray(ops.convert_to_numpy(x)) for x in inputs
        ]
        shapes = [feature.shape for feature in features]
        if any(len(shape) > 2 or (len(shape) == 2 and shape[1] != 1) for shape in shapes):
            raise ValueError(
                "All `HashedCrossing` inputs should have shape `()`, `(batch_size)` or "
                f"`(batch_size, 1)`. Received: inputs={inputs}"
            )
        if len(set(shapes)) > 1:
            raise ValueError(
                f"All `HashedCrossing` inputs should have equal shape. Received: inputs={inputs}"
            )
        crossed = np.full(features[0].size, _CROSS_SEED, "uint64")
        for feature in features:
            if feature.dtype == object:
                hashes = farmhash64([word.encode() for word in feature.ravel().tolist()])
            elif is_int_dtype(standardize_dtype(feature.dtype)):
                hashes = feature.ravel().astype("int64").astype("uint64")
            else:
                raise ValueError(
                    "All `HashedCrossing` inputs should have an integer or string dtype. "
                    f"Received: inputs={inputs}"
                )
            crossed = concatenated(crossed, hashes)
        return self._encoded(
            (crossed % np.uint64(self.num_bins)).astype("int64").reshape(shapes[0])
        )

    def _check_count(self, inputs: Any) -> None:
        if not isinstance(inputs, list | tuple):
            raise ValueError(
                "`HashedCrossing` should be called on a list or tuple of inputs. "
                f"Received: inputs={inputs}"
            )
        if len(inputs) < 2:
            raise ValueError(
                "`HashedCrossing` should be called on at least two inputs. "
                f"Received: inputs={inputs}"
            )

    def compute_output_shape(self, input_shape: Sequence[Any]) -> tuple[int | None, ...]:
        return encoded_shape(input_shape[0], self.output_mode, self.num_bins)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("trainable")
        return config | {"dtype": self.dtype_policy.name}
