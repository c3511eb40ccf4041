use super::super::canvas::Target;
use super::super::digits::Digit;
use super::super::network::TrunkPadding;
use super::*;
use crate::StudyConfig;
use crate::draws::between;
use crate::test_support::{
    assert_close, assert_gradient, fill_with_waves, indices, numbers, under_study, wave,
};
use coordrl_agents::nn::{Optimizer, ParamScope, ParamStore, flatten_gradients};
use serde_json::Value;

fn learner(layer: &str, has_second_stage: bool) -> (DetectLearner, ParamStore, Vec<Tensor>) {
    let mut store = ParamStore::new(1, Device::Cpu);
    let (learner, leaves) = build(layer, has_second_stage, &mut store);
    (learner, store, leaves)
}

fn build(
    layer: &str,
    has_second_stage: bool,
    store: &mut ParamStore,
) -> (DetectLearner, Vec<Tensor>) {
    let under_study = under_study(layer);
    let mut scope = ParamScope::new(store);
    let config = DetectConfig { clip: false, ..DetectConfig::default() };
    let padding = config.padding;
    let network = ProposalNetwork::build(&mut scope, under_study, padding).unwrap();
    let second_stage = has_second_stage
        .then(|| SecondStage::build(&mut scope, under_study, padding, false, Device::Cpu).unwrap());
    let leaves = scope.into_leaves().unwrap();
    let digit = Digit { class: 1, height: 2, width: 2, pixels: vec![0.2, 0.4, 0.6, 1.0] };
    let digits = Digits { train: vec![digit.clone()], test: vec![digit] };
    let learner = DetectLearner {
        network,
        second_stage,
        anchors: Arc::new(TrunkPadding::Valid.anchors()),
        data: Arc::new(DetectData::new(digits, &config)),
        config,
        device: Device::Cpu,
    };
    (learner, leaves)
}

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../golden/propose.json")).unwrap()
}

fn looked(canvas: &Value) -> Looked {
    let list = |key: &str| canvas[key].as_array().unwrap().iter();
    let targets: Vec<BoundingBox> = list("targets")
        .map(|target| {
            let [row, column, height, width] = numbers(target)[..].try_into().unwrap();
            BoundingBox { row, column, height, width }
        })
        .collect();
    let positives = list("positives").map(|pair| {
        let [box_index, target] = indices(pair)[..].try_into().unwrap();
        Positive { box_index, target }
    });
    let pairs = Pairs { positives: positives.collect(), negatives: indices(&canvas["negatives"]) };
    Looked {
        boxes: vec![],
        scores: vec![],
        compared: targets.clone(),
        targets,
        pairs,
        visible: vec![],
        regions: vec![],
    }
}

#[test]
fn losses_and_gradients_equal_pytorch() {
    let golden = golden();
    let looked: Vec<Looked> = golden["canvases"].as_array().unwrap().iter().map(looked).collect();
    for layer in ["conv", "coordconv"] {
        let (learner, store, leaves) = learner(layer, false);
        fill_with_waves(&leaves);
        let pictures = wave(&[2, 1, 64, 64], 0.0, 0.5) + 0.5;
        let proposals = learner.network.forward(&pictures);
        let found = learner.pair_losses(&proposals, &looked).unwrap().unwrap();
        let golden = &golden[layer];
        let of = |loss: &Tensor| loss.double_value(&[]);
        assert_close(of(&found.boxes), &golden["box_loss"], 3.0, "box loss");
        assert_close(of(&found.scores), &golden["score_loss"], 1.0, "score loss");

        let loss = found.boxes + found.scores;
        let gradients = Tensor::run_backward(&[loss], &leaves, false, false);
        for ((name, _), gradient) in store.to_named().iter().zip(&gradients) {
            assert_gradient(gradient, &golden["gradients"][name], name);
        }
    }
}

