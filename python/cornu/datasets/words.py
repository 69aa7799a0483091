"""What datasets of texts share: words are numbers, the most frequent ones low."""

from typing import Any

import numpy as np

WORD_ARGUMENTS = """
        path: name of the file in the cache.
        num_words: rarer words than so many become `oov_char`; None keeps all.
        skip_top: so many of the most frequent words become `oov_char`.
        maxlen: longer texts are left out; None keeps all.{test_split}
        seed: of the order of the texts.
        start_char: number that texts begin with; None for none.
        oov_char: number of the words that are left out; None drops them.
        index_from: number of the most frequent word."""


def encode(
    x: np.ndarray,
    y: np.ndarray,
    num_words: int | None,
    skip_top: int,
    maxlen: int | None,
    start_char: int | None,
    oov_char: int | None,
    index_from: int,
) -> tuple[list[Any], np.ndarray]:
    """Returns texts with the numbers that the arguments ask for, and the labels of those kept.

    Raises:
        ValueError: if no text is short enough.
    """
    texts = [list(text) for text in x]
    if start_char is not None:
        texts = [[start_char, *(word + index_from for word in text)] for text in texts]
    elif index_from:
        texts = [[word + index_from for word in text] for text in texts]
    if maxlen:
        kept = [place for place, text in enumerate(texts) if len(text) < maxlen]
        if not kept:
            raise ValueError(
                f"After filtering for sequences shorter than maxlen={maxlen}, no sequence was "
                "kept. Increase maxlen."
            )
        texts, y = [texts[place] for place in kept], y[kept]
    if not num_words:
        # As in Keras, the rarest word falls out even so.
        num_words = max(max(text, default=0) for text in texts)
    if oov_char is not None:
        texts = [
            [word if skip_top <= word < num_words else oov_char for word in text] for text in texts
        ]
    else:
        texts = [[word for word in text if skip_top <= word < num_words] for text in texts]
    return texts, y


def as_objects(texts: list[Any]) -> np.ndarray:
    """Returns lists as an array of objects, whatever their lengths."""
    array = np.empty(len(texts), object)
    array[:] = texts
    return array
