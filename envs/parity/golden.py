"""Writes the golden files of the test suite: `python envs/parity/golden.py ROM_DIR`.

Made with ale-py 0.12.1 and opencv-python-headless 5.0.0.93. Only to be run again when the
reference itself changes.

- `raw.txt`: for every game, chained CRC-32 values of 2 000 emulator frames, one each 500: RAM, grey
  screen, reward, lives, game over. A game that ends is reset and goes on.
- `classic.txt`: the same of 500 agent steps under the classic wrappers, one each 125, with reset
  after each end of the agent's episode.
- `classic_frames.bin`: newest images of some games by OpenCV, with `classic_frames.txt` naming
  game and agent step of each.
"""

import struct
import sys
import zlib
from pathlib import Path

from reference import SIZE, Classic, Frames, random_actions

OUT = Path(__file__).parent.parent / "tests" / "golden"
FRAMES, FRAMES_EACH = 2_000, 500
STEPS, STEPS_EACH = 500, 125
UNSUPPORTED = {"combat", "joust", "maze_craze", "warlords"}
# Screens of 210 and of 250 rows, NTSC and PAL, and some that flicker.
PICTURED = ["air_raid", "breakout", "ms_pacman", "pong", "sir_lancelot", "asteroids"]
PICTURED_STEPS = [2, 60]


def chain(crc: int, env, reward: float, ended: bool) -> int:
    """Folds what a step showed into the checksum of all before it."""
    crc = zlib.crc32(env.ale.getRAM().tobytes(), crc)
    crc = zlib.crc32(env.ale.getScreenGrayscale().tobytes(), crc)
    return zlib.crc32(struct.pack("<iiB", int(reward), env.ale.lives(), ended), crc)


def play(env, steps: int, each: int, restart, seen=lambda step: None) -> list[int]:
    crc, marks = 0, []
    env.reset()
    for step, action in enumerate(random_actions(1, steps, len(env.actions))):
        reward, ended, _ = env.step(action)
        crc = chain(crc, env, reward, ended)
        seen(step)
        if ended:
            restart(env)
        if (step + 1) % each == 0:
            marks.append(crc)
    return marks


def line(game: str, marks: list[int]) -> str:
    return " ".join([game, *(f"{mark:08x}" for mark in marks)]) + "\n"


def main() -> None:
    rom_dir = Path(sys.argv[1])
    games = sorted(path.stem for path in rom_dir.glob("*.bin") if path.stem not in UNSUPPORTED)
    images, names = [], []
    with open(OUT / "raw.txt", "w") as raw, open(OUT / "classic.txt", "w") as classic:
        for game in games:
            rom = rom_dir / f"{game}.bin"
            raw.write(line(game, play(Frames(rom), FRAMES, FRAMES_EACH, lambda env: env.ale.reset_game())))
            env = Classic(rom)

            def keep(step):
                if game in PICTURED and step in PICTURED_STEPS:
                    images.append(env.obs[-1].tobytes())
                    names.append(f"{game} {step}\n")

            classic.write(line(game, play(env, STEPS, STEPS_EACH, lambda env: env.reset(), keep)))
            print(game, file=sys.stderr)
    assert all(len(image) == SIZE * SIZE for image in images)
    (OUT / "classic_frames.bin").write_bytes(b"".join(images))
    (OUT / "classic_frames.txt").write_text("".join(names))


if __name__ == "__main__":
    main()
