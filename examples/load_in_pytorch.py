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


def coordinates(height: int, width: int, radius: bool = False) -> torch.Tensor:
    """The column, the row and, if asked for, the radius, each scaled to [-1, 1]: [K, H, W]."""
    column = torch.linspace(-1, 1, width).expand(height, width)
    row = torch.linspace(-1, 1, height).unsqueeze(1).expand(height, width)
    channels = [column, row]
    if radius:
        channels.append((column**2 + row**2).sqrt())
    return torch.stack(channels)


def initial_channels(torso: str, height: int, width: int) -> torch.Tensor:
    """Channels that are saved with the weights, as a new network has them. Draws are PyTorch's own."""
    plain = coordinates(height, width)
    if torso == "noiseconv":
        return 2 * torch.rand_like(plain) - 1
    if torso == "coordconv-shuffled":
        return plain.flatten(1)[:, torch.randperm(height * width)].view_as(plain)
    return plain / 8  # coordconv-scaled


class CoordConv2d(nn.Conv2d):
    """A convolution whose input is joined by `extra` coordinate channels.

    `saved`: the channels are a buffer, and not computed from the input's size. `tap`: instead of the window, one weight
    per channel sees them, at the window's centre (the upper left one of the four in a window of even size).
    """

    def __init__(self, channels, out, kernel, extra=0, saved=None, tap=False, **options):
        super().__init__(channels + (0 if tap else extra), out, kernel, **options)
        self.extra = extra
        self.register_buffer("channels", saved)
        self.coordinate_weight = nn.Parameter(torch.rand(out, extra, 1, 1) - 0.5) if tap else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.extra:
            return super().forward(x)
        channels = self.channels
        if channels is None:
            channels = coordinates(*x.shape[2:], radius=self.extra == 3).to(x.device)
        if self.coordinate_weight is None:
            return super().forward(torch.cat([x, channels.expand(len(x), -1, -1, -1)], dim=1))
        result = super().forward(x)
        (height, width), (rows, columns) = result.shape[2:], self.stride
        first = (self.kernel_size[0] - 1) // 2 - self.padding[0]
        centres = channels[:, first::rows, first::columns][:, :height, :width]
        return result + nn.functional.conv2d(centres.unsqueeze(0), self.coordinate_weight)


class Torso(nn.Module):
    """`conv` and its variants: each name is a row of settings below."""

    SETTINGS = {
        "conv": {},
        "conv-gap": {},
        "coordconv": {"extra": 2},
        "coordconv-gap": {"extra": 2},
        "coordconv-zero": {"extra": 2},  # `coordconv`, once it is trained
        "coordconv-r": {"extra": 3},
        "coordconv-all": {"extra": 2, "every": True},
        "coordconv-all-r": {"extra": 3, "every": True},
        "coordconv-tap": {"extra": 2, "tap": True},
        "coordconv-scaled": {"extra": 2, "saved": True},
        "coordconv-shuffled": {"extra": 2, "saved": True},
        "noiseconv": {"extra": 2, "saved": True},
    }

    def __init__(self, name: str, channels: int = 4, pixels: int = 7 * 7, size: tuple[int, int] = (84, 84)):
        super().__init__()
        settings = self.SETTINGS[name]
        extra, tap = settings.get("extra", 0), settings.get("tap", False)
        later = extra if settings.get("every") else 0
        saved = initial_channels(name, *size) if settings.get("saved") else None
        self.conv1 = CoordConv2d(channels, 32, 8, extra, saved, tap, stride=4)
        self.conv2 = CoordConv2d(32, 64, 4, later, stride=2)
        self.conv3 = CoordConv2d(64, 64, 3, later, stride=1)
        self.gap = name.endswith("-gap")
        self.fc = nn.Linear(64 if self.gap else 64 * pixels, 512)  # 7 x 7 pixels are left of 84 x 84

    def forward(self, obs: torch.Tensor) -> torch.Tensor:  # u8 [N, C, 84, 84] -> [N, 512]
        x = self.conv1(obs.float() / 255).relu()
        x = self.conv3(self.conv2(x).relu()).relu()
        return self.fc(x.mean((2, 3)) if self.gap else x.flatten(1)).relu()


