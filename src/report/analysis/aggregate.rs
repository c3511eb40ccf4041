//! Aggregate scores over all games, normalised in each so that a random policy is 0 and a human 1.

use coordrl_stats::{
    Aggregate, Bootstrap, Interval, OPTIMALITY_GOAL, Scores, StatsError, performance_profile,
    probability_of_improvement, without_rounding,
};
use serde::Serialize;

use super::grid::ComparisonGroup;
use super::measures::GameRow;
use crate::report::ReportError;
use crate::report::runs::ArmId;

/// Number of points of a performance profile.
const PROFILE_POINTS: u32 = 81;
/// Bootstrap repetitions for the bands of a profile, as in Agarwal et al. 2021.
const PROFILE_REPETITIONS: u32 = 2000;
/// Reason why there is no aggregate.
const NO_GAME: &str = "There is no game in which every arm has a complete run and in which the \
    scores of a random policy and of a human are known, as they are for the 57 usual Atari games \
    in their default mode and difficulty.";

/// Aggregate scores of a group's arms over the games they all have.
#[derive(Clone, Debug, Serialize)]
pub struct Aggregates {
    /// Baseline arm.
    pub baseline: ArmId,
    /// Games with known scores in which every arm of the group has complete runs.
    pub games: Vec<String>,
    /// Reason why there is no aggregate, if there is none.
    pub why_absent: Option<&'static str>,
    /// Arms, the baseline first.
    pub arms: Vec<AggregateArm>,
    /// Probability of improvement of each other arm over the baseline.
    pub improvements: Vec<Improvement>,
}

/// Aggregate scores of one arm over all games.
#[derive(Clone, Debug, Serialize)]
pub struct AggregateArm {
    /// The arm.
    pub arm: ArmId,
    /// Number of complete runs.
    pub runs: usize,
    /// IQM, median, mean and optimality gap.
    pub values: Vec<AggregateValue>,
    /// Performance profile.
    pub profile: Profile,
}

/// One aggregate metric.
#[derive(Clone, Debug, Serialize)]
pub struct AggregateValue {
    /// Name of the metric.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// Stratified bootstrap interval over seeds; absent if any game has a single seed.
    pub interval: Option<Interval>,
}

/// Performance profile: share of runs above each score, with equal weight per game.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    /// Human-normalised scores.
    pub scores: Vec<f64>,
    /// Share of runs above each score.
    pub share: Vec<f64>,
    /// Lower edge of the pointwise interval; absent if any game has a single seed.
    pub low: Option<Vec<f64>>,
    /// Upper edge of the interval; absent with the lower edge.
    pub high: Option<Vec<f64>>,
}

/// Probability that a run of an arm beats a run of the baseline.
#[derive(Clone, Debug, Serialize)]
pub struct Improvement {
    /// The arm.
    pub arm: ArmId,
    /// Probability of improvement, averaged over games.
    pub probability: f64,
    /// Stratified bootstrap interval over seeds; absent if any game of either arm has a single
    /// seed.
    pub interval: Option<Interval>,
}

/// Computes the aggregate scores of a group's arms.
///
/// # Errors
/// If the bootstrap rejects its input.
pub fn of_group(
    group: &ComparisonGroup,
    games: &[GameRow],
    bootstrap: Bootstrap,
) -> Result<Aggregates, ReportError> {
    let usable: Vec<&GameRow> = games
        .iter()
        .filter(|game| game.reference().is_some())
        .filter(|game| group.arms().all(|arm| game.arm(arm).is_some()))
        .collect();
    let mut aggregates = Aggregates {
        baseline: group.baseline.clone(),
        games: usable.iter().map(|game| game.game.clone()).collect(),
        why_absent: None,
        arms: Vec::new(),
        improvements: Vec::new(),
    };

    if usable.is_empty() {
        aggregates.why_absent = Some(NO_GAME);
        return Ok(aggregates);
    }

    let scores = group.arms().map(|arm| normalised(&usable, arm)).collect::<Result<Vec<_>, _>>()?;
    let thresholds = thresholds(&scores);
    for (arm, scores) in group.arms().zip(&scores) {
        aggregates.arms.push(of_arm(arm, scores, &thresholds, bootstrap)?);
    }

    // `group.arms()` begins with the baseline, so its scores are the first.
    for (arm, other) in group.others.iter().zip(&scores[1..]) {
        aggregates.improvements.push(improvement(arm, other, &scores[0], bootstrap)?);
    }

    Ok(aggregates)
}

