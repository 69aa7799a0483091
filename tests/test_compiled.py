"""Functions that run as plans."""

import gc
import warnings
import weakref

import numpy as np
import pytest

import cornu
from cornu import GradientTape, Variable, layers

ONES = np.ones((3, 2), "float32")


def traced(function):
    """Returns the function as a plan, and a list that grows with each trace."""
    calls = []

    def counted(*args, **kwargs):
        calls.append(args)
        return function(*args, **kwargs)

    return cornu.function(counted), calls


def test_structures_come_back():
    f, _ = traced(lambda x, y: {"a": x * y, "b": [x + 1.0, 3, None]})
    out = f(ONES, np.full((3, 1), 2.0, "float32"))
    assert out["a"].numpy().tolist() == [[2, 2]] * 3
    assert out["b"][0].numpy().tolist() == [[2, 2]] * 3
    assert out["b"][1:] == [3, None]


def test_one_trace_serves_all_batch_sizes_but_0_and_1():
    f, calls = traced(lambda x: x * 2.0)
    for size in (3, 7, 100):
        assert f(np.ones((size, 2), "float32")).shape == (size, 2)
    assert len(calls) == 1
    assert f(np.ones((1, 2), "float32")).shape == (1, 2)
    assert f(np.ones((0, 2), "float32")).shape == (0, 2)
    assert len(calls) == 3


def test_sizes_that_differ_are_left_unknown():
    f, calls = traced(lambda x, w: x * w)
    for rows, columns in ((3, 4), (5, 6), (7, 8), (9, 10), (5, 5)):
        x, w = np.ones((rows, columns), "float32"), np.full(columns, 2.0, "float32")
        assert f(x, w).numpy().tolist() == [[2] * columns] * rows
    assert len(calls) <= 3


def test_static_arguments_and_dtypes_are_part_of_the_signature():
    f, calls = traced(lambda x, scale: x * scale)
    assert f(ONES, 2.0).numpy()[0, 0] == 2
    assert f(ONES, 3.0).numpy()[0, 0] == 3
    assert f(ONES.astype("float64"), 3.0).dtype == "float64"
    assert len(calls) == 3


def test_variables_are_read_and_assigned_in_the_plan():
    v = Variable(1.0)
    f, calls = traced(lambda x: v.assign_add(1.0) * x)
    assert [float(f(np.float32(1))) for _ in range(3)] == [2, 3, 4]
    assert len(calls) == 1
    assert float(v) == 4


def test_a_tape_inside_is_part_of_the_plan():
    v = Variable(3.0)

    def f(x):
        with GradientTape() as tape:
            y = v * v * x
        return tape.gradient(y, v)

    f, calls = traced(f)
    assert [float(f(np.float32(x))) for x in (1, 2)] == [6, 12]
    assert len(calls) == 1


def test_a_tape_outside_records_the_operations():
    v = Variable(3.0)
    f = cornu.function(lambda: v * v)
    with GradientTape() as tape:
        y = f()
    assert float(tape.gradient(y, v)) == 6


def test_a_value_makes_it_eager_with_one_warning_that_names_the_line():
    def f(x):
        return x if float(x) > 1 else x * 2.0

    f = cornu.function(f)
    with pytest.warns(UserWarning, match=r"test_compiled.py:\d+.*float\(x\) > 1"):
        assert float(f(np.float32(3))) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert float(f(np.float32(0.5))) == 1


def test_a_real_size_specialises():
    def f(x):
        total = x[0]
        for i in range(1, x.shape[0]):
            total = total + x[i]
        return total

    f, _ = traced(f)
    assert f(np.ones((3, 2), "float32")).numpy().tolist() == [3, 3]
    assert f(np.ones((5, 2), "float32")).numpy().tolist() == [5, 5]


def test_sizes_that_variables_fix_stay_known():
    variable = Variable(np.zeros(4, "float32"))
    optimizer = cornu.optimizers.Adam(0.5)
    optimizer.build([variable])
    step = cornu.function(lambda gradient: optimizer.apply([gradient], [variable]))
    step(np.ones(4, "float32"))
    np.testing.assert_allclose(variable, np.full(4, -0.5), rtol=1e-5)
    with pytest.raises(ValueError, match="5"):
        step(np.ones(5, "float32"))


def test_a_change_of_a_layer_is_seen():
    class Gain(layers.Layer):
        def __init__(self):
            super().__init__()
            self.gain = 2.0

        def call(self, x):
            return x * self.gain

    layer = Gain()
    f, calls = traced(lambda x: layer(x))
    assert f(ONES).numpy()[0, 0] == 2
    layer.gain = 5.0
    assert f(ONES).numpy()[0, 0] == 5
    f(ONES)
    assert len(calls) == 2


