"""Draws evaluation curves of kept runs by optimiser, and prints a table of their final evaluations.

    python3 docs/results/plot_optimisers.py docs/results/optimiser     # reads runs/ there

Needs matplotlib. Writes curves.svg and curves.png into the folder.
"""

import gzip
import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

COLOURS = {"rmsprop_corrected": "#1f5fa8", "rmsprop": "#c2571a", "rmsprop_tf": "#5b8c3a"}


def read(run: Path) -> dict:
    config = json.loads((run / "config.json").read_text())
    lines = gzip.decompress((run / "metrics.jsonl.gz").read_bytes()).decode().splitlines()
    points = [json.loads(line) for line in lines]
    curve = [(point["frames"], point["eval/episode_return"]) for point in points if "eval/episode_return" in point]
    dead = [(point["frames"], point["network/dead_share"]) for point in points if point.get("network/dead_share") is not None]
    return {
        "game": config["game"],
        "kind": config["a2c"]["optimizer"]["kind"],
        "seed": config["seed"],
        "curve": curve,
        "dead": dead,
        "final": json.loads((run / "evaluation.json").read_text()),
    }


def table(cells: dict) -> None:
    print("| game | optimiser | seeds | final evaluation, by seed | mean | sd over seeds | dead features at the end |")
    print("|---|---|---|---|---|---|---|")
    for (game, kind), runs in sorted(cells.items()):
        finals = [run["final"]["mean_return"] for run in runs]
        dead = statistics.mean(run["dead"][-1][1] for run in runs)
        spread = f"{statistics.stdev(finals):.1f}" if len(finals) > 1 else "–"
        by_seed = ", ".join(f"{final:.1f}" for final in finals)
        print(f"| {game} | `{kind}` | {len(runs)} | {by_seed} | {statistics.mean(finals):.1f} | {spread} | {dead:.2f} |")


def draw(cells: dict, folder: Path) -> None:
    games = sorted({game for game, _ in cells})
    figure, axes = plt.subplots(2, len(games), figsize=(5 * len(games), 7), layout="constrained", squeeze=False)
    for column, game in enumerate(games):
        for kind, colour in COLOURS.items():
            for index, run in enumerate(cells.get((game, kind), [])):
                label = kind if index == 0 else None
                for row, values in enumerate((run["curve"], run["dead"])):
                    places = [(frames / 1e6, value) for frames, value in values]
                    axes[row][column].plot(*zip(*places), color=colour, label=label, alpha=0.8)
        axes[0][column].set(title=game, ylabel="mean return of 10 evaluation games")
        axes[1][column].set(xlabel="frames (millions)", ylabel="share of features that are dead", ylim=(0, 1))
    axes[0][0].legend(frameon=False)
    for axis in axes.flat:
        axis.grid(alpha=0.3)
        axis.set_xlim(0, None)
    for kind in ("svg", "png"):
        figure.savefig(folder / f"curves.{kind}", dpi=130, metadata={"Date": None} if kind == "svg" else None)


def main() -> None:
    folder = Path(sys.argv[1])
    cells = defaultdict(list)
    runs = (read(path.parent) for path in sorted((folder / "runs").rglob("config.json")))
    for run in sorted(runs, key=lambda run: run["seed"]):
        cells[run["game"], run["kind"]].append(run)
    table(cells)
    draw(cells, folder)


if __name__ == "__main__":
    main()
