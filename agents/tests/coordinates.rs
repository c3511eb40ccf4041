//! Coordinates and their controls in whole networks: how fast an optimiser moves them, which torsos
//! detect a shift, and that drawn channels are the same wherever a run's weights are used.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use coordrl_agents::nn::{
    NamedTensors, Network, Optimizer, ParamScope, ParamStore, Radius, Torso, coordinate_channels,
};
use coordrl_agents::{
    A2cConfig, ActMode, AgentState, ApexConfig, OptimizerConfig, OptimizerKind, Policy, find_torso,
};
use coordrl_envs::{EnvSpec, Role, derive_rng};
use support::apex::{catch_apex, quick};
use support::{HOW, How, assert_same_state, catch_agent, numbers, repeats_itself, updates};
use tch::{Device, Kind, Tensor};

/// Torsos with channels saved with the weights.
const WITH_SAVED_CHANNELS: [&str; 3] = ["coordconv-scaled", "noiseconv", "coordconv-shuffled"];
const CHANNELS: &str = "torso.conv1.channels";

fn get<'a>(weights: &'a NamedTensors, name: &str) -> &'a Tensor {
    &weights.iter().find(|(known, _)| known == name).expect(name).1
}

fn build(torso: &str, seed: u64, size: usize) -> (ParamStore, Network) {
    let mut store = ParamStore::new(seed, Device::Cpu);
    let network =
        Network::build(find_torso(torso).unwrap(), [4, size, size], 6, &mut store).unwrap();
    (store, network)
}

fn random_obs(rows: i64, size: i64) -> Tensor {
    Tensor::randint(256, [rows, 4, size, size], (Kind::Uint8, Device::Cpu))
}

fn logits(network: &Network, obs: &Tensor) -> Tensor {
    tch::no_grad(|| network.forward(obs).logits)
}

mod speed {
    //! One optimiser step changes each weight by about the same amount, whatever its gradient: an
    //! input shared by many weights changes their sum many times as fast.

    use super::*;

    fn root_mean_square(values: &Tensor) -> f64 {
        values.square().mean(Kind::Float).double_value(&[]).sqrt()
    }

    /// Computes the first convolution's coordinate map and bias under `weights`, without the
    /// image's contribution: `[1, 32, 20, 20]` and `[32]`.
    fn map_and_bias(weights: &NamedTensors) -> (Tensor, Tensor) {
        let plain = coordinate_channels(84, 84, Radius::Without);
        let channels =
            weights.iter().find(|(name, _)| name == CHANNELS).map_or(&plain, |(_, saved)| saved);
        let channels = channels.unsqueeze(0);
        let none = None::<Tensor>;
        let map = match weights.iter().find(|(name, _)| name.ends_with("coordinate_weight")) {
            Some((_, weight)) => {
                // The one tap is the upper left of the four in the middle of an 8×8 window: its
                // third row and column, counted from 0, every 4 pixels.
                let centres = channels.slice(2, 3, 80, 4).slice(3, 3, 80, 4);
                centres.conv2d(weight, none, 1, 0, 1, 1)
            }
            None => {
                let weight = get(weights, "torso.conv1.weight").narrow(1, 4, 2);
                channels.conv2d(&weight, none, 4, 0, 1, 1)
            }
        };

        (map, get(weights, "torso.conv1.bias").copy())
    }

    /// Draws bright squares on black, as in games, `u8 [16, 4, 84, 84]`.
    fn squares() -> Tensor {
        let obs = Tensor::zeros([16, 4, 84, 84], (Kind::Uint8, Device::Cpu));
        for row in 0..16 {
            let top = row * 29 % 76;
            let left = row * 53 % 76;
            let _ = obs.get(row).narrow(1, top, 8).narrow(2, left, 8).fill_(200);
        }
        obs
    }

    /// Returns the RMS change of the coordinate map in one step, relative to that of the biases.
    fn map_over_bias(torso: &str, kind: OptimizerKind) -> f64 {
        let (mut store, _) = build(torso, 1, 84);
        let params = store.pack().unwrap();
        let network =
            Network::build(find_torso(torso).unwrap(), [4, 84, 84], 6, &mut store).unwrap();
        let before = map_and_bias(&store.to_named());

        let output = network.forward(&squares());
        let returns = Tensor::arange(16, (Kind::Float, Device::Cpu)) / 8.0 - 0.5;
        let actions = Tensor::arange(16, (Kind::Int64, Device::Cpu)).remainder(6);
        let policy_loss = output.logits.cross_entropy_loss::<Tensor>(
            &actions,
            None,
            tch::Reduction::Mean,
            -100,
            0.0,
        );
        let value_loss = (output.value - returns).square().mean(Kind::Float);
        let gradient = network.gradient(&(policy_loss + value_loss)).unwrap();
        let config = OptimizerConfig { kind, ..Default::default() };
        Optimizer::new(&config, &params).step(&params, &gradient, 7e-4);

        let after = map_and_bias(&store.to_named());
        root_mean_square(&(after.0 - before.0)) / root_mean_square(&(after.1 - before.1))
    }

