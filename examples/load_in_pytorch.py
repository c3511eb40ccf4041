"""Load the weights of a run into PyTorch, and play with them there.

    python3 examples/load_in_pytorch.py runs/pong/a2c-coordconv/seed1-*/checkpoints/000000500160
    python3 examples/load_in_pytorch.py runs/catch/apex-conv/seed1-*/checkpoints/000000020000 52    # env.screen_size, if not 84

Needs: pip install torch safetensors. The networks below are the whole of it, of A2C and of Ape-X: the names and
layouts in `weights.safetensors` are those that PyTorch gives these modules.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn


class Coordinates(nn.Module):
    """Appends the column, the row and, if asked for, the radius, each scaled to [-1, 1]."""

    def __init__(self, radius: bool):
        super().__init__()
        self.radius = radius

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # [N, C, H, W] -> [N, C + 2 or 3, H, W]
        n, _, h, w = x.shape
        column = torch.linspace(-1, 1, w, device=x.device).expand(n, 1, h, w)
        row = torch.linspace(-1, 1, h, device=x.device).unsqueeze(1).expand(n, 1, h, w)
        extra = [column, row]
        if self.radius:
            extra.append((column**2 + row**2).sqrt())
        return torch.cat([x, *extra], dim=1)


class Torso(nn.Module):
    """The torsos `conv`, `coordconv`, `coordconv-all`, and with radius `coordconv-r`, `coordconv-all-r`."""

    def __init__(self, name: str, channels: int = 4, pixels: int = 7 * 7):
        super().__init__()
        self.coordinates = Coordinates(radius=name.endswith("-r"))
        extra = 3 if name.endswith("-r") else 2
        self.first = name != "conv"
        self.every = name.startswith("coordconv-all")
        later = extra if self.every else 0
        self.conv1 = nn.Conv2d(channels + (extra if self.first else 0), 32, 8, stride=4)
        self.conv2 = nn.Conv2d(32 + later, 64, 4, stride=2)
        self.conv3 = nn.Conv2d(64 + later, 64, 3, stride=1)
        self.fc = nn.Linear(64 * pixels, 512)  # 7 x 7 pixels are left of 84 x 84

    def forward(self, obs: torch.Tensor) -> torch.Tensor:  # u8 [N, C, 84, 84] -> [N, 512]
        x = obs.float() / 255
        x = self.coordinates(x) if self.first else x
        x = self.conv1(x).relu()
        x = self.coordinates(x) if self.every else x
        x = self.conv2(x).relu()
        x = self.coordinates(x) if self.every else x
        x = self.conv3(x).relu()
        return self.fc(x.flatten(1)).relu()


class Block(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv2(self.conv1(x.relu()).relu())


class Section(nn.Module):
    def __init__(self, before: int, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(before, channels, 3, padding=1)
        self.block1, self.block2 = Block(channels), Block(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # halves height and width
        return self.block2(self.block1(nn.functional.max_pool2d(self.conv(x), 3, stride=2, padding=1)))


class Impala(nn.Module):
    """The torsos `impala` and `coordconv-impala`."""

    def __init__(self, name: str, channels: int = 4, pixels: int = 11 * 11):
        super().__init__()
        self.coordinates = Coordinates(radius=False) if name == "coordconv-impala" else nn.Identity()
        self.section1 = Section(channels + (2 if name == "coordconv-impala" else 0), 16)
        self.section2, self.section3 = Section(16, 32), Section(32, 32)
        self.fc = nn.Linear(32 * pixels, 256)  # 11 x 11 pixels are left of 84 x 84

    def forward(self, obs: torch.Tensor) -> torch.Tensor:  # u8 [N, C, 84, 84] -> [N, 256]
        x = self.section1(self.coordinates(obs.float() / 255))
        return self.fc(self.section3(self.section2(x)).relu().flatten(1)).relu()


class Brightness(nn.Module):
    """The control `brightness`: the mean of each stacked frame."""

    def __init__(self, name: str, channels: int = 4, pixels: int = 1):
        super().__init__()
        self.fc = nn.Linear(channels, 512)

    def forward(self, obs: torch.Tensor) -> torch.Tensor:  # u8 [N, C, H, W] -> [N, 512]
        return self.fc((obs.float() / 255).mean((2, 3))).relu()


def build_torso(name: str, channels: int, pixels: int | None) -> nn.Module:
    build = Brightness if name == "brightness" else Impala if name.endswith("impala") else Torso
    return build(name, channels, pixels) if pixels else build(name, channels)


class Network(nn.Module):
    """A2C's: a torso with a policy head and a value head."""

    def __init__(self, torso: str, actions: int, channels: int = 4, pixels: int | None = None):
        super().__init__()
        self.torso = build_torso(torso, channels, pixels)
        self.policy = nn.Linear(self.torso.fc.out_features, actions)
        self.value = nn.Linear(self.torso.fc.out_features, 1)

    def forward(self, obs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.torso(obs)
        return self.policy(features), self.value(features).squeeze(-1)


class DuelingNetwork(nn.Module):
    """Ape-X's: a torso with a stream for the value and one for the advantages of actions."""

    def __init__(self, torso: str, actions: int, channels: int = 4, pixels: int | None = None):
        super().__init__()
        self.torso = build_torso(torso, channels, pixels)
        features = self.torso.fc.out_features
        self.value_hidden, self.value = nn.Linear(features, 512), nn.Linear(512, 1)
        self.advantage_hidden, self.advantage = nn.Linear(features, 512), nn.Linear(512, actions)

    def forward(self, obs: torch.Tensor) -> torch.Tensor:  # u8 [N, C, H, W] -> Q [N, actions]
        features = self.torso(obs)
        advantage = self.advantage(self.advantage_hidden(features).relu())
        return self.value(self.value_hidden(features).relu()) + advantage - advantage.mean(1, keepdim=True)


class PlainQNetwork(nn.Module):
    """Ape-X's with `apex.learner.head = "plain"`: a torso and one dense layer."""

    def __init__(self, torso: str, actions: int, channels: int = 4, pixels: int | None = None):
        super().__init__()
        self.torso = build_torso(torso, channels, pixels)
        self.q = nn.Linear(self.torso.fc.out_features, actions)

    def forward(self, obs: torch.Tensor) -> torch.Tensor:  # u8 [N, C, H, W] -> Q [N, actions]
        return self.q(self.torso(obs))


HEADS = {"policy.weight": Network, "advantage.weight": DuelingNetwork, "q.weight": PlainQNetwork}


def load(checkpoint: Path) -> nn.Module:
    """Reads a checkpoint folder, or a weights file; torso, head and sizes are told by names and shapes."""
    file = checkpoint / "weights.safetensors" if checkpoint.is_dir() else checkpoint
    weights = load_file(file)
    flat = weights["torso.fc.weight"].shape[1]  # channels times pixels of what the last convolution gives
    if "torso.section1.conv.weight" in weights:
        names = {4: "impala", 6: "coordconv-impala"}
        torso, pixels = names[weights["torso.section1.conv.weight"].shape[1]], flat // 32
    elif "torso.conv1.weight" in weights:
        torso, pixels = conv_torso_of(weights), flat // 64
    else:
        torso, pixels = "brightness", None
    head = next(name for name in HEADS if name in weights)
    network = HEADS[head](torso, actions=weights[head].shape[0], pixels=pixels)
    network.load_state_dict(weights)
    return network


def conv_torso_of(weights: dict[str, torch.Tensor]) -> str:
    names = {(4, 32): "conv", (6, 32): "coordconv", (7, 32): "coordconv-r", (6, 34): "coordconv-all", (7, 35): "coordconv-all-r"}
    inputs = tuple(weights[f"torso.conv{i}.weight"].shape[1] for i in (1, 2))
    return names[inputs]


if __name__ == "__main__":
    network = load(Path(sys.argv[1]))
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 84
    obs = torch.randint(0, 256, (2, 4, size, size), dtype=torch.uint8)
    with torch.no_grad():
        output = network(obs)
    print("parameters", sum(p.numel() for p in network.parameters()))
    if isinstance(network, Network):
        print("logits", output[0])
        print("value", output[1])
    else:
        print("q", output)
