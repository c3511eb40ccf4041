"""Runs coordrl and other programs in turn, on the same games with the same settings, and prints the ratio of each pair.

    python benches/peers/compare.py env --games pong,breakout,ms_pacman --threads 1
    python benches/peers/compare.py a2c --games breakout --envs 64 --peers envpool,ale,sb3
    python benches/peers/compare.py a2c --device cuda:0 --pairs 3 --json

Needs `cargo build --release --locked` and a Python with the peers: envpool; ale-py and gymnasium (`ale`); torch for
`a2c`; stable-baselines3 and opencv-python-headless (`sb3`). Close other programs. A pair is one turn of coordrl and
one of the peer, one right after the other, so that a slow moment of the machine tends to slow both.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = {"env": ["envpool", "ale"], "a2c": ["envpool", "ale", "sb3"]}
UNITS = {"env": "frames/s", "a2c": "agent steps/s"}


def main() -> None:
    args = arguments()
    pairs = []
    for game in args.games:
        for peer in args.peers:
            for turn in range(args.pairs):
                pair = measure(args, game, peer, ours_first=turn % 2 == 0)
                pairs.append(pair)
                if not args.json:
                    print(f"{game}, {peer}: {pair['ours']:.0f} and {pair['theirs']:.0f} {UNITS[args.what]}", file=sys.stderr)
    print(as_json(args, pairs) if args.json else as_text(args, pairs))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = lambda text: text.split(",")  # noqa: E731
    parser.add_argument("what", choices=PEERS, help="environments under random actions, or training")
    parser.add_argument("--games", type=names, default=["breakout"], help="names as in `coordrl games`, comma-separated")
    parser.add_argument("--peers", type=names, help="default: all")
    parser.add_argument("--envs", type=int, default=16, help="environments (%(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of either program (one per core)")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of turns (%(default)s)")
    parser.add_argument("--secs", type=float, default=8.0, help="length of a turn (%(default)s)")
    parser.add_argument("--device", default="cpu", help="device of networks: cpu or cuda:N (%(default)s)")
    parser.add_argument("--torso", default="conv", help="torso of coordrl; peers have conv (%(default)s)")
    parser.add_argument("--coordrl", default=str(HERE / "../../target/release/coordrl"), help="program to measure")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    args.peers = args.peers or PEERS[args.what]
    if unknown := set(args.peers) - set(PEERS[args.what]):
        parser.error(f"no peer {', '.join(sorted(unknown))} for `{args.what}`; there are {', '.join(PEERS[args.what])}")
    return args


def measure(args: argparse.Namespace, game: str, peer: str, *, ours_first: bool) -> dict:
    """One turn of either program: speeds, peak memory in MiB, and coordrl's own record."""
    turns = [lambda: run_ours(args, game), lambda: run_peer(args, game, peer)]
    results = [turn() for turn in (turns if ours_first else reversed(turns))]
    (ours, our_memory), (theirs, their_memory) = results if ours_first else reversed(results)
    speed = ours["frames_per_sec" if args.what == "env" else "agent_steps_per_sec"]["median"]
    return {
        "game": game, "peer": peer, "ours": speed, "theirs": theirs["per_sec"], "ratio": speed / theirs["per_sec"],
        "our_mib": our_memory, "their_mib": their_memory, "versions": theirs["versions"], "session": ours["session"],
    }  # fmt: skip


def run_ours(args: argparse.Namespace, game: str) -> tuple[dict, float]:
    command = [args.coordrl, "bench", args.what, game, "--turns", "1", "--json"]
    command += ["--envs", args.envs, "--threads", args.threads, "--secs", args.secs, "--device", args.device]
    if args.what == "a2c":
        command += ["--torso", args.torso]
    return run(command)


def run_peer(args: argparse.Namespace, game: str, peer: str) -> tuple[dict, float]:
    command = [sys.executable, HERE / f"{args.what}_peer.py", peer, game, args.envs, args.threads, args.secs]
    return run(command + ([args.device] if args.what == "a2c" else []))


def run(command: list) -> tuple[dict, float]:
    """Runs a program that ends with one JSON object; returns it and the peak memory in MiB, that of children included."""
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
    lines = [
        f"{args.envs} environments, {threads}, {UNITS[args.what]}, medians of {args.pairs} pairs",
        f"{'game':<16}{'peer':<10}{'coordrl':>9}{'peer':>9}{'ratio':>8}  {'of pairs':<14}{'MiB':>6}{'peer':>6}",
    ]
    for game in args.games:
        for peer in args.peers:
            chosen = [pair for pair in pairs if (pair["game"], pair["peer"]) == (game, peer)]
            median = lambda key: statistics.median(pair[key] for pair in chosen)  # noqa: B023, E731
            ratios = [pair["ratio"] for pair in chosen]
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            lines.append(
                f"{game:<16}{peer:<10}{median('ours'):>9.0f}{median('theirs'):>9.0f}{median('ratio'):>8.2f}  "
                f"{spread:<14}{median('our_mib'):>6.0f}{median('their_mib'):>6.0f}"
            )
    session = pairs[0]["session"]
    lines.append(f"commit {session['commit']}, {session['cpu']}, {session['cores']} cores, {session['device']}")
    return "\n".join(lines)


def as_json(args: argparse.Namespace, pairs: list[dict]) -> str:
    settings = {key: value for key, value in vars(args).items() if key not in ("json", "coordrl")}
    return json.dumps({"settings": settings, "unit": UNITS[args.what], "pairs": pairs})


if __name__ == "__main__":
    main()
