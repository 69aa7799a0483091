"""Texts as lists of word numbers, as Keras 2 has them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


def text_to_word_sequence(
    input_text: str, filters: str = _FILTERS, lower: bool = True, split: str = " "
) -> list[str]:
    """Returns the words of a text.

    Args:
        input_text: the text.
        filters: characters that count as `split`.
        lower: whether the text is made lower case.
        split: what stands between words.

    >>> text_to_word_sequence("One, two.")
    ['one', 'two']
    """
    text = input_text.lower() if lower else input_text
    text = text.translate({ord(character): split for character in filters})
    return [word for word in text.split(split) if word]


def one_hot(
    input_text: str,
    n: int,
    filters: str = _FILTERS,
    lower: bool = True,
    split: str = " ",
) -> list[int]:
    """Returns numbers from 1 to `n - 1` for the words of a text, by Python's `hash`."""
    return hashing_trick(input_text, n, hash, filters, lower, split)


def hashing_trick(
    text: str,
    n: int,
    hash_function: Callable[[str], int] | str | None = None,
    filters: str = _FILTERS,
    lower: bool = True,
    split: str = " ",
) -> list[int]:
    """Returns numbers from 1 to `n - 1` for the words of a text.

    Args:
        text: the text.
        n: how many numbers there are, 0 included, which is never given.
        hash_function: a function of a word, `"md5"`, or None for Python's `hash`, which differs
            from process to process.
        filters, lower, split: as in `text_to_word_sequence`.
    """
    if hash_function is None:
        hash_function = hash
    elif hash_function == "md5":

        def hash_function(word: str) -> int:
            return int(hashlib.md5(word.encode()).hexdigest(), 16)

    words = text_to_word_sequence(text, filters, lower, split)
    return [hash_function(word) % (n - 1) + 1 for word in words]


class Tokenizer:
    """Numbers the words of texts by how often they occur, 1 for the most frequent.

    Args:
        num_words: only the `num_words - 1` most frequent words are kept; all if None.
        filters: characters that count as `split`.
        lower: whether texts are made lower case.
        split: what stands between words.
        char_level: whether each character is a word.
        oov_token: a word that stands for those that were never seen.
        analyzer: a function from a text to its words.

    >>> tokenizer = Tokenizer()
    >>> tokenizer.fit_on_texts(["a b a"])
    >>> tokenizer.texts_to_sequences(["b a c"])
    [[2, 1]]
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = _FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Callable[[str], list[str]] | None = None,
        **kwargs: Any,
    ) -> None:
        self.document_count = kwargs.pop("document_count", 0)
        if kwargs:
            raise TypeError(f"Unrecognized keyword arguments: {kwargs}")
        self.num_words = num_words
        self.filters = filters
        self.lower = lower
        self.split = split
        self.char_level = char_level
        self.oov_token = oov_token
        self.analyzer = analyzer
        self.word_counts: dict[str, int] = {}
        self.word_docs: defaultdict[str, int] = defaultdict(int)
        self.index_docs: defaultdict[int, int] = defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def _words(self, text: Any) -> list[str]:
        if self.char_level or isinstance(text, list):
            return [word.lower() for word in text] if self.lower else list(text)
        if self.analyzer is not None:
            return self.analyzer(text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Counts the words of texts, each a string or a list of words."""
        for text in texts:
            words = self._words(text)
            self.document_count += 1
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in set(words):
                self.word_docs[word] += 1
        # Of equally frequent words the one seen first comes first.
        ordered = sorted(self.word_counts, key=lambda word: -self.word_counts[word])
        if self.oov_token is not None:
            ordered.insert(0, self.oov_token)
        self.word_index = {word: index for index, word in enumerate(ordered, 1)}
        self.index_word = {index: word for word, index in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Iterable[Iterable[int]]) -> None:
        """Counts documents by word number, for texts that are numbered already."""
        for sequence in sequences:
            self.document_count += 1
            for index in set(sequence):
                self.index_docs[index] += 1

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """Returns the numbers of the words of texts; words not kept are left out."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[Any]) -> Iterator[list[int]]:
        """Gives the numbers of the words of one text after the other."""
        unknown = self.word_index.get(self.oov_token)
        for text in texts:
            found = (self._kept(self.word_index.get(word), unknown) for word in self._words(text))
            yield [index for index in found if index is not None]

    def _kept(self, index: int | None, unknown: Any) -> Any:
        known = index is not None and (not self.num_words or index < self.num_words)
        return index if known else unknown

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """Returns texts of the words with these numbers."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """Gives one text after the other of the words with these numbers."""
        unknown = self.index_word.get(self.word_index.get(self.oov_token))
        for sequence in sequences:
            words = []
            for index in sequence:
                word = self.index_word.get(index)
                kept = word is not None and (not self.num_words or index < self.num_words)
                words.append(word if kept else unknown)
            yield " ".join(word for word in words if word is not None)

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> np.ndarray:
        """Returns a row per text with an element per word; see `sequences_to_matrix`."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode=mode)

    def sequences_to_matrix(self, sequences: list[list[int]], mode: str = "binary") -> np.ndarray:
        """Returns a row per sequence with an element per word number.

        Args:
            sequences: word numbers.
            mode: `"binary"`, `"count"`, `"freq"` or `"tfidf"`.

        Raises:
            ValueError: if the mode is unknown, or the number of words is.
        """
        if not self.num_words and not self.word_index:
            raise ValueError(
                "Specify a dimension (`num_words` argument), or fit on some text data first."
            )
        if mode == "tfidf" and not self.document_count:
            raise ValueError("Fit the Tokenizer on some data before using tfidf mode.")
        if mode not in ("binary", "count", "freq", "tfidf"):
            raise ValueError(f"Unknown vectorization mode: {mode}")
        width = self.num_words or len(self.word_index) + 1
        matrix = np.zeros((len(sequences), width))
        for row, sequence in zip(matrix, sequences, strict=True):
            for index, count in Counter(i for i in sequence if i < width).items():
                row[index] = {
                    "binary": lambda count=count: 1,
                    "count": lambda count=count: count,
                    "freq": lambda count=count, sequence=sequence: count / len(sequence),
                    "tfidf": lambda count=count, index=index: self._tfidf(count, index),
                }[mode]()
        return matrix

    def _tfidf(self, count: int, index: int) -> float:
        documents = self.document_count / (1 + self.index_docs.get(index, 0))
        return (1 + np.log(count)) * np.log(1 + documents)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments and the counts; tables are JSON texts."""
        tables = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
        arguments = ("num_words", "filters", "lower", "split", "char_level", "oov_token")
        return {
            **{name: getattr(self, name) for name in (*arguments, "document_count")},
            **{name: json.dumps(getattr(self, name)) for name in tables},
        }

    def to_json(self, **kwargs: Any) -> str:
        """Returns the tokenizer as JSON; `kwargs` go to `json.dumps`."""
        content = {"class_name": type(self).__name__, "config": self.get_config()}
        return json.dumps(content, **kwargs)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """Returns the tokenizer that `Tokenizer.to_json` told."""
    config = json.loads(json_string)["config"]
    tables = {
        name: json.loads(config.pop(name))
        for name in ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
    }
    tokenizer = Tokenizer(**config)
    for name in ("index_docs", "index_word"):
        tables[name] = {int(index): value for index, value in tables[name].items()}
    for name, table in tables.items():
        getattr(tokenizer, name).update(table)
    return tokenizer
