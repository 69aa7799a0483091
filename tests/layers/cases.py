"""The table that drives the tests of layers: a few configurations of each."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from image_cases import IMAGE_CASES

# Classes that Keras shows under another name.
_ALIASES = {"GroupedQueryAttention": "GroupQueryAttention"}


@dataclass(frozen=True, eq=False)
class Case:
    """One configuration of a layer and the inputs it is called on.

    Attributes:
        layer: name of the class in `layers`.
        arguments: of its constructor, or a function that makes them from `keras` or `cornu`, for
            arguments that are layers themselves.
        shapes: shape of each input, the batch included; a single input is passed bare, several as
            a list.
        spread: whether several inputs are arguments of their own.
        integers: if given, inputs are integers below this.
        mask: share of masked places, passed as `mask` with the shape that `mask_axes` leaves.
        training: whether the layer is called in training.
        random: whether a call in training differs from one to the next.
        call: more arguments of the call.
        parts: other public classes that the case covers.
        differentiable: whether gradients are compared.
        dtype: that Keras is compared in; some of its layers can't run in float64.
        tolerance: relative, of that comparison; Keras computes some layers in float32 whatever
            the dtype.
    """

    layer: str
    arguments: dict[str, Any] | Callable[[Any], dict[str, Any]] = field(default_factory=dict)
    shapes: tuple[tuple[int, ...], ...] = ((2, 3),)
    spread: bool = False
    integers: int | None = None
    mask: tuple[int, ...] | None = None
    training: bool = False
    random: bool = False
    call: dict[str, Any] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    differentiable: bool = True
    dtype: str = "float64"
    tolerance: float = 1e-9

    def make(self, keras: Any, **more: Any) -> Any:
        """Returns the layer, made of `keras` or `cornu`."""
        arguments = self.arguments(keras) if callable(self.arguments) else dict(self.arguments)
        name = _ALIASES.get(self.layer, self.layer)
        return getattr(keras.layers, name)(**{**arguments, **more})

    def inputs(self, dtype: str | None = None, batch: int | None = None) -> list[np.ndarray]:
        """Returns the arrays to call on, the same each time."""
        rng = np.random.default_rng(sum(map(ord, self.layer)))
        arrays = []
        for shape in self.shapes:
            if batch is not None:
                shape = (batch, *shape[1:])
            if self.integers is not None:
                arrays.append(rng.integers(0, self.integers, shape).astype("int32"))
            else:
                arrays.append(rng.standard_normal(shape).astype(dtype or self.dtype))
        return arrays

    def pack(self, inputs: list[Any]) -> tuple[Any, ...]:
        """Returns the positional arguments of a call on these inputs."""
        return tuple(inputs) if self.spread or len(inputs) == 1 else (inputs,)

    def call_arguments(self) -> dict[str, Any]:
        """Returns the keyword arguments of a call."""
        arguments = dict(self.call)
        if self.mask is not None:
            rng = np.random.default_rng(7)
            mask = rng.random(self.mask) > 0.4
            mask[:, 0] = True
            arguments["mask"] = mask
        if self.training:
            arguments["training"] = True
        return arguments

    def __str__(self) -> str:
        given = "" if callable(self.arguments) else self.arguments
        parts = [f"{k}={v}" for k, v in dict(given).items()] + ["training"] * self.training
        return f"{self.layer}({', '.join(parts)})"


# Layers that Keras computes in float32 whatever the dtype, at least in part.
_ROUNDED = {
    "BatchNormalization",
    "Bidirectional",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "GRU",
    "GlobalAveragePooling1D",
    "GroupNormalization",
    "GroupedQueryAttention",
    "LSTM",
    "LayerNormalization",
    "MultiHeadAttention",
    "RMSNormalization",
    "RNN",
    "Resizing",
}


def _c(layer: str, *shapes: tuple[int, ...], **options: Any) -> Case:
    """Returns a case; options that are no fields of `Case` are arguments of the layer."""
    fields = Case.__dataclass_fields__
    known = {k: options.pop(k) for k in tuple(options) if k in fields}
    if layer in _ROUNDED:
        known.setdefault("tolerance", 1e-5)
    return Case(layer, known.pop("arguments", options), shapes or ((2, 3),), **known)


_SINGLE = {"dtype": "float32", "tolerance": 1e-5}
_FIRST = {"data_format": "channels_first"}

CORE = [
    _c("Dense", (2, 4), units=3),
    _c("Dense", (2, 5, 4), units=3, activation="relu", use_bias=False),
    _c(
        "Dense",
        (2, 4),
        units=3,
        kernel_regularizer="l2",
        bias_constraint="non_neg",
        activity_regularizer="l1",
        bias_initializer="ones",
    ),
    _c("Dense", (2, 4), units=3, lora_rank=2, tolerance=1e-6),
    _c("EinsumDense", (2, 3, 4), equation="abc,cd->abd", output_shape=(None, 5), bias_axes="d"),
    _c("EinsumDense", (2, 4), equation="ab,bc->ac", output_shape=6, activation="tanh"),
    _c("EinsumDense", (2, 3, 4), equation="...x,xy->...y", output_shape=5, bias_axes="y"),
    _c("EinsumDense", (2, 3, 4), equation="ab...,bc->ac...", output_shape=5, bias_axes="c"),
    _c(
        "EinsumDense",
        (2, 3, 4),
        equation="abc,cde->abde",
        output_shape=(None, 2, 5),
        bias_axes="de",
    ),
    _c(
        "EinsumDense", (2, 3, 2, 5), equation="abde,dec->abc", output_shape=(None, 4), bias_axes="c"
    ),
    _c(
        "EinsumDense",
        (2, 3, 4),
        equation="abc,bcd->ad",
        output_shape=5,
        bias_axes="d",
        lora_rank=2,
        tolerance=1e-6,
    ),
    _c("Embedding", (2, 5), input_dim=7, output_dim=3, integers=7),
    _c(
        "Embedding",
        (2, 5),
        input_dim=7,
        output_dim=3,
        integers=7,
        mask_zero=True,
        embeddings_regularizer="l2",
    ),
    _c("ReversibleEmbedding", (2, 5), input_dim=7, output_dim=3, integers=7),
    _c(
        "ReversibleEmbedding",
        (2, 5, 3),
        input_dim=7,
        output_dim=3,
        logit_soft_cap=2.0,
        call={"reverse": True},
    ),
    _c(
        "ReversibleEmbedding",
        (2, 5, 3),
        input_dim=7,
        output_dim=3,
        tie_weights=False,
        call={"reverse": True},
    ),
    _c("Identity", (2, 3)),
    _c("Lambda", (2, 3), arguments=lambda keras: {"function": keras.ops.square}),
    _c("Masking", (2, 4, 3)),
    _c("Masking", (2, 4, 3), integers=2, mask_value=1.0, differentiable=False),
]

ACTIVATIONS = [
    _c("Activation", (2, 3), activation="tanh"),
    _c("Activation", (2, 3), activation="gelu"),
    _c("ReLU", (4, 5)),
    _c("ReLU", (4, 5), max_value=1.0, negative_slope=0.1, threshold=0.2),
    _c("LeakyReLU", (4, 5)),
    _c("LeakyReLU", (4, 5), negative_slope=0.1),
    _c("PReLU", (2, 3, 4), alpha_initializer="ones"),
    _c("PReLU", (2, 3, 4), shared_axes=[1], alpha_regularizer="l1"),
    _c("ELU", (4, 5), alpha=0.5),
    _c("Softmax", (4, 5)),
    _c("Softmax", (2, 3, 4), axis=1),
    _c("Softmax", (2, 3, 4), axis=(1, 2)),
    _c("Softmax", (4, 5), mask=(4, 5)),
]


def _convolutions() -> list[Case]:
    space, cases = {1: (9,), 2: (6, 7), 3: (4, 5, 4)}, []
    for rank, sizes in space.items():
        shape, first = (2, *sizes, 4), (2, 4, *sizes)
        conv, transpose = f"Conv{rank}D", f"Conv{rank}DTranspose"
        cases += [
            _c(conv, shape, filters=3, kernel_size=2),
            _c(
                conv,
                shape,
                filters=3,
                kernel_size=3,
                strides=2,
                padding="same",
                activation="relu",
                use_bias=False,
            ),
            _c(conv, shape, filters=3, kernel_size=2, dilation_rate=2, padding="same"),
            _c(conv, shape, filters=6, kernel_size=2, groups=2, bias_initializer="ones"),
            _c(conv, first, filters=3, kernel_size=2, bias_initializer="ones", **_FIRST),
            _c(transpose, shape, filters=3, kernel_size=2),
            _c(
                transpose,
                shape,
                filters=3,
                kernel_size=3,
                strides=2,
                padding="same",
                activation="relu",
            ),
            _c(transpose, shape, filters=3, kernel_size=2, strides=3),
            _c(
                transpose,
                shape,
                filters=3,
                kernel_size=3,
                strides=2,
                output_padding=1,
                padding="same",
            ),
            _c(transpose, shape, filters=3, kernel_size=3, dilation_rate=2),
            _c(transpose, first, filters=3, kernel_size=3, strides=2, **_FIRST),
        ]
        if rank < 3:
            depthwise, separable = f"DepthwiseConv{rank}D", f"SeparableConv{rank}D"
            cases += [
                _c(depthwise, shape, kernel_size=3),
                _c(
                    depthwise,
                    shape,
                    kernel_size=3,
                    strides=2,
                    padding="same",
                    depth_multiplier=2,
                    activation="relu",
                ),
                _c(depthwise, shape, kernel_size=2, dilation_rate=2, bias_initializer="ones"),
                _c(depthwise, first, kernel_size=3, use_bias=False, **_FIRST),
                _c(separable, shape, filters=3, kernel_size=3),
                _c(
                    separable,
                    shape,
                    filters=3,
                    kernel_size=3,
                    strides=2,
                    padding="same",
                    depth_multiplier=2,
                    pointwise_regularizer="l2",
                ),
                _c(separable, first, filters=3, kernel_size=3, **_FIRST),
            ]
    return [
        *cases,
        _c("Conv1D", (2, 9, 4), filters=3, kernel_size=3, padding="causal", dilation_rate=2),
        _c("Conv1D", (2, 4, 9), filters=3, kernel_size=3, padding="causal", strides=2, **_FIRST),
        _c("Conv2D", (2, 6, 7, 4), filters=3, kernel_size=(3, 2), strides=(2, 1)),
        _c(
            "Conv2D",
            (2, 6, 7, 4),
            filters=3,
            kernel_size=1,
            kernel_constraint="max_norm",
            activity_regularizer="l2",
        ),
    ]


def _pooling() -> list[Case]:
    space, cases = {1: (9,), 2: (6, 7), 3: (4, 5, 4)}, []
    for rank, sizes in space.items():
        shape, first = (2, *sizes, 3), (2, 3, *sizes)
        for kind in ("Max", "Average"):
            local, whole, adaptive = (
                f"{prefix}{kind}Pooling{rank}D" for prefix in ("", "Global", "Adaptive")
            )
            cases += [
                _c(local, shape, pool_size=2),
                _c(local, shape, pool_size=3, strides=2, padding="same"),
                _c(local, shape, pool_size=2, strides=1),
                _c(local, first, pool_size=2, **_FIRST),
                _c(whole, shape),
                _c(whole, first, keepdims=True, **_FIRST),
                _c(adaptive, shape, output_size=2),
                _c(adaptive, first, output_size=3, **_FIRST),
            ]
    return [
        *cases,
        _c("MaxPooling2D", (2, 6, 7, 3), pool_size=(3, 2), strides=(1, 2)),
        _c("GlobalAveragePooling1D", (2, 5, 3), mask=(2, 5)),
        _c("GlobalAveragePooling1D", (2, 3, 5), mask=(2, 5), keepdims=True, **_FIRST),
    ]


RESHAPING = [
    _c("Flatten", (2, 3, 4)),
    _c("Flatten", (2, 3, 4, 2), **_FIRST),
    _c("Flatten", (2,)),
    _c("Reshape", (2, 12), target_shape=(3, -1)),
    _c("Reshape", (2, 3, 4), target_shape=(4, 3)),
    _c("Permute", (2, 3, 4, 5), dims=(3, 1, 2)),
    _c("RepeatVector", (2, 3), n=4),
    _c("ZeroPadding1D", (2, 4, 3)),
    _c("ZeroPadding1D", (2, 3, 4), padding=(1, 2), **_FIRST),
    _c("ZeroPadding2D", (2, 4, 5, 3)),
    _c("ZeroPadding2D", (2, 4, 5, 3), padding=((1, 2), (0, 3))),
    _c("ZeroPadding2D", (2, 3, 4, 5), padding=(2, 1), **_FIRST),
    _c("ZeroPadding3D", (2, 3, 4, 2, 3)),
    _c("ZeroPadding3D", (2, 3, 3, 4, 2), padding=((1, 0), (0, 2), (1, 1)), **_FIRST),
    _c("Cropping1D", (2, 5, 3)),
    _c("Cropping1D", (2, 5, 3), cropping=(2, 0)),
    _c("Cropping2D", (2, 5, 6, 3)),
    _c("Cropping2D", (2, 5, 6, 3), cropping=((1, 2), (0, 3))),
    _c("Cropping2D", (2, 3, 5, 6), cropping=(1, 2), **_FIRST),
    _c("Cropping3D", (2, 4, 5, 4, 2)),
    _c("Cropping3D", (2, 2, 4, 5, 4), cropping=((1, 0), (0, 2), (1, 1)), **_FIRST),
    _c("UpSampling1D", (2, 4, 3)),
    _c("UpSampling2D", (2, 3, 4, 2)),
    _c("UpSampling2D", (2, 2, 3, 4), size=(2, 3), **_FIRST),
    _c("UpSampling2D", (2, 3, 4, 2), size=(2, 3), interpolation="bilinear"),
    _c("UpSampling2D", (2, 3, 4, 2), interpolation="bicubic"),
    _c("UpSampling3D", (2, 2, 3, 2, 2)),
    _c("UpSampling3D", (2, 2, 2, 3, 2), size=(1, 2, 3), **_FIRST),
]

REGULARIZATION = [
    *(
        _c(name, shape, training=training, random=training, **{amount: 0.3}, seed=3)
        for name, shape, amount in (
            ("Dropout", (4, 5), "rate"),
            ("AlphaDropout", (4, 5), "rate"),
            ("GaussianDropout", (4, 5), "rate"),
            ("GaussianNoise", (4, 5), "stddev"),
            ("SpatialDropout1D", (2, 4, 5), "rate"),
            ("SpatialDropout2D", (2, 3, 4, 5), "rate"),
            ("SpatialDropout3D", (2, 3, 2, 2, 5), "rate"),
        )
        for training in (False, True)
    ),
    _c("Dropout", (4, 5), rate=0, training=True),
    _c("Dropout", (4, 5), rate=0.5, noise_shape=(None, 1), training=True, random=True),
    _c("SpatialDropout2D", (2, 5, 3, 4), rate=0.5, training=True, random=True, **_FIRST),
    _c("ActivityRegularization", (4, 5), l1=0.1, l2=0.2),
]

NORMALIZATION = [
    *(
        _c("BatchNormalization", shape, training=training, **arguments)
        for shape, arguments in (
            ((8, 3), {}),
            ((2, 4, 5, 3), {"momentum": 0.9, "epsilon": 0.01}),
            ((2, 3, 4, 5), {"axis": 1}),
            ((8, 3), {"center": False, "gamma_initializer": "random_uniform"}),
            ((8, 3), {"scale": False, "beta_initializer": "ones"}),
            ((8, 3), {"renorm": True, "renorm_clipping": {"rmax": 1.1, "rmin": 0.9, "dmax": 0.1}}),
        )
        for training in (False, True)
    ),
    _c("BatchNormalization", (3, 4, 5), training=True, mask=(3, 4)),
    _c("LayerNormalization", (4, 5)),
    _c("LayerNormalization", (2, 3, 4), axis=(1, 2), epsilon=0.1),
    _c("LayerNormalization", (2, 3, 4), axis=1, center=False),
    _c("LayerNormalization", (2, 3, 4), scale=False),
    _c("LayerNormalization", (2, 3, 4), rms_scaling=True),
    _c("RMSNormalization", (2, 3, 4)),
    _c("RMSNormalization", (2, 3, 4), axis=(1, 2), epsilon=0.1),
    _c("GroupNormalization", (2, 3, 4), groups=2),
    _c("GroupNormalization", (2, 4, 3, 3), groups=-1, axis=1, scale=False),
    _c("GroupNormalization", (2, 5, 5, 6), groups=3, center=False),
    _c("UnitNormalization", (2, 3, 4)),
    _c("UnitNormalization", (2, 3, 4), axis=(1, 2)),
    *(
        # In training the kernel is assigned, and what its gradient is then is a backend's choice.
        _c(
            "SpectralNormalization",
            shape,
            training=training,
            differentiable=not training,
            arguments=arguments,
        )
        for shape, arguments in (
            ((2, 4), lambda keras: {"layer": keras.layers.Dense(3)}),
            (
                (2, 5, 5, 3),
                lambda keras: {"layer": keras.layers.Conv2D(4, 2), "power_iterations": 3},
            ),
        )
        for training in (False, True)
    ),
]

_TWO = ((2, 3, 4), (2, 3, 4))
MERGING = [
    *(
        _c(name, *shapes)
        for name in ("Add", "Multiply", "Average", "Maximum", "Minimum")
        for shapes in (_TWO, (*_TWO, (2, 1, 4)), ((2, 4), (2, 3, 4)))
    ),
    _c("Subtract", *_TWO),
    _c("Subtract", (2, 3, 4), (2, 4)),
    _c("Concatenate", *_TWO),
    _c("Concatenate", (2, 3, 4), (2, 1, 4), (2, 5, 4), axis=1),
    _c("Dot", (2, 4), (2, 4), axes=1),
    _c("Dot", (2, 3, 4), (2, 5, 4), axes=2),
    _c("Dot", (2, 3, 4), (2, 4, 5), axes=(2, 1), normalize=True),
    _c("Dot", (2, 4), (2, 3, 4), axes=-1),
]

_INTEGERS = {"integers": 4, "differentiable": False}
PREPROCESSING = [
    _c("Normalization", (3, 4), mean=2.0, variance=3.0),
    _c("Normalization", (3, 4, 2), mean=[1.0, 2.0], variance=[3.0, 4.0], invert=True),
    _c("MelSpectrogram", (2, 100), fft_length=16, sequence_stride=8, num_mel_bins=4, **_SINGLE),
    _c(
        "MelSpectrogram",
        (2, 1, 60),
        fft_length=16,
        sequence_stride=10,
        sequence_length=12,
        window="hamming",
        sampling_rate=8000,
        num_mel_bins=3,
        min_freq=100.0,
        max_freq=3000.0,
        top_db=10.0,
        mag_exp=1.0,
        min_power=1e-3,
        ref_power=2.0,
        **_SINGLE,
    ),
    _c(
        "MelSpectrogram",
        (2, 60),
        fft_length=16,
        sequence_stride=10,
        num_mel_bins=3,
        window=None,
        power_to_db=False,
        **_SINGLE,
    ),
    *(
        _c("STFTSpectrogram", (2, 30, 2), mode=mode, frame_length=8, **_SINGLE)
        for mode in ("log", "magnitude", "psd", "real", "imag", "angle", "stft")
    ),
    _c(
        "STFTSpectrogram",
        (2, 30, 2),
        frame_length=7,
        frame_step=3,
        fft_length=16,
        padding="same",
        expand_dims=True,
        **_SINGLE,
    ),
    *(
        _c(
            "STFTSpectrogram",
            (2, 2, 30),
            mode="stft",
            frame_length=8,
            expand_dims=expand,
            **_FIRST,
            **_SINGLE,
        )
        for expand in (False, True)
    ),
    _c(
        "Pipeline",
        (2, 3),
        arguments=lambda keras: {"layers": [keras.layers.Rescaling(2.0), keras.layers.ReLU()]},
        training=True,
    ),
    _c("CategoryEncoding", (3, 4), num_tokens=5, **_INTEGERS),
    _c("CategoryEncoding", (3, 4), num_tokens=5, output_mode="one_hot", **_INTEGERS),
    _c("CategoryEncoding", (3, 1), num_tokens=5, output_mode="one_hot", **_INTEGERS),
    _c("CategoryEncoding", (3, 4), num_tokens=5, output_mode="count", **_INTEGERS),
    _c("Rescaling", (2, 3, 4), scale=0.1, offset=2.0),
    _c(
        "Rescaling",
        (2, 3),
        integers=255,
        scale=[0.1, 0.2, 0.3],
        offset=[1, 2, 3],
        differentiable=False,
    ),
]


def _recurrent() -> list[Case]:
    sequence, cases = (2, 5, 4), []
    for name, options in (("SimpleRNN", _SINGLE), ("LSTM", {}), ("GRU", {})):
        options = {"units": 3, **options}
        # Keras's GRU without a bias can't compute in float32 on JAX while 64-bit types are on.
        biased = name == "GRU"
        cases += [
            _c(name, sequence, **options),
            _c(name, sequence, return_sequences=True, go_backwards=True, **options),
            _c(name, sequence, return_state=True, use_bias=biased, mask=(2, 5), **options),
            _c(name, sequence, return_sequences=True, mask=(2, 5), activation="relu", **options),
            _c(
                name,
                sequence,
                **options,
                dropout=0.3,
                recurrent_dropout=0.2,
                training=True,
                random=True,
                seed=1,
                bias_regularizer="l2",
            ),
        ]
    return cases


def _inside(layer: str, name: str, **options: Any) -> Callable[[Any], dict[str, Any]]:
    """Returns a maker of arguments for a layer that holds another."""

    def arguments(keras: Any) -> dict[str, Any]:
        inner = {"units": 3, **{k: v for k, v in options.items() if k != "outer"}}
        return {layer: getattr(keras.layers, name)(**inner), **options.get("outer", {})}

    return arguments


RECURRENT = [
    *_recurrent(),
    _c("GRU", (2, 5, 4), units=3, reset_after=False),
    _c(
        "LSTM",
        (2, 5, 4),
        units=3,
        unit_forget_bias=False,
        return_sequences=True,
        return_state=True,
        mask=(2, 5),
    ),
    _c("ConvLSTM1D", (2, 3, 5, 2), filters=2, kernel_size=3, return_sequences=True),
    _c(
        "ConvLSTM1D",
        (2, 3, 6, 2),
        filters=2,
        kernel_size=2,
        strides=2,
        padding="same",
        return_state=True,
    ),
    _c("ConvLSTM2D", (2, 3, 4, 5, 2), filters=2, kernel_size=(2, 3), go_backwards=True),
    _c(
        "ConvLSTM2D",
        (2, 3, 4, 5, 2),
        filters=2,
        kernel_size=2,
        dilation_rate=2,
        padding="same",
        recurrent_activation="hard_sigmoid",
        unit_forget_bias=False,
        kernel_regularizer="l2",
    ),
    _c(
        "ConvLSTM2D",
        (2, 2, 2, 4, 5),
        filters=2,
        kernel_size=2,
        use_bias=False,
        dropout=0.3,
        recurrent_dropout=0.3,
        training=True,
        random=True,
    ),
    _c("ConvLSTM3D", (1, 2, 3, 3, 3, 1), filters=2, kernel_size=2),
    *(
        _c("RNN", (2, 5, 4), arguments=_inside("cell", cell), parts=(cell,), **_SINGLE)
        for cell in ("SimpleRNNCell", "LSTMCell", "GRUCell")
    ),
    _c(
        "RNN",
        (2, 5, 4),
        mask=(2, 5),
        arguments=_inside(
            "cell", "GRUCell", outer={"zero_output_for_mask": True, "return_sequences": True}
        ),
    ),
    _c(
        "RNN",
        (2, 5, 4),
        parts=("StackedRNNCells",),
        arguments=lambda keras: {
            "cell": [keras.layers.LSTMCell(3), keras.layers.GRUCell(2)],
            "return_sequences": True,
        },
    ),
    *(
        _c(
            "Bidirectional",
            (2, 5, 4),
            arguments=_inside("layer", name, **inner, outer=outer),
            **(_SINGLE if name == "SimpleRNN" else {}),
        )
        for name, inner, outer in (
            ("LSTM", {}, {}),
            ("LSTM", {"return_sequences": True}, {"merge_mode": "sum"}),
            ("GRU", {"return_sequences": True}, {"merge_mode": "ave"}),
            ("SimpleRNN", {}, {"merge_mode": "mul"}),
            ("LSTM", {"return_state": True}, {}),
            ("LSTM", {"return_sequences": True}, {"merge_mode": None}),
        )
    ),
    _c("TimeDistributed", (2, 3, 4), arguments=_inside("layer", "Dense")),
    _c(
        "TimeDistributed",
        (2, 3, 5, 4),
        arguments=lambda keras: {"layer": keras.layers.Conv1D(3, 2)},
    ),
    _c(
        "TimeDistributed",
        (4, 3, 5),
        training=True,
        arguments=lambda keras: {"layer": keras.layers.BatchNormalization()},
    ),
]

_PAIR = ((2, 5, 4), (2, 6, 4))
_HEADS = {
    "num_heads": 2,
    "key_dim": 3,
    "bias_initializer": "random_uniform",
    "spread": True,
    "tolerance": 1e-5,
}
_GROUPS = {
    "head_dim": 4,
    "num_query_heads": 4,
    "num_key_value_heads": 2,
    "spread": True,
    "tolerance": 1e-5,
}
ATTENTION = [
    _c("Attention", *_PAIR),
    _c("Attention", *_PAIR, (2, 6, 4), use_scale=True, call={"return_attention_scores": True}),
    _c("Attention", *_PAIR, score_mode="concat", use_scale=True, **_SINGLE),
    _c("Attention", (2, 5, 4), (2, 5, 4), call={"use_causal_mask": True}),
    _c("Attention", *_PAIR, dropout=0.3, seed=2, training=True, random=True),
    _c("AdditiveAttention", *_PAIR, **_SINGLE),
    _c("AdditiveAttention", *_PAIR, use_scale=False, **_SINGLE),
    _c("MultiHeadAttention", *_PAIR, **_HEADS),
    _c(
        "MultiHeadAttention",
        *_PAIR,
        (2, 6, 3),
        **_HEADS,
        value_dim=5,
        use_bias=False,
        output_shape=7,
        call={"return_attention_scores": True},
    ),
    _c(
        "MultiHeadAttention",
        (2, 5, 4),
        (2, 5, 4),
        **_HEADS,
        use_gate=True,
        output_shape=(3, 2),
        call={"use_causal_mask": True},
    ),
    _c(
        "MultiHeadAttention",
        (2, 5, 4),
        (2, 5, 4),
        **_HEADS,
        sliding_window=2,
        call={"return_attention_scores": True},
    ),
    _c("MultiHeadAttention", (2, 3, 5, 4), (2, 3, 6, 4), **_HEADS, attention_axes=(2,)),
    _c(
        "MultiHeadAttention",
        (2, 3, 5, 4),
        (2, 2, 6, 4),
        **_HEADS,
        attention_axes=(1, 2),
        call={"return_attention_scores": True},
    ),
    _c("MultiHeadAttention", *_PAIR, **_HEADS, dropout=0.3, seed=2, training=True, random=True),
    _c("GroupedQueryAttention", *_PAIR, **_GROUPS),
    _c(
        "GroupedQueryAttention",
        (2, 5, 4),
        (2, 5, 4),
        **_GROUPS,
        use_gate=True,
        use_bias=False,
        call={"use_causal_mask": True, "return_attention_scores": True},
    ),
]

CASES = [
    *CORE,
    *ACTIVATIONS,
    *_convolutions(),
    *_pooling(),
    *RESHAPING,
    *REGULARIZATION,
    *NORMALIZATION,
    *MERGING,
    *PREPROCESSING,
    *RECURRENT,
    *ATTENTION,
]

# Public names that are no layer to be called by itself.
NOT_IN_TABLE = (
    {"Layer", "Input", "InputLayer", "InputSpec", "Wrapper"}
    | {case.layer for case in IMAGE_CASES}
    | {
        # Inputs are strings or boxes, or they adapt: tests/layers/preprocessing has tables of them.
        "Discretization",
        "HashedCrossing",
        "Hashing",
        "IntegerLookup",
        "MaxNumBoundingBoxes",
        "StringLookup",
        "TextVectorization",
    }
)
