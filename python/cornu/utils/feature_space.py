"""Tables of features turned into vectors."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cornu import ops
from cornu.layers import (
    CategoryEncoding,
    Discretization,
    HashedCrossing,
    Hashing,
    Input,
    IntegerLookup,
    Layer,
    Normalization,
    Rescaling,
    StringLookup,
)
from cornu.layers.configured import ConfiguredLayer
from cornu.layers.preprocessing.strings import as_strings, is_strings
from cornu.naming import auto_name
from cornu.ops.symbolic import KerasTensor


class TFDIdentity(ConfiguredLayer):
    """Returns its input."""

    def call(self, x: Any) -> Any:
        return x


class TFDConcat(ConfiguredLayer):
    """Joins tensors.

    Args:
        axis: axis along which they are joined.
    """

    def __init__(self, axis: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep(axis=axis)

    def call(self, xs: Any) -> Any:
        return ops.concatenate(xs, axis=self.axis)


class Cross:
    """A feature of the combinations of others.

    Args:
        feature_names: names of the others.
        crossing_dim: number of bins that combinations are hashed into.
        output_mode: `"one_hot"` or `"int"`.
    """

    def __init__(
        self, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot"
    ) -> None:
        if output_mode not in ("int", "one_hot"):
            raise ValueError(
                "Invalid value for argument `output_mode`. Expected one of {'int', 'one_hot'}. "
                f"Received: output_mode={output_mode}"
            )
        self.feature_names = tuple(feature_names)
        self.crossing_dim = crossing_dim
        self.output_mode = output_mode

    @property
    def name(self) -> str:
        """The names of the features, joined."""
        return "_X_".join(self.feature_names)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "feature_names": self.feature_names,
            "crossing_dim": self.crossing_dim,
            "output_mode": self.output_mode,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Cross":
        """Returns the cross that `get_config` told."""
        return cls(**config)


class Feature:
    """A column of a table and how it is encoded.

    Args:
        dtype: dtype of the column.
        preprocessor: layer that it goes through.
        output_mode: `"one_hot"`, `"int"` or `"float"`.
    """

    def __init__(self, dtype: str, preprocessor: Any, output_mode: str) -> None:
        if output_mode not in ("int", "one_hot", "float"):
            raise ValueError(
                "Invalid value for argument `output_mode`. Expected one of {'int', 'one_hot', "
                f"'float'}}. Received: output_mode={output_mode}"
            )
        self.dtype = dtype
        self.preprocessor = preprocessor
        self.output_mode = output_mode

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain data."""
        from cornu.saving import serialize_keras_object

        return {
            "dtype": self.dtype,
            "preprocessor": serialize_keras_object(self.preprocessor),
            "output_mode": self.output_mode,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Feature":
        """Returns the feature that `get_config` told."""
        from cornu.saving import deserialize_keras_object

        preprocessor = config["preprocessor"]
        if isinstance(preprocessor, dict):
            preprocessor = deserialize_keras_object(preprocessor)
        return cls(config["dtype"], preprocessor, config["output_mode"])


class FeatureSpace(Layer):
    """Turns tables of features into vectors: each is normalized, looked up, hashed or crossed.

    Args:
        features: what each column is: the name of one of the methods below, such as `"float"`,
            or what such a method returns.
        output_mode: `"concat"` for one vector, `"dict"` for one for each feature.
        crosses: combinations of features that are features too: tuples of names, or what `cross`
            returns.
        crossing_dim: number of bins of crosses that tell none.
        hashing_dim: number of bins of hashed features that tell none.
        num_discretization_bins: number of bins of discretized features that tell none.
        name: name of the layer.

    >>> space = FeatureSpace({"age": "float_normalized", "city": "string_categorical"})
    >>> space.adapt({"age": ages, "city": cities})
    >>> space({"age": [30.0, 42.0], "city": ["Bern", "Genf"]})
    """

    def __init__(
        self,
        features: Mapping[str, Any],
        output_mode: str = "concat",
        crosses: Sequence[Any] | None = None,
        crossing_dim: int = 32,
        hashing_dim: int = 32,
        num_discretization_bins: int = 32,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if not features:
            raise ValueError("The `features` argument cannot be None or empty.")
        if output_mode not in ("concat", "dict"):
            raise ValueError(
                "Invalid value for argument `output_mode`. Expected one of {'dict', 'concat'}. "
                f"Received: output_mode={output_mode}"
            )
        self.crossing_dim = crossing_dim
        self.hashing_dim = hashing_dim
        self.num_discretization_bins = num_discretization_bins
        self.features = {key: self._feature(key, value) for key, value in features.items()}
        self.crosses = [self._cross(cross, set(features)) for cross in crosses or ()]
        self.output_mode = output_mode
        self.inputs = {
            key: Input((1,), dtype=feature.dtype, name=key)
            for key, feature in self.features.items()
        }
        self.preprocessors = {key: value.preprocessor for key, value in self.features.items()}
        self.crossers = {
            cross.name: HashedCrossing(cross.crossing_dim, name=cross.name)
            for cross in self.crosses
        }
        self.one_hot_encoders: dict[str, Layer] = {}
        self.concat = TFDConcat(axis=-1)
        self._is_adapted = not self._adaptable()
        self._encoded: Any = None
        self.built = self._is_adapted

    # What features there are

    @classmethod
    def cross(
        cls, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot"
    ) -> Cross:
        """Returns a feature of the combinations of others: see `Cross`."""
        return Cross(feature_names, crossing_dim, output_mode=output_mode)

    @classmethod
    def feature(cls, dtype: str, preprocessor: Any, output_mode: str) -> Feature:
        """Returns a feature that goes through a layer of one's own: see `Feature`."""
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name: str | None = None) -> Feature:
        """Returns a feature of numbers that stay as they are."""
        name = name or auto_name("float")
        return Feature("float32", TFDIdentity(name=f"{name}_preprocessor"), "float")

    @classmethod
    def float_rescaled(
        cls, scale: Any = 1.0, offset: Any = 0.0, name: str | None = None
    ) -> Feature:
        """Returns a feature of numbers that `Rescaling` scales."""
        name = name or auto_name("float_rescaled")
        layer = Rescaling(scale=scale, offset=offset, name=f"{name}_preprocessor")
        return Feature("float32", layer, "float")

    @classmethod
    def float_normalized(cls, name: str | None = None) -> Feature:
        """Returns a feature of numbers that `Normalization` brings to mean 0 and variance 1."""
        name = name or auto_name("float_normalized")
        layer = Normalization(axis=-1, name=f"{name}_preprocessor")
        return Feature("float32", layer, "float")

    @classmethod
    def float_discretized(
        cls,
        num_bins: int,
        bin_boundaries: Any = None,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Returns a feature of numbers that `Discretization` puts into bins."""
        name = name or auto_name("float_discretized")
        layer = Discretization(
            num_bins=None if bin_boundaries else num_bins,
            bin_boundaries=bin_boundaries,
            name=f"{name}_preprocessor",
        )
        return Feature("float32", layer, output_mode)

    @classmethod
    def integer_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Returns a feature of integers that `IntegerLookup` looks up."""
        name = name or auto_name("integer_categorical")
        layer = IntegerLookup(
            max_tokens=max_tokens, num_oov_indices=num_oov_indices, name=f"{name}_preprocessor"
        )
        return Feature("int32", layer, output_mode)

    @classmethod
    def string_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Returns a feature of strings that `StringLookup` looks up."""
        name = name or auto_name("string_categorical")
        layer = StringLookup(
            max_tokens=max_tokens, num_oov_indices=num_oov_indices, name=f"{name}_preprocessor"
        )
        return Feature("string", layer, output_mode)

    @classmethod
    def string_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Returns a feature of strings that `Hashing` puts into bins."""
        name = name or auto_name("string_hashed")
        layer = Hashing(num_bins=num_bins, name=f"{name}_preprocessor")
        return Feature("string", layer, output_mode)

    @classmethod
    def integer_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Returns a feature of integers that `Hashing` puts into bins."""
        name = name or auto_name("integer_hashed")
        layer = Hashing(num_bins=num_bins, name=f"{name}_preprocessor")
        return Feature("int32", layer, output_mode)

    def _feature(self, name: str, value: Any) -> Feature:
        from cornu.saving import deserialize_keras_object

        if isinstance(value, Feature):
            return value
        if isinstance(value, dict):
            return deserialize_keras_object(value)
        plain = (
            "float",
            "float_rescaled",
            "float_normalized",
            "integer_categorical",
            "string_categorical",
        )
        if value in plain:
            return getattr(self, value)(name=name)
        if value in ("string_hashed", "integer_hashed"):
            return getattr(self, value)(self.hashing_dim, name=name)
        if value == "float_discretized":
            return self.float_discretized(num_bins=self.num_discretization_bins, name=name)
        raise ValueError(f"Invalid feature type: {value}")

    def _cross(self, value: Any, names: set[str]) -> Cross:
        from cornu.saving import deserialize_keras_object

        if isinstance(value, dict):
            value = deserialize_keras_object(value)
        if not isinstance(value, Cross):
            value = Cross(value, crossing_dim=self.crossing_dim)
        if not set(value.feature_names) <= names:
            raise ValueError(
                "All features referenced in the `crosses` argument should be present in the "
                f"`features` dict. Received unknown features: {value.feature_names}"
            )
        return value

    # Adapting

    def _adaptable(self) -> dict[str, Any]:
        """Returns the layers that learn from data and were not given what they would learn."""
        given = ("input_mean", "input_vocabulary", "input_bin_boundaries")
        return {
            name: layer
            for name, layer in self.preprocessors.items()
            if hasattr(layer, "adapt")
            and all(getattr(layer, attribute, None) is None for attribute in given)
        }

    def adapt(self, dataset: Any) -> None:
        """Lets the layers of the features learn their vocabularies, statistics and boundaries.

        Args:
            dataset: a dict of columns, or an iterable of such dicts; of tuples of inputs and
                targets, the inputs are taken.
        """
        if isinstance(dataset, Mapping):
            dataset = [dataset]
        elif iter(dataset) is dataset:  # it can be read once
            dataset = list(dataset)
        for name, layer in self._adaptable().items():
            layer.adapt(_columns(dataset, name))
        self._is_adapted = self.built = True
        self._encoded = None
        self.one_hot_encoders = {}

    def _check_adapted(self) -> None:
        if not self._is_adapted:
            raise ValueError(
                "You need to call `.adapt(dataset)` on the FeatureSpace before you can start "
                "using it."
            )

    # Calls

    def get_inputs(self) -> dict[str, KerasTensor]:
        """Returns a symbolic tensor for each feature."""
        return self.inputs

    def get_encoded_features(self) -> Any:
        """Returns what becomes of `get_inputs()`, for models that begin with the features."""
        self._check_adapted()
        if self._encoded is None:
            self._encoded = self._encode(self.inputs)
        return self._encoded

    def __call__(self, data: Mapping[str, Any]) -> Any:
        self._check_adapted()
        if not isinstance(data, Mapping):
            raise ValueError(
                "A FeatureSpace can only be called with a dict. "
                f"Received: data={data} (of type {type(data)}"
            )
        columns = {name: _column(data[name]) for name in self.features}
        single = any(len(column.shape) == 0 for column in columns.values())
        encoded = self._encode({name: _as_column(column) for name, column in columns.items()})
        if not single:
            return encoded
        if isinstance(encoded, dict):
            return {name: ops.squeeze(x, 0) for name, x in encoded.items()}
        return ops.squeeze(encoded, 0)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the vectors of a dict of columns."""
        return self(*args, **kwargs)

    def _encode(self, columns: dict[str, Any]) -> Any:
        prepared = {name: self.preprocessors[name](columns[name]) for name in self.features}
        encoded: dict[str, Any] = {}
        for name in sorted(self.features):
            feature, x = self.features[name], prepared[name]
            if feature.output_mode == "one_hot":
                x = self._one_hot(name, x, feature.preprocessor)
            encoded[name] = x
        for cross in self.crosses:
            x = self.crossers[cross.name]([prepared[name] for name in cross.feature_names])
            if cross.output_mode == "one_hot":
                x = self._one_hot(cross.name, x, self.crossers[cross.name])
            encoded[cross.name] = x
        if self.output_mode == "dict":
            return encoded
        for name, x in encoded.items():
            if not str(x.dtype).startswith(("float", "bfloat")):
                raise ValueError(
                    f"Cannot concatenate features because feature '{name}' has not been encoded "
                    f"(it has dtype {x.dtype}). Consider using `output_mode='dict'`."
                )
        return self.concat(list(encoded.values()))

    def _one_hot(self, name: str, x: Any, layer: Any) -> Any:
        if str(x.dtype).startswith(("float", "bfloat")):
            return x  # a layer of one's own has encoded it
        if name not in self.one_hot_encoders:
            encoder = CategoryEncoding(num_tokens=_cardinality(layer), output_mode="multi_hot")
            self.one_hot_encoders[name] = encoder
        return self.one_hot_encoders[name](x)

    # Configs and files

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain data."""
        from cornu.saving import serialize_keras_object

        return {
            "features": {key: serialize_keras_object(f) for key, f in self.features.items()},
            "output_mode": self.output_mode,
            "crosses": [serialize_keras_object(cross) for cross in self.crosses],
            "crossing_dim": self.crossing_dim,
            "hashing_dim": self.hashing_dim,
            "num_discretization_bins": self.num_discretization_bins,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FeatureSpace":
        """Returns the layer that `get_config` told."""
        return cls(**config)

    def get_build_config(self) -> dict[str, Any]:
        """Returns the shapes that the layers of the features were built for."""
        return {name: layer.get_build_config() or {} for name, layer in self.preprocessors.items()}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the layers of the features."""
        for name, layer in self.preprocessors.items():
            if not layer.built:
                layer.build_from_config(config.get(name, {}))
        self._is_adapted = self.built = True

    def save(self, filepath: Any) -> None:
        """Saves the layer and what it has learned.

        Args:
            filepath: a path that ends in `.keras`.
        """
        from cornu.saving import save_model

        save_model(self, filepath)

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Writes nothing: there are no weights but those of the layers inside."""

    def load_own_variables(self, store: dict[str, Any]) -> None:
        """Reads nothing: there are no weights but those of the layers inside."""


def _cardinality(layer: Any) -> int:
    """Returns how many different integers a layer gives.

    Raises:
        ValueError: if it can't be known.
    """
    if hasattr(layer, "vocabulary_size"):
        return layer.vocabulary_size()
    for attribute in ("num_bins", "num_tokens"):
        if getattr(layer, attribute, None):
            return getattr(layer, attribute)
    if getattr(layer, "bin_boundaries", None):
        return len(layer.bin_boundaries) + 1
    raise ValueError(f"Layer {layer} has no vocabulary size and no bins: it can't be one-hot.")


def _column(values: Any) -> Any:
    """Returns a column as an array of strings or a tensor; floats in the default dtype."""
    if isinstance(values, KerasTensor):
        return values
    if is_strings(values):
        return as_strings(values)
    tensor = ops.convert_to_tensor(values)
    return ops.cast(tensor, "float32") if tensor.dtype == "float64" else tensor


def _as_column(values: Any) -> Any:
    """Gives numbers of samples two axes."""
    rank = len(values.shape)
    if rank > 1 or isinstance(values, KerasTensor):
        return values
    return values.reshape(-1, 1) if isinstance(values, np.ndarray) else ops.reshape(values, (-1, 1))


def _columns(dataset: Any, name: str) -> Iterator[Any]:
    for batch in dataset:
        columns = batch[0] if isinstance(batch, tuple) else batch
        yield _as_column(_column(columns[name]))
