"""Other packages' `import keras`, each case in a process of its own."""

import importlib.util
import os
import pkgutil
import subprocess
import sys

import pytest

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def _run(code, *arguments, check=True):
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert result.returncode == 0 or not check, result.stderr
    return result


ALIASES = """
import sys, cornu
cornu.install_as_keras()
cornu.install_as_keras()
import keras, keras.layers as L, keras.backend as K
from keras.layers import Dense
from keras.layers.core import Dropout
from keras.layers.experimental.preprocessing import Rescaling
from keras.utils.np_utils import Sequence
from keras.engine.topology import Layer
from keras.src.models.functional import Functional
from keras.src.layers.core.dense import Dense as Private
from keras.src.trainers.trainer import Trainer
from keras.src.backend.common.variables import Variable
import keras.src.ops
assert keras is cornu and L is cornu.layers and K is cornu.backend
assert Dense is Private is cornu.layers.Dense and Layer is cornu.Layer
assert (Dropout, Rescaling) == (cornu.layers.Dropout, cornu.layers.Rescaling)
assert Functional is cornu.models.Functional and Sequence is cornu.utils.PyDataset
assert cornu.models.__name__ == "cornu.models" and cornu.layers.__spec__.name == "cornu.layers"
names = {}
exec("from keras.src.ops import *", names)
assert names["shape"] is cornu.ops.shape and "Model" not in names
exec("from keras.engine.topology import *", names)
assert names["Model"] is cornu.Model and names["Layer"] is cornu.Layer
import importlib.metadata
assert importlib.metadata.version("keras") == cornu.__version__
for name in ("keras.nothing", "keras.src.nothing"):
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        assert error.name == name
    else:
        raise AssertionError(name)
"""


def test_keras_is_cornu():
    _run(ALIASES)


PRIVATE = """
import sys, types, importlib, cornu
cornu.install_as_keras()
missing = []
for name in sys.argv[1:]:
    try:
        importlib.import_module(f"keras.src.{name}")
    except ModuleNotFoundError:
        missing.append(name)
assert not missing, missing
from keras.src.backend import any_symbolic_tensors, standardize_data_format
from keras.src.layers.rnn.rnn import RNN
from keras.src.ops.node import Node
from keras.src.optimizers.base_optimizer import BaseOptimizer
from keras.src.saving import serialization_lib
from keras.src.saving.saving_lib import load_weights_only
from keras.src.trainers.compile_utils import CompileLoss
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDataset
from keras.src.trainers.trainer import Trainer
from keras.src.utils.tracking import Tracker
assert RNN is cornu.layers.RNN and PyDataset is cornu.utils.PyDataset
assert BaseOptimizer is cornu.optimizers.Optimizer and issubclass(cornu.Model, Trainer)
assert serialization_lib.serialize_keras_object is cornu.saving.serialize_keras_object
assert load_weights_only is cornu.saving.load_weights
assert not any_symbolic_tensors((1,), {}) and any_symbolic_tensors((cornu.Input((2,)),), {})
assert standardize_data_format(None) == "channels_last"
assert all(isinstance(x, type) for x in (Node, CompileLoss, Tracker))
# What is not there is not given as an empty module.
for statement in (
    "from keras.src.saving.saving_lib import H5IOStore",
    "from keras.src.layers.preprocessing.index_lookup import IndexLookup",
    "from keras.src.backend import no_such_function",
    "from keras.src.layers import no_such_function",
    "from keras.src.utils.python_utils import default",
    "from keras.src.ops.symbolic_arguments import SymbolicArguments",
    "import keras.src.layers.core.dense.units",
    "import keras.src.utils.nothing",
):
    try:
        exec(statement)
    except ImportError:
        pass
    else:
        raise AssertionError(statement)
"""


def _private_modules(folders, prefix=""):
    """The modules of the real Keras's `keras.src` that don't belong to a backend or its tests."""
    for info in pkgutil.iter_modules(folders):
        name = f"{prefix}{info.name}"
        backend = prefix == "backend." and info.name not in ("common", "config")
        if backend or info.name.endswith(("_test", "_impl")) or info.name.startswith("_"):
            continue
        if name in ("api_export", "testing", "version") or name.startswith("export."):
            continue
        yield name
        if info.ispkg:
            inner = [f"{folder}/{info.name}" for folder in folders]
            yield from _private_modules(inner, f"{name}.")


def test_private_modules_are_those_of_keras():
    folders = [
        f"{folder}/src" for folder in importlib.util.find_spec("keras").submodule_search_locations
    ]
    names = list(_private_modules(folders))
    assert "layers.core.dense" in names and "trainers.data_adapters.py_dataset_adapter" in names
    _run(PRIVATE, *names)


def test_the_real_keras_is_not_replaced():
    code = """
import sys, types
sys.modules["{0}"] = types.ModuleType("{0}")
import cornu
cornu.install_as_keras(tensorflow=True)
"""
    for name in ("keras", "tensorflow"):
        result = _run(code.format(name), check=False)
        assert f"`{name}` is imported already" in result.stderr


