"""News of 46 topics."""

import json
from typing import Any

import numpy as np

from cornu.datasets.reading import ADDRESS, read_arrays, shuffled, split
from cornu.datasets.words import WORD_ARGUMENTS, as_objects, encode
from cornu.utils.downloads import get_file

_TOPICS = """
    cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship
    cotton carcass crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin
    strategic-metal livestock retail ipi iron-steel rubber heat jobs lei bop zinc orange pet-chem
    dlr gas silver wpi hog lead"""


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> Any:
    path = get_file(
        path,
        origin=f"{ADDRESS}reuters.npz",
        file_hash="d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916",
    )
    arrays = read_arrays(path)
    x, y = shuffled(arrays["x"], arrays["y"], np.random.RandomState(seed))
    texts, labels = encode(x, y, num_words, skip_top, maxlen, start_char, oov_char, index_from)
    return split(as_objects(texts), labels, test_split)


_SPLIT = """
        test_split: share of the samples that are for tests."""
load_data.__doc__ = f"""Returns 11228 news.

    Args:{WORD_ARGUMENTS.format(test_split=_SPLIT)}

    Returns:
        `(x_train, y_train), (x_test, y_test)`: lists of numbers of words; the topic's number.

    Raises:
        ValueError: if no text is short enough.
    """


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """Returns the rank of each word, 1 for the most frequent.

    Args:
        path: name of the file in the cache.
    """
    path = get_file(
        path,
        origin=f"{ADDRESS}reuters_word_index.json",
        file_hash="4d44cc38712099c9e383dc6e5f11a921",
    )
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def get_label_names() -> tuple[str, ...]:
    """Returns the names of the topics, in the order of their numbers."""
    return tuple(_TOPICS.split())
