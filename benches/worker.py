"""A process that measures one library: it answers each line of JSON that it reads with one."""

import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benches.processes import serve, timed
from benches.workloads import WORKLOADS

# Whether PyTorch compiles its modules.
PYTORCH = {"PyTorch": False, "compiled PyTorch": True}

# Keras's backends, where it is not TensorFlow.
BACKENDS = {
    "Keras on JAX": "jax",
    "Keras on PyTorch": "torch",
    **dict.fromkeys(PYTORCH, "torch"),
}


def keras_of(library: str) -> Any:
    """Returns the package that stands for Keras in this process."""
    if library == "cornu":
        import cornu

        return cornu
    os.environ["KERAS_BACKEND"] = BACKENDS.get(library, "tensorflow")
    import keras

    return keras


def predict(keras: Any, model: Any, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """`model.predict`, as people call it."""
    return lambda: model.predict(x, verbose=0, batch_size=len(x))


def call(keras: Any, model: Any, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """`model(x)`."""
    return lambda: model(x)


def compiled(model: Any) -> Any:
    """Returns the model, ready to be trained."""
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def tape_step(keras: Any, model: Any, x: np.ndarray, y: np.ndarray) -> Callable[[], float]:
    """One step of a loop written by hand, call by call."""
    if keras.__name__ == "cornu":
        record = keras.GradientTape
    else:
        import tensorflow

        record = tensorflow.GradientTape
    loss_of, adam = keras.losses.SparseCategoricalCrossentropy(), keras.optimizers.Adam()

    def step() -> float:
        with record() as tape:
            loss = loss_of(y, model(x, training=True))
        variables = model.trainable_variables
        adam.apply(tape.gradient(loss, variables), variables)
        return float(loss)

    return step


def train_on_batch(keras: Any, model: Any, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """One training step."""
    compiled(model)
    return lambda: model.train_on_batch(x, y)


def epoch(
    keras: Any, model: Any, x: np.ndarray, y: np.ndarray, epochs: int = 1
) -> Callable[[], Any]:
    """Epochs of `fit` in batches of 32."""
    compiled(model)
    return lambda: model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)


ACTIONS = {
    "predict": predict,
    "call": call,
    "tape_step": tape_step,
    "train_on_batch": train_on_batch,
    "epoch": epoch,
    "five_epochs": partial(epoch, epochs=5),
}


def onnx_runtime(model: Any, x: np.ndarray) -> Callable[[], np.ndarray]:
    """The outputs of a model that ONNX Runtime runs, on as many threads as the others have."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    with tempfile.TemporaryDirectory() as folder:
        model.export(f"{folder}/model.onnx", format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(f"{folder}/model.onnx", options)
    inputs = {session.get_inputs()[0].name: x}
    return lambda: session.run(None, inputs)[0]


def openvino(model: Any, x: np.ndarray) -> Callable[[], np.ndarray]:
    """The outputs of a model that OpenVINO runs, tuned for latency."""
    from openvino import Core

    tuned = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": os.environ["OMP_NUM_THREADS"],
        "INFERENCE_PRECISION_HINT": "f32",
    }
    with tempfile.TemporaryDirectory() as folder:
        model.export(f"{folder}/model.xml", format="openvino", verbose=False)
        compiled = Core().compile_model(f"{folder}/model.xml", "CPU", tuned)
    return lambda: compiled([x])[0]


def tf_function(model: Any, x: np.ndarray) -> Callable[[], np.ndarray]:
    """The outputs of a model inside a `tf.function`, tf.keras' best setting."""
    import tensorflow as tf

    compiled = tf.function(model)
    return lambda: compiled(x).numpy()


# What runs models of tf.keras without its own loops.
RUNTIMES = {"ONNX Runtime": onnx_runtime, "OpenVINO": openvino, "tf.function": tf_function}


def matmul(library: str, size: list[int]) -> Callable[[], Any]:
    """A product of float32 matrices [m, n, k]."""
    m, n, k = size
    random = np.random.default_rng(0)
    a, b = (random.random(shape, dtype="float32") for shape in ((m, k), (k, n)))
    if library == "numpy":
        return lambda: a @ b
    if library == "cornu":
        from cornu import ops as package

        a, b = (package.convert_to_tensor(x) for x in (a, b))
        return lambda: package.matmul(a, b)
    if library == "PyTorch":
        import torch

        a, b = torch.from_numpy(a), torch.from_numpy(b)
        return lambda: torch.matmul(a, b)
    import tensorflow as tf

    a, b = tf.constant(a), tf.constant(b)
    return lambda: tf.matmul(a, b)


def resident(peak: bool = False) -> int:
    """Returns the bytes of memory that the process holds, or the most that it has held."""
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(fields["VmHWM" if peak else "VmRSS"].split()[0])


class Worker:
    """Answers requests; the last built thing is what is measured."""

    def __init__(self, library: str) -> None:
        self.library = library

    def build(self, workload: str, action: str, count: int, weights: str) -> Any:
        """Prepares an action; the first library stores its weights in the file that others read."""
        keras = keras_of(self.library)
        model = WORKLOADS[workload].build(keras)
        x, y = WORKLOADS[workload].data(count)
        if self.library == "cornu":
            np.savez(weights, *model.get_weights())
        else:
            with np.load(weights) as arrays:
                model.set_weights([arrays[name] for name in arrays.files])
        if self.library in PYTORCH:
            return self.build_pytorch(model, action, x, y)
        if self.library in RUNTIMES:
            x = x.astype(model.inputs[0].dtype)
            model(x)  # what was never called can't be exported
            self.run = RUNTIMES[self.library](model, x)
            return self.run()[:8].tolist()
        output = np.asarray(model.predict(x[:8], verbose=0))
        self.run = self.action(model, action, x, y)
        return output.tolist()

    def build_pytorch(self, model: Any, action: str, x: np.ndarray, y: np.ndarray) -> Any:
        """Prepares an action of a model as PyTorch's own modules, and calls it once."""
        from benches import pytorch

        self.run = self.action(model, action, x, y)
        output = self.run()
        if pytorch.ACTIONS[action] is not pytorch.predict:
            output = pytorch.predict(pytorch.Network(model), x[:8], y[:8], compile=False)()
        return output[:8].tolist()

    def action(self, model: Any, action: str, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
        """Returns an action of a model, or of PyTorch's own modules like it."""
        if self.library not in PYTORCH:
            return ACTIONS[action](keras_of(self.library), model, x, y)
        from benches import pytorch

        return pytorch.ACTIONS[action](pytorch.Network(model), x, y, PYTORCH[self.library])

    def trainer(self, workload: str, action: str, x: np.ndarray, y: np.ndarray) -> Callable:
        """Returns an action that trains a new model."""
        return self.action(WORKLOADS[workload].build(keras_of(self.library)), action, x, y)

    def matmul(self, size: list[int]) -> None:
        """Prepares a product."""
        self.run = matmul(self.library, size)

    def measure(self, seconds: float) -> tuple[float, float]:
        """Returns the best and the median time of a call."""
        return timed(self.run, seconds)

    def save(self, workload: str, path: str) -> None:
        """Writes a model to a file."""
        WORKLOADS[workload].build(keras_of(self.library)).save(path)

    def first_prediction(self, workload: str, count: int, path: str) -> Any:
        """Returns what the model in a file gives, and the memory held then."""
        model = keras_of(self.library).saving.load_model(path)
        x, _ = WORKLOADS[workload].data(count)
        output = np.asarray(model.predict(x, verbose=0))
        return output.tolist(), resident()

    def five_epochs(self, workload: str, count: int, path: str) -> Any:
        """Builds, compiles and trains a model; returns nothing to compare, and the memory held."""
        self.trainer(workload, "five_epochs", *WORKLOADS[workload].data(count))()
        return None, resident()

    def three_steps(self, workload: str, count: int, path: str) -> Any:
        """Trains on a batch three times; returns nothing to compare, and the memory it adds."""
        run = self.trainer(workload, "train_on_batch", *WORKLOADS[workload].data(count))
        before = resident()
        for _ in range(3):
            run()
        return None, resident(peak=True) - before

    def peak(self) -> float:
        """Returns the rate of multiply-adds of one core, in operations per second."""
        from cornu import _cornu

        return _cornu.fma_peak()


if __name__ == "__main__":
    serve(Worker(sys.argv[1]))
