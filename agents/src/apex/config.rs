//! Settings of Ape-X.

use coordrl_envs::Problem;
use serde::{Deserialize, Serialize};

use super::learner_config::LearnerConfig;
use super::limiter::Rates;
use crate::replay::{PlaneForm, ReplayConfig};
use crate::threads::split_evenly;

/// Growth of the replay beyond its capacity between two trims, as a share.
const SLACK_SHARE: f64 = 0.05;

/// Ape-X settings. Defaults follow the paper (Horgan et al. 2018, arXiv:1803.00933, appendix C)
/// except for the number of environments, which needs a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApexConfig {
    /// Number of environments, over all actors. The ε ladder is spread over them. Actors in other
    /// processes have as many each as one here, or all of them if there is none here.
    pub envs: u32,
    /// Number of actors, each a thread with its own share of the environments. By default two, or
    /// one if there is only one environment. 0 leaves acting to other processes.
    pub actors: Option<u32>,
    /// Discount γ per agent step.
    pub discount: f64,
    /// Number of agent steps whose rewards a transition accumulates.
    pub n_step: u32,
    /// ε of the environment that explores most: environment i of N acts at random with probability
    /// `epsilon_base` ^ (1 + `epsilon_exponent` · i / (N − 1)).
    pub epsilon_base: f64,
    /// Range of the ε ladder.
    pub epsilon_exponent: f64,
    /// Agent steps of an actor between checks for newer weights. Central inference always uses the
    /// latest weights.
    pub weights_every_agent_steps: u32,
    /// Agent steps of an actor between messages of experience.
    pub send_every_agent_steps: u32,
    /// Capacity of the experience queue, in messages; actors block when it is full.
    pub experience_queue: u32,
    /// Learner updates between publications of its weights.
    pub publish_every_updates: u32,
    /// Source of the actors' Q-values. Serial mode supports only `local`.
    pub inference: Inference,
    /// Run everything in one thread, in a fixed order: repeatable bit for bit. Settings for
    /// sending, queueing, publishing and prefetching between threads are ignored then.
    pub serial: bool,
    /// Samples per transition inserted after the warm-up, or `"off"` for no limit.
    #[serde(with = "crate::off")]
    pub samples_per_insert: Option<f64>,
    /// Maximum deviation from that ratio, in samples, in either direction; by default ten batches
    /// or the minimum that rules out a deadlock, whichever is larger.
    pub samples_tolerance: Option<f64>,
    /// Number of batches prefetched for the learner.
    pub prefetch_batches: u32,
    /// Number of threads that prefetch them.
    pub prefetch_threads: u32,
    /// Settings of the replay.
    pub replay: ApexReplayConfig,
    /// Settings of the learner.
    pub learner: LearnerConfig,
    /// Settings of actors in other processes, which a run has only with a link.
    pub fleet: FleetConfig,
}

/// Settings of actors in other processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FleetConfig {
    /// Number of environments in other processes, over all of them. Each has a place on an ε ladder
    /// of this length, of which there is one place each: more environments wait for a free one.
    pub places: u32,
    /// MiB of experience that one process may have at the broker without a checkpoint that covers
    /// it; then it waits.
    pub log_mib: u32,
}

impl FleetConfig {
    /// Returns the bytes of experience that one process may have at the broker.
    pub fn log_bytes(&self) -> u64 {
        u64::from(self.log_mib) << 20
    }
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self { places: 64, log_mib: 64 }
    }
}

/// Settings of the replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApexReplayConfig {
    /// Capacity in transitions. A soft limit: up to 5 % more may be held until the next trim.
    pub capacity: u64,
    /// Transitions to insert before learning starts.
    pub warmup_transitions: u64,
    /// Learner updates between two trims.
    pub trim_every_updates: u32,
    /// Priority exponent α; 0 samples uniformly.
    pub priority_exponent: f64,
    /// Importance exponent β: strength of the correction for non-uniform sampling.
    pub importance_exponent: f64,
    /// Added to every |TD error|, so that every transition can be sampled again.
    pub priority_epsilon: f64,
    /// Store frames compressed (LZ4): about five times as many fit, but sampling is slower.
    pub compress: bool,
    /// Save the replay in checkpoints, so that a resumed run continues with it.
    pub save: bool,
}

/// Source of the actors' Q-values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inference {
    /// Each actor has its own copy of the network, on the CPU.
    Local,
    /// One network on the learner's device serves all waiting actors in one batch.
    Central,
}

