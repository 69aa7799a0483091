"""What every layer must do: a list of checks, each called with one row of the table.

The reference is the real Keras on JAX, in the same process, with the same weights.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import keras
import numpy as np
from cases import Case

import cornu


@contextlib.contextmanager
def floatx(dtype: str) -> Iterator[None]:
    """Makes a dtype the default of both libraries."""
    for library in (keras, cornu):
        library.config.set_floatx(dtype)
        library.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        for library in (keras, cornu):
            library.config.set_floatx("float32")
            library.config.set_dtype_policy("float32")


def bare(items: list[Any]) -> Any:
    """Returns the single item of a list, else the list: as layers take their inputs."""
    return items[0] if len(items) == 1 else items


def flat(outputs: Any) -> list[Any]:
    """Returns the tensors of a layer's output."""
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def arrays(tensors: Any) -> list[np.ndarray]:
    return [np.asarray(tensor) for tensor in tensors]


def built(case: Case, library: Any, **more: Any) -> Any:
    """Returns the layer of a case, built and with weights that depend on nothing but shapes."""
    layer = case.make(library, **more)
    symbols = [
        library.KerasTensor(x.shape, dtype=str(x.dtype))
        for x in case.inputs(library.config.floatx())
    ]
    layer(*case.pack(symbols), **case.call_arguments())
    rng = np.random.default_rng(11)
    layer.set_weights([np.abs(rng.standard_normal(w.shape)) + 0.1 for w in layer.weights])
    return layer


def probes(outputs: list[np.ndarray]) -> list[np.ndarray]:
    """Returns the weights of the outputs in the scalar that gradients are taken of."""
    rng = np.random.default_rng(5)
    return [rng.standard_normal(y.shape) for y in outputs]


def _probes_like(outputs: list[Any]) -> list[Any]:
    return [p.astype(y.dtype) for p, y in zip(probes(outputs), outputs, strict=True)]


@cache
def reference(case: Case) -> dict[str, Any]:
    """Returns what Keras makes of a case in float64."""
    with floatx(case.dtype):
        layer = built(case, keras)
        inputs, arguments = case.inputs(), case.call_arguments()
        trainable = [v.value for v in layer.trainable_variables]
        others = [v.value for v in layer.non_trainable_variables]

        def call(trainable: list[Any], inputs: list[Any]) -> Any:
            outputs, states = layer.stateless_call(
                trainable, others, *case.pack(inputs), **arguments
            )
            return flat(outputs), states

        if case.differentiable and case.integers is None:
            outputs, pullback, states = jax.vjp(call, trainable, inputs, has_aux=True)
            gradients = pullback(_probes_like(outputs))
        elif case.differentiable:
            outputs, pullback, states = jax.vjp(lambda t: call(t, inputs), trainable, has_aux=True)
            gradients = (*pullback(_probes_like(outputs)), [])
        else:
            (outputs, states), gradients = call(trainable, inputs), None
        return {
            "config": layer.get_config(),
            "weights": [_described(w) for w in layer.weights],
            "supports_masking": layer.supports_masking,
            "build_config": layer.get_build_config(),
            "input_spec": str(layer.input_spec),
            "outputs": arrays(outputs),
            "rounded": 1e-5 if any(_is_rounded(y) for y in arrays(outputs)) else 0.0,
            "states": _states(layer, states),
            "gradients": gradients and [arrays(group) for group in gradients],
        }


def _is_rounded(values: np.ndarray) -> bool:
    """Whether Keras computed in float32 on the way: on JAX it does so for some means of float64."""
    return values.dtype.kind == "f" and bool((values == values.astype("float32")).all())


def _described(weight: Any) -> tuple[Any, ...]:
    return weight.path.rpartition("/")[2], tuple(weight.shape), weight.trainable


def _states(layer: Any, values: Any = None) -> list[np.ndarray]:
    """Returns the variables that no gradient changes; the states of random seeds differ."""
    variables = layer.non_trainable_variables
    values = [v.value for v in variables] if values is None else values
    pairs = zip(variables, values, strict=True)
    return arrays(value for v, value in pairs if "seed_generator" not in v.path)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _sorted(value[k]) for k in sorted(value) if k != "name"}
    return [_sorted(v) for v in value] if isinstance(value, list | tuple) else value


def check_config(case: Case) -> None:
    """The config is Keras's, and makes an equal layer."""
    with floatx(case.dtype):
        layer = built(case, cornu)
        config = layer.get_config()
        if case.layer != "Lambda":  # its code is stored as this interpreter's
            assert _sorted(config) == _sorted(reference(case)["config"])
        assert _sorted(layer.get_build_config()) == _sorted(reference(case)["build_config"])
        if case.layer == "Lambda":
            return
        again = type(layer).from_config(config)
        assert again.get_config() == config


