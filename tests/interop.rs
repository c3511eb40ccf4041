//! Weights travel between here and Python: what Python wrote is loaded here and gives the same
//! logits, and what is written here gives the same logits in Python. `examples/load_in_pytorch.py`
//! does the latter with PyTorch itself.

#![allow(clippy::unwrap_used, reason = "a test ends where something fails")]

use std::path::PathBuf;
use std::process::Command;

use coordrl::weights_file;
use coordrl_agents::nn::{Network, ParamStore, QHead, QNetwork, find_torso};
use tch::{Device, Kind, Tensor};

const OBS_SHAPE: [usize; 3] = [4, 36, 36];
const ACTIONS: usize = 6;

fn golden(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
}

/// The observations of `tests/golden/python_weights.py`.
fn observations() -> Tensor {
    let count = 2 * OBS_SHAPE.iter().product::<usize>();
    let bytes: Vec<u8> = (0..count).map(|i| (i * 7 % 251) as u8).collect();
    Tensor::from_slice(&bytes).view([2, 4, 36, 36])
}

fn expected(torso: &str, output: &str) -> Tensor {
    let text = std::fs::read_to_string(golden("python_outputs.json")).unwrap();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let numbers: Vec<f64> = match output {
        "value" => serde_json::from_value(all[torso][output].clone()).unwrap(),
        _ => serde_json::from_value::<Vec<Vec<f64>>>(all[torso][output].clone()).unwrap().concat(),
    };
    Tensor::from_slice(&numbers)
}

fn assert_near(found: &Tensor, expected: &Tensor) {
    let difference = (found.to_kind(Kind::Double).view(-1) - expected).abs().max().double_value(&[]);
    assert!(difference < 1e-5, "off by {difference}");
}

#[test]
fn weights_written_by_python_give_the_logits_that_pytorch_gave() {
    for torso in ["conv", "coordconv", "coordconv-all-r"] {
        let bytes = std::fs::read(golden(&format!("python_{torso}.safetensors"))).unwrap();
        let weights = weights_file::from_bytes(&bytes).unwrap();
        let mut store = ParamStore::new(1, Device::Cpu);
        let network = Network::build(find_torso(torso).unwrap(), OBS_SHAPE, ACTIONS, &mut store).unwrap();
        store.load(&weights).unwrap();
        let output = tch::no_grad(|| network.forward(&observations()));
        assert_near(&output.logits, &expected(torso, "logits"));
        assert_near(&output.value, &expected(torso, "value"));
    }
}

#[test]
fn written_weights_are_read_back_to_the_last_bit_and_say_that_they_are_pytorchs() {
    let mut store = ParamStore::new(3, Device::Cpu);
    Network::build(find_torso("coordconv").unwrap(), OBS_SHAPE, ACTIONS, &mut store).unwrap();
    let bytes = weights_file::to_bytes(&store.to_named()).unwrap();
    let header = String::from_utf8_lossy(&bytes[8..400]).into_owned();
    assert!(header.contains(r#""format":"pt""#), "{header}");
    let mut back = weights_file::from_bytes(&bytes).unwrap();
    let mut named = store.to_named();
    back.sort_by(|a, b| a.0.cmp(&b.0));
    named.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(back, named);
}

#[test]
fn written_weights_give_the_same_logits_in_python() {
    for torso in ["conv", "coordconv"] {
        let mut store = ParamStore::new(5, Device::Cpu);
        let network = Network::build(find_torso(torso).unwrap(), OBS_SHAPE, ACTIONS, &mut store).unwrap();
        let said = computed_by_python(&store, torso);
        let output = tch::no_grad(|| network.forward(&observations().narrow(0, 0, 1)));
        assert_near(&output.logits, &numbers(&said["logits"]));
        assert_near(&output.value, &Tensor::from_slice(&[said["value"].as_f64().unwrap()]));
    }
}

#[test]
fn written_weights_give_the_same_action_values_in_python() {
    for head in [QHead::Dueling, QHead::Plain] {
        let mut store = ParamStore::new(5, Device::Cpu);
        let torso = find_torso("coordconv").unwrap();
        let network = QNetwork::build(torso, OBS_SHAPE, ACTIONS, head, &mut store).unwrap();
        let said = computed_by_python(&store, "coordconv");
        let q = tch::no_grad(|| network.forward(&observations().narrow(0, 0, 1)));
        assert_near(&q, &numbers(&said["q"]));
    }
}

/// What a few lines of Python without any library make of the weights.
fn computed_by_python(store: &ParamStore, torso: &str) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    std::fs::write(&file, weights_file::to_bytes(&store.to_named()).unwrap()).unwrap();
    let python =
        Command::new("python3").arg(golden("plain_python.py")).arg(&file).arg(torso).output().unwrap();
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    serde_json::from_slice(&python.stdout).unwrap()
}

fn numbers(list: &serde_json::Value) -> Tensor {
    Tensor::from_slice(&serde_json::from_value::<Vec<f64>>(list.clone()).unwrap())
}
