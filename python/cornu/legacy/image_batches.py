"""The batches that an `ImageDataGenerator` gives."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator as Iterating
from collections.abc import Sequence
from typing import Any

import numpy as np

from cornu.training.data.sequence import PyDataset

_EXTENSIONS = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")
_CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
_CLASS_MODES = ("binary", "categorical", "input", "multi_output", "raw", "sparse", None)


class Iterator(PyDataset):
    """Batches by their number, and without end as an iterator.

    Args:
        n: number of samples.
        batch_size: samples per batch.
        shuffle: whether each epoch has its own order.
        seed: seed of the order and of what is drawn for a batch.
    """

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None) -> None:
        super().__init__()
        self.n = n
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.batch_index = 0
        self.total_batches_seen = 0
        self.index_array: np.ndarray | None = None

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __getitem__(self, index: int) -> Any:
        if index >= len(self):
            raise ValueError(
                f"Asked to retrieve element {index}, but the Sequence has length {len(self)}"
            )
        self._begin_batch(self.index_array is None)
        return self._batch(index)

    def _begin_batch(self, is_first: bool) -> None:
        if self.seed is not None:
            np.random.seed(self.seed + self.total_batches_seen)
        self.total_batches_seen += 1
        if is_first:
            self.on_epoch_end()

    def _batch(self, index: int) -> Any:
        start = index * self.batch_size
        return self._get_batches_of_transformed_samples(
            self.index_array[start : start + self.batch_size]
        )

    def __iter__(self) -> Iterating[Any]:
        return self

    def __next__(self) -> Any:
        index = self.batch_index
        self.batch_index = (index + 1) % len(self)
        self._begin_batch(index == 0)
        return self._batch(index)

    def next(self) -> Any:
        """Returns the next batch."""
        return self.__next__()

    def reset(self) -> None:
        """Starts again with the first batch."""
        self.batch_index = 0

    def on_epoch_end(self) -> None:
        """Makes a new order."""
        self.index_array = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        raise NotImplementedError


class _Images(Iterator):
    """Batches whose images are moved, normalized, and saved if wanted."""

    def _keep(
        self, generator: Any, subset: str | None, save_to_dir: str | None, prefix: str, form: str
    ) -> None:
        if subset not in ("training", "validation", None):
            raise ValueError(f"Invalid subset name: {subset};expected 'training' or 'validation'.")
        self.image_data_generator = generator
        self.data_format = generator.data_format
        self.dtype = generator.dtype
        self.subset = subset
        self.save_to_dir, self.save_prefix, self.save_format = save_to_dir, prefix, form

    def _part(self, count: int) -> slice:
        """The samples of the subset: validation has the first ones."""
        held = int(count * self.image_data_generator._validation_split)
        parts = {"training": slice(held, count), "validation": slice(0, held)}
        return parts.get(self.subset, slice(0, count))

    def _transformed(self, image: np.ndarray) -> np.ndarray:
        generator = self.image_data_generator
        moved = generator.random_transform(image.astype(self.dtype))
        return generator.standardize(moved).astype(self.dtype)

    def _save(self, batch: np.ndarray, index_array: np.ndarray) -> None:
        if not self.save_to_dir:
            return
        from cornu.utils import save_img

        for image, index in zip(batch, index_array, strict=True):
            number = np.random.randint(10**7)
            name = f"{self.save_prefix}_{index}_{number}.{self.save_format}"
            path = os.path.join(self.save_to_dir, name)
            save_img(path, image, data_format=self.data_format, scale=True)


class NumpyArrayIterator(_Images):
    """Batches of images in memory.

    Args:
        x: images, or a list of images and further inputs.
        y: a target for each image, or None.
        image_data_generator: what moves and normalizes them.
        batch_size: images per batch.
        shuffle: whether each epoch has its own order.
        sample_weight: a weight for each image.
        seed: seed of the order and the moves.
        data_format: layout of the images, that of the generator.
        save_to_dir: a folder to save the moved images in.
        save_prefix, save_format: beginning and ending of the files' names.
        subset: `"training"` or `"validation"`, by the generator's `validation_split`.
        ignore_class_split: whether a class may be in one subset alone.
        dtype: dtype of the batches, that of the generator.

    Raises:
        ValueError: if the lengths differ, `x` is no batch of images, or a class is in one subset
            alone.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: Any,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        ignore_class_split: bool = False,
        dtype: str | None = None,
    ) -> None:
        images, further = x, []
        if isinstance(x, list | tuple) and np.ndim(x[0]) == 4:
            images, further = x[0], [np.asarray(more) for more in x[1:]]
        images = np.asarray(images)
        self._keep(image_data_generator, subset, save_to_dir, save_prefix, save_format)
        self.dtype = dtype or self.dtype
        if images.ndim != 4:
            raise ValueError(
                "Input data in `NumpyArrayIterator` should have rank 4. You passed an array with "
                f"shape {images.shape}"
            )
        for name, other in (("labels", y), ("sample weights", sample_weight)):
            if other is not None and len(other) != len(images):
                raise ValueError(
                    f"`x` (images tensor) and {name} should have the same length. "
                    f"Found: {len(images)} and {len(other)}"
                )
        part = self._part(len(images))
        if y is not None and subset is not None and not ignore_class_split:
            held = int(len(images) * image_data_generator._validation_split)
            labels = np.asarray(y)
            if not np.array_equal(np.unique(labels[:held]), np.unique(labels[held:])):
                raise ValueError(
                    "Training and validation subsets have different number of classes after the "
                    "split. If your numpy arrays are sorted by the label, you might want to "
                    "shuffle them."
                )
        self.x = images[part].astype(self.dtype)
        self.x_misc = [more[part] for more in further]
        self.y = None if y is None else np.asarray(y)[part]
        self.sample_weight = None if sample_weight is None else np.asarray(sample_weight)[part]
        super().__init__(len(self.x), batch_size, shuffle, seed)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        batch = np.array([self._transformed(self.x[index]) for index in index_array])
        self._save(batch, index_array)
        inputs = [batch, *(more[index_array] for more in self.x_misc)] if self.x_misc else batch
        if self.y is None:
            return inputs
        given = (inputs, self.y[index_array])
        return given if self.sample_weight is None else (*given, self.sample_weight[index_array])


