"""Devices and layouts: the names of `keras.distribution`, with what they mean on one machine."""

from __future__ import annotations

import collections.abc
import contextlib
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

_DEVICES = ("cpu:0",)
_current: list[Any] = [None]


def list_devices(device_type: str | None = None) -> list[str]:
    """Returns the devices: the processor, whatever its number of cores.

    Args:
        device_type: `"cpu"`, `"gpu"` or `"tpu"`; there are none but the first.
    """
    return list(_DEVICES) if (device_type or "cpu").lower() == "cpu" else []


def get_device_count(device_type: str | None = None) -> int:
    """Returns the number of devices of a type."""
    return len(list_devices(device_type))


def initialize(
    job_addresses: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Accepts one process.

    Raises:
        NotImplementedError: for several processes.
    """
    if (num_processes or 1) > 1 or (job_addresses and "," in job_addresses):
        raise NotImplementedError(
            f"Training runs in one process. Received: num_processes={num_processes}, "
            f"job_addresses={job_addresses}"
        )


class DeviceMesh:
    """Devices in a grid.

    Args:
        shape: sizes of the grid's axes.
        axis_names: names of the axes.
        devices: names of the devices, all of this machine if None.

    Raises:
        ValueError: if names or devices don't fit the shape.
    """

    def __init__(
        self, shape: Sequence[int], axis_names: Sequence[str], devices: Any = None
    ) -> None:
        if not shape or not axis_names:
            raise ValueError(
                "Shape and axis_names cannot be empty. Received: "
                f"shape={shape}, axis_names={axis_names}"
            )
        if len(shape) != len(axis_names):
            raise ValueError(
                "Shape and axis_names should have same size. Received: "
                f"shape={shape}, axis_names={axis_names}"
            )
        devices = np.array(list_devices() if devices is None else devices)
        if np.prod(shape) != devices.size:
            raise ValueError(
                "Shape does not match the number of devices. Received: "
                f"shape={shape}; devices.shape={devices.shape}"
            )
        self._shape, self._axis_names = tuple(shape), list(axis_names)
        self._devices = devices.reshape(self._shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self._shape

    @property
    def axis_names(self) -> list[str]:
        """Names of the axes."""
        return self._axis_names

    @property
    def devices(self) -> np.ndarray:
        """Names of the devices, in the grid."""
        return self._devices

    @property
    def backend_mesh(self) -> DeviceMesh:
        """The mesh itself."""
        return self

    def __repr__(self) -> str:
        return f"<DeviceMesh shape={self.shape}, axis_names={self.axis_names}>"


class TensorLayout:
    """Along which axes of a mesh the axes of a tensor are split.

    Args:
        axes: for each axis of the tensor the name of a mesh's axis, or None.
        device_mesh: the mesh.

    Raises:
        ValueError: if the mesh has no axis of such a name.
    """

    def __init__(self, axes: Sequence[str | None], device_mesh: DeviceMesh | None = None) -> None:
        self._axes = tuple(axes)
        self._device_mesh = device_mesh
        self._check()

    def _check(self) -> None:
        if self._device_mesh is None:
            return
        unknown = {axis for axis in self._axes if axis} - set(self._device_mesh.axis_names)
        if unknown:
            raise ValueError(
                "Invalid axis names for Layout. Valid axis names: "
                f"{self._device_mesh.axis_names}, Got {unknown}"
            )

    @property
    def axes(self) -> tuple:
        """The names, None for axes that are whole everywhere."""
        return self._axes

    @property
    def device_mesh(self) -> DeviceMesh | None:
        """The mesh; settable once."""
        return self._device_mesh

    @device_mesh.setter
    def device_mesh(self, device_mesh: DeviceMesh) -> None:
        if self._device_mesh is not None:
            raise ValueError(
                f"Cannot override device mesh value. Existing value is {self._device_mesh}"
            )
        self._device_mesh = device_mesh
        self._check()

    @property
    def backend_layout(self) -> TensorLayout:
        """The layout itself."""
        return self

    def __repr__(self) -> str:
        return f"<TensorLayout axes={self.axes}, device_mesh={self.device_mesh}>"


class Distribution:
    """How variables and data are spread over a mesh; on one device they are whole.

    Args:
        device_mesh: the mesh.
        batch_dim_name: the mesh's axis along which batches are split.
        auto_shard_dataset: kept for calls that pass it.
    """

    def __init__(
        self,
        device_mesh: DeviceMesh,
        batch_dim_name: str | None = None,
        auto_shard_dataset: bool = True,
    ) -> None:
        self._device_mesh = device_mesh
        self._batch_dim_name = batch_dim_name
        self.auto_shard_dataset = auto_shard_dataset

    @property
    def device_mesh(self) -> DeviceMesh:
        """The mesh."""
        return self._device_mesh

    @property
    def batch_dim_name(self) -> str | None:
        """The mesh's axis along which batches are split."""
        return self._batch_dim_name

    @property
    def num_processes(self) -> int:
        """One."""
        return 1

    @property
    def num_model_replicas(self) -> int:
        """One: there is one device."""
        return 1

    @property
    def data_shard_id(self) -> int:
        """The part of the data that this process reads: all."""
        return 0

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Makes it the current distribution inside."""
        outer = distribution()
        set_distribution(self)
        try:
            yield
        finally:
            set_distribution(outer)

    def get_data_layout(self, data_shape: Sequence[int]) -> TensorLayout:
        """Returns the layout of a batch: split along its first axis."""
        rest = (None,) * (len(data_shape) - 1)
        return TensorLayout((self.batch_dim_name, *rest), self.device_mesh)

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        """Returns the layout of a variable: whole on each device."""
        return TensorLayout((None,) * len(variable.shape), self.device_mesh)

    def get_tensor_layout(self, path: str) -> TensorLayout | None:
        """Returns the layout of the tensor of this path, None if it has none."""
        return None

    def distribute_dataset(self, dataset: Any) -> Any:
        """Returns the dataset: one process reads all of it."""
        return dataset

    def distribute_tf_dataset(self, dataset: Any) -> Any:
        """Returns the dataset: one process reads all of it."""
        return dataset


class DataParallel(Distribution):
    """Each device has all variables and a part of each batch: one device has all of it.

    Args:
        device_mesh: the mesh, of one axis.
        devices: names of devices, in place of a mesh.
        auto_shard_dataset: kept for calls that pass it.
    """

    def __init__(
        self, device_mesh: Any = None, devices: Any = None, auto_shard_dataset: bool = True
    ) -> None:
        if device_mesh is None:
            devices = np.array(list_devices() if devices is None else devices).flatten()
            device_mesh = DeviceMesh(devices.shape, ["batch"], devices)
        elif not isinstance(device_mesh, DeviceMesh):
            raise ValueError(
                "Expect `mesh` to be an instance of `DeviceMesh`. "
                f"Received: mesh={device_mesh} (of type {type(device_mesh)})"
            )
        elif devices is not None:
            raise ValueError("Pass `device_mesh` or `devices`, not both.")
        if len(device_mesh.axis_names) > 1:
            warnings.warn(
                "Expect the input mesh to be 1D, but received device_mesh.devices.ndim="
                f"{device_mesh.devices.ndim}. The first axis will be used for data-parallel "
                "sharding.",
                stacklevel=2,
            )
        super().__init__(device_mesh, device_mesh.axis_names[0], auto_shard_dataset)


class ModelParallel(Distribution):
    """Variables are split as a `LayoutMap` says: on one device they are whole.

    Args:
        layout_map: layouts by the paths of variables.
        batch_dim_name: the mesh's axis along which batches are split; the first if None.
        auto_shard_dataset: kept for calls that pass it.
    """

    def __init__(
        self,
        *,
        layout_map: LayoutMap | None = None,
        batch_dim_name: str | None = None,
        auto_shard_dataset: bool = True,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("device_mesh", None)
        if layout_map is None:
            raise ValueError("You must specify a layout_map argument.")
        if not isinstance(layout_map, LayoutMap):
            raise ValueError(
                f"Argument `layout_map` must be a `LayoutMap` instance. Received: {layout_map}"
            )
        mesh = layout_map.device_mesh
        super().__init__(mesh, batch_dim_name or mesh.axis_names[0], auto_shard_dataset)
        self._layout_map = layout_map

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        layout = self._layout_map[variable.path]
        return super().get_variable_layout(variable) if layout is None else layout

    def get_tensor_layout(self, path: str) -> TensorLayout | None:
        return self._layout_map[path]


class LayoutMap(collections.abc.MutableMapping):
    """Layouts by path, or by a regular expression that is searched in the path.

    Args:
        device_mesh: the mesh that layouts without one get.
    """

    def __init__(self, device_mesh: DeviceMesh) -> None:
        self._layout_map: dict[str, TensorLayout] = {}
        self._device_mesh = device_mesh

    @property
    def device_mesh(self) -> DeviceMesh:
        """The mesh."""
        return self._device_mesh

    def __getitem__(self, key: str) -> TensorLayout | None:
        if key in self._layout_map:
            return self._layout_map[key]
        found = [pattern for pattern in self._layout_map if re.search(pattern, key)]
        if len(found) > 1:
            raise ValueError(
                f"Path '{key}' matches multiple layout specification keys: {found}. Please make "
                "sure each tensor/variable path only matches at most one layout specification "
                "key in the LayoutMap."
            )
        return self._layout_map[found[0]] if found else None

    def __setitem__(self, key: str, layout: Any) -> None:
        if key in self._layout_map:
            raise ValueError(
                f"{key} already exist in the LayoutMap with value {self._layout_map[key]}. Please "
                "make sure to not use duplicated keys."
            )
        if isinstance(layout, tuple):
            layout = TensorLayout(axes=layout)
        if not isinstance(layout, TensorLayout):
            raise ValueError(f"{layout} should be a TensorLayout type, got {type(layout)}")
        if layout.device_mesh is None:
            layout.device_mesh = self._device_mesh
        self._layout_map[key] = layout

    def __delitem__(self, key: str) -> None:
        del self._layout_map[key]

    def __len__(self) -> int:
        return len(self._layout_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._layout_map)


def distribute_tensor(tensor: Any, layout: Any) -> Any:
    """Returns the tensor: on one device it is whole, whatever its layout."""
    return tensor


def distribution() -> Distribution | None:
    """Returns the current distribution, None if none is set."""
    return _current[0]


def set_distribution(value: Distribution | None) -> None:
    """Sets the current distribution."""
    _current[0] = value
