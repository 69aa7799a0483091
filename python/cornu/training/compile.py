"""What `compile` makes of its losses and metrics: one loss, one metric, for all outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cornu import losses as losses_module
from cornu import metrics as metrics_module
from cornu import ops, tree
from cornu.losses.loss import Loss
from cornu.metrics.metric import Metric
from cornu.metrics.reductions import Mean, MeanMetricWrapper


def output_names_of(y_pred: Any, output_names: Sequence[str] | None) -> list[str | None]:
    """The name of each output that logs use; `None` where there is none."""
    paths = [path for path, _ in tree.flatten_with_path(y_pred)]
    if isinstance(y_pred, Mapping):
        return ["/".join(map(str, path)) for path in paths]
    if output_names and len(output_names) == len(paths):
        return list(output_names)
    return [None] * len(paths)


def _is_flat_list(structure: Any) -> bool:
    return isinstance(structure, (list, tuple)) and not any(map(tree.is_nested, structure))


def spread(
    given: Any,
    y_pred: Any,
    names: Sequence[str | None],
    is_leaf: Callable[[Any], bool],
    argument: str,
) -> list[Any]:
    """What `given`, an argument of `compile`, holds for each output.

    Args:
        given: A leaf for the only output, or a structure like that of the outputs, which may
            leave out keys.
        y_pred: The outputs.
        names: The names of the outputs.
        is_leaf: Whether a part of `given` belongs to one output.
        argument: The name of the argument, for errors.

    Raises:
        ValueError, KeyError: `given` names what is no output.
    """
    if not tree.is_nested(y_pred):
        return [given]
    if isinstance(given, Mapping) and isinstance(y_pred, (list, tuple)):
        expected = list(names)
        if not set(given) <= set(expected):
            raise ValueError(
                f"Expected keys {expected} in {argument} dict, but found "
                f"{argument}.keys()={list(given)}"
            )
        return [given.get(name) for name in expected]
    found: list[Any] = []
    taken: list[tuple[Any, ...]] = []
    paths = [path for path, _ in tree.flatten_with_path(y_pred)]
    if isinstance(given, (list, tuple)) and isinstance(y_pred, Mapping):
        given = dict(zip(sorted(y_pred), given, strict=False))
    for path in paths:
        part = given
        depth = 0
        while depth < len(path) and not is_leaf(part):
            part = _child(part, path[depth])
            depth += 1
        taken.append(path[:depth])
        found.append(part if depth == len(path) or is_leaf(part) else None)
    for path in _leaf_paths(given, is_leaf):
        if path not in taken:
            raise KeyError(
                f"The path: {path} in the `{argument}` argument, can't be found in either the "
                "model's output (`y_pred`) or in the labels (`y_true`)."
            )
    return found


def _child(part: Any, key: Any) -> Any:
    if isinstance(part, Mapping):
        return part.get(key)
    if isinstance(part, (list, tuple)) and isinstance(key, int) and key < len(part):
        return part[key]
    return None


def _leaf_paths(
    given: Any, is_leaf: Callable[[Any], bool], path: tuple[Any, ...] = ()
) -> list[tuple[Any, ...]]:
    if is_leaf(given) or not tree.is_nested(given):
        return [path]
    items = given.items() if isinstance(given, Mapping) else enumerate(given)
    return [p for key, part in items for p in _leaf_paths(part, is_leaf, (*path, key))]


def align(y: Any, y_pred: Any, names: Sequence[str | None]) -> list[Any]:
    """The targets (or weights) of each output; `None` where there are none.

    Raises:
        ValueError: The structures do not fit.
    """
    if not tree.is_nested(y_pred):
        leaves = tree.flatten(y)
        if len(leaves) == 1:
            return leaves
    elif isinstance(y, Mapping) and isinstance(y_pred, (list, tuple)):
        if set(y) <= set(names):
            return [y.get(name) for name in names]
    elif isinstance(y, Mapping) and isinstance(y_pred, Mapping):
        paths = [path for path, _ in tree.flatten_with_path(y_pred)]
        return [_at(y, path) for path in paths]
    elif tree.is_nested(y):
        leaves, outputs = tree.flatten(y), tree.flatten(y_pred)
        if len(leaves) == len(outputs):
            return leaves

    def shown(structure: Any) -> Any:
        return tree.map_structure(lambda leaf: None if leaf is None else "*", structure)

    raise ValueError(
        "y_true and y_pred have different structures.\n"
        f"y_true: {shown(y)}\ny_pred: {shown(y_pred)}\n"
    )


def _at(structure: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        structure = _child(structure, key)
    return structure


class CompileLoss(Loss):
    """The weighted sum of the losses of all outputs, with a running mean of each.

    Args:
        loss: A loss, or a structure of losses like that of the outputs.
        loss_weights: A weight per loss, in the same structure.
        reduction: As in `Loss`.
        output_names: The names of the outputs, where these are a list.
    """

    def __init__(
        self,
        loss: Any,
        loss_weights: Any = None,
        reduction: str | None = "sum_over_batch_size",
        output_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name="compile_loss", reduction=reduction)
        self._user_loss = loss
        self._user_loss_weights = loss_weights
        self.output_names = output_names
        self.built = False
        self.metrics: list[Mean] = []
        # Per output: the loss, its weight, its running mean; `None` where there is none.
        self._parts: list[tuple[Any, Any, Mean | None] | None] = []
        self._names: list[str | None] = []
        # A wrong identifier is refused at once.
        tree.map_structure(
            lambda leaf: None if leaf is None else losses_module.get(leaf),
            loss if not _is_config(loss) else None,
        )

    @property
    def variables(self) -> list[Any]:
        """The variables of the running means."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Finds the loss of each output.

        Raises:
            ValueError, KeyError: Losses or their weights do not fit the outputs.
        """
        names = output_names_of(y_pred, self.output_names)
        loss, count = self._user_loss, len(names)
        if _is_loss(loss):
            identifiers = [loss] * count
        elif not tree.is_nested(y_pred):
            leaves = [leaf for leaf in _leaves(loss, _is_loss) if leaf is not None]
            if len(leaves) != 1:
                raise ValueError(
                    "For a model with a single output, when providing the `loss` argument as a "
                    "list, it should have as many entries as the model has outputs. "
                    f"Received:\nloss={loss}\nof length {len(leaves)} whereas the model has 1 "
                    "outputs."
                )
            identifiers = leaves
        else:
            if isinstance(loss, Mapping) and isinstance(y_pred, (list, tuple)):
                expected = list(names)
                if set(loss) != set(expected):
                    raise ValueError(
                        f"Expected keys {expected} in loss dict, but found loss.keys()={list(loss)}"
                    )
            identifiers = spread(loss, y_pred, names, _is_loss, "loss")
        weights = self._weights(y_pred, names, sum(i is not None for i in identifiers))
        several = sum(identifier is not None for identifier in identifiers) > 1
        for identifier, weight, name in zip(identifiers, weights, names, strict=True):
            if identifier is None:
                self._parts.append(None)
                continue
            function = losses_module.get(identifier)
            if not isinstance(function, Loss):
                wrapper = losses_module.LossFunctionWrapper
                function = wrapper(
                    function,
                    reduction=self.reduction,
                    name=getattr(function, "__name__", None),
                    dtype=self._dtype_policy,
                )
            mean = None
            if several:
                label = name or (identifier if isinstance(identifier, str) else function.name)
                mean = Mean(name=f"{label}_loss")
                self.metrics.append(mean)
            self._parts.append((function, weight, mean))
        self._names = names
        self.built = True

    def _weights(self, y_pred: Any, names: Sequence[str | None], count: int) -> list[Any]:
        given = self._user_loss_weights
        if given is None:
            return [None] * len(names)
        if isinstance(given, (int, float)):
            return [given] * len(names)
        leaves = [leaf for leaf in tree.flatten(given) if leaf is not None]
        if len(leaves) != count:
            raise ValueError(
                f"`loss_weights` must match the number of losses, got {count} losses and "
                f"{len(leaves)} weights."
            )
        if not tree.is_nested(y_pred):
            return leaves
        return spread(given, y_pred, names, lambda part: not tree.is_nested(part), "loss_weights")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return self.call(y_true, y_pred, sample_weight)

    def call(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The weighted sum of the losses, `None` if there are none."""
        if not tree.is_nested(y_true) and not tree.is_nested(y_pred):
            y_true = None if y_true is None else ops.convert_to_tensor(y_true)
        if not self.built:
            self.build(y_true, y_pred)
        predictions = tree.flatten(y_pred)
        targets = align(y_true, y_pred, self._names)
        weights = [sample_weight] * len(predictions)
        if tree.is_nested(sample_weight):
            leaves = tree.flatten(sample_weight)
            one = len(leaves) == 1
            weights = (
                leaves * len(predictions) if one else align(sample_weight, y_pred, self._names)
            )
        total = None
        for part, target, prediction, weight in zip(
            self._parts, targets, predictions, weights, strict=True
        ):
            if part is None:
                continue
            loss, factor, mean = part
            if target is None:
                raise ValueError(
                    f"The loss '{loss.name}' needs targets, but none were given: "
                    "pass `y` along with `x`."
                )
            value = ops.cast(loss(target, prediction, weight), self.dtype)
            if mean is not None:
                mean.update_state(value, sample_weight=ops.shape(prediction)[0])
            if factor is not None:
                value = value * factor
            total = value if total is None else total + value
        return total

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError


