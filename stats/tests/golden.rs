//! Against rliable: see `golden/aggregates.py`, which made the numbers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

use coordrl_stats::{
    Aggregate, Bootstrap, Interval, Scores, performance_profile, probability_of_improvement,
};
use serde_json::Value;

const RUNS: u32 = 10;
const GAMES: u32 = 9;

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/aggregates.json")).unwrap()
}

/// The scores of the script.
fn scores(variant: u32) -> Scores {
    let score = |game: u32, run: u32| {
        let noise = f64::from((run * 7919 + game * 104_729 + variant * 1_299_709) % 1009) / 1009.0;
        let game = f64::from(game);
        let variant = f64::from(variant);
        0.1 * game.powf(1.3) + 0.15 * variant + (noise - 0.4) * (0.5 + 0.1 * game)
    };
    Scores::try_new(
        (0..GAMES).map(|game| (0..RUNS).map(|run| score(game, run)).collect()).collect(),
    )
    .unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().unwrap()).collect()
}

fn assert_point(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < 1e-9, "{what}: {found} for {expected}");
}

/// Ends within one hundredth of the interval's width.
fn assert_interval(found: Interval, low: f64, high: f64, what: &str) {
    let slack = 0.01 * (high - low);
    let off = (found.low - low).abs().max((found.high - high).abs());
    assert!(
        off <= slack,
        "{what}: {found:?} for {low} to {high}, {:.1} % of the width",
        100.0 * off / (high - low)
    );
}

#[test]
fn aggregates_and_their_intervals_equal_rliable() {
    let golden = golden();
    for variant in 0..2 {
        let scores = scores(variant);
        let expected = &golden["aggregates"][format!("variant {variant}")];
        let [points, low, high] = ["points", "low", "high"].map(|key| numbers(&expected[key]));
        let of_all =
            |scores: &Scores| Aggregate::ALL.map(|aggregate| aggregate.of(scores)).to_vec();
        let intervals = Bootstrap::default().of_many(&scores, of_all).unwrap();
        for (place, aggregate) in Aggregate::ALL.into_iter().enumerate() {
            let what = format!("{} of variant {variant}", aggregate.name());
            assert_point(aggregate.of(&scores), points[place], &what);
            assert_interval(intervals[place], low[place], high[place], &what);
        }
    }
}

#[test]
fn the_probability_of_improvement_equals_rliable() {
    let golden = golden();
    let left = scores(1);
    let right = scores(0);
    let expected = &golden["improvement"]["1 over 0"];
    let [point, low, high] = ["points", "low", "high"].map(|key| numbers(&expected[key])[0]);
    let improvement = |a: &Scores, b: &Scores| probability_of_improvement(a, b).unwrap();
    assert_point(improvement(&left, &right), point, "1 over 0");
    let interval = Bootstrap::default().of_pair(&left, &right, improvement).unwrap();
    assert_interval(interval, low, high, "1 over 0");
}

#[test]
fn performance_profiles_equal_rliable() {
    let golden = golden();
    let thresholds: Vec<f64> = (0..31).map(|i| 3.0 * f64::from(i) / 30.0).collect();
    for variant in 0..2 {
        let found = performance_profile(&scores(variant), &thresholds);
        let expected = numbers(&golden["profiles"][format!("variant {variant}")]);
        found
            .iter()
            .zip(&expected)
            .for_each(|(found, expected)| assert_point(*found, *expected, "profile"));
    }
}