def test_settings_are_part_of_the_signature():
    f, calls = traced(lambda x: x * 1.0)
    f(ONES)
    cornu.config.set_epsilon(1e-3)
    try:
        f(ONES)
    finally:
        cornu.config.set_epsilon(1e-7)
    assert len(calls) == 2


SPECS = [cornu.KerasTensor((None, 2)), cornu.InputSpec(shape=(), dtype="float32")]


def test_an_input_signature_makes_tensors():
    """As `tf.function` does: one trace serves numbers, lists and other dtypes of arrays."""
    calls = []

    @cornu.function(input_signature=SPECS)
    def f(x, y):
        calls.append((x.dtype, y.dtype))
        return x * y

    for x in (ONES, ONES.tolist(), ONES.astype("int64"), np.ones((5, 2))):
        for y in (2, 2.0, np.float64(2)):
            assert np.unique(f(x, y=y)).tolist() == [2]
    assert calls == [("float32", "float32")]


@pytest.mark.parametrize(
    "args",
    [
        (ONES,),
        (ONES, 1.0, 2.0),
        (ONES[0], 1.0),
        (np.ones((3, 3), "float32"), 1.0),
        (cornu.ops.ones((3, 2), "float64"), 1.0),
        (ONES, "one"),
        (ONES, None),
        ({"x": ONES}, 1.0),
    ],
    ids=["few", "many", "rank", "size", "dtype", "text", "nothing", "structure"],
)
def test_arguments_that_do_not_fit_the_input_signature(args):
    f = cornu.function(lambda x, y: x * y, input_signature=SPECS)
    with pytest.raises(TypeError):
        f(*args)


def test_input_signatures_of_structures_and_defaults():
    spec = cornu.KerasTensor((None,))
    f = cornu.function(
        lambda d, scale=3.0: d["a"] * d["b"][0] * scale, input_signature=[{"a": spec, "b": [spec]}]
    )
    assert f({"a": [1], "b": [[2.0]]}).numpy().tolist() == [6]
    assert f({"a": [1], "b": [[2.0]]}, scale=1.0).numpy().tolist() == [2]
    with pytest.raises(TypeError, match="list"):
        f({"a": [1], "b": 2.0})


@pytest.mark.parametrize("signature", [SPECS[0], [3], "float32"], ids=["bare", "number", "text"])
def test_an_input_signature_is_a_list_of_specs(signature):
    with pytest.raises(TypeError, match="input_signature"):
        cornu.function(lambda x: x, input_signature=signature)


def test_each_argument_without_default_has_a_spec():
    with pytest.raises(TypeError, match="no spec for argument 'y'"):
        cornu.function(lambda x, y: x, input_signature=SPECS[:1])(ONES, 1.0)


class Scale:
    def __init__(self, scale):
        self.scale = scale

    @cornu.function
    def by_scale(self, x):
        """Scales."""
        return x * self.scale

    @cornu.function(input_signature=[cornu.KerasTensor((None,))])
    def of_list(self, x):
        return self.by_scale(x) + 1.0


def test_methods_have_plans_for_each_object():
    two, three = Scale(2.0), Scale(3.0)
    assert two.by_scale(ONES).numpy()[0, 0] == 2
    assert three.by_scale(ONES).numpy()[0, 0] == 3
    assert two.by_scale is two.by_scale
    assert two.by_scale.__doc__ == "Scales."
    assert three.of_list([1, 2]).numpy().tolist() == [4, 7]
    assert Scale.by_scale(two, ONES).numpy()[0, 0] == 2
    gone = weakref.ref(two)
    del two
    gc.collect()
    assert gone() is None


def test_an_unhashable_argument_is_known_by_identity():
    class Options:
        __hash__ = None

        def __init__(self, scale):
            self.scale = scale

    f = cornu.function(lambda x, options: x * options.scale)
    for scale in range(1, 50):  # a freed object's place would be taken by the next
        assert f(ONES, Options(float(scale))).numpy()[0, 0] == scale


def test_arguments_of_tf_function_are_taken():
    f = cornu.function(autograph=False, jit_compile=True, reduce_retracing=True)(lambda x: x + 1.0)
    assert f(ONES).numpy()[0, 0] == 2


def test_functions_of_strings_run_as_they_are():
    seen = []

    @cornu.function
    def shout(words, x):
        seen.append(type(words))
        return np.char.upper(words), x * 2

    for _ in range(2):
        words, doubled = shout(np.array(["a", "b"]), np.ones(2, "float32"))
        assert words.tolist() == ["A", "B"]
        np.testing.assert_array_equal(doubled, [2, 2])
    assert seen == [np.ndarray] * 2
