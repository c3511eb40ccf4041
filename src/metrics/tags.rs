//! Every tag with its unit and what it means. `docs/metrics.md` lists the same; a test compares.

/// One measured quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Name in TensorBoard and key in `metrics.jsonl`.
    pub name: &'static str,
    /// Unit of the values.
    pub unit: &'static str,
    /// What it is, in one sentence.
    pub sentence: &'static str,
}

macro_rules! tags {
    ($(#[$about:meta])* $list:ident; $($constant:ident: $name:literal, $unit:literal, $sentence:literal;)*) => {
        $(
            #[doc = $sentence]
            pub const $constant: Tag = Tag { name: $name, unit: $unit, sentence: $sentence };
        )*
        $(#[$about])*
        pub const $list: &[&Tag] = &[$(&$constant),*];
    };
}

tags! {
    /// Tags of training runs, in the order of `metrics.jsonl`.
    TRAINING;
    EPISODE_RETURN: "train/episode_return", "points of the game",
        "Mean undiscounted, unclipped return of the last 100 full games (not lives); absent before the first game has ended.";
    EPISODE_LENGTH_FRAMES: "train/episode_length_frames", "emulator frames",
        "Mean length of the last 100 full games; frames spent in resets are not counted.";
    EPISODES: "train/episodes", "games",
        "Full games finished since the run began.";
    REWARD_CLIPPED: "train/reward_clipped", "clipped reward per agent step",
        "Mean reward as the agent learns from it, over the agent steps since the last log point.";
    UPDATES: "train/updates", "updates",
        "Optimiser steps since the run began.";
    LOSS_POLICY: "loss/policy", "nats × advantage",
        "Policy-gradient loss, mean over the updates since the last log point.";
    LOSS_VALUE: "loss/value", "squared return",
        "Mean squared error of the value head, before its coefficient, mean over the updates since the last log point.";
    LOSS_TOTAL: "loss/total", "none",
        "What the optimiser minimises: policy loss − entropy bonus + weighted value loss, mean over the updates since the last log point.";
    ENTROPY: "policy/entropy", "nats",
        "Mean entropy of the action distribution; ln(number of actions) when acting uniformly.";
    EXPLAINED_VARIANCE: "value/explained_variance", "none",
        "1 − Var(return − value) / Var(return) of each rollout, mean over the updates since the last log point: 1 is perfect, 0 no better than a constant.";
    GRAD_NORM: "optim/grad_norm", "none",
        "Global gradient norm before clipping, mean over the updates since the last log point.";
    DEAD_SHARE: "network/dead_share", "share of the features",
        "The torso's features that are 0 on every row of an update, mean over the updates since the last log point.";
    LEARNING_RATE: "optim/learning_rate", "none",
        "Learning rate of the last update.";
    FRAMES_PER_SEC: "perf/frames_per_sec", "emulator frames per second",
        "Training speed since the last log point, everything included.";
    EMULATE_SECS: "perf/emulate_secs", "worker seconds per million frames",
        "Time inside the emulator, summed over workers.";
    PREPROCESS_SECS: "perf/preprocess_secs", "worker seconds per million frames",
        "Time turning screens into observations, summed over workers.";
    INFER_SECS: "perf/infer_secs", "worker seconds per million frames",
        "Time choosing actions with the network, summed over workers.";
    LEARN_SECS: "perf/learn_secs", "worker seconds per million frames",
        "Time computing gradients and taking optimiser steps, summed over workers.";
    WAIT_SECS: "perf/wait_secs", "worker seconds per million frames",
        "The rest of the workers' time: waiting for a slower one, and bookkeeping.";
    MEMORY_MIB: "perf/memory_mib", "MiB",
        "Resident memory of the process; absent where the system does not tell.";
    WALL_SECS: "perf/wall_secs", "seconds",
        "Time spent training since the run began, all sessions together.";
}

tags! {
    /// Tags that only Ape-X runs have; they share most of [`TRAINING`].
    APEX;
    LOSS_TD: "loss/td", "none",
        "Importance-weighted loss of the TD errors, mean over the updates since the last log point.";
    MEAN_Q: "value/mean_q", "discounted return",
        "Mean Q of the actions in the batch, mean over the updates since the last log point.";
    TD_ERROR: "value/abs_td_error", "discounted return",
        "Mean |TD error| of the batch, not weighted, mean over the updates since the last log point.";
    REPLAY_LEN: "replay/transitions", "transitions",
        "Transitions in the replay.";
    REPLAY_AGE: "replay/age_transitions", "transitions",
        "How many transitions came after those of the batch, mean over batch and updates since the last log point.";
    STALE_SHARE: "replay/stale_share", "share of the batch",
        "Transitions that had left the replay when their new priorities came, mean over the updates since the last log point.";
    SAMPLES_PER_INSERT: "replay/samples_per_insert", "samples per transition",
        "Transitions learnt from for each one inserted since the warm-up.";
    POLICY_LAG: "actors/policy_lag_updates", "updates",
        "How many updates the learner was ahead of the weights that acted, mean over the experience since the last log point.";
}

/// Tags that an A2C update fills, of those in [`TRAINING`].
pub const OF_A2C: &[&Tag] = &[
    &REWARD_CLIPPED,
    &LOSS_POLICY,
    &LOSS_VALUE,
    &LOSS_TOTAL,
    &ENTROPY,
    &EXPLAINED_VARIANCE,
    &GRAD_NORM,
    &DEAD_SHARE,
    &LEARNING_RATE,
];

/// Tags that Ape-X fills, of those in [`TRAINING`] and [`APEX`].
pub const OF_APEX: &[&Tag] = &[
    &REWARD_CLIPPED,
    &GRAD_NORM,
    &DEAD_SHARE,
    &LEARNING_RATE,
    &LOSS_TD,
    &MEAN_Q,
    &TD_ERROR,
    &REPLAY_LEN,
    &REPLAY_AGE,
    &STALE_SHARE,
    &SAMPLES_PER_INSERT,
    &POLICY_LAG,
];

tags! {
    /// Tags of evaluations, which have lines of their own.
    EVALUATION;
    EVAL_RETURN: "eval/episode_return", "points of the game",
        "Mean return of `evaluation.episodes` full games, the same ones every time and none that `coordrl eval` plays, played with the weights of the moment as `coordrl eval` does.";
    EVAL_FINAL_RETURN: "eval/final_return", "points of the game",
        "Mean return of `evaluation.final_episodes` full games with the weights that the run ends with; none of them was played before.";
    EVAL_HUMAN: "eval/human_normalised", "share of a human's score",
        "The mean return with a random policy at 0 and a human at 1; only for games with known scores, played under rules that those hold for.";
    EVAL_EPISODES: "eval/episodes", "games",
        "Games of the evaluation.";
    EVAL_GAMES_CUT: "eval/games_cut", "games",
        "Those of them that were cut at `evaluation.max_frames` (or `final_max_frames`) and count with what they had.";
    EVALUATION_SECS: "perf/evaluation_secs", "seconds",
        "Time the evaluation took; no other time includes it.";
}

tags! {
    /// Tags that only studies have; they share some of [`TRAINING`].
    STUDY;
    STUDY_EPOCHS: "study/epochs", "epochs",
        "Whole epochs since the study began.";
    LOSS_BATCH: "loss/batch", "none",
        "What a study minimises, its L2 part left out: mean over the batches since the last log point.";
    LOSS_L2: "loss/l2", "none",
        "The L2 part of what a study minimises, mean over the batches since the last log point.";
    STUDY_TRAIN_LOSS: "study/train_loss", "none",
        "Loss on all training centres, its L2 part left out.";
    STUDY_TEST_LOSS: "study/test_loss", "none",
        "Loss on all test centres, its L2 part left out.";
    STUDY_TRAIN_ACCURACY: "study/train_accuracy", "share of centres",
        "Training centres whose own pixel has the highest logit: classify.";
    STUDY_TEST_ACCURACY: "study/test_accuracy", "share of centres",
        "Test centres whose own pixel has the highest logit: classify.";
    STUDY_TRAIN_DISTANCE: "study/train_distance_px", "pixels",
        "Mean distance from the pixel with the highest logit to the right one, training centres: classify.";
    STUDY_TEST_DISTANCE: "study/test_distance_px", "pixels",
        "Mean distance from the pixel with the highest logit to the right one, test centres: classify.";
    STUDY_TRAIN_IOU: "study/train_iou", "none",
        "Mean over training centres of intersection over union of painted and true white pixels: render.";
    STUDY_TEST_IOU: "study/test_iou", "none",
        "Mean over test centres of intersection over union of painted and true white pixels: render.";
    STUDY_TRAIN_EXACT: "study/train_exact", "share of centres",
        "Training centres whose picture has no wrong pixel: render.";
    STUDY_TEST_EXACT: "study/test_exact", "share of centres",
        "Test centres whose picture has no wrong pixel: render.";
    STUDY_TRAIN_ERROR: "study/train_error_px", "pixels",
        "Mean distance from the predicted to the right place, training centres: regress.";
    STUDY_TEST_ERROR: "study/test_error_px", "pixels",
        "Mean distance from the predicted to the right place, test centres: regress.";
    UPDATES_PER_SEC: "perf/updates_per_sec", "updates per second",
        "Speed of a study since the last log point, evaluations included.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{APEX, EVALUATION, STUDY, TRAINING, Tag};

    fn all() -> Vec<&'static Tag> {
        [TRAINING, APEX, EVALUATION, STUDY].concat()
    }

    #[test]
    fn names_are_unique_and_grouped() {
        let names: BTreeSet<&str> = all().iter().map(|tag| tag.name).collect();
        assert_eq!(names.len(), all().len());
        assert!(names.iter().all(|name| name.split('/').count() == 2));
    }

    #[test]
    fn every_tag_stands_in_the_documentation_with_unit_and_sentence() {
        let page = include_str!("../../docs/metrics.md");
        for tag in all() {
            let row = format!("| `{}` | {} | {} |", tag.name, tag.unit, tag.sentence);
            assert!(page.contains(&row), "docs/metrics.md lacks this row:\n{row}");
        }
        let rows = page.lines().filter(|line| line.starts_with("| `") && line.contains('/')).count();
        assert_eq!(rows, all().len(), "docs/metrics.md lists tags that do not exist");
    }
}
