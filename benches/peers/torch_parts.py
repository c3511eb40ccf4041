"""What the PyTorch peers share."""

import time
from collections.abc import Callable

import torch
from torch import nn

FEATURES = 512


def torso() -> nn.Sequential:
    """The network of Mnih et al. 2015 without its heads, for four frames of 84 × 84 in [0, 1]."""
    return nn.Sequential(
        nn.Conv2d(4, 32, 8, stride=4), nn.ReLU(),
        nn.Conv2d(32, 64, 4, stride=2), nn.ReLU(),
        nn.Conv2d(64, 64, 3, stride=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(3136, FEATURES), nn.ReLU(),
    )  # fmt: skip


def calls_per_second(update: Callable[[], None], seconds: float, device: str) -> float:
    """Calls `update` for some seconds after one call that does not count, as the first is slower."""
    update()
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        update()
        done += 1
    if device != "cpu":
        torch.cuda.synchronize()
    return done / (time.perf_counter() - start)