def _is_no_mapping(value: Any) -> bool:
    return not isinstance(value, Mapping)


def _is_config(value: Any) -> bool:
    return isinstance(value, Mapping) and "class_name" in value


def _is_loss(value: Any) -> bool:
    return value is None or isinstance(value, (str, Loss)) or callable(value) or _is_config(value)


def _is_metric(value: Any) -> bool:
    return isinstance(value, (str, Metric)) or callable(value) or _is_config(value)


def _leaves(structure: Any, is_leaf: Callable[[Any], bool]) -> list[Any]:
    if is_leaf(structure) or not tree.is_nested(structure):
        return [structure]
    parts = structure.values() if isinstance(structure, Mapping) else structure
    return [leaf for part in parts for leaf in _leaves(part, is_leaf)]


# What the strings that depend on the shapes of targets and outputs stand for: labels 0 and 1,
# class numbers, one-hot targets.
_BY_SHAPE = {
    "accuracy": ("BinaryAccuracy", "SparseCategoricalAccuracy", "CategoricalAccuracy"),
    "crossentropy": (
        "BinaryCrossentropy",
        "SparseCategoricalCrossentropy",
        "CategoricalCrossentropy",
    ),
}
_BY_SHAPE["acc"] = _BY_SHAPE["accuracy"]
_BY_SHAPE["ce"] = _BY_SHAPE["crossentropy"]


