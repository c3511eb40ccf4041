use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use coordrl_agents::AgentState;
use coordrl_envs::EpisodeStats;
use tch::Tensor;

use super::names::*;
use super::*;
use crate::exit_code::ExitCode;
use crate::game::progress::{BestBy, Progress};

fn state(value: f32) -> AgentState {
    let named = |name: &str| vec![(name.to_owned(), Tensor::from_slice(&[value, -value, 0.5]))];
    AgentState {
        weights: named("torso.conv1.weight"),
        optimizer: named("mean_square"),
        target: Vec::new(),
        trainer: vec![1, 2, 3],
    }
}

fn progress(frames: u64, mean_return: f64) -> Progress {
    let mut progress =
        // 0.1 + 0.2 has 17 digits, all of which must be written to come back equal.
        Progress { frames, updates: frames / 80, wall_secs: 0.1 + 0.2, ..Progress::default() };
    for _ in 0..100 {
        progress.games.add(EpisodeStats { episode_return: mean_return, episode_length_frames: 9 });
    }
    progress
}

fn identity() -> Identity {
    Identity::of(["catch", "a2c", "conv"])
}

fn newest(dir: &Path) -> Result<Checkpoint<Progress>, CheckpointError> {
    read_newest(dir, &identity())
}

fn write_at(dir: &Path, frames: u64, mean_return: f64) -> PathBuf {
    write(dir, &state(frames as f32), &progress(frames, mean_return), identity(), None).unwrap()
}

fn frames_of(dir: &Path) -> Vec<u64> {
    list(dir).into_iter().map(|entry| entry.position).collect()
}

#[test]
fn what_is_written_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_at(dir.path(), 800, 0.25);
    assert_eq!(path, dir.path().join("000000000800"));
    let back = read::<Progress>(&path, &identity()).unwrap();
    assert_eq!(back.progress, progress(800, 0.25));
    assert_eq!(back.state.trainer, [1, 2, 3]);
    assert_eq!(back.state.weights[0].0, "torso.conv1.weight");
    assert_eq!(back.state.weights[0].1, state(800.0).weights[0].1);
    assert_eq!(back.state.optimizer[0].1, state(800.0).optimizer[0].1);
    assert_eq!((back.manifest.position, back.manifest.score), (800, Some(0.25)));
    assert_eq!(back.manifest.identity, identity());
}

#[test]
fn a_flipped_bit_or_a_cut_in_any_file_is_found_and_the_file_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_at(dir.path(), 800, 0.25);
    for name in [WEIGHTS, OPTIMIZER, TRAINER, PROGRESS, MANIFEST] {
        let file = path.join(name);
        let whole = fs::read(&file).unwrap();
        for position in [0, whole.len() / 2, whole.len() - 2] {
            let mut damaged = whole.clone();
            damaged[position] ^= 1;
            fs::write(&file, &damaged).unwrap();
            expect_damaged(&path, name);
        }
        fs::write(&file, &whole[..whole.len() - 1]).unwrap();
        // Without its last byte, a line break, a manifest is still whole.
        if name != MANIFEST {
            expect_damaged(&path, name);
        }
        fs::remove_file(&file).unwrap();
        expect_damaged(&path, name);
        fs::write(&file, &whole).unwrap();
        read::<Progress>(&path, &identity()).unwrap();
    }
}

fn expect_damaged(path: &Path, name: &str) {
    let error = read::<Progress>(path, &identity()).unwrap_err();
    assert!(matches!(error, CheckpointError::Damaged { .. }), "{name}: {error}");
    assert!(error.to_string().contains(name), "{name}: {error}");
    assert_eq!(error.exit_code(), ExitCode::BadRun);
}

#[test]
fn if_the_newest_is_damaged_the_newest_whole_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for frames in [100, 200, 300] {
        write_at(dir.path(), frames, 0.0);
    }
    for frames in [200, 300] {
        fs::write(dir.path().join(format!("{frames:012}")).join(TRAINER), "x").unwrap();
    }
    let text = newest(dir.path()).unwrap_err().to_string();
    assert!(text.contains("000000000300") && text.contains("trainer.bin"), "{text}");
    assert!(text.contains("`--checkpoint 100`"), "{text}");
}