impl Default for ApexConfig {
    fn default() -> Self {
        Self {
            envs: 16,
            actors: None,
            discount: 0.99,
            n_step: 3,
            epsilon_base: 0.4,
            epsilon_exponent: 7.0,
            weights_every_agent_steps: 100,
            send_every_agent_steps: 50,
            experience_queue: 16,
            publish_every_updates: 1,
            inference: Inference::Local,
            serial: false,
            samples_per_insert: None,
            samples_tolerance: None,
            prefetch_batches: 16,
            prefetch_threads: 1,
            replay: ApexReplayConfig::default(),
            learner: LearnerConfig::default(),
            fleet: FleetConfig::default(),
        }
    }
}

impl Default for ApexReplayConfig {
    fn default() -> Self {
        Self {
            capacity: 2_000_000,
            warmup_transitions: 50_000,
            trim_every_updates: 100,
            priority_exponent: 0.6,
            importance_exponent: 0.4,
            priority_epsilon: 1e-6,
            compress: false,
            save: true,
        }
    }
}

impl ApexReplayConfig {
    /// Returns the form in which frames are stored.
    pub fn plane_form(&self) -> PlaneForm {
        if self.compress { PlaneForm::Lz4 } else { PlaneForm::Raw }
    }

    /// Returns the replay configuration for observations of shape `[C, H, W]`.
    pub fn for_obs(&self, obs_shape: [usize; 3]) -> ReplayConfig {
        ReplayConfig {
            capacity: self.capacity as usize,
            slack_share: SLACK_SHARE,
            priority_exponent: self.priority_exponent,
            importance_exponent: self.importance_exponent,
            priority_epsilon: self.priority_epsilon,
            obs_shape,
            plane_form: self.plane_form(),
        }
    }
}

impl ApexConfig {
    /// Returns the number of actors: as set, else two if there are two environments.
    pub fn num_actors(&self) -> u32 {
        self.actors.unwrap_or_else(|| self.envs.clamp(1, 2))
    }

    /// Returns the number of environments per actor: as even as possible, the first ones one more.
    /// Without actors, one environment, which shows its shapes and is never stepped.
    pub fn envs_per_actor(&self) -> Vec<usize> {
        match self.num_actors() {
            0 => vec![1],
            actors => split_evenly(self.envs as usize, actors as usize),
        }
    }

    /// Returns the number of environments of an actor in another process: the most that one here has.
    pub fn envs_of_remote_actor(&self) -> usize {
        self.envs.div_ceil(self.num_actors().max(1)) as usize
    }

    /// Returns the number of threads besides those that learn: actors, ingestion and prefetching.
    pub fn num_threads(&self) -> usize {
        if self.serial {
            return 0;
        }
        (self.num_actors() + 1 + self.prefetch_threads) as usize
    }

    /// Returns ε of each environment of this process, in decreasing order.
    pub fn epsilons(&self) -> Vec<f64> {
        self.ladder(self.envs)
    }

    /// Returns the ε ladder of that many places, in decreasing order.
    pub fn ladder(&self, places: u32) -> Vec<f64> {
        // A single place would divide 0 by 0; this way it explores with `epsilon_base`.
        let last = f64::from(places.saturating_sub(1).max(1));
        (0..places)
            // ε_i = ε^(1 + α · i / (N − 1)): Horgan et al. 2018, section 4.1.
            .map(|env| 1.0 + self.epsilon_exponent * f64::from(env) / last)
            .map(|exponent| self.epsilon_base.powf(exponent))
            .collect()
    }

    /// Returns ε by place in other processes. Places are taken in order, so the ladder is spread over
    /// them: any number of the first ones covers its whole range.
    pub(super) fn epsilons_by_place(&self) -> Vec<f64> {
        let mut places: Vec<u32> = (0..self.fleet.places).collect();
        // The sequence of van der Corput: halves, then quarters, then eighths.
        places.sort_by_key(|place| place.reverse_bits());
        let mut epsilons = vec![0.0; places.len()];
        for (place, epsilon) in places.into_iter().zip(self.ladder(self.fleet.places)) {
            epsilons[place as usize] = epsilon;
        }
        epsilons
    }

    /// Returns the initial state of the rate limiter.
    pub fn rates(&self) -> Rates {
        Rates {
            warmup_transitions: self.replay.warmup_transitions,
            samples_per_insert: self.samples_per_insert,
            tolerance: self.tolerance(),
            inserted: 0,
            sampled: 0,
        }
    }

