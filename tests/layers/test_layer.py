"""The contract of layers."""

import numpy as np
import pytest

import cornu
from cornu import GradientTape, Input, Model, layers, ops
from cornu.layers import InputSpec, Layer
from cornu.ops.symbolic import KerasTensor

X = np.ones((2, 4), "float32")


class Scale(Layer):
    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        self.scale = self.add_weight(
            shape=(input_shape[-1],), initializer=lambda s, dtype: np.full(s, self.start, dtype),
            name="scale",
        )  # fmt: skip

    def call(self, x):
        return x * self.scale


class Probe(Layer):
    """Remembers the `training` of its last call."""

    def call(self, x, training=None):
        self.seen = training
        return x


class Pair(Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.a, self.b = Probe(), Probe()

    def call(self, x):
        return self.b(self.a(x))


# Building and weights


def test_a_call_builds():
    layer = Scale()
    assert not layer.built and layer.weights == [] and layer.path is None
    assert layer(X).numpy().tolist() == X.tolist()
    assert layer.built
    assert [w.path for w in layer.weights] == [f"{layer.name}/scale"]
    assert layer.get_build_config() == {"input_shape": (2, 4)}


def test_build_may_take_a_shape_for_each_argument():
    class Two(Layer):
        def build(self, a_shape, b_shape):
            self.shapes = (tuple(a_shape), tuple(b_shape))

        def call(self, a, b=None):
            return a

    layer = Two()
    layer(X, np.ones((2, 3)))
    assert layer.shapes == ((2, 4), (2, 3))
    assert layer.get_build_config() == {"shapes_dict": {"a_shape": (2, 4), "b_shape": (2, 3)}}
    other = Two()
    other.build_from_config(layer.get_build_config())
    assert other.shapes == layer.shapes
    with pytest.raises(TypeError, match="b_shape"):
        Two()(X)


def test_add_weight_takes_its_arguments_as_keras_2_and_3_do():
    layer = Layer()
    new = layer.add_weight((2, 3), "ones")
    old = layer.add_weight("w", [3, 2])
    scalar = layer.add_weight(dtype="int32", trainable=False, name="count")
    assert (new.shape, old.shape, old.name, scalar.shape) == ((2, 3), (3, 2), "w", ())
    assert layer.trainable_weights == [new, old]
    assert layer.non_trainable_weights == [scalar]
    assert int(scalar) == 0


def test_weights_come_trainable_first_then_those_of_inner_layers():
    class Outer(Layer):
        def __init__(self):
            super().__init__()
            self.inner = Scale()
            self.frozen = self.add_weight(shape=(1,), trainable=False, name="frozen")
            self.free = self.add_weight(shape=(1,), name="free")

        def call(self, x):
            return self.inner(x)

    layer = Outer()
    layer(X)
    assert [w.name for w in layer.weights] == ["free", "frozen", "scale"]
    assert [w.path.rpartition("/")[0] for w in layer.weights] == [
        "outer", "outer", f"outer/{layer.inner.name}",
    ]  # fmt: skip
    layer.trainable = False
    assert layer.trainable_weights == [] and not layer.inner.trainable
    assert len(layer.non_trainable_weights) == 3


def test_weights_of_a_frozen_layer_are_frozen():
    layer = Scale(trainable=False)
    x = Input((4,))
    assert Model(x, layer(x)).trainable_weights == []
    layer.trainable = True
    assert layer.trainable_weights == [layer.scale]


def test_state_is_made_in_init_or_build_alone():
    class Late(Layer):
        def call(self, x):
            self.late = self.add_weight(shape=(1,))
            return x

    with pytest.raises(ValueError, match="You cannot add new elements of state"):
        Late()(X)


def test_containers_are_tracked():
    class Holder(Layer):
        def __init__(self):
            super().__init__()
            self.many = [Scale(), {"deep": Scale()}]
            self.many.append(Scale())
            self.named = {}
            self.named["x"] = Scale()

        def call(self, x):
            return x

    layer = Holder()
    assert len(layer._layers) == 4
    layer.many.pop()
    del layer.named["x"]
    assert len(layer._layers) == 2


def test_get_and_set_weights():
    layer = Scale()
    layer(X)
    (value,) = layer.get_weights()
    layer.set_weights([value * 3])
    assert layer(X).numpy()[0, 0] == 3
    with pytest.raises(ValueError, match="with a weight list of length 2"):
        layer.set_weights([value, value])
    with pytest.raises(ValueError, match=r"weight shape \(4,\) is not compatible"):
        layer.set_weights([value[:2]])


def test_count_params():
    layer = Scale()
    with pytest.raises(ValueError, match="the layer isn't built"):
        layer.count_params()
    layer(X)
    assert layer.count_params() == 4


# Calls


def test_arrays_are_converted_to_the_compute_dtype():
    assert Scale()(np.ones((2, 4), "float64")).dtype == "float32"
    assert Scale(dtype="float64")(X).dtype == "float64"
    assert Scale(autocast=False)(np.ones((2, 4), "float64")).dtype == "float64"


def test_mixed_precision_computes_in_half():
    layer = Scale(dtype="mixed_float16")
    assert layer(X).dtype == "float16"
    assert layer.scale.dtype == "float32"
    assert (layer.compute_dtype, layer.variable_dtype) == ("float16", "float32")


def test_only_tensors_are_positional():
    with pytest.raises(ValueError, match="Only input tensors may be passed as positional"):
        Scale()([1, 2, 3])


def test_training_is_passed_down():
    layer = Pair()
    layer(X)
    assert (layer.a.seen, layer.b.seen) == (None, None)
    layer(X, training=True)
    assert (layer.a.seen, layer.b.seen) == (True, True)

    class Outer(Layer):
        def __init__(self):
            super().__init__()
            self.pair, self.probe = Pair(), Probe()

        def call(self, x, training=None):
            x = self.probe(x, training=False)
            return self.pair(x)

    outer = Outer()
    outer(X, training=True)
    assert (outer.probe.seen, outer.pair.a.seen, outer.pair.b.seen) == (False, True, True)
    outer(X)
    assert outer.pair.a.seen is None


def test_masks_are_filled_in_and_passed_on():
    class Source(Layer):
        supports_masking = True

        def call(self, x):
            return x

        def compute_mask(self, x, mask=None):
            return ops.not_equal(x, 0)

    class Sink(Layer):
        def call(self, x, mask=None):
            self.seen = mask
            return x

    class Through(Layer):
        supports_masking = True

        def call(self, x):
            return x + 1.0

    x = Through()(Source()(np.array([[1.0, 0.0]])))
    assert x._keras_mask.numpy().tolist() == [[True, False]]
    sink = Sink()
    with pytest.warns(UserWarning, match="does not support masking"):
        sink(x)
    assert sink.seen.numpy().tolist() == [[True, False]]


def test_input_spec():
    layer = Scale()
    layer.input_spec = InputSpec(min_ndim=2, axes={-1: 4})
    with pytest.raises(ValueError, match=r"expected min_ndim=2, found ndim=1. Full shape"):
        layer(np.ones(4))
    with pytest.raises(ValueError, match=r"expected axis -1 of input shape to have value 4"):
        layer(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"expects 1 input\(s\), but it received 2"):
        layer([X, X])


def test_an_error_in_call_names_the_layer_and_its_arguments():
    class Broken(Layer):
        def call(self, x):
            raise KeyError("no such thing")

    with pytest.raises(KeyError) as error:
        Broken()(X)
    for part in ("Broken.call()", "no such thing", "shape=(2, 4), dtype=float32"):
        assert part in str(error.value)


def test_super_init_is_asked_for():
    class Forgetful(Layer):
        def __init__(self):
            pass

    with pytest.raises(RuntimeError, match=r"you forgot to call `super\(\).__init__\(\)`"):
        Forgetful()(X)


@pytest.mark.parametrize("argument", [{"units": 3}, {"shape": (3,)}])
def test_unknown_arguments_are_refused(argument):
    with pytest.raises(ValueError, match="Unrecognized keyword arguments passed to Layer"):
        Layer(**argument)


# Losses


def test_losses_are_those_of_the_last_call():
    class Penalty(Layer):
        def call(self, x):
            self.add_loss(ops.sum(x) * 0.5)
            return x

    class Outer(Layer):
        def __init__(self):
            super().__init__()
            self.a = Penalty()

        def call(self, x):
            return self.a(self.a(x))

    layer = Outer()
    for _ in range(2):
        layer(X)
        assert [float(loss) for loss in layer.losses] == [4, 4]
    with pytest.raises(ValueError, match="can only be called from inside"):
        layer.add_loss(3.0)


def test_weight_and_activity_regularizers():
    layer = Scale(activity_regularizer=lambda x: ops.sum(x))
    layer(X)
    layer.scale.regularizer = lambda w: ops.sum(w) * 10.0
    # That of the outputs is divided by the number of samples.
    assert [float(loss) for loss in layer.losses] == [4, 40]
    layer.trainable = False
    assert len(layer.losses) == 1


# Symbolic calls


def test_a_symbolic_call_infers_shapes_without_running():
    class Shape(Layer):
        def call(self, x, y):
            return {"sum": x + y, "x": (x, ops.not_equal(x, 0))}

    out = Shape()(Input((3,)), Input((1, 3)))
    assert out["sum"].shape == (None, None, 3)
    assert out["x"][0].shape == (None, 3)
    assert out["x"][1].dtype == "bool"


def test_input_and_output():
    layer = Scale()
    with pytest.raises(AttributeError, match="has never been called"):
        layer.input  # noqa: B018
    x = Input((4,))
    y = layer(x)
    assert layer.input is x and layer.output is y
    assert y._keras_history.operation is layer


def test_compute_output_shape_leaves_the_layer_unbuilt():
    layer = Scale()
    assert layer.compute_output_shape((None, 4)) == (None, 4)
    assert not layer.built


def test_an_own_output_shape_wins():
    class Own(Layer):
        def call(self, x):
            raise AssertionError

        def compute_output_shape(self, input_shape):
            return (*input_shape, 7)

    assert Own()(Input((2,))).shape == (None, 2, 7)


def test_weights_of_layers_inside_are_real_after_a_symbolic_call():
    class Outer(Layer):
        def __init__(self):
            super().__init__()
            self.inner = Scale(2.0)

        def call(self, x):
            return self.inner(x)

    layer = Outer()
    layer(Input((4,)))
    assert layer.inner.scale.numpy().tolist() == [2] * 4
    assert layer(X).numpy()[0, 0] == 2


# State


def test_stateless_call_changes_nothing():
    class Counter(Layer):
        def build(self, input_shape):
            self.w = self.add_weight(shape=(), initializer="ones")
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, x):
            self.count.assign_add(1.0)
            return x * self.w

    layer = Counter()
    layer.build((2, 4))
    out, state = layer.stateless_call([np.float32(5)], [np.float32(10)], X)
    assert out.numpy()[0, 0] == 5
    assert [float(v) for v in state] == [11]
    assert (float(layer.w), float(layer.count)) == (1, 0)


