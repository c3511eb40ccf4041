//! The study: network, data and optimiser combined.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coordrl_agents::nn::{NamedTensors, ParamStore};
use coordrl_envs::Problem;
use rayon::ThreadPool;
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::config::StudyConfig;
use crate::counters::StudyCounters;
use crate::data::{Split, SplitIndices};
use crate::draws::epoch_order;
use crate::error::catch_panic;
use crate::param_group::ParamGroup;
use crate::shard::{Gradient, Share, StudyShard};
use crate::state::{StudyState, StudyTrainerState};
use crate::task::{BuildLearner, Draws, Exhibit, Intake, Prepared, RowSplit, ScoreSums, TaskSetup};
use crate::{Score, StudyError, StudyEvaluation, StudyLayer, Task};

/// One in how many rows of an epoch may be unreadable.
const FAILED_OF: usize = 1000;

/// Inputs of [`Study::build`].
pub struct StudySetup<'a> {
    /// One of [`crate::tasks`], or a custom task.
    pub task: &'static Task,
    /// Split into training and held-out rows.
    pub split: Split,
    /// One of [`crate::layers`], or a custom layer.
    pub layer: &'a StudyLayer,
    /// Settings; checked again here.
    pub config: &'a StudyConfig,
    /// Determines the initial weights and the orders of the epochs.
    pub seed: u64,
    /// Device of the network.
    pub device: Device,
    /// Folder of data that does not come with the program, as of `detect`, or the name of what the
    /// program draws itself, that of [`Task::drawn`].
    pub data_dir: &'a Path,
    /// Folder for notes that save time when the same data is read again; `None` keeps none.
    pub notes_dir: Option<&'a Path>,
    /// Threads that compute gradients: see [`build_pool`](coordrl_agents::build_pool), with one
    /// libtorch thread each.
    pub pool: Arc<ThreadPool>,
}

/// Results of one update. Losses and gradients of a task with several objectives are those of the
/// first step of each, taken together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StudyUpdateReport {
    /// Mean loss over the batch, including the renderer's second loss, without the L2 term.
    pub loss: f64,
    /// The L2 term: `l2` times the sum of squares of the convolution weights.
    pub l2_loss: f64,
    /// Euclidean norm of the total gradient.
    pub grad_norm: f64,
    /// Learning rate used.
    pub learning_rate: f64,
    /// `true` if the batch was the last of its epoch.
    pub epoch_ended: bool,
}

/// A task with the network that learns it.
pub struct Study {
    task: &'static Task,
    split: Split,
    config: StudyConfig,
    rows: SplitIndices,
    /// Training rows that an evaluation scores.
    scored: Vec<usize>,
    /// Training rows in the order of the current epoch.
    order: Vec<usize>,
    trainer: StudyTrainerState,
    shards: Vec<Mutex<StudyShard>>,
    store: ParamStore,
    /// Parameters of the task's objectives, in its order.
    groups: Vec<ParamGroup>,
    intake: Intake,
    /// Rows of this epoch that could not be read, or of what is left of it since the study was built.
    failed_in_epoch: usize,
    /// The last of all that could not be read, and why.
    last_failed: String,
    pool: Arc<ThreadPool>,
}

impl Study {
    /// Builds the study and draws the initial weights.
    pub fn build(setup: StudySetup<'_>) -> Result<Self, StudyError> {
        let StudySetup { task, split, layer, config, seed, device, data_dir, notes_dir, pool } =
            setup;
        let mut problems = config.check(task);
        if !task.takes(layer) {
            let message = format!("is `{}`, but `{task}` has no baseline", layer.name);
            problems.push(Problem::new("layer", message));
        }
        if !problems.is_empty() {
            return Err(StudyError::Config(problems));
        }

        keep_freed_memory();
        let mut store = ParamStore::new(seed, device);
        let threads = pool.current_num_threads();
        let setup = TaskSetup { split, layer, config, data_dir, notes_dir, device, threads };
        let Prepared { rows, scored, data, build } = (task.prepare)(setup)?;
        // Set by the settings, not by the threads: the parts of a batch decide in which order their
        // gradients are added, and thereby the last bits. A GPU takes the batch in one part.
        let count = if device == Device::Cpu { config.shards } else { 1 };
        let (params, shards) = build_shards(&build, count, &mut store)?;
        Ok(Self {
            task,
            split,
            config: config.clone(),
            order: epoch_order(&rows.train, seed, 0),
            rows,
            scored,
            trainer: StudyTrainerState { data, ..StudyTrainerState::new(task.name, split, seed) },
            shards,
            groups: ParamGroup::all(task, config, &store, &params)?,
            store,
            intake: Intake::default(),
            failed_in_epoch: 0,
            last_failed: String::new(),
            pool,
        })
    }

