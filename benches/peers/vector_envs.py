"""Vector environments written in C++ that users would otherwise pick, under coordrl's classic rules."""

from importlib.metadata import version


def make(peer: str, game: str, envs: int, threads: int):
    """Returns the environments and the number of actions."""
    if peer == "envpool":
        import envpool

        env = envpool.make(
            f"{camel(game)}-v5", env_type="gymnasium", num_envs=envs, batch_size=envs, num_threads=threads, seed=1,
            episodic_life=True, reward_clip=True, use_fire_reset=True, repeat_action_probability=0.0, noop_max=30,
            frame_skip=4, stack_num=4, img_height=84, img_width=84,
        )  # fmt: skip
        return env, env.action_space.n

    from ale_py.vector_env import AtariVectorEnv

    env = AtariVectorEnv(
        game, num_envs=envs, batch_size=envs, num_threads=threads, episodic_life=True, reward_clipping=True,
        use_fire_reset=True, repeat_action_probability=0.0, noop_max=30, frameskip=4, stack_num=4, img_height=84,
        img_width=84,
    )  # fmt: skip
    return env, env.single_action_space.n


def camel(game: str) -> str:
    """`ms_pacman` → `MsPacman`."""
    return "".join(word.capitalize() for word in game.split("_"))


def version_of(*peers: str) -> dict[str, str]:
    packages = {"envpool": "envpool", "ale": "ale-py", "sb3": "stable-baselines3", "torch": "torch"}
    return {packages[peer]: version(packages[peer]) for peer in peers}
