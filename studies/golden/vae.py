"""Losses and gradients of the variational autoencoder in PyTorch, for the test in src/vae/learner.rs.

    python studies/golden/vae.py > studies/golden/vae.json

Made with PyTorch 2.15.0. Numbers come from the formula of `propose.py`, in float64; pictures are black where it is below 0 and white elsewhere.
"""

import json
import math

import torch
import torch.nn.functional as F
from propose import wave, with_coordinates

LATENTS = 8
# Channels after each halving; the decoder of transposed convolutions has them backwards.
CHANNELS = {32: [32, 64, 64], 64: [32, 32, 64, 64]}


def parameters(side: int, tiled: bool) -> dict[str, torch.Tensor]:
    """In the order in which the Rust network asks for them."""
    extra = 2 if tiled else 0
    shapes = {}
    channels_in = 3 + extra
    for number, channels_out in enumerate(CHANNELS[side], 1):
        shapes[f"encoder{number}"] = [channels_out, channels_in, 4, 4]
        channels_in = channels_out
    shapes |= {"features": [256, 1024], "encoding": [2 * LATENTS, 256]}
    if tiled:
        shapes |= {"decoder1": [64, LATENTS + 2, 1, 1], "decoder2": [64, 64, 1, 1], "decoder3": [32, 64, 1, 1]}
        shapes |= {"decoder4": [32, 32, 3, 3], "decoder5": [3, 32, 1, 1]}
    else:
        shapes |= {"dense1": [256, LATENTS], "dense2": [1024, 256]}
        outputs = [*CHANNELS[side][-2::-1], 3]
        for number, (before, after) in enumerate(zip([64, *outputs], outputs), 1):
            shapes[f"decoder{number}"] = [before, after, 4, 4]

    named = {}
    for index, (name, shape) in enumerate(shapes.items()):
        outputs = shape[1] if name.startswith("decoder") and not tiled else shape[0]
        named[f"{name}.weight"] = wave(shape, index, math.sqrt(2 / math.prod(shape[1:]))).requires_grad_()
        named[f"{name}.bias"] = wave([outputs], index + 0.5, 0.1).requires_grad_()
    return named


def losses(named: dict[str, torch.Tensor], side: int, tiled: bool) -> tuple[torch.Tensor, torch.Tensor]:
    def of(name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return named[f"{name}.weight"], named[f"{name}.bias"]

    pictures = (wave([2, 3, side, side], 0.0, 1.0) >= 0).double()
    maps = with_coordinates(pictures, 2 if tiled else 0)
    for number in range(1, len(CHANNELS[side]) + 1):
        maps = F.relu(F.conv2d(maps, *of(f"encoder{number}"), stride=2, padding=1))
    encoding = F.linear(F.relu(F.linear(maps.flatten(1), *of("features"))), *of("encoding"))
    mean, log_variance = encoding[:, :LATENTS], encoding[:, LATENTS:]
    latents = mean + torch.exp(log_variance / 2) * wave([2, LATENTS], 0.25, 1.0)

    if tiled:
        maps = with_coordinates(latents[:, :, None, None].expand(-1, -1, side, side), 2)
        for number in (1, 2, 3):
            maps = F.relu(F.conv2d(maps, *of(f"decoder{number}")))
        maps = F.relu(F.conv2d(maps, *of("decoder4"), padding=1))
        logits = F.conv2d(maps, *of("decoder5"))
    else:
        maps = F.relu(F.linear(F.relu(F.linear(latents, *of("dense1"))), *of("dense2"))).reshape(2, 64, 4, 4)
        for number in range(1, len(CHANNELS[side]) + 1):
            maps = maps if number == 1 else F.relu(maps)
            maps = F.conv_transpose2d(maps, *of(f"decoder{number}"), stride=2, padding=1)
        logits = maps

    pixels = F.binary_cross_entropy_with_logits(logits, pictures, reduction="sum")
    divergence = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
    return pixels, divergence


def main() -> None:
    found = {}
    for side in (32, 64):
        for layer, tiled in [("conv", False), ("coordconv", True)]:
            named = parameters(side, tiled)
            pixels, divergence = losses(named, side, tiled)
            (pixels + divergence).backward()
            gradients = {
                name: [value.grad.norm().item(), (value.grad * wave(list(value.shape), 0.0, 1.0)).sum().item()]
                for name, value in named.items()
            }
            found[f"{layer} {side}"] = {"pixels": pixels.item(), "divergence": divergence.item(), "gradients": gradients}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
