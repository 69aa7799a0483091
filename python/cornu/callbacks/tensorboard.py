"""Records for TensorBoard, and for Orbax, which is refused."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from cornu.callbacks import events
from cornu.callbacks.callback import Callback
from cornu.callbacks.monitor import MonitorCallback


class TensorBoard(Callback):
    """Writes event files that TensorBoard shows; TensorFlow is not needed.

    Args:
        log_dir: folder; training and validation have a folder each inside.
        histogram_freq: after how many epochs the weights' distributions are written; 0 never.
        write_graph: whether the model's config is written, as a text.
        write_images: whether weights are written as images too, with their histograms.
        write_steps_per_second: whether the speed of training is written.
        update_freq: `"epoch"`, `"batch"`, or after how many batches values are written.
        profile_batch: kept for calls that pass it; `cornu.profile` tells what runs.
        embeddings_freq: after how many epochs the embeddings are kept for the projector.
        embeddings_metadata: files of the rows' names, by layer, or one for all.

    >>> model.fit(x, y, callbacks=[TensorBoard("logs")])
    """

    def __init__(
        self,
        log_dir: Any = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: Any = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        self.log_dir = str(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self.profile_batch = profile_batch
        self.embeddings_freq = embeddings_freq
        self.embeddings_metadata = embeddings_metadata
        self._writers: dict[str, events.EventWriter] = {}
        self._train_step = self._test_step = 0
        self._epoch_start = (0.0, 0)

    def _writer(self, name: str) -> events.EventWriter:
        if name not in self._writers:
            self._writers[name] = events.EventWriter(os.path.join(self.log_dir, name))
        return self._writers[name]

    def _write(self, name: str, values: dict[str, Any], step: int) -> None:
        for tag, value in values.items():
            self._writer(name).write(events.scalar_summary(tag, float(value)), step)
        if values:
            self._writer(name).flush()

    def on_train_begin(self, logs: Any = None) -> None:
        """Begins with the first step, and writes the model's config."""
        self._train_step = self._test_step = 0
        if self.write_graph:
            try:
                text = self.model.to_json()
            except NotImplementedError:
                return  # the model tells no config
            self._writer("train").write(events.text_summary("keras", text), 0)

    def on_train_end(self, logs: Any = None) -> None:
        """Closes the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the clock."""
        self._epoch_start = (time.perf_counter(), self._train_step)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Writes the values of a batch, if it is one of those."""
        self._train_step += 1
        often = isinstance(self.update_freq, int)
        if often and logs and self._train_step % self.update_freq == 0:
            values = {f"batch_{name}": value for name, value in logs.items()}
            self._write("train", values, self._train_step)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes the values of an epoch, and the weights if it is one of those."""
        logs = dict(logs or {})
        named = {
            part: {
                f"epoch_{name.removeprefix('val_')}": value
                for name, value in logs.items()
                if name.startswith("val_") == (part == "validation")
            }
            for part in ("train", "validation")
        }
        rate = getattr(self.model.optimizer, "learning_rate", None)
        if rate is not None:
            named["train"]["epoch_learning_rate"] = float(np.array(rate))
        if self.write_steps_per_second:
            start, first = self._epoch_start
            seconds = max(time.perf_counter() - start, 1e-9)
            named["train"]["epoch_steps_per_second"] = (self._train_step - first) / seconds
        for part, values in named.items():
            self._write(part, values, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._keep_embeddings()

    def on_test_end(self, logs: Any = None) -> None:
        """Writes the values of an evaluation by the number of updates made."""
        optimizer = self.model.optimizer
        if not logs or optimizer is None:
            return
        step = int(np.array(optimizer.iterations))
        values = {f"evaluation_{name}_vs_iterations": value for name, value in logs.items()}
        self._write("validation", values, step)

    def _write_weights(self, epoch: int) -> None:
        writer = self._writer("train")
        for layer in self.model.layers:
            for weight in layer.weights:
                values = weight.numpy()
                writer.write(events.histogram_summary(f"{weight.path}/histogram", values), epoch)
                if self.write_images:
                    summary = events.image_summary(f"{weight.path}/image", *_as_images(values))
                    writer.write(summary, epoch)
        writer.flush()

    def _keep_embeddings(self) -> None:
        """Writes the tables of embeddings as text, and the projector's file of their places."""
        from cornu.layers import Embedding

        lines = []
        os.makedirs(os.path.join(self.log_dir, "train"), exist_ok=True)
        for layer in self.model.layers:
            if not isinstance(layer, Embedding):
                continue
            name = f"{layer.name}.tsv"
            path = os.path.join(self.log_dir, "train", name)
            np.savetxt(path, np.array(layer.embeddings), delimiter="\t")
            lines.append(f'embeddings {{\n  tensor_name: "{layer.name}"\n  tensor_path: "{name}"')
            metadata = self.embeddings_metadata
            if isinstance(metadata, dict):
                metadata = metadata.get(layer.name)
            if metadata:
                lines.append(f'  metadata_path: "{metadata}"')
            lines.append("}")
        config = os.path.join(self.log_dir, "train", "projector_config.pbtxt")
        with open(config, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")


def _as_images(values: np.ndarray) -> tuple[list[bytes], int, int]:
    """A weight as grey images, with their width and height: one for each of the last axes."""
    import struct
    import zlib

    low, high = values.min(initial=0.0), values.max(initial=0.0)
    grey = ((values - low) / max(high - low, 1e-12) * 255).astype("uint8")
    rows = grey.reshape(grey.shape[0] if grey.ndim else 1, -1)
    height, width = rows.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines))
    return [png + chunk(b"IEND", b"")], width, height


class OrbaxCheckpoint(MonitorCallback):
    """Not there: checkpoints of Orbax belong to JAX.

    Raises:
        ImportError: always; `ModelCheckpoint` saves the same.
    """

    def __init__(
        self,
        directory: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
        max_to_keep: int = 1,
        save_on_background: bool = True,
        save_weights_only: bool = False,
    ) -> None:
        raise ImportError(
            "OrbaxCheckpoint requires the package `orbax-checkpoint`, which writes arrays of JAX. "
            "Use `keras.callbacks.ModelCheckpoint` or `BackupAndRestore`."
        )
