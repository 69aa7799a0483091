"""The base of models."""

import inspect
import json
import re
import warnings
from collections.abc import Callable
from typing import Any

from cornu import tree
from cornu.layers.defaults import mark_default
from cornu.layers.layer import Layer
from cornu.legacy.training import OldTraining
from cornu.ops.symbolic import KerasTensor, infer
from cornu.training.trainer import Trainer


def is_functional_call(args: tuple, kwargs: dict[str, Any]) -> bool:
    """Returns whether these are the constructor's arguments of a functional model."""
    return (
        len(args) == 2
        or (len(args) == 1 and "outputs" in kwargs)
        or ("inputs" in kwargs and "outputs" in kwargs)
    )


def _is_meant(layer: Layer, filters: Any) -> bool:
    if filters is None:
        return True
    if callable(filters):
        return bool(filters(layer))
    patterns = [filters] if isinstance(filters, str) else filters
    return any(re.search(pattern, layer.name) for pattern in patterns)


class Model(OldTraining, Trainer, Layer):
    """A layer that can be trained, evaluated, saved.

    `Model(inputs, outputs)` is the computation between symbolic tensors. A subclass makes its
    layers in `__init__` and computes in `call`.

    Args:
        inputs: symbolic inputs, in any structure.
        outputs: symbolic outputs, in any structure.
        name: name of the model.
        trainable: whether the variables take part in training.

    >>> inputs = Input((4,))
    >>> model = Model(inputs, layers.Dense(2)(inputs))
    >>> model.output_shape
    (None, 2)
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> "Model":
        if cls is Model and is_functional_call(args, kwargs):
            from cornu.models.functional import Functional

            return Functional.__new__(Functional, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if is_functional_call(args, kwargs):
            from cornu.models.functional import Functional

            if not isinstance(self, Functional):
                _make_functional(type(self))
            Functional.__init__(self, *args, **kwargs)
            return
        Trainer.__init__(self)
        Layer.__init__(self, *args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the outputs; a subclass defines it."""
        raise NotImplementedError(
            f"Model {type(self).__name__} does not have a `call()` method implemented."
        )

    @property
    def layers(self) -> list[Layer]:
        """The layers, those of layers left out."""
        return list(self._flatten_layers(include_self=False, recursive=False))

    @layers.setter
    def layers(self, value: Any) -> None:
        raise AttributeError(
            "`Model.layers` attribute is reserved and should not be used. Please use another name."
        )

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Returns a layer by its name or its place.

        Raises:
            ValueError: if there is none.
        """
        if index is not None and name is not None:
            raise ValueError(
                f"Provide only a layer name or a layer index. Received: index={index}, name={name}."
            )
        if index is not None:
            if len(self.layers) <= index:
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has "
                    f"{len(self.layers)} layers."
                )
            return self.layers[index]
        if name is None:
            raise ValueError("Provide either a layer name or layer index at `get_layer`.")
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(
            f"No such layer: {name}. Existing layers are: {[layer.name for layer in self.layers]}."
        )

    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs of this shape, by a call without values.

        Args:
            input_shape: shape with the batch, or a structure of shapes.
        """
        if self.built and not any(not layer.built for layer in self._flatten_layers()):
            return

        def symbolic(shape: Any) -> KerasTensor:
            return KerasTensor(shape, dtype=self.input_dtype)

        inputs = tree.map_shape_structure(symbolic, input_shape)
        self.built = True
        try:
            infer(self.call, inputs)
        except Exception as error:
            self.built = False
            raise ValueError(
                f"Model {self.name} could not be built for the input shape {input_shape}: its "
                f"`call` failed on float inputs of that shape. Call the model on real data "
                f"instead.\n\n{error}"
            ) from error

    def summary(
        self,
        line_length: int | None = None,
        positions: list[float] | None = None,
        print_fn: Callable | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: list[str] | tuple[str, str] | None = None,
    ) -> None:
        """Prints a table of the layers, their output shapes and parameters.

        Args:
            line_length: width of the table.
            positions: where columns end, as parts of the width.
            print_fn: called with the text in place of printing it.
            expand_nested: whether the layers inside models are listed.
            show_trainable: whether there is a column for `trainable`.
            layer_range: first and last layer to list; names or regular expressions.
        """
        from cornu.models.summary import print_summary

        print_summary(
            self,
            line_length=line_length,
            positions=positions,
            print_fn=print_fn,
            expand_nested=expand_nested,
            show_trainable=show_trainable,
            layer_range=layer_range,
        )

    def quantize(
        self, mode: str | None = None, config: Any = None, filters: Any = None, **kwargs: Any
    ) -> None:
        """Quantizes the weights of all layers that can be.

        GPTQ and AWQ quantize the layers in the blocks that the config, or
        `get_quantization_layer_structure`, names.

        Args:
            mode: `"int8"`, `"int4"`, `"float8"`, `"gptq"` or `"awq"`.
            config: a `QuantizationConfig`, in place of the mode or besides it.
            filters: which layers: a regular expression that is searched in their names, a list
                of such, or a function from a layer to whether it is meant.
            kwargs: `type_check`, whether subclasses of the layers are left out.

        Raises:
            ValueError: for wrong arguments, or if a layer is not built or quantized already.
        """
        from cornu.quantizers.calibration import calibrate
        from cornu.quantizers.configs import resolved

        type_check = kwargs.pop("type_check", True)
        if kwargs:
            raise ValueError(
                f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}"
            )
        if filters is not None and not (
            isinstance(filters, str | list | tuple) or callable(filters)
        ):
            raise ValueError(
                "The `filters` argument must be a regex string, a list of regex strings, or a "
                f"callable. Received: {type(filters)}"
            )
        config = resolved(mode, config)
        if config.mode in ("gptq", "awq"):
            structure = config.quantization_layer_structure
            if structure is None:
                structure = self.get_quantization_layer_structure(config.mode)
            calibrate(config, structure, lambda layer: _is_meant(layer, filters), type_check)
            return self.reset_functions()
        for layer in list(self._flatten_layers()):
            if layer._layers or not _is_meant(layer, filters):
                continue
            try:
                layer.quantize(config.mode, type_check=type_check, config=config)
            except NotImplementedError as error:
                warnings.warn(str(error), stacklevel=2)
        self.reset_functions()

    def get_quantization_layer_structure(self, mode: str | None = None) -> dict[str, Any] | None:
        """Returns the blocks of the model for modes that need them; None unless a model tells."""
        return None

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Writes the model for another runtime.

        Args:
            filepath: path of the file or folder.
            format: the format.
            verbose: whether what was written is told.
            input_signature: shapes and dtypes of the inputs; those of the model if None.
            kwargs: arguments of the format.

        Raises:
            ValueError: if there is no such format, or it belongs to another backend.
            NotImplementedError: for every other one: none is written yet.
        """
        from cornu.export import export_model

        export_model(
            self, filepath, format, verbose=verbose, input_signature=input_signature, **kwargs
        )

    def save(
        self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
    ) -> None:
        """Saves the model: architecture, weights and state of training.

        Args:
            filepath: path; the ending says the format, `.keras` or `.h5`.
            overwrite: whether an existing file is replaced without asking.
            zipped: whether the `.keras` file is an archive.
        """
        from cornu import saving

        saving.save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(
        self, filepath: Any, overwrite: bool = True, max_shard_size: Any = None
    ) -> None:
        """Saves the weights.

        Args:
            filepath: path that ends in `.weights.h5`.
            overwrite: whether an existing file is replaced without asking.
            max_shard_size: size in GB beyond which the file is split.
        """
        from cornu import saving

        saving.save_weights(self, filepath, overwrite=overwrite, max_shard_size=max_shard_size)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Loads weights.

        Args:
            filepath: path of a `.weights.h5`, `.keras` or `.h5` file.
            skip_mismatch: whether layers that don't fit are left as they are.
        """
        from cornu import saving

        saving.load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def to_json(self, **kwargs: Any) -> str:
        """Returns the architecture as JSON.

        Args:
            kwargs: arguments of `json.dumps`.
        """
        from cornu import saving

        return json.dumps(saving.serialize_keras_object(self), **kwargs)

    def build_from_config(self, config: dict[str, Any] | None) -> None:
        """Builds the model for the shapes that `get_build_config` returned."""
        if not config:
            return
        try:
            super().build_from_config(config)
        except Exception as error:
            warnings.warn(
                f"Model '{self.name}' could not be built for the shapes in its config: {error}",
                stacklevel=2,
            )

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Model":
        """Returns a model made from what `get_config` returned."""
        from cornu.models.functional import Functional, functional_from_config

        stored = {"layers", "input_layers", "output_layers"} <= config.keys()
        graph_like = cls is Model or issubclass(cls, Functional)
        if stored and graph_like and takes_functional_arguments(cls):
            return functional_from_config(cls, config, custom_objects)
        try:
            return super().from_config(config)
        except TypeError as error:
            raise TypeError(
                f"Unable to revive model from config. When overriding the `get_config()` method, "
                "make sure that the returned config contains all items used as arguments in the "
                f"constructor to {cls}, which is the default behavior. You can override this "
                "default behavior by defining a `from_config(cls, config)` class method to "
                f"specify how to create an instance of {cls.__name__} from its config.\n\n"
                f"Received config={config}\n\nError encountered during deserialization: {error}"
            ) from error

    # Trees of state

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """Returns the values of all variables by their paths, nested.

        Args:
            value_format: `"backend_tensor"` or `"numpy_array"`.

        Raises:
            ValueError: for any other format.
        """
        if value_format not in ("backend_tensor", "numpy_array"):
            raise ValueError(
                "Invalid `value_format` argument. Expected one of {'numpy_array', "
                f"'backend_tensor'}}. Received: value_format={value_format}"
            )
        return {
            group: _nested(variables, as_numpy=value_format == "numpy_array")
            for group, variables in self._state_groups().items()
        }

    def set_state_tree(self, state_tree: dict[str, Any]) -> None:
        """Sets variables to what `get_state_tree` returned."""
        groups = self._state_groups()
        for group, nested in state_tree.items():
            by_path = {v.path: v for v in groups.get(group, [])}
            for path, value in tree.flatten_with_path(nested):
                variable = by_path.get("/".join(path))
                if variable is None:
                    warnings.warn(f"There is no variable at {'/'.join(path)}", stacklevel=2)
                else:
                    variable.assign(value)

    def _state_groups(self) -> dict[str, list]:
        optimizer = getattr(self, "optimizer", None)
        return {
            "trainable_variables": self.trainable_variables,
            "non_trainable_variables": self.non_trainable_variables,
            "optimizer_variables": optimizer.variables if optimizer is not None else [],
            "metrics_variables": self.metrics_variables,
        }


