//! Speed of learning of the networks with coordinates, beside the same mathematics written as one would
//! first write it, and beside the matrix products alone.
//!
//! ```text
//! cargo bench -p coordrl-studies --bench update
//! ```
//!
//! *plain*: the classifier as in the paper's listing: x and y tiled to two channels, coordinates
//! concatenated, 1×1 `conv2d` over the whole batch, libtorch's threads. *products*: nothing but the
//! matrix products that forward and backward pass cannot do without, a row at a time. All take
//! turns, so that a busy machine slows all alike; ratios are those of the medians.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for people")]

use std::time::{Duration, Instant};

use coordrl_agents::build_pool;
use coordrl_studies::{Split, Study, StudyConfig, StudySetup, Task, find_layer, find_task, tasks};
use tch::{Device, Kind, Reduction, Tensor};

const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(3);
const SIDE: i64 = 64;
const PIXELS: i64 = SIDE * SIDE;
/// Channels before and after each of the classifier's layers.
const CHANNELS: [i64; 6] = [4, 32, 32, 64, 64, 1];

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }

    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let mut counts = vec![1, cores];
    counts.dedup();
    for threads in counts {
        compare_classifiers(threads);
    }

    println!("\nall tasks, {cores} threads, recipe's batch, updates/s");
    for task in tasks() {
        let mut study = study(task, cores);
        let speeds = (0..TURNS).map(|_| speed(|| _ = study.update().unwrap())).collect();
        println!("{:<28} {:>8.1}", task.name, median(speeds));
    }
}

fn compare_classifiers(threads: usize) {
    let classify = find_task("classify").unwrap();
    let batch = i64::from(recipe(classify).batch_size);
    let mut study = study(classify, threads);
    let mut plain = Plain::new(batch);
    let products = Products::new();
    let mut speeds: [Vec<f64>; 3] = Default::default();
    for _ in 0..TURNS {
        speeds[0].push(speed(|| _ = study.update().unwrap()));
        tch::set_num_threads(threads as i32);
        speeds[1].push(speed(|| plain.update()));
        tch::set_num_threads(1);
        speeds[2].push(speed(|| (0..batch).for_each(|_| products.row())) * threads as f64);
    }

    let [ours, plain, products] = speeds.map(median);
    let gflop = 1e-9 * batch as f64 * Products::flop_a_row();
    println!("\nclassify, batch {batch}, {threads} threads, updates/s (median of {TURNS} turns)");
    let line = |name: &str, speed: f64| {
        println!(
            "{name:<28} {speed:>8.1}   ratio {:.2}   {:>6.1} GFLOP/s",
            speed / plain,
            speed * gflop
        );
    };

    line("plain", plain);
    line("coordrl", ours);
    line("products, on each thread", products);
    println!("the products are {:.0} % of coordrl's time", 100.0 * ours / products);
}

fn recipe(task: &Task) -> StudyConfig {
    task.recipe(find_layer("coordconv").unwrap())
}

fn study(task: &'static Task, threads: usize) -> Study {
    let config = StudyConfig { shards: threads as u32, ..recipe(task) };
    let layer = find_layer("coordconv").unwrap();
    let pool = build_pool(threads, 1).unwrap().into();
    let split = Split::Uniform;
    let device = Device::Cpu;
    Study::build(StudySetup { task, split, layer, config: &config, seed: 1, device, pool }).unwrap()
}

/// The classifier as the listing in the paper has it.
struct Plain {
    weights: Vec<Tensor>,
    inputs: Tensor,
    targets: Tensor,
    coordinates: Tensor,
}

impl Plain {
    fn new(batch: i64) -> Self {
        let kind = (Kind::Float, Device::Cpu);
        let mut weights = Vec::new();
        for pair in CHANNELS.windows(2) {
            weights.push(
                (Tensor::randn([pair[1], pair[0], 1, 1], kind) * 0.1).set_requires_grad(true),
            );
            weights.push(Tensor::zeros([pair[1]], kind).set_requires_grad(true));
        }

        let line = Tensor::linspace(-1.0, 1.0, SIDE, kind);
        let across = line.view([1, 1, 1, SIDE]).expand([batch, 1, SIDE, SIDE], false);
        let down = line.view([1, 1, SIDE, 1]).expand([batch, 1, SIDE, SIDE], false);
        Self {
            weights,
            inputs: Tensor::rand([batch, 2], kind),
            targets: Tensor::randint(PIXELS, [batch], (Kind::Int64, Device::Cpu)),
            coordinates: Tensor::cat(&[across, down], 1),
        }
    }

    fn update(&mut self) {
        let batch = self.inputs.size()[0];
        let tiled = self.inputs.view([batch, 2, 1, 1]).expand([batch, 2, SIDE, SIDE], false);
        let mut picture = Tensor::cat(&[&tiled, &self.coordinates], 1);
        for (index, pair) in self.weights.chunks(2).enumerate() {
            picture = picture.conv2d(&pair[0], Some(&pair[1]), 1, 0, 1, 1);
            if index + 2 < CHANNELS.len() {
                picture = picture.relu();
            }
        }

        let logits = picture.reshape([batch, PIXELS]);
        let loss =
            logits.cross_entropy_loss::<Tensor>(&self.targets, None, Reduction::Mean, -100, 0.0);
        let gradients = Tensor::run_backward(&[&loss], &self.weights, false, false);
        tch::no_grad(|| {
            for (weight, gradient) in self.weights.iter_mut().zip(&gradients) {
                let _ = weight.g_sub_(&(gradient * 1e-4)); // seven thousand numbers: any step is free
            }
        });
    }
}

/// The matrix products of one row of a batch. The first layer's are left out: it adds a vector of
/// each picture to one map for all.
struct Products {
    layers: Vec<[Tensor; 3]>,
}

impl Products {
    fn new() -> Self {
        let layers = CHANNELS[1..].windows(2).map(|pair| {
            [random([PIXELS, pair[0]]), random([pair[0], pair[1]]), random([PIXELS, pair[1]])]
        });
        Self { layers: layers.collect() }
    }

    /// Forward, gradient of the input, gradient of the weights.
    fn row(&self) {
        for [input, weights, output] in &self.layers {
            let _ = input.mm(weights);
            let _ = output.mm(&weights.tr());
            let _ = input.tr().mm(output);
        }
    }

    fn flop_a_row() -> f64 {
        let pairs = CHANNELS[1..].windows(2).map(|pair| pair[0] * pair[1]);
        3.0 * 2.0 * (PIXELS * pairs.sum::<i64>()) as f64
    }
}

fn random(shape: [i64; 2]) -> Tensor {
    Tensor::randn(shape, (Kind::Float, Device::Cpu))
}

/// Calls a second during one turn.
fn speed(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut calls = 0;
    while start.elapsed() < TURN {
        call();
        calls += 1;
    }
    f64::from(calls) / start.elapsed().as_secs_f64()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
