"""The functions that serve the operators of tensors."""

from cornu import _cornu
from cornu.ops import elementwise, indexing, manipulation, products
from cornu.ops.symbolic import KerasTensor

_PROMOTED = (
    "add subtract multiply maximum minimum equal not_equal less less_equal greater greater_equal "
    "left_shift right_shift"
)
_SPELLED = {"and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "invert": "bitwise_not"}

# Operators go straight to the primitives where one function is one primitive; symbolic tensors
# answer theirs themselves.
OPERATORS = {
    **{name: _cornu.primitive(name, promote="result") for name in _PROMOTED.split()},
    **{name: _cornu.primitive(op, promote="result") for name, op in _SPELLED.items()},
    "true_divide": _cornu.primitive("divide", promote="float"),
    "negative": _cornu.primitive("negative", promote="result"),
    "absolute": elementwise.abs,
    "floor_divide": elementwise.floor_divide,
    "mod": elementwise.mod,
    "power": elementwise.power,
    "round": elementwise.round,
    "matmul": products.matmul.definition.function,
    "getitem": indexing.item,
    "transpose": manipulation.transpose,
}

_cornu.register(OPERATORS, KerasTensor)
