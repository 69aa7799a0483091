"""Models written for other runtimes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_NEEDS = {
    "saved_model": "TensorFlow's SavedModel format",
    "tf_saved_model": "TensorFlow's SavedModel format",
    "onnx": "ONNX",
    "openvino": "OpenVINO",
    "litert": "LiteRT",
    "torch": "torch.export",
}


def export_model(model: Any, filepath: Any, format: str = "tf_saved_model", **kwargs: Any) -> None:
    """Refuses: no format of other runtimes is written yet.

    Raises:
        ValueError: if there is no such format.
        NotImplementedError: for every other one.
    """
    if format not in _NEEDS:
        raise ValueError(f"Unrecognized format={format}. Supported formats are: {sorted(_NEEDS)}.")
    raise NotImplementedError(
        f"Model '{model.name}' can't be exported as format='{format}': {_NEEDS[format]} is not "
        "written. Save it with `model.save('model.keras')`; any Keras loads that file and exports "
        "it."
    )


class ExportArchive:
    """Collects the functions of a model that another runtime serves.

    Args:
        format: the format of the files, `"saved_model"`.
        kwargs: kept for calls that pass them.

    Raises:
        ValueError: if there is no such format.
    """

    def __init__(self, format: str = "saved_model", **kwargs: Any) -> None:
        if format not in _NEEDS:
            raise ValueError(
                f"Unrecognized format={format}. Supported formats are: {sorted(_NEEDS)}."
            )
        self._format = format
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

        Raises:
            ValueError: if the name is taken.
        """
        if name in self._endpoints:
            raise ValueError(f"Endpoint name '{name}' is already taken.")
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
            f"{_NEEDS[self._format]} is not written. Save models with `model.save('model.keras')`; "
            "any Keras loads that file and exports it."
        )
