//! Estimates of the memory an Ape-X agent needs.

use tch::Device;

use super::{ApexConfig, ApexReplayConfig};
use crate::algorithms::{ENV_BYTES, learn_factor};
use crate::replay::Replay;

/// Size of an LZ4-compressed frame relative to its pixels. Atari's take a tenth to a quarter; dense
/// ones more.
const COMPRESSED_SHARE: f64 = 0.25;

/// Estimates the size in bytes of a full replay of `capacity` transitions.
pub(super) fn replay_bytes(config: &ApexConfig, obs_shape: [usize; 3], capacity: u64) -> u64 {
    let replay = ApexReplayConfig { capacity, ..config.replay.clone() }.for_obs(obs_shape);
    let whole = Replay::bytes_forecast(replay.max_len() as u64, obs_shape, config.envs.into());
    if config.replay.compress { (whole as f64 * COMPRESSED_SHARE) as u64 } else { whole }
}

/// Returns a capacity whose replay fits in `room` bytes. Starts in proportion to `replay`, the size
/// of the requested one, and shrinks in steps of 1 % to cover the part that does not scale with
/// capacity.
pub(super) fn fitting_capacity(
    config: &ApexConfig,
    obs_shape: [usize; 3],
    replay: u64,
    room: u64,
) -> u64 {
    let each = (replay / config.replay.capacity.max(1)).max(1);
    let mut capacity = room / each;
    while capacity > 0 && replay_bytes(config, obs_shape, capacity) > room {
        capacity -= capacity.div_ceil(100);
    }
    capacity
}

/// Estimates the bytes of environments, prefetched batches (two observations per transition),
/// experience in flight, and learning from a batch.
pub(super) fn apex_bytes(config: &ApexConfig, obs_shape: [usize; 3], device: Device) -> u64 {
    let obs_len = obs_shape.iter().product::<usize>() as u64;
    let batch = u64::from(config.learner.batch_size).saturating_mul(2 * obs_len);
    // In the queue, in the hands of each prefetcher, and the one being learnt from.
    let ahead =
        u64::from(config.prefetch_batches).saturating_add(u64::from(config.prefetch_threads) + 1);
    u64::from(config.envs)
        .saturating_mul(ENV_BYTES)
        .saturating_add(batch.saturating_mul(ahead.saturating_add(learn_factor(device))))
        .saturating_add(experience_bytes(config, obs_shape))
}

/// Estimates the bytes of experience in flight: everything the actors accumulate, plus messages of
/// one actor each, in the queue and in the ingest thread. One frame per step, since stacks are
/// built later.
fn experience_bytes(config: &ApexConfig, [_, height, width]: [usize; 3]) -> u64 {
    let largest = config.envs_of_remote_actor() as u64;
    let messages = largest.saturating_mul(u64::from(config.experience_queue).saturating_add(1));
    messages
        .saturating_add(config.envs.into())
        .saturating_mul(config.send_every_agent_steps.into())
        .saturating_mul((height * width) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_actors_and_frames_are_not_stacks() {
        let paper = ApexConfig { envs: 360, actors: Some(16), ..ApexConfig::default() };
        assert_eq!(experience_bytes(&paper, [4, 84, 84]), (23 * 17 + 360) * 50 * 84 * 84);
    }
}
