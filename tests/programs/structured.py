"""Programs on tables and graphs: columns of several kinds, ratings, networks, uncertainty."""

import numpy as np

from cornu import layers as own
from cornu.utils import FeatureSpace
from programs.harness import Program


def table(count=160, seed=0):
    """Columns of people as a dict, and whether they would buy."""
    rng = np.random.default_rng(seed)
    columns = {
        "age": rng.integers(18, 80, count),
        "income": rng.lognormal(3, 0.5, count).astype("float32"),
        "town": rng.choice(["Bern", "Lyon", "Pisa", "Graz"], count),
        "visits": rng.integers(0, 4, count),
    }
    sum_of_all = (columns["age"] - 50) / 15 + (columns["income"] - 22) / 10
    sum_of_all += np.isin(columns["town"], ["Lyon", "Graz"]) * 2.0 + columns["visits"] - 2.5
    return columns, (sum_of_all > 0).astype("float32")


def binary(keras, inputs, outputs, rate, **options):
    model = keras.Model(inputs, outputs)
    model.compile(
        keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"], **options
    )
    return model


def table_by_feature_space(keras, random):
    """A `FeatureSpace` makes one vector of all columns and of crosses of them.

    Cornu's makes them for both libraries: the real one needs TensorFlow.
    """
    columns, bought = table()
    space = FeatureSpace(
        features={
            "age": FeatureSpace.float_discretized(num_bins=6),
            "income": FeatureSpace.float_normalized(),
            "town": FeatureSpace.string_categorical(num_oov_indices=1, output_mode="one_hot"),
            "visits": FeatureSpace.integer_categorical(num_oov_indices=0),
        },
        crosses=[FeatureSpace.cross(("age", "visits"), crossing_dim=16)],
        output_mode="concat",
    )
    space.adapt(columns)
    x = np.asarray(space(columns))
    inputs = keras.Input((x.shape[1],))
    hidden = keras.layers.Dense(16, activation="relu")(inputs)
    hidden = keras.layers.Dropout(0.2 * random)(hidden)
    model = binary(keras, inputs, keras.layers.Dense(1, activation="sigmoid")(hidden), 0.02)
    fit = {"x": x, "y": bought, "validation_split": 0.2}

    def check():
        if not random:
            return
        # The space stands before the model in one that takes raw columns.
        whole = keras.Model(space.get_inputs(), model(space.get_encoded_features()))
        raw = {name: values[:8, None] for name, values in columns.items()}
        np.testing.assert_allclose(
            whole.predict(raw, verbose=0), model.predict(x[:8], verbose=0), rtol=1e-4
        )

    return Program(model, fit, epochs=15, above={"val_accuracy": 0.95}, check=check)


def table_by_lookups(keras, random):
    """Columns are looked up, cut into ranges, crossed and normalized, each by its own layer."""
    layers = keras.layers
    columns, bought = table()
    town = own.StringLookup(output_mode="int")
    town.adapt(columns["town"])
    visits = own.IntegerLookup(num_oov_indices=0, mask_token=None)
    visits.adapt(columns["visits"])
    x = {
        "age": columns["age"].astype("float32")[:, None],
        "income": columns["income"][:, None],
        "town": np.asarray(town(columns["town"]))[:, None],
        "visits": np.asarray(visits(columns["visits"]))[:, None],
    }
    cross = own.HashedCrossing(12)((columns["town"], columns["visits"]))
    x["cross"] = np.asarray(cross).reshape(-1, 1)
    inputs = {
        name: keras.Input((1,), name=name, dtype=str(column.dtype)) for name, column in x.items()
    }
    normalize = layers.Normalization(axis=None)
    normalize.adapt(x["income"])
    ranges = layers.Discretization([30.0, 40.0, 50.0, 60.0, 70.0], output_mode="one_hot")
    parts = [
        ranges(inputs["age"]),
        normalize(inputs["income"]),
        layers.Flatten()(layers.Embedding(town.vocabulary_size(), 3)(inputs["town"])),
        layers.CategoryEncoding(4, output_mode="one_hot")(inputs["visits"]),
        layers.CategoryEncoding(12, output_mode="multi_hot")(inputs["cross"]),
    ]
    hidden = layers.Dense(12, activation="relu")(layers.concatenate(parts))
    model = binary(keras, inputs, layers.Dense(1, activation="sigmoid")(hidden), 0.02)
    return Program(model, {"x": x, "y": bought}, epochs=12, above={"accuracy": 0.9})


