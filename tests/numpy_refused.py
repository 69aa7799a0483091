"""Numpy whose computing functions raise."""

import numpy as np

# Makers of arrays, their shapes and dtypes, and what is asked about them. Everything else that
# numpy calls a function is refused.
_TABLE = """
    array asarray asanyarray ascontiguousarray asfortranarray empty empty_like zeros zeros_like
    ones ones_like full full_like eye identity frombuffer fromiter copy copyto arange reshape
    ravel transpose expand_dims squeeze broadcast_to broadcast_shapes broadcast_arrays
    atleast_1d atleast_2d atleast_3d swapaxes moveaxis require shape ndim size dtype iterable
    isscalar can_cast result_type promote_types min_scalar_type issubdtype finfo iinfo
    common_type mintypecode isdtype isfortran typename shares_memory may_share_memory
    get_printoptions set_printoptions printoptions array2string array_repr array_str
    format_float_positional format_float_scientific errstate geterr seterr seterrcall geterrcall
    setbufsize getbufsize get_include show_config show_runtime info save savez savez_compressed
    load loadtxt savetxt fromfile fromstring from_dlpack test
"""
ALLOWED = set(_TABLE.split())


def computing():
    """Yields the modules and names of numpy's functions that compute."""
    for module in (np, np.linalg, np.fft):
        for name in dir(module):
            value = getattr(module, name)
            if name.startswith("_") or name in ALLOWED or isinstance(value, type):
                continue
            if callable(value):
                yield module, name


def refuse(monkeypatch):
    """Makes numpy's computing functions raise, whoever looks them up."""

    def refused(name):
        def function(*args, **kwargs):
            raise AssertionError(f"np.{name} was called")

        return function

    for module, name in list(computing()):
        monkeypatch.setattr(module, name, refused(name))
