"""Losses, gradients and running statistics of DCGAN in PyTorch, plain and with coordinates at every transposed convolution of the generator and the first convolution of the discriminator, for the test in src/lsun/learner.rs.

    python studies/golden/lsun.py > studies/golden/lsun.json

Made with PyTorch 2.15.0, in float64. Numbers come from `gan.py`'s `noise`, those of each parameter with its own phase; pictures are −1 where it is below 0 and 1 elsewhere.
Every number of the narrowest networks; of the others, each tensor's norm and its product with the formula of `propose.py`.
"""

import json
import math

import torch
import torch.nn.functional as F
from gan import Networks, channels, noise, step
from gan import parameters as plain
from propose import with_coordinates

# Side, latent variables and width.
SIZES = [(32, 3, 2), (64, 100, 16)]


def parameters(side: int, latents: int, width: int, spread: bool) -> dict[str, torch.Tensor]:
    """In the order in which the Rust networks ask for them."""
    shapes = {name: list(value.shape) for name, value in plain(side, latents, width, False).items()}
    if spread:
        shapes["discriminator.halve1.weight"][1] += 2
    ordered = {}
    for name, shape in shapes.items():
        ordered[name] = shape
        if spread and name.startswith("generator.double") and name.endswith(".bias"):
            weight = shapes[name.replace("bias", "weight")]
            ordered[name.replace("bias", "coordinates")] = [2, *weight[1:]]
    named = {}
    for index, (name, shape) in enumerate(ordered.items()):
        if len(shape) > 1:
            value = noise(shape, index, math.sqrt(2 / math.prod(shape[1:])))
        else:
            is_scale = "norm" in name and name.endswith("weight")
            value = noise(shape, index, 0.1) + (1.0 if is_scale else 0.0)
        named[name] = value.requires_grad_()
    return named


class Spread(Networks):
    def __init__(self, side: int, latents: int, width: int, spread: bool):
        super().__init__(side, latents, width, False)
        self.spread = spread
        self.named = parameters(side, latents, width, spread)

    def discriminate(self, pictures: torch.Tensor) -> torch.Tensor:
        self.tiled = self.spread
        judged = super().discriminate(pictures)
        self.tiled = False
        return judged

    def generate(self, latents: torch.Tensor) -> torch.Tensor:
        maps = F.linear(latents, *self.of("generator.dense")).reshape(len(latents), -1, 4, 4)
        for number in range(1, len(channels(self.side, self.width)) + 1):
            maps = F.relu(self.normed(f"generator.norm{number}", maps))
            size = 2 * maps.shape[-1]
            weight, bias = self.of(f"generator.double{number}")
            if self.spread:
                maps = with_coordinates(maps, 2)
                weight = torch.cat([weight, self.named[f"generator.double{number}.coordinates"]])
            maps = F.conv_transpose2d(maps, weight, bias, stride=2, padding=1)[:, :, :size, :size]
        return torch.tanh(maps)


def main() -> None:
    found = {}
    for side, latents, width in SIZES:
        for layer, spread in [("conv", False), ("coordconv", True)]:
            found[f"{layer} {side} {width}"] = step(Spread(side, latents, width, spread), latents, width == 2)
    print(json.dumps(found, separators=(",", ":")))


if __name__ == "__main__":
    main()