def check_weights(case: Case) -> None:
    """Weights have Keras's names, shapes and order."""
    with floatx(case.dtype):
        layer = built(case, cornu)
        expected = reference(case)
        assert [_described(w) for w in layer.weights] == expected["weights"]
        assert layer.supports_masking == expected["supports_masking"]
        assert str(layer.input_spec) == expected["input_spec"]


def check_values(case: Case) -> None:
    """Outputs and updated variables equal Keras's."""
    expected = reference(case)
    with floatx(case.dtype):
        layer = built(case, cornu)
        outputs = flat(layer(*case.pack(case.inputs()), **case.call_arguments()))
        for ours, theirs in zip(outputs, expected["outputs"], strict=True):
            assert ours.shape == theirs.shape
            if str(theirs.dtype) != "float32":  # some of Keras's ops leave float64
                assert str(ours.dtype) == str(theirs.dtype)
        if case.random:
            return
        _assert_close(case, arrays(outputs), expected["outputs"], expected["rounded"])
        _assert_close(case, _states(layer), expected["states"], expected["rounded"])


def _assert_close(
    case: Case, ours: list[np.ndarray], theirs: list[np.ndarray], rounded: float = 0.0
) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        scale = max(1.0, np.abs(np.asarray(other, "float64")).max(initial=0))
        tolerance = max(case.tolerance, rounded)
        np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance * scale)


def _gradients(case: Case, layer: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Returns the outputs and the gradients of the trainable variables and of the inputs."""
    inputs = [cornu.ops.convert_to_tensor(x) for x in case.inputs()]
    with cornu.GradientTape() as tape:
        for x in inputs:
            tape.watch(x)
        outputs = flat(layer(*case.pack(inputs), **case.call_arguments()))
        parts = [
            cornu.ops.sum(y * probe)
            for y, probe in zip(outputs, probes(arrays(outputs)), strict=True)
        ]
        total = sum(parts[1:], parts[0])
    wanted = [] if case.integers is not None else inputs
    variables = layer.trainable_variables
    gradients = tape.gradient(total, [*variables, *wanted])
    zeros = [
        np.zeros(tuple(source.shape)) if gradient is None else np.asarray(gradient)
        for gradient, source in zip(gradients, [*variables, *wanted], strict=True)
    ]
    return outputs, zeros[: len(variables)], zeros[len(variables) :]


def check_gradients(case: Case) -> None:
    """Gradients of weights and inputs equal Keras's."""
    if not case.differentiable or case.random:
        return
    with floatx(case.dtype):
        _, of_weights, of_inputs = _gradients(case, built(case, cornu))
    expected = reference(case)
    for ours, theirs in zip((of_weights, of_inputs), expected["gradients"], strict=True):
        _assert_close(case, ours, theirs, expected["rounded"])


def check_finite_differences(case: Case) -> None:
    """A directional derivative equals a difference quotient."""
    if not case.differentiable or case.random or case.integers is not None or case.training:
        return
    case = replace(case, dtype="float64")
    with floatx("float64"):
        layer = built(case, cornu)
        outputs, of_weights, of_inputs = _gradients(case, layer)
        weights, inputs = arrays(v.value for v in layer.trainable_variables), case.inputs()
        rng = np.random.default_rng(3)
        moves = [rng.standard_normal(x.shape) for x in (*weights, *inputs)]
        scales = probes(arrays(outputs))
        step = 1e-6

        def value(sign: int) -> float:
            moved = [
                x + sign * step * move for x, move in zip((*weights, *inputs), moves, strict=True)
            ]
            for variable, new in zip(layer.trainable_variables, moved, strict=False):
                variable.assign(new)
            results = flat(layer(*case.pack(moved[len(weights) :]), **case.call_arguments()))
            return sum(
                float(np.sum(y * scale)) for y, scale in zip(arrays(results), scales, strict=True)
            )

        quotient = (value(1) - value(-1)) / (2 * step)
        gradients = (*of_weights, *of_inputs)
        slope = sum(float(np.sum(g * m)) for g, m in zip(gradients, moves, strict=True))
        np.testing.assert_allclose(slope, quotient, rtol=1e-5, atol=1e-6)


def check_symbolic(case: Case) -> None:
    """A call on symbolic inputs of unknown batch tells the shape and dtype of the outputs."""
    layer = case.make(cornu)
    inputs = case.inputs("float32")
    arguments = case.call_arguments()
    arguments.pop("mask", None)
    symbols = [cornu.Input(x.shape[1:], dtype=str(x.dtype)) for x in inputs]
    outputs = flat(layer(*case.pack(symbols), **arguments))
    for batch in (1, 2, 5):
        results = flat(layer(*case.pack(case.inputs("float32", batch)), **arguments))
        for symbol, result in zip(outputs, results, strict=True):
            assert symbol.shape[0] is None
            assert tuple(symbol.shape[1:]) == tuple(result.shape[1:])
            assert result.shape[0] == batch
            assert symbol.dtype == str(result.dtype)
    shapes = [x.shape for x in inputs]
    if not case.call:
        computed = layer.compute_output_shape(*case.pack(shapes))
        expected = [tuple(y.shape) for y in flat(layer(*case.pack(inputs), **arguments))]
        single = len(expected) == 1
        assert [tuple(computed)] == expected if single else list(computed) == expected


def check_traced(case: Case) -> None:
    """A traced call equals an eager one, its updates of variables included."""
    case = replace(case, dtype="float64", tolerance=1e-12)
    with floatx("float64"):
        eager, traced = built(case, cornu), built(case, cornu)
        inputs, arguments = case.inputs(), case.call_arguments()
        expected = arrays(flat(eager(*case.pack(inputs), **arguments)))
        function = cornu.function(lambda *xs: traced(*case.pack(list(xs)), **arguments))
        results = arrays(flat(function(*inputs)))
        if case.random:
            assert [y.shape for y in results] == [y.shape for y in expected]
        else:
            _assert_close(case, results, expected)
            _assert_close(case, _states(traced), _states(eager))


def _model(case: Case, library: Any) -> tuple[Any, Any]:
    """Returns a model of one layer, in float32, and the layer; weights depend on shapes alone."""
    layer = case.make(library)
    inputs = [library.Input(x.shape[1:], dtype=str(x.dtype)) for x in case.inputs("float32")]
    model = library.Model(bare(inputs), layer(*case.pack(inputs), **case.call))
    rng = np.random.default_rng(2)
    layer.set_weights([np.abs(rng.standard_normal(w.shape)) for w in layer.weights])
    return model, layer


def check_training_step(case: Case) -> None:
    """A step of `fit` changes the weights, the same traced and eager."""
    weights = []
    for eagerly in (False, True):
        model, layer = _model(case, cornu)
        rng = np.random.default_rng(4)
        model.compile("sgd", "mse", run_eagerly=eagerly)
        inputs = case.inputs("float32")
        targets = [rng.standard_normal([len(inputs[0]), *y.shape[1:]]) for y in model.outputs]
        if not str(model.outputs[0].dtype).startswith("float"):
            return
        before = layer.get_weights()
        model.fit(bare(inputs), bare(targets), verbose=0)
        weights.append(layer.get_weights())
        if layer.trainable_variables and case.differentiable:
            assert any((a != b).any() for a, b in zip(before, weights[-1], strict=True))
    draws = [v for v in layer.variables if "seed_generator" in v.path]
    if not draws:
        for traced, eager in zip(*weights, strict=True):
            np.testing.assert_allclose(traced, eager, rtol=1e-4, atol=1e-5)


def check_saving(case: Case, folder: Any) -> None:
    """Files of the layer cross between the libraries, whole models and weights alone."""
    pairs = [(cornu, cornu), (keras, cornu), (cornu, keras)]
    for writer, reader in pairs[:1] if case.layer == "Lambda" else pairs:
        model, layer = _model(case, writer)
        inputs = bare(case.inputs("float32"))
        expected = arrays(flat(model(inputs, training=False)))
        # A low-rank adaptation is saved merged: the sum is rounded elsewhere.
        exactly = reader is writer and not getattr(layer, "lora_enabled", False)
        tolerance = 0.0 if exactly else 1e-5
        for ending in (".keras", ".h5", ".weights.h5"):
            path = str(folder / f"model{ending}")
            if ending != ".weights.h5":
                model.save(path)
                again = reader.saving.load_model(path, safe_mode=case.layer != "Lambda")
            elif layer.weights:
                model.save_weights(path)
                again.set_weights([np.ones(w.shape) for w in again.weights])
                again.load_weights(path)
            results = arrays(flat(again(inputs, training=False)))
            for mine, other in zip(results, expected, strict=True):
                np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance)


