"""Models whose inputs are arrays of strings."""

import numpy as np
import pytest

import cornu

WORDS = np.array([["a", "b"], ["q", "b"], ["a", "a"]])
KINDS = {"str": WORDS, "object": WORDS.astype(object), "bytes": WORDS.astype("S")}


def model():
    words = cornu.Input((2,), dtype="string", name="words")
    number = cornu.Input((1,), name="number")
    indices = cornu.layers.StringLookup(vocabulary=["a", "b"])(words)
    vectors = cornu.layers.Flatten()(cornu.layers.Embedding(3, 2)(indices))
    both = cornu.layers.Concatenate()([vectors, number])
    return cornu.Model({"words": words, "number": number}, cornu.layers.Dense(1)(both))


@pytest.mark.parametrize("kind", KINDS)
def test_functional(kind, tmp_path):
    built = model()
    built.compile("sgd", "mse")
    x = {"words": KINDS[kind], "number": np.ones((3, 1), "float32")}
    before = built.predict(x, verbose=0)
    indices = cornu.ops.convert_to_tensor([[1, 2], [0, 2], [1, 1]])
    vectors = np.asarray(built.get_layer("embedding")(indices)).reshape(3, 4)
    head = built.get_layer("dense")
    expected = head(np.concatenate([vectors, x["number"]], axis=1))
    np.testing.assert_allclose(before, expected, rtol=1e-6)
    np.testing.assert_allclose(built(x), before, rtol=1e-6)
    history = built.fit(x, np.ones((3, 1)), epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]
    built.save(tmp_path / "model.keras")
    again = cornu.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), built.predict(x, verbose=0))


def test_sequential_that_is_built_by_strings():
    lookup = cornu.layers.StringLookup(vocabulary=["a", "b"])
    indices = cornu.Sequential([lookup]).predict(WORDS, verbose=0)
    np.testing.assert_array_equal(indices, [[1, 2], [0, 2], [1, 1]])


def test_lookup_of_integers_runs_as_a_plan():
    inputs = cornu.Input((2,), dtype="int64")
    lookup = cornu.layers.IntegerLookup(vocabulary=[5, 7], num_oov_indices=2, mask_token=0)
    planned = cornu.Model(inputs, lookup(inputs))
    x = np.array([[5, 7], [0, 4], [9, -1]])
    np.testing.assert_array_equal(planned.predict(x, verbose=0), lookup(x))
    np.testing.assert_array_equal(lookup(x), [[3, 4], [0, 1], [2, 2]])


def test_tokens_with_line_ends_survive_a_file(tmp_path):
    lookup = cornu.layers.StringLookup()
    lookup.adapt(["a\nb", "c", "c"])
    cornu.Sequential([cornu.Input((1,), dtype="string"), lookup]).save(tmp_path / "m.keras")
    again = cornu.saving.load_model(tmp_path / "m.keras").layers[-1]
    assert again.get_vocabulary() == ["[UNK]", "c", "a\nb"]


def test_a_stored_config_names_no_file_to_read(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("a\nb\n")
    layer = cornu.layers.StringLookup(vocabulary=str(path))
    stored = cornu.saving.serialize_keras_object(layer)
    stored["config"]["vocabulary"] = str(path)
    with pytest.raises((ValueError, TypeError), match="vocabulary file"):
        cornu.saving.deserialize_keras_object(stored)
