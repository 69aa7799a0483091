"""Tables of what utilities of data do: expressions of `keras`, by name."""

# ruff: noqa: B023 - each case is called before the next one is asked for

import os
import pathlib
import tempfile
import wave
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from outcomes import record

RECORDED = pathlib.Path(__file__).with_suffix(".json")

Pairs = Iterator[tuple[str, Callable[[], Any]]]


def batches(dataset: Any) -> list[Any]:
    """Returns the batches of a dataset; its texts decoded."""

    def plain(part: Any) -> Any:
        if isinstance(part, np.ndarray) or not hasattr(part, "numpy"):
            return part
        return part.numpy()

    return [
        [plain(part) for part in batch] if isinstance(batch, tuple) else plain(batch)
        for batch in dataset
    ]


def split_dataset(keras: Any) -> Pairs:
    split, x = keras.utils.split_dataset, np.arange(10)

    def parts(data: Any, **sizes: Any) -> Any:
        return [[batches([e])[0] for e in part] for part in split(data, **sizes)]

    for sizes in (
        {"left_size": 0.7},
        {"right_size": 0.2},
        {"left_size": 3, "right_size": 2},
        {"left_size": 3, "right_size": 0.5},
        {"left_size": 0.25},
        {"right_size": 0.35},
        {"left_size": 0.55, "right_size": 0.4},
        {"left_size": 9, "right_size": 0.5},
        {},
        {"left_size": 0.0},
        {"left_size": 1.0},
        {"left_size": 11},
        {"left_size": 0.9, "right_size": 0.2},
        {"left_size": "x"},
        {"left_size": -1},
        {"left_size": 0.01},
    ):
        yield f"{sizes}", lambda: parts(x, **sizes)
    yield "tuple", lambda: parts((x, 2 * x), left_size=0.2)
    yield "rows", lambda: parts(np.ones((10, 2)), left_size=0.1)
    yield "lengths", lambda: parts((x, x[:3]), left_size=0.5)
    yield "number", lambda: parts(3, left_size=0.5)
    yield "numbers", lambda: parts([1, 2, 3], left_size=0.5)
    yield "dict", lambda: parts({"a": x}, left_size=0.5)


def timeseries(keras: Any) -> Pairs:
    make, x = keras.utils.timeseries_dataset_from_array, np.arange(20)
    for data, targets, size, given in (
        (x, None, 4, {}),
        (x, 10 * x, 4, {"batch_size": 3}),
        (x, x[4:], 4, {"sequence_stride": 3}),
        (x, None, 4, {"sampling_rate": 2, "batch_size": None}),
        (x, None, 4, {"start_index": 3, "end_index": 12}),
        (x, x, 4, {"start_index": 3, "end_index": 12}),
        (x, x[:9], 4, {"end_index": 7}),
        (x.reshape(10, 2), x[:10], 3, {"batch_size": 4}),
        (x, None, 30, {}),
        (x, x[:0], 4, {}),
        (x, None, 4, {"sequence_stride": 0}),
        (x, None, 4, {"sampling_rate": 0}),
        (x, None, 4, {"start_index": -1}),
        (x, None, 4, {"start_index": 30}),
        (x, None, 4, {"end_index": 30}),
        (x, None, 4, {"start_index": 5, "end_index": 4}),
        (x, None, 4, {"sequence_stride": 40}),
        (x, None, 4, {"sampling_rate": 40}),
        (x, None, 4, {"format": "x"}),
    ):
        count = None if targets is None else len(targets)
        name = f"{data.shape} {count} {size} {given}"
        yield name, lambda: batches(make(data, targets, size, **given))


