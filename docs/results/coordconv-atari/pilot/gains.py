"""Prints the pilot's gains by the protocol's rule, as a table.

    python3 docs/results/coordconv-atari/pilot/gains.py

Reads the last evaluation of every run in runs/ and the games of its first weights in random/.
"""

import json
from pathlib import Path

HERE = Path(__file__).parent
LEAST_GAIN = 2


def main() -> None:
    rows = []
    for path in sorted(HERE.glob("runs/*/a2c-conv/*/evaluation.json")):
        final = json.loads(path.read_text())
        random = json.loads((HERE / "random" / f"{final['game']}.json").read_text())
        gain = (final["mean_return"] - random["mean_return"]) / random["sd_return"]
        rows.append((gain, final["game"], random, final))
    print("| game | random: mean, deviation | final | gain | eligible |")
    print("|---|---|---|---|---|")
    for gain, game, random, final in sorted(rows, key=lambda row: (-row[0], row[1])):
        start = f"{random['mean_return']:.1f}, {random['sd_return']:.1f}"
        eligible = "yes" if gain >= LEAST_GAIN else "no"
        print(f"| {game} | {start} | {final['mean_return']:.1f} | {gain:.1f} | {eligible} |")


if __name__ == "__main__":
    main()
