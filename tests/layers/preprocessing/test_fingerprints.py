"""Hashes of byte strings have TensorFlow's values."""

import numpy as np
import pytest

from cornu.layers.preprocessing.fingerprints import concatenated, farmhash64, siphash24

# Every length has code of its own: empty, under 4, 8, 17, 33 and 65 bytes, and several blocks.
LENGTHS = (0, 1, 3, 4, 7, 8, 16, 17, 32, 33, 64, 65, 128, 129, 300)
STRINGS = [bytes((7 * i + length) % 256 for i in range(length)) for length in LENGTHS]
# Of `tf.strings.to_hash_bucket_fast` and `to_hash_bucket_strong`, with so many buckets:
BUCKETS = 2**62 - 57
FAST = [
    1936946117179621569,
    550085751958558839,
    50737162503519645,
    74291032824012563,
    3398365883158499763,
    3403648104430011034,
    663651183927827018,
    3125010364355856186,
    3992320350721670009,
    3233698670931835711,
    1859692024977922398,
    444801980686921533,
    2003798058489048692,
    455335815384283904,
    3886849482814154836,
]
STRONG = {
    (3, 3): [
        2471512684492178170,
        461637283549282408,
        3876902522080440167,
        2572181287142192479,
        3456918782106667600,
        3825592614293127404,
        1715477375941011676,
        870042824611532615,
        4271406457462410330,
        1862553475423496760,
        4413767455817720993,
        3021090768158426001,
        1442866235301625274,
        3635729867317777976,
        4450231589473617765,
    ],
    (5, -6): [
        900703905317693423,
        407151601552874927,
        3021411562264136224,
        1213464889946672688,
        2148742781597423521,
        360385558539185002,
        4456430474466820876,
        3881689108066291624,
        1722909038315657570,
        2420537942422057601,
        1436856032547037415,
        1700276879463728086,
        1462690196991754827,
        2409579492732361975,
        3799805154863395167,
    ],
}


def test_farmhash():
    np.testing.assert_array_equal(farmhash64(STRINGS) % np.uint64(BUCKETS), FAST)


@pytest.mark.parametrize("key", STRONG)
def test_siphash(key):
    np.testing.assert_array_equal(siphash24(STRINGS, key) % np.uint64(BUCKETS), STRONG[key])


def test_of_two_fingerprints():
    # The hashed cross of "a", "b", "c" with 1, 2, 3 into 5 bins.
    crossed = np.full(3, 0xDECAFCAFFE, "uint64")
    for feature in (farmhash64([b"a", b"b", b"c"]), np.array([1, 2, 3], "uint64")):
        crossed = concatenated(crossed, feature)
    assert (crossed % np.uint64(5)).tolist() == [0, 2, 4]
