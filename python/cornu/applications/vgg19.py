"""The names of `keras.applications.vgg19`."""

from cornu.applications.vgg import VGG19, decode_predictions, preprocess_input

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]