class _Files(_Images):
    """Batches of image files."""

    filepaths: list[str]
    labels: Any
    sample_weight: Any = None

    def _keep_files(
        self,
        target_size: Sequence[int],
        color_mode: str,
        class_mode: str | None,
        interpolation: str,
        keep_aspect_ratio: bool,
    ) -> None:
        if color_mode not in _CHANNELS:
            raise ValueError(
                f"Invalid color mode: {color_mode}; expected 'rgb', 'rgba', or 'grayscale'."
            )
        if class_mode not in _CLASS_MODES:
            raise ValueError(f"Invalid class_mode: {class_mode}; expected one of: {_CLASS_MODES}")
        self.target_size = tuple(target_size)
        self.color_mode = color_mode
        self.class_mode = class_mode
        self.interpolation = interpolation
        self.keep_aspect_ratio = keep_aspect_ratio
        channels = (_CHANNELS[color_mode],)
        last = self.data_format == "channels_last"
        self.image_shape = (
            (*self.target_size, *channels) if last else (*channels, *self.target_size)
        )

    def _load(self, path: str) -> np.ndarray:
        from cornu.utils import img_to_array, load_img

        image = load_img(
            path,
            color_mode=self.color_mode,
            target_size=self.target_size,
            interpolation=self.interpolation,
            keep_aspect_ratio=self.keep_aspect_ratio,
        )
        return img_to_array(image, data_format=self.data_format)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        batch = np.array([self._transformed(self._load(self.filepaths[i])) for i in index_array])
        self._save(batch, index_array)
        if self.class_mode is None:
            return batch
        if self.class_mode == "input":
            targets: Any = batch.copy()
        elif self.class_mode == "multi_output":
            targets = [labels[index_array] for labels in self.labels]
        else:
            targets = self.labels[index_array]
            if self.class_mode == "categorical":
                targets = self._one_hot(targets)
            elif self.class_mode == "binary":
                targets = targets.astype(self.dtype)
        if self.sample_weight is None:
            return batch, targets
        return batch, targets, self.sample_weight[index_array]

    def _one_hot(self, classes: Sequence[Any]) -> np.ndarray:
        """A row per sample, with ones at its class or classes."""
        rows = np.zeros((len(classes), len(self.class_indices)), self.dtype)
        for row, found in zip(rows, classes, strict=True):
            row[found] = 1.0
        return rows


