"""Attention: weighted means of values, by the likeness of queries and keys."""

from collections.abc import Sequence
from typing import Any

from cornu import ops, random
from cornu.layers.activations import Softmax, hidden_where_not
from cornu.layers.configured import ConfiguredLayer
from cornu.layers.core import EinsumDense
from cornu.layers.regularization import Dropout


class Attention(ConfiguredLayer):
    """Attention of one head on query, value and key as they are.

    Args:
        use_scale: whether scores are multiplied by a learned number.
        score_mode: `"dot"`, or `"concat"` for the sum of `tanh(query + key)`.
        dropout: share of the weights that is dropped in training.
        seed: integer that makes the choice repeatable.

    Call arguments: `inputs`: `[query, value]` or `[query, value, key]` of shapes
    `(batch, queries, dim)`, `(batch, keys, dim)` and `(batch, keys, dim)`; `mask`:
    `[query_mask, value_mask]`; `return_attention_scores`; `use_causal_mask`: whether a query sees
    the keys up to its own place only.

    Paper: Luong et al., Effective Approaches to Attention-based Neural Machine Translation (2015).
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ValueError(
                "Invalid value for argument score_mode. Expected one of {'dot', 'concat'}. "
                f"Received: score_mode={score_mode}"
            )
        self._keep(use_scale=use_scale, score_mode=score_mode, dropout=dropout, seed=seed)
        if dropout > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self._check_inputs(input_shape)
        self.scale = self._add_scale(input_shape) if self.use_scale else None
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight(
                name="concat_score_weight", shape=(), initializer="ones"
            )

    def _add_scale(self, input_shape: Any) -> Any:
        return self.add_weight(name="scale", shape=(), initializer="ones")

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        self._check_inputs(inputs, mask)
        query, value = inputs[:2]
        key = inputs[2] if len(inputs) > 2 else value
        query_mask, value_mask = (mask or (None, None))[:2]
        scores = self._scores(query, key)
        seen = None if value_mask is None else ops.expand_dims(value_mask, -2)
        if use_causal_mask:
            seen = _both(seen, ops.expand_dims(_causal(scores.shape[-2], scores.shape[-1]), 0))
        if seen is not None:
            lowest = 65504.0 if ops.dtype(scores) == "float16" else 1e9
            hidden = ops.cast(ops.logical_not(seen), ops.dtype(scores))
            scores = ops.subtract(scores, ops.multiply(lowest, hidden))
        weights = ops.softmax(scores, axis=-1)
        if training and self.dropout > 0:
            weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
        outputs = ops.matmul(weights, value)
        if query_mask is not None:
            kept = ops.cast(ops.expand_dims(query_mask, -1), ops.dtype(outputs))
            outputs = ops.multiply(outputs, kept)
        return (outputs, weights) if return_attention_scores else outputs

    def _scores(self, query: Any, key: Any) -> Any:
        """Returns scores of shape `(batch, queries, keys)`."""
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.transpose(key, (0, 2, 1)))
            return scores if self.scale is None else ops.multiply(scores, self.scale)
        sums = ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3))
        if self.scale is not None:
            sums = ops.multiply(self.scale, sums)
        return ops.multiply(self.concat_score_weight, ops.sum(ops.tanh(sums), axis=-1))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        self._check_inputs(inputs, mask)
        if mask is None or mask[0] is None:
            return None
        return ops.convert_to_tensor(mask[0])

    def _check_inputs(self, inputs: Any, mask: Any = None) -> None:
        name = type(self).__name__
        if not isinstance(inputs, list):
            raise ValueError(
                f"{name} layer must be called on a list of inputs, namely [query, value] or "
                f"[query, value, key]. Received: inputs={inputs}."
            )
        if len(inputs) not in (2, 3):
            raise ValueError(
                f"{name} layer accepts inputs list of length 2 or 3, namely [query, value] or "
                f"[query, value, key]. Received length: {len(inputs)}."
            )
        if mask is None:
            return
        if not isinstance(mask, list):
            raise ValueError(
                f"{name} layer mask must be a list, namely [query_mask, value_mask]. "
                f"Received: mask={mask}."
            )
        if len(mask) not in (2, 3):
            raise ValueError(
                f"{name} layer accepts mask list of length 2 or 3. Received: inputs={inputs}, "
                f"mask={mask}."
            )


class AdditiveAttention(Attention):
    """Attention whose scores are sums of `tanh(query + key)`.

    Args:
        use_scale: whether each feature of the sum has a learned factor.
        dropout: share of the weights that is dropped in training.

    Call arguments: as in `Attention`.

    Paper: Bahdanau et al., Neural Machine Translation by Jointly Learning to Align (2015).
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def _add_scale(self, input_shape: Any) -> Any:
        return self.add_weight(
            name="scale", shape=(input_shape[0][-1],), initializer="glorot_uniform"
        )

    def _scores(self, query: Any, key: Any) -> Any:
        sums = ops.tanh(ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3)))
        return ops.sum(sums if self.scale is None else ops.multiply(self.scale, sums), axis=-1)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["score_mode"]  # no argument of the constructor
        return config


