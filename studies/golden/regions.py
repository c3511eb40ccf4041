"""RoI align, suppression and the second stage's losses in PyTorch and torchvision, for the tests in src/detect/second_stage.rs.

    python studies/golden/regions.py > studies/golden/regions.json

Numbers come from the formula of `propose.py`. Made with torchvision 0.29.2, in float64.
"""

import json
import math

import torch
import torch.nn.functional as F
from propose import wave, with_coordinates
from torchvision.ops import box_iou, nms, roi_align

# Picture, then row, column, height, width.
REGIONS = [[0, 30.0, 20.0, 21.0, 14.0], [0, 32.0, 40.5, 40.0, 23.0], [1, 20.0, 44.0, 15.5, 18.25]]
# For each region of the head's batch: picture, place, class (10: none), target or nothing.
DRAWN = [
    [0, [30.0, 20.0, 21.0, 14.0], 3, [32.0, 21.0, 24.0, 16.0]],
    [0, [40.0, 40.0, 20.0, 20.0], 10, None],
    [0, [22.0, 30.0, 15.0, 25.0], 10, None],
    [1, [20.0, 44.0, 15.5, 18.25], 7, [19.0, 45.0, 18.0, 20.0]],
    [1, [33.0, 33.0, 25.0, 15.0], 0, [30.0, 36.0, 60.0, 15.0]],
]


def corners(row: float, column: float, height: float, width: float) -> list[float]:
    return [column - width / 2, row - height / 2, column + width / 2, row + height / 2]


def align(maps: torch.Tensor, regions: list[list[float]], first: float) -> torch.Tensor:
    """Place k of the map lies over pixel first + 4k, as torchvision has it for first = 2."""
    boxes = [[picture, *(edge - (first - 2) for edge in corners(*place))] for picture, *place in regions]
    return roi_align(maps, torch.tensor(boxes), 7, spatial_scale=0.25, sampling_ratio=2, aligned=True)


def head(extra: int) -> dict[str, object]:
    shapes = {"regions": [64, 64 + extra, 1, 1], "hidden": [128, 3136], "classes": [11, 128], "refiner": [4, 128]}
    named = {}
    for index, (name, shape) in enumerate(shapes.items()):
        named[f"{name}.weight"] = wave(shape, index, math.sqrt(2 / math.prod(shape[1:]))).requires_grad_()
        named[f"{name}.bias"] = wave(shape[:1], index + 0.5, 0.1).requires_grad_()
    maps = wave([2, 64, 13, 13], 0.0, 1.0).requires_grad_()

    before = F.relu(F.conv2d(with_coordinates(maps, extra), named["regions.weight"], named["regions.bias"]))
    features = align(before, [[picture, *place] for picture, place, *_ in DRAWN], 8.0).flatten(1)
    hidden = F.relu(F.linear(features, named["hidden.weight"], named["hidden.bias"]))
    logits = F.linear(hidden, named["classes.weight"], named["classes.bias"])
    moves = F.linear(hidden, named["refiner.weight"], named["refiner.bias"])

    class_loss = box_loss = torch.zeros(())
    for picture in (0, 1):
        rows = [index for index, region in enumerate(DRAWN) if region[0] == picture]
        class_loss = class_loss + F.cross_entropy(logits[rows], torch.tensor([DRAWN[row][2] for row in rows]))
        with_digit = [row for row in rows if DRAWN[row][3]]
        wanted = []
        for _, (row, column, height, width), _, (r, c, h, w) in (DRAWN[index] for index in with_digit):
            wanted.append([(r - row) / height, (c - column) / width, math.log(h / height), math.log(w / width)])
        off = F.smooth_l1_loss(moves[with_digit], torch.tensor(wanted), reduction="none", beta=1.0)
        box_loss = box_loss + off.sum(1).mean()

    (class_loss + box_loss).backward()
    named["maps"] = maps
    gradients = {
        name: [value.grad.norm().item(), (value.grad * wave(list(value.shape), 0.0, 1.0)).sum().item()]
        for name, value in named.items()
    }
    return {"class_loss": class_loss.item(), "box_loss": box_loss.item(), "gradients": gradients}


def main() -> None:
    boxes = [[30 + 20 * math.sin(3 * k), 30 + 20 * math.cos(5 * k), 18 + k % 7, 15 + k % 5] for k in range(40)]
    scores = [math.sin(0.7 * k) for k in range(40)]
    cornered = torch.tensor([corners(*box) for box in boxes])
    found = {
        "regions": REGIONS,
        "align": {
            name: [round(number, 6) for number in align(wave([2, 3, side, side], 0.0, 1.0), REGIONS, first).flatten().tolist()]
            for name, side, first in [("valid", 13, 8.0), ("same", 16, 2.0)]
        },
        "boxes": boxes,
        "scores": scores,
        "kept": {str(most): nms(cornered, torch.tensor(scores), most).tolist() for most in (0.3, 0.7)},
        "overlaps_of_0": [round(number, 6) for number in box_iou(cornered[:1], cornered)[0].tolist()],
        "drawn": DRAWN,
        "conv": head(0),
        "coordconv": head(2),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
