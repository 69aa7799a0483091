"""The base of every optimizer: what happens around one update of one variable."""

from __future__ import annotations

import functools
import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from cornu import ops, saving, tree
from cornu.compiled import function
from cornu.naming import auto_name, name_scope
from cornu.optimizers.schedules import LearningRateSchedule
from cornu.scopes import state
from cornu.tensor import Tensor
from cornu.tracking import Clock
from cornu.variable import StatelessScope, Variable


class Optimizer:
    """Changes variables by their gradients; subclass it, write `build` and `update_step`.

    Args:
        learning_rate: A float, a `LearningRateSchedule`, or a callable without arguments.
        weight_decay: By which part of itself, times the learning rate, a variable shrinks
            at each step.
        clipnorm: The largest norm of each gradient.
        clipvalue: The largest absolute value in a gradient.
        global_clipnorm: The largest norm of all gradients together.
        use_ema: Whether a moving average of the variables is kept.
        ema_momentum: The momentum of this average.
        ema_overwrite_frequency: After how many steps the average replaces the variables;
            `None` means only at the end of training.
        loss_scale_factor: What the loss is multiplied with before gradients are computed.
        gradient_accumulation_steps: Over how many steps gradients are averaged before they
            are applied.
        name: Name of the optimizer.

    Raises:
        ValueError: An argument is out of its range or unknown.
    """

    # The constructor's arguments that a subclass adds, each also an attribute.
    _hyperparameters: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, shows_base: bool = True, **kwargs: Any) -> None:
        """Lets a subclass take the base's arguments after its own, by place or by name."""
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__ and shows_base:
            cls.__init__ = _with_base_arguments(cls.__init__)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Callable[[], Any] = 0.001,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._variables: list[Variable] = []
        if "lr" in kwargs:
            learning_rate = kwargs.pop("lr")
            warnings.warn("The `lr` argument is deprecated, use `learning_rate` instead.")
        if kwargs.pop("decay", None) is not None:
            warnings.warn("Argument `decay` is no longer supported and will be ignored.")
        if kwargs:
            raise ValueError(f"Argument(s) not recognized: {kwargs}")
        if sum(clip is not None for clip in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(
                "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set. Received: "
                f"clipnorm={clipnorm}, clipvalue={clipvalue}, global_clipnorm={global_clipnorm}"
            )
        if use_ema and not 0 <= ema_momentum <= 1:
            raise ValueError(
                f"`ema_momentum` must be in the range [0, 1]. Received: ema_momentum={ema_momentum}"
            )
        if (
            use_ema
            and ema_overwrite_frequency
            and (not isinstance(ema_overwrite_frequency, int) or ema_overwrite_frequency < 1)
        ):
            raise ValueError(
                "`ema_overwrite_frequency` must be an integer >= 1 or None. "
                f"Received: ema_overwrite_frequency={ema_overwrite_frequency}"
            )
        if gradient_accumulation_steps is not None and gradient_accumulation_steps < 2:
            raise ValueError(
                "`gradient_accumulation_steps` must be an integer >= 2. "
                f"Received: gradient_accumulation_steps={gradient_accumulation_steps}"
            )
        self.name = name or auto_name(type(self).__name__)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.global_clipnorm = global_clipnorm
        self.clipvalue = clipvalue
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._trainable_variables: list[Variable] = []
        self._number_variables()
        self._without_weight_decay: tuple[list[Variable], list[re.Pattern[str]]] = ([], [])
        with name_scope(self.name, caller=self):
            self._iterations = self._new_variable(0, "iteration", dtype="int")
            self._learning_rate: Any = learning_rate
            if not callable(learning_rate):
                self._learning_rate = self._new_variable(learning_rate, "learning_rate")

    def _new_variable(self, value: Any, name: str, dtype: str | None = None) -> Variable:
        variable = Variable(
            value,
            name=name,
            dtype=dtype,
            trainable=False,
            aggregation="only_first_replica",
        )
        return self._track(variable)

    def _track(self, variable: Variable) -> Variable:
        if not any(variable is known for known in self._variables):
            self._variables.append(variable)
        return variable

    def __setattr__(self, name: str, value: Any) -> None:
        """Keeps a variable that becomes an attribute among the optimizer's own."""
        old = self.__dict__.get(name)
        super().__setattr__(name, value)
        if self.__dict__.get(name) is not old:
            self.__dict__["_changes"] = self.structure_version() + 1
            Clock.now += 1
        if isinstance(value, Variable):
            self._track(value)

    def structure_version(self) -> int:
        """Returns a number that grows with each change of an attribute."""
        return self.__dict__.get("_changes", 0)

    @property
    def iterations(self) -> Any:
        """How many updates have been made."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(self._iterations, self.gradient_accumulation_steps)
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """The present learning rate; settable unless it follows a schedule."""
        if isinstance(self._learning_rate, LearningRateSchedule):
            return self._learning_rate(self._iterations)
        if callable(self._learning_rate) and not isinstance(self._learning_rate, Variable):
            return self._learning_rate()
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        previous = self._learning_rate
        if callable(learning_rate):
            self._learning_rate = learning_rate
            self._variables = [v for v in self._variables if v is not previous]
        elif isinstance(previous, LearningRateSchedule):
            raise TypeError(
                "This optimizer was created with a `LearningRateSchedule` object as its "
                "`learning_rate` constructor argument, hence its learning rate is not settable. "
                "If you need the learning rate to be settable, you should instantiate the "
                "optimizer with a float `learning_rate` argument."
            )
        elif isinstance(previous, Variable):
            previous.assign(learning_rate)
        else:
            with name_scope(self.name, caller=self):
                self._learning_rate = self._new_variable(learning_rate, "learning_rate")

    lr = learning_rate

    @property
    def variables(self) -> list[Variable]:
        """The optimizer's own variables: iteration count, learning rate, then its state."""
        return list(self._variables)

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes the state for these trainable variables."""
        if self.use_ema:
            self._model_variables_moving_average = self.add_optimizer_variables(
                variables, "average"
            )
        if self.gradient_accumulation_steps:
            self._accumulated_gradients = self.add_optimizer_variables(
                variables, "gradient_accumulator"
            )
        self._trainable_variables = list(variables)
        self._number_variables()
        self.built = True

    def _number_variables(self) -> None:
        self._indices = {id(variable): i for i, variable in enumerate(self._trainable_variables)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._number_variables()  # the variables of a copy are other objects

    def _get_variable_index(self, variable: Variable) -> int:
        return self._indices[id(variable)]

    def add_variable(
        self,
        shape: tuple[int, ...],
        initializer: Any = "zeros",
        dtype: str | None = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Adds a variable to the optimizer's state."""
        from cornu import initializers

        if isinstance(initializer, str):
            initializer = initializers.get(initializer)
        with name_scope(self.name, caller=self):
            variable = Variable(
                initializer,
                shape=tuple(shape),
                dtype=dtype,
                trainable=False,
                aggregation=aggregation,
                name=name,
            )
        return self._track(variable)

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """Adds a variable of the shape and dtype of another, named after it."""
        path = getattr(reference_variable, "path", reference_variable.name).replace("/", "_")
        return self.add_variable(
            reference_variable.shape,
            initializer=initializer,
            dtype=reference_variable.dtype,
            name=f"{path}_{name}" if name else path,
        )

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Variable], name: Any, initializer: Any = "zeros"
    ) -> Any:
        """Adds one variable, or one of each of several names, per trainable variable.

        Args:
            trainable_variables: The variables they belong to.
            name: A name, or a list of names.
            initializer: An initializer, or one per name.

        Returns:
            A list; for several names, a tuple of lists.
        """
        if isinstance(name, str):
            return [
                self.add_variable_from_reference(variable, name, initializer)
                for variable in trainable_variables
            ]
        several = isinstance(initializer, (list, tuple))
        initializers = initializer if several else [initializer] * len(name)
        rows = [
            [
                self.add_variable_from_reference(variable, *each)
                for each in zip(name, initializers, strict=True)
            ]
            for variable in trainable_variables
        ]
        return tuple([row[i] for row in rows] for i in range(len(name)))

    def assign(self, variable: Variable, value: Any) -> None:
        """Sets a variable."""
        variable.assign(ops.cast(value, variable.dtype))

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Adds to a variable."""
        variable.assign_add(ops.cast(value, variable.dtype))

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtracts from a variable."""
        variable.assign_sub(ops.cast(value, variable.dtype))

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Updates one variable by its gradient; a subclass writes it."""
        raise NotImplementedError

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Variable:
        """Updates variables.

        Args:
            grads_and_vars: Pairs of a gradient and a variable.

        Returns:
            The iteration count.
        """
        grads, trainable_variables = zip(*grads_and_vars, strict=True)
        self.apply(list(grads), list(trainable_variables))
        return self._iterations

    def minimize(
        self, loss: Any, var_list: Any, grad_loss: Any = None, name: Any = None, tape: Any = None
    ) -> Variable:
        """Takes the gradients of a loss and updates variables, as in Keras 2.

        Args:
            loss: A function without arguments that gives the loss; or a loss, given its `tape`.
            var_list: The variables, or a function that gives them.
            grad_loss: The gradient of the loss itself, ones by default.
            name: Taken and not needed.
            tape: The tape that the loss was computed under.

        Returns:
            The iteration count.

        Raises:
            ValueError: The loss is no function, and there is no tape.
        """
        from cornu.autodiff import GradientTape

        if callable(loss):
            with GradientTape() if tape is None else tape as tape:
                loss = loss()
        elif tape is None:
            raise ValueError("`tape` is required when a `Tensor` loss is passed.")
        variables = tree.flatten(var_list() if callable(var_list) else var_list)
        gradients = tape.gradient(loss, variables, grad_loss)
        return self.apply_gradients(zip(gradients, variables, strict=True))

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        """Updates variables.

        Args:
            grads: One gradient per variable; `None` leaves a variable as it is.
            trainable_variables: The variables; by default those the optimizer is built for.

        Raises:
            ValueError: There is no gradient, no variable for a gradient, or a variable that
                the optimizer was not built for.
        """
        if trainable_variables is None:
            if not self.built:
                raise ValueError(
                    "When passing `grads` without `variables`, the optimizer must already be "
                    "built on a list of variables. Call `optimizer.build(trainable_variables)` "
                    "first. "
                )
            if len(grads) != len(self._trainable_variables):
                raise ValueError(
                    "When passing `grads` as a list of gradient tensors, the gradients must match "
                    "`optimizer.variables` one-to-on. Received a list of "
                    f"{len(grads)} gradients, but the optimizer is tracking "
                    f"{len(self._trainable_variables)} trainable variables."
                )
            trainable_variables = self._trainable_variables
        else:
            trainable_variables = list(trainable_variables)
            if not self.built:
                with name_scope(self.name, caller=self):
                    self.build(trainable_variables)
            self._check_variables_are_known(trainable_variables)
        grads, trainable_variables = self._filter_empty_gradients(grads, trainable_variables)
        if self._is_ours(trainable_variables) and all(type(g) is Tensor for g in grads):
            places = tuple([self._indices[id(variable)] for variable in trainable_variables])
            self._planned_step(grads, places)
        else:
            self._step(grads, trainable_variables)

    def _step(self, grads: list[Any], variables: list[Variable]) -> None:
        if state.called_layers is not None:
            state.called_layers.append(self)
        with name_scope(self.name, caller=self):
            if self.loss_scale_factor is not None:
                grads = [g if g is None else g / self.loss_scale_factor for g in grads]
            grads, variables = _overwrite(grads, variables)
            if variables:
                self._apply_gradients(grads, variables)
            for variable in variables:
                if variable.constraint is not None:
                    variable.assign(variable.constraint(variable))
        self._iterations.assign_add(1)

    @function
    def _planned_step(self, grads: list[Tensor], places: tuple[int, ...]) -> None:
        """The update as one plan, outside of which each call would be made for itself."""
        self._step(grads, [self._trainable_variables[place] for place in places])

    def _is_ours(self, variables: Sequence[Variable]) -> bool:
        """Whether nothing in an update is a user's own, who may want it called each time."""
        rate = self._learning_rate
        given = (self, *([] if isinstance(rate, Variable) else [rate]))
        return all(type(part).__module__.startswith("cornu.") for part in given) and all(
            variable.constraint is None for variable in variables
        )

    def _check_variables_are_known(self, variables: Sequence[Variable]) -> None:
        for variable in variables:
            if id(variable) not in self._indices:
                raise ValueError(
                    f"Unknown variable: {variable}. This optimizer can only be called for the "
                    "variables it was originally built with. When working with a new set of "
                    "variables, you should recreate a new optimizer instance."
                )

    def _filter_empty_gradients(
        self, grads: Sequence[Any], variables: Sequence[Variable]
    ) -> tuple[list[Any], list[Variable]]:
        pairs = list(zip(grads, variables, strict=False))
        kept = [(gradient, variable) for gradient, variable in pairs if gradient is not None]
        if not kept:
            raise ValueError("No gradients provided for any variable.")
        if len(kept) < len(pairs):
            names = [variable.path for gradient, variable in pairs if gradient is None]
            warnings.warn(
                f"Gradients do not exist for variables {names} when minimizing the loss. If using "
                "`model.compile()`, did you forget to provide a `loss` argument?",
                stacklevel=4,
            )
        return [gradient for gradient, _ in kept], [variable for _, variable in kept]

    def _apply_gradients(self, grads: list[Any], variables: list[Variable]) -> None:
        """Accumulates, clips and applies gradients, then keeps the moving average."""
        if self.gradient_accumulation_steps:
            steps = self.gradient_accumulation_steps
            due = ops.equal(ops.mod(ops.add(self._iterations, 1), steps), 0)
            sums = [self._accumulated_gradients[self._get_variable_index(v)] for v in variables]
            totals = [total + gradient for total, gradient in zip(sums, grads, strict=True)]

            def update() -> None:
                self._update([total / steps for total in totals], variables)

            self._only_if(due, update, variables, besides=sums)
            for total, value in zip(sums, totals, strict=True):
                total.assign(ops.where(due, ops.zeros_like(value), value))
        else:
            self._update(grads, variables)
        if self.use_ema:
            self._update_moving_average()
            if self.ema_overwrite_frequency:
                due = ops.equal(
                    ops.mod(ops.add(self.iterations, 1), self.ema_overwrite_frequency), 0
                )
                for variable, average in self.averages():
                    variable.assign(ops.where(due, average.value, variable.value))

    def _update(self, grads: list[Any], variables: list[Variable]) -> None:
        grads = self._clip_gradients(grads)
        self._apply_weight_decay(variables)
        learning_rate = self.learning_rate
        for gradient, variable in zip(grads, variables, strict=True):
            self.update_step(gradient, variable, learning_rate)

    def _only_if(
        self,
        condition: Any,
        update: Callable[[], None],
        variables: Sequence[Variable],
        besides: Sequence[Variable] = (),
    ) -> None:
        """Lets `update` change variables and state where a traced condition holds."""
        kept = {id(variable) for variable in besides}
        touched = [v for v in (*variables, *self.variables) if id(v) not in kept]
        before = [variable.value for variable in touched]
        update()
        for variable, old in zip(touched, before, strict=True):
            variable.assign(ops.where(condition, variable.value, old))

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        if self.clipnorm and self.clipnorm > 0:
            return [_clip_by_norm(gradient, self.clipnorm) for gradient in grads]
        if self.global_clipnorm and self.global_clipnorm > 0:
            return _clip_by_global_norm(grads, self.global_clipnorm)
        if self.clipvalue and self.clipvalue > 0:
            return [ops.clip(gradient, -self.clipvalue, self.clipvalue) for gradient in grads]
        return grads

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[Variable] | None = None,
        var_names: Iterable[str] | None = None,
    ) -> None:
        """Names variables that weight decay leaves alone; call it before `build`.

        Args:
            var_list: The variables themselves.
            var_names: Regular expressions that are searched in a variable's name.

        Raises:
            ValueError: The optimizer is built.
        """
        if self.built:
            raise ValueError(
                "`exclude_from_weight_decay()` can only be configured before the optimizer is "
                "built."
            )
        self._without_weight_decay = (
            list(var_list or []),
            [re.compile(name) for name in var_names or []],
        )

    def _use_weight_decay(self, variable: Variable) -> bool:
        excluded, patterns = self._without_weight_decay
        if any(variable is other for other in excluded):
            return False
        return not any(pattern.search(variable.name) for pattern in patterns)

    def _apply_weight_decay(self, variables: Sequence[Variable]) -> None:
        if self.weight_decay is None:
            return
        for variable in variables:
            if self._use_weight_decay(variable):
                rate = ops.cast(self.learning_rate, variable.dtype)
                decay = ops.cast(self.weight_decay, variable.dtype)
                variable.assign(variable - variable * decay * rate)

    def averages(self) -> list[tuple[Variable, Variable]]:
        """The trainable variables, each with its moving average."""
        return self._averages(self._trainable_variables)

    def _averages(self, variables: Sequence[Variable]) -> list[tuple[Variable, Variable]]:
        averages = self._model_variables_moving_average
        return [(v, averages[self._get_variable_index(v)]) for v in variables]

    def _update_moving_average(self) -> None:
        """The average starts as the variables themselves."""
        first = ops.equal(self.iterations, 0)
        for variable, average in self.averages():
            momentum = ops.where(first, 0.0, self.ema_momentum)
            momentum = ops.cast(momentum, variable.dtype)
            average.assign(momentum * average + (1.0 - momentum) * variable)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Replaces variables by their moving averages, where these are kept."""
        if self.use_ema:
            for variable, average in self._averages(var_list):
                variable.assign(average)

    def scale_loss(self, loss: Any) -> Any:
        """The loss that gradients are computed of."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def stateless_apply(
        self, optimizer_variables: Sequence[Any], grads: Sequence[Any], trainable_variables: Any
    ) -> tuple[list[Any], list[Any]]:
        """What `apply` would leave in the variables, given all their values.

        Args:
            optimizer_variables: Values of `optimizer.variables`.
            grads: The gradients.
            trainable_variables: Values of the trainable variables.

        Returns:
            The new values of the trainable variables, and of the optimizer's own.

        Raises:
            ValueError: The optimizer is not built, or a list has the wrong length.
        """
        if not self.built:
            raise ValueError(
                "To call `stateless_apply`, the optimizer must be built (i.e. its variables must "
                "have been created). You can build it via `optimizer.build(trainable_variables)`."
            )
        for what, given, known in (
            ("optimizer_variables", optimizer_variables, self.variables),
            ("trainable_variables", trainable_variables, self._trainable_variables),
        ):
            if len(given) != len(known):
                raise ValueError(
                    f"Argument `{what}` must be a list of tensors corresponding 1:1 to "
                    f"{type(self).__name__}().{what}. Received list with length {len(given)} "
                    f"but expected {len(known)} variables."
                )
        mapping = [
            *zip(self._trainable_variables, trainable_variables, strict=True),
            *zip(self.variables, optimizer_variables, strict=True),
        ]
        with StatelessScope(state_mapping=mapping) as scope:
            self.apply(grads, self._trainable_variables)

        def now(variables: Sequence[Variable], given: Sequence[Any]) -> list[Any]:
            values = [scope.get_current_value(variable) for variable in variables]
            return [
                old if value is None else value for value, old in zip(values, given, strict=True)
            ]

        return (
            now(self._trainable_variables, trainable_variables),
            now(self.variables, optimizer_variables),
        )

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets `optimizer.variables`, in their order.

        Raises:
            ValueError: The optimizer is not built, or a shape differs.
        """
        if not self.built:
            raise ValueError(
                "You are calling `set_weights()` on an optimizer that has not yet been built. "
                "Please call `optimizer.build(trainable_variables)` to create the optimizer "
                "weights before calling `set_weights()`."
            )
        for variable, weight in zip(self._variables, weights, strict=True):
            if tuple(variable.shape) != tuple(weight.shape):
                raise ValueError(
                    f"Optimizer variable {variable.path} has shape {tuple(variable.shape)} not "
                    f"compatible with provided weight shape {tuple(weight.shape)}."
                )
            variable.assign(weight)

    def get_weights(self) -> list[Any]:
        """The values of `optimizer.variables`, as arrays."""
        return [variable.numpy() for variable in self._variables]

    def save_own_variables(self, store: Any) -> None:
        """Writes the optimizer's variables into a store, under their index."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Reads the optimizer's variables from a store.

        Raises:
            ValueError: if a stored value has another shape.
        """
        variables = self.variables
        if len(store.keys()) == len(variables) - 1:  # Keras 2 keeps no learning rate
            variables = [v for v in variables if v is not self._learning_rate]
        if len(store.keys()) != len(variables):
            message = (
                f"Skipping variable loading for optimizer '{self.name}', because it has "
                f"{len(self.variables)} variables whereas the saved optimizer has "
                f"{len(store.keys())} variables. "
            )
            if not self.variables:
                message += "This is likely because the optimizer has not been called/built yet."
            warnings.warn(message, stacklevel=2)
            return
        for i, variable in enumerate(variables):
            variable.assign(store[str(i)])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "name": self.name,
            "learning_rate": self._learning_rate_config(),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
            **{name: getattr(self, name) for name in self._hyperparameters},
        }

    def _learning_rate_config(self) -> Any:
        if isinstance(self._learning_rate, Variable):
            return float(self._learning_rate.numpy())
        return saving.serialize_keras_object(self._learning_rate)

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Optimizer:
        """The optimizer that `get_config` described."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), Mapping):
            config["learning_rate"] = saving.deserialize_keras_object(
                config["learning_rate"], custom_objects=custom_objects
            )
        return cls(**config)


