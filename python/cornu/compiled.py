"""Functions that are traced once per signature and then run as plans."""

import functools
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cornu import _cornu, config, tree
from cornu.scopes import state
from cornu.tensor import Tensor
from cornu.tracking import Clock
from cornu.variable import Variable

_PACKAGE = str(Path(__file__).parent)
_MOST = 256  # signatures that a function remembers
_ARRAYS = (np.ndarray, np.generic, Tensor)


class _Names(dict):
    """The names of numpy's dtypes, each asked for once: numpy makes them anew each time."""

    def __missing__(self, dtype: np.dtype) -> str:
        return self.setdefault(dtype, dtype.name)


_DTYPE_NAMES = _Names()


class _Entry:
    """A plan and what it takes for granted.

    Args:
        plan: the plan.
        outputs: the structure of the results, with `_Result` where a tensor comes.
        layers: the layers that were called.
    """

    __slots__ = ("checked", "layers", "outputs", "plan")

    def __init__(self, plan: Any, outputs: Any, layers: Iterable[Any]) -> None:
        self.plan, self.outputs = plan, outputs
        self.layers = [(weakref.ref(layer), layer.structure_version()) for layer in layers]
        self.checked = Clock.now

    def is_current(self) -> bool:
        """Returns whether the layers are what they were."""
        if self.checked == Clock.now:
            return True
        now = Clock.now
        for reference, version in self.layers:
            layer = reference()
            if layer is None or layer.structure_version() != version:
                return False
        self.checked = now
        return True


def _put(cache: dict, key: Any, value: Any) -> None:
    """Adds to a cache; the oldest makes place."""
    while len(cache) >= _MOST:
        cache.pop(next(iter(cache)))
    cache[key] = value


class _Result:
    """Stands for a tensor among the outputs of a plan."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


class _Sizes:
    """Which sizes of arguments of one structure a plan leaves unknown.

    The first axes of arrays that are as long as the first array are unknown from the start (the
    batch), others once they have differed between calls. A size whose value the function needs
    stays known. Sizes of 0 and 1 are never left unknown: they broadcast.
    """

    def __init__(self, shapes: list[tuple[int, ...]]) -> None:
        batch = next((shape[0] for shape in shapes if shape), None)
        self.usual = [list(shape) for shape in shapes]
        self.unknown = [
            [axis == 0 and size == batch for axis, size in enumerate(shape)] for shape in shapes
        ]
        self.real = [[False] * len(shape) for shape in shapes]

    def specs(self, shapes: list[tuple[int, ...]]) -> tuple[tuple[int | str, ...], ...]:
        """Returns the shapes with names for unknown sizes, equal names for equal sizes."""
        names: dict[int, str] = {}
        specs = []
        for shape, usual, unknown, real in zip(
            shapes, self.usual, self.unknown, self.real, strict=True
        ):
            spec: list[int | str] = list(shape)
            for axis, size in enumerate(shape):
                if size != usual[axis]:
                    unknown[axis] = True
                if unknown[axis] and not real[axis] and size > 1:
                    spec[axis] = names.setdefault(size, f"n{len(names)}")
            specs.append(tuple(spec))
        return tuple(specs)

    def keep(self, specs: tuple, symbol: int) -> None:
        """Keeps the sizes known that `specs` give the name number `symbol`."""
        for real, spec in zip(self.real, specs, strict=True):
            for axis, size in enumerate(spec):
                if size == f"n{symbol}":
                    real[axis] = True

    def keep_all(self) -> None:
        """Keeps all sizes known."""
        self.real = [[True] * len(usual) for usual in self.usual]


class CompiledFunction:
    """A function that is traced into a plan at its first call with arguments of a kind.

    Arrays and tensors are the plan's operands; sizes that differ from call to call are left
    unknown. Any other argument, the settings of the process and what the layers are made of are
    part of the kind.

    Args:
        function: a function of tensors, in any structure. What it does beside computing, such as
            printing, happens only while it is traced.
    """

    def __init__(self, function: Callable) -> None:
        self.function = function
        self._exact: dict[Any, _Entry] = {}  # by the very shapes
        self._entries: dict[Any, _Entry] = {}
        self._sizes: dict[Any, _Sizes] = {}
        self._runs_eagerly = False
        functools.update_wrapper(self, function)

    def __reduce__(self) -> tuple:
        return CompiledFunction, (self.function,)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._runs_eagerly or _cornu.tracing() or state.tapes or state.stateless is not None:
            return self.function(*_as_tensors(args), **_as_tensors(kwargs))
        operands: list[Any] = []
        structure = _structure(args, operands)
        if kwargs:
            structure = (structure, _structure(kwargs, operands))
        exact = (structure, tuple([(_dtype(x), x.shape) for x in operands]), config.settings())
        entry = self._exact.get(exact)
        try:
            if entry is None or not entry.is_current():
                entry = self._entry(exact, args, kwargs)
                _put(self._exact, exact, entry)
            return _filled(entry.outputs, entry.plan(*operands))
        except _cornu.TraceError as error:
            self._give_up(error)
        except ValueError as error:
            raise self._with_known_sizes(error, args, kwargs, exact[1]) from None
        return self(*args, **kwargs)

    def _with_known_sizes(
        self, error: ValueError, args: tuple, kwargs: dict[str, Any], arrays: tuple
    ) -> ValueError:
        """Returns an error as it is when no size is left unknown, so that it tells the sizes."""
        try:
            self._trace(args, kwargs, [(tuple(shape), dtype) for dtype, shape in arrays])
        except ValueError as told:
            return told
        except (_cornu.TraceError, _cornu.SpecializeError):
            pass
        return error

    def _entry(self, exact: tuple, args: tuple, kwargs: dict[str, Any]) -> _Entry:
        """Returns the plan for arguments, traced unless there is one that leaves sizes unknown."""
        structure, arrays, settings = exact
        dtypes = tuple(dtype for dtype, _ in arrays)
        shapes = [tuple(shape) for _, shape in arrays]
        general = (structure, dtypes, tuple(map(len, shapes)), settings)
        sizes = self._sizes.get(general)
        if sizes is None:
            sizes = _Sizes(shapes)
            _put(self._sizes, general, sizes)
        while True:
            specs = sizes.specs(shapes)
            entry = self._entries.get((general, specs))
            if entry is not None and entry.is_current():
                return entry
            try:
                entry = self._trace(args, kwargs, list(zip(specs, dtypes, strict=True)))
            except _cornu.SpecializeError as error:
                sizes.keep(specs, error.args[1])
                continue
            except ValueError:
                # What doesn't hold for all sizes may hold for these; else the error tells them.
                specs = tuple(shapes)
                entry = self._trace(args, kwargs, list(zip(specs, dtypes, strict=True)))
                sizes.keep_all()
            _put(self._entries, (general, specs), entry)
            return entry

    def _trace(self, args: tuple, kwargs: dict[str, Any], specs: list[tuple]) -> _Entry:
        leaves = tree.flatten((args, kwargs))
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, _ARRAYS)]
        outputs: Any = None

        def run(*tensors: Any) -> list[Any]:
            nonlocal outputs
            filled = list(leaves)
            for place, tensor in zip(places, tensors, strict=True):
                filled[place] = tensor
            call_args, call_kwargs = tree.pack_sequence_as((args, kwargs), filled)
            result = self.function(*call_args, **call_kwargs)
            results: list[Any] = []
            outputs = tree.map_structure(lambda leaf: _kept(leaf, results), result)
            return results

        outer, state.called_layers = state.called_layers, []
        try:
            graph = _cornu.trace(run, specs)
            layers = {id(layer): layer for layer in state.called_layers}.values()
        finally:
            state.called_layers = outer
        return _Entry(graph.compile(), outputs, layers)

    def _give_up(self, error: BaseException) -> None:
        """Runs the function eagerly from now on, and says which line asks for that."""
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if not frame.filename.startswith(_PACKAGE)]
        frame = (own or frames)[-1]
        self._runs_eagerly = True
        name = getattr(self.function, "__qualname__", repr(self.function))
        warnings.warn(
            f"`{name}` can't be traced and runs eagerly, which is slower: the value of a tensor "
            f"is needed at {frame.filename}:{frame.lineno}, `{frame.line}`. Use `ops` functions "
            "on the tensor (`ops.where`, `ops.cond`, `ops.while_loop`), or set "
            "`run_eagerly=True` to silence this.",
            stacklevel=3,
        )

    def plan(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the plan that a call with these arguments runs, None if it runs eagerly."""
        self(*args, **kwargs)
        if self._runs_eagerly or not self._entries:
            return None
        return next(reversed(self._entries.values())).plan


