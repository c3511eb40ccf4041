"""Losses, gradients and running statistics of the adversarial networks in PyTorch, for the test in src/gan/learner.rs.

    python studies/golden/gan.py > studies/golden/gan.json

Made with PyTorch 2.15.0. Numbers come from `noise`, in float64; pictures are −1 where it is below 0 and 1 elsewhere.
Every number of the narrowest networks; of the others, each tensor's norm and its product with the formula of `propose.py`.
"""

import json
import math

import torch
import torch.nn.functional as F
from propose import wave, with_coordinates

COUNT = 3
# Canvas, latent variables and width: the narrowest, the default, the published.
SIZES = [(32, 3, 2), (32, 64, 16), (64, 256, 64)]


def noise(shape: list[int], phase: float, scale: float) -> torch.Tensor:
    large = 43758.5453 * torch.sin(12.9898 * torch.arange(math.prod(shape)) + phase)
    return ((2 * (large - torch.floor(large)) - 1) * scale).float().double().reshape(shape)


def channels(side: int, width: int) -> list[int]:
    return [factor * width for factor in ([1, 2, 4, 8] if side == 64 else [2, 4, 8])]


def parameters(side: int, latents: int, width: int, tiled: bool) -> dict[str, torch.Tensor]:
    """In the order in which the Rust networks ask for them: weight and bias of each layer."""
    shapes, outputs = {}, {}
    before = 3 + (2 if tiled else 0)
    for number, after in enumerate(channels(side, width), 1):
        name = f"discriminator.halve{number}"
        shapes[name] = [after, before, 5, 5]
        if number > 1:
            shapes[f"{name}.norm"] = [after]
        before = after
    shapes["discriminator.last"] = [1, before * 16]
    if tiled:
        layers = [(latents + 2, 8, 1), (8, 4, 1), (4, 4, 1), (4, 2, 1), (2, 1, 1), (1, 1, 3), (1, 1, 3)]
        for number, (before, after, window) in enumerate(layers, 1):
            before = before if number == 1 else before * width
            shapes[f"generator.layer{number}"] = [after * width, before, window, window]
        shapes["generator.layer8"] = [3, width, 1, 1]
    else:
        maps = channels(side, width)[::-1]
        shapes["generator.dense"] = [maps[0] * 16, latents]
        for number, after in enumerate(maps, 1):
            shapes[f"generator.norm{number}"] = [after]
        for number, (before, after) in enumerate(zip(maps, [*maps[1:], 3]), 1):
            shapes[f"generator.double{number}"] = [before, after, 5, 5]
            outputs[f"generator.double{number}"] = after

    named = {}
    for index, (name, shape) in enumerate(shapes.items()):
        named[f"{name}.weight"] = noise(shape, index, math.sqrt(2 / math.prod(shape[1:]))).requires_grad_()
        named[f"{name}.bias"] = noise([outputs.get(name, shape[0])], index + 0.5, 0.1).requires_grad_()
    return named


class Networks:
    def __init__(self, side: int, latents: int, width: int, tiled: bool):
        self.side, self.width, self.tiled = side, width, tiled
        self.named = parameters(side, latents, width, tiled)
        self.statistics = {}
        for name, value in self.named.items():
            if "norm" in name and name.endswith("weight"):
                name = name.removesuffix("weight")
                self.statistics[f"{name}running_mean"] = torch.zeros_like(value)
                self.statistics[f"{name}running_var"] = torch.ones_like(value)

    def of(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self.named[f"{name}.weight"], self.named[f"{name}.bias"]

    def normed(self, name: str, maps: torch.Tensor) -> torch.Tensor:
        mean, variance = (self.statistics[f"{name}.running_{what}"] for what in ("mean", "var"))
        return F.batch_norm(maps, mean, variance, *self.of(name), training=True, momentum=0.1, eps=1e-5)

    def discriminate(self, pictures: torch.Tensor) -> torch.Tensor:
        maps = with_coordinates(pictures, 2 if self.tiled else 0)
        for number in range(1, len(channels(self.side, self.width)) + 1):
            name = f"discriminator.halve{number}"
            # "Same" padding in TensorFlow's sense: one more row and column behind than before.
            maps = F.conv2d(F.pad(maps, (1, 2, 1, 2)), *self.of(name), stride=2)
            maps = maps if number == 1 else self.normed(f"{name}.norm", maps)
            maps = F.leaky_relu(maps, 0.2)
        return F.linear(maps.flatten(1), *self.of("discriminator.last"))

    def generate(self, latents: torch.Tensor) -> torch.Tensor:
        if self.tiled:
            maps = with_coordinates(latents[:, :, None, None].expand(-1, -1, self.side, self.side), 2)
            for number in range(1, 8):
                maps = F.relu(F.conv2d(maps, *self.of(f"generator.layer{number}"), padding="same"))
            return F.conv2d(maps, *self.of("generator.layer8"))

        maps = F.linear(latents, *self.of("generator.dense"))
        maps = maps.reshape(len(latents), -1, 4, 4)
        for number in range(1, len(channels(self.side, self.width)) + 1):
            maps = F.relu(self.normed(f"generator.norm{number}", maps))
            size = 2 * maps.shape[-1]
            maps = F.conv_transpose2d(maps, *self.of(f"generator.double{number}"), stride=2, padding=1)
            maps = maps[:, :, :size, :size]
        return torch.tanh(maps)


def answers(logits: torch.Tensor, answer: float) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, answer), reduction="sum")


def summary(value: torch.Tensor, whole: bool) -> list[float]:
    if whole:
        return [float(f"{number:.7g}") for number in value.flatten().tolist()]
    return [value.norm().item(), (value * wave(list(value.shape), 0.0, 1.0)).sum().item()]


def step(networks: Networks, latents: int, whole: bool) -> dict:
    """Losses and gradients of a step of each network, and the running statistics after both."""
    side = networks.side
    pictures = torch.where(noise([COUNT, 3, side, side], 0.0, 1.0) >= 0, 1.0, -1.0).double()
    drawn = noise([COUNT, latents], 0.25, 1.0)
    losses, gradients = [], {}
    for part in ("discriminator", "generator"):
        if part == "discriminator":
            made = networks.generate(drawn).detach()
            loss = answers(networks.discriminate(pictures), 1.0) + answers(networks.discriminate(made), 0.0)
        else:
            loss = answers(networks.discriminate(networks.generate(drawn)), 1.0)
        its = [name for name in networks.named if name.startswith(part)]
        for name, gradient in zip(its, torch.autograd.grad(loss, [networks.named[name] for name in its])):
            gradients[name] = summary(gradient, whole)
        losses.append(loss.item())
    statistics = {name: summary(value, whole) for name, value in networks.statistics.items()}
    return {"losses": losses, "gradients": gradients, "statistics": statistics}


def main() -> None:
    found = {}
    for side, latents, width in SIZES:
        for layer, tiled in [("conv", False), ("coordconv", True)]:
            found[f"{layer} {side} {width}"] = step(Networks(side, latents, width, tiled), latents, width == 2)
    print(json.dumps(found, separators=(",", ":")))


if __name__ == "__main__":
    main()