def _both(first: Any, second: Any) -> Any:
    """Returns the conjunction of two masks, each of which may be None."""
    if first is None or second is None:
        return second if first is None else first
    return ops.logical_and(ops.cast(first, "bool"), ops.cast(second, "bool"))


def _causal(queries: Any, keys: Any) -> Any:
    """Returns `(queries, keys)`: True where the key does not come behind the query."""
    return ops.greater_equal(_places(queries, 1), _places(keys, 0))


def _past(seen: Any, query: Any, key: Any) -> Any:
    """Returns a mask, which may be None, without the keys that come behind the query."""
    return _both(seen, ops.expand_dims(_causal(query.shape[1], key.shape[1]), 0))


def _for_heads(seen: Any, rank: int = 4, places: int = 1) -> Any:
    """Returns a mask, which has no axes for heads and free axes, with these."""
    while len(seen.shape) < rank:
        seen = ops.expand_dims(seen, -2 * places - 1)
    return seen


def _window(queries: Any, keys: Any, size: int) -> Any:
    """Returns `(queries, keys)`: True where the two are less than `size` apart."""
    distance = ops.subtract(_places(queries, 1), _places(keys, 0))
    return ops.less(ops.abs(distance), size)


def _places(count: Any, axis: int) -> Any:
    return ops.expand_dims(ops.arange(count, dtype="int32"), axis)


_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class _ProjectedAttention(ConfiguredLayer):
    """What the layers share that project query, key and value to heads."""

    def _keep_attention(
        self, flash_attention: bool | None, sliding_window: int | None, dropout: float, **kept: Any
    ) -> None:
        if flash_attention and dropout > 0:
            raise ValueError(
                "Dropout is not supported when flash attention is enabled. Please set dropout to "
                "0.0 to use flash attention."
            )
        if sliding_window is not None and (
            not isinstance(sliding_window, int) or sliding_window <= 0
        ):
            raise ValueError(
                "`sliding_window` must be `None` or a positive integer. "
                f"Received: sliding_window={sliding_window}"
            )
        self._keep(sliding_window=sliding_window, **kept)
        self.supports_masking = True

    def _projection(self, name: str, equation: str, shape: Sequence[Any], bias: str) -> EinsumDense:
        """Returns a projection with the layer's initializers, regularizers and constraints."""

        def copied(initializer: Any) -> Any:
            # Projections that share a seed would start equal.
            return type(initializer).from_config(initializer.get_config())

        projection = EinsumDense(
            equation,
            output_shape=tuple(shape),
            bias_axes=bias if self.use_bias else None,
            name=name,
            kernel_initializer=copied(self.kernel_initializer),
            bias_initializer=copied(self.bias_initializer),
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            activity_regularizer=self.activity_regularizer,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
            dtype=self.dtype_policy,
        )
        projection.supports_masking = True  # the attention heeds the masks of what it projects
        return projection

    def _seen(
        self,
        query: Any,
        value: Any,
        query_mask: Any,
        value_mask: Any,
        key_mask: Any,
        attention_mask: Any,
    ) -> Any:
        """Returns what the masks leave, of shape `(batch or 1, queries, keys)`, or None."""
        seen = attention_mask
        if query_mask is not None:
            seen = _both(seen, ops.expand_dims(query_mask, -1))
        for mask in (value_mask, key_mask):
            if mask is not None:
                seen = _both(seen, ops.expand_dims(mask, -2))
        if self.sliding_window is not None:
            window = _window(query.shape[1], value.shape[1], self.sliding_window)
            seen = _both(seen, ops.expand_dims(window, 0))
        return seen

    def _never_whole(self, told: bool, training: bool | None) -> bool:
        """Returns whether nobody looks at the weights or drops some, so that blocks of them do."""
        return not told and not (self.dropout and training)

    def _blockwise(
        self, query: Any, key: Any, value: Any, seen: Any, causal: bool, scale: float
    ) -> Any:
        """Returns the heads' outputs, of shape `(batch, queries, heads, features)`."""
        if seen is None:
            return ops.dot_product_attention(query, key, value, scale=scale, is_causal=causal)
        if self.dropout and causal:
            seen, causal = _past(seen, query, key), False
        seen = _for_heads(ops.cast(seen, "bool"))
        outputs = ops.dot_product_attention(
            query, key, value, mask=seen, scale=scale, is_causal=causal
        )
        if self.dropout:  # see `_weights`
            sees = ops.transpose(ops.any(seen, axis=-1, keepdims=True), (0, 2, 1, 3))
            outputs = ops.where(sees, outputs, 0.0)
        return outputs

    def _weights(self, scores: Any, seen: Any, told: bool) -> Any:
        """Returns the attention weights.

        A query that sees no key looks at all of them alike; but where the weights are told or
        dropped it looks at none, as Keras has it.
        """
        if seen is None:
            return self._softmax(scores)
        if not (told or self.dropout):
            return self._softmax(hidden_where_not(ops.cast(seen, "bool"), scores))
        weights = self._softmax(scores, mask=seen)
        weights._keras_mask = None  # `seen` is no mask of steps, which a loss would heed
        return weights


