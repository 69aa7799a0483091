"""Optimizers and schedules against the real Keras, and on their own."""

import inspect

import numpy as np
import pytest

import cornu
from cornu import optimizers
from reference import float64, fresh, keras

SHAPES = {"kernel": (4, 3), "bias": (3,), "embedding": (5, 4), "filters": (2, 2, 3, 4)}
# One row per optimizer: the arguments that are tried.
OPTIMIZERS = {
    "SGD": [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"weight_decay": 0.1},
        {"clipnorm": 0.5},
        {"clipvalue": 0.1},
        {"global_clipnorm": 0.3},
        {"use_ema": True},
        {"use_ema": True, "ema_overwrite_frequency": 3},
        {"loss_scale_factor": 4.0},
        {"gradient_accumulation_steps": 3},
        {"gradient_accumulation_steps": 2, "use_ema": True, "ema_overwrite_frequency": 3},
    ],
    "Adam": [
        {},
        {"amsgrad": True},
        {"epsilon": 1e-3, "beta_1": 0.5},
        {"gradient_accumulation_steps": 2},
        {"use_ema": True, "ema_overwrite_frequency": 4, "weight_decay": 0.01},
    ],
    "AdamW": [{}, {"weight_decay": 0.1}],
    "Adamax": [{}],
    "Nadam": [{}, {"weight_decay": 0.01}, {"gradient_accumulation_steps": 2}],
    "Lamb": [{}, {"weight_decay": 0.1}],
    "Lion": [{}, {"beta_1": 0.5}],
    "ScheduleFreeAdamW": [{}, {"warmup_steps": 5}, {"weight_decay": 0.1}],
    "RMSprop": [{}, {"momentum": 0.5}, {"centered": True}, {"centered": True, "momentum": 0.9}],
    "Adagrad": [{}],
    "Adadelta": [{}],
    "Adafactor": [{}, {"relative_step": False}, {"clip_threshold": 0.1}],
    "Ftrl": [
        {},
        {
            "l1_regularization_strength": 0.01,
            "l2_regularization_strength": 0.02,
            "l2_shrinkage_regularization_strength": 0.03,
            "beta": 0.1,
        },
        {"learning_rate_power": -0.3},
    ],
    "Muon": [{}, {"nesterov": False}, {"adam_lr_ratio": 0.5}, {"exclude_layers": ["kernel"]}],
}
ROWS = [
    pytest.param(name, arguments, id=f"{name}-{arguments}")
    for name, several in OPTIMIZERS.items()
    for arguments in several
]
SCHEDULES = [
    ("ExponentialDecay", (0.1, 3, 0.5)),
    ("ExponentialDecay", (0.1, 3, 0.5, True)),
    ("PiecewiseConstantDecay", ([3, 7], [0.1, 0.05, 0.01])),
    ("PolynomialDecay", (0.1, 5)),
    ("PolynomialDecay", (0.1, 5, 0.01, 2.0, True)),
    ("InverseTimeDecay", (0.1, 3, 0.5)),
    ("InverseTimeDecay", (0.1, 3, 0.5, True)),
    ("CosineDecay", (0.1, 10)),
    ("CosineDecay", (0.1, 10, 0.1)),
    ("CosineDecay", (0.0, 8, 0.1, "x", 0.2, 5)),
    ("CosineDecayRestarts", (0.1, 3)),
    ("CosineDecayRestarts", (0.1, 3, 1.0)),
    ("CosineDecayRestarts", (0.1, 3, 2.0, 0.8, 0.1)),
]


def test_every_optimizer_of_keras_has_a_row():
    theirs = {n for n, c in vars(keras.optimizers).items() if isinstance(c, type)}
    assert theirs <= {
        *OPTIMIZERS,
        "Optimizer",
        "LossScaleOptimizer",
        "MultiOptimizer",
        "OptimizerMap",
    }


def trained(package, name, arguments, steps, dtype):
    """The variables after each of the steps, and the optimizer."""
    fresh()
    rng = np.random.default_rng(0)
    variables = [
        package.Variable(rng.normal(size=shape), name=name, dtype=dtype)
        for name, shape in SHAPES.items()
    ]
    optimizer = getattr(package.optimizers, name)(**arguments)
    values = []
    for step in range(steps):
        gradients = [
            package.ops.convert_to_tensor(rng.normal(size=v.shape) * (0.5 + step % 3), dtype=dtype)
            for v in variables
        ]
        optimizer.apply(gradients, variables)
        values.append([v.numpy() for v in variables])
    optimizer.finalize_variable_values(variables)
    values.append([v.numpy() for v in variables])
    return values, optimizer