def encoded(columns):
    """Numbers instead of words, all columns about as large as one."""
    towns = own.StringLookup(vocabulary=["Bern", "Lyon", "Pisa", "Graz"], num_oov_indices=0)
    return {
        "numbers": np.stack(
            [(columns["age"] - 50) / 20, np.log(columns["income"]) - 3], axis=1
        ).astype("float32"),
        "town": np.asarray(towns(columns["town"])).astype("int32"),
        "visits": columns["visits"].astype("int32"),
    }


def column_inputs(keras):
    return {
        "numbers": keras.Input((2,), name="numbers"),
        "town": keras.Input((), name="town", dtype="int32"),
        "visits": keras.Input((), name="visits", dtype="int32"),
    }


def wide_deep_and_cross(keras, random):
    """A linear part, a deep part and a part of crosses (Wang 2017) see the same columns."""
    layers = keras.layers
    columns, bought = table()
    x = encoded(columns)
    inputs = column_inputs(keras)
    wide = layers.concatenate(
        [layers.CategoryEncoding(4, output_mode="one_hot")(inputs[n]) for n in ("town", "visits")]
    )
    wide = layers.BatchNormalization()(wide)
    x0 = layers.concatenate(
        [inputs["numbers"], *(layers.Embedding(4, 3)(inputs[n]) for n in ("town", "visits"))]
    )
    cross = x0
    for _ in range(2):
        cross = x0 * layers.Dense(8)(cross) + cross
    deep = x0
    for units in (16, 8):
        deep = layers.Dense(units, use_bias=False)(deep)
        deep = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(deep))
        deep = layers.Dropout(0.1 * random)(deep)
    merged = layers.concatenate([wide, cross, deep])
    model = binary(keras, inputs, layers.Dense(1, activation="sigmoid")(merged), 0.01)
    fit = {"x": x, "y": bought, "batch_size": 20}
    return Program(model, fit, epochs=15, above={"accuracy": 0.9})


def transformer_on_columns(keras, random):
    """Words of all columns see one another by attention; numbers join them after it."""
    layers, ops = keras.layers, keras.ops
    columns, bought = table()

    class Columns(layers.Layer):
        """Adds to each word what stands for its column."""

        def build(self, shape):
            self.columns = self.add_weight(shape=shape[1:], name="columns")

        def call(self, words):
            return words + self.columns

    inputs = column_inputs(keras)
    words = ops.stack([layers.Embedding(4, 8)(inputs[n]) for n in ("town", "visits")], axis=1)
    words = Columns()(words)
    seen = layers.MultiHeadAttention(2, 4, dropout=0.1 * random)(words, words)
    words = layers.LayerNormalization()(layers.add([seen, words]))
    feed = layers.Dense(8)(layers.Dense(8, activation=keras.activations.gelu)(words))
    words = layers.LayerNormalization()(layers.add([feed, words]))
    numbers = layers.LayerNormalization()(inputs["numbers"])
    hidden = layers.concatenate([layers.Flatten()(words), inputs["numbers"], numbers])
    hidden = layers.Dense(16, activation="selu")(hidden)
    model = binary(keras, inputs, layers.Dense(1, activation="sigmoid")(hidden), 0.01)
    fit = {"x": encoded(columns), "y": bought, "batch_size": 20}
    return Program(model, fit, epochs=12, above={"accuracy": 0.9})


