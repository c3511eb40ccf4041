"""Losses, gradients and running statistics of residual networks in PyTorch, for the test in src/imagenet/resnet.rs.

    python studies/golden/resnet.py > studies/golden/resnet.json

Made with PyTorch 2.15.0 and torchvision 0.29.2. The network is written out here, so that it can be narrow, and compared with torchvision's
at its own width. Numbers come from `noise` of `gan.py`, in float64. Every number of the narrowest networks; of the others, each tensor's norm
and its product with the formula of `propose.py`.
"""

import json
import math

import torch
import torch.nn.functional as F
import torchvision
from gan import noise, summary

COUNT, SIDE, CLASSES = 6, 64, 5
BLOCKS = {18: [2, 2, 2, 2], 50: [3, 4, 6, 3]}


def layers(depth: int, before: int, inside: int, after: int, stride: int) -> list[tuple[int, int, int, int]]:
    if depth == 18:
        return [(before, inside, 3, stride), (inside, after, 3, 1)]
    return [(before, inside, 1, 1), (inside, inside, 3, stride), (inside, after, 1, 1)]


class ResNet:
    def __init__(self, depth: int, width: int, coord: bool):
        self.depth, self.width, self.coord = depth, width, coord
        self.named, self.statistics, self.strides = {}, {}, {}
        if coord:
            self.add("coord.weight", [8, 6, 1, 1], math.sqrt(2 / 6))
            self.add("coord.bias", [8], 0.1)
        self.conv("conv1", 8 if coord else 3, width, 7, 2)
        self.norm("bn1", width)
        before = width
        for stage, count in enumerate(BLOCKS[depth]):
            inside = width << stage
            after = inside * (1 if depth == 18 else 4)
            for index in range(count):
                stride = 2 if stage and not index else 1
                name = f"layer{stage + 1}.{index}"
                for number, (inputs, outputs, kernel, step) in enumerate(layers(depth, before, inside, after, stride), 1):
                    self.conv(f"{name}.conv{number}", inputs, outputs, kernel, step)
                    self.norm(f"{name}.bn{number}", outputs)
                if before != after or stride != 1:
                    self.conv(f"{name}.downsample.0", before, after, 1, stride)
                    self.norm(f"{name}.downsample.1", after)
                before = after
        self.add("fc.weight", [CLASSES, before], math.sqrt(1 / before))
        self.add("fc.bias", [CLASSES], 0.1)

    def add(self, name: str, shape: list[int], scale: float, centre: float = 0.0) -> None:
        self.named[name] = (centre + noise(shape, len(self.named), scale)).float().double().requires_grad_()

    def conv(self, name: str, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        self.add(f"{name}.weight", [outputs, inputs, kernel, kernel], math.sqrt(2 / (inputs * kernel**2)))
        self.strides[name] = stride

    def norm(self, name: str, channels: int) -> None:
        self.add(f"{name}.weight", [channels], 0.5, 1.0)
        self.add(f"{name}.bias", [channels], 0.1)
        self.statistics[f"{name}.running_mean"] = torch.zeros(channels).double()
        self.statistics[f"{name}.running_var"] = torch.ones(channels).double()

    def normed(self, conv: str, norm: str, maps: torch.Tensor) -> torch.Tensor:
        weight = self.named[f"{conv}.weight"]
        maps = F.conv2d(maps, weight, stride=self.strides[conv], padding=weight.shape[-1] // 2)
        mean, variance = (self.statistics[f"{norm}.running_{what}"] for what in ("mean", "var"))
        return F.batch_norm(maps, mean, variance, self.named[f"{norm}.weight"], self.named[f"{norm}.bias"], training=True)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        if self.coord:
            line = torch.linspace(-1, 1, SIDE)
            xx, yy = line.expand(SIDE, SIDE), line[:, None].expand(SIDE, SIDE)
            places = torch.stack([xx, yy, torch.sqrt(xx**2 + yy**2)]).expand(len(maps), 3, SIDE, SIDE)
            maps = F.conv2d(torch.cat([maps, places], 1), self.named["coord.weight"], self.named["coord.bias"])
        maps = F.max_pool2d(F.relu(self.normed("conv1", "bn1", maps)), 3, 2, 1)
        for stage, count in enumerate(BLOCKS[self.depth], 1):
            for index in range(count):
                name = f"layer{stage}.{index}"
                inside = maps
                for number in range(1, 3 if self.depth == 18 else 4):
                    inside = inside if number == 1 else F.relu(inside)
                    inside = self.normed(f"{name}.conv{number}", f"{name}.bn{number}", inside)
                has_own = f"{name}.downsample.0.weight" in self.named
                maps = self.normed(f"{name}.downsample.0", f"{name}.downsample.1", maps) if has_own else maps
                maps = F.relu(inside + maps)
        return F.linear(maps.mean((2, 3)), self.named["fc.weight"], self.named["fc.bias"])


def blocks_of_colour() -> torch.Tensor:
    """Pictures of single pixels would all look alike after some layers, and a normalisation would blow up their differences."""
    return noise([COUNT, 3, 4, 4], 0.0, 1.0).repeat_interleave(SIDE // 4, 2).repeat_interleave(SIDE // 4, 3)


def compare_with_torchvision(ours: ResNet, pictures: torch.Tensor) -> None:
    theirs = getattr(torchvision.models, f"resnet{ours.depth}")(num_classes=CLASSES).double()
    missing, unexpected = theirs.load_state_dict(ours.named, strict=False)
    assert not unexpected and all("running" in name or "batches" in name for name in missing)
    saved = {name: value.clone() for name, value in ours.statistics.items()}
    assert torch.allclose(ours.forward(pictures), theirs(pictures), rtol=1e-9, atol=1e-9)
    for name, value in ours.statistics.items():
        assert torch.allclose(value, theirs.state_dict()[name])
        value.copy_(saved[name])


def main() -> None:
    torch.set_default_dtype(torch.float64)
    found = {}
    for depth, width, coord in [(18, 2, True), (50, 2, True), (18, 64, False), (50, 64, False), (50, 64, True)]:
        network = ResNet(depth, width, coord)
        pictures = blocks_of_colour()
        if width == 64 and not coord:
            compare_with_torchvision(network, pictures)
        loss = F.cross_entropy(network.forward(pictures), torch.arange(COUNT) % CLASSES, reduction="sum")
        gradients = torch.autograd.grad(loss, list(network.named.values()))
        whole = width < 64
        found[f"{depth} {width} {'coordconv' if coord else 'conv'}"] = {
            "parameters": sum(value.numel() for value in network.named.values()),
            "loss": loss.item(),
            "gradients": {name: summary(value, whole) for name, value in zip(network.named, gradients)},
            "statistics": {name: summary(value, whole) for name, value in network.statistics.items()},
        }
    print(json.dumps(found, separators=(",", ":")))


if __name__ == "__main__":
    main()
