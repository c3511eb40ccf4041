//! A2C settings.

use coordrl_envs::Problem;
use serde::{Deserialize, Serialize};

use crate::nn::OptimizerConfig;
use crate::on_policy::Gradients;
use crate::threads::split_evenly;

/// Name of the settings table in a configuration file.
pub(crate) const TABLE: &str = "a2c";

/// A2C settings. Defaults follow the synchronous form of Mnih et al. 2016 (arXiv:1602.01783) with
/// the network and coefficients now standard for Atari.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct A2cConfig {
    /// Number of environments, N: each update learns from N × `rollout_agent_steps` rows.
    pub envs: u32,
    /// Number of actors, the groups into which the environments are split. Changes the order in
    /// which gradients are summed, so results depend on it (but not on the number of threads).
    /// Default: two, or one if there is only one environment.
    pub actors: Option<u32>,
    /// Rollout length T in agent steps per environment.
    pub rollout_agent_steps: u32,
    /// Discount γ per agent step.
    pub discount: f64,
    /// λ of generalised advantage estimation; 1 is the plain n-step return.
    pub gae_lambda: f64,
    /// Normalises the advantages of each update to mean 0 and standard deviation 1.
    pub normalize_advantage: bool,
    /// Weight of the entropy bonus, which encourages exploration.
    pub entropy_coef: f64,
    /// Weight of the mean squared value error. That error has no factor ½: 0.25 here equals 0.5 in
    /// recipes with the ½.
    pub value_coef: f64,
    /// Maximum Euclidean norm of the whole gradient, or `"off"`.
    #[serde(with = "crate::off")]
    pub max_grad_norm: Option<f64>,
    /// Optimiser settings.
    pub optimizer: OptimizerConfig,
    /// Place where gradients are computed.
    pub gradients: Gradients,
}

impl Default for A2cConfig {
    fn default() -> Self {
        Self {
            envs: 16,
            actors: None,
            rollout_agent_steps: 5,
            discount: 0.99,
            gae_lambda: 1.0,
            normalize_advantage: false,
            entropy_coef: 0.01,
            value_coef: 0.25,
            max_grad_norm: Some(0.5),
            optimizer: OptimizerConfig::default(),
            gradients: Gradients::Auto,
        }
    }
}

impl A2cConfig {
    /// Returns the number of actors: as set, otherwise two if there are at least two environments.
    pub fn num_actors(&self) -> u32 {
        self.actors.unwrap_or_else(|| self.envs.clamp(1, 2))
    }

    /// Returns the number of environments per actor: as even as possible, the first ones get one
    /// more.
    pub fn envs_per_actor(&self) -> Vec<usize> {
        split_evenly(self.envs as usize, self.num_actors() as usize)
    }

    /// Returns the number of rows per update: N × T.
    pub fn rows_per_update(&self) -> u64 {
        u64::from(self.envs) * u64::from(self.rollout_agent_steps)
    }

    /// Returns all problems with these settings; keys start with `a2c.`.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.check_counts(&mut problems);
        for (key, value) in [("a2c.discount", self.discount), ("a2c.gae_lambda", self.gae_lambda)] {
            if !(0.0..=1.0).contains(&value) {
                problems.push(Problem::new(key, format!("is {value}; it must be between 0 and 1")));
            }
        }

        let coefs = [("a2c.entropy_coef", self.entropy_coef), ("a2c.value_coef", self.value_coef)];
        for (key, value) in coefs {
            if !(value.is_finite() && value >= 0.0) {
                problems.push(Problem::new(
                    key,
                    format!("is {value}; it must be a number of 0 or more"),
                ));
            }
        }

        if let Some(norm) = self.max_grad_norm
            && !(norm.is_finite() && norm > 0.0)
        {
            let text = format!("is {norm}; it must be above 0, or \"off\" for no limit");
            problems.push(Problem::new("a2c.max_grad_norm", text));
        }

