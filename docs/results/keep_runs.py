"""Keeps the small files of finished runs for the record: settings, who made them, numbers, last evaluation.

    python3 docs/results/keep_runs.py runs/breakout/a2c-conv/seed1-… … --to docs/results/some-result/runs

Each run goes to <folder>/<game>/<algo>-<torso>/<name>. `coordrl report <folder>` reads what lies there. Numbers are
compressed; of command lines only the program's name is kept, not where it lay. Runs that are not finished are refused.
"""

import argparse
import gzip
import json
import shutil
from pathlib import Path


def keep(run: Path, to: Path) -> Path:
    config = json.loads((run / "config.json").read_text())
    evaluation = run / "evaluation.json"
    if not evaluation.exists():
        raise SystemExit(f"{run} has no evaluation.json: it is not finished, or was not evaluated")
    folder = to / config["game"] / f"{config['algo']}-{config['torso']}" / run.name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run / "config.json", folder / "config.json")

    meta = json.loads((run / "meta.json").read_text())
    for session in meta["sessions"]:
        session["command"] = as_typed(session["command"])
    write_json(folder / "meta.json", meta)

    evaluated = json.loads(evaluation.read_text())
    evaluated["run"] = run.name
    evaluated["checkpoint"] = Path(evaluated["checkpoint"]).name
    write_json(folder / "evaluation.json", evaluated)

    # No time and no name in the archive: the same numbers give the same bytes.
    packed = gzip.compress((run / "metrics.jsonl").read_bytes(), mtime=0)
    (folder / "metrics.jsonl.gz").write_bytes(packed)
    return folder


def as_typed(words: list[str]) -> list[str]:
    """The command without the folders of this machine."""
    kept = [Path(words[0]).name]
    skip = False
    for word in words[1:]:
        if skip:
            skip = False
        elif word == "--runs-dir":
            skip = True
        elif not word.startswith("--runs-dir="):
            kept.append(word)
    return kept


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--to", required=True, type=Path)
    arguments = parser.parse_args()
    for run in arguments.runs:
        print(keep(run, arguments.to))


if __name__ == "__main__":
    main()
