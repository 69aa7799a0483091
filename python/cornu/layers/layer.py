"""The base of layers and models."""

import contextlib
import functools
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cornu import _cornu, dtype_policies, tree
from cornu.layers import calling
from cornu.layers.calling import CallContext, detached, signature_of
from cornu.layers.defaults import is_default, mark_default
from cornu.layers.described import Described
from cornu.layers.input_spec import assert_input_compatibility
from cornu.layers.weighted import Weighted
from cornu.legacy.layers import OldAttributes
from cornu.naming import current_path, name_scope
from cornu.ops.operation import Operation
from cornu.ops.symbolic import KerasTensor, any_symbolic, infer
from cornu.rematerialization import RematScope, current_scope, remat
from cornu.scopes import autocast_scope, state
from cornu.tensor import Tensor, standardize_shape
from cornu.tracking import Tracker
from cornu.variable import StatelessScope, Variable

_LOCKED = (
    "You cannot add new elements of state (variables or sub-layers) to a layer that is already "
    "built. All state must be created in the `__init__()` method or in the `build()` method."
)
_LEGACY_ARGUMENTS = ("input_shape", "batch_input_shape", "input_dim", "batch_size", "weights")
_with_losses: set[int] = set()  # ids of layers that hold losses of a call


def _building(build: Callable) -> Callable:
    """Wraps `build`: opens the layer's name scope, records the shapes, closes the layer."""

    @functools.wraps(build)
    def wrapper(self: "Layer", *args: Any, **kwargs: Any) -> None:
        if self._in_build:  # a subclass calls the `build` of its parent
            return build(self, *args, **kwargs)
        object.__setattr__(self, "_in_build", True)
        try:
            with self._open_name_scope():
                build(self, *args, **kwargs)
        except (IndexError, KeyError) as error:
            given = ", ".join(map(str, (*args, *kwargs.values())))
            raise type(error)(
                f"Layer '{self.name}' (of type {type(self).__name__}) cannot be built for the "
                f"input shape {given}: {error}"
            ) from error
        finally:
            object.__setattr__(self, "_in_build", False)
        given = signature_of(type(self).build).arguments(args, kwargs)
        self._build_shapes_dict = {
            name: tree.map_shape_structure(tuple, shape) if tree.is_nested(shape) else shape
            for name, shape in given.items()
        }
        self._finish_building()

    return wrapper


def _described(leaf: Any) -> Any:
    """Returns a symbolic tensor in place of a real one."""
    return KerasTensor(calling.shape_of(leaf), leaf.dtype) if isinstance(leaf, Tensor) else leaf