#[test]
fn the_newest_and_the_best_stay() {
    let dir = tempfile::tempdir().unwrap();
    for (frames, mean_return) in [(0, 0.0), (100, 5.0), (200, 1.0), (300, 2.0), (400, 3.0)] {
        write_at(dir.path(), frames, mean_return);
    }

    prune(dir.path(), 2).unwrap();
    assert_eq!(frames_of(dir.path()), [100, 300, 400]);
    assert_eq!(choose(dir.path(), "best").unwrap().position, 100);
    assert_eq!(choose(dir.path(), "last").unwrap().position, 400);
    assert_eq!(choose(dir.path(), "300").unwrap().position, 300);
    let error = choose(dir.path(), "200").unwrap_err();
    assert!(error.to_string().contains("100, 300, 400"), "{error}");
    assert_eq!(error.exit_code(), ExitCode::BadRequest);
}

#[test]
fn before_a_hundred_games_no_checkpoint_is_best() {
    let dir = tempfile::tempdir().unwrap();
    let mut lucky = Progress { frames: 10, ..Progress::default() };
    lucky.games.add(EpisodeStats { episode_return: 99.0, episode_length_frames: 1 });
    write(dir.path(), &state(1.0), &lucky, identity(), None).unwrap();
    write_at(dir.path(), 20, 1.0);
    write_at(dir.path(), 30, 0.0);
    assert_eq!(choose(dir.path(), "best").unwrap().position, 20);
}

#[test]
fn what_a_crash_left_is_ignored_and_cleared() {
    let dir = tempfile::tempdir().unwrap();
    write_at(dir.path(), 100, 0.0);
    let left = dir.path().join(".tmp-200");
    fs::create_dir(&left).unwrap();
    fs::write(left.join(WEIGHTS), "half").unwrap();
    assert_eq!(newest(dir.path()).unwrap().manifest.position, 100);
    write_at(dir.path(), 200, 0.0);
    assert!(!left.exists());
    assert_eq!(frames_of(dir.path()), [100, 200]);
}

/// Returns the weights and score of the only checkpoint.
fn held(dir: &Path) -> (Tensor, Option<f64>) {
    assert_eq!(fs::read_dir(dir).unwrap().count(), 1, "something was left beside it");
    let mut there = newest(dir).unwrap();
    (there.state.weights.remove(0).1, there.manifest.score)
}

#[test]
fn a_checkpoint_is_replaced_if_there_are_more_updates_or_a_score_since() {
    let dir = tempfile::tempdir().unwrap();
    let weights = |value: f32| state(value).weights.remove(0).1;
    let write = |progress: &Progress, value: f32| {
        write(dir.path(), &state(value), progress, identity(), None).unwrap();
    };

    let stopped = Progress { frames: 800, updates: 10, ..Progress::default() };
    write(&stopped, 1.0);
    write(&stopped, 2.0);
    assert_eq!(held(dir.path()), (weights(1.0), None), "the same moment is not written twice");
    let evaluated = BestBy::Evaluation { updates: 10, mean: Some(0.1 + 0.2) };
    let evaluated = Progress { best_by: evaluated, ..stopped };
    write(&evaluated, 3.0);
    assert_eq!(held(dir.path()), (weights(3.0), Some(0.1 + 0.2)));
    write(&evaluated, 4.0);
    assert_eq!(held(dir.path()), (weights(3.0), Some(0.1 + 0.2)));
    write(&Progress { updates: 11, ..evaluated }, 5.0);
    assert_eq!(held(dir.path()), (weights(5.0), None), "the score was that of other weights");
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_at(dir.path(), 800, 0.25);
    fs::write(path.join(MANIFEST), "{}").unwrap();
    write_at(dir.path(), 800, 0.25);
    assert_eq!(held(dir.path()).1, Some(0.25));
}

#[test]
fn a_crash_while_one_checkpoint_takes_the_place_of_another_loses_neither_name_nor_content() {
    let dir = tempfile::tempdir().unwrap();
    write_at(dir.path(), 100, 0.0);
    let path = write_at(dir.path(), 200, 0.5);
    let [new, replaced] = [".tmp-200", ".replaced-000000000200"].map(|name| dir.path().join(name));
    // The old one has been renamed, the new one not yet.
    fs::create_dir(&new).unwrap();
    fs::rename(&path, &replaced).unwrap();
    assert_eq!(frames_of(dir.path()), [100, 200]);
    assert_eq!(newest(dir.path()).unwrap().manifest.score, Some(0.5));
    assert_eq!(choose(dir.path(), "best").unwrap().path, replaced);
    remove_later_than(dir.path(), 200).unwrap();
    assert!(path.exists() && !new.exists() && !replaced.exists());
    // The new one has its name, the old one is not yet removed.
    fs::create_dir(&replaced).unwrap();
    assert_eq!(frames_of(dir.path()), [100, 200]);
    assert_eq!(newest(dir.path()).unwrap().manifest.score, Some(0.5));
    remove_later_than(dir.path(), 100).unwrap();
    assert_eq!(frames_of(dir.path()), [100], "what was replaced does not come back");
    assert!(!replaced.exists());
}