def rare_cases(keras, random):
    """One case in twenty is of the rare class, which weighs as much as all others."""
    layers = keras.layers
    rng = np.random.default_rng(0)
    y = (np.arange(400) % 20 == 0).astype("int64")
    x = rng.normal(size=(400, 6)).astype("float32")
    x[:, :3] += 1.5 * y[:, None]
    metrics = [
        keras.metrics.FalseNegatives(name="fn"),
        keras.metrics.FalsePositives(name="fp"),
        keras.metrics.TruePositives(name="tp"),
        keras.metrics.Precision(name="precision"),
        keras.metrics.Recall(name="recall"),
        keras.metrics.AUC(name="prc", curve="PR"),
    ]
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(16, activation="relu"),
            layers.Dropout(0.2 * random),
            layers.Dense(
                1,
                activation="sigmoid",
                bias_initializer=keras.initializers.Constant(np.log(20 / 380)),
            ),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=metrics)
    fit = {"x": x, "y": y, "class_weight": {0: 1 / 380, 1: 1 / 20}, "batch_size": 64}
    return Program(model, fit, epochs=12, above={"recall": 0.85, "prc": 0.4})


def ratings(keras, random):
    """Readers and books are vectors; their product and two biases tell the rating."""
    layers, ops = keras.layers, keras.ops
    rng = np.random.default_rng(0)
    likes, kinds = rng.normal(size=(20, 2)), rng.normal(size=(15, 2))
    pairs = np.stack(np.meshgrid(np.arange(20), np.arange(15)), -1).reshape(-1, 2)
    pairs = rng.permutation(pairs)
    rating = 1 / (1 + np.exp(-(likes[pairs[:, 0]] * kinds[pairs[:, 1]]).sum(1)))

    class Recommender(keras.Model):
        def __init__(self, readers, books, width, **options):
            super().__init__(**options)
            decay = keras.regularizers.l2(1e-6)
            made = {"embeddings_initializer": "he_normal", "embeddings_regularizer": decay}
            self.reader = layers.Embedding(readers, width, **made)
            self.reader_bias = layers.Embedding(readers, 1)
            self.book = layers.Embedding(books, width, **made)
            self.book_bias = layers.Embedding(books, 1)

        def call(self, inputs):
            reader, book = inputs[:, 0], inputs[:, 1]
            alike = ops.sum(self.reader(reader) * self.book(book), axis=1, keepdims=True)
            return ops.sigmoid(alike + self.reader_bias(reader) + self.book_bias(book))

    model = Recommender(20, 15, 4)
    model.compile(keras.optimizers.Adam(0.03), keras.losses.BinaryCrossentropy(), metrics=["mse"])

    def check():
        seen = set(pairs[pairs[:, 0] == 3, 1][:8])
        unseen = np.array([book for book in range(15) if book not in seen])
        asked = np.stack([np.full_like(unseen, 3), unseen], axis=1)
        best = unseen[model.predict(asked, verbose=0)[:, 0].argmax()]
        assert likes[3] @ kinds[best] > np.median(kinds @ likes[3])

    fit = {"x": pairs, "y": rating, "validation_split": 0.1}
    return Program(model, fit, epochs=20, below={"mse": 0.01, "val_mse": 0.03}, check=check)