def test_gradients_reach_weights():
    layer = Scale()
    layer(X)
    with GradientTape() as tape:
        y = ops.sum(layer(X))
    assert tape.gradient(y, layer.scale).numpy().tolist() == [2, 2, 2, 2]


def test_own_variables_are_saved_and_loaded():
    layer, store = Scale(3.0), {}
    layer.build((2, 4))
    layer.save_own_variables(store)
    other = Scale()
    with pytest.raises(ValueError, match="was never built"):
        other.load_own_variables(store)
    other.build((2, 4))
    other.load_own_variables(store)
    assert other.scale.numpy().tolist() == [3] * 4
    with pytest.raises(ValueError, match="expected 1 variables, but received 0"):
        other.load_own_variables({})


def test_a_change_of_an_attribute_changes_the_version():
    layer = Pair()
    version = layer.structure_version()
    layer(X)
    layer(X)
    called = layer.structure_version()
    layer.a.trainable = False
    assert layer.structure_version() > called >= version


# Configs


def test_the_config_is_the_constructor_s_arguments():
    layer = Scale(2.0, name="s")
    config = layer.get_config()
    assert config["start"] == 2.0
    assert config["dtype"]["config"] == {"name": "float32"}
    other = Scale.from_config(config)
    assert other.start == 2.0