fn normalised(games: &[&GameRow], arm: &ArmId) -> Result<Scores, StatsError> {
    // Nothing is filtered out: the games were chosen for having both.
    let scores = games.iter().filter_map(|game| {
        let known = game.reference()?;
        Some(game.arm(arm)?.finals().into_iter().map(|score| known.normalise(score)).collect())
    });
    Scores::try_new(scores.collect())
}

/// Returns `true` if every game has at least two runs. Resampling a single run always returns that
/// run, so an interval would treat its game as known exactly.
fn has_spread(scores: &Scores) -> bool {
    scores.games().iter().all(|runs| runs.len() > 1)
}

fn of_arm(
    arm: &ArmId,
    scores: &Scores,
    thresholds: &[f64],
    bootstrap: Bootstrap,
) -> Result<AggregateArm, StatsError> {
    let intervals = if has_spread(scores) {
        bootstrap.of_many(scores, |drawn| Aggregate::ALL.map(|one| one.of(drawn)).to_vec())?
    } else {
        Vec::new()
    };
    // The optimality gap is computed from the goal as well.
    let numbers: Vec<f64> = scores.all().chain([OPTIMALITY_GOAL]).collect();

    let values = Aggregate::ALL.into_iter().enumerate().map(|(place, aggregate)| AggregateValue {
        name: aggregate.name(),
        value: without_rounding(aggregate.of(scores), &numbers),
        interval: intervals.get(place).map(|interval| interval.without_rounding(&numbers)),
    });

    Ok(AggregateArm {
        arm: arm.clone(),
        runs: scores.all().count(),
        values: values.collect(),
        profile: profile(scores, thresholds, bootstrap)?,
    })
}

fn profile(
    scores: &Scores,
    thresholds: &[f64],
    bootstrap: Bootstrap,
) -> Result<Profile, StatsError> {
    // The usual number for a profile, but never more than asked for.
    let repetitions = bootstrap.repetitions.min(PROFILE_REPETITIONS);
    let bands = if has_spread(scores) {
        let bootstrap = Bootstrap { repetitions, ..bootstrap };
        Some(bootstrap.of_many(scores, |drawn| performance_profile(drawn, thresholds))?)
    } else {
        None
    };

    Ok(Profile {
        scores: thresholds.to_vec(),
        share: performance_profile(scores, thresholds),
        low: bands.as_ref().map(|bands| bands.iter().map(|band| band.low).collect()),
        high: bands.as_ref().map(|bands| bands.iter().map(|band| band.high).collect()),
    })
}

/// Returns evenly spaced scores from the lowest (at most 0) to the highest (at least 1), rounded
/// outwards.
fn thresholds(arms: &[Scores]) -> Vec<f64> {
    let all = || arms.iter().flat_map(Scores::all);
    let low = (all().fold(0.0, f64::min) * 10.0).floor() / 10.0;
    let high = (all().fold(1.0, f64::max) * 10.0).ceil() / 10.0;
    let step = (high - low) / f64::from(PROFILE_POINTS - 1);
    (0..PROFILE_POINTS).map(|index| low + f64::from(index) * step).collect()
}

