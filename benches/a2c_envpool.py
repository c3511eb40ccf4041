"""Agent steps per second of A2C in PyTorch on EnvPool: `a2c_envpool.py GAME THREADS SECONDS DEVICE`.

The recipe of `cargo bench --bench a2c`: 16 environments, 5 steps, Nature CNN, classic rules, RMSProp 7e-4. Written as CleanRL's
scripts are: one process, one batch, libtorch and EnvPool each with THREADS threads.
"""

import sys
import time

import envpool
import numpy as np
import torch
from torch import nn

ENVS, STEPS, GAMMA = 16, 5, 0.99


class Agent(nn.Module):
    def __init__(self, actions: int):
        super().__init__()
        self.torso = nn.Sequential(
            nn.Conv2d(4, 32, 8, stride=4), nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2), nn.ReLU(),
            nn.Conv2d(64, 64, 3, stride=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(),
        )  # fmt: skip
        self.policy, self.value = nn.Linear(512, actions), nn.Linear(512, 1)

    def forward(self, obs: torch.Tensor):
        features = self.torso(obs.float() / 255)
        return self.policy(features), self.value(features).squeeze(-1)


def main() -> None:
    game, threads, seconds, device = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    torch.set_num_threads(threads)
    env = envpool.make(
        game, env_type="gymnasium", num_envs=ENVS, num_threads=threads, seed=1,
        episodic_life=True, reward_clip=True, use_fire_reset=True, repeat_action_probability=0.0,
    )  # fmt: skip
    agent = Agent(env.action_space.n).to(device)
    optimizer = torch.optim.RMSprop(agent.parameters(), lr=7e-4, alpha=0.99, eps=1e-5)
    obs = torch.as_tensor(np.array(env.reset()[0]), device=device)
    update(agent, optimizer, env, obs)  # the first call is slower
    start, taken = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        obs = update(agent, optimizer, env, obs)
        taken += ENVS * STEPS
    print(taken / (time.perf_counter() - start))


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


if __name__ == "__main__":
    main()