#[test]
fn a_damaged_checkpoint_that_a_crash_left_without_its_name_is_told_with_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    write_at(dir.path(), 100, 0.0);
    let path = write_at(dir.path(), 200, 0.0);
    fs::write(path.join(TRAINER), "x").unwrap();
    fs::rename(&path, dir.path().join(".replaced-000000000200")).unwrap();
    let text = newest(dir.path()).unwrap_err().to_string();
    assert!(text.contains("trainer.bin") && text.contains("`--checkpoint 100`"), "{text}");
}

#[test]
fn a_write_that_fails_leaves_the_earlier_ones_alone() {
    let dir = tempfile::tempdir().unwrap();
    write_at(dir.path(), 100, 0.0);
    // A file blocks the temporary folder, so the write fails as on a bad disk.
    fs::write(dir.path().join(".tmp-200"), "in the way").unwrap();
    let error = write(dir.path(), &state(2.0), &progress(200, 0.0), identity(), None).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::MachineRefused);
    assert_eq!(newest(dir.path()).unwrap().manifest.position, 100);
}

#[test]
fn going_back_removes_what_came_later() {
    let dir = tempfile::tempdir().unwrap();
    for frames in [100, 200, 300] {
        write_at(dir.path(), frames, 0.0);
    }
    remove_later_than(dir.path(), 100).unwrap();
    assert_eq!(frames_of(dir.path()), [100]);
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(newest(empty.path()).unwrap_err().exit_code(), ExitCode::BadRun);
}

#[test]
fn a_checkpoint_of_another_run_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_at(dir.path(), 100, 0.0);
    let error = read::<Progress>(&path, &Identity::of(["pong", "a2c", "conv"])).unwrap_err();
    assert!(error.to_string().contains("a run of `catch a2c conv`"), "{error}");
    assert_eq!(error.exit_code(), ExitCode::BadRun);
}

fn write_with_replay(dir: &Path, frames: u64) -> PathBuf {
    let replay: &WriteReplay<'_> =
        &|to: &mut dyn Write| (0..10).try_for_each(|part| to.write_all(&[part; 1000]));
    let state = AgentState { target: state(3.0).weights, ..state(2.0) };
    write(dir, &state, &progress(frames, 0.0), identity(), Some(replay)).unwrap()
}

#[test]
fn a_replay_and_a_target_network_are_written_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_with_replay(dir.path(), 100);
    let back = newest(dir.path()).unwrap();
    assert_eq!(back.state.target[0].1, state(3.0).weights[0].1);
    assert_eq!(back.manifest.replay.as_ref().map(|sum| sum.bytes), Some(10_000));
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut back.open_replay().unwrap().unwrap(), &mut bytes).unwrap();
    assert!(bytes.chunks(1000).enumerate().all(|(part, chunk)| chunk == vec![part as u8; 1000]));
    assert_eq!(back.manifest.replay.unwrap().crc32, crc32fast::hash(&bytes));
    fs::write(path.join(REPLAY), &bytes[1..]).unwrap();
    expect_damaged(&path, REPLAY);
}

#[test]
fn only_the_newest_keeps_its_replay_and_the_others_stay_whole() {
    let dir = tempfile::tempdir().unwrap();
    let paths = [100, 200, 300].map(|frames| write_with_replay(dir.path(), frames));
    prune(dir.path(), 2).unwrap();
    assert!(!paths[0].exists());
    assert!(read::<Progress>(&paths[1], &identity()).unwrap().open_replay().unwrap().is_none());
    assert!(read::<Progress>(&paths[2], &identity()).unwrap().open_replay().unwrap().is_some());
    assert_eq!(valid_after(dir.path(), 100).len(), 2);
}

#[test]
fn a_replay_that_cannot_be_written_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    write_with_replay(dir.path(), 100);
    let full: &WriteReplay<'_> = &|to: &mut dyn Write| {
        to.write_all(&[1; 5000])?;
        Err(io::ErrorKind::StorageFull.into())
    };
    let error =
        write(dir.path(), &state(1.0), &progress(200, 0.0), identity(), Some(full)).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::MachineRefused);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(newest(dir.path()).unwrap().open_replay().unwrap().is_some());
}
