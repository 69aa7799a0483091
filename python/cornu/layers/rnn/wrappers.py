"""Layers that apply another layer in both directions of a sequence, or to each of its steps."""

from typing import Any

from cornu import ops
from cornu.layers.configured import ConfiguredLayer
from cornu.layers.core import Wrapper
from cornu.layers.layer import Layer

_MERGES = {
    "concat": lambda a, b: ops.concatenate([a, b], axis=-1),
    "sum": ops.add,
    "ave": lambda a, b: ops.divide(ops.add(a, b), 2),
    "mul": ops.multiply,
    None: lambda a, b: (a, b),
}


class Bidirectional(ConfiguredLayer):
    """Reads a sequence forwards with one recurrent layer and backwards with another.

    Args:
        layer: an `RNN` layer.
        merge_mode: how the two outputs are put together: `"concat"`, `"sum"`, `"mul"`, `"ave"`, or
            None for both.
        weights: accepted as in Keras; use `set_weights`.
        backward_layer: the other layer, which differs in `go_backwards`; made from the first's
            config if None.

    Paper: Schuster and Paliwal, Bidirectional Recurrent Neural Networks (1997).
    """

    def __init__(
        self,
        layer: Layer,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Layer | None = None,
        **kwargs: Any,
    ) -> None:
        from cornu.saving import deserialize_keras_object, serialize_keras_object

        if not isinstance(layer, Layer):
            raise ValueError(
                "Please initialize `Bidirectional` layer with a `keras.layers.Layer` instance. "
                f"Received: {layer}"
            )
        if backward_layer is not None and not isinstance(backward_layer, Layer):
            raise ValueError(
                "`backward_layer` need to be a `keras.layers.Layer` instance. "
                f"Received: {backward_layer}"
            )
        if merge_mode not in _MERGES:
            raise ValueError(
                f"Invalid merge mode. Received: {merge_mode}. "
                'Merge mode should be one of {"sum", "mul", "ave", "concat", None}'
            )
        if not hasattr(layer, "go_backwards"):
            raise TypeError(
                f"`Bidirectional` wraps recurrent layers. Received: {type(layer).__name__}"
            )
        super().__init__(**kwargs)

        def copy(prefix: str, **changes: Any) -> Layer:
            config = serialize_keras_object(layer)
            name = layer.name.removeprefix("forward_").removeprefix("backward_")
            config["config"] = {**config["config"], "name": f"{prefix}_{name}", **changes}
            return deserialize_keras_object(config)

        self.forward_layer = copy("forward")
        if backward_layer is None:
            self.backward_layer = copy("backward", go_backwards=not layer.go_backwards)
        else:
            self.backward_layer = backward_layer
        self._check_directions()
        if layer.return_sequences:
            # The merge of two sequences takes nothing from masked steps.
            self.forward_layer.zero_output_for_mask = True
            self.backward_layer.zero_output_for_mask = True
        self._keep(merge_mode=merge_mode)
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec

    def _check_directions(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                "Forward layer and backward layer should have different `go_backwards` value. "
                f"Received: forward_layer.go_backwards {forward.go_backwards}, "
                f"backward_layer.go_backwards={backward.go_backwards}"
            )
        for name in ("stateful", "return_sequences", "return_state"):
            values = getattr(forward, name), getattr(backward, name)
            if values[0] != values[1]:
                raise ValueError(
                    f"Forward layer and backward layer are expected to have the same value for "
                    f"attribute `{name}`, got {values[0]} for forward layer and {values[1]} for "
                    "backward layer"
                )

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)

    @property
    def states(self) -> Any:
        """The states of both layers, None if they keep none."""
        forward, backward = self.forward_layer.states, self.backward_layer.states
        return None if forward is None else (*forward, *backward)

    def reset_state(self) -> None:
        """Sets the states of both layers to zero."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    def reset_states(self) -> None:
        """Sets the states of both layers to zero."""
        self.reset_state()

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = None,
    ) -> Any:
        halves: tuple[Any, Any] = (None, None)
        if initial_state is not None:
            half = len(initial_state) // 2
            halves = initial_state[:half], initial_state[half:]
        results = [
            layer(sequences, initial_state=state, mask=mask, training=bool(training))
            for layer, state in zip((self.forward_layer, self.backward_layer), halves, strict=True)
        ]
        states = []
        if self.return_state:
            states = [*results[0][1:], *results[1][1:]]
            results = [result[0] for result in results]
        forward, backward = results
        if self.return_sequences:
            backward = ops.flip(backward, axis=1)
        merged = _MERGES[self.merge_mode](forward, backward)
        if not self.return_state:
            return merged
        return (*merged, *states) if self.merge_mode is None else (merged, *states)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        output = mask if self.return_sequences else None
        output = output if self.merge_mode else (output, output)
        if not self.return_state:
            return output
        states = (None,) * (2 * len(_as_list(self.forward_layer.state_size)))
        return (output, *states) if self.merge_mode else (*output, *states)

    def get_config(self) -> dict[str, Any]:
        from cornu.saving import serialize_keras_object

        config = super().get_config()
        layers = {"layer": self.forward_layer, "backward_layer": self.backward_layer}
        return config | {name: serialize_keras_object(layer) for name, layer in layers.items()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Bidirectional":
        """Rebuilds both layers and the wrapper."""
        from cornu.saving import deserialize_keras_object

        config = dict(config)
        for name in ("layer", "backward_layer"):
            if config.get(name) is not None:
                config[name] = deserialize_keras_object(config[name], custom_objects=custom_objects)
        return cls(**config)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


# Where layers are, all or by name, that give the same for an example whatever others the batch has.
_ALONE = {
    "activations": {"Activation", "ELU", "LeakyReLU", "PReLU", "ReLU"},
    "convolutional": None,
    "core": {"Dense", "Embedding", "Identity"},
    "input_layer": None,
    "merging": {"Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"},
    "normalization": {"BatchNormalization", "LayerNormalization", "RMSNormalization"},
    "pooling": None,
    "regularization": {"Dropout", "GaussianDropout", "GaussianNoise"},
    "reshaping": None,
}
_MODELS = {("cornu.models.functional", "Functional"), ("cornu.models.sequential", "Sequential")}


def treats_examples_alone(layer: Any, training: Any) -> bool:
    """Returns whether a layer is known to treat each example of a batch by itself.

    Args:
        layer: the layer; of those that are not of this package nothing is known.
        training: whether it is called for training: then batch norms look at whole batches.
    """
    place, name = type(layer).__module__, type(layer).__name__
    if layer.activity_regularizer is not None:
        return False
    if (place, name) in _MODELS:
        # A size of the batch that is fixed is that of a step.
        return all(tensor.shape[0] is None for tensor in layer.inputs) and all(
            isinstance(inner, Layer) and treats_examples_alone(inner, training)
            for inner in getattr(layer, "operations", layer.layers)
        )
    package, _, module = place.rpartition(".")
    known = _ALONE.get(module, set()) if package == "cornu.layers" else set()
    function = getattr(layer, "activation", None)
    return (
        (known is None or name in known)
        and (function is None or str(getattr(function, "__module__", "")).startswith("cornu."))
        and getattr(layer, "quantization_mode", None) is None
        and getattr(layer, "noise_shape", None) is None
        and (name != "BatchNormalization" or not training)
    )


class TimeDistributed(Wrapper):
    """Applies a layer to every step of a sequence by itself.

    Args:
        layer: the layer.

    Input shape: `(batch, steps, ...)`.
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(
                "Please initialize `TimeDistributed` layer with a `keras.layers.Layer` instance. "
                f"Received: {layer}"
            )
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape)
        if len(shape) < 3:
            raise ValueError(
                "`TimeDistributed` Layer should be passed an `input_shape` with at least 3 "
                f"dimensions, received: {shape}"
            )
        super().build((shape[0], *shape[2:]))

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        batch, steps = inputs.shape[:2]
        arguments: dict[str, Any] = {}
        if getattr(self.layer, "_call_has_training_arg", False):
            arguments["training"] = training
        if mask is not None:
            shape = tuple(mask.shape)
            if all(isinstance(size, int) for size in (*shape[:2], batch, steps)) and (
                shape[:2] != (batch, steps)
            ):
                raise ValueError(
                    f"The `mask` passed to the `TimeDistributed` layer has a shape {shape} that is "
                    f"incompatible with the input shape {tuple(inputs.shape)}. The first two "
                    "dimensions of the mask (batch size and timesteps) must match the input's "
                    f"first two dimensions. Expected mask shape prefix: {(batch, steps)}."
                )
        if treats_examples_alone(self.layer, training):
            # Then steps may stand for examples: one call, for any number of them.
            def folded(x: Any) -> Any:
                return ops.reshape(x, (batch * steps, *x.shape[2:]))

            if mask is not None and getattr(self.layer, "_call_has_mask_arg", False):
                arguments["mask"] = folded(mask)
            outputs = self.layer(folded(inputs), **arguments)
            return ops.reshape(outputs, (batch, steps, *outputs.shape[1:]))
        # Each step is a call of its own: the layer sees batches, as it was built for.
        slices = []
        for t in range(steps):
            if mask is not None and getattr(self.layer, "_call_has_mask_arg", False):
                arguments["mask"] = mask[:, t]
            slices.append(self.layer(inputs[:, t], **arguments))
        return ops.stack(slices, axis=1)