def check_policies(case: Case) -> None:
    """float32 is near float64; under mixed_bfloat16 the layer runs and computes in bfloat16."""
    if callable(case.arguments):
        return  # layers inside have policies of their own
    expected = reference(case)["outputs"]
    for policy, tolerance in (("float32", 1e-4), ("mixed_bfloat16", 0.15)):
        layer = built(case, cornu, dtype=policy)
        assert all(str(w.dtype) != "bfloat16" for w in layer.weights)
        outputs = flat(layer(*case.pack(case.inputs("float32")), **case.call_arguments()))
        for ours, theirs in zip(outputs, expected, strict=True):
            if case.integers is None:
                assert str(ours.dtype) == layer.compute_dtype
            if not case.random:
                values, scale = np.asarray(cornu.ops.cast(ours, "float32")), np.abs(theirs).max()
                np.testing.assert_allclose(values, theirs, rtol=tolerance, atol=tolerance * scale)


CHECKS = [
    check_config,
    check_weights,
    check_values,
    check_gradients,
    check_finite_differences,
    check_symbolic,
    check_traced,
    check_training_step,
    check_policies,
]


def check_layer(case: Case, folder: Any) -> None:
    """Makes every check."""
    for check in CHECKS:
        check(case)
    check_saving(case, folder)
