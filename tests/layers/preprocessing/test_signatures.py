"""Constructors and methods take Keras's arguments."""

import inspect

import keras
import pytest

import cornu

METHODS = {
    "CategoryEncoding": (),
    "Discretization": ("adapt",),
    "HashedCrossing": (),
    "Hashing": (),
    "IntegerLookup": ("adapt", "set_vocabulary", "get_vocabulary"),
    "Normalization": ("adapt",),
    "StringLookup": ("adapt", "set_vocabulary", "get_vocabulary"),
    "TextVectorization": ("adapt", "set_vocabulary", "get_vocabulary"),
}


def told(function):
    return [
        (parameter.name, parameter.default)
        for parameter in inspect.signature(function).parameters.values()
    ]


@pytest.mark.parametrize("name", METHODS)
def test_signatures(name):
    ours, theirs = (getattr(library.layers, name) for library in (cornu, keras))
    for method in ("__init__", "call", *METHODS[name]):
        assert told(getattr(ours, method)) == told(getattr(theirs, method)), method
