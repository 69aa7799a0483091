"""How a layer or model is quantized."""

from __future__ import annotations

from typing import Any

from cornu import saving
from cornu.dtype_policies import QUANTIZATION_MODES
from cornu.quantizers.integers import AbsMaxQuantizer


class QuantizationConfig:
    """How weights and activations are quantized; the base of the modes' configs.

    Args:
        weight_quantizer: makes integers of weights; the mode's own if None.
        activation_quantizer: makes integers of activations; None leaves them.
    """

    def __init__(self, weight_quantizer: Any = None, activation_quantizer: Any = None) -> None:
        self.weight_quantizer = weight_quantizer
        self.activation_quantizer = activation_quantizer

    @property
    def mode(self) -> str:
        """The mode: a subclass says which."""
        raise NotImplementedError(
            "Subclasses must implement this property. Do not instantiate QuantizationConfig "
            "directly."
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain data."""
        names = ("weight_quantizer", "activation_quantizer")
        return {name: saving.serialize_keras_object(getattr(self, name)) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> QuantizationConfig:
        """Returns a config made from what `get_config` returned."""
        return cls(**{k: saving.deserialize_keras_object(v) for k, v in config.items()})

    @staticmethod
    def weight_quantizer_or_default(config: Any, default: Any) -> Any:
        """Returns the config's weight quantizer, `default` if it has none."""
        found = None if config is None else config.weight_quantizer
        return default if found is None else found

    @staticmethod
    def activation_quantizer_or_default(config: Any, default: Any) -> Any:
        """Returns the config's activation quantizer, `default` if there is no config."""
        return default if config is None else config.activation_quantizer

    def _check_bytes(self) -> None:
        quantizer = self.weight_quantizer
        if quantizer is not None and quantizer.output_dtype != "int8":
            raise ValueError(
                f"{type(self).__name__} requires a weight_quantizer with output_dtype='int8'. "
                f"Received: output_dtype={quantizer.output_dtype}"
            )


class Int8QuantizationConfig(QuantizationConfig):
    """Weights and activations of eight bits.

    Args:
        weight_quantizer: makes integers of weights.
        activation_quantizer: `"default"` is `AbsMaxQuantizer()`; None leaves activations.
    """

    def __init__(self, weight_quantizer: Any = None, activation_quantizer: Any = "default") -> None:
        if activation_quantizer == "default":
            activation_quantizer = AbsMaxQuantizer()
        super().__init__(weight_quantizer, activation_quantizer)
        self._check_bytes()

    @property
    def mode(self) -> str:
        return "int8"


class Int4QuantizationConfig(QuantizationConfig):
    """Weights of four bits.

    Args:
        weight_quantizer: makes integers of weights.
        activation_quantizer: makes integers of activations; `"default"` and None leave them.
        block_size: how many weights of a column share a scale; None or -1: all.
    """

    def __init__(
        self,
        weight_quantizer: Any = None,
        activation_quantizer: Any = "default",
        block_size: int | None = 128,
    ) -> None:
        if activation_quantizer == "default":
            activation_quantizer = None
        super().__init__(weight_quantizer, activation_quantizer)
        grouped = block_size not in (None, -1)
        if grouped and block_size <= 0:
            raise ValueError(
                "block_size must be None, -1, or a positive integer. "
                f"Received: block_size={block_size}"
            )
        if grouped and (weight_quantizer is not None or activation_quantizer is not None):
            raise ValueError(
                "Int4 sub-channel quantization (block_size > 0) does not support custom "
                "quantizers. Either set block_size to None or -1 for per-channel quantization, or "
                f"remove the custom quantizer arguments. Received: block_size={block_size}"
            )
        if weight_quantizer is not None and tuple(weight_quantizer.value_range) != (-8, 7):
            raise ValueError(
                "Int4QuantizationConfig requires a weight_quantizer with value_range=(-8, 7). "
                f"Received: value_range={weight_quantizer.value_range}"
            )
        self._check_bytes()
        self.block_size = block_size

    @property
    def mode(self) -> str:
        return "int4"

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "block_size": self.block_size}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> QuantizationConfig:
        # Files of the time before groups have no size.
        return super().from_config({"block_size": None, **config})


class Float8QuantizationConfig(QuantizationConfig):
    """Training with weights and activations rounded to floats of eight bits."""

    def __init__(self) -> None:
        super().__init__(None, None)

    @property
    def mode(self) -> str:
        return "float8"

    def get_config(self) -> dict[str, Any]:
        return {}


class _Calibrated(QuantizationConfig):
    """A mode that looks at activations for a set of samples."""

    _arguments: tuple[str, ...] = ()

    def _keep(self, **arguments: Any) -> None:
        super().__init__()
        for name in ("num_samples", "sequence_length", "num_grid_points"):
            if arguments.get(name, 1) <= 0:
                raise ValueError(f"{name} must be a positive integer.")
        size = arguments["group_size"]
        if size < -1 or size == 0:
            raise ValueError(
                "Invalid group_size. Supported values are -1 (one group) or a positive integer, "
                f"but got {size}."
            )
        self._arguments = tuple(arguments)
        for name, value in arguments.items():
            setattr(self, name, value)

    def dtype_policy_string(self) -> str:
        """Returns what the names of dtype policies begin with: `"gptq/4/128"`."""
        return f"{self.mode}/{self.weight_bits}/{self.group_size}"

    def get_config(self) -> dict[str, Any]:
        # The samples are needed once and are not kept.
        config = {name: getattr(self, name) for name in self._arguments}
        return {**config, "dataset": None, "tokenizer": None}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> QuantizationConfig:
        return cls(**config)

    def without_samples(self) -> QuantizationConfig:
        """Returns a config without samples and blocks, as a quantized layer keeps it."""
        return type(self)(**{**self.get_config(), "quantization_layer_structure": None})


