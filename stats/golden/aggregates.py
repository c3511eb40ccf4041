"""What rliable makes of scores that both sides compute: point estimates, intervals, profiles.

Writes aggregates.json beside this file. Scores come from a formula, so the file holds results only.

Made with Python 3.11, rliable 1.2.0, arch 7.2.0, scipy 1.17.1, pandas 2.3.3, numpy 2.4.6:  python stats/golden/aggregates.py
"""
import json
import pathlib

import numpy as np
from rliable import library, metrics

RUNS, GAMES = 10, 9
REPETITIONS = 50_000
THRESHOLDS = np.linspace(0.0, 3.0, 31)


def scores(variant):
    """Normalised scores [RUNS, GAMES]: games of different difficulty, some above a human's."""
    run, game = np.meshgrid(np.arange(RUNS), np.arange(GAMES), indexing="ij")
    noise = (run * 7919 + game * 104_729 + variant * 1_299_709) % 1009 / 1009
    return 0.1 * game**1.3 + 0.15 * variant + (noise - 0.4) * (0.5 + 0.1 * game)


def aggregates(x):
    return np.array([
        metrics.aggregate_iqm(x), metrics.aggregate_median(x),
        metrics.aggregate_mean(x), metrics.aggregate_optimality_gap(x),
    ])


def intervals(data, function):
    random_state = np.random.RandomState(1)
    points, ends = library.get_interval_estimates(data, function, reps=REPETITIONS, random_state=random_state)
    return {key: {"points": points[key].tolist(), "low": ends[key][0].tolist(), "high": ends[key][1].tolist()} for key in data}


def main():
    data = {f"variant {variant}": scores(variant) for variant in range(2)}
    result = {"aggregates": intervals(data, aggregates)}
    pairs = {"1 over 0": (scores(1), scores(0))}
    better = lambda x, y: np.array([metrics.probability_of_improvement(x, y)])  # noqa: E731
    result["improvement"] = intervals(pairs, better)
    profiles, ends = library.create_performance_profile(data, THRESHOLDS, reps=2000)
    result["profiles"] = {key: profiles[key].tolist() for key in data}
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(result) + "\n")
    print(json.dumps(result["aggregates"], indent=1))


if __name__ == "__main__":
    main()
