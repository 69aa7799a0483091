"""Reviews of films, good and bad."""

import json
from typing import Any

import numpy as np

from cornu.datasets.reading import ADDRESS, read_arrays, shuffled
from cornu.datasets.words import WORD_ARGUMENTS, as_objects, encode
from cornu.utils.downloads import get_file


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    **kwargs: Any,
) -> Any:
    path = get_file(
        path,
        origin=f"{ADDRESS}imdb.npz",
        file_hash="69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    )
    arrays = read_arrays(path)
    random = np.random.RandomState(seed)
    x_train, y_train = shuffled(arrays["x_train"], arrays["y_train"], random)
    x_test, y_test = shuffled(arrays["x_test"], arrays["y_test"], random)
    count = len(x_train)
    if maxlen:  # each half is filtered by itself, so their numbers are counted first
        longest = maxlen - (start_char is not None)
        count = sum(len(text) < longest for text in x_train)
    texts, labels = encode(
        np.concatenate([x_train, x_test]),
        np.concatenate([y_train, y_test]),
        num_words,
        skip_top,
        maxlen,
        start_char,
        oov_char,
        index_from,
    )
    train = as_objects(texts[:count]), labels[:count]
    return train, (as_objects(texts[count:]), labels[count:])


load_data.__doc__ = f"""Returns 25000 reviews for training and 25000 for tests.

    Args:{WORD_ARGUMENTS.format(test_split="")}
        kwargs: ignored, as Keras does.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: lists of numbers of words; 1 for a good review.

    Raises:
        ValueError: if no text is short enough.

    Paper: Maas et al., Learning Word Vectors for Sentiment Analysis (2011).
    """


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """Returns the rank of each word, 1 for the most frequent.

    Args:
        path: name of the file in the cache.
    """
    path = get_file(
        path,
        origin=f"{ADDRESS}imdb_word_index.json",
        file_hash="bfafd718b763782e994055a2d397834f",
    )
    with open(path, encoding="utf-8") as file:
        return json.load(file)