class DirectoryIterator(_Files):
    """Batches of the image files in a folder that has a folder for each class.

    Args:
        directory: path of the folder.
        image_data_generator: what moves and normalizes the images.
        target_size: height and width that images are resized to.
        color_mode: `"rgb"`, `"rgba"` or `"grayscale"`.
        classes: names of the folders, in the order of the class numbers; all, sorted, if None.
        class_mode: `"categorical"`, `"binary"`, `"sparse"`, `"input"` or None for no targets.
        batch_size: images per batch.
        shuffle: whether each epoch has its own order.
        seed: seed of the order and the moves.
        data_format: layout of the images, that of the generator.
        save_to_dir, save_prefix, save_format: where moved images are saved.
        follow_links: whether linked folders are entered.
        subset: `"training"` or `"validation"`, by the generator's `validation_split`.
        interpolation: how images are resized.
        keep_aspect_ratio: whether images are cropped to the ratio of `target_size` first.
        dtype: dtype of the batches, that of the generator.
    """

    def __init__(
        self,
        directory: str,
        image_data_generator: Any,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: str | None = None,
    ) -> None:
        self._keep(image_data_generator, subset, save_to_dir, save_prefix, save_format)
        self._keep_files(target_size, color_mode, class_mode, interpolation, keep_aspect_ratio)
        self.dtype = dtype or self.dtype
        self.directory = directory
        if classes is None:
            classes = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
        self.class_indices = {name: index for index, name in enumerate(classes)}
        self.num_classes = len(classes)
        found: list[tuple[str, int]] = []
        for name, index in self.class_indices.items():
            files = _image_files(os.path.join(directory, name), follow_links)
            found += [(os.path.join(name, file), index) for file in files[self._part(len(files))]]
        self.filenames = [name for name, _ in found]
        self.filepaths = [os.path.join(directory, name) for name in self.filenames]
        self.classes = self.labels = np.array([index for _, index in found], dtype="int32")
        self.samples = len(found)
        print(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        super().__init__(self.samples, batch_size, shuffle, seed)


def _image_files(directory: str, follow_links: bool) -> list[str]:
    """The image files in a folder and the folders inside, sorted, relative to it."""
    found = []
    for root, _, names in os.walk(directory, followlinks=follow_links):
        inside = os.path.relpath(root, directory)
        for name in names:
            if name.lower().rpartition(".")[2] in _EXTENSIONS:
                found.append(os.path.normpath(os.path.join(inside, name)))
    return sorted(found)


class DataFrameIterator(_Files):
    """Batches of the image files that a table names.

    Args:
        dataframe: a table.
        directory: path of the folder of the files, if the names are no whole paths.
        image_data_generator: what moves and normalizes the images.
        x_col: the column of file names.
        y_col: the column of targets, or a list of columns.
        weight_col: the column of sample weights.
        target_size, color_mode, batch_size, shuffle, seed, data_format, save_to_dir, save_prefix,
            save_format, subset, interpolation, keep_aspect_ratio, dtype: as in
            `DirectoryIterator`.
        classes: the classes, in the order of their numbers; all, sorted, if None.
        class_mode: `"categorical"` (a class, or a list of classes), `"binary"`, `"sparse"`,
            `"raw"` (the values as they are), `"multi_output"`, `"input"` or None.
        validate_filenames: whether rows whose file is missing or no image are left out.
    """

    def __init__(
        self,
        dataframe: Any,
        directory: str | None = None,
        image_data_generator: Any = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: str | None = None,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str = "channels_last",
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: str | None = None,
        validate_filenames: bool = True,
    ) -> None:
        self._keep(image_data_generator, subset, save_to_dir, save_prefix, save_format)
        self._keep_files(target_size, color_mode, class_mode, interpolation, keep_aspect_ratio)
        self.dtype = dtype or self.dtype
        self.directory = directory or ""
        table = dataframe
        if validate_filenames:
            valid = [self._is_image(name) for name in table[x_col]]
            if not all(valid):
                warnings.warn(
                    f'Found {valid.count(False)} invalid image filename(s) in x_col="{x_col}". '
                    "These filename(s) will be ignored.",
                    stacklevel=2,
                )
            table = table[np.array(valid, bool)]
        if class_mode in ("categorical", "binary", "sparse"):
            table = self._numbered(table, y_col, classes)
        table = table[self._part(len(table))]
        self.filenames = list(table[x_col])
        self.filepaths = [os.path.join(self.directory, name) for name in self.filenames]
        self.samples = len(self.filenames)
        if class_mode in ("categorical", "binary", "sparse"):
            self.labels = self.classes = _as_labels(list(table["_class_number"]))
        elif class_mode == "raw":
            self.labels = np.array(
                table[y_col].tolist() if isinstance(y_col, str) else table[y_col]
            )
        elif class_mode == "multi_output":
            self.labels = [np.array(table[column].tolist()) for column in y_col]
        if weight_col is not None:
            self.sample_weight = np.asarray(table[weight_col])
        print(f"Found {self.samples} validated image filenames.")
        super().__init__(self.samples, batch_size, shuffle, seed)

    def _is_image(self, name: str) -> bool:
        known = name.lower().rpartition(".")[2] in _EXTENSIONS
        return known and os.path.isfile(os.path.join(self.directory, name))

    def _numbered(self, table: Any, y_col: str, classes: Sequence[str] | None) -> Any:
        """The table with a column of class numbers, its rows of other classes left out."""
        several = table[y_col].map(lambda value: isinstance(value, list | tuple))
        as_lists = [value if s else [value] for value, s in zip(table[y_col], several, strict=True)]
        names = classes or sorted({name for value in as_lists for name in value})
        self.class_indices = {name: index for index, name in enumerate(names)}
        self.num_classes = len(names)
        if self.class_mode == "binary" and len(names) != 2:
            raise ValueError(
                "If class_mode='binary' there must be 2 classes. "
                f"Found {len(names)} classes: {list(names)}"
            )
        numbers = [
            [self.class_indices[name] for name in value if name in self.class_indices]
            for value in as_lists
        ]
        single = not several.any()
        table = table.assign(_class_number=[n[0] if single and n else n for n in numbers])
        return table[np.array([bool(n) for n in numbers])]


def _as_labels(numbers: list[Any]) -> np.ndarray:
    if any(isinstance(number, list) for number in numbers):
        labels = np.empty(len(numbers), object)
        labels[:] = numbers
        return labels
    return np.array(numbers, dtype="int32")
