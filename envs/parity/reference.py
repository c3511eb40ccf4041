"""What the environments are compared with: ale-py 0.12.1 under wrappers written from their papers.

Nothing here is shared with the Rust code. The wrappers follow Stable-Baselines3's AtariWrapper
(no-op reset left out: its draws are our own), the image is ALE's own grey, the maximum of the last
two frames, and OpenCV's area resize.
"""

import zlib
from pathlib import Path

import ale_py
import cv2
import numpy as np

ALE_VERSION = "0.12.1"
SKIP, STACK, SIZE, LIMIT = 4, 4, 84, 108_000
NOOP = ale_py.Action.NOOP
FIRE = ale_py.Action.FIRE

if ale_py.__version__ != ALE_VERSION:
    raise SystemExit(f"ale-py {ALE_VERSION} is needed, this is {ale_py.__version__}")
ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)


def open_ale(rom: Path, begin: str = "loaded") -> ale_py.ALEInterface:
    """An emulator right after loading the ROM, or after a reset more (as Gymnasium); nothing in it is random."""
    ale = ale_py.ALEInterface()
    ale.setInt("random_seed", 0)
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(rom)
    if begin == "reset":
        ale.reset_game()
    return ale


def numbers(seed: int):
    """A drawn-out congruential generator that is easily written in any language."""
    state = seed
    while True:
        state = (state * 1_103_515_245 + 12_345) % 2**31
        yield state >> 16


def random_actions(seed: int, count: int, num_actions: int) -> list[int]:
    """`count` action indices; each is held for some steps, so that games get somewhere."""
    draw, actions = numbers(seed), []
    while len(actions) < count:
        action = next(draw) % num_actions
        actions += [action] * (1 + next(draw) % 8)
    return actions[:count]


class Frames:
    """Protocol `raw`: one emulator frame a step, no wrapper."""

    def __init__(self, rom: Path, full_action_set: bool = False, begin: str = "loaded"):
        self.ale = open_ale(rom, begin)
        everything = [ale_py.Action(i) for i in range(18)]
        self.actions = everything if full_action_set else self.ale.getMinimalActionSet()

    def reset(self) -> bool:
        """The first game has begun: which one, `open_ale` decides."""
        return False

    def step(self, action: int):
        """Reward, terminated, whole game over."""
        reward = self.ale.act(self.actions[action])
        over = self.ale.game_over(with_truncation=False)
        return reward, over, over

    def record(self) -> dict:
        """What a trace says of the emulator."""
        return {
            "lives": self.ale.lives(),
            "ram_crc32": zlib.crc32(self.ale.getRAM().tobytes()),
            "screen_crc32": zlib.crc32(self.ale.getScreenGrayscale().tobytes()),
        }


class Classic(Frames):
    """Protocol `classic` with `noop_max` 0: skip, lives, FIRE, stacked 84 × 84 images.

    `life_loss` and `fire` switched off and all 18 actions make it `machado` without stickiness.
    """

    def __init__(
        self,
        rom: Path,
        full_action_set: bool = False,
        life_loss: bool = True,
        fire: bool = True,
        begin: str = "loaded",
    ):
        super().__init__(rom, full_action_set, begin)
        self.life_loss = life_loss
        self.fire = fire and FIRE in self.ale.getMinimalActionSet()
        self.real_end = True
        self.used = False
        self.lives = 0
        self.obs = np.zeros((STACK, SIZE, SIZE), np.uint8)

    def hold(self, action) -> tuple[float, bool]:
        """MaxAndSkipEnv: reward sum, and whether the game ended."""
        reward, screens = 0, []
        for _ in range(SKIP):
            reward += self.ale.act(action)
            screens.append(self.ale.getScreenGrayscale())
            if self.game_ended():
                break
        self.used = True
        self.image = np.max(screens[-2:], axis=0)
        return reward, self.game_ended()

    def game_ended(self) -> bool:
        return self.ale.game_over(with_truncation=False) or self.ale.getEpisodeFrameNumber() >= LIMIT

    def episodic_step(self, action):
        """EpisodicLifeEnv.step."""
        reward, self.real_end = self.hold(action)
        lives = self.ale.lives()
        lost = self.life_loss and 0 < lives < self.lives
        self.lives = lives
        return reward, lost or self.real_end

    def episodic_reset(self) -> bool:
        """EpisodicLifeEnv.reset; says whether a game ended in it."""
        ended_here = False
        if not self.real_end:
            _, self.real_end = self.hold(NOOP)
            ended_here = self.real_end
        if self.real_end:
            if self.used:
                self.ale.reset_game()
            self.real_end = False
            self.image = self.ale.getScreenGrayscale()
        self.lives = self.ale.lives()
        return ended_here

    def reset(self) -> bool:
        """FireResetEnv.reset, then the first frame over three zero frames.

        Says whether a game ended in it.
        """
        game_ended = self.episodic_reset()
        for action in self.actions[1:3] if self.fire else []:
            _, ended = self.episodic_step(action)
            if ended:
                game_ended |= self.real_end
                game_ended |= self.episodic_reset()
        self.obs[:] = 0
        self.push()
        return game_ended

    def push(self) -> None:
        self.obs[:-1] = self.obs[1:]
        self.obs[-1] = cv2.resize(self.image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)

    def step(self, action: int):
        reward, ended = self.episodic_step(self.actions[action])
        self.push()
        return reward, ended, self.real_end
