"""Prints areas, final scores and dead features of every rate, and chooses one by the protocol's rule.

    python3 docs/results/coordconv-atari/rates/areas.py

Reads the runs in runs/ and the random scores of the pilot.
"""

import gzip
import json
from pathlib import Path
from statistics import mean

HERE = Path(__file__).parent
GAMES = ["breakout", "qbert"]
ARMS = ["conv", "coordconv"]
RATES = ["3.5e-4", "7e-4", "1.4e-3"]
SEEDS = [201, 202]


def measures(run: Path) -> tuple[float, float, float]:
    """Area under the evaluation curve over its length, last evaluation, last share of dead features."""
    curve, final, dead = {}, None, None
    with gzip.open(run / "metrics.jsonl.gz", "rt") as lines:
        for point in map(json.loads, lines):
            final = point.get("eval/final_return", final)
            dead = point.get("network/dead_share", dead)
            score = point.get("eval/final_return", point.get("eval/episode_return"))
            if score is not None:
                curve[point["frames"]] = score
    frames = sorted(curve)
    steps = zip(frames, frames[1:])
    area = sum((curve[a] + curve[b]) / 2 * (b - a) for a, b in steps) / (frames[-1] - frames[0])
    return area, final, dead


def main() -> None:
    runs = {
        (game, arm, rate): [measures(HERE / f"runs/{game}/a2c-{arm}/rate-{rate}-seed{seed}") for seed in SEEDS]
        for game in GAMES
        for arm in ARMS
        for rate in RATES
    }
    areas = {key: mean(area for area, _, _ in found) for key, found in runs.items()}
    scaled = {}
    for game in GAMES:
        random = json.loads((HERE.parent / f"pilot/random/{game}.json").read_text())["mean_return"]
        best = max(area for key, area in areas.items() if key[0] == game)
        print(f"{game}: 0 is {random:.2f}, 1 is {best:.2f}")
        for rate in RATES:
            cells = [f"{number:.2f}" for arm in ARMS for index in range(3) for number in
                     [found[index] for found in runs[game, arm, rate]]]  # fmt: skip
            print(f"| {rate} | {' | '.join(cells)} |")
            for arm in ARMS:
                scaled[game, arm, rate] = (areas[game, arm, rate] - random) / (best - random)
    for rate in RATES:
        of_arms = [mean(scaled[game, arm, rate] for game in GAMES) for arm in ARMS]
        print(f"{rate}: {', '.join(f'{arm} {value:.3f}' for arm, value in zip(ARMS, of_arms))}, both {mean(of_arms):.3f}")


if __name__ == "__main__":
    main()
