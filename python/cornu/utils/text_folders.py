"""Datasets of text files in folders."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cornu.utils.directories import (
    check_arguments,
    check_format,
    check_split,
    dataset_of,
    find_files,
)

_ENDINGS = (".txt",)


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Returns a dataset of the texts in a folder, which is read while it is iterated over.

    Args:
        directory: the folder; with the labels `"inferred"` its folders are the classes.
        labels: `"inferred"`, None, or a list of the label of each file in the order of the paths.
        label_mode: `"int"`, `"categorical"` (one-hot), `"binary"` (0.0 or 1.0), or None.
        class_names: the folders that are classes, in their order; all, sorted, by default.
        batch_size: texts of a batch; None gives single texts.
        max_length: bytes that a text is cut to.
        shuffle: whether each epoch has an order of its own.
        seed: integer that makes the orders repeatable.
        validation_split: share of the files that are for validation.
        subset: `"training"`, `"validation"`, or `"both"` for a pair of datasets.
        follow_links: whether links to folders are followed.
        format: `"tf"` or `"grain"`, which are the same here.
        verbose: whether the numbers of files and classes are printed.

    Returns:
        An iterable of `texts`, or of `(texts, labels)`; texts are object arrays of `str`, read
        as UTF-8. `class_names` and `file_paths` are attributes.

    Raises:
        ValueError: if arguments are unknown or exclude each other, or there are no texts.
    """
    check_format(format)
    labels, label_mode = check_arguments("text", labels, label_mode, class_names)
    check_split(validation_split, subset, shuffle, seed)
    if shuffle and seed is None:
        seed = np.random.randint(1e6)
    files = find_files(
        directory, labels, _ENDINGS, class_names, shuffle, seed, follow_links, verbose
    )

    def read(paths: list[str]) -> np.ndarray:
        texts = np.empty(len(paths), object)
        for place, path in enumerate(paths):
            with open(path, "rb") as file:
                content = file.read() if max_length is None else file.read(max_length)
            # A cut may go through a letter; what is left of it goes.
            texts[place] = content.decode("utf-8", "replace" if max_length is None else "ignore")
        return texts

    return dataset_of(
        files,
        read,
        label_mode,
        batch_size,
        shuffle,
        seed,
        validation_split,
        subset,
        verbose,
        f"No text files found in directory {directory}. Allowed format: .txt",
    )
