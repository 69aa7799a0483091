"""Small synthetic data that can be learnt."""

import numpy as np

from cornu.utils import PyDataset


def rng(seed=0):
    return np.random.default_rng(seed)


def blobs(samples=200, features=8, classes=3, seed=0):
    """Points around one centre per class, and their classes."""
    r = rng(seed)
    centres = np.random.default_rng(42).standard_normal((classes, features)) * 3
    y = r.integers(0, classes, samples)
    x = centres[y] + r.standard_normal((samples, features))
    return x.astype("float32"), y.astype("int64")


def images(samples=64, size=12, channels=3, classes=2, seed=0):
    """Images whose bright half tells the class, as bytes."""
    r = rng(seed)
    x = r.integers(0, 120, (samples, size, size, channels))
    y = r.integers(0, classes, samples)
    for image, label in zip(x, y, strict=True):
        width = size // classes
        image[:, label * width : (label + 1) * width] += 120
    return x.astype("uint8"), y.astype("uint8")


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class Batches(PyDataset):
    """Arrays, batch by batch."""

    def __init__(self, x, y, size):
        super().__init__()
        self.x, self.y, self.size = x, y, size

    def __len__(self):
        return -(-len(self.x) // self.size)

    def __getitem__(self, index):
        part = slice(index * self.size, (index + 1) * self.size)
        return self.x[part], self.y[part]