mark_default(Model, "build", "call")


def _nested(variables: list, as_numpy: bool) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for variable in variables:
        *parents, last = variable.path.split("/")
        place = result
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = variable.numpy() if as_numpy else variable.value
    return result


def _make_functional(cls: type) -> None:
    """Makes a subclass of Model, which calls `super().__init__(inputs, outputs)`, functional."""
    from cornu.models.functional import Functional

    if cls in (Model, Functional) or not issubclass(cls, Model):
        return
    cls.__bases__ = tuple(Functional if base is Model else base for base in cls.__bases__)
    for base in cls.__bases__:
        _make_functional(base)


def takes_functional_arguments(cls: type) -> bool:
    """Returns whether the constructor of a model class takes `inputs` and `outputs`."""
    from cornu.models.functional import Functional

    if cls in (Model, Functional) or cls.__init__ in (Model.__init__, Functional.__init__):
        return True
    parameters = inspect.signature(cls.__init__).parameters.values()
    names = [p.name for p in parameters]
    return names[1:3] == ["inputs", "outputs"] or any(
        p.kind is p.VAR_POSITIONAL for p in parameters
    )


def model_from_json(json_string: str, custom_objects: Any = None) -> Model:
    """Returns the model that `to_json` told.

    Args:
        json_string: the text.
        custom_objects: classes and functions of one's own by name.
    """
    from cornu import saving
    from cornu.saving.serialization import of_any_age, parsed_config

    config = parsed_config(json_string, "json_string")
    if "keras_version" in config:  # Keras 3 doesn't tell it
        config = of_any_age(config, config["keras_version"])
    return saving.deserialize_keras_object(config, custom_objects=custom_objects)