class MultiHeadAttention(_ProjectedAttention):
    """Attention of several heads, each on its own projection of query, key and value.

    Args:
        num_heads: number of heads.
        key_dim: size of a head's queries and keys.
        value_dim: size of a head's values; `key_dim` if None.
        dropout: share of the weights that is dropped in training.
        use_bias: whether the projections have biases.
        output_shape: shape of the output's features; the query's if None.
        attention_axes: the axes that attention runs along; all between batch and features if None.
        sliding_window: if given, a query sees only the keys less than this far away.
        flash_attention: accepted; blocks of the weights do unless they are told or dropped.
        kernel_initializer, bias_initializer: initializers of the projections.
        kernel_regularizer, bias_regularizer: penalties on their weights.
        activity_regularizer: penalty on their outputs.
        kernel_constraint, bias_constraint: projections of their weights after each update.
        use_gate: whether the heads' outputs are multiplied by a sigmoid gate of the query.
        seed: integer that makes dropout repeatable.

    Call arguments: `query` of shape `(batch, queries, dim)`; `value` and `key` (the value if None)
    of shape `(batch, keys, dim)`; `query_mask`, `value_mask`, `key_mask`; `attention_mask` of
    shape `(batch, queries, keys)`; `return_attention_scores`; `use_causal_mask`.

    Paper: Vaswani et al., Attention Is All You Need (2017).
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: int | Sequence[int] | None = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        for name, value in (("num_heads", num_heads), ("key_dim", key_dim)):
            if not isinstance(value, int) or value <= 0:
                raise ValueError(
                    f"Received an invalid value for argument `{name}`, expected a positive "
                    f"integer. Received: {name}={value}"
                )
        if isinstance(attention_axes, int):
            attention_axes = (attention_axes,)
        self._dropout = dropout
        self._output_shape = (
            (output_shape,)
            if isinstance(output_shape, int)
            else output_shape and tuple(output_shape)
        )
        self._keep_attention(
            flash_attention,
            sliding_window,
            dropout,
            num_heads=num_heads,
            key_dim=key_dim,
            value_dim=value_dim or key_dim,
            use_bias=use_bias,
            use_gate=use_gate,
            attention_axes=attention_axes and tuple(attention_axes),
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=self.activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            seed=seed,
        )

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        if query_shape[1:-1] and value_shape[1:-1] != key_shape[1:-1]:
            raise ValueError(
                f"All dimensions of `value` and `key`, except the last one, must be equal. "
                f"Received: value_shape={value_shape} and key_shape={key_shape}"
            )
        heads = (self.num_heads, self.key_dim)
        self._query_dense = self._into_heads("query", query_shape, heads)
        self._key_dense = self._into_heads("key", key_shape, heads)
        values = (self.num_heads, self.value_dim)
        self._gate_dense = None
        if self.use_gate:
            self._gate_dense = self._into_heads("gate", query_shape, values)
        self._value_dense = self._into_heads("value", value_shape, values)
        rank = len(query_shape)
        if self.attention_axes is None:
            self.attention_axes = tuple(range(1, rank - 1))
        else:
            self.attention_axes = tuple(axis % rank for axis in self.attention_axes)
        self._softmax = Softmax(
            axis=tuple(range(-len(self.attention_axes), 0)), dtype=self.dtype_policy
        )
        self._dropout_layer = Dropout(self._dropout, seed=self.seed, dtype=self.dtype_policy)
        shape = self._output_shape or (query_shape[-1],)
        free = _LETTERS[: rank - 1]
        inner = _LETTERS[rank - 1 : rank + 1]
        outer = _LETTERS[rank + 1 : rank + 1 + len(shape)]
        self._output_dense = self._projection(
            "attention_output",
            f"{free}{inner},{inner}{outer}->{free}{outer}",
            (*(None,) * (rank - 2), *shape),
            outer,
        )
        self._output_dense.build((*query_shape[:-1], self.num_heads, self.value_dim))

    def _into_heads(self, name: str, shape: Any, heads: tuple[int, int]) -> EinsumDense:
        rank = len(shape)
        free, width, inner = _LETTERS[: rank - 1], _LETTERS[rank - 1], _LETTERS[rank : rank + 2]
        layer = self._projection(
            name,
            f"{free}{width},{width}{inner}->{free}{inner}",
            (*(None,) * (rank - 2), *heads),
            inner,
        )
        layer.build(tuple(shape))
        return layer

    @property
    def dropout(self) -> float:
        """Share of the weights that is dropped in training."""
        return self._dropout

    @property
    def query_dense(self) -> EinsumDense:
        """The projection of the query."""
        return self._query_dense

    @property
    def key_dense(self) -> EinsumDense:
        """The projection of the key."""
        return self._key_dense

    @property
    def value_dense(self) -> EinsumDense:
        """The projection of the value."""
        return self._value_dense

    @property
    def output_dense(self) -> EinsumDense:
        """The projection of the heads' outputs."""
        return self._output_dense

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        seen = self._seen(query, value, query_mask, value_mask, key_mask, attention_mask)
        gate = self._gate_dense and ops.sigmoid(self._gate_dense(query))
        key = self._key_dense(value if key is None else key)
        heads = self._query_dense(query), key, self._value_dense(value)
        weights = None
        blocks = self._never_whole(return_attention_scores, training)
        if blocks and len(heads[0].shape) == 4 and self.attention_axes == (1,):
            outputs = self._blockwise(*heads, seen, use_causal_mask, self.key_dim**-0.5)
        else:
            seen = _past(seen, query, value) if use_causal_mask else seen
            outputs, weights = self._attend(*heads, seen, return_attention_scores, training)
        if gate is not None:
            outputs = ops.multiply(outputs, gate)
        outputs = self._output_dense(outputs)
        return (outputs, weights) if return_attention_scores else outputs

    def _attend(
        self, query: Any, key: Any, value: Any, seen: Any, told: bool, training: bool | None
    ) -> tuple[Any, Any]:
        """Returns the heads' outputs, as the query is laid out, and the attention weights."""
        rank = len(query.shape)  # batch, ..., heads, features
        along = self.attention_axes
        free = tuple(i for i in range(1, rank - 2) if i not in along)
        order = (0, *free, rank - 2, *along, rank - 1)
        query, key, value = (ops.transpose(x, order) for x in (query, key, value))
        batch = query.shape[: len(free) + 2]
        queries, keys = (x.shape[len(free) + 2 : -1] for x in (query, key))
        single = len(along) == 1

        def flat(x: Any) -> Any:  # one axis of places
            return x if single else ops.reshape(x, (*batch, -1, x.shape[-1]))

        query = ops.multiply(flat(query), self.key_dim**-0.5)
        scores = ops.matmul(query, _swapped(flat(key)))
        if not single:
            scores = ops.reshape(scores, (*batch, *queries, *keys))
        if seen is not None:
            seen = _for_heads(seen, len(scores.shape), len(along))
        weights = self._weights(scores, seen, told or rank != 4)
        dropped = self._dropout_layer(weights, training=bool(training))
        if not single:
            dropped = ops.reshape(dropped, (*batch, _product(queries), _product(keys)))
        outputs = ops.matmul(dropped, flat(value))
        if not single:
            outputs = ops.reshape(outputs, (*batch, *queries, value.shape[-1]))
        back = sorted(range(rank), key=order.__getitem__)
        return ops.transpose(outputs, back), weights

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "dropout": self._dropout,
            "output_shape": self._output_shape,
        }