    #[test]
    fn coordinates_of_a_whole_window_move_many_times_as_fast_as_a_bias() {
        for kind in [OptimizerKind::Rmsprop, OptimizerKind::Adam] {
            let [plain, scaled, tap] = ["coordconv", "coordconv-scaled", "coordconv-tap"]
                .map(|torso| map_over_bias(torso, kind));
            let found = format!("{kind:?}: {plain} plain, {scaled} scaled, {tap} with one tap");
            // All 64 taps of both coordinates move together: 64 · √(2/3) = 52 over the frame's
            // positions.
            assert!(plain > 16.0 && plain < 64.0, "{found}");
            assert!(scaled < plain / 6.0 && scaled < 8.0, "{found}");
            assert!(tap < 1.5, "{found}");
        }
    }
}

mod pooled {
    //! After a global mean, only the coordinates carry position.

    use super::*;

    /// Distance in pixels between adjacent windows of the last convolution.
    const TOTAL_STRIDE: i64 = 4 * 2;

    /// Computes the features of `obs`, with biases such that even an empty frame has an effect.
    fn features(torso: &str, obs: &Tensor) -> Tensor {
        let mut store = ParamStore::new(1, Device::Cpu);
        let shape = [4, obs.size()[2] as usize, obs.size()[3] as usize];
        let torso: Box<dyn Torso> =
            (find_torso(torso).unwrap().build)(&mut ParamScope::new(&mut store), shape).unwrap();
        let with_bias = |(name, values): (String, Tensor)| {
            let is_bias = name.ends_with("bias");
            (name, if is_bias { pattern(values.size()[0]) } else { values })
        };
        let weights: NamedTensors = store.to_named().into_iter().map(with_bias).collect();
        store.load(&weights).unwrap();
        tch::no_grad(|| torso.forward(obs))
    }

    /// Returns values from −0.06 to 0.06.
    fn pattern(count: i64) -> Tensor {
        (Tensor::arange(count, (Kind::Float, Device::Cpu)).remainder(7) - 3.0) / 50.0
    }

    /// Draws content of 12×12 pixels in an empty frame of 100×100. The last convolution's windows
    /// are 36 pixels wide: none that covers the content reaches the border, shifted or not.
    fn frame(top: i64, left: i64) -> Tensor {
        let obs = Tensor::zeros([1, 4, 100, 100], (Kind::Uint8, Device::Cpu));
        let content = (Tensor::arange(4 * 144, (Kind::Int64, Device::Cpu)) * 37)
            .remainder(256)
            .to_kind(Kind::Uint8);
        obs.narrow(2, top, 12).narrow(3, left, 12).copy_(&content.view([1, 4, 12, 12]));
        obs
    }

    fn change(torso: &str, shift: i64) -> f64 {
        let here = features(torso, &frame(40, 40));
        let there = features(torso, &frame(40, 40 + shift));
        assert!(here.max().double_value(&[]) > 0.1, "{torso}");
        (here - there).abs().max().double_value(&[])
    }

    #[test]
    fn a_shift_is_seen_with_coordinates_only() {
        let rounding = 1e-5;
        assert!(change("conv-gap", TOTAL_STRIDE) < rounding);
        assert!(change("coordconv-gap", TOTAL_STRIDE) > 100.0 * rounding);
        // With one weight per position, the dense layer detects the shift anyway.
        assert!(change("conv", TOTAL_STRIDE) > 100.0 * rounding);
        // The frame is not one on which all outputs coincide.
        assert!(change("conv-gap", 0) == 0.0 && change("conv-gap", 3) > 100.0 * rounding);
    }
}

mod saved_channels {
    //! Channels belong to a run, like its weights.

    use super::*;

    #[test]
    fn a_change_of_seed_changes_drawn_channels_and_no_others() {
        let channels = |torso, seed| get(&build(torso, seed, 40).0.to_named(), CHANNELS).copy();
        for torso in ["noiseconv", "coordconv-shuffled"] {
            assert_eq!(channels(torso, 3), channels(torso, 3));
            assert_ne!(channels(torso, 3), channels(torso, 4));
        }
        assert_eq!(channels("coordconv-scaled", 3), channels("coordconv-scaled", 4));
    }

    #[test]
    fn every_way_of_carrying_weights_carries_the_channels() {
        let obs = random_obs(3, 40);
        for torso in WITH_SAVED_CHANNELS {
            let (store, network) = build(torso, 3, 40);
            let expected = logits(&network, &obs);
            let flat = store.to_flat().unwrap();
            assert_eq!(flat.len() as u64, store.parameter_count() + 2 * 40 * 40);

            let (mut named, by_name) = build(torso, 0, 40);
            assert_ne!(logits(&by_name, &obs), expected);
            named.load(&store.to_named()).unwrap();
            assert_eq!(logits(&by_name, &obs), expected, "{torso}");

            let (mut flattened, by_numbers) = build(torso, 0, 40);
            flattened.load_flat(&flat).unwrap();
            assert_eq!(logits(&by_numbers, &obs), expected, "{torso}");

            let (mut copied, by_copy) = build(torso, 0, 40);
            copied.copy_from(&store).unwrap();
            assert_eq!(logits(&by_copy, &obs), expected, "{torso}");
        }
    }

