"""Losses and gradients of the proposal network in PyTorch, for the test in src/detect/learner.rs.

    python studies/golden/propose.py > studies/golden/propose.json

Everything is given by one formula on both sides: number i of a tensor is sin(0.7 i + phase) times a scale.
"""

import json
import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
SHAPES = [(15, 15), (20, 20), (25, 25), (15, 20), (20, 25), (20, 15), (25, 20), (15, 25), (25, 15)]
# For each of two canvases: pairs of box and target, other boxes, targets as row, column, height, width.
CANVASES = [
    {"positives": [[700, 0], [701, 1], [5, 1]], "negatives": [0, 1000, 1520, 3],
     "targets": [[30.0, 34.0, 18.0, 22.0], [-5.0, 70.0, 16.0, 24.5]]},
    {"positives": [[42, 0]], "negatives": [9, 9], "targets": [[12.5, 20.0, 25.0, 15.0]]},
]  # fmt: skip


def wave(shape: list[int], phase: float, scale: float) -> torch.Tensor:
    count = math.prod(shape)
    return (torch.sin(0.7 * torch.arange(count) + phase) * scale).float().double().reshape(shape)


def parameters(extra: int) -> dict[str, torch.Tensor]:
    """In the order in which the Rust network asks for them; `extra` coordinate channels in three layers."""
    shapes = {
        "conv1": [32, 1 + extra, 5, 5], "conv2": [64, 32, 5, 5], "conv3": [32, 64 + extra, 3, 3],
        "mover1": [32, 32, 3, 3], "mover2": [36, 32 + extra, 1, 1], "scorer": [18, 32, 1, 1],
    }  # fmt: skip
    named = {}
    for index, (name, shape) in enumerate(shapes.items()):
        scale = math.sqrt(2 / math.prod(shape[1:]))
        named[f"{name}.weight"] = wave(shape, index, scale).requires_grad_()
        named[f"{name}.bias"] = wave(shape[:1], index + 0.5, 0.1).requires_grad_()
    return named


def with_coordinates(maps: torch.Tensor, extra: int) -> torch.Tensor:
    if not extra:
        return maps
    count, _, height, width = maps.shape
    xx = torch.linspace(-1, 1, width).expand(count, 1, height, width)
    yy = torch.linspace(-1, 1, height)[:, None].expand(count, 1, height, width)
    return torch.cat([maps, xx, yy], 1)


def losses(named: dict[str, torch.Tensor], extra: int) -> tuple[torch.Tensor, torch.Tensor]:
    def conv(name: str, maps: torch.Tensor, padding: int = 0) -> torch.Tensor:
        return F.conv2d(maps, named[f"{name}.weight"], named[f"{name}.bias"], padding=padding)

    maps = (wave([2, 1, 64, 64], 0.0, 0.5) + 0.5).float().double()
    maps = F.max_pool2d(F.relu(conv("conv1", with_coordinates(maps, extra))), 2)
    maps = F.max_pool2d(F.relu(conv("conv2", maps)), 2)
    maps = F.relu(conv("conv3", with_coordinates(maps, extra), padding=1))
    moves = conv("mover2", with_coordinates(F.relu(conv("mover1", maps, padding=1)), extra))
    moves = moves.permute(0, 2, 3, 1).reshape(2, -1, 4)
    logits = conv("scorer", maps).permute(0, 2, 3, 1).reshape(2, -1, 2)

    anchors = [(8.0 + 4 * row, 8.0 + 4 * column, h, w) for row in range(13) for column in range(13) for h, w in SHAPES]
    box_loss = score_loss = torch.zeros(())
    for canvas, of_moves, of_logits in zip(CANVASES, moves, logits):
        off = []
        for box, target in canvas["positives"]:
            row, column, height, width = anchors[box]
            r, c, h, w = canvas["targets"][target]
            wanted = [(r - row) / height, (c - column) / width, math.log(h / height), math.log(w / width)]
            off.append((torch.tensor(wanted) - of_moves[box]).abs())
        off = torch.stack(off)
        box_loss = box_loss + torch.where(off <= 1, off**2, off).sum(1).mean()
        boxes = [box for box, _ in canvas["positives"]] + canvas["negatives"]
        classes = [0] * len(canvas["positives"]) + [1] * len(canvas["negatives"])
        score_loss = score_loss + F.cross_entropy(of_logits[boxes], torch.tensor(classes))
    return box_loss, score_loss


def main() -> None:
    found = {}
    for layer, extra in [("conv", 0), ("coordconv", 2)]:
        named = parameters(extra)
        box_loss, score_loss = losses(named, extra)
        (box_loss + score_loss).backward()
        gradients = {
            name: [value.grad.norm().item(), (value.grad * wave(list(value.shape), 0.0, 1.0)).sum().item()]
            for name, value in named.items()
        }
        found[layer] = {"box_loss": box_loss.item(), "score_loss": score_loss.item(), "gradients": gradients}
    print(json.dumps({"canvases": CANVASES, **found}, indent=1))


if __name__ == "__main__":
    main()
