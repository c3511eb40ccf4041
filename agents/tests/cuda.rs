//! Compares GPU results with the CPU. Requires a GPU:
//!
//! ```text
//! export NVIDIA_TF32_OVERRIDE=0
//! cargo test -p coordrl-agents --test cuda -- --ignored
//! COORDRL_TEST_DEVICE=cuda:0 cargo test -p coordrl-agents # runs the other tests' networks there too
//! ```
//!
//! The variable makes convolutions use full precision. Without it, GPUs since Ampere round the
//! factors to eleven bits (TF32, libtorch's default), and gradients are off by one part in a
//! hundred.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

use coordrl_agents::device::DeviceChoice;
use coordrl_agents::nn::{NamedTensors, ParamStore, QHead, QNetwork};
use coordrl_agents::{Network, TorsoEntry, torsos};
use tch::{Device, Kind, Tensor};

const OBS_SHAPE: [usize; 3] = [4, 84, 84];
const ACTIONS: usize = 6;
/// Tolerance relative to the largest value.
const TOLERANCE: f64 = 5e-3;

fn gpu() -> Device {
    let full_precision = std::env::var("NVIDIA_TF32_OVERRIDE").is_ok_and(|value| value == "0");
    assert!(full_precision, "NVIDIA_TF32_OVERRIDE is not 0: see the head of this file");
    DeviceChoice::Cuda(0).resolve().unwrap()
}

/// Returns noise that is identical on every device.
fn observations() -> Tensor {
    let bytes: Vec<u8> =
        (0..5 * OBS_SHAPE.iter().product::<usize>()).map(|i| (i * i % 251) as u8).collect();
    Tensor::from_data_size(&bytes, &[5, 4, 84, 84], Kind::Uint8)
}

fn assert_same(on_gpu: &Tensor, on_cpu: &Tensor, what: &str) {
    assert!(on_gpu.device().is_cuda(), "{what} is on {:?}", on_gpu.device());
    let error = (on_gpu.to_device(Device::Cpu) - on_cpu).abs().max().double_value(&[]);
    let scale = on_cpu.abs().max().double_value(&[]);
    assert!(error <= TOLERANCE * scale && scale > 0.0, "{what}: {error:.2e} off of {scale:.2e}");
}

fn weights(torso: &TorsoEntry) -> NamedTensors {
    let mut store = ParamStore::new(1, Device::Cpu);
    Network::build(torso, OBS_SHAPE, ACTIONS, &mut store).unwrap();
    store.to_named()
}

/// Returns logits, values and the gradient of their squares.
fn policy_and_value(torso: &TorsoEntry, device: Device) -> [Tensor; 3] {
    let mut store = ParamStore::new(1, device);
    let network = Network::build(torso, OBS_SHAPE, ACTIONS, &mut store).unwrap();
    let output = network.forward(&observations().to_device(device));
    let loss = output.logits.square().sum(Kind::Float) + output.value.square().sum(Kind::Float);
    let gradient = network.gradient(&loss).unwrap();
    [output.logits.detach(), output.value.detach(), gradient]
}

#[test]
#[ignore = "needs a CUDA device"]
fn every_torso_gives_the_same_policy_value_and_gradient() {
    let device = gpu();
    for torso in torsos() {
        let gpu = policy_and_value(torso, device);
        let cpu = policy_and_value(torso, Device::Cpu);
        for ((gpu, cpu), what) in gpu.iter().zip(&cpu).zip(["logits", "values", "gradient"]) {
            assert_same(gpu, cpu, &format!("{}: {what}", torso.name));
        }
    }
}

#[test]
#[ignore = "needs a CUDA device"]
fn every_torso_gives_the_same_action_values() {
    let gpu = gpu();
    for torso in torsos() {
        for head in [QHead::Dueling, QHead::Plain] {
            let [on_gpu, on_cpu] = [gpu, Device::Cpu].map(|device| {
                let mut store = ParamStore::new(1, device);
                let network = QNetwork::build(torso, OBS_SHAPE, ACTIONS, head, &mut store).unwrap();
                network.forward(&observations().to_device(device)).detach()
            });
            assert_same(&on_gpu, &on_cpu, &format!("{}: {head:?}", torso.name));
        }
    }
}

#[test]
#[ignore = "needs a CUDA device"]
fn weights_go_there_and_come_back_to_the_last_bit() {
    let device = gpu();
    for torso in torsos() {
        let there = |seed| {
            let mut store = ParamStore::new(seed, device);
            Network::build(torso, OBS_SHAPE, ACTIONS, &mut store).unwrap();
            store
        };
        let drawn = there(1);
        let here = weights(torso);
        assert_eq!(drawn.to_named(), here, "{}: drawn", torso.name);
        let mut by_name = there(2);
        let mut by_number = there(3);
        let mut copied = there(4);
        by_name.load(&here).unwrap();
        by_number.load_flat(&drawn.to_flat().unwrap()).unwrap();
        copied.copy_from(&drawn).unwrap();
        for (store, how) in [(by_name, "by name"), (by_number, "by number"), (copied, "copied")] {
            assert_eq!(store.to_named(), here, "{}: {how}", torso.name);
        }
    }
}