        problems.extend(self.optimizer.check("a2c.optimizer"));
        problems
    }

    fn check_counts(&self, problems: &mut Vec<Problem>) {
        if self.envs == 0 {
            problems.push(Problem::new("a2c.envs", "is 0; the least is 1"));
        }

        if self.rollout_agent_steps == 0 {
            let text = "is 0; the least is 1";
            problems.push(Problem::new("a2c.rollout_agent_steps", text));
        }

        match self.actors {
            Some(0) => problems.push(Problem::new("a2c.actors", "is 0; the least is 1")),
            Some(actors) if actors > self.envs => {
                let text = format!(
                    "is {actors}, but {envs} environments leave {} actors without any; \
                     at most {most} here",
                    actors - self.envs,
                    envs = self.envs,
                    most = self.envs.max(1),
                );
                problems.push(Problem::new("a2c.actors", text));
            }
            _ => {}
        }

        if self.normalize_advantage && self.rows_per_update() == 1 {
            let text = "is on, but one row an update (1 environment × 1 agent step) has no spread to divide by";
            problems.push(Problem::new("a2c.normalize_advantage", text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(config: &A2cConfig) -> Vec<String> {
        config.check().into_iter().map(|problem| problem.key.to_string()).collect()
    }

    #[test]
    fn the_defaults_are_valid_and_small_counts_of_envs_need_no_other_setting() {
        for envs in 1..=5 {
            let config = A2cConfig { envs, ..Default::default() };
            assert_eq!(config.check(), vec![]);
            let sizes = config.envs_per_actor();
            assert_eq!(sizes.iter().sum::<usize>(), envs as usize);
            assert!(sizes.iter().all(|&size| size >= 1));
        }
    }

    #[test]
    fn environments_are_split_as_evenly_as_possible() {
        let split = |envs, actors| {
            A2cConfig { envs, actors: Some(actors), ..Default::default() }.envs_per_actor()
        };
        assert_eq!(split(16, 2), [8, 8]);
        assert_eq!(split(7, 3), [3, 2, 2]);
        assert_eq!(split(3, 3), [1, 1, 1]);
    }

    #[test]
    fn every_problem_is_listed_at_once() {
        let mut config = A2cConfig {
            envs: 2,
            actors: Some(3),
            rollout_agent_steps: 0,
            discount: 1.5,
            gae_lambda: f64::NAN,
            entropy_coef: -1.0,
            value_coef: f64::INFINITY,
            max_grad_norm: Some(0.0),
            ..Default::default()
        };

        config.optimizer.learning_rate = 0.0;
        assert_eq!(
            keys(&config),
            [
                "a2c.rollout_agent_steps",
                "a2c.actors",
                "a2c.discount",
                "a2c.gae_lambda",
                "a2c.entropy_coef",
                "a2c.value_coef",
                "a2c.max_grad_norm",
                "a2c.optimizer.learning_rate",
            ]
        );
        let none = A2cConfig { envs: 0, actors: Some(0), ..Default::default() };
        assert_eq!(keys(&none), ["a2c.envs", "a2c.actors"]);
    }

    #[test]
    fn one_row_cannot_be_normalised() {
        let config = A2cConfig {
            envs: 1,
            rollout_agent_steps: 1,
            normalize_advantage: true,
            ..Default::default()
        };
        assert_eq!(keys(&config), ["a2c.normalize_advantage"]);
    }

    #[test]
    fn toml_and_json_come_back_as_they_went() {
        for max_grad_norm in [None, Some(0.5)] {
            for actors in [None, Some(4)] {
                let config = A2cConfig { max_grad_norm, actors, ..Default::default() };
                let toml = toml::to_string(&config).unwrap();
                assert_eq!(toml::from_str::<A2cConfig>(&toml).unwrap(), config);
                let json = serde_json::to_string(&config).unwrap();
                assert_eq!(serde_json::from_str::<A2cConfig>(&json).unwrap(), config);
            }
        }
    }

    #[test]
    fn unknown_keys_and_words_are_refused() {
        assert!(toml::from_str::<A2cConfig>("env = 3").is_err());
        let error = toml::from_str::<A2cConfig>("max_grad_norm = \"none\"").unwrap_err();
        assert!(error.to_string().contains("\"off\""), "{error}");
        assert!(toml::from_str::<A2cConfig>("[optimizer]\nkind = \"adagrad\"").is_err());
    }
}
