"""Arrays made ready for models."""

from typing import Any

import numpy as np

from cornu.tensor import Tensor


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Returns one-hot vectors of class numbers.

    Args:
        x: integers from 0, of any shape; a last axis of size 1 is left out.
        num_classes: number of classes; one more than the largest number by default.

    Returns:
        An array `(*x.shape, num_classes)` of float64; a tensor of floats for a tensor.

    >>> to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    if isinstance(x, Tensor):
        from cornu import ops

        if num_classes is None:
            num_classes = int(ops.max(x)) + 1
        shape = x.shape
        if len(shape) > 1 and shape[-1] == 1:
            x = ops.squeeze(x, -1)
        return ops.one_hot(x, num_classes)
    numbers = np.array(x, dtype="int64")
    shape = numbers.shape
    if len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    flat = numbers.ravel()
    classes = num_classes or int(np.max(flat)) + 1
    vectors = np.zeros((flat.size, classes))
    vectors[np.arange(flat.size), flat] = 1
    return vectors.reshape((*shape, classes))


def normalize(x: Any, axis: int = -1, order: float = 2) -> Any:
    """Returns an array divided by its norms.

    Args:
        x: an array or tensor.
        axis: axis that the norms are taken along.
        order: order of the norm, such as 2 for the Euclidean one.

    Returns:
        An array, or a tensor for anything that is no array of numpy; zeros stay zeros.

    >>> normalize(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    if isinstance(x, np.ndarray):
        norms = np.linalg.norm(np.atleast_1d(x), order, axis, keepdims=True)
        norms[norms == 0] = 1
        return x / norms
    from cornu import ops

    return ops.normalize(x, axis=axis, order=order)
