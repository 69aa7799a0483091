"""Models that are stacks of layers."""

from typing import Any

from cornu import tree
from cornu.layers.input_layer import Input, InputLayer
from cornu.layers.layer import Layer
from cornu.models import planned
from cornu.models.functional import Functional
from cornu.models.model import Model
from cornu.naming import auto_name
from cornu.ops.symbolic import KerasTensor
from cornu.tensor import standardize_shape


class Sequential(Model):
    """A stack of layers, each called on the output of the one before.

    Args:
        layers: the layers.
        trainable: whether the variables take part in training.
        name: name of the model.

    >>> model = Sequential([Input((4,)), layers.Dense(2)])
    >>> model.output_shape
    (None, 2)
    """

    _not_structure = Model._not_structure | {"_functional"}

    def __new__(cls, *args: Any, **kwargs: Any) -> "Sequential":
        return Layer.__new__(cls, *args, **kwargs)

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(trainable=trainable, name=name)
        self._functional: Functional | None = None
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._rebuild()

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_functional":  # its layers are those of the stack, it is none of them
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the one of the input."""
        stack = self._layers
        return stack[1:] if stack and isinstance(stack[0], InputLayer) else stack[:]

    @layers.setter
    def layers(self, value: Any) -> None:
        Model.layers.fset(self, value)

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Puts a layer on top.

        Args:
            layer: a layer, or an `Input`.
            rebuild: whether the graph is made anew.

        Raises:
            ValueError: if it is no layer, its name is taken, or it is a second input.
        """
        stack = self._layers
        if isinstance(layer, KerasTensor) and hasattr(layer, "_keras_history"):
            origin = layer._keras_history.operation
            layer = origin if isinstance(origin, InputLayer) else layer
        if not isinstance(layer, Layer):
            raise ValueError(
                "Only instances of `keras.Layer` can be added to a Sequential model. Received: "
                f"{layer} (of type {type(layer)})"
            )
        if any(layer.name == other.name for other in stack):
            raise ValueError(
                "All layers added to a Sequential model should have unique names. Name "
                f"'{layer.name}' is already the name of a layer in this model. Update the `name` "
                "argument to pass a unique name."
            )
        if isinstance(layer, InputLayer) and stack and isinstance(stack[0], InputLayer):
            raise ValueError(
                f"Sequential model '{self.name}' has already been configured to use input shape "
                f"{stack[0].batch_shape}. You cannot add a different Input layer to it."
            )
        self._tracker.unlock()
        shape = layer._batch_input_shape
        if not stack and shape is not None:
            stack.append(Input(batch_shape=shape)._keras_history.operation)
        if isinstance(layer, InputLayer):
            stack.insert(0, layer)
        else:
            stack.append(layer)
        self._tracker.touch()
        if rebuild:
            self._rebuild()
        else:
            self.built, self._functional = False, None

    def pop(self, rebuild: bool = True) -> Layer:
        """Takes the top layer off and returns it."""
        layer = self._layers.pop()
        self._tracker.touch()
        self.built, self._functional = False, None
        if rebuild:
            self._rebuild()
        return layer

    def _rebuild(self) -> None:
        self.built, self._functional = False, None
        stack = self._layers
        if not stack:
            return
        if isinstance(stack[0], InputLayer):
            if len(stack) > 1:
                self.build(stack[0].batch_shape)
        elif _is_graph(stack[0]) and not tree.is_nested(stack[0].input):
            self.build(stack[0].input_shape)

    def build(self, input_shape: Any = None) -> None:
        """Builds the layers for inputs of this shape.

        Args:
            input_shape: shape with the batch.

        Raises:
            ValueError: if there are no layers or the shape is no shape.
        """
        stack = self._layers
        if not stack:
            raise ValueError(
                f"Sequential model {self.name} cannot be built because it has no layers. Call "
                "`model.add(layer)`."
            )
        if isinstance(stack[0], InputLayer):
            own = stack[0].batch_shape
            if input_shape is not None and len(standardize_shape(input_shape)) != len(own):
                raise ValueError(
                    f"Sequential model '{self.name}' has already been configured to use input "
                    f"shape {own}. You cannot build it with input_shape {input_shape}"
                )
        else:
            dtype = tree.flatten(stack[0].input)[0].dtype if _is_graph(stack[0]) else None
            x = Input(batch_shape=standardize_shape(input_shape), dtype=dtype)
            stack.insert(0, x._keras_history.operation)
        inputs = x = stack[0].output
        for layer in stack[1:]:
            x = layer(x)
        auto_name("functional")  # the graph inside counts among functional models
        self._functional = Functional(inputs, x, name=self.name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if (
            self._functional is not None
            and planned.applies(args, kwargs)
            and planned.is_plannable(self)
        ):
            return planned.call(self, args[0], **kwargs)
        return super().__call__(*args, **kwargs)

    def call(
        self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any
    ) -> Any:
        """Computes the outputs.

        Args:
            inputs: a tensor.
            training: whether layers behave as in training.
            mask: mask of the inputs.
        """
        if self._functional is not None:
            return self._functional.call(inputs, training=training, mask=mask)
        x = inputs
        for layer in self.layers:
            x = layer(x)
        return x

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any
    ) -> Any:
        """Returns symbolic outputs for symbolic inputs."""
        if self._functional is not None:
            return self._functional.compute_output_spec(inputs, training=training, mask=mask)
        return super().compute_output_spec(inputs, training=training, mask=mask)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the output for a shape of the input."""
        if self._functional is not None:
            return self._functional.compute_output_shape(input_shape)
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def _graph(self, attribute: str) -> Functional:
        if self._functional is None:
            raise AttributeError(
                f"Sequential model '{self.name}' has no defined {attribute} yet: it gets one "
                "when its input shape is known."
            )
        return self._functional

    @property
    def input(self) -> Any:
        """The symbolic input."""
        return self._graph("input").input

    @property
    def output(self) -> Any:
        """The symbolic output."""
        return self._graph("output").output

    @property
    def inputs(self) -> Any:
        """The symbolic inputs, flat; None if they are not known yet."""
        return None if self._functional is None else self._functional.inputs

    @property
    def outputs(self) -> Any:
        """The symbolic outputs, flat; None if they are not known yet."""
        return None if self._functional is None else self._functional.outputs

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        return self._graph("input").input_names

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs."""
        return self._graph("output").output_names

    @property
    def input_shape(self) -> Any:
        """The shape of the input."""
        return self._graph("input shape").input_shape

    @property
    def output_shape(self) -> Any:
        """The shape of the output."""
        return self._graph("output shape").output_shape

    @property
    def input_dtype(self) -> str:
        """The dtype of the input."""
        stack = self._layers
        if stack and isinstance(stack[0], InputLayer):
            return stack[0].dtype
        return super().input_dtype

    def get_config(self) -> dict[str, Any]:
        """Returns the layers as plain data."""
        from cornu import dtype_policies, saving

        config = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype_policies.serialize(self._dtype_policy),
            "layers": [saving.serialize_keras_object(layer) for layer in self._layers],
        }
        if self._functional is not None:
            config["build_input_shape"] = self._layers[0].batch_shape
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Sequential":
        """Returns a model made from what `get_config` returned."""
        from cornu import saving

        if "layers" not in config:
            return cls(**config)
        model = cls(name=config.get("name"))
        if "dtype" in config:
            model.dtype_policy = config["dtype"]
        for stored in config["layers"]:
            if "module" not in stored:
                stored = {**stored, "module": None, "registered_name": None}
            layer = saving.deserialize_keras_object(stored, custom_objects=custom_objects)
            model.add(layer, rebuild=False)
        model._rebuild()
        if not model.built and config.get("build_input_shape") and model.layers:
            model.build(tuple(config["build_input_shape"]))
        if not config.get("trainable", True):
            model._trainable = False
        return model


def _is_graph(layer: Layer) -> bool:
    return isinstance(layer, Functional) or getattr(layer, "_functional", None) is not None
