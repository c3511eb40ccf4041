"""Two updates of the Q-learner in PyTorch, written independently of the Rust code.

Writes one_q_update.json beside this file: loss, priorities, gradient and changes of the weights in
the first update and, so that the optimiser's state and the target network count, in the second.
Everything that goes in (pixels, actions, rewards, discounts, importance weights, first weights) is
given by formulas that both sides compute, so the file holds results only.

Made with Python 3.11, torch 2.13.0, numpy 2.4.6:  python agents/golden/one_q_update.py
"""
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

from given import dense, features, first_weights, observation, summary

ROWS, ACTIONS = 12, 4
CHANNELS = 2
SHAPE = (CHANNELS, 40, 44)
DISCOUNT = 0.97
# Above the published 6.25e-5: changes stand out from the rounding of the weights. Most so in
# TensorFlow's form, whose mean square starts at 1: the first changes are no more than rate times gradient.
RATES = {"rmsprop_tf": 0.5, "rmsprop": 2e-4, "adam": 1e-3}
SAMPLES = 16
PRIORITY_EXPONENT, PRIORITY_EPSILON = 0.6, 1e-6

PAPER = {
    "double": True, "dueling": True, "huber": None, "rescaling": None, "clip": 2.0,
    "reward_scale": 1.0, "copy_every": 2500,
}

CASES = {
    # Horgan et al. 2018, with the optimiser in TensorFlow's form; the clip is low enough to bite.
    "paper": PAPER,
    # The same with the optimiser in PyTorch's form.
    "paper_torch": PAPER,
    # As uber-research/ape-x: Adam, Huber, values rescaled and rewards not clipped.
    "uber": {
        "double": True, "dueling": True, "huber": 1.0, "rescaling": 0.01, "clip": 40.0,
        "reward_scale": 30.0, "copy_every": 1,
    },
    "plain": {
        "double": False, "dueling": False, "huber": None, "rescaling": None, "clip": None,
        "reward_scale": 1.0, "copy_every": 2500,
    },
}


# ---- what goes in ------------------------------------------------------------------------------


def batch(update, case):
    """Every fourth transition ends an episode, every fourth gathered one step instead of three."""
    rows = range(ROWS)
    discounts = {0: DISCOUNT**3, 1: 0.0, 2: DISCOUNT, 3: DISCOUNT**3}
    return {
        "obs": np.stack([observation(i, 2 * update, SHAPE) for i in rows]),
        "next_obs": np.stack([observation(i, 2 * update + 1, SHAPE) for i in rows]),
        "actions": torch.tensor([(i * 5 + update * 3) % ACTIONS for i in rows]),
        "rewards": torch.tensor([case["reward_scale"] * ((i * 7 + update * 3) % 5 - 2) for i in rows]),
        "discounts": torch.tensor([discounts[i % 4] for i in rows]),
        "weights": torch.tensor([0.25 + 0.25 * (i % 3) for i in rows]),
    }


def network_weights(coordinates, dueling, start):
    layers = {
        "torso.conv1": (32, CHANNELS + 2 * coordinates, 8, 8),
        "torso.conv2": (64, 32, 4, 4),
        "torso.conv3": (64, 64, 3, 3),
        "torso.fc": (512, 64 * 1 * 2),
    }
    if dueling:
        layers |= {"value_hidden": (512, 512), "value": (1, 512)}
        layers |= {"advantage_hidden": (512, 512), "advantage": (ACTIONS, 512)}
    else:
        layers |= {"q": (ACTIONS, 512)}
    return first_weights(layers, start)


# ---- network, targets, loss --------------------------------------------------------------------


def q_values(weights, obs, coordinates):
    x = features(weights, obs, coordinates)
    if "q.weight" in weights:
        return dense(weights, x, "q")
    value = dense(weights, F.relu(dense(weights, x, "value_hidden")), "value")
    advantage = dense(weights, F.relu(dense(weights, x, "advantage_hidden")), "advantage")
    return value + (advantage - advantage.mean(1, keepdim=True))


def squash(x, epsilon):
    return x if epsilon is None else torch.sign(x) * (torch.sqrt(torch.abs(x) + 1) - 1) + epsilon * x


