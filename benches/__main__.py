"""Trains the digits CNN with Cornu and tf.keras in turns, and prints the ratio of their epochs."""

import json
import subprocess
import sys

ROUNDS = 3
EPOCHS = 4
SCRIPT = """
import json, sys, time
if sys.argv[1] == "cornu":
    import cornu as keras
else:
    from tensorflow import keras
from sklearn.datasets import load_digits
images, labels = load_digits(return_X_y=True)
x = (images / 16).astype("float32").reshape(-1, 8, 8, 1)
layers = keras.layers
model = keras.Sequential([
    keras.Input((8, 8, 1)),
    layers.Conv2D(32, 3, padding="same", activation="relu"),
    layers.BatchNormalization(),
    layers.MaxPooling2D(),
    layers.Conv2D(64, 3, padding="same", activation="relu"),
    layers.Flatten(),
    layers.Dense(10, activation="softmax"),
])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
times = []
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    model.fit(x, labels, batch_size=32, verbose=0)
    times.append(time.perf_counter() - start)
print(json.dumps(min(times)))
"""


def epoch_seconds(library: str) -> float:
    """Returns the best time of an epoch in a fresh process."""
    command = [sys.executable, "-c", SCRIPT, library, str(EPOCHS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Runs the libraries in turns and prints the ratio of their best epochs."""
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for library in ("cornu", "tf.keras"):
            best[library] = min(best.get(library, 1e9), epoch_seconds(library))
    ratio = best["tf.keras"] / best["cornu"]
    print(f"Epoch of the digits CNN: Cornu is {ratio:.2f} times as fast as tf.keras.")


if __name__ == "__main__":
    main()
