"""Makes the files that `tests/interop.rs` loads: weights written by Python, and what PyTorch computes from them.

    python3 tests/golden/python_weights.py            # writes beside this script

Made with Python 3.11, torch 2.13.0, safetensors 0.8.0. Observations are 36 x 36, the smallest size the torsos take, so that the
files stay small; weights are small multiples of 1/64, so that they pack well.

Three torsos have their weights in files. Those of the others follow from a formula that `tests/interop.rs` has too, so that
only names, shapes and outputs are kept; their observations are 44 x 52, of which 2 x 3 places are left to be pooled.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "examples"))
from load_in_pytorch import DuelingNetwork, Network  # noqa: E402

IN_FILES = ["conv", "coordconv", "coordconv-all-r"]
BY_FORMULA = {
    "coordconv-scaled": 6,
    "coordconv-tap": 6,
    "coordconv-zero": 6,
    "noiseconv": 6,
    "coordconv-shuffled": 6,
    "conv-gap": 1,
    "coordconv-gap": 1,
    "impala-gap": 1,
    "coordconv-impala-gap": 1,
}


def observations(height: int, width: int) -> torch.Tensor:
    return ((torch.arange(2 * 4 * height * width) * 7) % 251).to(torch.uint8).view(2, 4, height, width)


def formula(number: int, shape: torch.Size, steps: int, unit: int) -> torch.Tensor:
    """Multiples of 1 / unit from -steps to steps, of the tensor that is the `number`th by name."""
    index = torch.arange(shape.numel())
    bits = ((index + 1) * 2654435761 + number * 40503) >> 13
    return ((bits % (2 * steps + 1) - steps).float() / unit).view(shape)


def in_file(torso: str) -> dict:
    torch.manual_seed(1)
    network = Network(torso, actions=6, pixels=1)
    for parameter in network.parameters():
        parameter.data = torch.randint(-6, 7, parameter.shape).float() / 64
    with torch.no_grad():
        logits, value = network(observations(36, 36))
    save_file(network.state_dict(), HERE / f"python_{torso}.safetensors")
    return {"logits": logits.tolist(), "value": value.tolist()}


def by_formula(torso: str, pixels: int) -> dict:
    result = {}
    for head, network in [("a2c", Network), ("apex", DuelingNetwork)]:
        network = network(torso, actions=6, pixels=pixels, size=(44, 52))
        state = network.state_dict()
        for number, name in enumerate(sorted(state)):
            if not name.endswith("channels"):
                state[name] = formula(number, state[name].shape, 6, 64)
            elif torso != "coordconv-scaled":  # whose channels are computed on both sides
                state[name] = formula(number, state[name].shape, 8, 8)
        network.load_state_dict(state)
        with torch.no_grad():
            output = network(observations(44, 52))
        shapes = {name: list(state[name].shape) for name in sorted(state)}
        outputs = {"q": output.tolist()} if head == "apex" else {"logits": output[0].tolist(), "value": output[1].tolist()}
        result[head] = {"shapes": shapes, **outputs}
    return result


def main() -> None:
    expected = {torso: in_file(torso) for torso in IN_FILES}
    expected |= {torso: by_formula(torso, pixels) for torso, pixels in BY_FORMULA.items()}
    lines = [f"{json.dumps(torso)}: {json.dumps(outputs)}" for torso, outputs in expected.items()]
    (HERE / "python_outputs.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
