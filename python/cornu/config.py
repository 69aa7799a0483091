"""Settings of the process: `cornu.config`."""

import json
import os
from pathlib import Path
from typing import Any

from cornu import _cornu

_FLOATS = ("bfloat16", "float16", "float32", "float64")
_DATA_FORMATS = ("channels_last", "channels_first")

_floatx = "float32"
_epsilon = 1e-7
_image_data_format = "channels_last"
_dtype_policy: Any = None
_flags: dict[str, Any] = {
    "interactive_logging": True,
    "traceback_filtering": True,
    "flash_attention": None,
    "winograd": True,
    "unsafe_deserialization": False,
    "max_epochs": None,
    "max_steps_per_epoch": None,
}


def floatx() -> str:
    """Returns the default float dtype, `"float32"` unless set otherwise."""
    return _floatx


def set_floatx(value: str) -> None:
    """Sets the default float dtype: `"bfloat16"`, `"float16"`, `"float32"` or `"float64"`.

    Raises:
        ValueError: for any other name.
    """
    global _floatx
    if value not in _FLOATS:
        raise ValueError(f"Unknown `floatx` value: {value}. Expected one of {set(_FLOATS)}")
    _floatx = str(value)
    _cornu.set_floatx(_floatx)
    _settle()


def epsilon() -> float:
    """Returns the fuzz factor of numeric expressions, 1e-7 unless set otherwise."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """Sets the fuzz factor of numeric expressions."""
    global _epsilon
    _epsilon = float(value)
    _settle()


def image_data_format() -> str:
    """Returns the default layout of images, `"channels_last"` unless set otherwise."""
    return _image_data_format


def set_image_data_format(data_format: str) -> None:
    """Sets the default layout of images: `"channels_last"` or `"channels_first"`.

    Raises:
        ValueError: for any other name.
    """
    global _image_data_format
    _image_data_format = standardize_data_format(data_format)
    _settle()


def standardize_data_format(data_format: str | None) -> str:
    """Returns the layout that an argument `data_format` means; None means the default.

    Raises:
        ValueError: if it is no layout.
    """
    if data_format is None:
        return _image_data_format
    data_format = str(data_format).lower()
    if data_format not in _DATA_FORMATS:
        raise ValueError(
            "The `data_format` argument must be one of "
            f"{set(_DATA_FORMATS)}. Received: data_format={data_format}"
        )
    return data_format


def dtype_policy() -> Any:
    """Returns the policy of layers that are given no dtype: `DTypePolicy(floatx())` at first."""
    from cornu import dtype_policies

    global _dtype_policy
    if _dtype_policy is None:
        _dtype_policy = dtype_policies.DTypePolicy(_floatx)
    return _dtype_policy


def set_dtype_policy(policy: Any) -> None:
    """Sets the policy of layers that are given no dtype: a name or a `DTypePolicy`."""
    from cornu import dtype_policies

    global _dtype_policy
    _dtype_policy = None if policy is None else dtype_policies.get(policy)
    _settle()


def backend() -> str:
    """Returns `"cornu"`, the only backend."""
    return "cornu"


def set_backend(backend: str) -> None:
    """Accepts `"cornu"`, the only backend.

    Raises:
        ValueError: for any other name.
    """
    if backend != "cornu":
        raise ValueError(
            f"Cornu computes by itself: its only backend is 'cornu'. Received: backend={backend}"
        )


def is_nnx_enabled() -> bool:
    """Returns False: NNX belongs to JAX."""
    return False


_known_settings: dict[tuple[Any, ...], int] = {}
_settings = 0


def settings() -> int:
    """Returns a number for what a traced computation depends on besides its arguments."""
    return _settings


def _settle() -> None:
    """Gives the present settings their number: equal ones have the same."""
    global _settings
    switches = _flags["flash_attention"], _flags["winograd"]
    present = _floatx, _epsilon, _image_data_format, _dtype_policy, *switches
    _settings = _known_settings.setdefault(present, len(_known_settings))


def enable_interactive_logging() -> None:
    """Makes `fit` and the like write their progress to the standard output."""
    _flags["interactive_logging"] = True


def disable_interactive_logging() -> None:
    """Makes `fit` and the like write their progress to `logging`."""
    _flags["interactive_logging"] = False


def is_interactive_logging_enabled() -> bool:
    """Returns whether progress goes to the standard output."""
    return _flags["interactive_logging"]


def enable_traceback_filtering() -> None:
    """Leaves the library's own frames out of tracebacks."""
    _flags["traceback_filtering"] = True


