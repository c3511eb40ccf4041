//! Every objective of a task changes its own parameters, in turn, with an optimiser of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_agents::nn::Init;
use coordrl_studies::{
    Draws, Objective, Prepared, RowSplit, ScoreSums, SplitIndices, Study, StudyConfig, StudyError,
    Task, TaskLearner, TaskSetup, WHOLE, find_task,
};
use support::{How, how, study};
use tch::{Kind, Tensor};

/// Both players would lower all numbers; the second counts how high the first one's are.
struct Players([Tensor; 2]);

impl TaskLearner for Players {
    fn loss(&self, objective: usize, rows: &[usize], _: Draws) -> Result<Tensor, StudyError> {
        let [first, second] = &self.0;
        let sum = first.sum(Kind::Float) + second.sum(Kind::Float);
        Ok(sum * (rows.len() * (1 + objective)) as f64)
    }

    fn score(&self, _: &[usize]) -> Result<ScoreSums, StudyError> {
        Ok(ScoreSums::default())
    }

    fn row_split(&self) -> RowSplit {
        RowSplit::Rows(1)
    }
}

fn prepare(_: TaskSetup<'_>) -> Result<Prepared, StudyError> {
    Ok(Prepared {
        rows: SplitIndices { train: (0..8).collect(), test: vec![] },
        scored: vec![],
        data: None,
        build: Box::new(|scope| {
            let first = scope.get("first.x", &[2], Init::Zeros)?;
            let second = scope.get("second.x", &[3], Init::Zeros)?;
            Ok(Box::new(Players([first, second])))
        }),
    })
}

/// The task of the name with these objectives, for ever: settings refer to it.
fn task(objectives: &'static [Objective]) -> &'static Task {
    let regress = find_task("regress").unwrap();
    Box::leak(Box::new(Task { name: "players", losses: &[], objectives, prepare, ..*regress }))
}

const FIRST: Objective = Objective { parameters: "first.", ..WHOLE };
const SECOND: Objective =
    Objective { parameters: "second.", steps: 2, rate_factor: |config| config.step_ratio };

fn of(objectives: &'static [Objective]) -> Study {
    let config = StudyConfig { learning_rate: 0.01, step_ratio: 3.0, ..Default::default() };
    study(&config, How { task: task(objectives), ..how("regress") })
}

fn weights(study: &Study) -> Vec<Vec<f32>> {
    let weights = study.save().unwrap().weights;
    weights.into_iter().map(|(_, values)| Vec::try_from(values).unwrap()).collect()
}

#[test]
fn each_steps_its_own_parameters_as_often_and_as_far_as_it_should() {
    let mut both = of(&[FIRST, SECOND]);
    let report = both.update().unwrap();
    // Adam's step is the rate wherever the gradient keeps its sign; the second steps twice.
    for (found, expected) in
        weights(&both).iter().flatten().zip([-0.01; 2].iter().chain(&[-0.06; 3]))
    {
        assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
    }
    // Of the first steps: 0, and then the first one's two numbers of −0.01 at twice the weight.
    assert!((report.loss - 2.0 * -0.02).abs() < 1e-6, "{report:?}");
    let norm = (2.0f64 + 3.0 * 4.0).sqrt();
    assert!((report.grad_norm - norm).abs() < 1e-6, "{report:?}");

    let mut first = of(&[FIRST]);
    first.update().unwrap();
    assert_eq!(weights(&first)[1], [0.0; 3]);
}

#[test]
fn optimisers_are_saved_by_the_names_of_their_parameters() {
    let both = of(&[FIRST, SECOND]).save().unwrap();
    let names: Vec<String> = both.optimizer.into_iter().map(|(name, _)| name).collect();
    let moments = ["mean_square", "mean", "steps"];
    let expected = ["first.", "second."].map(|part| moments.map(|name| format!("{part}{name}")));
    assert_eq!(names, expected.concat());

    let mut whole = of(&[WHOLE]);
    let state = whole.save().unwrap();
    assert_eq!(state.optimizer[0].0, "mean_square");
    let mut two = of(&[FIRST, SECOND]);
    assert!(two.load(&state).unwrap_err().to_string().contains("`mean_square` is missing"));
    assert!(whole.load(&two.save().unwrap()).is_err());
}

#[test]
#[should_panic(expected = "Objective { parameters: \"third.\" }")]
fn an_objective_without_parameters_is_refused() {
    of(&[Objective { parameters: "third.", ..WHOLE }]);
}

/// Their optimisers would have the same names in checkpoints.
#[test]
#[should_panic(expected = "Objective { parameters: \"first.\" }")]
fn objectives_with_the_same_parameters_are_refused() {
    of(&[WHOLE, FIRST]);
}
