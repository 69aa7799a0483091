"""Functions that are traced once per signature and then run as plans."""

import functools
import inspect
import traceback
import types
import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cornu import _cornu, config, tree
from cornu.scopes import state
from cornu.tensor import Tensor, convert_to_tensor, holds_strings
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

    __slots__ = ("calls", "checked", "classes", "layers", "outputs", "plan")

    def __init__(self, plan: Any, outputs: Any, layers: Iterable[Any]) -> None:
        self.plan, self.outputs = plan, outputs
        layers = list(layers)
        self.layers = [(weakref.ref(layer), layer.structure_version()) for layer in layers]
        inside = [part for layer in layers for part in getattr(layer, "_flatten_layers", tuple)()]
        self.classes = list({type(layer) for layer in inside})
        self.calls = [kind.call for kind in self.classes]
        self.checked = Clock.now

    def is_current(self) -> bool:
        """Returns whether the layers, and the methods that call them, are what they were."""
        if [kind.call for kind in self.classes] != self.calls:
            return False
        if self.checked == Clock.now:
            return True
        now = Clock.now
        for reference, version in self.layers:
            layer = reference()
            if layer is None or layer.structure_version() != version:
                return False
        self.checked = now
        return True

    def is_orphaned(self) -> bool:
        """Returns whether a layer is gone."""
        return any(reference() is None for reference, _ in self.layers)


def _put(cache: dict, key: Any, value: Any) -> None:
    """Adds to a cache; the oldest makes place."""
    while len(cache) >= _MOST:
        cache.pop(next(iter(cache)))
    cache[key] = value


def _put_plan(cache: dict[Any, _Entry], key: Any, entry: _Entry) -> None:
    """Adds to a cache of plans; those of layers that are gone make place, as do their weights."""
    for known in [known for known, other in cache.items() if other.is_orphaned()]:
        del cache[known]
    _put(cache, key, entry)


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


class _Signature:
    """What a function's first arguments must be.

    Args:
        function: the function.
        specs: structures of what has a shape and a dtype, one for each argument.

    Raises:
        TypeError: if they are something else, or an argument has neither a spec nor a default.
    """

    def __init__(self, function: Callable, specs: Sequence[Any]) -> None:
        self.specs = tuple(specs)
        self.name = getattr(function, "__qualname__", repr(function))
        self.signature = inspect.signature(function)
        parameters = list(self.signature.parameters.values())
        for parameter in parameters[len(self.specs) :]:
            plain = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            if plain and parameter.default is parameter.empty:
                raise TypeError(f"`input_signature` has no spec for argument '{parameter.name}'.")

    def arguments(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        """Returns the arguments of a call, tensors where there are specs.

        Raises:
            TypeError: if they don't fit the specs.
        """
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        count = len(self.specs)
        if len(bound.args) < count:
            raise TypeError(
                f"`input_signature` has {count} specs, received {len(bound.args)} arguments."
            )
        try:
            given = tree.map_structure_up_to(self.specs, _fitting, self.specs, bound.args[:count])
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"Arguments of `{self.name}` don't fit its `input_signature`: {error}"
            ) from None
        return (*given, *bound.args[count:]), bound.kwargs


def _fitting(spec: Any, value: Any) -> Tensor:
    """Returns a value as a tensor of the dtype and shape that a spec asks for."""
    if isinstance(value, Tensor | Variable) and spec.dtype not in (None, value.dtype):
        raise TypeError(f"Expected a tensor of dtype {spec.dtype}, received {value.dtype}.")
    tensor = convert_to_tensor(value, spec.dtype)
    sizes = None if spec.shape is None else tuple(spec.shape)
    if sizes is not None and (
        len(sizes) != len(tensor.shape)
        or any(a is not None and a != b for a, b in zip(sizes, tensor.shape, strict=True))
    ):
        raise TypeError(f"Expected a tensor of shape {sizes}, received {tuple(tensor.shape)}.")
    return tensor


_run_eagerly = False


def run_functions_eagerly(run_eagerly: bool) -> None:
    """Sets whether all functions run operation by operation, those of models' steps too.

    Args:
        run_eagerly: False lets them run as plans again.
    """
    global _run_eagerly
    _run_eagerly = run_eagerly


def functions_run_eagerly() -> bool:
    """Returns what `run_functions_eagerly` has set, False at first."""
    return _run_eagerly


