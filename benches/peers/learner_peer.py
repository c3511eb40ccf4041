"""Updates per second of Ape-X's learner in PyTorch: `learner_peer.py BATCH THREADS SECONDS DEVICE`.

Network and loss of coordrl's preset `small`: the network of Mnih et al. 2015 with two dueling streams behind its
dense layer, double Q-learning, weighted Huber loss, gradients clipped to 40, Adam. The batch is on the host as bytes.
Prints one JSON object.
"""

import json
import sys

import torch
from torch import nn
from torch_parts import FEATURES, calls_per_second, torso
from vector_envs import version_of

ACTIONS = 6


class QNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.torso = torso()
        self.value = nn.Sequential(nn.Linear(FEATURES, 512), nn.ReLU(), nn.Linear(512, 1))
        self.advantage = nn.Sequential(nn.Linear(FEATURES, 512), nn.ReLU(), nn.Linear(512, ACTIONS))

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        features = self.torso(obs.float() / 255)
        advantage = self.advantage(features)
        return self.value(features) + advantage - advantage.mean(1, keepdim=True)


def main() -> None:
    rows, threads, seconds, device = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    torch.set_num_threads(threads)
    online, target = QNetwork().to(device), QNetwork().to(device)
    optimizer = torch.optim.Adam(online.parameters(), lr=1e-4, eps=1e-8)
    obs, following = (torch.randint(256, (rows, 4, 84, 84), dtype=torch.uint8) for _ in range(2))
    actions = torch.randint(ACTIONS, (rows, 1), device=device)
    rewards, discounts, weights = (torch.rand(rows, device=device) for _ in range(3))

    def update() -> None:
        seen, then = obs.to(device), following.to(device)
        with torch.no_grad():
            best = online(then).argmax(1, keepdim=True)
            goal = rewards + discounts * target(then).gather(1, best).squeeze(1)
        value = online(seen).gather(1, actions).squeeze(1)
        loss = (weights * nn.functional.huber_loss(value, goal, reduction="none")).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(online.parameters(), 40)
        optimizer.step()

    speed = calls_per_second(update, seconds, device)
    print(json.dumps({"per_sec": speed, "versions": version_of("torch")}))


if __name__ == "__main__":
    main()
