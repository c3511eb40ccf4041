//! Failures are reported, and in time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_agents::NetworkError;
use coordrl_agents::nn::{Conv, Init, ParamScope, Window};
use coordrl_studies::{
    Draws, Intake, Layer, LayerKind, LayerShape, Prepared, RowSplit, ScoreSums, SplitIndices,
    StudyConfig, StudyError, StudyLayer, StudyLoss, Task, TaskLearner, TaskSetup, find_layer,
    find_task,
};
use support::{How, assert_same_state, how, study, try_study};
use tch::{Kind, Tensor};

#[test]
fn wrong_settings_are_refused_before_anything_is_built() {
    let config = StudyConfig { batch_size: 0, loss: StudyLoss::Bce, ..Default::default() };
    let error =
        try_study(find_layer("conv").unwrap(), &config, how("regress")).unwrap_err().to_string();
    assert!(error.contains("`study.batch_size` is 0") && error.contains("`study.loss`"), "{error}");
}

/// A layer that ignores the requested number of channels.
struct Narrow(Conv);

impl Layer for Narrow {
    fn forward(&self, picture: &Tensor) -> Tensor {
        self.0.forward(picture)
    }
}

fn build_narrow(
    scope: &mut ParamScope<'_>,
    shape: LayerShape,
) -> Result<Box<dyn Layer>, NetworkError> {
    let window = Window { channels_out: 5, kernel: 1, stride: 1 };
    let [channels_in, _] = shape.place.channels;
    Ok(Box::new(Narrow(Conv::build(scope, shape.place.name, channels_in, window, None)?)))
}

#[test]
fn a_layer_that_does_not_fit_is_named_with_both_shapes() {
    let kind = LayerKind::InPlace(build_narrow);
    let layer = StudyLayer { name: "narrow", summary: "five channels", kind };
    for (task, channels) in [("classify", 32), ("render", 32), ("regress", 8)] {
        let how = how(task);
        let error = try_study(&layer, &how.recipe(), how).unwrap_err().to_string();
        let expected =
            format!("makes [1, 5, 64, 64], but the network needs [1, {channels}, 64, 64]");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn divergence_is_an_error_and_leaves_the_weights_alone() {
    for what in ["loss", "gradient"] {
        let how = how("classify");
        let mut study = study(&StudyConfig { l2: 1e-3, ..how.recipe() }, how);
        let mut weights = study.save().unwrap().weights;
        // Infinite weights make the loss infinite; huge ones only its gradient.
        let value = if what == "loss" { f64::INFINITY } else { 3e19 };
        let (_, bias) = weights.iter_mut().find(|(name, _)| name == "conv5.weight").unwrap();
        let _ = bias.fill_(value);
        study.load_weights(weights).unwrap();
        let before = study.save().unwrap();
        let error = study.update().unwrap_err();
        assert!(matches!(error, StudyError::NonFinite { update: 0, .. }), "{error}");
        assert!(error.to_string().contains("not finite in update 0: training diverged"), "{error}");
        assert_same_state(&study.save().unwrap(), &before);
    }
}

/// One number; of some rows the data cannot be read.
struct Reader {
    number: Tensor,
    failed: std::sync::Mutex<Vec<String>>,
}

const UNREADABLE: [usize; 3] = [100, 1500, 1800];

impl TaskLearner for Reader {
    fn loss(&self, _: usize, rows: &[usize], _: Draws) -> Result<Tensor, StudyError> {
        let bad = rows.iter().filter(|row| UNREADABLE.contains(row));
        self.failed.lock().unwrap().extend(bad.map(|row| format!("{row}.jpg: cut off")));
        Ok(self.number.sum(Kind::Float))
    }

    fn score(&self, _: &[usize]) -> Result<ScoreSums, StudyError> {
        Ok(ScoreSums::default())
    }

    fn row_split(&self) -> RowSplit {
        RowSplit::Rows(100)
    }

    fn take_intake(&self) -> Intake {
        let failed = std::mem::take(&mut *self.failed.lock().unwrap());
        Intake { failed_to_learn: failed.len(), failed, waited_secs: 0.5 }
    }
}

fn prepare_reader(_: TaskSetup<'_>) -> Result<Prepared, StudyError> {
    Ok(Prepared {
        rows: SplitIndices { train: (0..2000).collect(), test: vec![] },
        scored: vec![],
        data: None,
        build: Box::new(|scope| {
            let number = scope.get("number", &[1], Init::Zeros)?;
            Ok(Box::new(Reader { number, failed: Default::default() }))
        }),
    })
}

fn reader() -> &'static Task {
    let regress = find_task("regress").unwrap();
    let task = Task { name: "reader", losses: &[], prepare: prepare_reader, ..*regress };
    Box::leak(Box::new(task))
}

#[test]
fn too_many_in_the_last_batch_of_an_epoch_are_not_forgotten() {
    let config = StudyConfig { batch_size: 2000, shards: 1, ..Default::default() };
    let mut study = study(&config, How { task: reader(), ..how("regress") });
    assert!(study.update().unwrap().epoch_ended);
    let refused = |error: StudyError| matches!(error, StudyError::Unreadable { count: 3, .. });
    assert!(refused(study.evaluate().unwrap_err()));
    assert!(refused(study.update().unwrap_err()));
}

#[test]
fn two_rows_of_two_thousand_may_be_unreadable_and_a_third_ends_the_epoch() {
    let task = reader();
    let config = StudyConfig { batch_size: 100, shards: 1, ..Default::default() };
    let mut study = study(&config, How { task, ..how("regress") });
    let mut named = Vec::new();
    let error = loop {
        let before = study.save().unwrap();
        let updated = study.update();
        let Intake { failed, waited_secs, .. } = study.take_intake();
        named.extend(failed);
        match updated {
            Ok(_) => assert_eq!(waited_secs, 0.5),
            Err(error) => {
                assert_same_state(&study.save().unwrap(), &before);
                break error.to_string();
            }
        }
    };
    named.sort();
    assert_eq!(named, ["100.jpg: cut off", "1500.jpg: cut off", "1800.jpg: cut off"]);
    assert!(error.starts_with("3 of 2000 pictures could not be read"), "{error}");
    assert!(study.counters().epochs == 0 && study.counters().updates > 2);

    // Whoever resumes has had time to mend them: what is left of the epoch counts from 0.
    let saved = study.save().unwrap();
    let mut resumed = support::study(&config, How { task, ..how("regress") });
    resumed.load(&saved).unwrap();
    resumed.train_epoch().unwrap();
}