fn improvement(
    arm: &ArmId,
    scores: &Scores,
    baseline: &Scores,
    bootstrap: Bootstrap,
) -> Result<Improvement, StatsError> {
    let probability = probability_of_improvement(scores, baseline)?;
    let interval = if has_spread(scores) && has_spread(baseline) {
        Some(bootstrap.of_pair(scores, baseline, |scores, baseline| {
            // Resamples have the same games, for which the call above has succeeded.
            probability_of_improvement(scores, baseline).unwrap_or(f64::NAN)
        })?)
    } else {
        None
    };

    Ok(Improvement { arm: arm.clone(), probability, interval })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::analysis::grid::Grid;
    use crate::report::analysis::measures;
    use crate::report::test_support::{Fake, read_all};

    const FEW: Bootstrap = Bootstrap { repetitions: 500, level: 0.95, seed: 1 };

    fn aggregates(fakes: Vec<Fake>) -> Aggregates {
        let folder = tempfile::tempdir().unwrap();
        let grid = Grid::new(read_all(folder.path(), fakes.into_iter()));
        let games = measures::games(&grid, &[], FEW).unwrap();
        of_group(&grid.groups(None).unwrap()[0], &games, FEW).unwrap()
    }

    fn ending(game: &str, torso: &str, seed: u64, score: f64) -> Fake {
        Fake::new(game, torso, seed).with_scores(&[0.0, score])
    }

    #[test]
    fn what_is_zero_but_for_rounding_is_zero() {
        // Pong's known scores are −20.7 and 14.6, so these normalise to −0.1, 0 and 0.1.
        let scores = [-24.23, -20.7, -17.17];
        let fakes = ["conv", "coordconv"].map(|torso| {
            scores.map(|score| {
                let seed = scores.iter().filter(|other| **other < score).count() as u64;
                ending("pong", torso, seed, score)
            })
        });
        let of = aggregates(fakes.into_iter().flatten().collect());
        for value in &of.arms[0].values[..3] {
            assert_eq!(value.value, 0.0, "{}", value.name);
        }
    }

    #[test]
    fn games_without_reference_or_without_an_arm_do_not_count() {
        let of = aggregates(vec![
            ending("pong", "conv", 1, -20.7),
            ending("pong", "coordconv", 1, 14.6),
            ending("catch", "conv", 1, 1.0),
            ending("catch", "coordconv", 1, 1.0),
            ending("breakout", "conv", 1, 1.0),
        ]);
        assert_eq!(of.games, ["pong"]);
        let iqm = |arm: usize| of.arms[arm].values[0].value;
        assert_eq!((iqm(0), iqm(1), of.improvements[0].probability), (0.0, 1.0, 1.0));
        assert_eq!((of.arms[0].values[0].interval, of.improvements[0].interval), (None, None));
    }

    #[test]
    fn intervals_come_with_seeds_and_profiles_fall() {
        let seeds = |torso: &'static str, plus: f64| {
            (1..=3).map(move |seed| ending("pong", torso, seed, seed as f64 * 5.0 + plus))
        };
        let of = aggregates(seeds("conv", -10.0).chain(seeds("impala", 0.0)).collect());
        let iqm = &of.arms[0].values[0];
        let interval = iqm.interval.unwrap();
        assert!(interval.low < iqm.value && iqm.value < interval.high);
        let profile = &of.arms[1].profile;
        assert_eq!((profile.scores.len(), profile.share[0]), (81, 1.0));
        assert!(profile.share.is_sorted_by(|a, b| a >= b));
        assert_eq!(of.baseline.to_string(), "a2c-conv");
    }

    #[test]
    fn a_game_with_one_seed_leaves_its_arm_without_interval_and_the_arm_compared_with_it_too() {
        let seeds = |game: &'static str, torso: &'static str, count: u64| {
            (1..=count).map(move |seed| ending(game, torso, seed, seed as f64))
        };

        let conv = seeds("pong", "conv", 3).chain(seeds("breakout", "conv", 1));
        let other = seeds("pong", "coordconv", 3).chain(seeds("breakout", "coordconv", 2));
        let of = aggregates(conv.chain(other).collect());
        assert_eq!(of.games, ["breakout", "pong"]);
        let [one, all] = [0, 1].map(|arm: usize| &of.arms[arm]);
        assert!(one.values.iter().all(|value| value.interval.is_none()));
        assert!(one.profile.low.is_none() && one.profile.high.is_none());
        assert!(all.values.iter().all(|value| value.interval.is_some()));
        assert_eq!(all.profile.low.as_ref().map(Vec::len), Some(81));
        assert_eq!(of.improvements[0].interval, None);
    }

    #[test]
    fn why_there_is_nothing_is_said() {
        let of =
            aggregates(vec![ending("catch", "conv", 1, 1.0), ending("catch", "coordconv", 1, 1.0)]);
        assert_eq!(of.why_absent, Some(NO_GAME));
        let of = aggregates(vec![
            ending("pong", "conv", 1, 1.0),
            ending("breakout", "coordconv", 1, 1.0),
        ]);
        assert_eq!(of.why_absent, Some(NO_GAME));
    }
}
