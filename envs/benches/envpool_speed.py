"""Emulator frames per second of EnvPool: `envpool_speed.py GAME ENVS THREADS SECONDS`.

The classic rules, as our own: four frames a step, lives end episodes, FIRE, clipped rewards,
84 × 84 area resize, four frames stacked. Random actions.
"""

import sys
import time

import envpool
import numpy as np

game, envs, threads, seconds = sys.argv[1], *map(int, sys.argv[2:5])
pool = envpool.make(
    game,
    env_type="gymnasium",
    num_envs=envs,
    batch_size=envs,
    num_threads=threads,
    seed=1,
    episodic_life=True,
    reward_clip=True,
    use_fire_reset=True,
    repeat_action_probability=0.0,
    noop_max=30,
    frame_skip=4,
    stack_num=4,
    img_height=84,
    img_width=84,
)
draw = np.random.default_rng(1)
actions = draw.integers(pool.action_space.n, size=(4096, envs))
pool.reset()
start, taken = time.perf_counter(), 0
while time.perf_counter() - start < seconds:
    pool.step(actions[taken % len(actions)])
    taken += 1
print(taken * envs * 4 / (time.perf_counter() - start))
