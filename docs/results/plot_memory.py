"""Draws the resident memory of one run over the time on the clock, and says how much it grew at the end.

    python3 docs/results/plot_memory.py docs/results/apex-soak     # reads metrics.jsonl there

Needs matplotlib. Writes memory.svg and memory.png into the folder.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

LAST_MINUTES = 10


def main() -> None:
    folder = Path(sys.argv[1])
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    minutes = [row["perf/wall_secs"] / 60 for row in rows]
    memory = [row["perf/memory_mib"] for row in rows]
    late = [mib for minute, mib in zip(minutes, memory) if minute >= minutes[-1] - LAST_MINUTES]
    # A straight line through the last minutes: single points jitter with what happens to be on its way.
    times = [minute for minute in minutes if minute >= minutes[-1] - LAST_MINUTES]
    mean_time, mean_memory = sum(times) / len(times), sum(late) / len(late)
    slope = sum((t - mean_time) * (m - mean_memory) for t, m in zip(times, late)) / sum((t - mean_time) ** 2 for t in times)
    growth = 100 * slope * LAST_MINUTES / mean_memory
    print(f"{minutes[-1]:.1f} minutes; last {LAST_MINUTES}: mean {mean_memory:.1f} MiB, growth by the line {growth:+.2f} %, "
          f"first to last {100 * (late[-1] / late[0] - 1):+.2f} %, greatest over least {100 * (max(late) / min(late) - 1):.2f} %")
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    axes.plot(minutes, memory, color="#1f5fa8", label="resident memory")
    inserted = [row["frames"] / 4 / 1000 for row in rows]
    axes.set(xlabel="minutes", ylabel="MiB", ylim=(0, None), xlim=(0, None))
    right = axes.twinx()
    right.plot(minutes, inserted, color="#c2571a", linestyle="--", label="transitions inserted (thousands, right)")
    right.set_ylim(0, None)
    axes.grid(alpha=0.3)
    lines = axes.get_lines() + right.get_lines()
    axes.legend(lines, [line.get_label() for line in lines], frameon=False, loc="lower right")
    for kind in ("svg", "png"):
        figure.savefig(folder / f"memory.{kind}", dpi=130)


if __name__ == "__main__":
    main()