    /// Takes the steps of every objective on the next batch.
    ///
    /// # Errors
    /// - If too many rows could not be read; nothing is changed then.
    /// - If a shard panics, or loss or gradient are not finite. The weights are then those from before
    ///   the step that failed, but running statistics may have moved and other objectives of the same
    ///   update may have stepped: a saved state is the way back.
    pub fn update(&mut self) -> Result<StudyUpdateReport, StudyError> {
        self.check_failed()?;
        let start = self.trainer.counters.rows_into_epoch as usize;
        let size = self.config.batch_size as usize;
        let end = (start + size).min(self.order.len());
        self.expect(start..end);
        self.expect(end..(end + size).min(self.order.len()));
        let learning_rate = self.learning_rate();
        let stepped = self.steps(start..end, learning_rate);
        self.take_in(true);
        let epoch_ended = stepped.is_ok() && self.count(end);
        Ok(StudyUpdateReport { epoch_ended, ..stepped? })
    }

    /// Takes the steps of every objective on these places of the epoch's order.
    fn steps(
        &mut self,
        batch: Range<usize>,
        learning_rate: f64,
    ) -> Result<StudyUpdateReport, StudyError> {
        let mut report = StudyUpdateReport { learning_rate, ..Default::default() };
        for objective in 0..self.groups.len() {
            for step in 0..self.groups[objective].steps() {
                let taken = self.step(objective, batch.clone(), learning_rate)?;
                if step == 0 {
                    report.loss += taken.loss;
                    report.l2_loss += taken.l2_loss;
                    report.grad_norm = report.grad_norm.hypot(taken.grad_norm);
                }
            }
        }
        Ok(report)
    }

    /// Announces these places of the epoch's order.
    fn expect(&self, batch: Range<usize>) {
        lock(&self.shards[0]).learner.expect(&self.order[batch], Some(self.draws()));
    }

    /// Loads batch `index` of this epoch, begins the one after it, and learns nothing: a measurement of
    /// loading alone. Returns `false` if this task's rows need no loading.
    ///
    /// # Errors
    /// As of [`Study::update`], if rows cannot be read.
    pub fn load_batch(&self, index: u64) -> Result<bool, StudyError> {
        let batches = self.updates_per_epoch();
        let size = self.config.batch_size as usize;
        let [now, next] = [index, index + 1].map(|index| {
            let start = (index % batches) as usize * size;
            start..(start + size).min(self.order.len())
        });
        let rows = &self.order[now];
        self.expect(next);
        lock(&self.shards[0]).learner.load(rows, self.draws())
    }

    fn draws(&self) -> Draws {
        Draws { seed: self.trainer.seed, epoch: self.trainer.counters.epochs }
    }

    /// Collects the statistics of loading. Only an update's waiting counts: an evaluation's shards wait side
    /// by side.
    fn take_in(&mut self, updating: bool) {
        for shard in &self.shards {
            let Intake { failed, failed_to_learn, waited_secs } = lock(shard).learner.take_intake();
            self.failed_in_epoch += failed_to_learn;
            if let Some(last) = failed.last() {
                self.last_failed.clone_from(last);
            }
            self.intake.failed.extend(failed);
            self.intake.failed_to_learn += failed_to_learn;
            self.intake.waited_secs += if updating { waited_secs } else { 0.0 };
        }
    }