def chosen_columns(keras, random):
    """Gated residual nets weigh the columns; the weights can be read off."""
    layers, ops = keras.layers, keras.ops
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 4)).astype("float32")
    y = (x[:, 1] > 0).astype("int64")

    class GatedLinearUnit(layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.linear = layers.Dense(units)
            self.sigmoid = layers.Dense(units, activation="sigmoid")

        def call(self, inputs):
            return self.linear(inputs) * self.sigmoid(inputs)

    class GatedResidual(layers.Layer):
        def __init__(self, units, rate):
            super().__init__()
            self.elu = layers.Dense(units, activation="elu")
            self.linear = layers.Dense(units)
            self.drop = layers.Dropout(rate)
            self.gate = GatedLinearUnit(units)
            self.norm = layers.LayerNormalization()
            self.project = layers.Dense(units)

        def call(self, inputs):
            x = self.drop(self.linear(self.elu(inputs)))
            return self.norm(self.project(inputs) + self.gate(x))

    class Selection(layers.Layer):
        def __init__(self, columns, units, rate):
            super().__init__()
            self.residuals = [GatedResidual(units, rate) for _ in range(columns)]
            self.all = GatedResidual(units, rate)
            self.softmax = layers.Dense(columns, activation="softmax")

        def call(self, inputs):
            weights = self.softmax(self.all(layers.concatenate(inputs)))
            columns = [r(column) for r, column in zip(self.residuals, inputs, strict=True)]
            mixed = ops.matmul(weights[:, None], ops.stack(columns, axis=1))
            return ops.squeeze(mixed, axis=1), weights

    inputs = [keras.Input((1,)) for _ in range(4)]
    hidden, weights = Selection(4, 8, 0.1 * random)(inputs)
    chance = layers.Dense(1, activation="sigmoid", name="chance")(hidden)
    model = binary(keras, inputs, chance, 0.02)
    weighing = keras.Model(inputs, weights)
    columns = [x[:, i : i + 1] for i in range(4)]

    def check():
        found = weighing.predict(columns, verbose=0)
        np.testing.assert_allclose(found.sum(1), 1, rtol=1e-4)
        assert found.std(0).min() > 0

    fit = {"x": columns, "y": y}
    return Program(model, fit, epochs=10, above={"accuracy": 0.95}, check=check)


def neural_decision_forest(keras, random):
    """Trees whose nodes decide softly; each sees some of the columns (Kontschieder 2015)."""
    layers, ops = keras.layers, keras.ops
    columns, bought = table()
    x = encoded(columns)

    class Tree(keras.Model):
        def __init__(self, depth, columns, share, classes, seed):
            super().__init__()
            self.depth, self.leaves, self.classes = depth, 2**depth, classes
            used = np.random.default_rng(seed).choice(columns, int(columns * share), replace=False)
            self.used = np.eye(columns, dtype="float32")[used]
            self.chances = self.add_weight(
                shape=(self.leaves, classes), initializer="random_normal", name="chances"
            )
            self.decide = layers.Dense(self.leaves, activation="sigmoid", name="decide")

        def call(self, features):
            batch = ops.shape(features)[0]
            features = ops.matmul(features, ops.transpose(self.used))
            decisions = ops.expand_dims(self.decide(features), axis=2)
            decisions = ops.concatenate([decisions, 1 - decisions], axis=2)
            reached = ops.ones([batch, 1, 1])
            begin, end = 1, 2
            for level in range(self.depth):
                reached = ops.reshape(reached, [batch, -1, 1])
                reached = ops.tile(reached, (1, 1, 2))
                reached = reached * decisions[:, begin:end]
                begin, end = end, end + 2 ** (level + 1)
            reached = ops.reshape(reached, [batch, self.leaves])
            return ops.matmul(reached, ops.softmax(self.chances))

    class Forest(keras.Model):
        def __init__(self, trees, depth, columns, share, classes):
            super().__init__()
            self.trees = [Tree(depth, columns, share, classes, seed) for seed in range(trees)]

        def call(self, features):
            return ops.mean(ops.stack([tree(features) for tree in self.trees]), axis=0)

    inputs = column_inputs(keras)
    one_hot = [ops.one_hot(inputs[name], 4) for name in ("town", "visits")]
    features = layers.BatchNormalization()(layers.concatenate([inputs["numbers"], *one_hot]))
    model = keras.Model(inputs, Forest(4, 3, 10, 0.8, 2)(features))
    model.compile(
        keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    fit = {"x": x, "y": bought.astype("int32"), "batch_size": 20}
    return Program(model, fit, epochs=12, above={"accuracy": 0.85})


def kernel_machine(keras, random):
    """Random Fourier features and a hinge loss make almost a support vector machine."""
    layers, ops = keras.layers, keras.ops
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 2)).astype("float32")
    y = np.digitize((x**2).sum(1), [0.8, 2.0])

    class FourierFeatures(layers.Layer):
        """Approximates a Gaussian kernel (Rahimi 2007)."""

        def __init__(self, units, scale=1.0, **options):
            super().__init__(**options)
            self.units, self.scale = units, scale

        def build(self, shape):
            normal = keras.initializers.RandomNormal(stddev=1.0)
            shape = (shape[-1], self.units)
            self.frequencies = self.add_weight(
                shape=shape, initializer=normal, trainable=False, name="frequencies"
            )
            self.phases = self.add_weight(
                shape=(self.units,),
                initializer=keras.initializers.RandomUniform(0.0, 2 * np.pi),
                trainable=False,
                name="phases",
            )

        def call(self, inputs):
            angles = ops.matmul(inputs, self.frequencies) / self.scale + self.phases
            return ops.cos(angles) * ops.sqrt(2 / self.units)

    model = keras.Sequential(
        [keras.Input((2,)), FourierFeatures(64, 0.8, name="features"), layers.Dense(3)]
    )
    model.compile(
        keras.optimizers.Adam(0.03),
        keras.losses.CategoricalHinge(),
        metrics=[keras.metrics.CategoricalAccuracy(name="acc")],
    )
    fit = {"x": x, "y": np.eye(3, dtype="float32")[y]}
    return Program(model, fit, epochs=20, above={"acc": 0.9})