    #[test]
    fn weights_without_channels_are_refused_where_channels_are_needed() {
        let (mut store, _) = build("coordconv-scaled", 1, 40);
        let (plain, _) = build("coordconv", 1, 40);
        let error = store.load(&plain.to_named()).unwrap_err().to_string();
        assert_eq!(error, format!("parameter `{CHANNELS}` is missing"));
    }

    #[test]
    fn networks_built_after_the_packing_have_the_same_channels() {
        let obs = random_obs(3, 40);
        for torso in WITH_SAVED_CHANNELS {
            let (mut store, first) = build(torso, 3, 40);
            let _ = store.pack().unwrap();
            let entry = find_torso(torso).unwrap();
            let mut later = || Network::build(entry, [4, 40, 40], 6, &mut store).unwrap();
            let one = later();
            let other = later();
            assert_eq!(logits(&one, &obs), logits(&first, &obs), "{torso}");
            assert_eq!(logits(&other, &obs), logits(&first, &obs), "{torso}");

            // Weights loaded later reach every network.
            let (replacement, network) = build(torso, 4, 40);
            store.load(&replacement.to_named()).unwrap();
            assert_eq!(logits(&one, &obs), logits(&network, &obs), "{torso}");
            assert_eq!(logits(&other, &obs), logits(&network, &obs), "{torso}");
        }
    }

    #[test]
    fn a_policy_made_of_weights_alone_answers_as_the_network_did() {
        let actions = ["A", "B", "C", "D", "E", "F"].map(str::to_owned).to_vec();
        let spec =
            EnvSpec { name: "toy".to_owned(), obs_shape: [4, 40, 40], actions, frame_skip: 1 };
        let obs = random_obs(1, 40);
        let bytes = Vec::<u8>::try_from(obs.view([-1])).unwrap();
        for torso in WITH_SAVED_CHANNELS {
            let (store, network) = build(torso, 3, 40);
            let weights = store.to_named();
            let policy =
                Policy::build(find_torso(torso).unwrap(), &spec, &weights, Device::Cpu).unwrap();
            let mut rng = derive_rng(1, Role::EvalPolicy, 0);
            let (_, insight) = policy.act_with_scores(&bytes, ActMode::Greedy, &mut rng).unwrap();
            let value = tch::no_grad(|| network.forward(&obs).value).double_value(&[0]);
            assert_eq!(f64::from(insight.value), value, "{torso}");
        }
    }

    #[test]
    fn a_resumed_a2c_keeps_its_channels() {
        let config = A2cConfig { envs: 5, actors: Some(2), ..Default::default() };
        let how = How { torso: "noiseconv", ..HOW };
        let mut whole = catch_agent(&config, how);
        let first = get(&whole.save().unwrap().weights, CHANNELS).copy();
        updates(&mut whole, 2);
        let saved = whole.save().unwrap();
        assert_eq!(*get(&saved.weights, CHANNELS), first); // not trained

        let mut resumed = catch_agent(&config, How { seed: 99, ..how });
        assert_ne!(*get(&resumed.save().unwrap().weights, CHANNELS), first);
        resumed.load(saved).unwrap();
        assert_eq!(*get(&resumed.save().unwrap().weights, CHANNELS), first);
        if repeats_itself() {
            assert_eq!(updates(&mut resumed, 2), updates(&mut whole, 2));
            assert_same_state(&resumed.save().unwrap(), &whole.save().unwrap());
        }
    }

    #[test]
    fn actors_and_target_of_ape_x_have_the_learners_channels() {
        let config = ApexConfig { serial: true, ..quick() };
        let mut agent = catch_apex(&config, How { torso: "noiseconv", ..HOW });
        let first = get(&agent.save().unwrap().weights, CHANNELS).copy();
        while agent.counters().updates < 2 * config.learner.target_copy_updates {
            agent.update().unwrap();
        }

        let learner_and_actors_have_it = |state: &AgentState| {
            assert_eq!(*get(&state.weights, CHANNELS), first);
            assert_eq!(*get(&state.target, CHANNELS), first);
            // Acting weights: all values of a network, buffers last.
            let acting = numbers(&state.target, "acting");
            assert!(acting.ends_with(&numbers(&state.weights, CHANNELS)));
        };

        let saved = agent.save().unwrap();
        learner_and_actors_have_it(&saved);

        let mut resumed = catch_apex(&config, How { torso: "noiseconv", seed: 99, ..HOW });
        resumed.load(saved, None).unwrap();
        learner_and_actors_have_it(&resumed.save().unwrap());
    }
}
