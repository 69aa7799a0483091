"""What datasets of files in folders share: which files there are, and their labels."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cornu.utils.arrays import to_categorical
from cornu.utils.batches import Batches


@dataclass
class Files:
    """Files and their labels.

    Attributes:
        paths: their paths.
        labels: their labels, None without.
        class_names: names of the classes, None without.
    """

    paths: list[str]
    labels: list[Any] | None
    class_names: list[str] | None


def check_arguments(
    kind: str,
    labels: Any,
    label_mode: str | None,
    class_names: Sequence[str] | None,
    modes: tuple[str, ...] = ("int", "categorical", "binary"),
) -> tuple[Any, str | None]:
    """Returns the labels and the label mode, both None without labels.

    Raises:
        ValueError: if arguments of a dataset of files exclude each other or are unknown.
    """
    if labels not in ("inferred", None):
        if not isinstance(labels, list | tuple):
            raise ValueError(
                f"`labels` argument should be a list/tuple of integer labels, of the same size as "
                f"the number of {kind} files in the target directory. If you wish to infer the "
                "labels from the subdirectory names in the target directory, pass "
                f'`labels="inferred"`. If you wish to get a dataset that only contains {kind}s (no '
                f"labels), pass `labels=None`. Received: labels={labels}"
            )
        if class_names:
            raise ValueError(
                'You can only pass `class_names` if `labels="inferred"`. Received: '
                f"labels={labels}, and class_names={class_names}"
            )
    if label_mode not in (*modes, None):
        raise ValueError(
            '`label_mode` argument must be one of "int", "categorical", "binary", or None. '
            f"Received: label_mode={label_mode}"
        )
    return (None, None) if labels is None or label_mode is None else (labels, label_mode)


def check_split(
    validation_split: float | None, subset: str | None, shuffle: bool, seed: Any
) -> None:
    """Raises ValueError if a split of the files is not told in full."""
    if validation_split and not 0 < validation_split < 1:
        raise ValueError(
            f"`validation_split` must be between 0 and 1, received: {validation_split}"
        )
    if (validation_split or subset) and not (validation_split and subset):
        raise ValueError("If `subset` is set, `validation_split` must be set, and inversely.")
    if subset not in ("training", "validation", "both", None):
        raise ValueError(
            f'`subset` must be either "training", "validation" or "both", received: subset={subset}'
        )
    if validation_split and shuffle and seed is None:
        raise ValueError(
            "If using `validation_split` and shuffling the data, you must provide a `seed` "
            "argument, to make sure that there is no overlap between the training and validation "
            "subset."
        )


def check_format(format: str) -> None:
    """Raises ValueError if there is no such kind of dataset; both names mean `Batches`."""
    if format not in ("tf", "grain"):
        raise ValueError(f'`format` should be either "tf" or "grain". Received: format={format}')


def find_files(
    directory: Any,
    labels: Any,
    endings: tuple[str, ...],
    class_names: Sequence[str] | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Files:
    """Returns the files of a folder, sorted or shuffled.

    Args:
        directory: the folder; with the labels `"inferred"` its folders are the classes.
        labels: `"inferred"`, None, or the label of each file in the order of their paths.
        endings: what the names may end in, in small letters.
        class_names: the folders that are classes, in their order; all, sorted, by default.
        shuffle: whether the files are shuffled.
        seed: integer that makes the order repeatable.
        follow_links: whether links to folders are followed.
        verbose: whether the numbers of files and classes are printed.

    Raises:
        ValueError: if the number of labels is another, or there is no such class.
    """
    directory = os.fspath(directory)
    if labels == "inferred":
        folders = sorted(
            name for name in os.listdir(directory) if os.path.isdir(os.path.join(directory, name))
        )
        if class_names is None:
            class_names = folders
        elif not set(class_names) <= set(folders):
            raise ValueError(
                "The `class_names` passed did not match the names of the subdirectories of the "
                f"target directory. Expected: {folders}, but received: {class_names}"
            )
        found = [
            (path, number)
            for number, name in enumerate(class_names)
            for path in _walk(os.path.join(directory, name), endings, follow_links)
        ]
        paths, numbers = [path for path, _ in found], [number for _, number in found]
        labels = np.array(numbers, "int32")
    else:
        paths = _walk(directory, endings, follow_links)
        if labels is not None:
            if len(labels) != len(paths):
                raise ValueError(
                    "Expected the lengths of `labels` to match the number of files in the target "
                    f"directory. len(labels) is {len(labels)} while we found {len(paths)} files in "
                    f"directory {directory}."
                )
            class_names = [str(label) for label in sorted(set(labels))]
    if verbose:
        classes = "" if labels is None else f" belonging to {len(class_names or ())} classes"
        print(f"Found {len(paths)} files{classes}.")
    if shuffle:
        if seed is None:
            seed = np.random.randint(1e6)
        np.random.RandomState(seed).shuffle(paths)
        if labels is not None:
            labels = list(labels)
            np.random.RandomState(seed).shuffle(labels)
    return Files(
        paths,
        None if labels is None else list(labels),
        None if labels is None else list(class_names or ()),
    )


def _walk(folder: str, endings: tuple[str, ...], follow_links: bool) -> list[str]:
    """Returns the files of a folder and those inside, sorted by folder and name."""
    walked = sorted(os.walk(folder, followlinks=follow_links), key=lambda entry: entry[0])
    return [
        os.path.join(root, name)
        for root, _, names in walked
        for name in sorted(names)
        if name.lower().endswith(endings)
    ]


def dataset_of(
    files: Files,
    read: Callable[[list[str]], Any],
    label_mode: str | None,
    batch_size: int | None,
    shuffle: bool,
    seed: int | None,
    validation_split: float | None,
    subset: str | None,
    verbose: bool,
    nothing: str,
) -> Any:
    """Returns the dataset of files, or the part or pair of parts that `subset` names.

    Args:
        files: the files.
        read: function of paths that returns the batch of their contents.
        label_mode: `"int"`, `"binary"`, `"categorical"`, or None for no labels.
        batch_size, shuffle, seed: as of `Batches`.
        validation_split: share of the files that are for validation, the last ones.
        subset: `"training"`, `"validation"` or `"both"`.
        verbose: whether the number of files is printed.
        nothing: error if there are no files.

    Raises:
        ValueError: if there are no files, or the classes are not two with binary labels.
    """
    if label_mode == "binary" and len(files.class_names or ()) != 2:
        raise ValueError(
            'When passing `label_mode="binary"`, there must be exactly 2 class_names. '
            f"Received: class_names={files.class_names}"
        )
    parts = ["training", "validation"] if subset == "both" else [subset]
    datasets = []
    for part in parts:
        paths, labels = _part(files, validation_split, part, verbose)
        if not paths:
            raise ValueError(nothing)
        datasets.append(_dataset(paths, labels, files, read, label_mode, batch_size, shuffle, seed))
    return datasets if subset == "both" else datasets[0]


def _part(
    files: Files, validation_split: float | None, subset: str | None, verbose: bool
) -> tuple[list[str], list[Any] | None]:
    if not validation_split:
        return files.paths, files.labels
    count = int(validation_split * len(files.paths))
    first = len(files.paths) - count
    place = slice(first, None) if subset == "validation" else slice(None, first)
    if verbose:
        print(f"Using {len(files.paths[place])} files for {subset}.")
    return files.paths[place], None if files.labels is None else files.labels[place]


def _dataset(
    paths: list[str],
    labels: list[Any] | None,
    files: Files,
    read: Callable[[list[str]], Any],
    label_mode: str | None,
    batch_size: int | None,
    shuffle: bool,
    seed: int | None,
) -> Batches:
    targets: Any = None
    if label_mode is not None and labels is not None:
        targets = np.asarray(labels)
        if targets.dtype.kind == "i":
            targets = targets.astype("int32")
        if label_mode == "binary":
            targets = targets.astype("float32")[:, None]
        elif label_mode == "categorical":
            targets = to_categorical(targets, len(files.class_names or ())).astype("float32")

    def batch(numbers: np.ndarray) -> Any:
        contents = read([paths[number] for number in numbers])
        return contents if targets is None else (contents, targets[numbers])

    names = None if targets is None else files.class_names
    return Batches(len(paths), batch, batch_size, shuffle, seed, names, paths)
