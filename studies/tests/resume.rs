//! A restored study continues as if uninterrupted; the number of threads does not matter.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_studies::{Split, Study, StudyConfig, StudyError, StudyUpdateReport, tasks};
use support::{How, assert_same_state, how, networks, study};
use tch::Tensor;

fn updates(study: &mut Study, count: usize) -> Vec<StudyUpdateReport> {
    (0..count).map(|_| study.update().unwrap()).collect()
}

/// Returns small networks and batches: arithmetic is tested, not learning.
fn quick(how: How) -> StudyConfig {
    StudyConfig { batch_size: 3, channel_mul: 1, l2: 1e-4, ..how.recipe() }
}

#[test]
fn restored_elsewhere_it_goes_on_to_the_last_bit() {
    for how in networks() {
        let config = quick(how);
        let mut whole = study(&config, how);
        updates(&mut whole, 3);
        let saved = whole.save().unwrap();
        let rest = updates(&mut whole, 3);
        // A different seed, to reveal any state that is not restored.
        let mut resumed = study(&config, How { seed: 99, threads: 1, ..how });
        updates(&mut resumed, 1);
        resumed.load(&saved).unwrap();
        assert_eq!(updates(&mut resumed, 3), rest, "{how:?}");
        assert_eq!(resumed.counters(), whole.counters());
        assert_same_state(&resumed.save().unwrap(), &whole.save().unwrap());
    }
}

#[test]
fn restored_at_the_end_of_an_epoch_it_takes_the_next_order_and_knows_its_evaluations() {
    let how = how("regress");
    let config = StudyConfig { batch_size: 1000, eval_every_epochs: 1, ..how.recipe() };
    let mut whole = study(&config, how);
    assert_eq!(whole.updates_per_epoch(), 3);
    let ended: Vec<bool> = updates(&mut whole, 3).iter().map(|report| report.epoch_ended).collect();
    assert_eq!(ended, [false, false, true]);
    assert!(whole.evaluation_due());
    let evaluation = whole.evaluate().unwrap();
    assert!(!whole.evaluation_due());
    let saved = whole.save().unwrap();
    let rest = updates(&mut whole, 2);
    let mut resumed = study(&config, How { seed: 2, ..how });
    resumed.load(&saved).unwrap();
    assert_eq!(resumed.evaluations(), [evaluation]);
    assert_eq!(updates(&mut resumed, 2), rest);
    assert_eq!(resumed.evaluate().unwrap(), whole.evaluate().unwrap());
}

#[test]
fn numbers_depend_on_the_seed_and_not_on_the_threads() {
    for task in tasks() {
        let how = how(task.name);
        let config = StudyConfig { batch_size: 7, shards: 3, ..how.recipe() };
        let run = |how| {
            let mut study = study(&config, how);
            (updates(&mut study, 3), study.save().unwrap(), study.parameter_count())
        };
        let (reports, state, count) = run(how);
        for threads in [1, 3] {
            let (other_reports, other_state, _) = run(How { threads, ..how });
            assert_eq!(other_reports, reports);
            assert_same_state(&other_state, &state);
        }
        assert_ne!(run(How { seed: 2, ..how }).0, reports);
        assert!(count > 0);
    }
}

#[test]
fn a_state_of_something_else_is_refused_and_changes_nothing() {
    let original = how("classify");
    let config = quick(original);
    let mut classify = study(&config, original);
    updates(&mut classify, 1);
    let before = classify.save().unwrap();
    let reason = |study: &mut Study, state| study.load(&state).unwrap_err().to_string();

    let uniform = study(&config, How { split: Split::Uniform, ..original }).save().unwrap();
    let text = reason(&mut classify, uniform);
    assert!(
        text.contains("`classify` on the uniform split, this is `classify` on the quadrant one"),
        "{text}"
    );
    let regress = how("regress");
    let text = reason(&mut classify, study(&quick(regress), regress).save().unwrap());
    assert!(text.contains("it is of `regress`"), "{text}");
    let plain = How { layer: "conv", ..original };
    let text = reason(&mut classify, study(&quick(plain), plain).save().unwrap());
    assert_eq!(text, "parameter `layer.weight` is missing");
    let mut other = classify.save().unwrap();
    other.optimizer[0].1 = Tensor::from_slice(&[0f32]);
    assert!(reason(&mut classify, other).contains("is [1], not [7553]"));

    let trainer = before.trainer.clone();
    for cut in (0..trainer.len()).step_by(trainer.len() / 50 + 1) {
        let mut state = classify.save().unwrap();
        state.trainer.truncate(cut);
        let error = classify.load(&state).unwrap_err();
        assert!(matches!(error, StudyError::State { .. }), "cut at {cut}: {error}");
    }

    assert_same_state(&classify.save().unwrap(), &before);
}
