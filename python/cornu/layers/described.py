"""How layers become configs and copies, and come back from them."""

import copy
import inspect
from typing import TYPE_CHECKING, Any

from cornu import dtype_policies, tree
from cornu.layers.calling import detached
from cornu.layers.defaults import is_default
from cornu.ops.symbolic import KerasTensor, infer

if TYPE_CHECKING:
    from cornu.tracking import Tracker


class Described:
    """The part of `Layer` that tells how it is made."""

    name: str
    trainable: bool
    built: bool
    input_dtype: str
    activity_regularizer: Any
    _dtype_policy: dtype_policies.DTypePolicy
    _build_shapes_dict: dict[str, Any] | None
    _tracker: "Tracker"

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain data; a subclass adds its own."""
        self._check_super_called()
        if is_default(self, "get_config"):
            config = self._constructor_config()
        else:
            config = {"name": self.name}
        config["trainable"] = self.trainable
        config["dtype"] = dtype_policies.serialize(self._dtype_policy)
        if self.activity_regularizer is not None:
            from cornu import regularizers

            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Returns a layer made from what `get_config` returned."""
        signature = inspect.signature(cls.__init__)
        names = signature.parameters
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in names.values()):
            return super().from_config(config)
        base = ("name", "trainable", "dtype", "activity_regularizer")
        later = {key: config[key] for key in base if key in config and key not in names}
        layer = super().from_config({k: v for k, v in config.items() if k not in later})
        if "dtype" in later:
            layer.dtype_policy = later["dtype"]
        if not later.get("trainable", True):
            layer.trainable = False
        if "name" in later:
            layer.name = later["name"]
        return layer

    def get_build_config(self) -> dict[str, Any] | None:
        """Returns the shapes that the layer was built for."""
        shapes = self._build_shapes_dict
        if not shapes:
            return None
        if len(shapes) == 1:
            return {"input_shape": next(iter(shapes.values()))}
        return {"shapes_dict": dict(shapes)}

    def build_from_config(self, config: dict[str, Any] | None) -> None:
        """Builds the layer for the shapes that `get_build_config` returned."""
        if not config:
            return

        def shape_of(stored: Any) -> Any:
            return tree.map_shape_structure(tuple, stored) if tree.is_nested(stored) else stored

        if "input_shape" in config:
            shape = shape_of(config["input_shape"])
            if is_default(self, "build"):
                self._build_by_run(shape)
            else:
                self.build(shape)
        elif "shapes_dict" in config:
            shapes = {name: shape_of(shape) for name, shape in config["shapes_dict"].items()}
            if is_default(self, "build"):
                self._build_by_run(**shapes)
            else:
                self.build(**shapes)
        self.built = True

    def _build_by_run(self, *shapes: Any, **named: Any) -> None:
        """Builds the layers inside by a call on symbolic inputs of these shapes."""

        def tensors(shape: Any) -> Any:
            return tree.map_shape_structure(
                lambda sizes: KerasTensor(sizes, dtype=self.input_dtype), shape
            )

        with detached():
            infer(
                self,
                *[tensors(shape) for shape in shapes],
                **{name.removesuffix("_shape"): tensors(s) for name, s in named.items()},
            )

    def __setstate__(self, state: dict[str, Any]) -> None:
        containers = {k: v for k, v in state.items() if isinstance(v, list | dict | set)}
        super().__setstate__({k: v for k, v in state.items() if k not in containers})
        with self._tracker.unlocked():
            for name, value in containers.items():
                setattr(self, name, value)

    def __copy__(self) -> Any:
        # Two layers with one tracker would each file what the other is given.
        return copy.deepcopy(self)
