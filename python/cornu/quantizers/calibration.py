"""Quantizing the blocks of a model one after the other, by what samples bring about in them."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from cornu import ops
from cornu.quantizers.awq import AWQ
from cornu.quantizers.gptq import GPTQ

METHODS = {"gptq": GPTQ, "awq": AWQ}


def samples_of(dataset: Any, tokenizer: Any, length: int, count: int) -> np.ndarray:
    """Returns evenly spread pieces of a dataset, as token numbers.

    Args:
        dataset: texts, or arrays of token numbers; a short one is repeated.
        tokenizer: makes token numbers of a text, by its `tokenize` or when called.
        length: tokens in a piece.
        count: how many pieces.

    Returns:
        Integers, `(count, 1, length)`.

    Raises:
        TypeError: if the dataset is one text, or can't be iterated over.
        ValueError: if it is empty.
    """
    if isinstance(dataset, str | bytes) or not isinstance(dataset, Iterable):
        raise TypeError(
            "The `dataset` argument must be an iterable of texts or of arrays of token numbers. "
            f"Received: dataset={dataset!r} (of type {type(dataset).__name__})"
        )
    tokenize = getattr(tokenizer, "tokenize", tokenizer)
    pieces = [
        np.ravel(ops.convert_to_numpy(tokenize(each) if isinstance(each, str) else each))
        for each in dataset
    ]
    tokens = np.concatenate(pieces).astype("int32") if pieces else np.empty(0, "int32")
    if not tokens.size:
        raise ValueError("Provided dataset is empty.")
    tokens = np.tile(tokens, -(-count * length // tokens.size))
    starts = np.linspace(0, tokens.size - length, count, dtype="int64")
    return np.stack([tokens[start : start + length] for start in starts])[:, None]


def calibrate(
    config: Any,
    structure: Mapping[str, Any] | None,
    is_meant: Callable[[Any], bool],
    type_check: bool = True,
) -> None:
    """Quantizes the layers of a model's blocks.

    Each block is run on the samples, its layers' inputs are watched, and the layers are
    quantized; the next block sees what the quantized one gives.

    Args:
        config: a `GPTQConfig` or `AWQConfig`.
        structure: `"pre_block_layers"` come before the first of `"sequential_blocks"`.
        is_meant: whether a layer is to be quantized.
        type_check: whether subclasses of the layers are left out.

    Raises:
        ValueError: if there is no structure, block, dataset or tokenizer.
    """
    blocks = (structure or {}).get("sequential_blocks")
    if not blocks:
        raise ValueError(
            f"For mode='{config.mode}', a quantization structure with 'sequential_blocks' must be "
            "provided, either via `config.quantization_layer_structure` or by overriding "
            "`model.get_quantization_layer_structure(mode)`. It is a dictionary with keys "
            f"'pre_block_layers' and 'sequential_blocks'. Received: {structure}"
        )
    if config.dataset is None or config.tokenizer is None:
        raise ValueError(
            f"{config.mode.upper()} quantization requires a dataset and a tokenizer. Please "
            f"provide them in the `{type(config).__name__}`."
        )
    inputs = []
    for piece in samples_of(
        config.dataset, config.tokenizer, config.sequence_length, config.num_samples
    ):
        x = ops.convert_to_tensor(piece)
        for layer in structure.get("pre_block_layers", []):
            x = layer(x)
        inputs.append(x)
    for block in blocks:
        layers = _prepared(block, config, is_meant, type_check)
        with _watched(layers, config) as methods:
            for x in inputs if layers else ():
                _output(block, x)
        for layer, method in zip(layers, methods, strict=True):
            layer.take_calibrated(method)
        if block is not blocks[-1]:
            inputs = [_output(block, x) for x in inputs]


def _prepared(
    block: Any, config: Any, is_meant: Callable[[Any], bool], type_check: bool
) -> list[Any]:
    """Returns the layers of a block that are to be calibrated, with variables for it."""
    found = []
    for layer in block._flatten_layers():
        possible = config.mode in getattr(layer, "variable_serialization_spec", {})
        # A layer that blocks share was calibrated in the first.
        if layer._layers or not possible or not is_meant(layer) or layer.is_calibrated:
            continue
        try:
            layer.quantize(config.mode, type_check=type_check, config=config)
        except NotImplementedError as error:
            warnings.warn(str(error), stacklevel=4)
        else:
            found.append(layer)
    return found


@contextlib.contextmanager
def _watched(layers: list[Any], config: Any) -> Iterator[list[Any]]:
    """Lets methods see the inputs of layers."""
    methods = [METHODS[config.mode](config, layer.kernel_matrix().shape[0]) for layer in layers]
    for layer, method in zip(layers, methods, strict=True):
        layer.watched_by(method)
    try:
        yield methods
    finally:
        for layer in layers:
            layer.watched_by(None)


def _output(block: Any, x: Any) -> Any:
    """Returns what a block gives, the first of several results; it does not run as a plan."""
    from cornu.layers import Layer

    output = Layer.__call__(block, x)
    return output[0] if isinstance(output, list | tuple) else output
