"""The optimizers of `tf.keras.optimizers.legacy`: those of today, with `decay`."""

from __future__ import annotations

from typing import Any

from cornu.optimizers import adam, descent
from cornu.optimizers.optimizer import Optimizer
from cornu.optimizers.schedules import InverseTimeDecay

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "Adamax", "Ftrl", "Nadam", "Optimizer", "RMSprop"]


def _with_decay(optimizer: type[Optimizer]) -> type[Optimizer]:
    """The optimizer with Keras 2's arguments `lr` and `decay`.

    With `decay`, the learning rate of step `i` is `learning_rate / (1 + decay * i)`.
    """

    class Legacy(optimizer, shows_base=False):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            decay = kwargs.pop("decay", None) or 0.0
            if "lr" in kwargs:
                kwargs["learning_rate"] = kwargs.pop("lr")
            super().__init__(*args, **kwargs)
            rate = self._learning_rate
            if decay and hasattr(rate, "numpy"):
                self.learning_rate = InverseTimeDecay(float(rate.numpy()), 1, decay)

    Legacy.__name__ = Legacy.__qualname__ = optimizer.__name__
    Legacy.__doc__ = optimizer.__doc__
    return Legacy


Adadelta = _with_decay(descent.Adadelta)
Adagrad = _with_decay(descent.Adagrad)
Adam = _with_decay(adam.Adam)
Adamax = _with_decay(adam.Adamax)
Ftrl = _with_decay(descent.Ftrl)
Nadam = _with_decay(adam.Nadam)
RMSprop = _with_decay(descent.RMSprop)
SGD = _with_decay(descent.SGD)