class GPTQConfig(_Calibrated):
    """GPTQ: weights rounded column by column, the rest adjusted to make up for it.

    Args:
        dataset: samples, texts or token numbers.
        tokenizer: makes token numbers of texts.
        weight_bits: 2, 3, 4 or 8.
        num_samples: how many samples are used.
        per_channel: whether each channel has its scale.
        sequence_length: tokens per sample.
        hessian_damping: what is added to the diagonal, as a part of its mean.
        group_size: how many weights share a scale; -1: all.
        symmetric: whether the integers have no zero point.
        activation_order: whether columns are ordered by their activations.
        quantization_layer_structure: the blocks of the model, in their order.

    Paper: Frantar et al., GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
    Transformers (2022).
    """

    def __init__(
        self,
        dataset: Any,
        tokenizer: Any,
        *,
        weight_bits: int = 4,
        num_samples: int = 128,
        per_channel: bool = True,
        sequence_length: int = 512,
        hessian_damping: float = 0.01,
        group_size: int = 128,
        symmetric: bool = False,
        activation_order: bool = False,
        quantization_layer_structure: dict | None = None,
    ) -> None:
        if weight_bits not in (2, 3, 4, 8):
            raise ValueError(
                f"Unsupported weight_bits {weight_bits}. Supported values are 2, 3, 4, and 8."
            )
        if not 0 <= hessian_damping <= 1:
            raise ValueError("hessian_damping must be between 0 and 1.")
        self._keep(
            dataset=dataset,
            tokenizer=tokenizer,
            weight_bits=weight_bits,
            num_samples=num_samples,
            per_channel=per_channel,
            sequence_length=sequence_length,
            hessian_damping=hessian_damping,
            group_size=group_size,
            symmetric=symmetric,
            activation_order=activation_order,
            quantization_layer_structure=quantization_layer_structure,
        )

    @property
    def mode(self) -> str:
        return "gptq"


class AWQConfig(_Calibrated):
    """AWQ: weights that meet large activations are scaled up before they are rounded.

    Args:
        dataset: samples, texts or token numbers.
        tokenizer: makes token numbers of texts.
        weight_bits: 4.
        num_samples: how many samples are used.
        sequence_length: tokens per sample.
        group_size: how many weights share a scale; -1: all.
        num_grid_points: how many scales are tried.
        quantization_layer_structure: the blocks of the model, in their order.

    Paper: Lin et al., AWQ: Activation-aware Weight Quantization for LLM Compression (2023).
    """

    def __init__(
        self,
        dataset: Any,
        tokenizer: Any,
        *,
        weight_bits: int = 4,
        num_samples: int = 128,
        sequence_length: int = 512,
        group_size: int = 128,
        num_grid_points: int = 20,
        quantization_layer_structure: dict | None = None,
    ) -> None:
        if weight_bits != 4:
            raise ValueError(
                f"AWQ only supports 4-bit quantization. Received weight_bits={weight_bits}."
            )
        self._keep(
            dataset=dataset,
            tokenizer=tokenizer,
            weight_bits=weight_bits,
            num_samples=num_samples,
            sequence_length=sequence_length,
            group_size=group_size,
            num_grid_points=num_grid_points,
            quantization_layer_structure=quantization_layer_structure,
        )

    @property
    def mode(self) -> str:
        return "awq"


_DEFAULTS = {
    "int8": Int8QuantizationConfig,
    "int4": Int4QuantizationConfig,
    "float8": Float8QuantizationConfig,
}
_NEEDED = {"gptq": GPTQConfig, "awq": AWQConfig}


def resolved(mode: str | None, config: Any) -> QuantizationConfig:
    """Returns the config that arguments of `quantize` mean.

    Raises:
        ValueError: if they mean none, or contradict each other.
    """
    if isinstance(config, str):
        mode, config = config, None
    if mode is not None and mode not in QUANTIZATION_MODES:
        raise ValueError(
            f"Invalid quantization mode. Expected one of {QUANTIZATION_MODES}. "
            f"Received: mode={mode}"
        )
    if config is None:
        if mode is None:
            raise ValueError("You must provide either `mode` or `config` to `quantize`.")
        if mode in _NEEDED:
            raise ValueError(
                f"For {mode.upper()}, you must pass a `{_NEEDED[mode].__name__}` object in the "
                "`config` argument."
            )
        return _DEFAULTS[mode]()
    if not isinstance(config, QuantizationConfig):
        raise ValueError(
            "Argument `config` must be an instance of `QuantizationConfig`. "
            f"Received: config={config} (of type {type(config)})"
        )
    if mode is not None and config.mode != mode:
        raise ValueError(f"Contradictory arguments: mode='{mode}' but config.mode='{config.mode}'")
    return config
