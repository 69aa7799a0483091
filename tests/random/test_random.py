"""Random numbers: their distributions, and the streams of seeds."""

import numpy as np
import pytest

import cornu
from cornu import _cornu, random

N = 20_000

# A draw of many numbers, its mean and its standard deviation.
DRAWS = [
    (lambda s: random.normal((N,), 1.0, 2.0, seed=s), 1.0, 2.0),
    (lambda s: random.truncated_normal((N,), 1.0, 2.0, seed=s), 1.0, 2 * 0.8796),
    (lambda s: random.uniform((N,), -1.0, 3.0, seed=s), 1.0, 4 / 12**0.5),
    (lambda s: random.randint((N,), 0, 10, seed=s), 4.5, 8.25**0.5),
    (lambda s: random.gamma((N,), 2.5, seed=s), 2.5, 2.5**0.5),
    (lambda s: random.gamma((N,), 0.5, seed=s), 0.5, 0.5**0.5),
    (lambda s: random.beta((N,), 2.0, 3.0, seed=s), 0.4, 0.2),
    (lambda s: random.binomial((N,), 10, 0.3, seed=s), 3.0, 2.1**0.5),
    (lambda s: random.categorical(np.log([[0.2, 0.3, 0.5]]), N, seed=s), 1.3, 0.61**0.5),
]


@pytest.mark.parametrize(("draw", "mean", "deviation"), DRAWS)
def test_moments(draw, mean, deviation):
    values = np.asarray(draw(3)).astype("float64").ravel()
    assert values.size == N
    assert abs(values.mean() - mean) < 5 * deviation / N**0.5
    assert abs(values.std() - deviation) < 0.03 * deviation
    np.testing.assert_array_equal(values, np.asarray(draw(3)).ravel())
    assert not np.array_equal(values, np.asarray(draw(4)).ravel())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtypes(dtype):
    for draw in (random.normal, random.uniform, random.truncated_normal):
        assert draw((3,), dtype=dtype, seed=1).dtype == dtype


def test_refused_dtypes():
    with pytest.raises(ValueError):
        random.normal((2,), dtype="int32")
    with pytest.raises(ValueError):
        random.randint((2,), 0, 3, dtype="float32")


def test_dropout():
    x = np.ones((100, 200), "float32")
    y = np.asarray(random.dropout(x, 0.25, seed=1))
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    rows = np.asarray(random.dropout(x, 0.5, noise_shape=(100, 1), seed=1))
    assert (rows == rows[:, :1]).all()


def test_shuffle():
    x = np.arange(50)
    y = np.asarray(random.shuffle(x, seed=1))
    assert sorted(y) == list(x) and not np.array_equal(x, y)


def test_a_generator_gives_each_seed_once():
    generator = random.SeedGenerator(5)
    first, second = (np.asarray(random.normal((4,), seed=generator)) for _ in range(2))
    assert not np.array_equal(first, second)
    again = random.SeedGenerator.from_config(generator.get_config())
    np.testing.assert_array_equal(first, np.asarray(random.normal((4,), seed=again)))
    assert generator.state.dtype == "uint32" and tuple(generator.state.shape) == (2,)
    np.testing.assert_array_equal(np.asarray(generator.state), [5, 2])


def test_set_random_seed():
    draws = []
    for _ in range(2):
        cornu.utils.set_random_seed(7)
        draws.append([np.asarray(random.normal((3,))), np.asarray(random.normal((3,)))])
        draws[-1].append(np.asarray(cornu.initializers.GlorotUniform()((3, 4))))
    for a, b in zip(*draws, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(draws[0][0], draws[0][1])


def test_a_trace_goes_on_with_the_stream():
    generator = random.SeedGenerator(5)
    graph = _cornu.trace(lambda: [random.normal((4,), seed=generator)], [])
    plan = graph.compile()
    runs = [np.asarray(plan()[0]) for _ in range(2)]
    eager = random.SeedGenerator(5)
    for run in runs:
        np.testing.assert_array_equal(run, np.asarray(random.normal((4,), seed=eager)))
    np.testing.assert_array_equal(np.asarray(generator.state), np.asarray(eager.state))
