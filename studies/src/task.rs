//! Tasks: what a study learns.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use coordrl_agents::Tag;
use coordrl_agents::nn::{NamedTensors, ParamScope};
use tch::{Device, Tensor};

use crate::folder::Pictures;
use crate::layer::UnderStudy;
use crate::objects::spread::{Places, Spread};
use crate::{
    LayerKind, Split, SplitIndices, StudyConfig, StudyError, StudyEvaluation, StudyLayer, StudyLoss,
};

/// A task on which layers are compared: a registered one, or a custom one.
///
/// A task is one file under `tasks/` and one line in the registry. Command line, checks, metrics,
/// tables and figures read this.
pub struct Task {
    /// Name on the command line and in settings.
    pub name: &'static str,
    /// One-line description, as in the help.
    pub summary: &'static str,
    /// Criterion at which the task counts as solved; `None` if it has none, and trains all its
    /// epochs.
    pub mark: Option<Mark>,
    /// Measures of an evaluation, the most important first; at least one.
    pub measures: &'static [Measure],
    /// Splits of its data.
    pub splits: &'static [Split],
    /// Losses that suit the task; none if it has one of its own.
    pub losses: &'static [StudyLoss],
    /// Objectives that an update pursues in turn; at least one.
    pub objectives: &'static [Objective],
    /// Takes so long that `study all` leaves it out unless it is named.
    pub takes_long: bool,
    /// Epochs of a layer under study in `study all`, where the mark must not decide the end:
    /// stopping when it holds on the test rows would select the end by the test set. More than
    /// twice what the slowest of ten seeds needed.
    pub fixed_epochs: u32,
    /// Returns settings with which the task's network learns it with a layer under study.
    pub with_layer: fn() -> StudyConfig,
    /// Returns settings with which the baseline, the published network without the layer under
    /// study, gets as far as it can; `None` if the task has no baseline.
    pub baseline: Option<fn() -> StudyConfig>,
    /// Returns the paper's result on the test rows, for the table; a dash if there is none.
    pub published: fn(Split, LayerKind) -> &'static str,
    /// Pictures that the program draws itself where no folder is given; `None` if the task reads no
    /// folder of pictures.
    pub drawn: Option<DrawnPictures>,
    /// Returns the number of training rows, in this folder of data if the task reads one.
    pub train_rows: fn(Split, &StudyConfig, &Path) -> Result<usize, StudyError>,
    /// Fits weights to the task's network that are of another with the same names, such as one
    /// without the layer under study; the second argument has the network's own.
    pub fit_weights: fn(NamedTensors, &NamedTensors) -> NamedTensors,
    /// Loads the data and chooses the network.
    pub prepare: fn(TaskSetup<'_>) -> Result<Prepared, StudyError>,
}

/// A loss that an update minimises, and the parameters that it changes: all of them in most tasks,
/// their own in adversarial ones.
#[derive(Clone, Copy, Debug)]
pub struct Objective {
    /// Beginning of the names of its parameters, and of its optimiser's state in checkpoints. The
    /// parameters must stand next to each other; an empty text means all.
    pub parameters: &'static str,
    /// Optimiser steps per update, on the same rows with the same draws.
    pub steps: u32,
    /// Returns the factor on the learning rate.
    pub rate_factor: fn(&StudyConfig) -> f64,
}

/// The only objective of a task: one step of all parameters.
pub const WHOLE: Objective = Objective { parameters: "", steps: 1, rate_factor: |_| 1.0 };

/// Pictures that the program draws itself.
#[derive(Clone, Copy)]
pub struct DrawnPictures {
    /// Name in the place of a folder, as in `builtin:shapes`.
    pub name: &'static str,
    /// Returns the pictures, and which of them are to be learned from and which are held out.
    pub make: fn() -> (Arc<dyn Pictures>, SplitIndices),
}

/// [`Task::fit_weights`] of a task that takes its own weights only.
pub fn as_they_are(weights: NamedTensors, _own: &NamedTensors) -> NamedTensors {
    weights
}

/// Criterion at which a task counts as solved.
#[derive(Clone, Copy)]
pub struct Mark {
    /// The criterion in words.
    pub text: &'static str,
    /// Value of the main measure at which it is met, as drawn in figures.
    pub value: f64,
    /// Returns `true` if an evaluation meets it.
    pub is_met: fn(&StudyEvaluation) -> bool,
}

/// A measure of an evaluation.
#[derive(Clone, Copy)]
pub struct Measure {
    /// Name in checkpoints and results.
    pub name: &'static str,
    /// Label of its axis, as in `error (pixels)`.
    pub label: &'static str,
    /// Heading of its figure, as in `Pixels found`.
    pub title: &'static str,
    /// Range of its values.
    pub range: MeasureRange,
    /// Its metric on the training rows; absent if it is of held-out rows only.
    pub train: Option<&'static Tag>,
    /// Its metric on the held-out rows.
    pub test: &'static Tag,
    /// Value of the data themselves, for measures of what a model makes.
    pub of_data: Option<f64>,
    /// Has a figure over the time of training, as the first measure of a task always does.
    pub over_time: bool,
}

impl Measure {
    /// A share, with its label as its title.
    pub(crate) const fn share(
        name: &'static str,
        label: &'static str,
        train: &'static Tag,
        test: &'static Tag,
    ) -> Self {
        let range = MeasureRange::Share;
        Self {
            name,
            label,
            title: label,
            range,
            train: Some(train),
            test,
            of_data: None,
            over_time: false,
        }
    }

