"""In which dtypes layers compute and keep their variables."""

from collections.abc import MutableMapping
from typing import Any

from cornu import _cornu, config
from cornu.tensor import (
    Tensor,
    convert_to_tensor,
    holds_strings,
    is_float_dtype,
    standardize_dtype,
)

_MIXED = {"mixed_float16": ("float16", "float32"), "mixed_bfloat16": ("bfloat16", "float32")}
_cast = _cornu.primitive("cast")
QUANTIZATION_MODES = ("int8", "float8", "int4", "gptq", "awq")


class DTypePolicy:
    """The dtypes of a layer's computations and of its variables.

    Args:
        name: a dtype, for both; or `"mixed_float16"` or `"mixed_bfloat16"`, which compute in
            the half dtype and keep variables in float32.

    >>> DTypePolicy("mixed_float16").compute_dtype
    'float16'
    """

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            name = config.dtype_policy().name
        self._name = name
        self._compute_dtype, self._variable_dtype = self._parse(name)
        self._quantization_mode: str | None = None

    def _parse(self, name: str) -> tuple[str, str]:
        if not isinstance(name, str):
            raise TypeError(f"'name' must be a string, such as 'mixed_float16'. Got {name}")
        if name in _MIXED:
            return _MIXED[name]
        try:
            dtype = standardize_dtype(name)
        except ValueError:
            raise ValueError(
                f"Cannot convert '{name}' to a {type(self).__name__}. Valid policies include "
                "'mixed_float16', 'mixed_bfloat16', or any valid dtype string such as "
                "'float32'."
            ) from None
        return dtype, dtype

    @property
    def name(self) -> str:
        """The name that makes it."""
        return self._name

    @property
    def compute_dtype(self) -> str:
        """The dtype of computations."""
        return self._compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of variables."""
        return self._variable_dtype

    @property
    def quantization_mode(self) -> str | None:
        """How weights are quantized, None if they aren't."""
        return self._quantization_mode

    def convert_input(self, x: Any, autocast: bool, dtype: str) -> Any:
        """Returns a call argument as a layer takes it: arrays as tensors, floats in `dtype`."""
        if isinstance(x, Tensor):
            if autocast and x.dtype != dtype and is_float_dtype(x.dtype):
                mask = getattr(x, "_keras_mask", None)
                x = _cast(x, dtype=dtype)
                if mask is not None:
                    x._keras_mask = mask
            return x
        from cornu.ops.symbolic import KerasTensor

        if isinstance(x, KerasTensor):  # it is cast where the layer computes
            return x
        if holds_strings(x):
            return x
        if hasattr(x, "__array__") or hasattr(x, "__tensor__"):
            return self.convert_input(convert_to_tensor(x), autocast, dtype)
        return x

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DTypePolicy":
        """Returns a policy made from what `get_config` returned."""
        return cls(**config)

    def __eq__(self, other: Any) -> bool:
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash((type(self), self.name))

    def __repr__(self) -> str:
        return f'<{type(self).__name__} "{self._name}">'


FloatDTypePolicy = DTypePolicy


class QuantizedDTypePolicy(DTypePolicy):
    """The policy of a quantized layer.

    Args:
        mode: `"int8"`, `"int4"`, `"float8"`, `"gptq"` or `"awq"`.
        source_name: the policy of the layer before.
    """

    def __init__(self, mode: str, source_name: str | None = None) -> None:
        if mode not in QUANTIZATION_MODES:
            raise ValueError(
                f"Invalid quantization mode. Expected one of {QUANTIZATION_MODES}. "
                f"Received: mode={mode}"
            )
        source_name = source_name or config.dtype_policy().name
        super().__init__(source_name)
        self._name = f"{mode}_from_{source_name}"
        self._source_name = source_name
        self._quantization_mode = mode
        if mode == "int8" and self.compute_dtype == "float16":
            raise ValueError(f"Quantization mode='{mode}' doesn't work with float16.")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"mode": self._quantization_mode, "source_name": self._source_name}


