"""Models written for other runtimes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# The formats of `Model.export`, and the backends on which Keras writes them.
_FORMATS = {
    "tf_saved_model": "TensorFlow, JAX or PyTorch",
    "onnx": "TensorFlow, JAX or PyTorch",
    "openvino": "TensorFlow, JAX, PyTorch or OpenVINO",
    "litert": "TensorFlow or PyTorch",
    "torch": "PyTorch",
}
# Keras says that they need another backend, and so refuses the value.
_OF_OTHER_BACKENDS = ("litert", "torch")


def _instead(format: str) -> str:
    return (
        f"format='{format}' is not written here. Save the model with `model.save('model.keras')`: "
        f"Keras on {_FORMATS[format]} loads that file and exports it with "
        f"`model.export(path, format='{format}')`."
    )


def export_model(model: Any, filepath: Any, format: str = "tf_saved_model", **kwargs: Any) -> None:
    """Refuses: no format of other runtimes is written yet.

    Raises:
        ValueError: if there is no such format, or it belongs to another backend.
        NotImplementedError: for every other one.
    """
    if format not in _FORMATS:
        raise ValueError(f"Unrecognized format={format}. Supported formats are: {list(_FORMATS)}.")
    error = ValueError if format in _OF_OTHER_BACKENDS else NotImplementedError
    raise error(f"Model '{model.name}' can't be exported: {_instead(format)}")


class ExportArchive:
    """Collects the functions of a model that another runtime serves.

    Args:
        format: the format of the files, `"saved_model"`.
        kwargs: kept for calls that pass them.

    Raises:
        ValueError: if there is no such format.
        NotImplementedError: for `"neptune_model"`, of which Keras has the name alone.
    """

    def __init__(self, format: str = "saved_model", **kwargs: Any) -> None:
        if format == "neptune_model":
            raise NotImplementedError("ExportArchive with format='neptune_model' is abstract.")
        if format != "saved_model":
            raise ValueError(f"Unsupported format: {format}. Expected 'saved_model'.")
        self._tracked: list[Any] = []
        self._endpoints: dict[str, Callable[..., Any]] = {}

    @property
    def variables(self) -> list[Any]:
        """The variables of what is tracked."""
        return [variable for layer in self._tracked for variable in layer.variables]

    @property
    def trainable_variables(self) -> list[Any]:
        """Those that take part in training."""
        return [variable for layer in self._tracked for variable in layer.trainable_variables]

    @property
    def non_trainable_variables(self) -> list[Any]:
        """Those that don't."""
        return [variable for layer in self._tracked for variable in layer.non_trainable_variables]

    def track(self, resource: Any) -> None:
        """Adds a layer or model.

        Raises:
            ValueError: if it is none, or is not built.
        """
        from cornu.layers import Layer

        if not isinstance(resource, Layer):
            raise ValueError(
                "Invalid resource type. Expected a Keras `Layer` or `Model`. "
                f"Received object {resource} of type '{type(resource)}'."
            )
        if not resource.built:
            raise ValueError(
                "The layer provided has not yet been built. It must be built before export."
            )
        if not any(resource is layer for layer in self._tracked):
            self._tracked.append(resource)

    def add_endpoint(
        self, name: str, fn: Callable[..., Any], input_signature: Any = None, **kwargs: Any
    ) -> Callable[..., Any]:
        """Adds a function under a name and returns it.

        Args:
            name: name of the endpoint.
            fn: the function.
            input_signature: `InputSpec`s of its arguments.
            kwargs: kept for calls that pass them.

        Raises:
            ValueError: if the name is taken, or the signature missing.
        """
        if name in self._endpoints:
            raise ValueError(f"Endpoint name '{name}' is already taken.")
        if input_signature is None:
            raise ValueError(
                f"Endpoint '{name}' needs an `input_signature`: the shapes and dtypes of the "
                "arguments of `fn`, such as `[keras.InputSpec(shape=(None, 3), dtype='float32')]`."
            )
        self._endpoints[name] = fn
        return fn

    def track_and_add_endpoint(
        self, name: str, resource: Any, input_signature: Any, **kwargs: Any
    ) -> Any:
        """Adds a layer or model, and its call under a name."""
        self.track(resource)
        return self.add_endpoint(name, resource.__call__, input_signature)

    def add_variable_collection(self, name: str, variables: Any) -> None:
        """Adds variables under a name.

        Raises:
            ValueError: if they are no list of variables.
        """
        from cornu.variable import Variable

        if not isinstance(variables, list | tuple | set):
            raise ValueError(f"Expected `variables` to be a list/tuple/set. Received: {variables}")
        if not all(isinstance(variable, Variable) for variable in variables):
            raise ValueError(
                "Expected all elements in `variables` to be `Variable` instances. "
                f"Found instead the following types: {[type(v) for v in variables]}"
            )
        setattr(self, name, list(variables))

    def write_out(self, filepath: Any, options: Any = None, verbose: bool = True) -> None:
        """Refuses: the format is not written yet.

        Raises:
            ValueError: if there is no endpoint.
            NotImplementedError: else.
        """
        if not self._endpoints:
            raise ValueError("No endpoints have been set yet. Call add_endpoint().")
        raise NotImplementedError(
            f"No archive is written at {filepath}: {_instead('tf_saved_model')}"
        )
