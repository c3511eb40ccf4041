"""Runs coordrl and other programs in turn, on the same tasks with the same settings, and prints the ratio of each pair.

    python benches/peers/compare.py env --games pong,breakout,ms_pacman --threads 1
    python benches/peers/compare.py a2c --games breakout --envs 64 --peers envpool,ale,sb3
    python benches/peers/compare.py a2c --device cuda:0 --pairs 3 --json
    python benches/peers/compare.py learner --games pong --batch 512
    python benches/peers/compare.py study

Needs `cargo build --release --locked` and a Python with the peers: envpool; ale-py and gymnasium (`ale`); torch for
all but `env`; stable-baselines3 and opencv-python-headless (`sb3`). Close other programs. A pair is one turn of
coordrl and one of the peer, one right after the other, so that a slow moment of the machine tends to slow both.
MiB is the peak of the largest process: `sb3` has one more for each environment.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent


class Measured(NamedTuple):
    """What is compared: the subcommand of `coordrl bench`, the key of its speed, the unit, and the peers."""

    bench: str
    key: str
    unit: str
    peers: list[str]


MEASURED = {
    "env": Measured("env", "frames_per_sec", "frames/s", ["envpool", "ale"]),
    "a2c": Measured("a2c", "agent_steps_per_sec", "agent steps/s", ["envpool", "ale", "sb3"]),
    "learner": Measured("replay", "learner_updates_per_sec", "updates/s of Ape-X's learner", ["torch"]),
    "study": Measured("study", "updates_per_sec", "updates/s of the CoordConv classifier", ["torch"]),
}


def main() -> None:
    args = arguments()
    pairs = []
    for game in args.games:
        for peer in args.peers:
            for turn in range(args.pairs):
                pair = measure(args, game, peer, ours_first=turn % 2 == 0)
                pairs.append(pair)
                if not args.json:
                    speeds = f"{pair['ours']:.1f} and {pair['theirs']:.1f} {MEASURED[args.what].unit}"
                    print(f"{game}, {peer}: {speeds}", file=sys.stderr)
    print(as_json(args, pairs) if args.json else as_text(args, pairs))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = lambda text: text.split(",")  # noqa: E731
    parser.add_argument("what", choices=MEASURED, help="environments under random actions, training, or a part of it")
    parser.add_argument("--games", type=names, default=["breakout"], help="names as in `coordrl games`, comma-separated")
    parser.add_argument("--peers", type=names, help="default: all")
    parser.add_argument("--envs", type=int, default=16, help="environments (%(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of either program (one per core)")
    parser.add_argument("--batch", type=int, default=512, help="batch of the learner (%(default)s)")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of turns (%(default)s)")
    parser.add_argument("--secs", type=float, default=8.0, help="length of a turn (%(default)s)")
    parser.add_argument("--device", default="cpu", help="device of networks: cpu or cuda:N (%(default)s)")
    parser.add_argument("--torso", default="conv", help="torso of coordrl; peers have conv (%(default)s)")
    parser.add_argument("--coordrl", default=str(HERE / "../../target/release/coordrl"), help="program to measure")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    known = MEASURED[args.what].peers
    args.peers = args.peers or known
    if unknown := set(args.peers) - set(known):
        parser.error(f"no peer {', '.join(sorted(unknown))} for `{args.what}`; there are {', '.join(known)}")
    if args.what == "study":
        args.games = ["classify"]
    return args


def measure(args: argparse.Namespace, game: str, peer: str, *, ours_first: bool) -> dict:
    """One turn of either program: speeds, peak memory in MiB, and coordrl's own record."""
    turns = [lambda: run_ours(args, game), lambda: run_peer(args, game, peer)]
    results = [turn() for turn in (turns if ours_first else reversed(turns))]
    (ours, our_memory), (theirs, their_memory) = results if ours_first else reversed(results)
    speed = ours[MEASURED[args.what].key]["median"]
    return {
        "game": game, "peer": peer, "ours": speed, "theirs": theirs["per_sec"], "ratio": speed / theirs["per_sec"],
        "our_mib": our_memory, "their_mib": their_memory, "versions": theirs["versions"], "session": ours["session"],
    }  # fmt: skip


def run_ours(args: argparse.Namespace, game: str) -> tuple[dict, float]:
    command = [args.coordrl, "bench", MEASURED[args.what].bench, game, "--turns", 1, "--json", "--secs", args.secs]
    command += ["--threads", args.threads, "--device", args.device]
    match args.what:
        case "env":
            command += ["--envs", args.envs]
        case "a2c":
            command += ["--preset", "atari", "--envs", args.envs, "--torso", args.torso]
        case "learner":
            command += ["--preset", "small", "--torso", args.torso, "--set", f"apex.learner.batch_size={args.batch}"]
            command += ["--set", f"apex.learner.shards={args.threads}"]
        case "study":
            command += ["--set", f"study.shards={args.threads}"]
    return run(command)


def run_peer(args: argparse.Namespace, game: str, peer: str) -> tuple[dict, float]:
    script = [sys.executable, HERE / f"{args.what}_peer.py"]
    end = [args.threads, args.secs]
    match args.what:
        case "env":
            return run([*script, peer, game, args.envs, *end])
        case "a2c":
            return run([*script, peer, game, args.envs, *end, args.device])
        case "learner":
            return run([*script, args.batch, *end, args.device])
        case "study":
            return run([*script, *end, args.device])


def run(command: list) -> tuple[dict, float]:
    """Runs a program that ends with one JSON object; returns it and the peak memory of its largest process in MiB."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=errors)
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            errors.seek(0)
            sys.exit(f"{' '.join(map(str, command))} failed:\n{errors.read().decode()}")
    return json.loads(said.splitlines()[-1]), usage.ru_maxrss / 1024


def as_text(args: argparse.Namespace, pairs: list[dict]) -> str:
    threads = f"{args.threads} thread{'' if args.threads == 1 else 's'}"
    size = {"learner": f"batches of {args.batch}, ", "study": ""}.get(args.what, f"{args.envs} environments, ")
    lines = [
        f"{size}{threads}, {MEASURED[args.what].unit}, medians of {args.pairs} pairs",
        f"{'game':<16}{'peer':<10}{'coordrl':>9}{'peer':>9}{'ratio':>8}  {'of pairs':<14}{'MiB':>6}{'peer':>6}",
    ]
    for game in args.games:
        for peer in args.peers:
            chosen = [pair for pair in pairs if (pair["game"], pair["peer"]) == (game, peer)]
            median = lambda key: statistics.median(pair[key] for pair in chosen)  # noqa: B023, E731
            ratios = [pair["ratio"] for pair in chosen]
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            lines.append(
                f"{game:<16}{peer:<10}{number(median('ours')):>9}{number(median('theirs')):>9}{median('ratio'):>8.2f}  "
                f"{spread:<14}{median('our_mib'):>6.0f}{median('their_mib'):>6.0f}"
            )
    versions = sorted({f"{name} {version}" for pair in pairs for name, version in pair["versions"].items()})
    lines.append(", ".join(versions))
    session = pairs[0]["session"]
    lines.append(f"commit {session['commit']}, {session['cpu']}, {session['cores']} cores, {session['device']}")
    return "\n".join(lines)


def number(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def as_json(args: argparse.Namespace, pairs: list[dict]) -> str:
    settings = {key: value for key, value in vars(args).items() if key not in ("json", "coordrl")}
    return json.dumps({"settings": settings, "unit": MEASURED[args.what].unit, "pairs": pairs})


if __name__ == "__main__":
    main()