def disable_traceback_filtering() -> None:
    """Shows the library's own frames in tracebacks."""
    _flags["traceback_filtering"] = False


def is_traceback_filtering_enabled() -> bool:
    """Returns whether the library's own frames are left out of tracebacks."""
    return _flags["traceback_filtering"]


def enable_flash_attention() -> None:
    """Asks for tiled attention wherever it is possible."""
    _flags["flash_attention"] = True
    _settle()


def disable_flash_attention() -> None:
    """Forbids tiled attention."""
    _flags["flash_attention"] = False
    _settle()


def is_flash_attention_enabled() -> bool | None:
    """Returns True or False as set, None if the library decides."""
    return _flags["flash_attention"]


def num_threads() -> int:
    """Returns how many threads a computation uses at most.

    Unless set otherwise: `CORNU_NUM_THREADS`, or else `OMP_NUM_THREADS`, or else the number of
    physical cores that the process may run on.
    """
    return _cornu.num_threads()


def set_num_threads(number: int) -> None:
    """Sets how many threads a computation uses at most; results keep the same bits.

    Raises:
        ValueError: if the number is less than 1.
    """
    if number < 1:
        raise ValueError(f"The number of threads must be at least 1. Received: number={number}")
    _cornu.set_num_threads(number)


def enable_winograd() -> None:
    """Lets convolutions take Winograd's way where it is faster, as they do unless told otherwise.

    It needs fewer products, and rounds a little more: about 1e-6 of the greatest output
    (Lavin and Gray, 2016, https://arxiv.org/abs/1509.09308).
    """
    _flags["winograd"] = True
    _settle()
    _cornu.set_winograd(True)


def disable_winograd() -> None:
    """Keeps convolutions from taking Winograd's way."""
    _flags["winograd"] = False
    _settle()
    _cornu.set_winograd(False)


def is_winograd_enabled() -> bool:
    """Returns whether convolutions may take Winograd's way."""
    return _flags["winograd"]


def enable_unsafe_deserialization() -> None:
    """Lets files rebuild arbitrary Python code, for the whole process."""
    _flags["unsafe_deserialization"] = True


def is_unsafe_deserialization_enabled() -> bool:
    """Returns whether files may rebuild arbitrary Python code."""
    return _flags["unsafe_deserialization"]


def max_epochs() -> int | None:
    """Returns the bound on the epochs of any `fit`, or None."""
    return _flags["max_epochs"]


def set_max_epochs(max_epochs: int | None) -> None:
    """Bounds the epochs of any `fit`."""
    _flags["max_epochs"] = max_epochs


def max_steps_per_epoch() -> int | None:
    """Returns the bound on the steps per epoch of any loop, or None."""
    return _flags["max_steps_per_epoch"]


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Bounds the steps per epoch of any loop."""
    _flags["max_steps_per_epoch"] = max_steps_per_epoch


def home() -> Path:
    """Returns the folder of settings and downloads: `$KERAS_HOME`, else `~/.keras`."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def _read_settings() -> None:
    """Takes floatx, epsilon and image_data_format from `keras.json`, where it is readable."""
    try:
        stored = json.loads((home() / "keras.json").read_text())
    except (OSError, ValueError, RuntimeError):
        return
    if not isinstance(stored, dict):
        return
    setters = {
        "floatx": set_floatx,
        "epsilon": set_epsilon,
        "image_data_format": set_image_data_format,
    }
    for key, setter in setters.items():
        if key in stored:
            setter(stored[key])


_read_settings()
_settle()
