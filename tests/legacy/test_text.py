"""Keras 2's tokenizer, windows and pairs."""

import numpy as np
import pytest

from cornu.preprocessing import sequence, text

TEXTS = ["The cat sat on the mat.", "A dog, a cat! And the end"]


def test_words_are_numbered_by_frequency():
    tokenizer = text.Tokenizer(num_words=4, oov_token="<oov>")
    tokenizer.fit_on_texts(TEXTS)
    assert list(tokenizer.word_index)[:4] == ["<oov>", "the", "cat", "a"]
    assert tokenizer.texts_to_sequences(["the cat barks", "a"]) == [[2, 3, 1], [1]]
    assert tokenizer.sequences_to_texts([[2, 3, 9]]) == ["the cat <oov>"]
    assert tokenizer.document_count == 2 and tokenizer.word_docs["the"] == 2


@pytest.mark.parametrize(
    "mode, expected",
    [
        ("binary", [0, 1, 1]),
        ("count", [0, 2, 1]),
        ("freq", [0, 2 / 3, 1 / 3]),
        ("tfidf", [0, (1 + np.log(2)) * np.log(2), np.log(1 + 2 / 2)]),
    ],
)
def test_matrix(mode, expected):
    tokenizer = text.Tokenizer()
    tokenizer.fit_on_texts(["x x y", "x"])
    if mode == "tfidf":
        expected[1] = (1 + np.log(2)) * np.log(1 + 2 / 3)
    np.testing.assert_allclose(tokenizer.texts_to_matrix(["x x y"], mode)[0], expected)


def test_json_round_trip():
    tokenizer = text.Tokenizer(char_level=True)
    tokenizer.fit_on_texts(["abca"])
    again = text.tokenizer_from_json(tokenizer.to_json())
    assert again.get_config() == tokenizer.get_config()
    assert again.texts_to_sequences(["ab"]) == [[1, 2]]
    assert again.sequences_to_texts([[1, 2]]) == ["a b"]


def test_functions_and_errors():
    assert text.text_to_word_sequence("One, TWO", lower=False) == ["One", "TWO"]
    assert text.hashing_trick("a b a", 50, "md5")[0] == text.hashing_trick("a", 50, "md5")[0]
    assert all(0 < number < 10 for number in text.one_hot("a b c d", 10))
    with pytest.raises(ValueError, match="fit on some text"):
        text.Tokenizer().sequences_to_matrix([[1]])
    with pytest.raises(ValueError, match="mode"):
        text.Tokenizer(num_words=3).sequences_to_matrix([[1]], mode="other")
    with pytest.raises(TypeError, match="nb_words"):
        text.Tokenizer(nb_words=3)


def test_windows_of_a_series():
    windows = sequence.TimeseriesGenerator(
        np.arange(10), np.arange(10) * 2, length=4, sampling_rate=2, batch_size=4
    )
    assert len(windows) == 2
    x, y = windows[0]
    assert x.tolist() == [[0, 2], [1, 3], [2, 4], [3, 5]] and y.tolist() == [8, 10, 12, 14]
    assert windows.get_config()["end_index"] == 9
    with pytest.raises(ValueError, match="same length"):
        sequence.TimeseriesGenerator([1], [1, 2], 1)
    with pytest.raises(ValueError, match="disallowed"):
        sequence.TimeseriesGenerator([1, 2], [1, 2], 5)


def test_pairs_of_near_words():
    pairs, labels = sequence.skipgrams([1, 2, 0, 3], 5, window_size=1, shuffle=False, seed=1)
    assert pairs[:2] == [[1, 2], [2, 1]] and labels == [1, 1, 0, 0]
    table = sequence.make_sampling_table(20)
    assert (np.diff(table[1:]) > 0).all() and table[0] == table[1]
