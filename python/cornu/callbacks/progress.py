"""What every `fit` keeps and shows: its history and the progress bar."""

from __future__ import annotations

from typing import Any

from cornu.callbacks.callback import Callback, as_numbers


class History(Callback):
    """Keeps the metrics of each epoch; `fit` returns it.

    `history` maps each name to a list with a value per epoch, `epoch` lists the epochs.

    >>> history = model.fit(x, y, epochs=2, verbose=0)
    >>> sorted(history.history)
    ['loss']
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self


class ProgbarLogger(Callback):
    """Shows the progress bar, or with `verbose=2` one line per epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.progbar: Any = None
        self.target: int | None = None
        self.verbose = 1
        self.epochs = 1
        self._called_in_fit = False

    def set_params(self, params: dict[str, Any]) -> None:
        self.verbose = params.get("verbose", 1)
        self.epochs = params.get("epochs", 1)
        self.target = params.get("steps")

    def on_train_begin(self, logs: Any = None) -> None:
        self._called_in_fit = True

    def on_test_begin(self, logs: Any = None) -> None:
        if not self._called_in_fit:
            self._begin()

    def on_predict_begin(self, logs: Any = None) -> None:
        self._begin()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._begin()
        if self.verbose and self.epochs > 1:
            from cornu.utils.progbar import print_message

            print_message(f"Epoch {epoch + 1}/{self.epochs}")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._update(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self._called_in_fit:
            self._update(batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._update(batch, None)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._end(logs)

    def on_test_end(self, logs: Any = None) -> None:
        if not self._called_in_fit:
            self._end(logs)

    def on_predict_end(self, logs: Any = None) -> None:
        self._end(logs)

    def _begin(self) -> None:
        from cornu.utils.progbar import Progbar

        self.seen = 0
        # No value is averaged by the bar: the metrics are running values already.
        self.progbar = Progbar(
            target=self.target, verbose=self.verbose, unit_name="step", stateless_metrics=()
        )

    def _update(self, batch: int, logs: Any) -> None:
        self.seen = batch + 1
        if self.progbar.is_due():
            self.progbar.update(self.seen, _sorted(logs), finalize=False)
        elif self.seen == 1:
            # The duration of a step is measured from the first one on.
            self.progbar.mark_first_step()

    def _end(self, logs: Any) -> None:
        if self.target is None:
            self.target = self.seen
            self.progbar.target = self.seen
        self.progbar.update(self.target, _sorted(logs), finalize=True)


def _sorted(logs: Any) -> list[tuple[str, Any]]:
    return list(as_numbers(logs).items())