def resolve_metric(identifier: Any, y_true: Any, y_pred: Any) -> Metric:
    """The metric of a name, a config, a function or a metric, for targets and outputs."""
    if isinstance(identifier, str) and identifier.lower() in _BY_SHAPE:
        binary, sparse, categorical = _BY_SHAPE[identifier.lower()]
        true_shape, pred_shape = y_true.shape, y_pred.shape
        if len(pred_shape) > 0 and pred_shape[-1] == 1:
            kind = binary
        elif len(true_shape) < len(pred_shape) or (
            true_shape and true_shape[-1] == 1 and pred_shape[-1] != 1
        ):
            kind = sparse
        else:
            kind = categorical
        return getattr(metrics_module, kind)(name=identifier)
    metric = metrics_module.get(identifier)
    if isinstance(metric, Metric):
        if isinstance(identifier, str):
            metric.name = identifier
        return metric
    name = getattr(metric, "__name__", None) or type(metric).__name__
    return MeanMetricWrapper(metric, name=name)


class CompileMetrics(Metric):
    """All metrics of all outputs.

    Args:
        metrics: A list of metrics, or a structure of such lists like that of the outputs.
        weighted_metrics: The same, of metrics that sample weights are given to.
        name: Name of the metric.
        output_names: The names of the outputs, where these are a list.

    Raises:
        ValueError: An argument is no list or dict.
    """

    def __init__(
        self,
        metrics: Any,
        weighted_metrics: Any,
        name: str = "compile_metric",
        output_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name=name)
        for argument, value in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if value and not isinstance(value, (list, tuple, dict)):
                raise ValueError(
                    f"Expected {argument} to be a list or a dict. Received instead: {value} (of "
                    f"type {type(value)})"
                )
        self._user_metrics = metrics
        self._user_weighted_metrics = weighted_metrics
        self.output_names = output_names
        self.built = False
        # Per output: its name, its metrics and its weighted metrics.
        self._outputs: list[tuple[str | None, list[Metric], list[Metric]]] = []

    @property
    def metrics(self) -> list[Metric]:
        """The metrics themselves: those of every output, then the weighted ones."""
        plain = [metric for _, metrics, _ in self._outputs for metric in metrics]
        weighted = [metric for _, _, metrics in self._outputs for metric in metrics]
        return plain + weighted

    @property
    def variables(self) -> list[Any]:
        """The variables of all metrics."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Makes the metrics of each output.

        Raises:
            ValueError: Metrics do not fit the outputs.
        """
        names = output_names_of(y_pred, self.output_names)
        targets = align(y_true, y_pred, names)
        outputs = tree.flatten(y_pred)
        plain, weighted = (
            self._resolved(given, y_pred, names, targets, outputs, argument)
            for given, argument in (
                (self._user_metrics, "metrics"),
                (self._user_weighted_metrics, "weighted_metrics"),
            )
        )
        self._outputs = list(zip(names, plain, weighted, strict=True))
        self.built = True

    def _resolved(
        self,
        given: Any,
        y_pred: Any,
        names: Sequence[str | None],
        targets: list[Any],
        outputs: list[Any],
        argument: str,
    ) -> list[list[Metric]]:
        if not given:
            return [[] for _ in outputs]
        if len(outputs) == 1:
            parts = [given]
        elif isinstance(given, Mapping) and not isinstance(y_pred, Mapping):
            parts = [given.get(name) for name in names]
            unknown = [key for key in given if key not in names]
            if unknown:
                raise self._misfit(unknown, given, y_pred, argument, "keys")
        elif isinstance(given, Mapping):
            parts = spread(given, y_pred, names, _is_no_mapping, argument)
        elif len(given) == len(outputs):
            parts = list(given)
        else:
            raise self._misfit(len(given), given, y_pred, argument, "entries")
        return [
            [
                resolve_metric(leaf, target, output)
                for leaf in _leaves(part, _is_metric)
                if leaf is not None
            ]
            for part, target, output in zip(parts, targets, outputs, strict=True)
        ]

    def _misfit(self, found: Any, given: Any, y_pred: Any, argument: str, what: str) -> ValueError:
        structure = tree.map_structure(lambda _: "X", y_pred)
        return ValueError(
            f"Invalid `{argument}`: found {what} {found}. `{argument}` should contain metrics "
            "objects and either be a dict or a list matching the output names of the functional "
            f"model {self.output_names} or match the output structure of the model: {structure}."
            f"\nReceived: {argument}={given}"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch of targets, outputs and sample weights, in structures that fit."""
        if not tree.is_nested(y_true) and y_true is not None:
            y_true = ops.convert_to_tensor(y_true)
        if not self.built:
            self.build(y_true, y_pred)
        names = [name for name, _, _ in self._outputs]
        outputs = tree.flatten(y_pred)
        targets = align(y_true, y_pred, names)
        weights = [sample_weight] * len(outputs)
        if tree.is_nested(sample_weight):
            leaves = tree.flatten(sample_weight)
            one = len(leaves) == 1
            weights = leaves * len(outputs) if one else align(sample_weight, y_pred, names)
        for (_, plain, weighted), target, output, weight in zip(
            self._outputs, targets, outputs, weights, strict=True
        ):
            for metric in plain:
                metric.update_state(target, output)
            for metric in weighted:
                metric.update_state(target, output, sample_weight=weight)

    def reset_state(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    def result(self) -> dict[str, Any]:
        """The results of all metrics, by the names that logs use.

        Raises:
            ValueError: The metrics are not built.
        """
        if not self.built:
            raise ValueError("Cannot get result() since the metric has not yet been built.")
        results: dict[str, Any] = {}
        used: Counter[str] = Counter()
        for weighted in (False, True):
            for name, *kinds in self._outputs:
                prefix = f"{name}_" if len(self._outputs) > 1 and name is not None else ""
                for metric in kinds[weighted]:
                    label = prefix + metric.name
                    if weighted and used[label]:
                        label = f"{prefix}weighted_{metric.name}"
                    results[f"{label}_{used[label]}" if used[label] else label] = metric.result()
                    used[label] += 1
        return results

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError
