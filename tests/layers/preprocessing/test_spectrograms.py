"""Kernels of spectrograms begin as Keras's do."""

import keras
import numpy as np
import pytest

import cornu

WINDOWS = [
    {},
    {"periodic": True},
    {"window": "hamming", "scaling": "spectrum"},
    {"window": "tukey", "scaling": None},
    {"window": None},
    {"window": np.arange(1.0, 9.0)},
    {"fft_length": 16, "mode": "psd"},
]


@pytest.mark.parametrize("given", WINDOWS, ids=str)
def test_kernels(given):
    x = np.random.default_rng(0).standard_normal((2, 30, 1)).astype("float32")
    ours, theirs = (
        library.layers.STFTSpectrogram(**{"frame_length": 8, **given}) for library in (cornu, keras)
    )
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-4)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-5)


@pytest.mark.parametrize(
    "given",
    [
        {"mode": "x"},
        {"frame_step": 40},
        {"frame_step": 0},
        {"frame_length": 0},
        {"fft_length": 20},
        {"scaling": "x"},
        {"padding": "x"},
        {"window": "no such window"},
        {"window": np.ones(3)},
    ],
    ids=str,
)
def test_errors(given):
    for library in (cornu, keras):
        with pytest.raises(ValueError):
            library.layers.STFTSpectrogram(**{"frame_length": 32, **given})(np.zeros((1, 64, 1)))


def test_matrix_of_bands():
    for given in ({}, {"num_mel_bins": 5, "num_spectrogram_bins": 17, "sampling_rate": 16000}):
        ours, theirs = (
            library.layers.MelSpectrogram().linear_to_mel_weight_matrix(**given)
            for library in (cornu, keras)
        )
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
