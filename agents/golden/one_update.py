"""One whole A2C update in PyTorch, written independently of the Rust code.

Writes one_update.json beside this file: losses, gradients and changes of the weights in the first update of an
agent on the scripted environments of ../tests/support/scripted.rs, for two torsos and three
forms of RMSProp. Everything that goes in (pixels, rewards, ends, first weights) is given by formulas that
both sides compute, the draws of the actions come from the same ChaCha8 streams, so the file
holds results only.

Made with Python 3.11, torch 2.13.0, numpy 2.4.6:  python agents/golden/one_update.py
"""
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

from given import dense, features, first_weights, observation, summary

ENVS, STEPS, ACTIONS = 5, 6, 4
CHANNELS = 2
SHAPE = (CHANNELS, 40, 44)
DISCOUNT, ENTROPY_COEF, VALUE_COEF, MAX_NORM = 0.97, 0.02, 0.25, 0.5
# The TensorFlow form's first changes are small: a large rate makes them stand out from rounding.
RATES = {"rmsprop_corrected": 7e-4, "rmsprop": 7e-4, "rmsprop_tf": 0.7}
DECAY, EPSILON = 0.99, 1e-5
# The first step of the corrected form is g / (|g| + epsilon): with a small one, gradients that are little more than
# rounding would become whole steps.
CORRECTED_EPSILON = 1e-3
SEED, TRAIN_POLICY = 11, 3
SAMPLES = 48
MASK = (1 << 64) - 1


# ---- the environment ---------------------------------------------------------------------------


def reward(env, step, action):
    return float((env * 7 + step * 3 + action * 5) % 5 - 2)


# Environment 0 ends at the first and the last step, 1 twice in between, 2 is cut short twice,
# 3 at the last step, 4 never ends.
TERMINATED = {(0, 0), (0, STEPS - 1), (1, 1), (1, 3)}
TRUNCATED = {(2, 2), (2, 4), (3, STEPS - 1)}

# ---- ChaCha with 8 rounds, as rand_chacha::ChaCha8Rng -------------------------------------------


class ChaCha8:
    def __init__(self, seed, role, index):
        self.key = [w for n in (seed, role, index, 0) for w in (n & 0xFFFFFFFF, n >> 32)]
        self.counter, self.words = 0, []

    def block(self):
        m32 = 0xFFFFFFFF
        first = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *self.key]
        first += [self.counter & m32, self.counter >> 32, 0, 0]
        s = list(first)

        def quarter(a, b, c, d):
            for x, y, z, shift in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                s[x] = (s[x] + s[y]) & m32
                s[z] ^= s[x]
                s[z] = ((s[z] << shift) | (s[z] >> (32 - shift))) & m32

        for _ in range(4):
            for i in range(4):
                quarter(i, 4 + i, 8 + i, 12 + i)
            for i in range(4):
                quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
        self.counter += 1
        return [(x + y) & m32 for x, y in zip(s, first)]

    def uniform(self):
        if not self.words:
            self.words = self.block()
        low, high = self.words.pop(0), self.words.pop(0)
        return ((high << 32 | low) >> 11) / float(1 << 53)


def draw(logits, rng):
    weights = np.exp(logits.astype(np.float64) - float(logits.max()))
    return int(np.searchsorted(np.cumsum(weights), rng.uniform() * weights.sum(), side="right"))


# ---- the network -------------------------------------------------------------------------------


def network_weights(coordinates):
    layers = {
        "torso.conv1": (32, CHANNELS + 2 * coordinates, 8, 8),
        "torso.conv2": (64, 32, 4, 4),
        "torso.conv3": (64, 64, 3, 3),
        "torso.fc": (512, 64 * 1 * 2),
        "policy": (ACTIONS, 512),
        "value": (1, 512),
    }
    return first_weights(layers, 1 << 40)


def forward(weights, obs, coordinates):
    x = features(weights, obs, coordinates)
    return dense(weights, x, "policy"), dense(weights, x, "value").squeeze(1)


# ---- rollout, loss, optimiser ------------------------------------------------------------------


