"""Fingerprints of byte strings: the hashes that Keras's hashing layers take from TensorFlow.

All strings of one length are hashed at once, as rows of an array of bytes.
"""

from collections.abc import Callable, Sequence

import numpy as np

_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_CAT = 0xC6A4A7935BD1E995
_SIP = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
_MASK = (1 << 64) - 1

Words = np.ndarray
"""Unsigned 64-bit words, one for each string; sums and products wrap."""


def farmhash64(strings: Sequence[bytes]) -> np.ndarray:
    """Returns FarmHash's `Fingerprint64` of each string, uint64.

    >>> farmhash64([b""])
    array([11160318154034397263], dtype=uint64)
    """
    return _by_length(strings, _farmhash)


def siphash24(strings: Sequence[bytes], key: Sequence[int]) -> np.ndarray:
    """Returns the SipHash-2-4 of each string, uint64.

    Args:
        strings: what is hashed.
        key: two integers, of which the lower 64 bits count.

    Paper: Aumasson and Bernstein, SipHash: a fast short-input PRF (2012).
    """
    return _by_length(strings, lambda rows: _siphash(rows, key))


def concatenated(first: Words, second: Words) -> Words:
    """Returns the fingerprint of two fingerprints, TensorFlow's `FingerprintCat64`."""
    k = np.uint64(_CAT)
    mixed = (first ^ k) ^ (_shift_mix(second * k) * k)
    return _shift_mix(_shift_mix(mixed * k) * k)


def _by_length(strings: Sequence[bytes], function: Callable[[np.ndarray], Words]) -> np.ndarray:
    lengths = np.array([len(string) for string in strings], "int64")
    hashes = np.empty(len(strings), "uint64")
    for length in np.unique(lengths):
        where = np.flatnonzero(lengths == length)
        joined = b"".join(strings[i] for i in where)
        rows = np.frombuffer(joined, "uint8").reshape(len(where), length)
        hashes[where] = function(rows)
    return hashes


def _fetch(rows: np.ndarray, start: int, size: int = 8) -> Words:
    """Returns `size` bytes of each string, little-endian; `start` may count from the end."""
    start %= rows.shape[1]
    piece = np.ascontiguousarray(rows[:, start : start + size])
    return piece.view(f"<u{size}")[:, 0].astype("uint64")


def _word(value: int) -> np.uint64:
    return np.uint64(value & _MASK)


def _rotate_right(x: Words, bits: int) -> Words:
    return (x >> np.uint64(bits)) | (x << np.uint64(64 - bits))


def _shift_mix(x: Words) -> Words:
    return x ^ (x >> np.uint64(47))


def _join(u: Words, v: Words, factor: Words | np.uint64) -> Words:
    a = _shift_mix((u ^ v) * factor)
    return _shift_mix((v ^ a) * factor) * factor