    /// Refuses to go on where too many rows could not be read.
    fn check_failed(&self) -> Result<(), StudyError> {
        let of = self.order.len();
        let count = self.failed_in_epoch;
        match self.has_failed() {
            true => Err(StudyError::Unreadable { count, of, last: self.last_failed.clone() }),
            false => Ok(()),
        }
    }

    fn has_failed(&self) -> bool {
        self.failed_in_epoch * FAILED_OF > self.order.len()
    }

    /// Returns the statistics of loading since the last call.
    pub fn take_intake(&mut self) -> Intake {
        std::mem::take(&mut self.intake)
    }

    /// Takes one step of an objective on these places of the epoch's order.
    fn step(
        &mut self,
        objective: usize,
        batch: Range<usize>,
        learning_rate: f64,
    ) -> Result<StudyUpdateReport, StudyError> {
        let mut gradient = self.differentiate(objective, &self.order[batch])?;
        let group = &mut self.groups[objective];
        let l2_loss = group.add_l2(&mut gradient.flat, self.config.l2)?;
        group.add_weight_decay(&mut gradient.flat, self.config.weight_decay)?;
        let grad_norm = gradient.flat.f_norm()?.f_to_kind(Kind::Double)?.f_double_value(&[])?;
        let update = self.trainer.counters.updates;
        for (number, what) in [(gradient.loss + l2_loss, "loss"), (grad_norm, "gradient")] {
            if !number.is_finite() {
                return Err(StudyError::NonFinite { what, update });
            }
        }

        let config = &self.config;
        let Gradient { flat, loss } = gradient;
        self.pool.install(move || group.step(&flat, config, learning_rate));
        Ok(StudyUpdateReport { loss, l2_loss, grad_norm, learning_rate, epoch_ended: false })
    }

    /// Runs updates to the end of the epoch and returns their mean loss.
    pub fn train_epoch(&mut self) -> Result<f64, StudyError> {
        let mut sum = 0.0;
        let mut updates = 0;
        loop {
            let report = self.update()?;
            sum += report.loss;
            updates += 1;
            if report.epoch_ended {
                return Ok(sum / f64::from(updates));
            }
        }
    }

    /// Evaluates the network on the test rows and on training rows, all of them unless the task has
    /// very many; the result is kept for [`Study::mark_held`].
    ///
    /// # Errors
    /// If the network fails, or too many rows cannot be read; nothing is changed then.
    pub fn evaluate(&mut self) -> Result<StudyEvaluation, StudyError> {
        self.check_failed()?;
        let scores = self.score(&self.scored).and_then(|train| {
            let test = self.score(&self.rows.test)?;
            Ok((train, test))
        });
        self.take_in(false);
        let (train, test) = scores?;
        let evaluation = StudyEvaluation { epoch: self.trainer.counters.epochs, train, test };
        self.trainer.evaluations.push(evaluation.clone());
        Ok(evaluation)
    }

    /// Returns `true` if an epoch has just ended that requires an evaluation, not made yet. The end
    /// of training always requires one.
    pub fn evaluation_due(&self) -> bool {
        let StudyCounters { epochs, rows_into_epoch, .. } = self.trainer.counters;
        let asked = epochs.is_multiple_of(self.config.eval_every_epochs) || self.finished();
        let made = self.trainer.evaluations.last().is_some_and(|last| last.epoch == epochs);
        // Before the first update the rows stand at 0 as well, but no epoch has ended.
        rows_into_epoch == 0 && epochs > 0 && asked && !made
    }

    /// Returns `true` if the most recent evaluations, as many as the settings require, all met the
    /// task's mark.
    pub fn mark_held(&self) -> bool {
        let Some(mark) = &self.task.mark else { return false };
        let needed = self.config.hold_evaluations as usize;
        let evaluations = &self.trainer.evaluations;
        evaluations.len() >= needed && evaluations.iter().rev().take(needed).all(mark.is_met)
    }