class QuantizedFloat8DTypePolicy(QuantizedDTypePolicy):
    """The policy of a layer that computes with floats of eight bits.

    Args:
        mode: `"float8"`.
        source_name: the policy of the layer before.
        amax_history_length: over how many steps the largest magnitude is looked for.
    """

    default_amax_history_length = 1024

    def __init__(
        self, mode: str, source_name: str | None = None, amax_history_length: int = 1024
    ) -> None:
        super().__init__(mode, source_name)
        if not isinstance(amax_history_length, int):
            raise TypeError(
                "`amax_history_length` must be an integer. "
                f"Received: amax_history_length={amax_history_length}"
            )
        self._amax_history_length = amax_history_length

    @property
    def amax_history_length(self) -> int:
        """Over how many steps the largest magnitude is looked for."""
        return self._amax_history_length

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "amax_history_length": self.amax_history_length}


class _GroupedDTypePolicy(QuantizedDTypePolicy):
    """A policy whose mode tells sizes too: `"int4/128"`."""

    _form = ""
    _bits: tuple[int, ...] = ()

    def __init__(self, mode: str, source_name: str | None = None) -> None:
        name, *sizes = mode.split("/")
        form = self._form.split("/")
        if name != form[0] or len(sizes) != len(form) - 1:
            raise ValueError(
                f"Invalid mode for {type(self).__name__}. Expected format '{self._form}', but got "
                f"'{mode}'."
            )
        try:
            sizes = [int(size) for size in sizes]
        except ValueError:
            raise ValueError(
                f"Invalid mode for {type(self).__name__}: sizes must be integers. Expected format "
                f"'{self._form}', but got '{mode}'."
            ) from None
        if self._bits and sizes[0] not in self._bits:
            raise ValueError(
                f"Invalid weight_bits in mode. Supported values are {self._bits}, but got "
                f"{sizes[0]} from '{mode}'."
            )
        if sizes[-1] < -1 or sizes[-1] == 0:
            raise ValueError(
                "Invalid group size in mode. Supported values are -1 (one group) or a positive "
                f"integer, but got {sizes[-1]} from '{mode}'."
            )
        super().__init__(name, source_name)
        self._name = f"{mode}_from_{self._source_name}"
        self.mode = name
        self._sizes = mode
        for attribute, size in zip(form[1:], sizes, strict=True):
            setattr(self, attribute.strip("<>"), size)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "mode": self._sizes}


class Int4DTypePolicy(_GroupedDTypePolicy):
    """The policy of a layer with weights of four bits.

    Args:
        mode: `"int4/<block_size>"`, -1 for one group.
        source_name: the policy of the layer before.
    """

    _form = "int4/<block_size>"


class GPTQDTypePolicy(_GroupedDTypePolicy):
    """The policy of a layer that GPTQ quantized.

    Args:
        mode: `"gptq/<weight_bits>/<group_size>"`.
        source_name: the policy of the layer before.
    """

    _form = "gptq/<weight_bits>/<group_size>"
    _bits = (2, 3, 4, 8)


class AWQDTypePolicy(_GroupedDTypePolicy):
    """The policy of a layer that AWQ quantized.

    Args:
        mode: `"awq/<weight_bits>/<group_size>"`.
        source_name: the policy of the layer before.
    """

    _form = "awq/<weight_bits>/<group_size>"
    _bits = (4,)