def _farmhash(rows: np.ndarray) -> Words:
    count, length = rows.shape
    if length == 0:
        return np.full(count, _K2, "uint64")
    if length > 64:
        return _farmhash_long(rows)
    k0, k1, k2 = _word(_K0), _word(_K1), _word(_K2)
    factor = _word(_K2 + 2 * length)
    if length < 4:
        a, b, c = (rows[:, i].astype("uint64") for i in (0, length // 2, -1))
        y, z = a + (b << np.uint64(8)), _word(length) + (c << np.uint64(2))
        return _shift_mix((y * k2) ^ (z * k0)) * k2
    if length < 8:
        start = _fetch(rows, 0, 4) << np.uint64(3)
        return _join(start + _word(length), _fetch(rows, -4, 4), factor)
    if length <= 16:
        a, b = _fetch(rows, 0) + k2, _fetch(rows, -8)
        c = _rotate_right(b, 37) * factor + a
        return _join(c, (_rotate_right(a, 25) + b) * factor, factor)
    a = _fetch(rows, 0) * (k1 if length <= 32 else k2)
    b, c, d = _fetch(rows, 8), _fetch(rows, -8) * factor, _fetch(rows, -16) * k2
    y = _rotate_right(a + b, 43) + _rotate_right(c, 30) + d
    z = _join(y, a + _rotate_right(b + k2, 18) + c, factor)
    if length <= 32:
        return z
    e, f = _fetch(rows, 16) * factor, _fetch(rows, 24)
    g, h = (y + _fetch(rows, -32)) * factor, (z + _fetch(rows, -24)) * factor
    last = e + _rotate_right(f + a, 18) + g
    return _join(_rotate_right(e + f, 43) + _rotate_right(g, 30) + h, last, factor)


def _weak(rows: np.ndarray, start: int, a: Words, b: Words) -> tuple[Words, Words]:
    """Returns two words that mix 32 bytes with two seeds."""
    w, x, y, z = (_fetch(rows, start + 8 * i) for i in range(4))
    a = a + w
    b = _rotate_right(b + a + z, 21)
    c = a
    a = a + x + y
    return a + z, b + _rotate_right(a, 44) + c


def _farmhash_long(rows: np.ndarray) -> Words:
    """Hashes strings of over 64 bytes: a state of seven words takes in block after block."""
    count, length = rows.shape
    zero = np.zeros(count, "uint64")
    seed = 81
    x = zero + _word(seed * _K2) + _fetch(rows, 0)
    y = zero + _word(seed * _K1 + 113)
    z = _shift_mix(y * _word(_K2) + _word(113)) * _word(_K2)
    v, w = (zero, zero), (zero, zero)

    def take_in(start: int, factor: Words | np.uint64, weight: int) -> None:
        nonlocal x, y, z, v, w
        x = _rotate_right(x + y + v[0] + _fetch(rows, start + 8), 37) * factor
        y = _rotate_right(y + v[1] + _fetch(rows, start + 48), 42) * factor
        x = x ^ (w[1] * _word(weight))
        y = y + v[0] * _word(weight) + _fetch(rows, start + 40)
        z = _rotate_right(z + w[0], 33) * factor
        v = _weak(rows, start, v[1] * factor, x + w[0])
        w = _weak(rows, start + 32, z + w[1], y + _fetch(rows, start + 16))
        x, z = z, x

    spare = (length - 1) % 64
    for start in range(0, length - 1 - spare, 64):
        take_in(start, _word(_K1), 1)
    factor = _word(_K1) + ((z & _word(0xFF)) << np.uint64(1))
    first = w[0] + _word(spare)
    v = (v[0] + first, v[1])
    w = (first + v[0], w[1])
    take_in(length - 64, factor, 9)
    left = _join(v[0], w[0], factor) + _shift_mix(y) * _word(_K0) + z
    return _join(left, _join(v[1], w[1], factor) + x, factor)


def _siphash(rows: np.ndarray, key: Sequence[int]) -> Words:
    count, length = rows.shape
    padded = np.zeros((count, length // 8 * 8 + 8), "uint8")
    padded[:, :length] = rows
    padded[:, -1] = length % 256
    state = [
        np.full(count, (constant ^ key[i % 2]) & _MASK, "uint64") for i, constant in enumerate(_SIP)
    ]

    def stir(rounds: int) -> None:
        a, b, c, d = state
        for _ in range(rounds):
            a, c = a + b, c + d
            b, d = _rotate_right(b, 51) ^ a, _rotate_right(d, 48) ^ c
            a = _rotate_right(a, 32)
            a, c = a + d, c + b
            b, d = _rotate_right(b, 47) ^ c, _rotate_right(d, 43) ^ a
            c = _rotate_right(c, 32)
        state[:] = a, b, c, d

    for start in range(0, padded.shape[1], 8):
        word = _fetch(padded, start)
        state[3] = state[3] ^ word
        stir(2)
        state[0] = state[0] ^ word
    state[2] = state[2] ^ np.uint64(0xFF)
    stir(4)
    return state[0] ^ state[1] ^ state[2] ^ state[3]
