"""The progress bar of `fit`, `evaluate` and `predict`."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any

from cornu import config

_BOLD, _GREEN, _WHITE, _RESET = "\x1b[1m", "\x1b[32m", "\x1b[37m", "\x1b[0m"


def print_message(message: str, line_break: bool = True) -> None:
    """Writes to the standard output, or to `logging` when interactive logging is off."""
    if config.is_interactive_logging_enabled():
        print(message, end="\n" if line_break else "", flush=True)
    else:
        import logging

        logging.getLogger("cornu").info(message)


class Progbar:
    """A progress bar on the standard output.

    Args:
        target: The number of steps, `None` if unknown.
        width: The width of the bar.
        verbose: 0 for nothing, 1 for a bar, 2 for one line at the end.
        interval: The least time between two drawings, in seconds.
        stateful_metrics: The values that are shown as they are; others are averaged.
        stateless_metrics: If given, the only values that are averaged.
        unit_name: What a step is called.

    >>> bar = keras.utils.Progbar(target=2)
    >>> bar.update(1, [("loss", 0.5)])
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.stateful_metrics = set(stateful_metrics or ())
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        # Each value is shown as a sum over a count.
        self._values: dict[str, tuple[Any, int]] = {}
        self._seen_so_far = 0
        self._start = time.time()
        self._last_update = 0.0
        self._time_after_first_step: float | None = None
        self._prev_total_width = 0

    def is_due(self) -> bool:
        """Whether an update would be shown now."""
        return self.verbose == 1 and time.time() - self._last_update >= self.interval

    def mark_first_step(self) -> None:
        """Starts the measurement of a step's duration, of which the first is no part."""
        self._time_after_first_step = time.time()

    def update(
        self,
        current: int,
        values: Iterable[tuple[str, Any]] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Shows the bar at a step.

        Args:
            current: The number of the step.
            values: Pairs of a name and a value.
            finalize: Whether this is the last update; by default, if `target` is reached.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or ():
            averaged = name not in self.stateful_metrics and (
                self.stateless_metrics is None or name in self.stateless_metrics
            )
            if averaged and not finalize:
                weight = max(current - self._seen_so_far, 1)
                total, count = self._values.get(name, (0.0, 0))
                self._values[name] = (total + value * weight, count + weight)
            else:
                self._values[name] = (value, 1)
        self._seen_so_far = current
        now = time.time()
        if self.verbose == 1:
            if now - self._last_update < self.interval and not finalize:
                return
            self._draw(current, now, finalize)
            self._last_update = now
        elif self.verbose == 2 and finalize:
            parts = [
                f"{current}/{self.target}" if self.target else f"{current}/Unknown",
                f"{now - self._start:.0f}s",
                self._format_time(self._step_duration(current, now)),
            ]
            print_message(" - ".join(parts) + self._info())
        elif self.verbose == 2 and current == 1:
            self.mark_first_step()

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Shows the bar `n` steps further."""
        self.update(self._seen_so_far + n, values)

    def _draw(self, current: int, now: float, finalize: bool) -> None:
        if self.target:
            count = f"{current:{int(math.log10(self.target)) + 1}d}/{self.target}"
            filled = int(self.width * current / self.target)
            bar = (
                f"{_BOLD}{count}{_RESET} "
                f"{_GREEN}{'━' * filled}{_RESET}{_WHITE}{'━' * (self.width - filled)}{_RESET}"
            )
            shown = len(count) + 1 + max(self.width, filled)
        else:
            bar = f"{current:7d}/Unknown"
            shown = len(bar)
        duration = self._step_duration(current, now)
        if self.target and not finalize:
            spent = _clock(duration * (self.target - current))
        else:
            spent = f"{now - self._start:.0f}s"
        text = f" {_BOLD}{spent}{_RESET} {self._format_time(duration)}{self._info()}"
        shown += len(text) - len(_BOLD) - len(_RESET)
        message = "\b" * self._prev_total_width + "\r" + bar + text
        message += " " * (self._prev_total_width - shown)
        self._prev_total_width = shown
        print_message(message + "\n" if finalize else message, line_break=False)

    def _info(self) -> str:
        text = ""
        for name, (total, count) in self._values.items():
            value = float(total) / max(1, count)
            text += f" - {name}: " + (
                f"{value:.4f}" if abs(value) > 1e-3 or value != value else f"{value:.4e}"
            )
        return text

    def _step_duration(self, current: int, now: float) -> float:
        """The time of a step; the first, in which things are prepared, does not count."""
        if not current:
            return 0.0
        if self._time_after_first_step is not None and current > 1:
            duration = (now - self._time_after_first_step) / (current - 1)
        else:
            duration = (now - self._start) / current
        if current == 1:
            self.mark_first_step()
        return duration

    def _format_time(self, duration: float) -> str:
        if duration >= 1 or duration == 0:
            return f"{duration:.0f}s/{self.unit_name}"
        if duration >= 1e-3:
            return f"{duration * 1e3:.0f}ms/{self.unit_name}"
        return f"{duration * 1e6:.0f}us/{self.unit_name}"


def _clock(seconds: float) -> str:
    if seconds > 3600:
        hours, rest = divmod(seconds, 3600)
        return f"{int(hours)}:{int(rest // 60):02d}:{int(rest % 60):02d}"
    if seconds > 60:
        return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
    return f"{int(seconds)}s"
