"""JAX: jitted functions, waited for."""

from functools import partial
from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from benches.kernels.libraries import Call


def jitted(function: Any, *arrays: np.ndarray) -> Call:
    """Calls a function of these arrays."""
    function = jax.jit(function)
    arrays = [jnp.asarray(array) for array in arrays]
    return Call(lambda: jax.block_until_ready(function(*arrays)))


def matmul(a: np.ndarray, b: np.ndarray) -> Call:
    return jitted(jnp.matmul, a, b)


def dense(x: np.ndarray, kernel: np.ndarray) -> Call:
    return matmul(x, kernel)


def convolution(x: Any, kernel: Any, strides: int, padding: str, groups: int = 1) -> Any:
    """A convolution of images, channels last."""
    return lax.conv_general_dilated(
        x,
        kernel,
        (strides, strides),
        padding.upper(),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def depthwise(x: Any, kernel: Any, **window: Any) -> Any:
    """A convolution of each channel."""
    channels = x.shape[3]
    return convolution(x, kernel.reshape(*kernel.shape[:2], 1, channels), **window, groups=channels)


def gradient_of(linear: Any, shape: tuple[int, ...], gradient: Any) -> Any:
    """The gradient of a linear function of an array of this shape, by that array."""
    argument = jax.ShapeDtypeStruct(shape, "float32")
    return jax.linear_transpose(linear, argument)(gradient)[0]


def input_gradient(
    conv: Any, gradient: np.ndarray, kernel: np.ndarray, side: int, **window: Any
) -> Call:
    shape = (len(gradient), side, side, kernel.shape[2])
    return jitted(
        lambda g, k: gradient_of(lambda x: conv(x, k, **window), shape, g), gradient, kernel
    )


def kernel_gradient(
    conv: Any, filters: int | None, x: np.ndarray, gradient: np.ndarray, size: int, **window: Any
) -> Call:
    shape = (size, size, x.shape[3], filters or gradient.shape[3])
    return jitted(lambda x, g: gradient_of(lambda k: conv(x, k, **window), shape, g), x, gradient)


def conv2d(x: np.ndarray, kernel: np.ndarray, **window: Any) -> Call:
    return jitted(lambda x, k: convolution(x, k, **window), x, kernel)


def depthwise_conv2d(x: np.ndarray, kernel: np.ndarray, **window: Any) -> Call:
    return jitted(lambda x, k: depthwise(x, k, **window), x, kernel)


conv2d_input_gradient = partial(input_gradient, convolution)
conv2d_kernel_gradient = partial(kernel_gradient, convolution, None)
depthwise_conv2d_input_gradient = partial(input_gradient, depthwise)
depthwise_conv2d_kernel_gradient = partial(kernel_gradient, depthwise, 1)


def pooled(x: Any, start: float, reduce: Any, size: int, strides: int, padding: str) -> Any:
    """Windows of images, reduced."""
    return lax.reduce_window(
        x, start, reduce, (1, size, size, 1), (1, strides, strides, 1), padding.upper()
    )


def max_pool(x: np.ndarray, **window: Any) -> Call:
    return jitted(lambda x: pooled(x, -jnp.inf, lax.max, **window), x)


def average_pool(x: np.ndarray, **window: Any) -> Call:
    # How many pixels each window holds is a constant: XLA computes it once.
    count = pooled(jnp.ones((1, *x.shape[1:3], 1)), 0.0, lax.add, **window)
    return jitted(lambda x: pooled(x, 0.0, lax.add, **window) / count, x)


def resize_bilinear(x: np.ndarray, side: int) -> Call:
    shape = (len(x), side, side, x.shape[3])
    return jitted(lambda x: jax.image.resize(x, shape, "bilinear", antialias=False), x)


def batch_norm(
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    epsilon: float,
) -> Call:
    def call(x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> Any:
        return (x - mean) * (gamma * lax.rsqrt(variance + epsilon)) + beta

    return jitted(call, x, gamma, beta, mean, variance)


def normalized(x: Any, axes: tuple[int, ...], epsilon: float) -> Any:
    """Numbers less their mean, divided by their deviation."""
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + epsilon)


def batch_norm_training(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> Call:
    return jitted(lambda x, g, b: normalized(x, (0, 1, 2), epsilon) * g + b, x, gamma, beta)


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> Call:
    return jitted(lambda x, g, b: normalized(x, (-1,), epsilon) * g + b, x, gamma, beta)


def group_norm(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float, groups: int
) -> Call:
    def call(x: Any, gamma: Any, beta: Any) -> Any:
        grouped = x.reshape(*x.shape[:3], groups, -1)
        return normalized(grouped, (1, 2, 4), epsilon).reshape(x.shape) * gamma + beta

    return jitted(call, x, gamma, beta)


def rms_norm(x: np.ndarray, scale: np.ndarray, epsilon: float) -> Call:
    def call(x: Any, scale: Any) -> Any:
        return x * lax.rsqrt((x * x).mean(-1, keepdims=True) + epsilon) * scale

    return jitted(call, x, scale)


def softmax(x: np.ndarray) -> Call:
    return jitted(jax.nn.softmax, x)


def gelu(x: np.ndarray) -> Call:
    return jitted(lambda x: jax.nn.gelu(x, approximate=False), x)


def multiply_add_relu(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Call:
    return jitted(lambda a, b, c: jax.nn.relu(a * b + c), a, b, c)


def adam(**arrays: np.ndarray) -> Call:
    """One program for all variables, in their memory."""
    gradients = [jnp.asarray(array) for array in arrays.values()]
    zeros = [jnp.zeros_like(g) for g in gradients]
    state = [[g + 0 for g in gradients], [z + 0 for z in zeros], zeros, jnp.zeros(())]

    def step(variables: Any, means: Any, squares: Any, count: Any, gradients: Any) -> Any:
        count = count + 1
        rate = 0.001 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        pairs = zip(means, squares, gradients, strict=True)
        means, squares = zip(
            *[(m + 0.1 * (g - m), s + 0.001 * (g * g - s)) for m, s, g in pairs], strict=True
        )
        moved = zip(variables, means, squares, strict=True)
        variables = [v - rate * m / (jnp.sqrt(s) + 1e-7) for v, m, s in moved]
        return variables, list(means), list(squares), count

    step = jax.jit(step, donate_argnums=(0, 1, 2, 3))

    def run() -> None:
        state[:] = jax.block_until_ready(step(*state, gradients))

    return Call(run, lambda _: [np.asarray(variable) for variable in state[0]])


def lstm_steps(x: Any, kernel: Any, recurrent_kernel: Any, bias: Any) -> Any:
    """All outputs of the layer (batch, steps, units)."""
    units = len(recurrent_kernel)

    def step(state: Any, inputs: Any) -> Any:
        output, carry = state
        gates = inputs + output @ recurrent_kernel
        i, f, o = (jax.nn.sigmoid(gates[:, j * units : (j + 1) * units]) for j in (0, 1, 3))
        carry = f * carry + i * jnp.tanh(gates[:, 2 * units : 3 * units])
        output = o * jnp.tanh(carry)
        return (output, carry), output

    zeros = jnp.zeros((len(x), units), x.dtype)
    inputs = jnp.swapaxes(x @ kernel + bias, 0, 1)
    return jnp.swapaxes(lax.scan(step, (zeros, zeros), inputs)[1], 0, 1)


def gru_steps(x: Any, kernel: Any, recurrent_kernel: Any, bias: Any) -> Any:
    """All outputs of the layer (batch, steps, units)."""
    units = len(recurrent_kernel)

    def step(state: Any, inputs: Any) -> Any:
        past = state @ recurrent_kernel + bias[1]
        both = jax.nn.sigmoid(inputs[:, : 2 * units] + past[:, : 2 * units])
        update, reset = both[:, :units], both[:, units:]
        new = jnp.tanh(inputs[:, 2 * units :] + reset * past[:, 2 * units :])
        state = update * state + (1 - update) * new
        return state, state

    inputs = jnp.swapaxes(x @ kernel + bias[0], 0, 1)
    return jnp.swapaxes(lax.scan(step, jnp.zeros((len(x), units), x.dtype), inputs)[1], 0, 1)


def called(function: Any, **arrays: np.ndarray) -> Call:
    return jitted(function, *arrays.values())


def trained(function: Any, gradient: np.ndarray, **arrays: np.ndarray) -> Call:
    """The gradients of all arguments, from that of the output."""
    call = jitted(
        lambda gradient, *arguments: jax.vjp(function, *arguments)[1](gradient),
        gradient,
        *arrays.values(),
    )
    return Call(call.run, lambda results: [np.asarray(result) for result in results])


lstm, lstm_training = partial(called, lstm_steps), partial(trained, lstm_steps)
gru, gru_training = partial(called, gru_steps), partial(trained, gru_steps)
attention = partial(called, jax.nn.dot_product_attention)
attention_training = partial(trained, jax.nn.dot_product_attention)