    /// Returns the task.
    pub fn task(&self) -> &'static Task {
        self.task
    }

    /// Returns `true` if all epochs of the settings are completed. Further updates are possible.
    pub fn finished(&self) -> bool {
        self.trainer.counters.epochs >= self.config.epochs
    }

    /// Returns the progress counters.
    pub fn counters(&self) -> StudyCounters {
        self.trainer.counters
    }

    /// Returns all evaluations so far.
    pub fn evaluations(&self) -> &[StudyEvaluation] {
        &self.trainer.evaluations
    }

    /// Number of trainable parameters.
    pub fn parameter_count(&self) -> u64 {
        self.store.parameter_count()
    }

    /// Mean number of rows per update: the last batch of an epoch may be smaller.
    pub fn rows_per_update(&self) -> f64 {
        self.order.len() as f64 / self.updates_per_epoch() as f64
    }

    /// Number of updates per epoch.
    pub fn updates_per_epoch(&self) -> u64 {
        (self.order.len() as u64).div_ceil(u64::from(self.config.batch_size))
    }

    /// Learning rate of the next update.
    pub fn learning_rate(&self) -> f64 {
        self.config.rate(self.trainer.counters.epochs)
    }

    /// Returns the indices of the training and the held-out rows.
    pub fn rows(&self) -> &SplitIndices {
        &self.rows
    }

    /// Returns outputs of the network for people to look at, as many as the task has.
    pub fn exhibits(&self) -> Result<Vec<Exhibit>, StudyError> {
        let _no_graph = tch::no_grad_guard();
        // Any shard will do, since all share the same weights.
        lock(&self.shards[0]).learner.exhibits()
    }

    /// Saves all state that later updates depend on.
    pub fn save(&self) -> Result<StudyState, StudyError> {
        Ok(StudyState {
            weights: self.store.to_named(),
            optimizer: self.groups.iter().flat_map(ParamGroup::to_named).collect(),
            trainer: self.trainer.to_bytes()?,
        })
    }

    /// Resumes from [`Study::save`], in this process or another, bit for bit.
    ///
    /// # Errors
    /// If the state is damaged or of another task, split or network; the weights are then
    /// unchanged.
    pub fn load(&mut self, state: &StudyState) -> Result<(), StudyError> {
        let trainer = StudyTrainerState::from_bytes(&state.trainer)?;
        trainer.check(&self.trainer, self.rows.train.len())?;
        // Checked before the optimiser is loaded, so that no failure leaves a mixture of states.
        self.store.check(&state.weights)?;
        for group in &self.groups {
            group.check(&state.optimizer)?;
        }
        for group in &mut self.groups {
            group.load(&state.optimizer)?;
        }
        self.store.load(&state.weights)?;
        // Seed and epoch determine the order, so the state does not hold it.
        self.order = epoch_order(&self.rows.train, trainer.seed, trainer.counters.epochs);
        self.trainer = trainer;
        Ok(())
    }

    /// Replaces the weights, with those of this network or of one that [`Task::fit_weights`] fits to
    /// it, and leaves everything else as it is.
    ///
    /// # Errors
    /// If names or shapes do not match this network; nothing is changed then.
    pub fn load_weights(&mut self, weights: NamedTensors) -> Result<(), StudyError> {
        let fitted = (self.task.fit_weights)(weights, &self.store.to_named());
        Ok(self.store.load(&fitted)?)
    }

    /// Computes the gradient of an objective's mean loss over `batch`, splitting it among the shards.
    fn differentiate(&self, objective: usize, batch: &[usize]) -> Result<Gradient, StudyError> {
        // Rows that depend on each other, as under batch normalisation, must share one pass.
        let working = match lock(&self.shards[0]).learner.row_split() {
            RowSplit::Whole(_) => 1,
            RowSplit::Rows(_) => self.shards.len(),
        };

        let leaves = &self.groups[objective].leaves;
        let draws = self.draws();
        let gradient = |shard: &StudyShard, part: &[usize]| {
            let share = Share { rows: part, batch_rows: batch.len(), draws };
            shard.gradient(objective, leaves.clone(), share)
        };
        let mut gradients = self.for_each_shard(batch, working, gradient)?.into_iter();
        let mut sum = match gradients.next() {
            Some(first) => first,
            // An empty batch has no part; its gradient is zero.
            None => gradient(&lock(&self.shards[0]), &[])?,
        };

        // In the order of the shards, whichever finished first: sums of f32 depend on the order.
        for gradient in gradients {
            sum.add(&gradient)?;
        }

        Ok(sum)
    }

    /// Splits `rows` into up to `working` parts, one per shard, runs `job` on them in parallel
    /// and returns the results in order. Every shard finishes; if several fail, the first shard's
    /// error is returned.
    fn for_each_shard<R: Send>(
        &self,
        rows: &[usize],
        working: usize,
        job: impl Fn(&StudyShard, &[usize]) -> Result<R, StudyError> + Sync,
    ) -> Result<Vec<R>, StudyError> {
        let stretch = rows.len().div_ceil(working).max(1);
        let parts: Vec<_> = rows.chunks(stretch).zip(&self.shards).enumerate().collect();
        let results: Vec<Result<R, StudyError>> = self.pool.install(|| {
            parts
                .into_par_iter()
                .with_max_len(1)
                .map(|(index, (part, shard))| catch_panic(index, || job(&lock(shard), part)))
                .collect()
        });
        // Collected before looking for errors: which of several is returned must not depend on
        // timing.
        results.into_iter().collect()
    }

    /// Counts an update that ended at row `end` of its epoch; returns `true` if that ended the
    /// epoch.
    fn count(&mut self, end: usize) -> bool {
        let counters = &mut self.trainer.counters;
        counters.updates += 1;
        if end < self.order.len() {
            counters.rows_into_epoch = end as u32;
            return false;
        }
        counters.rows_into_epoch = 0;
        counters.epochs += 1;
        self.order = epoch_order(&self.rows.train, self.trainer.seed, counters.epochs);
        // Too many in its last batch are found by whatever comes next.
        if !self.has_failed() {
            self.failed_in_epoch = 0;
        }
        true
    }

    fn score(&self, rows: &[usize]) -> Result<Score, StudyError> {
        let parts = self.for_each_shard(rows, self.shards.len(), StudyShard::scores)?;
        // Added in the order of the rows, so that the score does not depend on the threads.
        let mut sums = ScoreSums::default();
        parts.iter().flatten().for_each(|part| sums.add(part));
        Ok(Score::new(self.task, &sums, rows.len()))
    }
}