class Layer(Weighted, Described, OldAttributes, Operation):
    """A computation with weights: the base of all layers and models.

    A subclass makes its weights in `build`, once the shapes of inputs are known (or in
    `__init__`), and computes in `call`. The constructor's arguments make up its config.

    Args:
        activity_regularizer: penalty on the outputs.
        trainable: whether the variables take part in training.
        dtype: a dtype or a `DTypePolicy`.
        autocast: whether float inputs are cast to the compute dtype.
        name: name of the layer.

    >>> class Scale(Layer):
    ...     def build(self, input_shape):
    ...         self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones")
    ...     def call(self, inputs):
    ...         return inputs * self.scale
    """

    _tracked_as = "layer"
    _not_structure: frozenset[str] = frozenset(
        {"built", "_build_shapes_dict", "_dtypes", "_parent_path", "_path"}
    )
    _in_build = False
    built = False
    supports_masking = False
    supports_jit = True
    input_spec: Any = None
    _remat_scope: RematScope | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> "Layer":
        self = super().__new__(cls, *args, **kwargs)
        object.__setattr__(self, "_tracker", Tracker())
        object.__setattr__(self, "_losses", [])
        return self

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _building(vars(cls)["build"])
        if "compute_mask" in vars(cls) and "supports_masking" not in vars(cls):
            cls.supports_masking = True

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name)
        legacy = {key: kwargs.pop(key) for key in _LEGACY_ARGUMENTS if key in kwargs}
        if kwargs:
            raise ValueError(
                f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}"
            )
        self._keep_legacy(legacy)
        if activity_regularizer is not None:
            from cornu import regularizers

            activity_regularizer = regularizers.get(activity_regularizer)
        self.activity_regularizer = activity_regularizer
        self._path: str | None = None
        self.dtype_policy = dtype
        self.autocast = autocast
        self._trainable = bool(trainable)
        self._parent_path: str | None = None
        self._build_shapes_dict: dict[str, Any] | None = None
        self._convert_input_args = True
        self._allow_non_tensor_positional_args = False
        if (scope := current_scope()) is not None:
            self._remat_scope = scope

    def _keep_legacy(self, given: dict[str, Any]) -> None:
        """Keeps the shape and the weights that Keras 2 let a constructor take."""
        if given.keys() & {"input_shape", "input_dim"}:
            warnings.warn(
                "Do not pass an `input_shape`/`input_dim` argument to a layer. When using "
                "Sequential models, prefer using an `Input(shape)` object as the first layer in "
                "the model instead.",
                stacklevel=4,
            )
        shape = given.get("input_shape")
        if shape is None and "input_dim" in given:
            shape = (given["input_dim"],)
        if shape is not None:
            shape = (given.get("batch_size"), *(shape if np.iterable(shape) else (shape,)))
        shape = given.get("batch_input_shape", shape)
        self._batch_input_shape = None if shape is None else standardize_shape(shape)
        self._initial_weights = given.get("weights")

    # Attributes

    def __setattr__(self, name: str, value: Any) -> None:
        tracker = self.__dict__["_tracker"]
        old = self.__dict__.get(name)
        value = tracker.track(value)
        if old is not value and name not in self._not_structure:
            tracker.touch_outside_calls()
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if name in self.__dict__:
            self._tracker.untrack(self.__dict__[name])
        super().__delattr__(name)

    @property
    def _layers(self) -> list["Layer"]:
        return self._tracker.layers

    @property
    def _metrics(self) -> list[Any]:
        return self._tracker.metrics

    @property
    def _trainable_variables(self) -> list[Variable]:
        return self._tracker.trainable_variables

    @property
    def _non_trainable_variables(self) -> list[Variable]:
        return self._tracker.non_trainable_variables

    @property
    def _seed_generators(self) -> list[Any]:
        return self._tracker.seed_generators

    def _flatten_layers(
        self, include_self: bool = True, recursive: bool = True
    ) -> Iterator["Layer"]:
        """Yields the layers inside, each once."""
        seen: set[int] = {id(self)}
        if include_self:
            yield self
        pending = list(reversed(self._layers))
        while pending:
            layer = pending.pop()
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            yield layer
            if recursive:
                pending.extend(reversed(layer._layers))

    def structure_version(self) -> int:
        """Returns a number that grows with each change of a layer or variable inside."""
        return sum(layer._tracker.age() for layer in self._flatten_layers())

    def _lock_state(self) -> None:
        self._tracker.lock(_LOCKED)

    @property
    def _call_has_training_arg(self) -> bool:
        return signature_of(type(self).call).takes_training

    @property
    def _call_has_mask_arg(self) -> bool:
        return signature_of(type(self).call).takes_mask

    # Names and dtypes

    @property
    def path(self) -> str | None:
        """The names of the layers around it and its own, joined by slashes; None until built."""
        return self._path

    @contextlib.contextmanager
    def _open_name_scope(self) -> Iterator[None]:
        if self._parent_path is None:
            self._parent_path = current_path()
        with name_scope(self.name, caller=self, override_parent=self._parent_path):
            if self._path is None:
                self._path = current_path()
                self._remember_dtypes()
            yield

    @property
    def dtype_policy(self) -> dtype_policies.DTypePolicy:
        """The dtypes of computations and of variables."""
        policy = self._dtype_policy
        if isinstance(policy, dtype_policies.DTypePolicyMap) and self._path:
            return policy[self._path]
        return policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        self._dtype_policy = dtype_policies.get(value)
        self._remember_dtypes()

    def _remember_dtypes(self) -> None:
        policy = self.dtype_policy
        self._dtypes = (policy.compute_dtype, policy.variable_dtype)

    @property
    def compute_dtype(self) -> str:
        """The dtype of computations."""
        return self._dtypes[0]

    @property
    def variable_dtype(self) -> str:
        """The dtype of variables."""
        return self._dtypes[1]

    @property
    def dtype(self) -> str:
        """The dtype of variables."""
        return self.variable_dtype

    @property
    def input_dtype(self) -> str:
        """The dtype that float inputs are cast to."""
        return self._dtypes[0]

    @property
    def quantization_mode(self) -> str | None:
        """How weights are quantized, None if they aren't."""
        return self.dtype_policy.quantization_mode

    # Weights

    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs of this shape; a subclass may define it.

        Args:
            input_shape: shape of the first argument of `call`. A layer with several tensor
                arguments `a`, `b` may define `build(self, a_shape, b_shape)`.
        """
        self._check_super_called()
        if is_default(self, "build") and any(not layer.built for layer in self._layers):
            warnings.warn(
                f"`build()` was called on layer '{self.name}', however the layer does not have "
                "a `build()` method implemented and it looks like it has unbuilt state. This "
                "will cause the layer to be marked as built, despite not being actually built, "
                "which may cause failures down the line. Make sure to implement a proper "
                "`build()` method.",
                stacklevel=2,
            )
        self.built = True

    def _finish_building(self) -> None:
        self.built = True
        self._lock_state()
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)
            self._initial_weights = None

    @property
    def metrics(self) -> list[Any]:
        """The metrics of the layer and of the layers inside."""
        found = list(self._metrics)
        for layer in self._layers:
            found.extend(layer.metrics)
        return found

    @property
    def metrics_variables(self) -> list[Variable]:
        """The variables of the metrics."""
        return [variable for metric in self.metrics for variable in metric.variables]

    # Losses

    def add_loss(self, loss: Any) -> None:
        """Adds a loss that depends on the inputs of `call`.

        Args:
            loss: a scalar tensor, or a list of them.

        Raises:
            ValueError: if it is no tensor.
        """
        for value in tree.flatten(loss):
            if value is None:
                continue
            if not calling.is_tensor(value):
                raise ValueError(
                    "`add_loss()` can only be called from inside `build()` or `call()`, on a "
                    f"tensor input. Received invalid value: {value}"
                )
            self._losses.append(value)
            _with_losses.add(id(self))
            if state.stateless is not None and state.stateless.collect_losses:
                state.stateless.add_loss(value)

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        """Not supported: make metrics attributes of the layer and update them in `call`."""
        raise NotImplementedError(
            "Layer `add_metric()` method is deprecated. Add your metric in `Model.compile(...)`."
        )

    @property
    def losses(self) -> list[Any]:
        """The losses of the last call and the penalties on the weights."""
        losses: list[Any] = []
        for layer in self._flatten_layers():
            losses.extend(layer._losses)
        for variable in self.trainable_weights:
            if variable.regularizer is not None:
                losses.append(variable.regularizer(variable))
        return losses

    def _clear_losses(self) -> None:
        if _with_losses:
            for layer in self._flatten_layers():
                if layer._losses:
                    layer._losses.clear()
                    _with_losses.discard(id(layer))

    # Calls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._check_super_called()
        signature = signature_of(type(self).call)
        training = kwargs.get("training")
        if training is not None and not signature.takes_training:
            del kwargs["training"]  # it is meant for the layers inside
        # One real tensor and nothing else, as most calls are.
        plain = len(args) == 1 and not kwargs and type(args[0]) is Tensor
        if self._convert_input_args and not (plain and args[0].dtype == self.input_dtype):
            args, kwargs = self._converted(args, kwargs)
        if not plain and not self._allow_non_tensor_positional_args:
            _check_positional(args)
        arguments = signature.arguments(args, kwargs)
        if args and self.input_spec is not None:
            self._assert_input_compatibility(args[0])
        if not self.built:
            self._maybe_build(arguments)

        context = state.call_context
        is_entry = context is None
        if is_entry:
            context = state.call_context = CallContext(self)
            if state.called_layers is not None:
                state.called_layers.append(self)
            self._clear_losses()
        outer_training = context.training
        try:
            if training is None:
                training = arguments.get("training")
            if training is None:
                training = outer_training
            if training is None:
                training = state.learning_phase
            if training is None:
                training = signature.defaults.get("training")
            context.training = training
            if signature.takes_training and training is not None:
                kwargs["training"] = training
                if len(args) > 1:
                    args = _without(args, signature, "training")
            if signature.takes_mask or signature.mask_of:
                self._fill_masks(signature, arguments, kwargs)
                plain = False
            outputs = self._run(args, kwargs, not plain and any_symbolic(args, kwargs))
        finally:
            context.training = outer_training
            if is_entry:
                state.call_context = None
        if self.activity_regularizer is not None:
            from cornu.regularizers.regularizers import of_activity

            for output in tree.flatten(outputs):
                if isinstance(output, Tensor):
                    self.add_loss(of_activity(self.activity_regularizer, output))
        if arguments:
            self._pass_masks_on(next(iter(arguments.values())), kwargs.get("mask"), outputs)
        return outputs

    def _run(self, args: tuple, kwargs: dict[str, Any], symbolic: bool) -> Any:
        """Computes the outputs inside the scopes of the layer."""
        compute_dtype, variable_dtype = self._dtypes
        outer_dtype = state.autocast_dtype
        mixed = self.autocast and compute_dtype != variable_dtype
        state.autocast_dtype = compute_dtype if mixed else None
        traced = _cornu.tracing()
        if traced:
            _cornu.enter_scope(self.name)
        try:
            if symbolic:
                with self._open_name_scope():
                    return self.symbolic_call(*args, **kwargs)
            call = self.call
            if self._remat_scope is not None:
                call = self.rematerialized_call(call, *args, **kwargs)
            if self._layers:
                with self._open_name_scope():
                    return call(*args, **kwargs)
            return call(*args, **kwargs)
        except Exception as error:
            arguments = _arguments_or_all(type(self).call, args, kwargs)
            told = calling.explained(error, self, arguments)
            if told is None:
                raise
            raise told from None
        finally:
            if traced:
                _cornu.leave_scope()
            state.autocast_dtype = outer_dtype

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the outputs; a subclass defines it.

        Args:
            args: tensors, or structures of tensors.
            kwargs: `training` and `mask` are filled in if `call` takes them.
        """
        raise NotImplementedError(
            f"Layer {type(self).__name__} does not have a `call` method implemented."
        )

    def _converted_call(self, *args: Any, **kwargs: Any) -> Any:
        """Calls `call` on arguments that a symbolic call could not convert."""
        if self._convert_input_args:
            args, kwargs = self._converted(args, kwargs)
        return self.call(*args, **kwargs)

    def _converted(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        """Returns the arguments with arrays made tensors, and floats in the compute dtype."""
        policy = self._dtype_policy
        dtype, autocast = self.input_dtype, self.autocast

        def convert(value: Any) -> Any:
            return policy.convert_input(value, autocast, dtype)

        return (
            tuple(tree.map_structure(convert, value) for value in args),
            {name: tree.map_structure(convert, value) for name, value in kwargs.items()},
        )

    def _assert_input_compatibility(self, inputs: Any) -> None:
        if self.input_spec:
            assert_input_compatibility(self.input_spec, inputs, layer_name=self.name)

    def _maybe_build(self, arguments: dict[str, Any]) -> None:
        """Builds the layer for the shapes of the arguments of a call."""
        shapes = {
            name: calling.shape_of(value)
            for name, value in calling.tensor_arguments(arguments).items()
            if not name.endswith("mask")
        }
        if not is_default(self, "build"):
            # Weights are real even while a call is traced, and no part of what a tape records.
            with autocast_scope(None):
                given = calling.shapes_for(type(self).build, shapes) if shapes else {}
                if not given and not signature_of(type(self).build).names:
                    self.build()
                elif len(given) == 1:
                    self.build(next(iter(given.values())))
                else:
                    self.build(**given)
            return
        if shapes:
            keys = ["input_shape"] if len(shapes) == 1 else [f"{name}_shape" for name in shapes]
            self._build_shapes_dict = dict(zip(keys, shapes.values(), strict=True))
        with self._open_name_scope():
            pass
        self._finish_building()

    def _fill_masks(
        self, signature: calling.Signature, arguments: dict[str, Any], kwargs: dict[str, Any]
    ) -> None:
        """Puts the masks of tensor arguments into those arguments of `call` that take them."""
        tensors = calling.tensor_arguments(arguments)
        if len(tensors) == 1:
            if signature.takes_mask and arguments.get("mask") is None:
                kwargs["mask"] = calling.mask_of(next(iter(tensors.values())))
            return
        for name, value in tensors.items():
            mask_name = signature.mask_of.get(name)
            if mask_name is not None and arguments.get(mask_name) is None:
                kwargs[mask_name] = calling.mask_of(value)

    def _pass_masks_on(self, inputs: Any, given: Any, outputs: Any) -> None:
        """Sets the masks of the outputs from the mask that was given, or those of the inputs."""
        if given is not None:
            previous = given
        elif type(inputs) is Tensor:
            previous = getattr(inputs, "_keras_mask", None)
        else:
            previous = calling.mask_of(inputs)
        if not self.supports_masking:
            if previous is not None:
                warnings.warn(
                    f"Layer '{self.name}' (of type {type(self).__name__}) was passed an input "
                    "with a mask attached to it. However, this layer does not support masking "
                    "and will therefore destroy the mask information. Downstream layers will "
                    "not see the mask.",
                    stacklevel=3,
                )
            return
        if previous is None and is_default(self, "compute_mask"):
            return
        tensors = tree.flatten(outputs)
        if all(getattr(tensor, "_keras_mask", None) is not None for tensor in tensors):
            return
        masks = self.compute_mask(inputs, previous)
        if masks is None:
            return
        for tensor, mask in zip(tensors, tree.flatten(masks), strict=False):
            if mask is not None and getattr(tensor, "_keras_mask", None) is None:
                with contextlib.suppress(AttributeError):
                    tensor._keras_mask = mask

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Returns the mask, or masks, of the outputs: by default that of the inputs."""
        return previous_mask

    def quantize(self, mode: Any = None, type_check: bool = True, config: Any = None) -> None:
        """Keeps the weights in few bits, where the layer can.

        Raises:
            NotImplementedError: if it can't.
        """
        raise self._cannot("quantize")

    def quantized_build(self, input_shape: Any, mode: str) -> None:
        """Makes the variables of a quantized layer, where it can be one."""
        raise self._cannot("quantized_build")

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the outputs with quantized weights, where the layer can be quantized."""
        raise self._cannot("quantized_call")

    def _cannot(self, method: str) -> NotImplementedError:
        return NotImplementedError(
            f"Layer {type(self).__name__} does not have a `{method}` method implemented."
        )

    def rematerialized_call(self, layer_call: Callable, *args: Any, **kwargs: Any) -> Callable:
        """Returns `layer_call`, or one that gradients compute again where the layer's scope wants.

        Args:
            layer_call: what computes the outputs.
            args: what it will be called with.
            kwargs: likewise, by name.
        """
        scope = self._remat_scope
        mode = scope.mode if scope else None
        if mode == "activations" and getattr(self, "activation", None) is not None:
            return functools.partial(self._with_remat_activation, layer_call)
        wanted = mode == "full"
        if mode == "list_of_layers":
            wanted = self.name in scope.layer_names
        elif mode == "larger_than":
            args, kwargs = tree.map_structure(_described, (args, kwargs))
            specs = tree.flatten(self.compute_output_spec(*args, **kwargs))
            sizes = [math.prod(size or 1 for size in spec.shape) for spec in specs]
            wanted = sum(sizes) > scope.output_size_threshold
        return self._with_remat_losses(layer_call) if wanted else layer_call

    def _with_remat_activation(self, layer_call: Callable, *args: Any, **kwargs: Any) -> Any:
        """Calls with an activation that gradients compute again."""
        activation = self.activation
        self.__dict__["activation"] = remat(activation)
        try:
            return layer_call(*args, **kwargs)
        finally:
            self.__dict__["activation"] = activation

    def _with_remat_losses(self, layer_call: Callable) -> Callable:
        """Returns a call that gradients compute again, and that hands out the losses it adds."""
        layers = list(self._flatten_layers())

        def with_losses(*args: Any, **kwargs: Any) -> Any:
            known = [len(layer._losses) for layer in layers]
            outputs = layer_call(*args, **kwargs)
            added = [layer._losses[n:] for layer, n in zip(layers, known, strict=True)]
            for layer, n in zip(layers, known, strict=True):
                del layer._losses[n:]
            return outputs, added

        def call(*args: Any, **kwargs: Any) -> Any:
            outputs, added = remat(with_losses)(*args, **kwargs)
            for layer, losses in zip(layers, added, strict=True):
                layer._losses.extend(losses)
            return outputs

        return call

    # Symbolic calls

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Returns symbolic tensors for a call on symbolic tensors, and records the call."""
        return super().symbolic_call(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the symbolic tensors that a call gives.

        Where the class defines `compute_output_shape` it tells; else `call` runs without values.
        """
        if is_default(self, "compute_output_shape"):
            return infer(self._converted_call, *args, **kwargs)
        arguments = signature_of(type(self).call).arguments(args, kwargs)
        shapes = {
            name: calling.shape_of(value)
            for name, value in calling.tensor_arguments(arguments).items()
        }
        given = calling.shapes_for(type(self).compute_output_shape, shapes)
        output = (
            self.compute_output_shape(next(iter(given.values())))
            if len(given) == 1
            else self.compute_output_shape(**given)
        )
        return tree.map_shape_structure(
            lambda shape: KerasTensor(shape, dtype=self.compute_dtype), output
        )

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the shape, or shapes, of the outputs for shapes of the inputs.

        Args:
            args: shapes of the arguments of `call`, in their order.
            kwargs: the same by name, as `x_shape` for the argument `x`.
        """
        layer = self
        if not self.built and not is_default(self, "build"):
            with contextlib.suppress(NotImplementedError, TypeError):
                layer = type(self).from_config(self.get_config())

        def symbolic(shape: Any) -> KerasTensor:
            return KerasTensor(shape, dtype=self.input_dtype)

        def tensors(value: Any) -> Any:
            return tree.map_shape_structure(symbolic, value)

        inputs = [tensors(shape) for shape in args]
        named = {name.removesuffix("_shape"): tensors(v) for name, v in kwargs.items()}
        if not inputs and len(named) == 1:
            inputs, named = list(named.values()), {}
        with detached():
            outputs = infer(layer, *inputs, **named)
        return tree.map_structure(calling.shape_of, outputs)

    # Functions of state

    def stateless_call(
        self,
        trainable_variables: list[Any],
        non_trainable_variables: list[Any],
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> tuple:
        """Calls the layer with given values of its variables, and changes none.

        Args:
            trainable_variables: values, in the order of `self.trainable_variables`.
            non_trainable_variables: values, in the order of `self.non_trainable_variables`.
            args, kwargs: arguments of the call.
            return_losses: whether the losses are returned too.

        Returns:
            `(outputs, non_trainable_variables)` or `(outputs, non_trainable_variables, losses)`.
        """
        self._check_super_called()
        if not self.built:
            raise ValueError(
                f"To call stateless_call, {type(self).__name__} must be built (i.e. its variables "
                "must have been already created). You can build it by calling it on some data."
            )
        mapping = [
            *_pairs("trainable_variables", self.trainable_variables, trainable_variables),
            *_pairs(
                "non_trainable_variables", self.non_trainable_variables, non_trainable_variables
            ),
        ]
        with StatelessScope(mapping) as scope:
            outputs = self(*args, **kwargs)
            losses = self.losses if return_losses else None
        self._clear_losses()
        updated = [scope.get_current_value(v) for v in self.non_trainable_variables]
        return (outputs, updated, losses) if return_losses else (outputs, updated)

    def _check_super_called(self) -> None:
        if "_convert_input_args" not in self.__dict__:
            raise RuntimeError(
                f"In layer '{type(self).__name__}', you forgot to call `super().__init__()` as "
                "the first statement in the `__init__()` method. Go add it!"
            )

    def __repr__(self) -> str:
        name = self.__dict__.get("name")
        return f"<{type(self).__name__} name={name}, built={self.built}>"


mark_default(Layer, "build", "call", "compute_mask", "compute_output_shape", "get_config")


def _check_positional(args: tuple) -> None:
    for value in args:
        if type(value) is Tensor:
            continue
        for leaf in tree.flatten(value):
            if leaf is not None and not calling.has_shape(leaf):
                raise ValueError(
                    "Only input tensors may be passed as positional arguments. The following "
                    f"argument value should be passed as a keyword argument: {leaf} (of type "
                    f"{type(leaf)})"
                )


def _without(args: tuple, signature: calling.Signature, name: str) -> tuple:
    """Returns positional arguments up to that of this name, which is passed by keyword.

    Raises:
        TypeError: if a tensor is in its place.
    """
    index = signature.names.index(name)
    if len(args) > index and calling.has_shape(args[index]):
        raise TypeError(
            f"`call()` got multiple values for argument '{name}': positional argument {index + 1} "
            f"is a tensor of shape {tuple(args[index].shape)}"
        )
    return args[:index]


def _arguments_or_all(function: Callable, args: tuple, kwargs: dict) -> dict[str, Any]:
    try:
        return signature_of(function).arguments(args, kwargs)
    except TypeError:
        return {"args": args, "kwargs": kwargs}


def _pairs(name: str, variables: list[Variable], values: list[Any]) -> list[tuple]:
    if len(variables) != len(values):
        raise ValueError(
            f"Argument `{name}` must be a list of tensors corresponding 1:1 to `self.{name}`. "
            f"Received list with length {len(values)}, but expected {len(variables)} variables."
        )
    return list(zip(variables, values, strict=True))