def rollout(weights, coordinates):
    rngs = [ChaCha8(SEED, TRAIN_POLICY, env) for env in range(ENVS)]
    shown = [1] * ENVS
    obs = np.stack([observation(env, 0, SHAPE) for env in range(ENVS)])
    rows = {"obs": [], "actions": [], "rewards": [], "discounts": []}
    with torch.no_grad():
        for t in range(STEPS):
            logits = forward(weights, obs, coordinates)[0].numpy()
            actions = [draw(logits[env], rngs[env]) for env in range(ENVS)]
            following, rewards, discounts = [], [], []
            for env, action in enumerate(actions):
                after, r, discount = observation(env, shown[env], SHAPE), reward(env, t, action), DISCOUNT
                shown[env] += 1
                if (env, t) in TRUNCATED:
                    r += DISCOUNT * forward(weights, after[None], coordinates)[1].item()
                if (env, t) in TRUNCATED | TERMINATED:
                    discount = 0.0
                    after = observation(env, shown[env], SHAPE)
                    shown[env] += 1
                following.append(after), rewards.append(r), discounts.append(discount)
            for key, row in zip(rows, (obs, actions, rewards, discounts)):
                rows[key].append(row)
            obs = np.stack(following)
        value = forward(weights, obs, coordinates)[1].double()
    returns = []
    for t in reversed(range(STEPS)):
        value = torch.tensor(rows["rewards"][t]) + torch.tensor(rows["discounts"][t]) * value
        returns.insert(0, value)
    actions = torch.tensor(rows["actions"]).flatten()
    return np.concatenate(rows["obs"]), actions, torch.stack(returns).flatten().float()


def losses(weights, coordinates):
    obs, actions, returns = rollout(weights, coordinates)
    logits, values = forward(weights, obs, coordinates)
    policy = torch.distributions.Categorical(logits=logits)
    policy_loss = -(policy.log_prob(actions) * (returns - values).detach()).mean()
    value_loss, entropy = F.mse_loss(values, returns), policy.entropy().mean()
    total = policy_loss - ENTROPY_COEF * entropy + VALUE_COEF * value_loss
    return policy_loss, value_loss, entropy, total


def rmsprop_tf(weights):
    """TensorFlow 1's form, first step: mean square from 1, epsilon under the root."""
    with torch.no_grad():
        for w in weights.values():
            mean_square = torch.ones_like(w).mul_(DECAY).addcmul_(w.grad, w.grad, value=1 - DECAY)
            w.sub_(RATES["rmsprop_tf"] * w.grad / torch.sqrt(mean_square + EPSILON))


def one_update(coordinates):
    result = {}
    for form in RATES:
        weights, before = network_weights(coordinates), network_weights(coordinates)
        policy_loss, value_loss, entropy, total = losses(weights, coordinates)
        total.backward()
        gradients = {name: summary(w.grad, SAMPLES) for name, w in weights.items()}
        norm = torch.nn.utils.clip_grad_norm_(weights.values(), MAX_NORM)
        if form == "rmsprop_corrected":
            # Adam without a mean, whose own bias correction it is.
            torch.optim.Adam(weights.values(), lr=RATES[form], betas=(0.0, DECAY), eps=CORRECTED_EPSILON).step()
        elif form == "rmsprop":
            torch.optim.RMSprop(weights.values(), lr=RATES[form], alpha=DECAY, eps=EPSILON).step()
        else:
            rmsprop_tf(weights)
        result |= {
            "policy_loss": policy_loss.item(),
            "value_loss": value_loss.item(), "entropy": entropy.item(), "total_loss": total.item(),
            "grad_norm": norm.item(), "gradients": gradients,
            f"changes_{form}": {name: summary(w.double() - before[name], SAMPLES) for name, w in weights.items()},
        }
    return result


def main():
    torch.set_num_threads(1)
    golden = {"torch": torch.__version__, "conv": one_update(False), "coordconv": one_update(True)}
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(golden) + "\n")
    print(path.stat().st_size, "bytes;", {k: v for k, v in golden["conv"].items() if isinstance(v, float)})


if __name__ == "__main__":
    main()