class CompiledFunction:
    """A function that is traced into a plan at its first call with arguments of a kind.

    Arrays and tensors are the plan's operands; sizes that differ from call to call are left
    unknown. Any other argument, the settings of the process and what the layers are made of are
    part of the kind.

    Args:
        function: a function of tensors, in any structure. What it does beside computing, such as
            printing, happens only while it is traced.
        input_signature: what the first arguments must be, as `function` takes it.
        told: the lines that a warning has named; functions that share it name each once.
    """

    def __init__(
        self,
        function: Callable,
        input_signature: Sequence[Any] | None = None,
        told: set[tuple[str, int | None]] | None = None,
    ) -> None:
        self.function = function
        self.input_signature = input_signature
        self._told = set() if told is None else told
        self._signature: _Signature | None = None  # made at the first call: a method has no self
        self._methods: dict[int, tuple[weakref.ref, CompiledFunction]] = {}
        self._exact: dict[Any, _Entry] = {}  # by the very shapes
        self._entries: dict[Any, _Entry] = {}
        self._sizes: dict[Any, _Sizes] = {}
        self._runs_eagerly = False
        functools.update_wrapper(self, function, updated=())

    def __reduce__(self) -> tuple:
        return CompiledFunction, (self.function, self.input_signature)

    def __get__(self, instance: Any, owner: Any = None) -> "CompiledFunction":
        """Returns the function of one object, with plans of its own."""
        if instance is None:
            return self
        key = id(instance)
        if key not in self._methods:
            methods = self._methods
            reference = weakref.ref(instance, lambda _: methods.pop(key, None))
            method = CompiledFunction(_Method(self.function, reference), self.input_signature)
            methods[key] = reference, method
        return self._methods[key][1]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.input_signature is not None:
            if self._signature is None:
                self._signature = _Signature(self.function, self.input_signature)
            args, kwargs = self._signature.arguments(args, kwargs)
        if (
            self._runs_eagerly
            or _run_eagerly
            or _cornu.tracing()
            or state.tapes
            or state.stateless is not None
        ):
            return self.function(*_as_tensors(args), **_as_tensors(kwargs))
        operands: list[Any] = []
        structure = _structure(args, operands)
        if kwargs:
            structure = (structure, _structure(kwargs, operands))
        exact = (structure, tuple([(_dtype(x), x.shape) for x in operands]), config.settings())
        entry = self._exact.get(exact)
        try:
            if entry is None or not entry.is_current():
                if any(map(holds_strings, operands)):
                    return self.function(*_as_tensors(args), **_as_tensors(kwargs))
                entry = self._entry(exact, args, kwargs)
                _put_plan(self._exact, exact, entry)
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
            _put_plan(self._entries, (general, specs), entry)
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
        if (frame.filename, frame.lineno) in self._told:
            return
        self._told.add((frame.filename, frame.lineno))
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
        if self._runs_eagerly or _run_eagerly or not self._entries:
            return None
        return next(reversed(self._entries.values())).plan


def function(
    func: Callable | None = None,
    input_signature: Sequence[Any] | None = None,
    autograph: bool = True,
    jit_compile: bool | None = None,
    reduce_retracing: bool = False,
) -> Callable:
    """Makes a function run as a plan, traced once per kind of arguments.

    Tapes, layers, optimizers and assignments to variables inside are part of the plan. A function
    that needs the value of a tensor runs eagerly, after one warning that names the line. Of a
    method, each object has plans of its own.

    Args:
        func: a function of tensors, in any structure; None makes a decorator.
        input_signature: a list of what the first arguments must be: structures of what has a
            shape and a dtype, such as `KerasTensor([None, 2])` and `InputSpec(shape=...)`.
            Numbers, lists and arrays become tensors of these dtypes.
        autograph: taken as TensorFlow's name; Python's control flow is never rewritten.
        jit_compile: taken as TensorFlow's name; plans are always compiled.
        reduce_retracing: taken as TensorFlow's name; sizes that differ are always left unknown.

    Raises:
        TypeError: if `input_signature` is no list of specs; in a call, if an argument does not
            fit its spec.

    >>> double = cornu.function(lambda x: x + x)
    >>> double(np.ones(2, "float32")).numpy()
    array([2., 2.], dtype=float32)
    """
    del autograph, jit_compile, reduce_retracing
    if input_signature is not None:
        leaves = tree.flatten(input_signature) if isinstance(input_signature, list | tuple) else ()
        if not leaves or not all(
            hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in leaves
        ):
            raise TypeError(
                "`input_signature` must be a list of what has a shape and a dtype. Received: "
                f"input_signature={input_signature}"
            )
    if func is None:
        return functools.partial(CompiledFunction, input_signature=input_signature)
    return CompiledFunction(func, input_signature)


class _Method:
    """A method of an object that is not kept alive."""

    def __init__(self, function: Callable, reference: weakref.ref) -> None:
        self.function, self.reference = function, reference
        functools.update_wrapper(self, function, updated=())

    @property
    def __signature__(self) -> inspect.Signature:
        _, *others = inspect.signature(self.function).parameters.values()
        return inspect.Signature(others)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self.reference(), *args, **kwargs)

    def __reduce__(self) -> tuple:
        return types.MethodType, (self.function, self.reference())


def _as_tensors(structure: Any) -> Any:
    """Returns a structure with tensors for arrays; strings stay in arrays."""
    return tree.map_structure(
        lambda leaf: (
            _cornu.tensor(leaf)
            if isinstance(leaf, np.ndarray | np.generic) and not holds_strings(leaf)
            else leaf
        ),
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
    if value is None or kind is bool:
        return kind, value
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
        return _Same(value)
    if kind.__eq__ is object.__eq__ and kind.__weakrefoffset__:
        return weakref.ref(value)  # a model or an optimizer lives no longer for it
    return kind, value


class _Same:
    """A key for one object that is no key itself; it is kept, as another may get its `id`."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


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
