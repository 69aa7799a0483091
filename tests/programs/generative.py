"""Programs that make what looks like their data."""

import numpy as np

from programs.harness import Program, batches


def cloud(count=64):
    """Points around (2, -1)."""
    return np.random.default_rng(0).normal([2, -1], 0.5, (count, 2)).astype("float32")


def critic_with_gradient_penalty(keras, random):
    """WGAN-GP: gradients of gradients."""
    layers, ops = keras.layers, keras.ops
    points = cloud()
    centre = points.mean(axis=0)
    noise = np.random.default_rng(1).normal(size=(64, 3)).astype("float32")
    generator = keras.Sequential(
        [keras.Input((3,)), layers.Dense(16, activation="tanh"), layers.Dense(2)]
    )
    critic = keras.Sequential(
        [keras.Input((2,)), layers.Dense(16, activation="softplus"), layers.Dense(1)]
    )
    of_generator = keras.optimizers.Adam(0.01, beta_1=0.0)
    of_critic = keras.optimizers.Adam(0.02, beta_1=0.0)

    def penalty(real, made):
        between = 0.5 * (real + made)
        with keras.GradientTape() as tape:
            tape.watch(between)
            score = critic(between, training=True)
        slopes = tape.gradient(score, between)
        norm = ops.sqrt(ops.sum(slopes**2, axis=-1) + 1e-9)
        return ops.mean((norm - 1.0) ** 2)

    def epoch():
        for real, seeds in batches(keras, 32, points, noise):
            for _ in range(2):
                with keras.GradientTape() as tape:
                    made = generator(seeds, training=True)
                    distance = ops.mean(critic(made)) - ops.mean(critic(real))
                    penalised = penalty(real, made)
                    loss = distance + 10.0 * penalised
                gradients = tape.gradient(loss, critic.trainable_variables)
                of_critic.apply_gradients(zip(gradients, critic.trainable_variables, strict=True))
            with keras.GradientTape() as tape:
                loss = -ops.mean(critic(generator(seeds, training=True)))
            gradients = tape.gradient(loss, generator.trainable_variables)
            variables = generator.trainable_variables
            of_generator.apply_gradients(zip(gradients, variables, strict=True))
        middle = ops.mean(generator(noise), axis=0)
        return {"distance": distance, "penalty": penalised, "off": ops.norm(middle - centre)}

    return Program(
        [generator, critic],
        epoch=epoch,
        predict=lambda: generator(noise[:5]),
        epochs=8,
        compared=1,
        below={"off": 0.6},
    )
