"""Tensors larger than any memory are errors of Python, not the end of the process."""

from tests.processes import run_python

# Each is tried eagerly and inside a trace, in a process that gets little memory.
CALLS = """
random.normal((10**15,))
random.uniform((10**15,))
random.randint((10**15,), 0, 4)
ops.zeros((10**14,))
ops.zeros((10**14, 10**14))
ops.zeros((2**62, 4))
ops.zeros((2**63 - 1, 2**63 - 1))
ops.zeros((10**10, 10**10, 0))
ops.ones((10**14,))
ops.full((10**14,), 2.0)
ops.broadcast_to(x, (10**14, 4))
ops.pad(x, ((10**14, 0),))
ops.pad(x, ((2**62, 2**62),))
ops.tile(x, (10**14,))
ops.tile(x, (2**62, 2**62))
ops.repeat(x, 10**14)
ops.one_hot(i, 10**15)
ops.multi_hot(i, 10**15)
ops.matmul(ops.ones((10**7, 1)), ops.ones((1, 10**7)))
ops.outer(ops.ones((10**7,)), ops.ones((10**7,)))
ops.add(ops.ones((10**7, 1)), ops.ones((1, 10**7)))
ops.eye(10**8)
ops.eye(10**15)
ops.arange(10**16)
ops.linspace(0, 1, 10**15)
ops.tri(10**10)
ops.diag(ops.ones((10**6,)))
ops.segment_sum(x, [0, 0, 1, 1], num_segments=10**15)
ops.scatter([[0]], ops.ones((1,)), (10**15,))
ops.bincount(i, minlength=10**15)
ops.hamming(10**15)
ops.image.resize(ops.ones((1, 4, 4, 1)), (10**9, 10**9))
ops.image.resize(ops.ones((1, 4, 4, 1)), (10**12, 3), interpolation="nearest")
ops.image.scale_and_translate(ops.ones((4,)), (10**12,), ops.ones(1), ops.ones(1), (0,), "linear")
layers.Resizing(10**9, 10**9)(ops.ones((1, 4, 4, 1)))
ops.conv_transpose(ops.ones((1, 4, 1)), ops.ones((2, 1, 1)), strides=10**14)
layers.RepeatVector(10**14)(ops.ones((1, 4)))
layers.Dense(10**14)(ops.ones((1, 4)))
""".strip().splitlines()

PROGRAM = f"""
import resource

resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
import cornu
from cornu import layers, ops, random

x, i = ops.ones((4,)), ops.convert_to_tensor([1, 2])
outer = cornu.function(lambda z: ops.sum(ops.outer(z, z + 1) ** 2))
outer(ops.ones((8,)))  # a plan for any size


def outcome(call):
    try:
        return f"gave {{call()}}"
    except Exception as error:
        return type(error).__name__


for source in {CALLS!r}:
    call = eval("lambda: " + source)
    print(source, "|", outcome(call), outcome(lambda: cornu.function(lambda z: call())(x)))
print("plan |", *(outcome(lambda: outer(ops.ones((n,)))) for n in (10**6, 10**8)))
print("after |", float(ops.sum(x)), float(outer(x)))
"""


def test_sizes_beyond_memory():
    outcomes = dict(line.split(" | ") for line in run_python(PROGRAM).splitlines())
    assert outcomes.pop("after") == "4.0 64.0"
    assert outcomes == dict.fromkeys([*CALLS, "plan"], "MemoryError MemoryError")
