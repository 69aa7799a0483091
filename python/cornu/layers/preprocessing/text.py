"""The layer that turns texts into indices or vectors."""

import re
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cornu import ops
from cornu.layers.configured import ConfiguredLayer
from cornu.layers.preprocessing.adapting import batches
from cornu.layers.preprocessing.encoding import occurrences
from cornu.layers.preprocessing.lookup import StringLookup
from cornu.layers.preprocessing.strings import as_strings
from cornu.ops.symbolic import KerasTensor

# As TensorFlow does it: the letters of ASCII alone are lowered, its white space alone splits.
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
_WORD = re.compile(r"[^ \t\n\r\x0b\x0c]+")
_TRANSLATIONS: dict[str, tuple[dict, ...]] = {
    "lower_and_strip_punctuation": (_LOWER, _WITHOUT_PUNCTUATION),
    "lower": (_LOWER,),
    "strip_punctuation": (_WITHOUT_PUNCTUATION,),
}
_SPLITTERS: dict[str, Callable[[str], list[str]]] = {"whitespace": _WORD.findall, "character": list}


class TextVectorization(ConfiguredLayer):
    """Turns texts into indices of a vocabulary, or into one vector each.

    Args:
        max_tokens: largest size of the vocabulary, special tokens included; None for no bound.
        standardize: `"lower_and_strip_punctuation"`, `"lower"`, `"strip_punctuation"`, None, or a
            function of an array of strings that returns one.
        split: `"whitespace"`, `"character"`, None for texts that are tokens, or a function of an
            array of strings that returns the tokens of each.
        ngrams: how many tokens in a row are joined at most, or a tuple of such numbers; None for
            single tokens.
        output_mode: `"int"`: an index for each token, 0 for none and 1 for an unknown one;
            `"multi_hot"`: a vector with ones for the tokens that occur; `"count"`: with their
            numbers; `"tf_idf"`: these times the inverse document frequencies.
        output_sequence_length: number of indices that texts are cut or filled up to; else they
            are filled up to the longest.
        pad_to_max_tokens: whether vectors have the size `max_tokens`.
        vocabulary: the tokens, or the path of a text file with one on each line; else `adapt`
            finds them.
        idf_weights: inverse document frequencies of the tokens, for `"tf_idf"` with a vocabulary.
        sparse, ragged: must be False: tensors are dense.
        encoding: how bytes are decoded.

    Call arguments: `inputs`: a text, or a list or array of texts of the shape `(batch,)` or
    `(batch, 1)`.

    >>> layer = layers.TextVectorization(vocabulary=["hello", "world"])
    >>> layer(["Hello, big world!"])
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: Any = "lower_and_strip_punctuation",
        split: Any = "whitespace",
        ngrams: int | tuple[int, ...] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        for argument, value, known in (
            ("standardize", standardize, _TRANSLATIONS),
            ("split", split, _SPLITTERS),
        ):
            if value is not None and not callable(value) and value not in known:
                raise ValueError(
                    f"Unknown value for `{argument}` argument of TextVectorization. Allowed values "
                    f"are: {tuple(known)}. Received: {argument}={value}"
                )
        if isinstance(ngrams, list):
            ngrams = tuple(ngrams)
        counts = ngrams if isinstance(ngrams, tuple) else (ngrams or 1,)
        if not all(isinstance(count, int) for count in counts):
            raise ValueError(
                "`ngrams` must be None, an integer, or a tuple of integers. "
                f"Received: ngrams={ngrams}"
            )
        if ragged:
            raise ValueError(
                "`ragged=True` can only be used with the TensorFlow backend. "
                f"Received: ragged=True and output_mode={output_mode}"
            )
        if output_mode != "int" and output_sequence_length is not None:
            raise ValueError(
                "`output_sequence_length` must not be set if `output_mode` is not 'int'. "
                f"Received output_sequence_length={output_sequence_length}."
            )
        super().__init__(name=name, **kwargs)
        self._keep(
            max_tokens=max_tokens,
            standardize=standardize,
            split=split,
            ngrams=ngrams,
            output_mode=output_mode,
            output_sequence_length=output_sequence_length,
            pad_to_max_tokens=pad_to_max_tokens,
            sparse=sparse,
            ragged=ragged,
            encoding=encoding,
        )
        self._allow_non_tensor_positional_args = True
        self._convert_input_args = False
        self.supports_jit = False
        self._lookup_layer = StringLookup(
            max_tokens=max_tokens,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            pad_to_max_tokens=pad_to_max_tokens,
            mask_token="",
            output_mode=output_mode,
            sparse=sparse,
            encoding=encoding,
        )

    def build(self, input_shape: Any = None) -> None:
        """Does nothing: there are no weights."""

    # The vocabulary

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Makes the vocabulary of the tokens that occur most often.

        Args:
            data: an array or list of texts, or an iterable of batches of them.
            batch_size: not needed; an array is taken whole.
            steps: how many batches are taken at most.
        """
        self.reset_state()
        for batch in batches(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Counts the tokens of a batch; `finalize_state` makes the vocabulary."""
        tokens, _ = self._tokens(np.atleast_1d(as_strings(data, self.encoding)))
        self._lookup_layer.check_adaptable()
        self._lookup_layer.count_documents(tokens)

    def finalize_state(self) -> None:
        """Makes the vocabulary of the tokens that were counted."""
        self._lookup_layer.finalize_state()

    def reset_state(self) -> None:
        """Forgets what was counted."""
        self._lookup_layer.reset_state()

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """Returns the tokens in the order of their indices.

        Args:
            include_special_tokens: whether `""` and `"[UNK]"` stand before them.
        """
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """Returns the number of indices, those of special tokens included."""
        return self._lookup_layer.vocabulary_size()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Sets the tokens.

        Args:
            vocabulary: the tokens, or the path of a text file with one on each line.
            idf_weights: their inverse document frequencies, for the output mode `"tf_idf"`.
        """
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights=idf_weights)

    # From texts to tokens

    def _tokens(self, texts: np.ndarray) -> tuple[list[Sequence[str]], tuple[int, ...]]:
        """Returns lists of tokens, and the shape in which they lie."""
        if callable(self.standardize):
            texts = as_strings(self.standardize(texts), self.encoding)
        for table in _TRANSLATIONS.get(self.standardize, ()) if self.standardize else ():
            words = [text.translate(table) for text in texts.ravel().tolist()]
            texts = np.array(words, object).reshape(texts.shape)
        if self.split is None:
            rows = (
                texts.reshape(-1, texts.shape[-1]).tolist()
                if texts.ndim > 1
                else [[text] for text in texts.ravel().tolist()]
            )
            return self._with_ngrams(rows), texts.shape[:-1]
        if texts.ndim > 1:
            if texts.shape[-1] != 1:
                raise ValueError(
                    "When using `TextVectorization` to tokenize strings, the input rank must be "
                    "1 or the last shape dimension must be 1. Received: "
                    f"inputs.shape={texts.shape} with rank={texts.ndim}"
                )
            texts = texts[..., 0]
        flat = texts.ravel()
        if callable(self.split):
            rows = [as_strings(row, self.encoding).tolist() for row in _rows(self.split(flat))]
        else:
            rows = [_SPLITTERS[self.split](text) for text in flat.tolist()]
        return self._with_ngrams(rows), texts.shape

    def _with_ngrams(self, rows: list[Sequence[str]]) -> list[Sequence[str]]:
        if self.ngrams is None:
            return rows
        sizes = range(1, self.ngrams + 1) if isinstance(self.ngrams, int) else self.ngrams
        return [
            [
                " ".join(row[start : start + size])
                for size in sizes
                for start in range(len(row) - size + 1)
            ]
            for row in rows
        ]

    # Calls

    def call(self, inputs: Any) -> Any:
        texts = as_strings(inputs, self.encoding)
        lookup = self._lookup_layer
        if self.split is None and self.ngrams is None and texts.ndim < 2:
            texts = texts[None]
            rows, _ = self._tokens(texts)
            shape: tuple[int, ...] = ()
        else:
            rows, shape = self._tokens(texts)
        flat = np.array([token for row in rows for token in row], object)
        indices = lookup.indices(flat)
        lengths = [len(row) for row in rows]
        places = np.repeat(np.arange(len(rows)), lengths)
        if self.output_mode == "int":
            columns = np.concatenate([np.arange(length) for length in lengths] or [indices])
            width = self.output_sequence_length
            width = max(lengths, default=0) if width is None else width
            table = np.zeros((len(rows), width), "int64")
            kept = columns < width
            table[places[kept], columns[kept]] = indices[kept]
            return ops.convert_to_tensor(table.reshape((*shape, width)))
        depth = lookup.depth()
        table = occurrences(places, indices, len(rows), depth)
        table = ops.convert_to_tensor(table.reshape((*shape, depth)))
        if self.output_mode == "multi_hot":
            return ops.minimum(table, 1)
        if self.output_mode == "tf_idf":
            return ops.multiply(ops.cast(table, "float32"), lookup.idf_weights_const)
        return table

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        batch = tuple(input_shape)[:-1] if len(input_shape) > 1 else tuple(input_shape)
        if self.output_mode != "int":
            return (*batch, self._lookup_layer.depth())
        return (*batch, self.output_sequence_length)

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        dtype = "float32" if self.output_mode == "tf_idf" else "int64"
        return KerasTensor(self.compute_output_shape(inputs.shape), dtype=dtype)

    # Configs and files

    def get_config(self) -> dict[str, Any]:
        lookup = self._lookup_layer
        return super().get_config() | {
            "vocabulary": lookup.input_vocabulary,
            "idf_weights": lookup.idf_weights,
            "vocabulary_size": lookup.vocabulary_size(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TextVectorization":
        """Returns the layer that `get_config` told."""
        from cornu.saving import deserialize_keras_object

        config = dict(config)
        size = config.pop("vocabulary_size", None)
        for argument in ("standardize", "split"):
            if isinstance(config.get(argument), dict):
                config[argument] = deserialize_keras_object(config[argument])
        layer = cls(**config)
        layer._lookup_layer.told_size = size
        return layer

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Writes the inverse document frequencies, if there are any."""
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store: dict[str, Any]) -> None:
        """Reads the inverse document frequencies, if there should be any."""
        self._lookup_layer.load_own_variables(store)

    def save_assets(self, dir_path: str) -> None:
        """Writes the vocabulary into a text file, if the config doesn't hold it."""
        self._lookup_layer.save_assets(dir_path)

    def load_assets(self, dir_path: str) -> None:
        """Reads the vocabulary that `save_assets` wrote."""
        self._lookup_layer.load_assets(dir_path)


def _rows(tokens: Any) -> list[Any]:
    """Returns the tokens of each text, from what a function of the texts gave."""
    if hasattr(tokens, "to_list"):  # a ragged tensor
        return tokens.to_list()
    return list(tokens.numpy() if hasattr(tokens, "numpy") else tokens)