    /// An error, with its label as its title.
    pub(crate) const fn error(
        name: &'static str,
        label: &'static str,
        train: &'static Tag,
        test: &'static Tag,
    ) -> Self {
        Self { range: MeasureRange::Error, ..Self::share(name, label, train, test) }
    }
}

/// Joins lists of measures to one of `N`.
pub(crate) const fn joined<const N: usize>(lists: [&[Measure]; 3]) -> [Measure; N] {
    let mut all = [lists[0][0]; N];
    let mut count = 0;
    let mut list = 0;
    // Iterators cannot be used in constants yet.
    while list < lists.len() {
        let mut index = 0;
        while index < lists[list].len() {
            all[count] = lists[list][index];
            count += 1;
            index += 1;
        }
        list += 1;
    }
    assert!(count == N, "N is not the number of measures");
    all
}

/// The same measures, of held-out rows only.
pub(crate) const fn of_held_out<const N: usize>(mut measures: [Measure; N]) -> [Measure; N] {
    let mut index = 0;
    while index < N {
        measures[index].train = None;
        index += 1;
    }
    measures
}

/// Range of a measure, for the axis of its figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeasureRange {
    /// From 0 to 1; of a task's first measure, higher is better.
    Share,
    /// Above 0, over several orders of magnitude; of a task's first measure, lower is better.
    Error,
    /// Above 0 and best at about 1; as a task's first measure it makes no checkpoint the best.
    Ratio,
}

/// Inputs of [`Task::prepare`].
#[derive(Clone, Copy, Debug)]
pub struct TaskSetup<'a> {
    /// Split into training and held-out rows.
    pub split: Split,
    /// Layer under study, or the baseline.
    pub layer: &'a StudyLayer,
    /// Settings, checked.
    pub config: &'a StudyConfig,
    /// Folder of data that does not come with the program, or the name of [`Task::drawn`]; only tasks that
    /// need it read it.
    pub data_dir: &'a Path,
    /// Folder for notes that save time when the same data is read again.
    pub notes_dir: Option<&'a Path>,
    /// Device of the network.
    pub device: Device,
    /// Threads that may load data.
    pub threads: usize,
}

impl TaskSetup<'_> {
    /// Returns the layer to build into the task's network; `None` for the task's baseline, which
    /// only a task that has one is asked for.
    pub fn under_study(&self) -> Option<UnderStudy> {
        match self.layer.kind {
            LayerKind::Baseline => None,
            LayerKind::InPlace(build) => Some(UnderStudy {
                build,
                start: self.config.layer_start,
                amplitude: self.config.coordinate_amplitude,
            }),
        }
    }
}

/// A task with its data, ready to build networks.
pub struct Prepared {
    /// Indices of the training and the held-out rows.
    pub rows: SplitIndices,
    /// Training rows that an evaluation scores.
    pub scored: Vec<usize>,
    /// Fingerprint of data that may change between two sessions, as a folder may.
    pub data: Option<String>,
    /// Builds a network on the parameters of the scope, drawing any that do not exist yet. Called
    /// once for every thread.
    pub build: BuildLearner,
}

/// Builds one thread's network with the data it learns.
pub type BuildLearner =
    Box<dyn Fn(&mut ParamScope<'_>) -> Result<Box<dyn TaskLearner>, StudyError> + Send + Sync>;

/// Origin of what an update draws at random. With the row it says all, so that neither threads nor a
/// resumed study change a draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Draws {
    /// Seed of the study.
    pub seed: u64,
    /// Epoch, counted from 0.
    pub epoch: u32,
}

