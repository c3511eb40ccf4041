"""Emulator frames per second under random actions: `env_peer.py envpool|ale GAME ENVS THREADS SECONDS`.

The classic rules as coordrl has them: four frames a step, lives end episodes, FIRE, clipped rewards, 84 × 84, four
frames stacked. Prints one JSON object.
"""

import json
import sys
import time

import numpy as np
from vector_envs import make, version_of

peer, game, envs, threads, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
env, actions = make(peer, game, envs, threads)
drawn = np.random.default_rng(1).integers(actions, size=(4096, envs)).astype(np.int32)
env.reset()
start, taken = time.perf_counter(), 0
while time.perf_counter() - start < seconds:
    env.step(drawn[taken % len(drawn)])
    taken += 1
speed = taken * envs * 4 / (time.perf_counter() - start)
print(json.dumps({"per_sec": speed, "versions": version_of(peer)}))