class DTypePolicyMap(DTypePolicy, MutableMapping):
    """Policies by the path of a layer, for the layers inside a composite one.

    Args:
        default_policy: the policy of paths that have none; that of `config.dtype_policy()`.
        policy_map: the policies by path.
    """

    def __init__(self, default_policy: Any = None, policy_map: Any = None) -> None:
        if isinstance(default_policy, DTypePolicyMap):
            raise ValueError("`default_policy` cannot be a `DTypePolicyMap`.")
        if policy_map is not None and not isinstance(policy_map, dict):
            raise TypeError(f"`policy_map` must be a dict. Received: policy_map={policy_map}")
        self._default_policy_argument = default_policy
        self._default_policy = get(default_policy)
        self._policy_map = policy_map or {}

    @property
    def name(self) -> str:
        """Name of the map."""
        return "map_" + self.default_policy.name

    @property
    def default_policy(self) -> DTypePolicy:
        """The policy of paths that have none."""
        return self._default_policy

    @property
    def compute_dtype(self) -> str:
        """The compute dtype of the default policy."""
        return self.default_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The variable dtype of the default policy."""
        return self.default_policy.variable_dtype

    @property
    def quantization_mode(self) -> str | None:
        """The quantization mode of the default policy."""
        return self.default_policy.quantization_mode

    def __getitem__(self, key: str) -> DTypePolicy:
        if key in self._policy_map:
            return self._policy_map[key]
        parents = [path for path in self._policy_map if key.startswith(f"{path}/")]
        if len(parents) > 1:
            raise ValueError(
                f"Path '{key}' matches multiple dtype policies: {parents}. Make the paths of "
                "the map unambiguous."
            )
        return self._policy_map[parents[0]] if parents else self.default_policy

    def __setitem__(self, key: str, policy: Any) -> None:
        if key in self._policy_map:
            raise ValueError(
                f"{key} already exist in the DTypePolicyMap with value {self._policy_map[key]}. "
                "Please make sure to not use duplicated keys."
            )
        self._policy_map[key] = get(policy)

    def __delitem__(self, key: str) -> None:
        del self._policy_map[key]

    def __contains__(self, key: Any) -> bool:
        return key in self._policy_map

    def __len__(self) -> int:
        return len(self._policy_map)

    def __iter__(self) -> Any:
        return iter(self._policy_map)

    def __hash__(self) -> int:
        return id(self)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain data."""
        from cornu import saving

        argument = self._default_policy_argument
        if isinstance(argument, DTypePolicy):
            argument = saving.serialize_keras_object(argument)
        policies = {k: saving.serialize_keras_object(v) for k, v in self._policy_map.items()}
        return {"default_policy": argument, "policy_map": policies}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "DTypePolicyMap":
        """Returns a map made from what `get_config` returned."""
        policies = {key: deserialize(value) for key, value in config["policy_map"].items()}
        default = config["default_policy"]
        return cls(deserialize(default) if isinstance(default, dict) else default, policies)

    def __repr__(self) -> str:
        return f"<DTypePolicyMap default_policy={self.default_policy}, policies={self._policy_map}>"


_CLASSES = {
    cls.__name__: cls
    for cls in (
        AWQDTypePolicy,
        DTypePolicy,
        DTypePolicyMap,
        GPTQDTypePolicy,
        Int4DTypePolicy,
        QuantizedDTypePolicy,
        QuantizedFloat8DTypePolicy,
    )
} | {
    "FloatDTypePolicy": DTypePolicy,
    "Policy": DTypePolicy,
}


_OF_MODE = {
    "awq": AWQDTypePolicy,
    "float8": QuantizedFloat8DTypePolicy,
    "gptq": GPTQDTypePolicy,
    "int4": Int4DTypePolicy,
}


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """Returns the config of a policy with its class."""
    from cornu import saving

    return saving.serialize_keras_object(dtype_policy)


def deserialize(config: dict[str, Any], custom_objects: Any = None) -> DTypePolicy:
    """Returns the policy that `serialize` told.

    Raises:
        ValueError: if its class is no policy.
    """
    cls = _CLASSES.get(config["class_name"]) or (custom_objects or {}).get(config["class_name"])
    if cls is None:
        raise ValueError(f"Unknown dtype policy: {config['class_name']}")
    return cls.from_config(config["config"])


def get(identifier: Any) -> DTypePolicy:
    """Returns a policy from itself, its name, a dtype or its config; None means the default.

    Raises:
        ValueError: if it is none of these.
    """
    if identifier is None:
        return config.dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        mode, found, source = identifier.partition("_from_")
        if not found:
            return DTypePolicy(identifier)
        grouped = mode.startswith(("gptq", "awq")) or "/" in mode
        policy = _OF_MODE.get(mode.partition("/")[0]) if grouped or mode == "float8" else None
        return (policy or QuantizedDTypePolicy)(mode, source)
    try:
        return DTypePolicy(standardize_dtype(identifier))
    except (TypeError, ValueError):
        raise ValueError(
            f"Cannot interpret `dtype` argument. Received: dtype={identifier}"
        ) from None
