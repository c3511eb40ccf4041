//! Metric tags with unit and description. A test compares them with `docs/metrics.md`.

pub use coordrl_agents::shared_tags::{DEAD_SHARE, GRAD_NORM, LEARNING_RATE, REWARD_CLIPPED};
use coordrl_agents::tags;
pub use coordrl_agents::{ALGORITHMS, Tag};

tags! {
    /// Tags of training runs, in the order of `metrics.jsonl`.
    TRAINING;
    EPISODE_RETURN: "train/episode_return", "points of the game",
        "Mean undiscounted, unclipped return of the last 100 full games (not lives); absent before the first game has ended.";
    EPISODE_LENGTH_FRAMES: "train/episode_length_frames", "emulator frames",
        "Mean length of the last 100 full games; frames spent in resets are not counted.";
    EPISODES: "train/episodes", "games",
        "Full games finished since the run began.";
    UPDATES: "train/updates", "updates",
        "Optimiser steps since the run began.";
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
    /// Tags that only studies have, whatever their task; they share some of [`TRAINING`].
    STUDY;
    STUDY_EPOCHS: "study/epochs", "epochs",
        "Whole epochs since the study began.";
    LOSS_BATCH: "loss/batch", "none",
        "What a study minimises, its L2 part left out: mean over the batches since the last log point.";
    LOSS_L2: "loss/l2", "none",
        "The L2 part of what a study minimises, mean over the batches since the last log point.";
    STUDY_TRAIN_LOSS: "study/train_loss", "none",
        "Loss on the training rows that evaluations score, its L2 part left out.";
    STUDY_TEST_LOSS: "study/test_loss", "none",
        "Loss on all test rows, its L2 part left out.";
    UPDATES_PER_SEC: "perf/updates_per_sec", "updates per second",
        "Speed of a study since the last log point, evaluations included.";
    DATA_WAIT_SHARE: "perf/data_wait_share", "share of the time",
        "Time spent waiting for pictures to be decoded since the last log point; only of tasks that read pictures.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use coordrl_studies::tasks;

    use super::{ALGORITHMS, EVALUATION, STUDY, TRAINING, Tag};

    /// Returns every tag once, since algorithms share some, and so do tasks.
    fn all() -> Vec<&'static Tag> {
        let mut all = [TRAINING, EVALUATION, STUDY].concat();
        let measures = tasks().iter().flat_map(|task| task.measures);
        let of_tasks = measures.flat_map(|measure| measure.train.into_iter().chain([measure.test]));
        let of_algorithms = ALGORITHMS.iter().flat_map(|algorithm| algorithm.tags).copied();
        for tag in of_algorithms.chain(of_tasks) {
            if !all.contains(&tag) {
                all.push(tag);
            }
        }
        all
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
        let rows =
            page.lines().filter(|line| line.starts_with("| `") && line.contains('/')).count();
        assert_eq!(rows, all().len(), "docs/metrics.md lists tags that do not exist");
    }
}
