"""Compares `coordrl trace` live with ale-py 0.12.1 and OpenCV: `cargo xtask parity`.

For every one of the 104 games that ALE supports:

raw      2 000 emulator frames: RAM, grey screen, reward, lives and game over are equal
restore  the same after saving at a random point and going on in a fresh process
classic  500 agent steps (2 000 frames) under the classic wrappers: the same, and every stacked
         observation within 1 grey level of OpenCV's, 0.05 on average (rows that end a game aside)
machado  500 agent steps with all 18 actions and stickiness off, as classic

Each is done twice: beginning right after the ROM is loaded, as training does, and after one reset more,
as Gymnasium does (`trace --begin reset`). In some games the same actions lead elsewhere from there:
`reset` in the table says whether the raw screens differ.

Prints a table; the exit status is 1 if anything differs. Stickiness and no-ops are left out: they
are drawn by our own generators.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from reference import Classic, Frames, random_actions

UNSUPPORTED = {"combat", "joust", "maze_craze", "warlords"}
KEYS = ("reward", "lives", "terminated", "truncated", "ram_crc32", "screen_crc32")
CHECKS = ("raw", "restore", "classic", "machado")
BEGINS = ("loaded", "reset")
WORST_LEVEL, WORST_MEAN = 1, 0.05
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Verdict:
    """What was found for one game: a line of the table."""

    game: str
    faults: list = field(default_factory=list)
    lines: dict = field(default_factory=dict)
    worst: int = 0
    mean: float = 0.0
    begins: dict = field(default_factory=dict)

    def note_begin(self, begin: str, rows: list[dict]) -> None:
        self.begins[begin] = [(row["screen_crc32"], row["reward"]) for row in rows]

    def text(self) -> str:
        counts = " ".join(f"{self.lines.get(check, '-'):>7}" for check in CHECKS)
        differs = len({str(rows) for rows in self.begins.values()}) > 1
        verdict = "ok" if not self.faults else "; ".join(self.faults)
        return f"{self.game:<20} {counts}   {self.worst:>5} {self.mean:>6.3f}   {'other' if differs else 'same':>5}   {verdict}"


HEADER = f"{'game':<20} {' '.join(f'{check:>7}' for check in CHECKS)}   {'worst':>5} {'mean':>6}   reset   verdict"


def expected_rows(env, actions: list[int]) -> tuple[list[dict], np.ndarray, list[bool]]:
    """The reference's records, observations, and which rows end a game."""
    rows, observations, ends = [], [], []
    env.reset()
    for step, action in enumerate(actions):
        reward, terminated, over = env.step(action)
        rows.append({"step": step, "action": action, "reward": reward, "terminated": terminated, "truncated": False})
        rows[-1].update(env.record())
        # A game may also end in the reset after a lost life; the trace stops with the line before.
        game_ended = over or (terminated and env.reset())
        ends.append(game_ended)
        if hasattr(env, "obs"):  # as an agent sees it: after a lost life, the first of the next
            observations.append(env.obs.copy())
        if game_ended:
            break
    return rows, np.array(observations), ends


