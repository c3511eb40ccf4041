//! Learning from a batch and ingesting experience, in any thread.

use super::batch::TransitionTensors;
use super::experience::Experience;
use super::learner::ApexLearner;
use super::report::{IngestStats, LearnReport};
use crate::replay::{Batch, Replay};
use crate::{AgentError, Timing};

/// Makes one update from a replay batch, which may already be on the learner's device.
///
/// # Errors
/// If the loss or the gradient is not finite; the weights are unchanged then.
pub(super) fn learn(
    learner: &mut ApexLearner,
    batch: &Batch,
    on_device: Option<TransitionTensors>,
) -> Result<LearnReport, AgentError> {
    let learning_rate = learner.learning_rate();
    let learned = learner.learn_rows(&batch.into(), on_device)?;
    let ages: u64 = batch.rows.ages.iter().sum();
    Ok(LearnReport {
        learned,
        learning_rate,
        replay_age: ages as f64 / batch.rows.ages.len() as f64,
        // Set by `update_priorities`: learning does not hold the lock of the replay.
        stale_share: 0.0,
    })
}

/// Writes the new priorities back, and trims the replay when due.
pub(super) fn update_priorities(
    replay: &mut Replay,
    batch: &Batch,
    report: &mut LearnReport,
    trim_every_updates: u32,
) -> Result<(), AgentError> {
    let stale = replay.update_priorities(&batch.rows.ids, &report.learned.td_errors)?;
    report.stale_share = stale as f64 / batch.rows.ids.len() as f64;
    // By the learner, as in algorithm 2 of Horgan et al., so that insertion never waits for an
    // eviction.
    if report.learned.updates.is_multiple_of(trim_every_updates.into()) {
        replay.trim();
    }
    Ok(())
}

/// Inserts experience into the replay; `updates` is the learner's update count.
pub(super) fn ingest(
    replay: &mut Replay,
    experience: Experience,
    updates: u64,
) -> Result<IngestStats, AgentError> {
    let lag = updates.saturating_sub(experience.weights_version);
    let Experience { parts, agent_steps, reward_sum, episodes, nanos, .. } = experience;
    for part in parts {
        replay.insert(part)?;
    }
    let [emulate_nanos, preprocess_nanos, infer_nanos] = nanos;
    let timing = Timing { emulate_nanos, preprocess_nanos, infer_nanos, ..Default::default() };
    // The last message before a pause may be empty.
    let lags = (lag * agent_steps, agent_steps);
    Ok(IngestStats { agent_steps, reward_sum, episodes, lags, timing })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn policy_lag_is_the_updates_made_since_the_weights_that_acted() {
        let settings = &crate::ApexConfig::default().replay;
        let mut replay = Replay::try_new(settings.for_obs([1, 2, 2])).unwrap();
        let mut arrived = IngestStats::default();
        for (weights_version, agent_steps) in [(3, 2), (9, 6)] {
            let experience = Experience { weights_version, agent_steps, ..Default::default() };
            arrived.add(ingest(&mut replay, experience, 10).unwrap());
        }
        // Two agent steps lag by seven updates, six by one.
        assert_eq!(arrived.into_report().policy_lag_updates, Some(2.5));
    }
}