class Block(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv2(self.conv1(x.relu()).relu())


class Section(nn.Module):
    def __init__(self, before: int, channels: int, extra: int = 0):
        super().__init__()
        self.conv = CoordConv2d(before, channels, 3, extra, padding=1)
        self.block1, self.block2 = Block(channels), Block(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # halves height and width
        return self.block2(self.block1(nn.functional.max_pool2d(self.conv(x), 3, stride=2, padding=1)))


class Impala(nn.Module):
    """`impala`, `impala-gap`, `coordconv-impala` and `coordconv-impala-gap`."""

    def __init__(self, name: str, channels: int = 4, pixels: int = 11 * 11, size: tuple[int, int] = (84, 84)):
        super().__init__()
        self.section1 = Section(channels, 16, extra=2 if name.startswith("coordconv") else 0)
        self.section2, self.section3 = Section(16, 32), Section(32, 32)
        self.gap = name.endswith("-gap")
        self.fc = nn.Linear(32 if self.gap else 32 * pixels, 256)  # 11 x 11 pixels are left of 84 x 84

    def forward(self, obs: torch.Tensor) -> torch.Tensor:  # u8 [N, C, 84, 84] -> [N, 256]
        x = self.section3(self.section2(self.section1(obs.float() / 255))).relu()
        return self.fc(x.mean((2, 3)) if self.gap else x.flatten(1)).relu()


class Brightness(nn.Module):
    """The control `brightness`: the mean of each stacked frame."""

    def __init__(self, name: str, channels: int = 4):
        super().__init__()
        self.fc = nn.Linear(channels, 512)

    def forward(self, obs: torch.Tensor) -> torch.Tensor:  # u8 [N, C, H, W] -> [N, 512]
        return self.fc((obs.float() / 255).mean((2, 3))).relu()


def build_torso(name: str, **sizes) -> nn.Module:
    """A torso by its name on the command line. `sizes`: `channels` of an observation, its `size` (height, width), and
    `pixels` left by the last convolution."""
    if name == "brightness":
        return Brightness(name, sizes.get("channels", 4))
    return (Impala if "impala" in name else Torso)(name, **sizes)


class Network(nn.Module):
    """A2C's: a torso with a policy head and a value head."""

    def __init__(self, torso: str, actions: int, **sizes):
        super().__init__()
        self.torso = build_torso(torso, **sizes)
        self.policy = nn.Linear(self.torso.fc.out_features, actions)
        self.value = nn.Linear(self.torso.fc.out_features, 1)

    def forward(self, obs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.torso(obs)
        return self.policy(features), self.value(features).squeeze(-1)


class DuelingNetwork(nn.Module):
    """Ape-X's: a torso with a stream for the value and one for the advantages of actions."""

    def __init__(self, torso: str, actions: int, **sizes):
        super().__init__()
        self.torso = build_torso(torso, **sizes)
        features = self.torso.fc.out_features
        self.value_hidden, self.value = nn.Linear(features, 512), nn.Linear(512, 1)
        self.advantage_hidden, self.advantage = nn.Linear(features, 512), nn.Linear(512, actions)

    def forward(self, obs: torch.Tensor) -> torch.Tensor:  # u8 [N, C, H, W] -> Q [N, actions]
        features = self.torso(obs)
        advantage = self.advantage(self.advantage_hidden(features).relu())
        return self.value(self.value_hidden(features).relu()) + advantage - advantage.mean(1, keepdim=True)


class PlainQNetwork(nn.Module):
    """Ape-X's with `apex.learner.head = "plain"`: a torso and one dense layer."""

    def __init__(self, torso: str, actions: int, **sizes):
        super().__init__()
        self.torso = build_torso(torso, **sizes)
        self.q = nn.Linear(self.torso.fc.out_features, actions)

    def forward(self, obs: torch.Tensor) -> torch.Tensor:  # u8 [N, C, H, W] -> Q [N, actions]
        return self.q(self.torso(obs))


HEADS = {"policy.weight": Network, "advantage.weight": DuelingNetwork, "q.weight": PlainQNetwork}


def load(checkpoint: Path) -> nn.Module:
    """Reads a checkpoint folder, or a weights file; torso, head and sizes are told by names and shapes."""
    file = checkpoint / "weights.safetensors" if checkpoint.is_dir() else checkpoint
    weights = load_file(file)
    torso, sizes = torso_of(weights)
    head = next(name for name in HEADS if name in weights)
    network = HEADS[head](torso, actions=weights[head].shape[0], **sizes)
    network.load_state_dict(weights)
    return network


def torso_of(weights: dict[str, torch.Tensor]) -> tuple[str, dict]:
    """Name and sizes of a torso that computes what these weights are for. Torsos that differ only in how they began, or
    in what their saved channels hold, load alike."""
    flat = weights["torso.fc.weight"].shape[1]  # channels times pixels of what the last convolution gives
    if "torso.section1.conv.weight" in weights:
        names, maps = {4: "impala", 6: "coordconv-impala"}, 32
        name = names[weights["torso.section1.conv.weight"].shape[1]]
    elif "torso.conv1.weight" in weights:
        name, maps = conv_torso_of(weights), 64
    else:
        return "brightness", {}
    if flat == maps and name in {"conv", "coordconv", "impala", "coordconv-impala"}:
        return name + "-gap", {}  # or one pixel is left, whose mean is the pixel itself
    sizes = {"pixels": flat // maps}
    if "torso.conv1.channels" in weights:
        sizes["size"] = tuple(weights["torso.conv1.channels"].shape[1:])
    return name, sizes


def conv_torso_of(weights: dict[str, torch.Tensor]) -> str:
    if "torso.conv1.channels" in weights:
        return "coordconv-scaled"
    if "torso.conv1.coordinate_weight" in weights:
        return "coordconv-tap"
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
