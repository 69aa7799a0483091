"""Layers that turn tokens into indices of a vocabulary, and back."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cornu import ops
from cornu.layers.configured import ConfiguredLayer
from cornu.layers.preprocessing.adapting import batches
from cornu.layers.preprocessing.encoding import (
    check_output_mode,
    check_sparse,
    encoded,
    encoded_shape,
)
from cornu.layers.preprocessing.fingerprints import farmhash64, siphash24
from cornu.layers.preprocessing.strings import as_strings, is_strings
from cornu.ops.symbolic import KerasTensor

_ARGUMENTS = """

    Args:
        max_tokens: largest size of the vocabulary, special tokens included; None for no bound.
        num_oov_indices: how many indices there are for tokens that are out of the vocabulary;
            with several, a token's hash chooses. With none, such a token is an error.
        mask_token: a token that means "nothing here": index 0 with the output mode `"int"`, not
            counted in others. None for none.
        oov_token: what unknown indices become with `invert`.
        vocabulary: the tokens, or the path of a text file with one on each line; else `adapt`
            finds them.
        idf_weights: inverse document frequencies of the tokens, for `"tf_idf"` with a vocabulary.
        invert: whether indices become tokens.
        output_mode: `"int"`: indices; `"one_hot"`: a vector for each token; `"multi_hot"`: one for
            each sample; `"count"`: with numbers of occurrence; `"tf_idf"`: these times the
            inverse document frequencies.
        sparse: must be False: tensors are dense.
        pad_to_max_tokens: whether vectors have the size `max_tokens`."""


class _Vocabulary:
    """The tokens without the special ones, and their places."""

    def __init__(self, tokens: Sequence[Any]) -> None:
        self.tokens = list(tokens)
        self.places = {token: place for place, token in enumerate(self.tokens)}


class IndexLookup(ConfiguredLayer):
    """What lookups of strings and of integers share."""

    _modes = ("int", "one_hot", "multi_hot", "count", "tf_idf")

    def _keep_lookup(self, vocabulary: Any, sparse: bool, salt: Any, **kept: Any) -> None:
        max_tokens, output_mode = kept["max_tokens"], kept["output_mode"]
        if max_tokens is not None and max_tokens <= 1:
            raise ValueError(
                f"If set, `max_tokens` must be greater than 1. Received: max_tokens={max_tokens}"
            )
        if kept["pad_to_max_tokens"] and max_tokens is None:
            raise ValueError(
                "If pad_to_max_tokens is True, must set `max_tokens`. "
                f"Received: max_tokens={max_tokens}"
            )
        if kept["num_oov_indices"] < 0:
            raise ValueError(
                "`num_oov_indices` must be greater than or equal to 0. "
                f"Received: num_oov_indices={kept['num_oov_indices']}"
            )
        check_output_mode(self, output_mode, self._modes)
        if kept["invert"] and output_mode != "int":
            raise ValueError(
                "`output_mode` must be `'int'` when `invert` is true. "
                f"Received: output_mode={output_mode}"
            )
        check_sparse(sparse, output_mode)
        idf_weights = kept["idf_weights"]
        if idf_weights is not None and output_mode != "tf_idf":
            raise ValueError(
                "`idf_weights` should only be set if `output_mode` is `'tf_idf'`. Received: "
                f"idf_weights={idf_weights} and output_mode={output_mode}"
            )
        kept["idf_weights"] = None if idf_weights is None else np.asarray(idf_weights).tolist()
        self._keep(**kept, sparse=sparse)
        self.salt = standardize_salt(self, salt)
        self._allow_non_tensor_positional_args = True
        self._convert_input_args = False
        self.supports_jit = False
        self._vocabulary: _Vocabulary | None = None
        self._idf: np.ndarray | None = None  # of all indices, out-of-vocabulary ones first
        self._called_size: int | None = None
        self.told_size: int | None = None  # by a config, before the vocabulary is read
        self.reset_state()
        self.input_vocabulary: list[Any] | None = None
        if vocabulary is None:
            return
        if output_mode == "tf_idf" and idf_weights is None and not isinstance(vocabulary, str):
            raise ValueError(
                "When specifying the `vocabulary` argument, in TF-IDF output mode, the "
                "`idf_weights` argument must also be provided."
            )
        self.set_vocabulary(vocabulary, idf_weights)
        if not isinstance(vocabulary, str):
            self.input_vocabulary = [_plain(token) for token in np.asarray(vocabulary).tolist()]

    # The vocabulary

    @property
    def _has_mask(self) -> bool:
        return self.mask_token is not None and self.output_mode == "int"

    @property
    def _special_tokens(self) -> list[Any]:
        mask = [self.mask_token] if self._has_mask else []
        return mask + [self.oov_token] * self.num_oov_indices

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """Returns the tokens in the order of their indices.

        Args:
            include_special_tokens: whether mask and out-of-vocabulary tokens stand before them.
        """
        tokens = self._vocabulary.tokens if self._vocabulary else []
        return [*self._special_tokens, *tokens] if include_special_tokens else list(tokens)

    def vocabulary_size(self) -> int:
        """Returns the number of indices, those of mask and out-of-vocabulary tokens included."""
        tokens = self._vocabulary.tokens if self._vocabulary else []
        return len(self._special_tokens) + len(tokens)

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Sets the tokens.

        Args:
            vocabulary: the tokens, the special ones being left out or standing first; or the path
                of a text file with one on each line.
            idf_weights: their inverse document frequencies, for the output mode `"tf_idf"`.

        Raises:
            ValueError: if tokens are repeated, too many, or missing.
            RuntimeError: if the size changes of a layer that was called.
        """
        if self.output_mode == "tf_idf":
            if isinstance(vocabulary, str):
                raise ValueError(
                    "output_mode `'tf_idf'` does not support loading a vocabulary from file."
                )
            if idf_weights is None:
                raise ValueError(
                    "`idf_weights` must be set if output_mode is 'tf_idf'. "
                    f"Received: idf_weights={idf_weights}"
                )
        elif idf_weights is not None:
            raise ValueError(
                "`idf_weights` should only be set if `output_mode` is `'tf_idf'`. Received: "
                f"idf_weights={idf_weights} and output_mode={self.output_mode}"
            )
        tokens = self._read(vocabulary) if isinstance(vocabulary, str) else self._tokens(vocabulary)
        if not tokens:
            raise ValueError(f"Cannot set an empty vocabulary. Received: vocabulary={vocabulary}")
        special = self._special_tokens
        if special and tokens[: len(special)] == special:
            tokens = tokens[len(special) :]
        self._check_tokens(tokens)
        self._place(tokens)
        if idf_weights is None:
            return
        weights = np.asarray(idf_weights, "float32")
        if len(weights) != len(tokens):
            raise ValueError(
                "`idf_weights` must be the same length as vocabulary. "
                f"len(idf_weights) is {len(weights)}; len(vocabulary) is {len(tokens)}"
            )
        self._set_idf(weights)

    def _check_tokens(self, tokens: list[Any]) -> None:
        special = self._special_tokens
        reserved = [("mask", self.mask_token)] if self._has_mask else []
        if self.invert:
            reserved.append(("OOV", self.oov_token))
        for kind, token in reserved:
            if token in tokens:
                raise ValueError(
                    f"Found reserved {kind} token at unexpected location in `vocabulary`. Note "
                    "that passed `vocabulary` does not need to include the OOV and mask tokens. "
                    "Either remove all mask and OOV tokens, or include them only at the start of "
                    f"the vocabulary in precisely this order: {special}. Received: "
                    f"{kind.lower()}_token={token} at vocabulary index {tokens.index(token)}"
                )
        if len(set(tokens)) < len(tokens):
            repeated = [token for token, count in Counter(tokens).items() if count > 1]
            raise ValueError(
                "The passed vocabulary has at least one repeated term. Please uniquify your "
                f"dataset. The repeated terms are: {repeated}"
            )
        size = len(special) + len(tokens)
        if self.max_tokens is not None and size > self.max_tokens:
            raise ValueError(
                "Attempted to set a vocabulary larger than the maximum vocab size. Received "
                f"vocabulary size is {size}; `max_tokens` is {self.max_tokens}."
            )

    def _place(self, tokens: list[Any]) -> None:
        size = len(self._special_tokens) + len(tokens)
        if self._called_size not in (None, size):
            raise RuntimeError(
                f"When using `output_mode={self.output_mode}` and `pad_to_max_tokens=False`, the "
                "vocabulary size cannot be changed after the layer is called. "
                f"Old vocab size is {self._called_size}, new vocab size is {size}"
            )
        self._vocabulary = _Vocabulary(tokens)

    def _set_idf(self, weights: np.ndarray) -> None:
        """Sets the weights of the tokens; an out-of-vocabulary one has their mean."""
        mean = weights.mean() if len(weights) else 0.0
        full = np.concatenate([np.full(self.num_oov_indices, mean), weights]).astype("float32")
        if self.pad_to_max_tokens:
            full = np.pad(full, (0, self.max_tokens - len(full)))
        self._idf = full

    def _tokens(self, values: Any) -> list[Any]:
        """Returns tokens as plain values."""
        raise NotImplementedError

    def _read(self, path: str) -> list[Any]:
        """Returns the tokens in a text file."""
        from cornu.saving.serialization import in_safe_mode

        if in_safe_mode():
            raise ValueError(
                f"A stored config may not name a vocabulary file to read: {path}. Pass "
                "`safe_mode=False` if you trust its source."
            )
        if not os.path.isfile(path):
            raise ValueError(f"Vocabulary file {path} does not exist.")
        with open(path, encoding="utf-8", newline="") as file:
            lines = file.read().splitlines() if self._has_mask else file.read().split("\n")
        lines = lines[:-1] if lines and lines[-1] == "" else lines
        if "" in lines and not self._has_mask:
            raise ValueError(f"Invalid content in {path}: line {lines.index('') + 1} is empty")
        return self._tokens(lines)

    # Adapting

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Makes the vocabulary of the tokens that occur most often.

        Args:
            data: an array or list of tokens, or an iterable of batches of them; for `"tf_idf"`
                each row is a document.
            steps: how many batches are taken at most.

        Raises:
            ValueError: if the layer was made with a vocabulary.
        """
        self.reset_state()
        for batch in batches(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def check_adaptable(self) -> None:
        """Raises ValueError if the layer was made with a vocabulary."""
        if self.input_vocabulary is not None:
            raise ValueError(
                f"Cannot adapt layer '{self.name}' after setting a static vocabulary via "
                "`vocabulary` argument or `set_vocabulary()` method."
            )

    def update_state(self, data: Any) -> None:
        """Counts the tokens of a batch; `finalize_state` makes the vocabulary."""
        self.check_adaptable()
        tokens = self._array(data)
        self.count_documents([list(np.atleast_1d(row)) for row in np.atleast_1d(tokens)])

    def count_documents(self, documents: Sequence[Sequence[Any]]) -> None:
        """Counts the tokens of documents, each a list."""
        self._counts.update(_plain(token) for document in documents for token in document)
        if self.output_mode == "tf_idf":
            for document in documents:
                self._documents.update({_plain(token) for token in document})
        self._document_count += len(documents)

    def finalize_state(self) -> None:
        """Makes the vocabulary of the tokens that were counted."""
        if self.input_vocabulary is not None:
            return
        for token in (self.mask_token, self.oov_token):
            self._counts.pop(token, None)
        ordered = sorted(self._counts, key=lambda token: (self._counts[token], token), reverse=True)
        if self.max_tokens is not None:
            ordered = ordered[: max(self.max_tokens - len(self._special_tokens), 0)]
        self._place(ordered)
        if self.output_mode == "tf_idf":
            found = np.array([self._documents[token] for token in ordered], "float32")
            self._set_idf(np.log1p(np.float32(self._document_count) / (1 + found)))
        self.reset_state()

    def reset_state(self) -> None:
        """Forgets what was counted."""
        self._counts: Counter = Counter()
        self._documents: Counter = Counter()
        self._document_count = 0

    # Calls

    def build(self, input_shape: Any = None) -> None:
        """Does nothing: there are no weights."""

    def get_build_config(self) -> dict[str, Any]:
        """Returns nothing: any shape will do."""
        return {}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Does nothing: there are no weights."""

    @property
    def idf_weights_const(self) -> Any:
        """The inverse document frequency of each index, a tensor."""
        return ops.convert_to_tensor(self._idf)

    def _array(self, values: Any) -> np.ndarray:
        """Returns tokens as an array of numpy."""
        raise NotImplementedError

    def depth(self) -> int | None:
        """Returns the size of vectors, which is fixed from now on."""
        if self.output_mode == "int":
            return None
        if self.pad_to_max_tokens:
            return self.max_tokens
        if self._vocabulary is None:
            if self.told_size is not None:
                return self.told_size
            raise RuntimeError(
                f"When using `output_mode={self.output_mode}` and `pad_to_max_tokens=False`, you "
                "must set the layer's vocabulary before calling it. Either pass a `vocabulary` "
                "argument to the layer, or call `adapt` with some sample data."
            )
        self._called_size = self.vocabulary_size()
        return self._called_size

    def _known(self) -> _Vocabulary:
        if self._vocabulary is None:
            raise RuntimeError(
                f"Layer '{self.name}' has no vocabulary: pass a `vocabulary` argument, or call "
                "`adapt` or `set_vocabulary` before calling it."
            )
        return self._vocabulary

    def _hashed(self, tokens: Iterable[str]) -> np.ndarray:
        """Returns which of the out-of-vocabulary indices tokens get, counted from 0."""
        encoded_tokens = [token.encode(getattr(self, "encoding", "utf-8")) for token in tokens]
        if self.salt is None:
            hashes = farmhash64(encoded_tokens)
        else:
            hashes = siphash24(encoded_tokens, self.salt)
        return (hashes % np.uint64(self.num_oov_indices)).astype("int64")

    def _refuse_unknown(self, unknown: Any) -> None:
        raise RuntimeError(
            "When `num_oov_indices=0` all inputs should be in vocabulary, found OOV values "
            f"{unknown}, consider setting `num_oov_indices=1`."
        )

    def _encoded(self, indices: Any) -> Any:
        depth = self.depth()
        if self.output_mode != "tf_idf":
            return encoded(indices, self.output_mode, depth, "int64")
        counts = encoded(indices, "count", depth, "float32")
        return ops.multiply(counts, self.idf_weights_const)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        return encoded_shape(input_shape, mode, self.depth())

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        dtype = "float32" if self.output_mode == "tf_idf" else "int64"
        return KerasTensor(self.compute_output_shape(inputs.shape), dtype=dtype)

    # Configs and files

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "vocabulary": self.input_vocabulary,
            "vocabulary_size": self.vocabulary_size() if self._vocabulary else None,
            "salt": self.salt,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "IndexLookup":
        """Returns the layer that `get_config` told."""
        known = {key: value for key, value in config.items() if key != "vocabulary_size"}
        layer = cls(**known)
        layer.told_size = config.get("vocabulary_size")
        return layer

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Writes the inverse document frequencies, if there are any."""
        if self._idf is not None:
            store["idf_weights"] = self._idf

    def load_own_variables(self, store: dict[str, Any]) -> None:
        """Reads the inverse document frequencies, if there should be any."""
        if self.output_mode == "tf_idf":
            self._idf = np.asarray(store["idf_weights"], "float32")

    def save_assets(self, dir_path: str) -> None:
        """Writes the vocabulary into a text file, if the config doesn't hold it."""
        if self.input_vocabulary is not None:
            return
        words = [str(token) for token in self.get_vocabulary()]
        path = os.path.join(dir_path, "vocabulary.txt")
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write("\n".join(words))
        if any("\n" in word for word in words):  # lines can't tell them
            with open(os.path.join(dir_path, "vocabulary.json"), "w", encoding="utf-8") as file:
                json.dump(words, file)

    def load_assets(self, dir_path: str) -> None:
        """Reads the vocabulary that `save_assets` wrote."""
        if self.input_vocabulary is not None:
            return
        exact = os.path.join(dir_path, "vocabulary.json")
        if os.path.isfile(exact):
            with open(exact, encoding="utf-8") as file:
                words = json.load(file)
        else:
            path = os.path.join(dir_path, "vocabulary.txt")
            with open(path, encoding="utf-8", newline="") as file:
                words = file.read().split("\n")
        words = words[len(self._special_tokens) :]
        self._place(self._tokens(words))


