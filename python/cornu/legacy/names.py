"""What Keras 2 calls a variable."""

from typing import Any


def variable_name(variable: Any, model: Any = None) -> str:
    """Returns the name that a variable has in Keras 2: `"dense_2/kernel:0"`.

    Args:
        variable: a variable.
        model: the model that it belongs to; the name of a functional or sequential model is no
            part of the names of its variables.
    """
    from cornu.models import Functional, Sequential

    path = variable.path
    if isinstance(model, Functional | Sequential):
        path = path.removeprefix(f"{model.name}/")
    return f"{path}:0"


def variable_names(model: Any) -> list[str]:
    """Returns the names that the variables of a layer or model have in Keras 2, in their order.

    >>> cornu.legacy.variable_names(Sequential([Input((2,)), layers.Dense(3, name="head")]))
    ['head/kernel:0', 'head/bias:0']
    """
    return [variable_name(variable, model) for variable in model.variables]
