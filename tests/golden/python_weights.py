"""Makes the files that `tests/interop.rs` loads: weights written by Python, and what PyTorch computes from them.

    python3 tests/golden/python_weights.py            # writes beside this script

Made with Python 3.11, torch 2.13.0, safetensors 0.8.0. Observations are 36 x 36, the smallest size the torsos take, so that the
files stay small; weights are small multiples of 1/64, so that they pack well.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "examples"))
from load_in_pytorch import Network  # noqa: E402


def main() -> None:
    expected = {}
    for torso in ["conv", "coordconv", "coordconv-all-r"]:
        torch.manual_seed(1)
        network = Network(torso, actions=6, pixels=1)
        for parameter in network.parameters():
            parameter.data = torch.randint(-6, 7, parameter.shape).float() / 64
        obs = ((torch.arange(2 * 4 * 36 * 36) * 7) % 251).to(torch.uint8).view(2, 4, 36, 36)
        with torch.no_grad():
            logits, value = network(obs)
        save_file(network.state_dict(), HERE / f"python_{torso}.safetensors")
        expected[torso] = {"logits": logits.tolist(), "value": value.tolist()}
    (HERE / "python_outputs.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
