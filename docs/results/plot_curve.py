"""Draws the learning curve of one run, with a reference if there is one.

    python3 docs/results/plot_curve.py docs/results/breakout-a2c     # reads metrics.jsonl and reference.csv there

Needs matplotlib. Writes curve.svg and curve.png into the folder.
"""

import csv
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


def main() -> None:
    folder = Path(sys.argv[1])
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    points = [(row["frames"], row["train/episode_return"]) for row in rows if row.get("train/episode_return") is not None]
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    axes.plot(*zip(*[(frames / 1e6, value) for frames, value in points]), label="coordrl, seed 1", color="#1f5fa8")
    reference = folder / "reference.csv"
    if reference.exists():
        known = [(float(row["frames"]) / 1e6, float(row["mean_return"])) for row in csv.DictReader(reference.open())]
        axes.plot(*zip(*known), "o--", label="PyTorch and EnvPool, same recipe, one seed", color="#c2571a", markersize=5)
    lowest = min(value for _, value in points)
    axes.set(xlabel="frames (millions)", ylabel="mean raw return of the last 100 full games", xlim=(0, None))
    axes.set_ylim(0 if lowest >= 0 else None, None)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    for kind in ("svg", "png"):
        figure.savefig(folder / f"curve.{kind}", dpi=130)


if __name__ == "__main__":
    main()
