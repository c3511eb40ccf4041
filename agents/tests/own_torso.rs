//! A torso from outside the registry trains like any other.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use std::sync::Arc;

use coordrl_agents::nn::{Init, Linear, NetworkError, ParamScope, scale_pixels};
use coordrl_agents::{A2c, A2cConfig, AgentSetup, Torso, TorsoEntry, build_pool};
use support::{catch, group, updates};
use tch::{Device, Tensor};

/// One dense layer on all pixels, plus an unused parameter.
struct Dense(Linear);

impl Torso for Dense {
    fn forward(&self, obs: &Tensor) -> Tensor {
        self.0.forward(&scale_pixels(obs).flatten(1, -1)).relu()
    }

    fn features(&self) -> i64 {
        16
    }
}

fn build(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
) -> Result<Box<dyn Torso>, NetworkError> {
    let pixels = obs_shape.iter().product::<usize>() as i64;
    let _spare = scope.get("torso.spare", &[3], Init::Zeros)?;
    Ok(Box::new(Dense(Linear::build(scope, "torso.fc", pixels, 16, Init::BEFORE_RELU)?)))
}

const DENSE: TorsoEntry = TorsoEntry { name: "dense", summary: "one dense layer", build };

#[test]
fn a_torso_of_ones_own_learns_and_keeps_what_it_does_not_use() {
    let config = A2cConfig { envs: 3, ..Default::default() };
    let mut agent = A2c::build(
        &config,
        AgentSetup {
            torso: &DENSE,
            device: Device::Cpu,
            seed: 1,
            total_frames: 1,
            actors: group(&config, |index| catch(1, index)),
            pool: Arc::new(build_pool(2, 1).unwrap()),
        },
    )
    .unwrap();
    let before = agent.save().unwrap().weights;
    updates(&mut agent, 3);
    for ((name, first), (_, now)) in before.iter().zip(&agent.save().unwrap().weights) {
        match name.as_str() {
            "torso.spare" => assert_eq!(first, now),
            _ => assert_ne!(first, now, "{name} did not learn"),
        }
    }
}