def compare(name, arguments, dtype, tolerance):
    arguments = {"learning_rate": 0.05, **arguments}
    expected, theirs = trained(keras, name, arguments, 20, dtype)
    values, ours = trained(cornu, name, arguments, 20, dtype)
    for step, expected_step in zip(values, expected, strict=True):
        for value, expected_value in zip(step, expected_step, strict=True):
            np.testing.assert_allclose(value, expected_value, rtol=tolerance, atol=tolerance)
    if name != "Adafactor":
        # Keras keeps its placeholders for vectors outside the optimizer's scope.
        assert [v.path for v in ours.variables] == [v.path for v in theirs.variables]
    for variable, expected_variable in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(
            variable.numpy(), expected_variable.numpy(), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize(("name", "arguments"), ROWS)
def test_20_steps_in_float64(name, arguments):
    with float64():
        # Newton and Schulz's iteration of Muon magnifies the last bits.
        compare(name, arguments, "float64", 1e-7 if name == "Muon" else 1e-9)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_20_steps_in_float32(name):
    compare(name, {}, "float32", 1e-5 if name == "SGD" else 1e-3)


@pytest.mark.parametrize(("name", "arguments"), ROWS)
def test_traced_steps_equal_eager_ones(name, arguments):
    arguments = {"learning_rate": 0.05, **arguments}
    rng = np.random.default_rng(0)
    starts = [rng.normal(size=shape).astype("float32") for shape in SHAPES.values()]
    gradients = [
        [rng.normal(size=shape).astype("float32") for shape in SHAPES.values()] for _ in range(5)
    ]
    results = []
    for traced in (False, True):
        fresh()
        variables = [
            cornu.Variable(start, name=name) for name, start in zip(SHAPES, starts, strict=True)
        ]
        optimizer = getattr(optimizers, name)(**arguments)
        optimizer.build(variables)

        def step(*gradients, optimizer=optimizer, variables=variables):
            optimizer.apply([cornu.ops.convert_to_tensor(g)[0] for g in gradients], variables)

        run = cornu.function(step) if traced else step
        for several in gradients:
            # The size of a first axis may vary in a trace; a variable's may not.
            run(*(gradient[None] for gradient in several))
        results.append([v.numpy() for v in (*variables, *optimizer.variables)])
    for eager, plan in zip(*results, strict=True):
        np.testing.assert_allclose(plan, eager, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_signatures_and_configs(name):
    theirs, ours = getattr(keras.optimizers, name), getattr(optimizers, name)
    assert [(p.name, p.default) for p in inspect.signature(theirs).parameters.values()] == [
        (p.name, p.default) for p in inspect.signature(ours).parameters.values()
    ]
    fresh()
    optimizer = ours()
    assert optimizer.get_config() == theirs().get_config()
    fresh()
    assert optimizers.serialize(optimizer) == keras.optimizers.serialize(theirs())
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert type(optimizers.get(name.lower())) is ours


@pytest.mark.parametrize(("name", "arguments"), SCHEDULES)
def test_schedules(name, arguments):
    fresh()
    theirs = getattr(keras.optimizers.schedules, name)(*arguments)
    ours = getattr(optimizers.schedules, name)(*arguments)
    for step in range(25):
        assert float(ours(step)) == pytest.approx(float(theirs(step)), rel=1e-5, abs=1e-7)
    assert ours.get_config() == theirs.get_config()
    config = optimizers.schedules.serialize(ours)
    assert config == keras.optimizers.schedules.serialize(theirs)
    assert optimizers.schedules.deserialize(config).get_config() == ours.get_config()


def test_a_schedule_follows_the_steps():
    schedule = optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    optimizer = optimizers.SGD(schedule)
    variable = cornu.Variable([0.0])
    for _ in range(3):
        optimizer.apply([cornu.ops.ones(1)], [variable])
    assert variable.numpy()[0] == pytest.approx(-0.1 - 0.05 - 0.025)
    assert float(optimizer.learning_rate) == pytest.approx(0.0125)
    with pytest.raises(TypeError, match="LearningRateSchedule"):
        optimizer.learning_rate = 0.1
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clipnorm": 1, "clipvalue": 1}, "Only one of `clipnorm`"),
        ({"nope": 1}, "not recognized: {'nope': 1}"),
        ({"use_ema": True, "ema_momentum": 2}, "`ema_momentum` must be in the range"),
        ({"gradient_accumulation_steps": 1}, "must be an integer >= 2"),
        ({"momentum": 2}, "`momentum` must be a float between"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        optimizers.SGD(**arguments)


def test_wrong_gradients():
    one, two = cornu.Variable([1.0], name="one"), cornu.Variable([1.0], name="two")
    optimizer = optimizers.SGD()
    with pytest.raises(ValueError, match="must already be built"):
        optimizer.apply([cornu.ops.ones(1)])
    with pytest.raises(ValueError, match="No gradients provided for any variable"):
        optimizer.apply([None], [one])
    with pytest.warns(UserWarning, match=r"Gradients do not exist for variables \['one'\]"):
        optimizers.SGD().apply([None, cornu.ops.ones(1)], [one, two])
    with pytest.raises(ValueError, match="Unknown variable"):
        optimizer.apply([cornu.ops.ones(1)], [two])


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("package", [keras, cornu])
def test_the_moving_average_of_a_variable_without_gradient(package):
    moved, still = (package.Variable([1.0], name=name) for name in ("moved", "still"))
    optimizer = package.optimizers.SGD(0.5, use_ema=True, ema_overwrite_frequency=2)
    for _ in range(2):
        optimizer.apply([package.ops.ones(1), None], [moved, still])
    np.testing.assert_allclose(moved.numpy(), [0.495])
    optimizer.finalize_variable_values([moved, still])
    np.testing.assert_array_equal(still.numpy(), [1.0])


def test_the_learning_rate_of_keras_2():
    optimizer = optimizers.Adam(lr=0.01)
    assert float(optimizer.lr) == pytest.approx(0.01)
    optimizer.lr = 0.5
    assert float(optimizer.learning_rate) == 0.5


def test_excluded_variables_do_not_decay():
    kernel, bias = cornu.Variable([1.0], name="kernel"), cornu.Variable([1.0], name="bias")
    optimizer = optimizers.SGD(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.apply([cornu.ops.zeros(1)] * 2, [kernel, bias])
    assert kernel.numpy()[0] == pytest.approx(0.95)
    assert bias.numpy()[0] == 1
    with pytest.raises(ValueError, match="before the optimizer is built"):
        optimizer.exclude_from_weight_decay([kernel])


def test_stateless_steps_leave_variables_alone():
    variable = cornu.Variable([1.0])
    optimizer = optimizers.Adam(0.1)
    optimizer.build([variable])
    state = [v.value for v in optimizer.variables]
    values, state = optimizer.stateless_apply(state, [cornu.ops.ones(1)], [variable.value])
    assert variable.numpy()[0] == 1
    assert values[0].numpy()[0] == pytest.approx(0.9)
    assert int(state[0]) == 1


def test_constraints_hold_after_a_step():
    variable = cornu.Variable([1.0, -1.0])
    variable.constraint = lambda value: cornu.ops.maximum(value, 0.0)
    optimizers.SGD(0.1).apply([cornu.ops.ones(2)], [variable])
    assert variable.numpy().tolist() == [pytest.approx(0.9), 0]


def test_own_optimizers():
    class Signs(optimizers.Optimizer):
        def __init__(self, learning_rate=0.1, **kwargs):
            super().__init__(learning_rate, **kwargs)

        def build(self, variables):
            super().build(variables)
            self.counts = self.add_optimizer_variables(variables, "count")

        def update_step(self, gradient, variable, learning_rate):
            self.assign_add(self.counts[self._get_variable_index(variable)], 1.0)
            self.assign_sub(variable, learning_rate * cornu.ops.sign(gradient))

    fresh()
    variable = cornu.Variable([1.0, 1.0], name="x")
    optimizer = Signs()
    optimizer.apply([cornu.ops.convert_to_tensor([3.0, -2.0])], [variable])
    assert variable.numpy().tolist() == [pytest.approx(0.9), pytest.approx(1.1)]
    assert [v.path for v in optimizer.variables] == [
        "signs/iteration",
        "signs/learning_rate",
        "signs/x_count",
    ]


def test_a_loss_scale_skips_what_is_not_finite():
    variable = cornu.Variable([1.0])
    optimizer = optimizers.LossScaleOptimizer(
        optimizers.SGD(0.5), initial_scale=4.0, dynamic_growth_steps=2
    )
    scales = []
    for gradient in (4.0, np.inf, 2.0, 2.0):
        optimizer.apply([cornu.ops.convert_to_tensor([gradient])], [variable])
        scales.append(float(optimizer.dynamic_scale))
    assert scales == [4, 2, 2, 4]
    assert variable.numpy()[0] == pytest.approx(1 - 0.5 * (1 + 1 + 1))
    assert int(optimizer.inner_optimizer.iterations) == 3
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()


def test_variables_are_saved_and_loaded():
    variable = cornu.Variable([1.0])
    optimizer = optimizers.Adam()
    optimizer.apply([cornu.ops.ones(1)], [variable])
    store = {}
    optimizer.save_own_variables(store)
    other = optimizers.Adam()
    with pytest.warns(UserWarning, match="Skipping variable loading"):
        other.load_own_variables(store)
    other.build([variable])
    other.load_own_variables(store)
    assert [v.numpy().tolist() for v in other.variables] == [
        v.numpy().tolist() for v in optimizer.variables
    ]
