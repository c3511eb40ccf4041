"""Reads a safetensors file and computes the network in it with nothing but Python's own library.

    python3 plain_python.py weights.safetensors conv|coordconv|noiseconv|…

Prints {"logits": [...], "value": x}, or of a network with action values {"q": [...]}, for one fixed observation, 4 x 36 x 36. Slow and obvious on purpose: `tests/interop.rs`
compares what libtorch computes from the same file.
"""

import array
import json
import struct
import sys


def read(path: str) -> dict:
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            assert entry["dtype"] == "F32", entry
            start, end = entry["data_offsets"]
            tensors[name] = (entry["shape"], array.array("f", data[start:end]))
    return tensors


def conv(channels: list, weights: tuple, bias: tuple, stride: int) -> list:
    (out, into, size, _), kernel = weights
    assert into == len(channels), (into, len(channels))
    rows = (len(channels[0]) - size) // stride + 1
    columns = (len(channels[0][0]) - size) // stride + 1
    result = []
    for o in range(out):
        plane = []
        for i in range(rows):
            line = []
            for j in range(columns):
                total = bias[1][o]
                at = o * into * size * size
                for channel in channels:
                    for y in range(size):
                        row = channel[i * stride + y][j * stride : j * stride + size]
                        total += sum(a * b for a, b in zip(row, kernel[at : at + size]))
                        at += size
                line.append(max(total, 0.0))
            plane.append(line)
        result.append(plane)
    return result


def dense(x: list, weights: tuple, bias: tuple) -> list:
    (out, into), matrix = weights
    assert into == len(x)
    return [bias[1][o] + sum(a * b for a, b in zip(x, matrix[o * into : (o + 1) * into])) for o in range(out)]


def main() -> None:
    w = read(sys.argv[1])
    side = 36
    x = [[[((c * side + i) * side + j) * 7 % 251 / 255 for j in range(side)] for i in range(side)] for c in range(4)]
    if "torso.conv1.channels" in w:
        (channels, _, _), numbers = w["torso.conv1.channels"]
        rows = [list(numbers[at : at + side]) for at in range(0, len(numbers), side)]
        x.extend(rows[k * side : (k + 1) * side] for k in range(channels))
    elif sys.argv[2] == "coordconv":
        line = [2 * j / (side - 1) - 1 for j in range(side)]
        x.append([line] * side)
        x.append([[y] * side for y in line])
    for layer, stride in ((1, 4), (2, 2), (3, 1)):
        x = conv(x, w[f"torso.conv{layer}.weight"], w[f"torso.conv{layer}.bias"], stride)
    flat = [number for plane in x for row in plane for number in row]
    features = [max(number, 0.0) for number in dense(flat, w["torso.fc.weight"], w["torso.fc.bias"])]
    print(json.dumps(action_values(features, w) if "policy.weight" not in w else policy_and_value(features, w)))


def policy_and_value(features: list, w: dict) -> dict:
    logits = dense(features, w["policy.weight"], w["policy.bias"])
    return {"logits": logits, "value": dense(features, w["value.weight"], w["value.bias"])[0]}


def action_values(features: list, w: dict) -> dict:
    if "q.weight" in w:
        return {"q": dense(features, w["q.weight"], w["q.bias"])}
    streams = {}
    for name in ("value", "advantage"):
        hidden = [max(number, 0.0) for number in dense(features, w[f"{name}_hidden.weight"], w[f"{name}_hidden.bias"])]
        streams[name] = dense(hidden, w[f"{name}.weight"], w[f"{name}.bias"])
    mean = sum(streams["advantage"]) / len(streams["advantage"])
    return {"q": [streams["value"][0] + advantage - mean for advantage in streams["advantage"]]}


if __name__ == "__main__":
    main()
