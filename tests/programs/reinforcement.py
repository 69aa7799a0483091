"""Programs that act, in a corridor whose right end is worth going to."""

import numpy as np

from programs.harness import Program


class Corridor:
    """Five places; a step costs a little, the right end ends the episode with a reward."""

    def reset(self):
        """Starts in the middle or left of it."""
        self.place, self.steps = 1, 0
        return self.seen()

    def seen(self):
        """The place, as one of five."""
        return np.eye(5, dtype="float32")[self.place]

    def step(self, action):
        """Goes left (0) or right (1); returns what is seen, the reward, and whether it ended."""
        self.place = min(max(self.place + (1 if action else -1), 0), 4)
        self.steps += 1
        arrived = self.place == 4
        return self.seen(), 1.0 if arrived else -0.1, arrived or self.steps == 12


def actor_and_critic(keras, random):
    """A policy and a value of one body; a tape over a whole episode."""
    layers, ops = keras.layers, keras.ops
    inputs = keras.Input((5,))
    common = layers.Dense(12, activation="relu")(inputs)
    action = layers.Dense(2, activation="softmax")(common)
    model = keras.Model(inputs, [action, layers.Dense(1)(common)])
    optimizer = keras.optimizers.SGD(0.1)
    huber = keras.losses.Huber()
    rng = np.random.default_rng(1)

    def epoch():
        environment = Corridor()
        state, done = environment.reset(), False
        chosen, values, rewards = [], [], []
        with keras.GradientTape() as tape:
            while not done:
                probabilities, value = model(ops.convert_to_tensor(state[None]))
                values.append(value[0, 0])
                action = int(rng.random() < float(probabilities[0, 1]))
                chosen.append(ops.log(probabilities[0, action]))
                state, reward, done = environment.step(action)
                rewards.append(reward)
            returns = np.array([sum(rewards[i:]) for i in range(len(rewards))], "float32")
            losses = []
            for log_probability, value, worth in zip(chosen, values, returns, strict=True):
                losses.append(-log_probability * ops.stop_gradient(worth - value))
                losses.append(huber(ops.expand_dims(value, 0), ops.expand_dims(worth, 0)))
            loss = sum(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return {"loss": loss, "reward": sum(rewards)}

    def check():
        probabilities, _ = model(np.eye(5, dtype="float32"))
        assert np.asarray(probabilities)[:4, 1].min() > 0.6

    return Program(
        model,
        epoch=epoch,
        predict=lambda: model(np.eye(5, dtype="float32")),
        epochs=60,
        above={"reward": 0.6},
        check=check,
    )


def deep_q(keras, random):
    """Q-learning from a memory, against a target network that follows now and then."""
    layers, ops = keras.layers, keras.ops

    def network():
        return keras.Sequential(
            [keras.Input((5,)), layers.Dense(12, activation="relu"), layers.Dense(2)]
        )

    model, target = network(), network()
    optimizer = keras.optimizers.RMSprop(0.02)
    loss_of = keras.losses.Huber()
    rng = np.random.default_rng(0)
    environment = Corridor()
    memory = []
    places = np.eye(5, dtype="float32")

    def epoch():
        target.set_weights(model.get_weights())
        while len(memory) < 120:  # what acting at random teaches
            state, done = environment.reset(), False
            while not done:
                action = int(rng.integers(2))
                seen, reward, done = environment.step(action)
                memory.append((state, action, reward, seen, float(seen[4] > 0)))
                state = seen
        for _ in range(4):
            picked = rng.integers(0, len(memory), 32)
            states, actions, rewards, after, ended = (
                np.array(part) for part in zip(*(memory[i] for i in picked), strict=True)
            )
            future = np.asarray(target.predict(after, verbose=0)).max(axis=1)
            wanted = (rewards + 0.9 * future * (1 - ended)).astype("float32")
            masks = ops.one_hot(actions, 2)
            with keras.GradientTape() as tape:
                values = model(ops.convert_to_tensor(states))
                loss = loss_of(wanted, ops.sum(ops.multiply(values, masks), axis=1))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        values = np.asarray(model(places))
        return {"loss": loss, "prefers_right": (values[:4, 1] - values[:4, 0]).min()}

    return Program(
        [model, target],
        epoch=epoch,
        predict=lambda: [model(places), target(places)],
        epochs=20,
        above={"prefers_right": 0.05},
    )


def proximal_policy(keras, random):
    """Many steps on the same episodes, with a ratio that is clipped."""
    layers, ops = keras.layers, keras.ops
    observations = keras.Input((5,))
    logits = layers.Dense(2)(layers.Dense(12, activation="tanh")(observations))
    actor = keras.Model(observations, logits)
    observations = keras.Input((5,))
    value = layers.Dense(1)(layers.Dense(12, activation="tanh")(observations))
    critic = keras.Model(observations, ops.squeeze(value, axis=-1))
    actor_optimizer = keras.optimizers.Adam(0.03)
    critic_optimizer = keras.optimizers.Adam(0.03)
    rng = np.random.default_rng(0)

    def log_probabilities(logits, actions):
        return ops.sum(ops.one_hot(actions, 2) * ops.log_softmax(logits), axis=1)

    def played(count=48):
        """So many steps, and what each of them was worth beyond the critic's guess."""
        environment = Corridor()
        state, done, rewards = environment.reset(), False, []
        states, actions, returns = [], [], []
        while len(states) < count:
            chances = np.asarray(ops.softmax(actor(state[None])))[0]
            action = int(rng.random() < chances[1])
            states.append(state)
            actions.append(action)
            state, reward, done = environment.step(action)
            rewards.append(reward)
            if done or len(states) == count:
                returns += [sum(rewards[i:]) for i in range(len(rewards))]
                state, rewards = environment.reset(), []
        return np.array(states), np.array(actions), np.array(returns, "float32")

    def epoch():
        states, actions, returns = played()
        states = ops.convert_to_tensor(states)
        advantages = returns - np.asarray(critic(states))
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-3)
        before = ops.stop_gradient(log_probabilities(actor(states), actions))
        for _ in range(4):
            with keras.GradientTape() as tape:
                ratio = ops.exp(log_probabilities(actor(states), actions) - before)
                bounded = ops.where(advantages > 0, 1.2 * advantages, 0.8 * advantages)
                policy_loss = -ops.mean(ops.minimum(ratio * advantages, bounded))
            gradients = tape.gradient(policy_loss, actor.trainable_variables)
            actor_optimizer.apply_gradients(zip(gradients, actor.trainable_variables, strict=True))
            with keras.GradientTape() as tape:
                value_loss = ops.mean((returns - critic(states)) ** 2)
            gradients = tape.gradient(value_loss, critic.trainable_variables)
            critic_optimizer.apply_gradients(
                zip(gradients, critic.trainable_variables, strict=True)
            )
        right = np.asarray(ops.softmax(actor(np.eye(5, dtype="float32"))))[:4, 1]
        return {"policy_loss": policy_loss, "value_loss": value_loss, "goes_right": right.min()}

    return Program(
        [actor, critic],
        epoch=epoch,
        predict=lambda: [actor(np.eye(5, dtype="float32")), critic(np.eye(5, dtype="float32"))],
        epochs=12,
        above={"goes_right": 0.7},
    )