def mixture_density(keras, random):
    """Several answers to one question: means, spreads and weights of a mixture are told."""
    layers, ops = keras.layers, keras.ops
    rng = np.random.default_rng(0)
    y = rng.uniform(-8, 8, (300, 1)).astype("float32")
    x = (np.sin(0.75 * y) * 4 + y * 0.5 + 0.3 * rng.normal(size=y.shape)).astype("float32")

    class Mixture(layers.Layer):
        def __init__(self, parts):
            super().__init__()
            apart = keras.initializers.RandomUniform(-8.0, 8.0, seed=0)
            self.mean = layers.Dense(parts, bias_initializer=apart, name="mean")
            self.spread = layers.Dense(parts, activation="softplus", name="spread")
            self.weight = layers.Dense(parts, name="weight")

        def call(self, x):
            return layers.concatenate([self.mean(x), self.spread(x) + 0.1, self.weight(x)])

    def loss(y_true, y_pred):
        mean, spread, weight = ops.split(y_pred, 3, axis=-1)
        each = -0.5 * ops.square((y_true - mean) / spread) - ops.log(spread)
        return -ops.logsumexp(ops.log_softmax(weight) + each, axis=-1)

    inputs = keras.Input((1,))
    hidden = layers.Dense(24, activation="tanh")(layers.Rescaling(0.2)(inputs))
    hidden = layers.Dense(24, activation="tanh")(hidden)
    model = keras.Model(inputs, Mixture(4)(hidden))
    model.compile(keras.optimizers.Adam(0.02), loss)

    def check():
        mean, spread, weight = np.split(model.predict(x, verbose=0), 3, axis=-1)
        nearest = np.abs(mean - y).argmin(1)
        assert np.abs(mean - y).min(1).mean() < 1.5
        assert len(set(nearest)) > 1 and np.isfinite(spread).all() and np.isfinite(weight).all()

    return Program(model, {"x": x, "y": y}, epochs=30, below={"loss": 1.4}, check=check)