/// One thread's network with the data it learns.
pub trait TaskLearner: Send {
    /// Returns the loss of an objective, by its number in [`Task::objectives`], summed over these
    /// training rows, without the L2 term; a scalar with its graph. Sums of parts of a batch add up.
    /// Random draws depend on `draws` and the row.
    fn loss(&self, objective: usize, rows: &[usize], draws: Draws) -> Result<Tensor, StudyError>;

    /// Scores these rows in evaluation mode, without a graph.
    fn score(&self, rows: &[usize]) -> Result<ScoreSums, StudyError>;

    /// Splitting of a batch into passes on a CPU.
    fn row_split(&self) -> RowSplit;

    /// Announces the rows that will be asked for next, to learn from with these draws or to be scored,
    /// for learners that load them in the meantime.
    fn expect(&self, _rows: &[usize], _draws: Option<Draws>) {}

    /// Loads rows to learn from and drops them, to measure how fast that goes. Returns `false` if this
    /// learner's rows need no loading.
    fn load(&self, _rows: &[usize], _draws: Draws) -> Result<bool, StudyError> {
        Ok(false)
    }

    /// Returns the statistics of loading since the last call.
    fn take_intake(&self) -> Intake {
        Intake::default()
    }

    /// Returns outputs for people to look at, as many as the task has, without a graph.
    fn exhibits(&self) -> Result<Vec<Exhibit>, StudyError> {
        Ok(Vec::new())
    }
}

/// Statistics of loading rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Intake {
    /// Rows in whose place others were taken, each named with the reason.
    pub failed: Vec<String>,
    /// Number of them among the rows to learn from.
    pub failed_to_learn: usize,
    /// Seconds for which learners waited.
    pub waited_secs: f64,
}

/// Scores of a set of rows; those of parts of it add up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreSums {
    /// Loss without the L2 term, summed over the rows.
    pub loss: f64,
    /// In the order of [`Task::measures`].
    pub measures: Vec<Tally>,
}

/// A measure of some of the rows, from which that of all can be computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Tally {
    /// A mean of `count` numbers, of whatever there is one of: rows, pixels, objects.
    Mean {
        /// Sum of the numbers.
        sum: f64,
        /// Count of the numbers.
        count: f64,
    },
    /// Mean over rankings of their average precision; those without targets do not count.
    Rankings(Vec<Ranking>),
    /// Spread of places over the plane.
    Spread(Spread, Places),
}

/// Answers in order of their scores, for average precision: precision after each hit, averaged over
/// the targets, of which those never hit count as 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranking {
    /// Score of each answer, and whether it hits a target that no better one hits.
    pub answers: Vec<(f32, bool)>,
    /// Number of targets.
    pub targets: usize,
}

impl Tally {
    /// A mean of as many numbers as there are rows.
    pub fn over_rows(sum: f64, rows: usize) -> Self {
        Self::Mean { sum, count: rows as f64 }
    }

    /// Returns the measure's value; NaN if it is one of nothing.
    pub fn value(&self) -> f64 {
        match self {
            Self::Mean { sum, count } => sum / count,
            Self::Rankings(rankings) => {
                let with_targets = rankings.iter().filter(|ranking| ranking.targets > 0);
                let precisions: Vec<f64> = with_targets.map(Ranking::average_precision).collect();
                precisions.iter().sum::<f64>() / precisions.len() as f64
            }
            Self::Spread(spread, places) => places.value(*spread),
        }
    }

    fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Mean { sum, count }, Self::Mean { sum: more, count: others }) => {
                *sum += more;
                *count += others;
            }
            (Self::Rankings(all), Self::Rankings(more)) => {
                for (ranking, more) in all.iter_mut().zip(more) {
                    ranking.answers.extend(&more.answers);
                    ranking.targets += more.targets;
                }
            }
            (Self::Spread(_, all), Self::Spread(_, more)) => all.extend(more),
            _ => unreachable!("a measure is of one kind"),
        }
    }
}

impl Ranking {
    /// Of equal scores the first answer comes first.
    fn average_precision(&self) -> f64 {
        let mut order: Vec<&(f32, bool)> = self.answers.iter().collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut hits = 0.0;
        let mut sum = 0.0;
        for (rank, (_, is_hit)) in (1..).zip(order) {
            if *is_hit {
                hits += 1.0;
                sum += hits / f64::from(rank);
            }
        }
        sum / self.targets as f64
    }
}

impl ScoreSums {
    /// Adds the scores of further rows.
    pub fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        if self.measures.is_empty() {
            self.measures.clone_from(&other.measures);
            return;
        }
        self.measures.iter_mut().zip(&other.measures).for_each(|(sum, more)| sum.add(more));
    }
}