def text_files(keras: Any) -> Pairs:
    make = keras.utils.text_dataset_from_directory
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, words in (("b", ["ünï", "x"]), ("a", ["w", "hello w", "hello hello w"])):
            (root / name).mkdir()
            for number, text in enumerate(words):
                (root / name / f"{number}.txt").write_text(text, encoding="utf-8")
        (root / "a" / "z.dat").write_text("no text")
        (root / "own.txt").write_text("own")
        fixed = {"shuffle": False, "verbose": False}
        for given in (
            {},
            {"label_mode": "binary"},
            {"label_mode": "categorical", "batch_size": 2},
            {"label_mode": None},
            {"labels": None},
            {"batch_size": None},
            {"class_names": ["b", "a"]},
            {"class_names": ["b"]},
            {"class_names": ["c"]},
            {"max_length": 4, "class_names": ["a"]},
            {"validation_split": 0.4, "subset": "training"},
            {"validation_split": 0.4, "subset": "validation"},
            {"labels": [5, 4, 3, 2, 1, 0]},
            {"labels": [1, 2]},
            {"labels": "x"},
            {"label_mode": "x"},
            {"validation_split": 2.0},
            {"subset": "training"},
            {"validation_split": 0.2},
            {"validation_split": 0.2, "subset": "x"},
            {"labels": [0, 1, 2, 3, 4, 5], "label_mode": "binary"},
            {"labels": [0, 1, 2, 3, 4, 5], "class_names": ["q"]},
            {"format": "x"},
        ):
            yield f"{given}", lambda: batches(make(folder, **{**fixed, **given}))
        for given in (
            {"validation_split": 0.4, "subset": "both"},
            {"validation_split": 0.4, "subset": "both", "shuffle": True, "seed": 3},
        ):
            yield (
                f"{given}",
                lambda: [
                    sorted(batches(part.unbatch() if hasattr(part, "unbatch") else _single(part)))
                    for part in make(folder, label_mode=None, **{**fixed, **given})
                ],
            )
        yield (
            "shuffled without a seed",
            lambda: make(folder, validation_split=0.4, subset="training", verbose=False),
        )
        yield "names", lambda: make(folder, **fixed).class_names
        yield "missing", lambda: make(f"{folder}/none")
        (root / "empty").mkdir()
        yield "empty", lambda: make(root / "empty")


def _single(dataset: Any) -> Iterator[Any]:
    """Yields the texts of a dataset as TensorFlow does, as bytes."""
    for batch in dataset:
        yield from (text.encode() for text in batch)


def audio_files(keras: Any) -> Pairs:
    make = keras.utils.audio_dataset_from_directory
    with tempfile.TemporaryDirectory() as folder:
        for name, length, channels in (("a", 5, 1), ("b", 3, 1)):
            os.mkdir(f"{folder}/{name}")
            with wave.open(f"{folder}/{name}/0.wav", "wb") as file:
                file.setnchannels(channels)
                file.setsampwidth(2)
                file.setframerate(8000)
                samples = np.linspace(-30000, 32767, length * channels).astype("<i2")
                file.writeframes(samples.tobytes())
        fixed = {"shuffle": False, "verbose": False}
        for given in (
            {"output_sequence_length": 4},
            {"output_sequence_length": 7, "label_mode": None},
            {"batch_size": None, "output_sequence_length": 2},
            {"batch_size": 1},
            {"ragged": True, "output_sequence_length": 2},
            {"sampling_rate": -1},
        ):
            yield f"{given}", lambda: batches(make(folder, **{**fixed, **given}))