def test_nothing_is_installed_unasked():
    _run("import sys, cornu; cornu.layers.Dense; assert 'keras' not in sys.modules")
    _run(
        "import cornu; cornu.install_as_keras(); import sys; assert 'tensorflow' not in sys.modules"
    )


TENSORFLOW = """
import numpy as np
import cornu
cornu.install_as_keras(tensorflow=True)
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras.layers import Dense
from tensorflow.python.keras.layers import LSTM
import tensorflow.keras.backend as K
assert keras is cornu and tf.keras is cornu and Dense is cornu.layers.Dense

a, b = tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.Variable(tf.ones((2, 2)))
np.testing.assert_allclose(tf.matmul(a, b), [[3, 3], [7, 7]])
np.testing.assert_allclose(tf.reduce_sum(a, axis=1), [3, 7])
np.testing.assert_allclose(tf.reduce_mean(input_tensor=a), 2.5)
np.testing.assert_allclose(tf.math.reduce_variance(a), 1.25)
np.testing.assert_allclose(tf.concat([a, a], axis=-1).shape, (2, 4))
np.testing.assert_allclose(tf.clip_by_value(a, 2, 3), [[2, 2], [3, 3]])
np.testing.assert_allclose(tf.nn.l2_normalize(a, axis=1)[1], [0.6, 0.8], rtol=1e-6)
np.testing.assert_array_equal(tf.argmax(a), [1, 1])
np.testing.assert_array_equal(tf.one_hot([1], 3), [[0, 1, 0]])
np.testing.assert_array_equal(tf.transpose(a, perm=[1, 0])[0], [1, 3])
assert [x.shape[0] for x in tf.split(tf.range(6), [1, 2, 3])] == [1, 2, 3]
np.testing.assert_array_equal(tf.boolean_mask(a, [False, True]), [[3, 4]])
np.testing.assert_array_equal(tf.pad(a, [[0, 0], [1, 0]])[:, 0], [0, 0])
assert tf.cast(a, tf.int32).dtype == tf.int32 and tf.shape(a)[0] == 2 and tf.rank(a) == 2
assert isinstance(b, tf.Variable) and isinstance(a, tf.Tensor)
assert tf.Variable(initial_value=3).dtype == "int32"
layer = Dense(1)
layer.build((None, 2))
assert isinstance(layer.kernel, tf.Variable)
assert tf.random.normal((2, 3), mean=1.0, stddev=0.5, seed=1).shape == (2, 3)
assert tf.random.uniform([4], maxval=9, dtype=tf.int32).dtype == "int32"
image = tf.ones((1, 6, 6, 2))
kernel = tf.ones((3, 3, 2, 4))
assert tf.nn.conv2d(image, kernel, strides=[1, 2, 2, 1], padding="SAME").shape == (1, 3, 3, 4)
assert tf.nn.max_pool2d(image, 2, 2, "VALID").shape == (1, 3, 3, 2)

@tf.function
def step(x):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(tf.matmul(x, b)))
    return tape.gradient(loss, b)

np.testing.assert_allclose(step(a), 2 * np.array(a).T @ np.array(a) @ np.ones((2, 2)))
logits = tf.constant([[0.0, 0.0]])
for loss in (
    tf.nn.softmax_cross_entropy_with_logits(labels=tf.constant([[0.0, 1.0]]), logits=logits),
    tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[1], logits=logits),
    tf.nn.sigmoid_cross_entropy_with_logits(labels=[1.0], logits=[0.0]),
):
    np.testing.assert_allclose(loss, [np.log(2)], rtol=1e-5)
for name, spelling in (("segment_sums", "segment_sum"), ("nn.softmaxx", "softmax")):
    try:
        home, _, last = name.rpartition(".")
        getattr(getattr(tf, home) if home else tf, last)
    except AttributeError as error:
        assert f"Use `keras.ops.{spelling}`" in str(error)
    else:
        raise AssertionError(name)
"""


def test_a_small_tensorflow():
    _run(TENSORFLOW)


SCRIPT = """
import sys
import keras
if __name__ == "__main__":
    print(keras.__name__, *sys.argv[1:])
"""


@pytest.mark.parametrize("as_module", [False, True])
def test_scripts_run_with_it(tmp_path, as_module):
    (tmp_path / "script.py").write_text(SCRIPT)
    what = ["-m", "script"] if as_module else [str(tmp_path / "script.py")]
    result = subprocess.run(
        [sys.executable, "-m", "cornu.as_keras", *what, "--epochs", "3"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=ENVIRONMENT,
    )
    assert result.stdout.strip() == "cornu --epochs 3", result.stderr


def test_usage_is_told():
    result = subprocess.run(
        [sys.executable, "-m", "cornu.as_keras"], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert result.returncode != 0 and "usage" in result.stderr