def unsquash(y, epsilon):
    """As printed in Pohlen et al. 2018, proposition A.2."""
    if epsilon is None:
        return y
    root = (torch.sqrt(1 + 4 * epsilon * (torch.abs(y) + 1 + epsilon)) - 1) / (2 * epsilon)
    return torch.sign(y) * (root**2 - 1)


def td_targets(online, target, data, case, coordinates):
    with torch.no_grad():
        valued = q_values(target, data["next_obs"], coordinates)
        chooser = q_values(online, data["next_obs"], coordinates) if case["double"] else valued
        following = valued[torch.arange(ROWS), chooser.argmax(1)].double()
        value = data["rewards"].double() + data["discounts"].double() * unsquash(following, case["rescaling"])
        return squash(value, case["rescaling"]).float()


class TensorFlowRMSprop(torch.optim.Optimizer):
    """Centred RMSProp as TensorFlow 1 has it: epsilon under the root, mean square 1 at the start."""

    def __init__(self, weights, lr, alpha, eps):
        super().__init__(weights, {"lr": lr, "alpha": alpha, "eps": eps})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                state = self.state[w]
                square = state.get("square", torch.ones_like(w)).lerp(w.grad**2, 1 - group["alpha"])
                mean = state.get("mean", torch.zeros_like(w)).lerp(w.grad, 1 - group["alpha"])
                state.update(square=square, mean=mean)
                w -= group["lr"] * w.grad / torch.sqrt(square - mean**2 + group["eps"])


def optimizer(name, weights):
    kept = {"alpha": 0.95, "eps": 1.5e-7}
    if name == "uber":
        return torch.optim.Adam(weights.values(), lr=RATES["adam"], eps=1.5e-4)
    if name == "paper":
        return TensorFlowRMSprop(weights.values(), lr=RATES["rmsprop_tf"], **kept)
    return torch.optim.RMSprop(weights.values(), lr=RATES["rmsprop"], centered=True, **kept)


# ---- results -----------------------------------------------------------------------------------


def two_updates(name, coordinates):
    case = CASES[name]
    online, first = (network_weights(coordinates, case["dueling"], 1 << 40) for _ in range(2))
    target = network_weights(coordinates, case["dueling"], 1 << 41)
    steps, results = optimizer(name, online), []
    for update in range(2):
        data = batch(update, case)
        q = q_values(online, data["obs"], coordinates)[torch.arange(ROWS), data["actions"]]
        targets = td_targets(online, target, data, case, coordinates)
        if case["huber"] is None:
            losses = 0.5 * F.mse_loss(q, targets, reduction="none")
        else:
            losses = F.huber_loss(q, targets, reduction="none", delta=case["huber"])
        loss = (data["weights"] * losses).mean()
        steps.zero_grad()
        loss.backward()
        result = {"loss": loss.item(), "mean_q": q.mean().item()}
        result["td_errors"] = (targets - q).abs().tolist()
        result["priorities"] = [(error + PRIORITY_EPSILON) ** PRIORITY_EXPONENT for error in result["td_errors"]]
        if update == 0:
            result["gradients"] = {key: summary(w.grad, SAMPLES) for key, w in online.items()}
        limit = case["clip"] or float("inf")
        result["grad_norm"] = torch.nn.utils.clip_grad_norm_(online.values(), limit).item()
        steps.step()
        result["changes"] = {key: summary(w.detach().double() - first[key], SAMPLES) for key, w in online.items()}
        results.append(result)
        if (update + 1) % case["copy_every"] == 0:
            target = {key: w.detach().clone() for key, w in online.items()}
    return results


def main():
    torch.set_num_threads(1)
    golden = {"torch": torch.__version__}
    for torso in ("conv", "coordconv"):
        golden[torso] = {name: two_updates(name, torso == "coordconv") for name in CASES}
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(golden) + "\n")
    print(path.stat().st_size, "bytes")
    for name, results in golden["conv"].items():
        print(name, [{k: r[k] for k in ("loss", "mean_q", "grad_norm")} for r in results], results[0]["td_errors"])


if __name__ == "__main__":
    main()
