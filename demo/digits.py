"""Trains a small CNN on handwritten digits, saves it, and predicts in a new process."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import cornu as keras
from cornu import layers

OUTPUT = Path("demo-output")
BATCH, EPOCHS = 32, 15


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns training images and labels, and held-out ones: (n, 8, 8, 1) in [0, 1], and (n,)."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32").reshape(-1, 8, 8, 1)
    x_train, x_test, y_train, y_test = train_test_split(
        images, labels, test_size=0.2, random_state=0, stratify=labels
    )
    return x_train, y_train, x_test, y_test


def convolution(filters: int) -> list[keras.layers.Layer]:
    """Returns a convolution with what follows it."""
    return [
        layers.Conv2D(filters, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
    ]


def build() -> keras.Model:
    """Returns the model: three convolutions, then a classifier."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            *convolution(32),
            *convolution(32),
            layers.MaxPooling2D(),
            *convolution(64),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(10, activation="softmax"),
        ]
    )


def draw(history: keras.callbacks.History, images: np.ndarray, predicted: np.ndarray) -> Path:
    """Draws the training curve and some predictions; returns the picture's path."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(11, 5), layout="constrained")
    curve, samples = figure.subfigures(1, 2)
    axes = curve.subplots()
    for name, label in (("accuracy", "training"), ("val_accuracy", "held out")):
        axes.plot(range(1, len(history.epoch) + 1), history.history[name], label=label)
    axes.set(xlabel="epoch", ylabel="accuracy", title="Handwritten digits", ylim=(0.8, 1.005))
    axes.grid(alpha=0.3)
    axes.legend()
    for axes, image, probabilities in zip(
        samples.subplots(4, 6).flat, images, predicted, strict=False
    ):
        axes.imshow(image[..., 0], cmap="gray_r")
        digit = probabilities.argmax()
        axes.set_title(f"{digit} ({probabilities[digit]:.0%})", fontsize=8)
        axes.axis("off")
    path = OUTPUT / "digits.png"
    figure.savefig(path, dpi=110)
    return path


def predict_saved() -> None:
    """Loads the saved model and stores its predictions: what the new process does."""
    *_, x_test, _ = digits()
    model = keras.saving.load_model(OUTPUT / "digits.keras")
    np.save(OUTPUT / "predictions.npy", model.predict(x_test, verbose=0))


def main() -> int:
    """Runs the demo; returns 0 when accuracy and equality hold."""
    OUTPUT.mkdir(exist_ok=True)
    keras.utils.set_random_seed(1)
    x_train, y_train, x_test, y_test = digits()
    model = build()
    model.summary()
    steps = EPOCHS * -(-len(x_train) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(
        keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    start = time.perf_counter()
    history = model.fit(
        x_train, y_train, batch_size=BATCH, epochs=EPOCHS, validation_data=(x_test, y_test)
    )
    print(f"Trained in {time.perf_counter() - start:.1f} s.")
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    predicted = model.predict(x_test, verbose=0)
    print(f"Accuracy on held-out images: {accuracy:.4f}")
    try:
        print(f"Curve and predictions: {draw(history, x_test, predicted)}")
    except ModuleNotFoundError as missing:
        print(f"No picture is drawn: {missing}.")

    model.save(OUTPUT / "digits.keras")
    subprocess.run([sys.executable, __file__, "--predict"], check=True)
    again = np.load(OUTPUT / "predictions.npy")
    equal = bool((again == predicted).all())
    print(f"A new process that loads {OUTPUT / 'digits.keras'} predicts bit-equal: {equal}")

    print("\nThe plan of a training step:\n")
    print(keras.profile(model, x_train[:BATCH], y_train[:BATCH]))
    print("\nThe plan of a prediction:\n")
    print(keras.profile(model, x_test[:BATCH]))
    return 0 if accuracy >= 0.98 and equal else 1


if __name__ == "__main__":
    if "--predict" in sys.argv:
        predict_saved()
    else:
        sys.exit(main())