def image_files(keras: Any) -> Pairs:
    from PIL import Image

    make = keras.utils.image_dataset_from_directory
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for name in "ab":
            os.mkdir(f"{folder}/{name}")
            for number in range(3):
                pixels = generator.integers(0, 255, (8, 6, 3), dtype="uint8")
                Image.fromarray(pixels).save(f"{folder}/{name}/{number}.png")
        fixed = {"shuffle": False, "verbose": False, "image_size": (2, 3)}
        for given in (
            {},
            {"label_mode": "categorical", "batch_size": 4},
            {"label_mode": None, "color_mode": "rgba"},
            {"batch_size": None},
            {"data_format": "channels_first"},
            {"crop_to_aspect_ratio": True},
            {"interpolation": "x"},
            {"color_mode": "x"},
            {"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True},
        ):
            yield f"{given}", lambda: batches(make(folder, **{**fixed, **given}))
        yield (
            "shuffled",
            lambda: [
                os.path.relpath(path, folder)
                for path in make(folder, seed=3, verbose=False).file_paths
            ],
        )


def images(keras: Any) -> Pairs:
    import io

    from PIL import Image

    utils, generator = keras.utils, np.random.default_rng(0)

    def told(image: Any) -> Any:
        return [image.mode, np.asarray(image)]

    for shape in ((2, 3, 3), (2, 3, 1), (2, 3, 4), (2, 3, 2), (2, 3), (2, 3, 3, 1)):
        x = generator.standard_normal(shape)
        yield f"to image {shape}", lambda: told(utils.array_to_img(x))
        yield (
            f"to image, unscaled {shape}",
            lambda: told(utils.array_to_img(np.abs(x) * 99, scale=False)),
        )
    x = generator.standard_normal((3, 2, 2))
    yield "channels first", lambda: told(utils.array_to_img(x, data_format="channels_first"))
    yield "format", lambda: utils.array_to_img(x, data_format="x")
    yield "constant", lambda: told(utils.array_to_img(np.full((1, 1, 3), 5.0)))
    yield "deep", lambda: told(utils.array_to_img(np.full((1, 1, 1), 7e4), scale=False))
    picture = Image.fromarray(generator.integers(0, 255, (4, 6, 3), dtype="uint8"))
    yield "to array", lambda: utils.img_to_array(picture)
    yield "to array, gray", lambda: utils.img_to_array(picture.convert("L"))
    yield "to array, first", lambda: utils.img_to_array(picture, data_format="channels_first")
    yield "to array, bytes", lambda: utils.img_to_array(picture, dtype="uint8")
    yield "to array, four axes", lambda: utils.img_to_array(np.ones((2, 2, 2, 2)))
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/picture.png"
        picture.save(path)
        for given in (
            {},
            {"color_mode": "grayscale"},
            {"color_mode": "rgba"},
            {"color_mode": "x"},
            {"target_size": (2, 3)},
            {"target_size": (2, 3), "interpolation": "bilinear"},
            {"target_size": (3, 3), "interpolation": "lanczos", "keep_aspect_ratio": True},
            {"target_size": (2, 3), "interpolation": "x"},
        ):
            yield f"load {given}", lambda: told(utils.load_img(path, **given))
        content = pathlib.Path(path).read_bytes()
        yield "load bytes", lambda: told(utils.load_img(io.BytesIO(content)))
        yield "load path", lambda: told(utils.load_img(pathlib.Path(path)))
        yield "load number", lambda: utils.load_img(3)
        yield "load missing", lambda: utils.load_img(f"{folder}/none.png")

        def saved(x: np.ndarray, name: str, **given: Any) -> Any:
            utils.save_img(f"{folder}/{name}", x, **given)
            with Image.open(f"{folder}/{name}") as image:
                return [image.format, told(image)]

        x = generator.standard_normal((2, 3, 4))
        yield "save", lambda: saved(x, "saved.png")
        yield "save as", lambda: saved(x[..., :3], "saved.dat", file_format="png")
        yield "save unscaled", lambda: saved(np.full((1, 1, 3), 7), "saved.png", scale=False)
        yield "save without alpha", lambda: saved(x, "saved.jpg")[0]


TABLES = {
    "audio_dataset_from_directory": audio_files,
    "split_dataset": split_dataset,
    "text_dataset_from_directory": text_files,
    "timeseries_dataset_from_array": timeseries,
}
# These need Pillow.
OF_IMAGES = {"image_dataset_from_directory": image_files, "images": images}

if __name__ == "__main__":
    record(RECORDED, TABLES | OF_IMAGES)