def function(function: Callable | None = None) -> Callable:
    """Makes a function run as a plan, traced once per kind of arguments.

    Tapes, layers, optimizers and assignments to variables inside are part of the plan. A function
    that needs the value of a tensor runs eagerly, after one warning that names the line.

    Args:
        function: a function of tensors, in any structure.

    >>> double = cornu.function(lambda x: x + x)
    >>> double(np.ones(2, "float32")).numpy()
    array([2., 2.], dtype=float32)
    """
    if function is None:
        return CompiledFunction
    return CompiledFunction(function)


def _as_tensors(structure: Any) -> Any:
    return tree.map_structure(
        lambda leaf: _cornu.tensor(leaf) if isinstance(leaf, np.ndarray | np.generic) else leaf,
        structure,
    )


def _dtype(x: Any) -> str:
    return x.dtype if type(x) is Tensor else _DTYPE_NAMES[x.dtype]


def _structure(value: Any, operands: list[Any]) -> Any:
    """Returns the part of a signature that an argument is, but for its arrays, which it files."""
    kind = type(value)
    if kind is np.ndarray or kind is Tensor:
        operands.append(value)
        return None
    if kind is tuple or kind is list:
        return (kind, *[_structure(child, operands) for child in value])
    if isinstance(value, dict):  # arrays come in the order of `tree.flatten`
        items = zip(tree.keys(value), tree.children(value), strict=True)
        return (kind, *[(key, _structure(child, operands)) for key, child in items])
    if isinstance(value, list | tuple):
        return (kind, *[_structure(child, operands) for child in value])
    if isinstance(value, _ARRAYS):
        operands.append(np.asarray(value))
        return None
    try:
        hash(value)
    except TypeError:
        return "object", id(value)
    return kind, value


def _kept(leaf: Any, tensors: list[Any]) -> Any:
    """Returns what the plan's results hold for an output of the trace; files tensors."""
    if isinstance(leaf, Variable):
        leaf = leaf.value
    if isinstance(leaf, Tensor):
        tensors.append(leaf)
        return _Result(len(tensors) - 1)
    return leaf


def _filled(outputs: Any, results: list[Any]) -> Any:
    kind = type(outputs)
    if kind is _Result:
        return results[outputs.index]
    if kind is dict:
        return {key: _filled(value, results) for key, value in outputs.items()}
    if kind is list or kind is tuple:
        return kind([_filled(value, results) for value in outputs])
    if tree.is_nested(outputs):
        return tree.map_structure_up_to(outputs, lambda leaf: _filled(leaf, results), outputs)
    return outputs