/// Splitting of a batch into passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowSplit {
    /// No splitting while training: rows depend on each other. Evaluated in passes of this many
    /// rows.
    Whole(usize),
    /// Passes of at most this many rows, whose activations then stay in a core's cache.
    Rows(usize),
}

impl RowSplit {
    /// Rows per pass while training.
    pub(crate) fn train_rows(self) -> usize {
        match self {
            Self::Whole(_) => usize::MAX,
            Self::Rows(rows) => rows,
        }
    }

    /// Rows per pass while evaluating.
    pub(crate) fn evaluate_rows(self) -> usize {
        match self {
            Self::Whole(rows) | Self::Rows(rows) => rows,
        }
    }
}

/// An output of a network, for people to look at.
#[derive(Clone, Debug, PartialEq)]
pub enum Exhibit {
    /// A square picture with values from 0 to 1, row by row.
    Picture {
        /// Title of the figure.
        title: String,
        /// Meaning of the values.
        values: &'static str,
        /// The picture as it should be.
        truth: Vec<f32>,
        /// The picture as the network paints it.
        painted: Vec<f32>,
    },
    /// Positions in a square, (x, y), one per row.
    Places {
        /// Height and width of the square.
        side: f64,
        /// The right positions.
        truth: Vec<[f64; 2]>,
        /// The network's; NaN if it names none.
        predicted: Vec<[f64; 2]>,
    },
    /// Walks through a latent space.
    Walks {
        /// Height and width of the pictures.
        side: usize,
        /// The walks.
        walks: Vec<PaintedWalk>,
    },
    /// Places of objects in a model's samples, beside those in the data.
    Spread {
        /// One per kind of place.
        panels: Vec<SpreadPanel>,
    },
    /// Boxes on square pictures.
    Boxes {
        /// Title of the figure.
        title: &'static str,
        /// The pictures.
        pictures: Vec<BoxedPicture>,
    },
}

/// Pictures along a walk through a latent space: red, green and blue bytes, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct PaintedWalk {
    /// The pictures whose encodings it leads from and to, if the model encodes pictures.
    pub ends: Option<[Vec<u8>; 2]>,
    /// The model's picture of every step.
    pub frames: Vec<Vec<u8>>,
}

/// Places of one kind over many pictures: column and row of each, in pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct SpreadPanel {
    /// Name of the object.
    pub title: &'static str,
    /// Least and largest that columns and rows can be.
    pub range: [f64; 2],
    /// Those in the data.
    pub of_data: Vec<[f64; 2]>,
    /// Those in the samples.
    pub of_samples: Vec<[f64; 2]>,
}

/// A square picture with boxes: left, top, width and height in pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxedPicture {
    /// Values from 0 to 1, row by row.
    pub pixels: Vec<f32>,
    /// The right boxes.
    pub truth: Vec<[f64; 4]>,
    /// The network's.
    pub found: Vec<[f64; 4]>,
}

/// Tasks are told apart by their names.
impl PartialEq for Task {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Task {}

impl Task {
    /// Returns `true` if the layer can be studied on this task.
    pub fn takes(&self, layer: &StudyLayer) -> bool {
        self.baseline.is_some() || matches!(layer.kind, LayerKind::InPlace(_))
    }

    /// Returns suitable settings for this layer.
    pub fn recipe(&self, layer: &StudyLayer) -> StudyConfig {
        match (layer.kind, self.baseline) {
            (LayerKind::Baseline, Some(baseline)) => baseline(),
            // A baseline that the task does not have is refused by whoever checks the settings.
            (LayerKind::InPlace(_) | LayerKind::Baseline, _) => (self.with_layer)(),
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_of_parts_are_those_of_the_whole() {
        let mean = |sum, count| Tally::Mean { sum, count };
        let ranking = |answers: &[(f32, bool)], targets| {
            let one = Ranking { answers: answers.to_vec(), targets };
            Tally::Rankings(vec![one, Ranking::default()])
        };
        let mut whole = ScoreSums::default();
        for (loss, measures) in [
            (1.0, vec![mean(1.0, 2.0), ranking(&[(0.9, true), (0.5, false)], 1)]),
            (2.0, vec![mean(2.0, 4.0), ranking(&[(0.7, false), (0.6, true)], 2)]),
        ] {
            whole.add(&ScoreSums { loss, measures });
        }
        assert_eq!(whole.loss, 3.0);
        // Hits at ranks 1 and 3 of three targets.
        let values: Vec<f64> = whole.measures.iter().map(Tally::value).collect();
        assert_eq!(values, [0.5, (1.0 + 2.0 / 3.0) / 3.0]);
        assert!(mean(0.0, 0.0).value().is_nan());
    }
}