impl std::fmt::Debug for Study {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Study")
            .field("task", &self.task)
            .field("split", &self.split)
            .field("config", &self.config)
            .field("counters", &self.trainer.counters)
            .finish_non_exhaustive()
    }
}

/// Makes the C library keep memory that libtorch frees instead of returning it to the system, which
/// would have to zero the same pages again for every few rows.
///
/// glibc raises its thresholds to (up to twice) the largest mapped block that is freed, up to 32
/// MiB. Elsewhere this is a single harmless allocation.
fn keep_freed_memory() {
    drop(Tensor::empty([31 << 18], (Kind::Float, Device::Cpu))); // 31 MiB, never touched
}

/// Locks a shard for this thread. A poisoned lock is safe to ignore: a shard that panicked holds no
/// half-done state, as its weights are changed elsewhere.
fn lock(shard: &Mutex<StudyShard>) -> MutexGuard<'_, StudyShard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Draws initial weights in one flat tensor and builds `count` networks that read them.
fn build_shards(
    build: &BuildLearner,
    count: u32,
    store: &mut ParamStore,
) -> Result<(Tensor, Vec<Mutex<StudyShard>>), StudyError> {
    StudyShard::build(build, store)?; // draws the parameters
    let params = store.pack()?;
    // Built after packing: only these networks' weights alias the flat tensor that the optimiser
    // steps.
    let mut shards = Vec::new();
    for _ in 0..count {
        shards.push(Mutex::new(StudyShard::build(build, store)?));
    }
    Ok((params, shards))
}