def graph(count=40, seed=0):
    """People in two groups, friendships mostly within a group, and what is known of each."""
    rng = np.random.default_rng(seed)
    group = np.arange(count) % 2
    chance = np.where(group[:, None] == group, 0.3, 0.03)
    near = np.triu(rng.random((count, count)) < chance, 1)
    near = near | near.T | np.eye(count, dtype=bool)
    known = (rng.normal(size=(count, 4)) + 0.7 * group[:, None]).astype("float32")
    return group, np.argwhere(near).astype("int32"), known


def graph_attention(keras, random):
    """Nodes attend to their neighbours (Velickovic 2018); the model is called on node numbers."""
    layers, ops = keras.layers, keras.ops
    group, edges, known = graph()

    class Attention(layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.units = units

        def build(self, shape):
            self.kernel = self.add_weight(
                shape=(shape[-1], self.units), initializer="glorot_uniform", name="kernel"
            )
            self.attention = self.add_weight(
                shape=(2 * self.units, 1), initializer="glorot_uniform", name="attention"
            )

        def call(self, states):
            states = ops.matmul(states, self.kernel)
            ends = ops.reshape(ops.take(states, edges, axis=0), (edges.shape[0], -1))
            score = ops.leaky_relu(ops.matmul(ends, self.attention))
            score = ops.exp(ops.clip(ops.squeeze(score, -1), -2, 2))
            total = ops.segment_sum(score, edges[:, 0], num_segments=len(known))
            score = score / ops.take(total, edges[:, 0])
            sent = ops.take(states, edges[:, 1], axis=0) * score[:, None]
            return ops.segment_sum(sent, edges[:, 0], num_segments=len(known))

    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.before = layers.Dense(8, activation="relu")
            self.heads = [Attention(4) for _ in range(2)]
            self.after = layers.Dense(2)

        def call(self, inputs):
            states = self.before(ops.convert_to_tensor(known))
            for _ in range(2):
                states = states + ops.concatenate([head(states) for head in self.heads], axis=-1)
            return ops.take(self.after(states), ops.reshape(inputs, (-1,)), axis=0)

    model = Network()
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    fit = {"x": np.arange(40), "y": group, "batch_size": 20}
    return Program(model, fit, epochs=15, above={"accuracy": 0.95})


def messages_between_atoms(keras, random):
    """Molecules of several sizes as one graph: messages, a GRU cell, sums over each molecule."""
    layers, ops = keras.layers, keras.ops
    rng = np.random.default_rng(0)
    atoms = rng.integers(0, 3, (64, 5))
    bonds = np.triu(rng.random((64, 5, 5)) < 0.4, 1)
    bonds = bonds | bonds.swapaxes(1, 2)
    # How many atoms of kind 2 are bound to one of kind 0.
    y = ((atoms == 2)[:, :, None] & (atoms == 0)[:, None] & bonds).any((1, 2)).astype("float32")

    class Messages(layers.Layer):
        def __init__(self, units, steps):
            super().__init__()
            self.steps = steps
            self.edge = layers.Dense(units, use_bias=False)
            self.cell = layers.GRUCell(units)

        def call(self, states, bonds):
            width = states.shape[-1]
            for _ in range(self.steps):
                sent = ops.matmul(bonds, self.edge(states))
                flat = [ops.reshape(t, (-1, width)) for t in (sent, states)]
                new, _ = self.cell(flat[0], flat[1:])
                states = ops.reshape(new, ops.shape(states))
            return states

    inputs = {
        "atoms": keras.Input((None,), dtype="int32", name="atoms"),
        "bonds": keras.Input((None, None), name="bonds"),
    }
    states = layers.Embedding(3, 8)(inputs["atoms"])
    states = Messages(8, 2)(states, inputs["bonds"])
    states = layers.Dense(8, activation="relu")(states)
    molecule = layers.GlobalMaxPooling1D()(states)
    model = binary(keras, inputs, layers.Dense(1, activation="sigmoid")(molecule), 0.03)
    fit = {"x": {"atoms": atoms.astype("int32"), "bonds": bonds.astype("float32")}, "y": y}
    return Program(model, fit, epochs=25, above={"accuracy": 0.9})


def vectors_of_nodes(keras, random):
    """Random walks over a graph tell which nodes belong together (node2vec, Grover 2016)."""
    layers = keras.layers
    group, edges, _ = graph()
    rng = np.random.default_rng(0)
    walks = np.repeat(np.arange(40), 4)[:, None]
    for _ in range(5):
        steps = [rng.choice(edges[edges[:, 0] == node, 1]) for node in walks[:, -1]]
        walks = np.concatenate([walks, np.array(steps)[:, None]], axis=1)
    pairs, labels = [], []
    for walk in walks:
        for i, node in enumerate(walk):
            for other in walk[max(0, i - 2) : i + 3]:
                pairs.append((node, other))
                labels.append(1)
                pairs.append((node, rng.integers(40)))
                labels.append(0)
    pairs, labels = np.array(pairs), np.array(labels)
    inputs = {name: keras.Input((), name=name, dtype="int32") for name in ("target", "context")}
    embed = layers.Embedding(40, 8, embeddings_regularizer=keras.regularizers.L2(1e-6))
    logit = layers.Dot(axes=1)([embed(inputs["target"]), embed(inputs["context"])])
    model = keras.Model(inputs, logit)
    model.compile(keras.optimizers.Adam(0.02), keras.losses.BinaryCrossentropy(from_logits=True))

    def check():
        vectors = embed.get_weights()[0]
        alike = vectors @ vectors.T
        same = group[:, None] == group
        assert alike[same].mean() > alike[~same].mean() + 1

    x = {"target": pairs[:, 0], "context": pairs[:, 1]}
    fit = {"x": x, "y": labels, "batch_size": 512}
    return Program(model, fit, epochs=12, below={"loss": 0.55}, check=check)


def uncertain_weights(keras, random):
    """Weights are distributions: each call draws them, and a divergence pulls them to the prior."""
    layers, ops = keras.layers, keras.ops
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (128, 1)).astype("float32")
    y = np.sin(1.5 * x) + 0.1 * rng.normal(size=x.shape).astype("float32")

    class Variational(layers.Layer):
        def __init__(self, units, scale, activation=None, **options):
            super().__init__(**options)
            self.units, self.scale = units, scale
            self.activation = keras.activations.get(activation)
            self.seed = keras.random.SeedGenerator(7)

        def build(self, shape):
            shape = (shape[-1] + 1, self.units)
            self.mean = self.add_weight(shape=shape, initializer="glorot_uniform", name="mean")
            self.log_spread = self.add_weight(
                shape=shape, initializer=keras.initializers.Constant(-3.0), name="log_spread"
            )

        def call(self, inputs):
            spread = ops.softplus(self.log_spread)
            noise = keras.random.normal(self.mean.shape, seed=self.seed) if random else 0.0
            weights = self.mean + spread * noise
            divergence = ops.square(spread) + ops.square(self.mean) - 1 - 2 * ops.log(spread)
            self.add_loss(self.scale * 0.5 * ops.sum(divergence))
            return self.activation(ops.matmul(inputs, weights[:-1]) + weights[-1])

    inputs = keras.Input((1,))
    hidden = Variational(16, 1e-4, "tanh")(inputs)
    model = keras.Model(inputs, Variational(1, 1e-4)(hidden))
    model.compile(keras.optimizers.RMSprop(0.02), "mse", metrics=["mse"])

    def check():
        drawn = np.stack([model.predict(x, verbose=0) for _ in range(4)])
        assert drawn.std(0).min() > 0
        assert np.abs(drawn.mean(0) - y).mean() < 0.4

    return Program(model, {"x": x, "y": y}, epochs=25, below={"mse": 0.15}, check=check)