class Tracer:
    """Runs the program under test."""

    def __init__(self, program: Path, folder: Path, rom_dir: Path):
        self.program, self.folder, self.rom_dir = program, folder, rom_dir

    def trace(self, game: str, protocol: str, begin: str, actions: list[int], *more: str) -> list[dict]:
        file = self.folder / f"{game}.actions"
        file.write_text("".join(f"{action}\n" for action in actions))
        command = [self.program, "trace", game, "--protocol", protocol, "--seed", "1", "--steps", str(len(actions))]
        command += ["--begin", begin, "--actions", file, *more]
        # The program runs many at a time here: one thread each.
        env = {**os.environ, "COORDRL_ROM_DIR": str(self.rom_dir), "RAYON_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"exit code {done.returncode}: {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines()]


def compare(check: str, begin: str, found: list[dict], expected: list[dict], verdict: Verdict) -> None:
    verdict.lines[check] = verdict.lines.get(check, 0) + len(found)
    check = f"{check} from {begin}"
    if len(found) != len(expected):
        verdict.faults.append(f"{check}: {len(found)} lines, not {len(expected)}")
    for row, wanted in zip(found, expected):
        differ = [key for key in ("step", "action", *KEYS) if row[key] != wanted[key]]
        if differ:
            verdict.faults.append(f"{check}: step {wanted['step']} differs in {', '.join(differ)}")
            return


def compare_images(check: str, found: np.ndarray, expected: np.ndarray, ends: list[bool], verdict: Verdict) -> None:
    if found.shape != expected.shape or found.dtype != np.uint8:
        verdict.faults.append(f"{check}: observations {found.dtype} {found.shape}, not uint8 {expected.shape}")
        return
    off = np.abs(found.astype(np.int16) - expected)[~np.array(ends)]
    if off.size == 0:
        return
    verdict.worst, verdict.mean = max(verdict.worst, int(off.max())), max(verdict.mean, float(off.mean()))
    if off.max() > WORST_LEVEL or off.mean() > WORST_MEAN:
        verdict.faults.append(f"{check}: images differ by up to {off.max()} levels, {off.mean():.3f} on average")


def check_raw(tracer: Tracer, rom: Path, begin: str, frames: int, verdict: Verdict) -> None:
    game, env = rom.stem, Frames(rom, begin=begin)
    actions = random_actions(3, frames, len(env.actions))
    expected, _, _ = expected_rows(env, actions)
    verdict.note_begin(begin, expected)
    compare("raw", begin, tracer.trace(game, "raw", begin, actions), expected, verdict)
    cut = random.Random(game).randrange(1, max(2, len(expected) - 1))
    state = tracer.folder / f"{game}.state"
    first = tracer.trace(game, "raw", begin, actions[:cut], "--save-state", str(state))
    rest = tracer.trace(game, "raw", begin, actions[cut:], "--load-state", str(state))
    compare("restore", begin, first + rest, expected, verdict)


def check_wrapped(
    tracer: Tracer, rom: Path, begin: str, steps: int, check: str, env: Classic, verdict: Verdict
) -> None:
    game = rom.stem
    actions = random_actions(4, steps, len(env.actions))
    expected, images, ends = expected_rows(env, actions)
    npy = tracer.folder / f"{game}.npy"
    settings = ["--set", "env.noop_max=0"]
    if check == "machado":
        settings += ["--set", "env.sticky_action_prob=0"]
    found = tracer.trace(game, check, begin, actions, "--obs-out", str(npy), *settings)
    compare(check, begin, found, expected, verdict)
    compare_images(f"{check} from {begin}", np.load(npy), images, ends, verdict)


def check_game(program: Path, rom: Path, frames: int) -> Verdict:
    verdict = Verdict(rom.stem)
    with tempfile.TemporaryDirectory() as folder:
        tracer = Tracer(program, Path(folder), rom.parent)
        for begin in BEGINS:
            classic = Classic(rom, begin=begin)
            machado = Classic(rom, True, life_loss=False, fire=False, begin=begin)
            checks = [
                partial(check_raw, tracer, rom, begin, frames, verdict),
                partial(check_wrapped, tracer, rom, begin, frames // 4, "classic", classic, verdict),
                partial(check_wrapped, tracer, rom, begin, frames // 4, "machado", machado, verdict),
            ]
            for check in checks:
                try:
                    check()
                except (RuntimeError, OSError, KeyError, ValueError) as error:
                    verdict.faults.append(f"from {begin}: {error}")
    return verdict


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coordrl", type=Path, required=True, help="the program to compare")
    parser.add_argument("--rom-dir", type=Path, default=ROOT / ".deps/ale/src/ale/python/roms")
    parser.add_argument("--games", nargs="+", help="only these (default: all 104)")
    parser.add_argument("--frames", type=int, default=2_000, help="emulator frames a check")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()

    roms = sorted(path for path in arguments.rom_dir.glob("*.bin") if path.stem not in UNSUPPORTED)
    if arguments.games:
        roms = [rom for rom in roms if rom.stem in arguments.games]
    wanted = len(arguments.games) if arguments.games else 104
    if len(roms) != wanted:
        print(f"found {len(roms)} of {wanted} ROMs in {arguments.rom_dir}", file=sys.stderr)
        return 2

    print(HEADER)
    failed = 0
    # Threads are enough: the program under test and the emulator both work outside Python's lock.
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for verdict in pool.map(lambda rom: check_game(arguments.coordrl, rom, arguments.frames), roms):
            print(verdict.text(), flush=True)
            failed += bool(verdict.faults)
    print(f"{len(roms) - failed} of {len(roms)} games equal")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