def _with_base_arguments(init: Callable[..., None]) -> Callable[..., None]:
    """A constructor that takes the arguments of `Optimizer` where it now ends in `**kwargs`."""
    *own, rest = inspect.signature(init).parameters.values()
    placed = inspect.Parameter.POSITIONAL_OR_KEYWORD
    if rest.kind is not rest.VAR_KEYWORD or any(p.kind is not placed for p in own):
        return init
    base = [
        parameter
        for parameter in inspect.signature(Optimizer.__init__).parameters.values()
        if parameter.name not in {"kwargs", *(parameter.name for parameter in own)}
    ]
    names = [parameter.name for parameter in base]

    @functools.wraps(init)
    def constructor(*args: Any, **kwargs: Any) -> None:
        further = args[len(own) :]
        given = dict(zip(names, further, strict=False))
        twice = next((name for name in given if name in kwargs), None)
        if twice is not None or len(further) > len(given):
            problem = f"{twice!r} twice" if twice else f"{len(args) - 1} positional arguments"
            raise TypeError(f"{type(args[0]).__name__}() got {problem}")
        init(*args[: len(own)], **given, **kwargs)

    constructor.__signature__ = inspect.Signature([*own, *base, rest])
    return constructor


def _overwrite(grads: list[Any], variables: list[Variable]) -> tuple[list[Any], list[Variable]]:
    """Sets the variables that take their gradients for values, and returns the others."""
    rest: list[tuple[Any, Variable]] = []
    for gradient, variable in zip(grads, variables, strict=True):
        if getattr(variable, "overwrite_with_gradient", False):
            variable.assign(gradient)
        else:
            rest.append((gradient, variable))
    return [gradient for gradient, _ in rest], [variable for _, variable in rest]


def _clip_by_norm(values: Any, clip: float) -> Any:
    squares = ops.sum(ops.square(values))
    positive = squares > 0
    # The root of zero has no gradient.
    root = ops.sqrt(ops.where(positive, squares, ops.ones_like(squares)))
    norm = ops.where(positive, root, squares)
    return values * clip / ops.maximum(norm, clip)


def _clip_by_global_norm(grads: list[Any], clip: float) -> list[Any]:
    squares = [ops.sum(ops.square(gradient)) for gradient in grads]
    total = squares[0]
    for square in squares[1:]:
        total = total + square
    norm = ops.sqrt(total)
    scale = clip * ops.minimum(1.0 / norm, 1.0 / clip)
    # An infinite norm makes every gradient NaN rather than zero.
    scale = scale + (norm - norm)
    return [gradient * ops.cast(scale, gradient.dtype) for gradient in grads]
