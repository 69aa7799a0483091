"""Programs that make what looks like their data."""

import numpy as np

from programs.harness import Program, batches


def cloud(count=64, centre=(2, -1)):
    """Points around a centre."""
    return np.random.default_rng(0).normal(centre, 0.5, (count, 2)).astype("float32")


def crosses(count=32):
    """Pictures of a cross, somewhat moved, from 0 to 1."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 0.1, (count, 8, 8, 1)).astype("float32")
    for picture, (row, column) in zip(x, rng.integers(2, 5, (count, 2)), strict=True):
        picture[row : row + 2] = picture[:, column : column + 2] = 0.9
    return x


def noise(keras, shape, random, seed=None):
    """Normal noise; or, where none may be random, waves that look like it."""
    if random:
        return keras.random.normal(shape, seed=seed)
    ones = keras.ops.ones(shape)
    places = 12.9898 * keras.ops.cumsum(ones, axis=0) + 78.233 * keras.ops.cumsum(ones, axis=-1)
    return 1.4 * keras.ops.sin(places)


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


def denoising_autoencoder(keras, random):
    """Convolutions take noise away."""
    layers = keras.layers
    clean = crosses()
    noisy = clean + 0.3 * np.random.default_rng(1).normal(size=clean.shape).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.GaussianDropout(0.1 * random),
            layers.Conv2D(6, 3, activation="relu", padding="same"),
            layers.MaxPooling2D(2, padding="same"),
            layers.Conv2D(6, 3, activation="relu", padding="same"),
            layers.Conv2DTranspose(6, 3, strides=2, activation="relu", padding="same"),
            layers.Conv2D(1, 3, activation="sigmoid", padding="same"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy", metrics=["mse"])
    fit = {"x": noisy, "y": clean, "batch_size": 8, "validation_data": (noisy, clean)}
    return Program(model, fit, epochs=15, below={"val_mse": 0.03})


def variational_autoencoder(keras, random):
    """A sampling layer, three trackers, and a step with a tape."""
    layers, ops = keras.layers, keras.ops

    class Sampling(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.seed_generator = keras.random.SeedGenerator(1337)

        def call(self, inputs):
            mean, log_variance = inputs
            drawn = noise(keras, ops.shape(mean), random, self.seed_generator)
            return mean + ops.exp(0.5 * log_variance) * drawn

    pictures = keras.Input((8, 8, 1))
    hidden = layers.Conv2D(6, 3, strides=2, activation="relu", padding="same")(pictures)
    hidden = layers.Dense(12, activation="relu")(layers.Flatten()(hidden))
    mean = layers.Dense(2, name="mean")(hidden)
    log_variance = layers.Dense(2, name="log_variance")(hidden)
    latent = Sampling()([mean, log_variance])
    encoder = keras.Model(pictures, [mean, log_variance, latent], name="encoder")
    latent = keras.Input((2,))
    hidden = layers.Reshape((4, 4, 4))(layers.Dense(64, activation="relu")(latent))
    hidden = layers.Conv2DTranspose(6, 3, strides=2, activation="relu", padding="same")(hidden)
    outputs = layers.Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(hidden)
    decoder = keras.Model(latent, outputs, name="decoder")

    class Variational(keras.Model):
        def __init__(self, encoder, decoder, **kwargs):
            super().__init__(**kwargs)
            self.encoder, self.decoder = encoder, decoder
            self.total_tracker = keras.metrics.Mean(name="total_loss")
            self.picture_tracker = keras.metrics.Mean(name="picture_loss")
            self.kl_tracker = keras.metrics.Mean(name="kl_loss")

        @property
        def metrics(self):
            return [self.total_tracker, self.picture_tracker, self.kl_tracker]

        def train_step(self, data):
            with keras.GradientTape() as tape:
                mean, log_variance, latent = self.encoder(data)
                made = self.decoder(latent)
                each = keras.losses.binary_crossentropy(data, made)
                picture_loss = ops.mean(ops.sum(each, axis=(1, 2)))
                kl = 1 + log_variance - ops.square(mean) - ops.exp(log_variance)
                kl_loss = ops.mean(ops.sum(-0.5 * kl, axis=1))
                total = picture_loss + kl_loss
            gradients = tape.gradient(total, self.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
            self.total_tracker.update_state(total)
            self.picture_tracker.update_state(picture_loss)
            self.kl_tracker.update_state(kl_loss)
            return {metric.name: metric.result() for metric in self.metrics}

    x = crosses()
    model = Variational(encoder, decoder)
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    grid = np.array([[a, b] for a in (-1, 0, 1) for b in (-1, 0, 1)], "float32")
    return Program(
        model,
        {"x": x, "batch_size": 16},
        predict=lambda: [decoder(grid), encoder(x)[0]],
        epochs=40,
        below={"picture_loss": 35.0},
    )


def vector_quantized_autoencoder(keras, random):
    """Codes from a book, gradients straight through, losses that a layer adds."""
    layers, ops = keras.layers, keras.ops

    class Quantizer(layers.Layer):
        def __init__(self, codes, width, beta=0.25, **kwargs):
            super().__init__(**kwargs)
            self.codes, self.width, self.beta = codes, width, beta

        def build(self, input_shape):
            uniform = keras.initializers.RandomUniform(-0.5, 0.5, seed=3)
            self.book = self.add_weight(
                shape=(self.width, self.codes), initializer=uniform, name="book"
            )

        def call(self, x):
            flat = ops.reshape(x, (-1, self.width))
            near = ops.matmul(flat, self.book)
            distances = (
                ops.sum(flat**2, axis=1, keepdims=True) + ops.sum(self.book**2, axis=0) - 2 * near
            )
            chosen = ops.one_hot(ops.argmin(distances, axis=1), self.codes)
            quantized = ops.matmul(chosen, ops.transpose(self.book))
            quantized = ops.reshape(quantized, ops.shape(x))
            commitment = ops.mean((ops.stop_gradient(quantized) - x) ** 2)
            of_book = ops.mean((quantized - ops.stop_gradient(x)) ** 2)
            self.add_loss(self.beta * commitment + of_book)
            return x + ops.stop_gradient(quantized - x)

    x = crosses()
    inputs = keras.Input((8, 8, 1))
    hidden = layers.Conv2D(8, 3, activation="relu", strides=2, padding="same")(inputs)
    hidden = Quantizer(8, 4, name="quantizer")(layers.Conv2D(4, 1)(hidden))
    hidden = layers.Conv2DTranspose(8, 3, activation="relu", strides=2, padding="same")(hidden)
    model = keras.Model(inputs, layers.Conv2D(1, 3, padding="same")(hidden))
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mse"])
    return Program(model, {"x": x, "y": x, "batch_size": 16}, epochs=40, below={"mse": 0.05})


def adversaries(keras, random):
    """A GAN: one step trains both, with an optimizer each."""
    layers, ops = keras.layers, keras.ops
    discriminator = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(6, 4, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Flatten(),
            layers.Dropout(0.2 * random),
            layers.Dense(1),
        ],
        name="discriminator",
    )
    generator = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(4 * 4 * 4),
            layers.Reshape((4, 4, 4)),
            layers.Conv2DTranspose(6, 4, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
        ],
        name="generator",
    )

    class Adversaries(keras.Model):
        def __init__(self, discriminator, generator, latent):
            super().__init__()
            self.discriminator, self.generator, self.latent = discriminator, generator, latent
            self.seed_generator = keras.random.SeedGenerator(7)

        def compile(self, d_optimizer, g_optimizer, loss_fn):
            super().compile()
            self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn
            self.d_metric = keras.metrics.Mean(name="d_loss")
            self.g_metric = keras.metrics.Mean(name="g_loss")
            self.off_metric = keras.metrics.Mean(name="off")

        @property
        def metrics(self):
            return [self.d_metric, self.g_metric, self.off_metric]

        def train_step(self, pictures):
            count = ops.shape(pictures)[0]
            latent = noise(keras, (count, self.latent), random, self.seed_generator)
            made = self.generator(latent)
            both = ops.concatenate([made, pictures], axis=0)
            labels = ops.concatenate([ops.ones((count, 1)), ops.zeros((count, 1))], axis=0)
            with keras.GradientTape() as tape:
                predictions = self.discriminator(both, training=True)
                d_loss = self.loss_fn(labels, predictions)
            weights = self.discriminator.trainable_weights
            self.d_optimizer.apply_gradients(
                zip(tape.gradient(d_loss, weights), weights, strict=True)
            )
            with keras.GradientTape() as tape:
                made = self.generator(latent, training=True)
                g_loss = self.loss_fn(ops.zeros((count, 1)), self.discriminator(made))
            weights = self.generator.trainable_weights
            self.g_optimizer.apply_gradients(
                zip(tape.gradient(g_loss, weights), weights, strict=True)
            )
            self.d_metric.update_state(d_loss)
            self.g_metric.update_state(g_loss)
            difference = ops.mean(made, axis=0) - ops.mean(pictures, axis=0)
            self.off_metric.update_state(ops.mean(ops.abs(difference)))
            return {metric.name: metric.result() for metric in self.metrics}

    x = crosses()
    model = Adversaries(discriminator, generator, 4)
    model.compile(
        d_optimizer=keras.optimizers.Adam(0.005, beta_1=0.5),
        g_optimizer=keras.optimizers.Adam(0.01, beta_1=0.5),
        loss_fn=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    seeds = np.random.default_rng(2).normal(size=(6, 4)).astype("float32")
    return Program(
        model,
        {"x": x, "batch_size": 16},
        predict=lambda: [generator(seeds), discriminator(x)],
        compared=1,
        epochs=25,
        below={"off": 0.21},
    )


def adversaries_with_labels(keras, random):
    """A conditional GAN in a loop by hand: each class has its place."""
    layers, ops = keras.layers, keras.ops
    points = np.concatenate([cloud(32, (2, 0)), cloud(32, (-2, 1))])[::-1].reshape(2, 32, 2)
    points = np.ascontiguousarray(points.transpose(1, 0, 2)).reshape(64, 2)
    labels = np.tile([1, 0], 32).astype("int32")
    seeds = np.random.default_rng(1).normal(size=(64, 2)).astype("float32")

    def with_label(width, outputs):
        x, label = keras.Input((width,)), keras.Input((), dtype="int32")
        hidden = layers.Concatenate()([x, layers.Embedding(2, 3)(label)])
        hidden = layers.Dense(24, activation="tanh")(hidden)
        return keras.Model([x, label], layers.Dense(outputs)(hidden))

    generator, discriminator = with_label(2, 2), with_label(2, 1)
    loss_of = keras.losses.BinaryCrossentropy(from_logits=True)
    of_generator = keras.optimizers.RMSprop(0.01)
    of_discriminator = keras.optimizers.RMSprop(0.02)

    def epoch():
        for real, label, seed in batches(keras, 32, points, labels, seeds):
            truth = ops.concatenate([ops.ones((32, 1)), ops.zeros((32, 1))], axis=0)
            with keras.GradientTape() as tape:
                made = generator([seed, label], training=True)
                both = ops.concatenate([real, made], axis=0)
                scores = discriminator([both, ops.tile(label, 2)], training=True)
                d_loss = loss_of(truth, scores)
            weights = discriminator.trainable_variables
            gradients = tape.gradient(d_loss, weights)
            of_discriminator.apply_gradients(zip(gradients, weights, strict=True))
            with keras.GradientTape() as tape:
                made = generator([seed, label], training=True)
                g_loss = loss_of(truth[:32], discriminator([made, label], training=True))
            weights = generator.trainable_variables
            gradients = tape.gradient(g_loss, weights)
            of_generator.apply_gradients(zip(gradients, weights, strict=True))
        made = np.asarray(generator([seeds, labels]))
        apart = [made[labels == k].mean(0) - points[labels == k].mean(0) for k in (0, 1)]
        return {"d_loss": d_loss, "g_loss": g_loss, "off": np.abs(apart).mean()}

    return Program(
        [generator, discriminator],
        epoch=epoch,
        predict=lambda: generator([seeds[:5], labels[:5]]),
        compared=1,
        epochs=40,
        below={"off": 0.5},
    )


def diffusion(keras, random):
    """Denoising with a schedule, and a network that follows by moving averages."""
    layers, ops = keras.layers, keras.ops

    @keras.saving.register_keras_serializable(package="programs")
    def waves(variance):
        angles = variance * ops.array([1.0, 3.0, 9.0])
        return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)

    def make_network():
        points, variance = keras.Input((2,)), keras.Input((1,))
        hidden = layers.Concatenate()([points, layers.Lambda(waves)(variance)])
        for _ in range(2):
            hidden = layers.Dense(24, activation="swish")(hidden)
        return keras.Model([points, variance], layers.Dense(2, kernel_initializer="zeros")(hidden))

    class Diffusion(keras.Model):
        def __init__(self):
            super().__init__()
            self.normalizer = layers.Normalization()
            self.network = make_network()
            self.ema_network = keras.models.clone_model(self.network)
            self.ema_network.set_weights(self.network.get_weights())
            self.seed_generator = keras.random.SeedGenerator(5)

        def compile(self, **kwargs):
            super().compile(**kwargs)
            self.noise_tracker = keras.metrics.Mean(name="n_loss")

        @property
        def metrics(self):
            return [self.noise_tracker]

        def rates(self, times):
            start, end = np.arccos(0.95), np.arccos(0.05)
            angles = start + times * (end - start)
            return ops.sin(angles), ops.cos(angles)

        def denoise(self, noisy, noise_rates, signal_rates, training):
            network = self.network if training else self.ema_network
            noises = network([noisy, noise_rates**2], training=training)
            return noises, (noisy - noise_rates * noises) / signal_rates

        def reverse(self, x, steps):
            for step in range(steps):
                times = ops.ones((ops.shape(x)[0], 1)) - step / steps
                rates = self.rates(times)
                noises, points = self.denoise(x, *rates, training=False)
                noise_rates, signal_rates = self.rates(times - 1 / steps)
                x = signal_rates * points + noise_rates * noises
            return points

        def generate(self, seeds, steps=5):
            points = self.reverse(ops.convert_to_tensor(seeds), steps)
            return self.normalizer.mean + points * self.normalizer.variance**0.5

        def mixed(self, points):
            points = self.normalizer(points, training=True)
            count = ops.shape(points)[0]
            noises = noise(keras, (count, 2), random, self.seed_generator)
            times = 0.5 + 0.5 * ops.sin(3 * noise(keras, (count, 1), random, self.seed_generator))
            noise_rates, signal_rates = self.rates(times)
            return signal_rates * points + noise_rates * noises, noises, noise_rates, signal_rates

        def train_step(self, points):
            noisy, noises, *rates = self.mixed(points)
            with keras.GradientTape() as tape:
                predicted, _ = self.denoise(noisy, *rates, training=True)
                noise_loss = self.loss(noises, predicted)
            gradients = tape.gradient(noise_loss, self.network.trainable_weights)
            self.optimizer.apply_gradients(
                zip(gradients, self.network.trainable_weights, strict=True)
            )
            self.noise_tracker.update_state(noise_loss)
            pairs = zip(self.network.weights, self.ema_network.weights, strict=True)
            for weight, ema_weight in pairs:
                ema_weight.assign(0.9 * ema_weight + 0.1 * weight)
            return {m.name: m.result() for m in self.metrics}

        def test_step(self, points):
            noisy, noises, *rates = self.mixed(points)
            predicted, _ = self.denoise(noisy, *rates, training=False)
            self.noise_tracker.update_state(self.loss(noises, predicted))
            return {m.name: m.result() for m in self.metrics}

    points = np.concatenate([cloud(32), cloud(32, (-2, 1))])
    model = Diffusion()
    model.normalizer.adapt(points)
    model.compile(
        optimizer=keras.optimizers.AdamW(0.01, weight_decay=1e-4),
        loss=keras.losses.mean_absolute_error,
    )
    seeds = np.random.default_rng(3).normal(size=(40, 2)).astype("float32")

    def check():
        made = np.asarray(model.generate(seeds))
        off = [np.abs(made - centre).max(-1) for centre in ([2, -1], [-2, 1])]
        assert (np.minimum(*off) < 2).mean() > 0.7

    return Program(
        model,
        {"x": points, "batch_size": 32, "validation_data": (points,)},
        predict=lambda: model.generate(seeds[:5], steps=2),
        epochs=60,
        below={"n_loss": 0.7, "val_n_loss": 0.6},
        check=check,
    )


def normalizing_flow(keras, random):
    """RealNVP: couplings with masks, both ways, and the logarithm of their determinant."""
    layers, ops = keras.layers, keras.ops

    def coupling():
        inputs = keras.Input((2,))
        ends = []
        for activation in ("linear", "tanh"):
            hidden = layers.Dense(16, activation="relu", kernel_regularizer="l2")(inputs)
            ends.append(layers.Dense(2, activation=activation)(hidden))
        return keras.Model(inputs, ends)

    class Flow(keras.Model):
        def __init__(self, couplings):
            super().__init__()
            self.masks = np.array([[0, 1], [1, 0]] * (couplings // 2), "float32")
            self.tracker = keras.metrics.Mean(name="loss")
            self.couplings = [coupling() for _ in range(couplings)]

        @property
        def metrics(self):
            return [self.tracker]

        def call(self, x, training=True):
            log_determinant = ops.zeros((ops.shape(x)[0],))
            direction = -1 if training else 1
            for i in range(len(self.couplings))[::direction]:
                mask = self.masks[i]
                kept = x * mask
                shift, scale = self.couplings[i](kept)
                scale, shift = scale * (1 - mask), shift * (1 - mask)
                gate = (direction - 1) / 2
                moved = x * ops.exp(direction * scale) + direction * shift * ops.exp(gate * scale)
                x = (1 - mask) * moved + kept
                log_determinant = log_determinant + gate * ops.sum(scale, axis=1)
            return x, log_determinant

        def negative_log_likelihood(self, x):
            y, log_determinant = self(x)
            log_density = -0.5 * ops.sum(y**2, axis=-1) - np.log(2 * np.pi)
            return -ops.mean(log_density + log_determinant)

        def train_step(self, data):
            with keras.GradientTape() as tape:
                loss = self.negative_log_likelihood(data)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            self.tracker.update_state(loss)
            return {"loss": self.tracker.result()}

        def test_step(self, data):
            self.tracker.update_state(self.negative_log_likelihood(data))
            return {"loss": self.tracker.result()}

    x = cloud(64, (0.5, -0.5))
    x[:, 1] += x[:, 0] ** 2
    model = Flow(4)
    model.compile(optimizer=keras.optimizers.Adam(0.01))

    def check():
        latent, _ = model(x)
        back, _ = model(latent, training=False)
        np.testing.assert_allclose(np.asarray(back), x, atol=1e-3)

    return Program(
        model,
        {"x": x, "batch_size": 32, "validation_data": (x,)},
        predict=lambda: [*model(x[:6]), model(x[:6], training=False)[0]],
        epochs=25,
        below={"loss": 1.8, "val_loss": 1.8},
        check=check,
    )


def style_transfer(keras, random):
    """The picture is what is learnt: content of one, style of another."""
    layers, ops = keras.layers, keras.ops
    rng = np.random.default_rng(0)
    content = crosses(1)
    style = np.tile([[0.0, 1.0], [1.0, 0.0]], (1, 4, 4))[..., None].astype("float32")
    inputs = keras.Input((8, 8, 1))
    first = layers.Conv2D(6, 3, activation="relu", padding="same", name="first")(inputs)
    second = layers.Conv2D(6, 3, strides=2, activation="relu", name="second")(first)
    base = keras.Model(inputs, second)
    base.trainable = False
    extractor = keras.Model(base.inputs, {layer.name: layer.output for layer in base.layers[1:]})
    picture = keras.Variable(rng.uniform(0, 1, content.shape), dtype="float32", name="picture")
    optimizer = keras.optimizers.SGD(
        keras.optimizers.schedules.ExponentialDecay(5.0, 20, 0.96), momentum=0.5
    )

    def gram(x):
        features = ops.reshape(ops.transpose(x, (2, 0, 1)), (x.shape[-1], -1))
        return ops.matmul(features, ops.transpose(features)) / (features.shape[1])

    def compute_loss(picture):
        found = extractor(ops.concatenate([content, style, picture], axis=0))
        loss = ops.mean((found["second"][2] - found["second"][0]) ** 2)
        for maps in found.values():
            loss = loss + 0.5 * ops.mean((gram(maps[1]) - gram(maps[2])) ** 2)
        down = picture[:, 1:, :-1] - picture[:, :-1, :-1]
        right = picture[:, :-1, 1:] - picture[:, :-1, :-1]
        return loss + 0.01 * ops.mean((down**2 + right**2) ** 1.25)

    def epoch():
        with keras.GradientTape() as tape:
            loss = compute_loss(picture)
        optimizer.apply_gradients([(tape.gradient(loss, picture), picture)])
        return {"loss": loss}

    def check():
        assert len(extractor.trainable_weights) == 0

    return Program(
        [extractor, picture],
        epoch=epoch,
        predict=lambda: picture,
        compared=3,
        epochs=60,
        below={"loss": 0.005},
        check=check,
    )


def pixel_by_pixel(keras, random):
    """PixelCNN: convolutions that see only what comes before."""
    layers, ops = keras.layers, keras.ops

    class Masked(layers.Layer):
        def __init__(self, kind, **kwargs):
            super().__init__()
            self.kind = kind
            self.conv = layers.Conv2D(**kwargs)

        def build(self, input_shape):
            self.conv.build(input_shape)
            shape = ops.shape(self.conv.kernel)
            self.mask = np.zeros(shape, "float32")
            self.mask[: shape[0] // 2] = 1.0
            self.mask[shape[0] // 2, : shape[1] // 2] = 1.0
            if self.kind == "B":
                self.mask[shape[0] // 2, shape[1] // 2] = 1.0

        def call(self, inputs):
            kernel = self.conv.kernel * self.mask
            made = ops.conv(inputs, kernel, padding=self.conv.padding) + self.conv.bias
            return self.conv.activation(made)

    class Residual(layers.Layer):
        def __init__(self, filters, **kwargs):
            super().__init__(**kwargs)
            self.first = layers.Conv2D(filters, 1, activation="relu")
            self.masked = Masked(
                "B", filters=filters // 2, kernel_size=3, activation="relu", padding="same"
            )
            self.last = layers.Conv2D(filters, 1, activation="relu")

        def call(self, inputs):
            return layers.add([inputs, self.last(self.masked(self.first(inputs)))])

    x = (crosses() > 0.5).astype("float32")
    inputs = keras.Input((8, 8, 1), batch_size=None)
    hidden = Masked("A", filters=6, kernel_size=5, activation="relu", padding="same")(inputs)
    hidden = Residual(6)(hidden)
    hidden = Masked("B", filters=6, kernel_size=1, activation="relu", padding="valid")(hidden)
    outputs = layers.Conv2D(1, 1, activation="sigmoid", padding="valid")(hidden)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy", metrics=["mse"])

    def check():
        changed = x[:1].copy()
        changed[0, 4, 4] = 1 - changed[0, 4, 4]
        differs = np.abs(model.predict(changed, verbose=0) - model.predict(x[:1], verbose=0)) > 1e-6
        assert not differs.reshape(-1)[: 4 * 8 + 5].any() and differs.any()

    return Program(
        model,
        {"x": x, "y": x, "batch_size": 16},
        epochs=20,
        below={"mse": 0.1},
        check=check,
    )