def _swapped(x: Any) -> Any:
    rank = len(x.shape)
    return ops.transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def _product(sizes: Sequence[Any]) -> Any:
    total = 1
    for size in sizes:
        total = total * size
    return total


class GroupedQueryAttention(_ProjectedAttention):
    """Attention whose query heads share fewer heads of keys and values.

    Args:
        head_dim: size of a head.
        num_query_heads: number of query heads.
        num_key_value_heads: number of key and value heads; divides the query heads.
        dropout: share of the weights that is dropped in training.
        use_bias: whether the projections have biases.
        flash_attention: accepted; blocks of the weights do unless they are told or dropped.
        sliding_window: if given, a query sees only the keys less than this far away.
        kernel_initializer, bias_initializer: initializers of the projections.
        kernel_regularizer, bias_regularizer: penalties on their weights.
        activity_regularizer: penalty on their outputs.
        kernel_constraint, bias_constraint: projections of their weights after each update.
        use_gate: whether the heads' outputs are multiplied by a sigmoid gate of the query.
        seed: integer that makes dropout repeatable.

    Call arguments: as in `MultiHeadAttention`.

    Paper: Ainslie et al., GQA: Training Generalized Multi-Query Transformer Models (2023).
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if num_query_heads % num_key_value_heads:
            raise ValueError("`num_query_heads` must be divisible by `num_key_value_heads`.")
        self._keep_attention(
            flash_attention,
            sliding_window,
            dropout,
            head_dim=head_dim,
            num_query_heads=num_query_heads,
            num_key_value_heads=num_key_value_heads,
            use_bias=use_bias,
            use_gate=use_gate,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=self.activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            seed=seed,
        )
        self._keep(dropout=dropout)

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        queries = (None, self.num_query_heads, self.head_dim)
        keys = (None, self.num_key_value_heads, self.head_dim)

        def projected(name: str, letters: str, shape: Any, heads: Sequence[Any]) -> EinsumDense:
            place, head = letters
            layer = self._projection(
                name, f"b{place}m,m{head}h->b{place}{head}h", heads, f"{head}h"
            )
            layer.build(tuple(shape))
            return layer

        self._query_dense = projected("query", "qu", query_shape, queries)
        self._key_dense = projected("key", "kv", key_shape, keys)
        self._gate_dense = projected("gate", "qu", query_shape, queries) if self.use_gate else None
        self._value_dense = projected("value", "kv", value_shape, keys)
        self._softmax = Softmax(axis=-1, dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy)
        width = query_shape[-1]
        self._output_dense = self._projection(
            "attention_output", "bquh,uhm->bqm", (None, width), "m"
        )
        self._output_dense.build((*query_shape[:-1], self.num_query_heads, self.head_dim))

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        seen = self._seen(query, value, query_mask, value_mask, key_mask, attention_mask)
        gate = self._gate_dense and ops.sigmoid(self._gate_dense(query))
        keys, values = self._key_dense(value if key is None else key), self._value_dense(value)
        queries, weights = self._query_dense(query), None
        if self._never_whole(return_attention_scores, training):
            scale = self.head_dim**-0.5
            outputs = self._blockwise(queries, keys, values, seen, use_causal_mask, scale)
        else:
            seen = _past(seen, query, value) if use_causal_mask else seen
            outputs, weights = self._attend(
                queries, keys, values, seen, return_attention_scores, training
            )
        if gate is not None:
            outputs = ops.multiply(outputs, gate)
        outputs = self._output_dense(outputs)
        return (outputs, weights) if return_attention_scores else outputs

    def _attend(
        self, queries: Any, keys: Any, values: Any, seen: Any, told: bool, training: bool | None
    ) -> tuple[Any, Any]:
        """Returns the heads' outputs, as the queries are laid out, and the attention weights."""
        repeats = self.num_query_heads // self.num_key_value_heads
        heads = [queries]
        heads += [ops.repeat(x, repeats, axis=2) if repeats > 1 else x for x in (keys, values)]
        queries, keys, values = (ops.transpose(x, (0, 2, 1, 3)) for x in heads)
        scores = ops.multiply(ops.matmul(queries, _swapped(keys)), self.head_dim**-0.5)
        if seen is not None:
            seen = ops.expand_dims(seen, -3)
        weights = self._weights(scores, seen, told)
        outputs = ops.matmul(self._dropout_layer(weights, training=bool(training)), values)
        return ops.transpose(outputs, (0, 2, 1, 3)), weights