def standardize_salt(layer: Any, salt: Any) -> list[int] | None:
    """Returns the two integers of a salt, None without one.

    Raises:
        ValueError: if it is neither an integer nor two of them.
    """
    if salt is None:
        return None
    if isinstance(salt, tuple | list) and len(salt) == 2:
        return list(salt)
    if isinstance(salt, int):
        return [salt, salt]
    raise ValueError(
        f"The `salt` argument for `{type(layer).__name__}` can only be a tuple of size 2 "
        f"integers, or a single integer. Received: salt={salt}."
    )


def _plain(token: Any) -> Any:
    if isinstance(token, bytes):
        return token.decode("utf-8")
    return token.item() if isinstance(token, np.generic) else token


class StringLookup(IndexLookup):
    __doc__ = f"""Turns strings into indices of a vocabulary, or back.{_ARGUMENTS}
        encoding: how bytes are decoded.
        salt: one or two integers that choose another hash for tokens out of the vocabulary.

    Call arguments: `inputs`: a string, a list or an array of strings; of integers with `invert`.
    Returns a tensor of integers; an array of strings with `invert`.

    >>> layers.StringLookup(vocabulary=["cat", "dog"])(np.array(["dog", "bird"]))
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("oov_method", None)
        super().__init__(name=name, **kwargs)
        self.encoding = encoding
        self._keep_lookup(
            vocabulary,
            sparse,
            salt,
            invert=invert,
            max_tokens=max_tokens,
            num_oov_indices=num_oov_indices,
            oov_token=oov_token,
            mask_token=mask_token,
            output_mode=output_mode,
            pad_to_max_tokens=pad_to_max_tokens,
            idf_weights=idf_weights,
        )

    def _tokens(self, values: Any) -> list[str]:
        return as_strings(values, self.encoding).ravel().tolist()

    def _array(self, values: Any) -> np.ndarray:
        return as_strings(values, self.encoding)

    def indices(self, strings: np.ndarray) -> np.ndarray:
        """Returns the index of each string of an array; -1 for a mask that has none."""
        vocabulary, flat = self._known(), strings.ravel().tolist()
        mask = self.mask_token
        places = vocabulary.places
        start = len(self._special_tokens)
        unknown, none = -1 - start, -2 - start
        found = np.array(
            [none if word == mask else places.get(word, unknown) for word in flat], "int64"
        )
        found += start
        if mask is not None:
            found[found == -2] = 0 if self._has_mask else -2
        outside = np.flatnonzero(found == -1)
        if len(outside):
            if self.num_oov_indices == 0:
                self._refuse_unknown(sorted({flat[i] for i in outside}))
            first = int(self._has_mask)
            single = self.num_oov_indices == 1
            found[outside] = first
            if not single:
                found[outside] += self._hashed(flat[i] for i in outside)
        return np.maximum(found, -1).reshape(strings.shape)

    def call(self, inputs: Any) -> Any:
        if not self.invert:
            return self._encoded(self.indices(as_strings(inputs, self.encoding)))
        indices = ops.convert_to_numpy(ops.cast(inputs, "int64"))
        table = np.array([*self.get_vocabulary(), self.oov_token])
        outside = (indices < 0) | (indices >= len(table))
        return table[np.where(outside, len(table) - 1, indices)]

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        if self.invert:
            return KerasTensor(inputs.shape, dtype="string")
        return super().compute_output_spec(inputs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"oov_method": "floormod", "encoding": self.encoding}


class IntegerLookup(IndexLookup):
    __doc__ = f"""Turns integers into indices of a vocabulary, or back.{_ARGUMENTS}
        vocabulary_dtype: `"int64"`.
        oov_method: how one of several out-of-vocabulary indices is chosen: `"floormod"`: by the
            remainder; `"farmhash"`: by a hash.
        salt: one or two integers that choose another hash.

    Call arguments: `inputs`: integers. Returns a tensor of integers.

    >>> layers.IntegerLookup(vocabulary=[12, 36])(np.array([36, 7]))
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if vocabulary_dtype != "int64":
            raise ValueError(
                "Only `vocabulary_dtype='int64'` is supported at this time. "
                f"Received: vocabulary_dtype={vocabulary_dtype}"
            )
        super().__init__(name=name, **kwargs)
        if oov_method not in ("floormod", "farmhash"):
            raise ValueError(
                "Unknown value for `oov_method` argument of IntegerLookup. Allowed values are: "
                f"('floormod', 'farmhash'). Received: oov_method={oov_method}"
            )
        if salt is not None and oov_method != "farmhash":
            raise ValueError(
                "`salt` can only be used when `oov_method='farmhash'`. "
                f"Received: oov_method={oov_method}"
            )
        self._keep_lookup(
            vocabulary,
            sparse,
            salt,
            invert=invert,
            max_tokens=max_tokens,
            num_oov_indices=num_oov_indices,
            oov_token=oov_token,
            mask_token=mask_token,
            output_mode=output_mode,
            pad_to_max_tokens=pad_to_max_tokens,
            idf_weights=idf_weights,
            vocabulary_dtype=vocabulary_dtype,
            oov_method=oov_method,
        )

    def _tokens(self, values: Any) -> list[int]:
        return [int(value) for value in np.asarray(values).ravel().tolist()]

    def _array(self, values: Any) -> np.ndarray:
        return np.asarray(ops.convert_to_numpy(values)).astype("int64")

    def call(self, inputs: Any) -> Any:
        if is_strings(inputs):
            raise TypeError(f"Expected integers. Received: inputs={inputs}")
        inputs = ops.cast(inputs, "int64")
        return self._tokens_of(inputs) if self.invert else self._encoded(self._indices_of(inputs))

    def _tokens_of(self, indices: Any) -> Any:
        table = np.array([*self.get_vocabulary(), self.oov_token], "int64")
        last = len(table) - 1
        inside = ops.logical_and(ops.greater_equal(indices, 0), ops.less(indices, last))
        return ops.take(ops.convert_to_tensor(table), ops.where(inside, indices, last), axis=0)

    def _indices_of(self, tokens: Any) -> Any:
        vocabulary = self._known()
        keys = np.array(vocabulary.tokens, "int64")
        order = np.argsort(keys)
        places = order + len(self._special_tokens)
        if self.mask_token is not None:  # it may not be in the vocabulary
            keys = np.append(keys[order], self.mask_token)
            places = np.append(places, 0 if self._has_mask else -1)
            order = np.argsort(keys)
            keys, places = keys[order], places[order]
        else:
            keys = keys[order]
        if not len(keys):
            return self._out_of_vocabulary(tokens)
        where = ops.minimum(ops.searchsorted(keys, tokens), len(keys) - 1)
        known = ops.equal(ops.take(ops.convert_to_tensor(keys), where, axis=0), tokens)
        found = ops.take(ops.convert_to_tensor(places.astype("int64")), where, axis=0)
        if self.num_oov_indices == 0:
            known = ops.convert_to_numpy(known)
            if not known.all():
                self._refuse_unknown(ops.convert_to_numpy(tokens)[~known].tolist())
            return found
        return ops.where(known, found, self._out_of_vocabulary(tokens))

    def _out_of_vocabulary(self, tokens: Any) -> Any:
        first = int(self._has_mask)
        if self.num_oov_indices == 1:
            return ops.full_like(tokens, first)
        if self.oov_method == "floormod":
            return ops.add(ops.mod(tokens, self.num_oov_indices), first)
        values = ops.convert_to_numpy(tokens)
        return ops.convert_to_tensor(
            self._hashed(map(str, values.ravel().tolist())).reshape(values.shape) + first
        )