def test_a_config_that_is_no_data_is_refused():
    class Odd(Layer):
        def __init__(self, thing):
            super().__init__()

    with pytest.raises(NotImplementedError, match="get_config"):
        Odd(object()).get_config()


def test_a_constructor_without_base_arguments_is_revived():
    class Plain(Layer):
        def __init__(self):
            super().__init__()

    layer = Plain()
    layer.trainable = False
    assert not Plain.from_config(layer.get_config()).trainable


def test_names_count_up_and_start_anew_with_the_session():
    cornu.utils.clear_session()
    assert [Scale().name, Scale().name, Scale(name="own").name] == ["scale", "scale_1", "own"]
    cornu.utils.clear_session()
    assert Scale().name == "scale"
    with pytest.raises(ValueError, match="cannot contain character `/`"):
        Scale(name="a/b")


def test_input_layers():
    x = Input((3,), batch_size=2, dtype="int32", name="ids")
    assert (x.shape, x.dtype, x.name) == ((2, 3), "int32", "ids")
    assert isinstance(x._keras_history.operation, layers.InputLayer)
    assert Input(batch_shape=(None, 2)).shape == (None, 2)
    own = KerasTensor((None, 5))
    assert Input(tensor=own) is own
    with pytest.raises(ValueError, match="You must pass a `shape` argument"):
        Input()
    with pytest.raises(ValueError, match="both `shape` and `batch_shape`"):
        Input((1,), batch_shape=(2, 1))


def test_a_symbolic_tensor_has_no_value():
    x = Input((3,))
    for use in (bool, float, int, list, np.array, lambda x: x.numpy()):
        with pytest.raises(
            (TypeError, ValueError, NotImplementedError), match="A KerasTensor is symbolic"
        ):
            use(x)
    assert Model(x, x + 1.0)(np.ones((1, 3))).numpy().tolist() == [[2, 2, 2]]


def test_layers_by_their_configs():
    stored = layers.serialize(layers.Dense(3, name="end"))
    assert layers.deserialize(stored).get_config() == layers.Dense(3, name="end").get_config()
    with pytest.raises(ValueError, match="not a"):
        layers.deserialize(
            {"class_name": "L2", "module": "keras.regularizers", "config": {"l2": 0.5}}
        )