#[test]
fn losses_and_scores_of_canvases_add_up() {
    let (learner, ..) = learner("coordconv", true);
    let draws = Draws { seed: 3, epoch: 1 };
    let loss = |rows: &[usize]| learner.loss(0, rows, draws).unwrap().double_value(&[]);
    let rows = [5, 0, 7, 9003];
    let apart: f64 = rows.iter().map(|&row| loss(&[row])).sum();
    assert!((loss(&rows) - apart).abs() < 1e-4 * apart, "{} {apart}", loss(&rows));
    let other = learner.loss(0, &rows, Draws { seed: 3, epoch: 2 }).unwrap();
    assert_ne!(other.double_value(&[]), loss(&rows), "every epoch draws pairs of its own");

    let whole = tch::no_grad(|| learner.score(&rows)).unwrap();
    let mut sums = ScoreSums::default();
    rows.iter().for_each(|&row| sums.add(&learner.score(&[row]).unwrap()));
    assert!((whole.loss - sums.loss).abs() < 1e-4 * sums.loss);
    for (whole, sum) in whole.measures.iter().zip(&sums.measures) {
        let whole = whole.value();
        let sum = sum.value();
        assert!((whole - sum).abs() < 1e-4, "{whole} {sum}");
    }
}

/// Targets off the canvas are not learnt; without any other there is nothing to learn.
#[test]
fn a_canvas_without_visible_digits_has_a_loss_of_zero() {
    let (mut learner, ..) = learner("conv", true);
    let hidden = |canvas: &Canvas| !canvas.targets.iter().any(Target::is_visible);
    let row = (0..9000).find(|&row| hidden(&learner.data.draw(row))).unwrap();
    let draws = Draws { seed: 1, epoch: 0 };
    let loss = |learner: &DetectLearner| learner.loss(0, &[row], draws).unwrap();
    assert_eq!(loss(&learner).double_value(&[]), 0.0);
    assert!(loss(&learner).requires_grad(), "a step can be taken all the same");
    learner.config.pair_rule = PairRule::Released;
    assert!(loss(&learner).double_value(&[]) > 0.0);
}

/// Fields whose digit is always in one place teach a network that knows places where to look;
/// any other sees the same everywhere on an empty canvas.
#[test]
fn only_with_coordinates_a_network_proposes_the_usual_place_on_an_empty_canvas() {
    let usual = [22.0, 38.0, 20.0, 20.0];
    let [row, column, height, width] = usual.map(|number: f64| number as f32);
    let usual_box = BoundingBox { row, column, height, width };
    let digit = |step: u64| {
        let mut rng = stream(1, Purpose::DigitPlaces, step);
        // Some so faint that nothing but their place tells where they are.
        let brightest = between(&mut rng, [0.0, 1.0]);
        let pixels = (0..49).map(|_| between(&mut rng, [0.0, brightest]) as f32).collect();
        Digit { class: 3, height: 7, width: 7, pixels }
    };
    tch::set_num_threads(1);
    for (layer, knows) in [("coordconv", true), ("conv", false)] {
        let (_, mut store, _) = learner(layer, false); // draws the parameters
        let params = store.pack().unwrap();
        let (mut learner, leaves) = build(layer, false, &mut store);
        learner.config.clip = true; // boxes over the edge are no negatives otherwise
        let mut optimizer = Optimizer::new(&StudyConfig::default().optimizer(), &params);
        for step in 0..400 {
            let mut canvas = Canvas::empty();
            canvas.add(&digit(step), usual);
            let draws = |_| stream(1, Purpose::BoxPairs, step);
            let loss = learner.loss_of(&[canvas], draws).unwrap();
            let gradients = Tensor::run_backward(&[loss], &leaves, false, false);
            optimizer.step(&params, &flatten_gradients(&gradients, &leaves), 1e-3);
        }

        let empty = [Canvas::empty()];
        let proposals = tch::no_grad(|| learner.propose(&empty)).unwrap();
        let draws = |_| stream(1, Purpose::TestPairs, 0);
        let looked = learner.look(&empty, &proposals, draws).unwrap();
        let best = learner.answers(&proposals, &looked).unwrap()[0][0];
        // Five seeds overlapped it by 0.39 or more with coordinates, and by 0 without.
        assert_eq!(best.place.overlap(usual_box) >= 0.25, knows, "{layer}: {best:?}");
    }
}
