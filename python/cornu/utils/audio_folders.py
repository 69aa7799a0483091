"""Datasets of sound files in folders."""

import wave
from collections.abc import Sequence
from typing import Any

import numpy as np

from cornu.utils.directories import check_arguments, check_split, dataset_of, find_files

_ENDINGS = (".wav",)


def audio_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Any:
    """Returns a dataset of the WAV files in a folder, which is read while it is iterated over.

    Args:
        directory: the folder; with the labels `"inferred"` its folders are the classes.
        labels: `"inferred"`, None, or a list of the label of each file in the order of the paths.
        label_mode: `"int"`, `"categorical"` (one-hot), `"binary"` (0.0 or 1.0), or None.
        class_names: the folders that are classes, in their order; all, sorted, by default.
        batch_size: sounds of a batch; None gives single sounds.
        sampling_rate: samples per second that sounds are resampled to, which needs scipy.
        output_sequence_length: samples that sounds are cut or filled up to with zeros; else they
            are filled up to the longest of their batch.
        ragged: must be False: batches are dense.
        shuffle: whether each epoch has an order of its own.
        seed: integer that makes the orders repeatable.
        validation_split: share of the files that are for validation.
        subset: `"training"`, `"validation"`, or `"both"` for a pair of datasets.
        follow_links: whether links to folders are followed.
        verbose: whether the numbers of files and classes are printed.

    Returns:
        An iterable of `sounds`, or of `(sounds, labels)`: float32 from -1 to 1, of the shape
        `(batch, samples, channels)`. `class_names` and `file_paths` are attributes.

    Raises:
        ValueError: if arguments are unknown or exclude each other, there are no sounds, or a file
            has no samples of 16 bits.
    """
    if ragged and output_sequence_length is not None:
        raise ValueError("Cannot set both `ragged` and `output_sequence_length`")
    if ragged:
        raise ValueError("`ragged=True` can only be used with the TensorFlow backend.")
    if sampling_rate is not None and (not isinstance(sampling_rate, int) or sampling_rate <= 0):
        raise ValueError(
            "`sampling_rate` should have a positive integer value. "
            f"Received: sampling_rate={sampling_rate}"
        )
    labels, label_mode = check_arguments("audio", labels, label_mode, class_names)
    check_split(validation_split, subset, shuffle, seed)
    if shuffle and seed is None:
        seed = np.random.randint(1e6)
    files = find_files(
        directory, labels, _ENDINGS, class_names, shuffle, seed, follow_links, verbose
    )

    def read(paths: list[str]) -> np.ndarray:
        sounds = [_read(path, sampling_rate) for path in paths]
        length = output_sequence_length or max(len(sound) for sound in sounds)
        batch = np.zeros((len(sounds), length, max(s.shape[1] for s in sounds)), "float32")
        for place, sound in zip(batch, sounds, strict=True):
            place[: len(sound), : sound.shape[1]] = sound[:length]
        return batch

    return dataset_of(
        files,
        read,
        label_mode,
        batch_size,
        shuffle,
        seed,
        validation_split,
        subset,
        verbose,
        f"No audio files found in directory {directory}. Allowed format(s): {_ENDINGS}",
    )


def _read(path: str, sampling_rate: int | None) -> np.ndarray:
    """Returns the samples of a file, `(samples, channels)`."""
    try:
        with wave.open(path, "rb") as file:
            width, rate, channels = file.getsampwidth(), file.getframerate(), file.getnchannels()
            content = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path} is no WAV file of integer samples: {error}") from error
    if width != 2:
        raise ValueError(f"{path} has samples of {8 * width} bits; 16 are expected.")
    sound = np.frombuffer(content, "<i2").reshape(-1, channels).astype("float32") / 32768
    if sampling_rate in (None, rate):
        return sound
    try:
        from scipy.signal import resample_poly
    except ImportError as error:
        raise ImportError(
            "The argument `sampling_rate` needs scipy: `pip install scipy`."
        ) from error
    return resample_poly(sound, sampling_rate, rate, axis=0).astype("float32")
