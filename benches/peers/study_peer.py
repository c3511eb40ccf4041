"""Updates per second of the CoordConv classifier in PyTorch: `study_peer.py THREADS SECONDS DEVICE`.

The listing of Liu et al. 2018, section 3: x and y tiled to two channels, coordinates concatenated, five 1 × 1
convolutions, cross-entropy over 64 × 64 places, batches of 16. Prints one JSON object.
"""

import json
import sys

import torch
from torch import nn
from torch_parts import calls_per_second
from vector_envs import version_of

SIDE, BATCH = 64, 16


def main() -> None:
    threads, seconds, device = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(threads)
    layers = []
    for channels_in, channels_out in [(4, 32), (32, 32), (32, 64), (64, 64), (64, 1)]:
        layers += [nn.Conv2d(channels_in, channels_out, 1), nn.ReLU()]
    network = nn.Sequential(*layers[:-1]).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    line = torch.linspace(-1, 1, SIDE, device=device)
    coordinates = torch.stack(torch.meshgrid(line, line, indexing="xy")).expand(BATCH, 2, SIDE, SIDE)
    numbers = torch.rand(BATCH, 2, device=device)
    places = torch.randint(SIDE * SIDE, (BATCH,), device=device)

    def update() -> None:
        tiled = numbers[:, :, None, None].expand(BATCH, 2, SIDE, SIDE)
        logits = network(torch.cat([tiled, coordinates], 1)).flatten(1)
        loss = nn.functional.cross_entropy(logits, places)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    speed = calls_per_second(update, seconds, device)
    print(json.dumps({"per_sec": speed, "versions": version_of("torch")}))


if __name__ == "__main__":
    main()