    /// Lists all problems with these settings; keys start with `apex.`.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.check_counts(&mut problems);
        self.check_shares(&mut problems);
        self.check_rates(&mut problems);
        self.check_replay(&mut problems);
        problems.extend(self.learner.check("apex.learner"));
        problems
    }

    fn check_counts(&self, problems: &mut Vec<Problem>) {
        let counts = [
            ("apex.envs", u64::from(self.envs)),
            ("apex.n_step", self.n_step.into()),
            ("apex.weights_every_agent_steps", self.weights_every_agent_steps.into()),
            ("apex.send_every_agent_steps", self.send_every_agent_steps.into()),
            ("apex.experience_queue", self.experience_queue.into()),
            ("apex.publish_every_updates", self.publish_every_updates.into()),
            ("apex.prefetch_batches", self.prefetch_batches.into()),
            ("apex.prefetch_threads", self.prefetch_threads.into()),
            ("apex.replay.capacity", self.replay.capacity),
            ("apex.replay.warmup_transitions", self.replay.warmup_transitions),
            ("apex.replay.trim_every_updates", self.replay.trim_every_updates.into()),
            ("apex.fleet.places", self.fleet.places.into()),
            ("apex.fleet.log_mib", self.fleet.log_mib.into()),
        ];
        for (key, count) in counts {
            if count == 0 {
                problems.push(Problem::new(key, "is 0; the least is 1"));
            }
        }

        match self.actors {
            Some(0) if self.serial => problems.push(Problem::new(
                "apex.actors",
                "is 0, but in one thread nobody else acts; the least is 1",
            )),
            Some(actors) if actors > self.envs => problems.push(Problem::new(
                "apex.actors",
                format!("is {actors}, more than the {} environments; at most that many", self.envs),
            )),
            _ => {}
        }
    }

    fn check_shares(&self, problems: &mut Vec<Problem>) {
        let shares = [
            ("apex.discount", self.discount),
            ("apex.epsilon_base", self.epsilon_base),
            ("apex.replay.priority_exponent", self.replay.priority_exponent),
            ("apex.replay.importance_exponent", self.replay.importance_exponent),
        ];
        for (key, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                problems.push(Problem::new(key, format!("is {share}; it must be between 0 and 1")));
            }
        }

        let numbers = [
            ("apex.epsilon_exponent", self.epsilon_exponent),
            ("apex.replay.priority_epsilon", self.replay.priority_epsilon),
        ];
        for (key, number) in numbers {
            if !(number.is_finite() && number >= 0.0) {
                problems.push(Problem::new(
                    key,
                    format!("is {number}; it must be a number of 0 or more"),
                ));
            }
        }
    }

    fn check_rates(&self, problems: &mut Vec<Problem>) {
        if self.serial && self.inference == Inference::Central {
            let text =
                "is \"central\", but in one thread there is nobody to infer for; try \"local\"";
            problems.push(Problem::new("apex.inference", text));
        }

        let Some(ratio) = self.samples_per_insert else {
            if self.serial {
                let text = "is \"off\", but in one thread nothing else says when to act and when to learn; \
                            try 8";
                problems.push(Problem::new("apex.samples_per_insert", text));
            }
            return;
        };

        if !(ratio.is_finite() && ratio > 0.0) {
            let text = format!("is {ratio}; it must be above 0, or \"off\" for no limit");
            return problems.push(Problem::new("apex.samples_per_insert", text));
        }

        let least = self.least_tolerance(ratio);
        if let Some(tolerance) = self.samples_tolerance
            && !(tolerance.is_finite() && tolerance >= least)
        {
            let text = format!(
                "is {tolerance}; with less than {least} (a batch, and `samples_per_insert` times what an \
                 actor may send at once) actors and learner could wait for each other forever"
            );
            problems.push(Problem::new("apex.samples_tolerance", text));
        }
    }

    fn check_replay(&self, problems: &mut Vec<Problem>) {
        let ApexReplayConfig { capacity, warmup_transitions, .. } = self.replay;
        if warmup_transitions > capacity {
            let text = format!(
                "is {warmup_transitions}, more than `apex.replay.capacity` = {capacity} holds"
            );
            problems.push(Problem::new("apex.replay.warmup_transitions", text));
        }
    }

    fn tolerance(&self) -> f64 {
        let least = self.samples_per_insert.map_or(0.0, |ratio| self.least_tolerance(ratio));
        self.samples_tolerance
            .unwrap_or_else(|| least.max(10.0 * f64::from(self.learner.batch_size)))
    }

    /// Returns the minimum `samples_tolerance`. A message of experience holds, for each
    /// environment, one transition per agent step, plus those still incomplete at the end of an
    /// episode.
    fn least_tolerance(&self, ratio: f64) -> f64 {
        let envs = self.envs_of_remote_actor() as u64;
        let most = envs * (u64::from(self.send_every_agent_steps) + u64::from(self.n_step));
        Rates::least_tolerance(ratio, self.learner.batch_size.into(), most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_toml_and_json_come_back() {
        for serial in [false, true] {
            let samples_per_insert = serial.then_some(8.0);
            let config =
                ApexConfig { serial, samples_per_insert, actors: Some(3), ..Default::default() };
            assert_eq!(config.check(), vec![]);
            let toml = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<ApexConfig>(&toml).unwrap(), config);
            let json = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<ApexConfig>(&json).unwrap(), config);
        }
        assert!(toml::from_str::<ApexConfig>("[replay]\nsize = 3").is_err());
    }

    #[test]
    fn the_first_places_elsewhere_cover_the_ladder() {
        let mut config = ApexConfig::default();
        for places in [1, 7, 64] {
            config.fleet.places = places;
            let mut by_place = config.epsilons_by_place();
            let ladder = config.ladder(places);
            if places == 64 {
                let position = |epsilon: &f64| ladder.iter().position(|one| one == epsilon);
                let first = by_place.iter().take(8).filter_map(position).collect::<Vec<_>>();
                assert_eq!(first, [0, 32, 16, 48, 8, 40, 24, 56]);
            }
            by_place.sort_by(|one, other| other.total_cmp(one));
            assert_eq!(by_place, ladder);
        }
    }

    #[test]
    fn the_ladder_is_that_of_the_paper() {
        let epsilons = ApexConfig { envs: 8, ..Default::default() }.epsilons();
        for (env, epsilon) in epsilons.iter().enumerate() {
            assert!((epsilon - 0.4f64.powi(env as i32 + 1)).abs() < 1e-12, "{env}: {epsilon}");
        }
        let many = ApexConfig { envs: 360, ..Default::default() }.epsilons();
        assert!((many[0] - 0.4).abs() < 1e-12 && (many[359] - 0.4f64.powi(8)).abs() < 1e-12);
        assert!((many[1] - 0.393).abs() < 5e-4);
        assert_eq!(ApexConfig { envs: 1, ..Default::default() }.epsilons(), [0.4]);
    }

    #[test]
    fn every_problem_is_listed_at_once() {
        let mut config = ApexConfig {
            envs: 2,
            actors: Some(3),
            discount: 1.5,
            n_step: 0,
            epsilon_base: f64::NAN,
            epsilon_exponent: -1.0,
            weights_every_agent_steps: 0,
            send_every_agent_steps: 0,
            experience_queue: 0,
            publish_every_updates: 0,
            serial: true,
            prefetch_batches: 0,
            prefetch_threads: 0,
            ..Default::default()
        };

        config.replay.capacity = 0;
        config.replay.priority_epsilon = f64::INFINITY;
        config.learner.batch_size = 0;
        let keys: Vec<String> = config.check().into_iter().map(|problem| problem.key).collect();
        let expected = [
            "n_step",
            "weights_every_agent_steps",
            "send_every_agent_steps",
            "experience_queue",
            "publish_every_updates",
            "prefetch_batches",
            "prefetch_threads",
            "replay.capacity",
            "actors",
            "discount",
            "epsilon_base",
            "epsilon_exponent",
            "replay.priority_epsilon",
            "samples_per_insert",
            "replay.warmup_transitions",
            "learner.batch_size",
        ];
        assert_eq!(keys, expected.map(|key| format!("apex.{key}")));
    }

    #[test]
    fn a_tolerance_that_could_stop_both_sides_is_refused_with_the_least_that_cannot() {
        let mut config = ApexConfig {
            envs: 8,
            actors: Some(2),
            samples_per_insert: Some(2.0),
            samples_tolerance: Some(935.0),
            ..Default::default()
        };

        // 512 + 2 · 4 environments · (50 + 3)
        let text = config.check()[0].to_string();
        assert!(text.contains("`apex.samples_tolerance` is 935; with less than 936"), "{text}");
        config.samples_tolerance = Some(936.0);
        assert_eq!(config.check(), vec![]);
        config.samples_tolerance = None;
        assert_eq!(config.rates().tolerance, 5120.0);
    }
}
