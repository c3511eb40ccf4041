//! Weights are exchanged with Python: weights written by Python load here and yield the same
//! logits, and vice versa. `examples/load_in_pytorch.py` does the latter with PyTorch itself.

#![allow(clippy::unwrap_used, reason = "a test ends where something fails")]

use std::path::PathBuf;
use std::process::Command;

use coordrl::run::weights_file;
use coordrl_agents::nn::{Network, ParamStore, QHead, QNetwork, find_torso};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

const OBS_SHAPE: [usize; 3] = [4, 36, 36];
const ACTIONS: usize = 6;

fn golden(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
}

/// Builds the observations of `tests/golden/python_weights.py`.
fn observations_of([channels, height, width]: [usize; 3]) -> Tensor {
    let count = 2 * channels * height * width;
    let bytes: Vec<u8> = (0..count).map(|i| (i * 7 % 251) as u8).collect();
    Tensor::from_slice(&bytes).view([2, channels as i64, height as i64, width as i64])
}

fn observations() -> Tensor {
    observations_of(OBS_SHAPE)
}

/// Reads the outputs computed by PyTorch, by torso.
fn python_outputs() -> Value {
    let text = std::fs::read_to_string(golden("python_outputs.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn expected(outputs: &Value, output: &str) -> Tensor {
    let numbers: Vec<f64> = match output {
        "value" => serde_json::from_value(outputs[output].clone()).unwrap(),
        _ => serde_json::from_value::<Vec<Vec<f64>>>(outputs[output].clone()).unwrap().concat(),
    };
    Tensor::from_slice(&numbers)
}

fn assert_near(found: &Tensor, expected: &Tensor) {
    let difference =
        (found.to_kind(Kind::Double).view(-1) - expected).abs().max().double_value(&[]);
    assert!(difference < 1e-5, "off by {difference}");
}

#[test]
fn weights_written_by_python_give_the_logits_that_pytorch_gave() {
    for torso in ["conv", "coordconv", "coordconv-all-r"] {
        let bytes = std::fs::read(golden(&format!("python_{torso}.safetensors"))).unwrap();
        let weights = weights_file::from_bytes(&bytes).unwrap();
        let mut store = ParamStore::new(1, Device::Cpu);
        let network =
            Network::build(find_torso(torso).unwrap(), OBS_SHAPE, ACTIONS, &mut store).unwrap();
        store.load(&weights).unwrap();
        let output = tch::no_grad(|| network.forward(&observations()));
        let outputs = &python_outputs()[torso];
        assert_near(&output.logits, &expected(outputs, "logits"));
        assert_near(&output.value, &expected(outputs, "value"));
    }
}

/// Torsos whose weights are computed by [`formula`] instead of read from a file.
const BY_FORMULA: [&str; 9] = [
    "coordconv-scaled",
    "coordconv-tap",
    "coordconv-zero",
    "noiseconv",
    "coordconv-shuffled",
    "conv-gap",
    "coordconv-gap",
    "impala-gap",
    "coordconv-impala-gap",
];
/// Shape of observations whose features leave 2×3 positions to pool.
const POOLED_OBS_SHAPE: [usize; 3] = [4, 44, 52];

/// Returns multiples of 1 / `unit` from −`steps` to `steps`, for the `number`th tensor by name; as
/// in `tests/golden/python_weights.py`.
fn formula(number: usize, shape: &[i64], steps: u64, unit: f32) -> Tensor {
    let count = shape.iter().product::<i64>() as u64;
    let value = |index: u64| {
        let bits = ((index + 1) * 2_654_435_761 + number as u64 * 40_503) >> 13;
        ((bits % (2 * steps + 1)) as f32 - steps as f32) / unit
    };
    Tensor::from_slice(&(0..count).map(value).collect::<Vec<f32>>()).view(shape)
}

/// Fills a store as the script fills a PyTorch network; names and shapes must match.
fn fill_by_formula(store: &mut ParamStore, torso: &str, outputs: &Value) {
    let mut weights = store.to_named();
    weights.sort_by(|a, b| a.0.cmp(&b.0));
    let shapes: Vec<(&String, Vec<i64>)> =
        weights.iter().map(|(name, values)| (name, values.size())).collect();
    let theirs = outputs["shapes"].as_object().unwrap();
    let mut theirs: Vec<(&String, Vec<i64>)> = theirs
        .iter()
        .map(|(name, shape)| (name, serde_json::from_value(shape.clone()).unwrap()))
        .collect();
    theirs.sort();
    assert_eq!(shapes, theirs, "{torso}");

    for (number, (name, values)) in weights.iter_mut().enumerate() {
        if !name.ends_with("channels") {
            *values = formula(number, &values.size(), 6, 64.0);
        } else if torso != "coordconv-scaled" {
            *values = formula(number, &values.size(), 8, 8.0); // both sides compute the scaled ones
        }
    }

    store.load(&weights).unwrap();
}

#[test]
fn every_later_torso_computes_what_its_pytorch_module_does() {
    let outputs = python_outputs();
    let obs = observations_of(POOLED_OBS_SHAPE);
    for name in BY_FORMULA {
        let torso = find_torso(name).unwrap();

        let mut store = ParamStore::new(1, Device::Cpu);
        let network = Network::build(torso, POOLED_OBS_SHAPE, ACTIONS, &mut store).unwrap();
        fill_by_formula(&mut store, name, &outputs[name]["a2c"]);
        let output = tch::no_grad(|| network.forward(&obs));
        assert_near(&output.logits, &expected(&outputs[name]["a2c"], "logits"));
        assert_near(&output.value, &expected(&outputs[name]["a2c"], "value"));

        let mut store = ParamStore::new(1, Device::Cpu);
        let network =
            QNetwork::build(torso, POOLED_OBS_SHAPE, ACTIONS, QHead::Dueling, &mut store).unwrap();
        fill_by_formula(&mut store, name, &outputs[name]["apex"]);
        let q = tch::no_grad(|| network.forward(&obs));
        assert_near(&q, &expected(&outputs[name]["apex"], "q"));
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
    for torso in ["conv", "coordconv", "coordconv-scaled", "noiseconv"] {
        let mut store = ParamStore::new(5, Device::Cpu);
        let network =
            Network::build(find_torso(torso).unwrap(), OBS_SHAPE, ACTIONS, &mut store).unwrap();
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

/// Computes outputs from the weights in plain Python, without libraries.
fn computed_by_python(store: &ParamStore, torso: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    std::fs::write(&file, weights_file::to_bytes(&store.to_named()).unwrap()).unwrap();
    let python = Command::new("python3")
        .arg(golden("plain_python.py"))
        .arg(&file)
        .arg(torso)
        .output()
        .unwrap();
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    serde_json::from_slice(&python.stdout).unwrap()
}

fn numbers(list: &Value) -> Tensor {
    Tensor::from_slice(&serde_json::from_value::<Vec<f64>>(list.clone()).unwrap())
}
