"""Agent steps per second of A2C: `a2c_peer.py envpool|ale|sb3 GAME ENVS THREADS SECONDS DEVICE`.

The recipe of coordrl's preset `atari`: 5 steps, the network of Mnih et al. 2015, RMSProp at 7e-4, gradients clipped
to 0.5. `envpool` and `ale` are loops as CleanRL writes them: one process, one batch, PyTorch and the environments
each with THREADS threads. `sb3` is Stable-Baselines3 with one process per environment, and THREADS for PyTorch.
Prints one JSON object.
"""

import json
import sys
import time

import numpy as np
import torch
from torch import nn
from torch_parts import FEATURES, torso
from vector_envs import camel, make, version_of

STEPS, GAMMA = 5, 0.99


def main() -> None:
    peer, game, device = sys.argv[1], sys.argv[2], sys.argv[6]
    envs, threads, seconds = int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
    torch.set_num_threads(threads)
    speed = sb3(game, envs, seconds, device) if peer == "sb3" else loop(peer, game, envs, threads, seconds, device)
    print(json.dumps({"per_sec": speed, "versions": version_of(peer, "torch")}))


class Agent(nn.Module):
    def __init__(self, actions: int):
        super().__init__()
        self.torso = torso()
        self.policy, self.value = nn.Linear(FEATURES, actions), nn.Linear(FEATURES, 1)

    def forward(self, obs: torch.Tensor):
        features = self.torso(obs.float() / 255)
        return self.policy(features), self.value(features).squeeze(-1)


def loop(peer: str, game: str, envs: int, threads: int, seconds: float, device: str) -> float:
    env, actions = make(peer, game, envs, threads)
    agent = Agent(actions).to(device)
    optimizer = torch.optim.RMSprop(agent.parameters(), lr=7e-4, alpha=0.99, eps=1e-5)
    obs = torch.as_tensor(np.array(env.reset()[0]), device=device)
    obs = update(agent, optimizer, env, obs)  # the first call is slower
    start, taken = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        obs = update(agent, optimizer, env, obs)
        taken += envs * STEPS
    return taken / (time.perf_counter() - start)


def update(agent: Agent, optimizer: torch.optim.Optimizer, env, obs: torch.Tensor) -> torch.Tensor:
    seen, actions, rewards, discounts = [], [], [], []
    for _ in range(STEPS):
        with torch.no_grad():
            logits, _ = agent(obs)
            action = torch.multinomial(logits.softmax(-1), 1).squeeze(-1)
        seen.append(obs)
        actions.append(action)
        following, reward, terminated, truncated, _ = env.step(action.cpu().numpy().astype(np.int32))
        obs = torch.as_tensor(np.array(following), device=obs.device)
        rewards.append(torch.as_tensor(reward, dtype=torch.float32, device=obs.device))
        goes_on = torch.as_tensor(~(terminated | truncated), dtype=torch.float32, device=obs.device)
        discounts.append(GAMMA * goes_on)
    with torch.no_grad():
        following_return = agent(obs)[1]
    returns = []
    for reward, discount in zip(reversed(rewards), reversed(discounts)):
        following_return = reward + discount * following_return
        returns.append(following_return)
    returns = torch.cat(returns[::-1])
    logits, value = agent(torch.cat(seen))
    log_probs = logits.log_softmax(-1)
    advantage = (returns - value).detach()
    policy_loss = -(log_probs.gather(1, torch.cat(actions).unsqueeze(1)).squeeze(1) * advantage).mean()
    entropy = -(log_probs.exp() * log_probs).sum(-1).mean()
    loss = policy_loss + 0.25 * (returns - value).square().mean() - 0.01 * entropy
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
    optimizer.step()
    return obs


def sb3(game: str, envs: int, seconds: float, device: str) -> float:
    import ale_py
    import gymnasium
    from stable_baselines3 import A2C
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.vec_env import SubprocVecEnv, VecFrameStack

    class Until(BaseCallback):
        """Ends training after `seconds`."""

        def _on_training_start(self) -> None:
            self.start = time.perf_counter()

        def _on_step(self) -> bool:
            return time.perf_counter() - self.start < seconds

    gymnasium.register_envs(ale_py)
    env = make_atari_env(
        f"{camel(game)}NoFrameskip-v4", n_envs=envs, seed=1, vec_env_cls=SubprocVecEnv,
        vec_env_kwargs={"start_method": "fork"},
    )  # fmt: skip
    env = VecFrameStack(env, 4)
    model = A2C("CnnPolicy", env, ent_coef=0.01, vf_coef=0.25, device=device)
    model.learn(envs * STEPS)  # the first update is slower
    start = time.perf_counter()
    model.learn(10**9, callback=Until())
    speed = model.num_timesteps / (time.perf_counter() - start)
    env.close()
    return speed


if __name__ == "__main__":
    main()
