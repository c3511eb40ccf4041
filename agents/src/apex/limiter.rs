//! Rate limiter: balances acting and learning, whatever the machine's speed.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// Rate limits, and counts so far.
///
/// The learner may have sampled between `samples_per_insert` · (inserted − warm-up) − tolerance and
/// the same + tolerance transitions: above that range it waits, below it the actors wait. Without a
/// ratio only the warm-up is enforced, as in the paper (Horgan et al. 2018), where the ratio
/// depends on the machines.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Transitions to insert before the first is sampled.
    pub warmup_transitions: u64,
    /// Samples per transition inserted after the warm-up; absent: unlimited.
    pub samples_per_insert: Option<f64>,
    /// Maximum deviation from the ratio, in samples, in either direction.
    pub tolerance: f64,
    /// Number of transitions inserted since the run began.
    pub inserted: u64,
    /// Number of transitions sampled since the run began.
    pub sampled: u64,
}

impl Rates {
    /// Returns `true` if a batch of `count` may be sampled now.
    pub fn may_sample(&self, count: u64) -> bool {
        // Even without a warm-up there must be something to sample.
        let warm = self.inserted >= self.warmup_transitions.max(1);
        warm && self.ahead().is_none_or(|ahead| ahead + count as f64 <= self.tolerance)
    }

    /// Returns `true` if `count` transitions may be inserted now.
    pub fn may_insert(&self, count: u64) -> bool {
        let Some(ratio) = self.samples_per_insert else { return true };
        let after = Self { inserted: self.inserted + count, ..*self };
        // The insertion that ends the warm-up may overshoot it. That is within the tolerance, which
        // covers a whole insertion (`least_tolerance`).
        self.inserted < self.warmup_transitions
            || after.due(ratio) - self.sampled as f64 <= self.tolerance
    }

    /// Returns the minimum tolerance that rules out a deadlock: a batch, plus the samples required
    /// by an insertion of `insert` transitions.
    pub fn least_tolerance(samples_per_insert: f64, batch: u64, insert: u64) -> f64 {
        batch as f64 + samples_per_insert * insert as f64
    }

    /// Returns these counts under the ratio and warm-up of `other`. If those changed, `sampled` is
    /// reset to the new ratio, so that neither side has to wait for the other to catch up.
    pub fn under(self, other: &Self) -> Self {
        let same = self.samples_per_insert == other.samples_per_insert
            && self.warmup_transitions == other.warmup_transitions;
        let mut rates = Self { inserted: self.inserted, sampled: self.sampled, ..*other };
        if let (false, Some(ratio)) = (same, rates.samples_per_insert) {
            rates.sampled = rates.due(ratio) as u64;
        }
        rates
    }

    /// Returns the measured samples per transition inserted after the warm-up; `None` before.
    pub fn measured(&self) -> Option<f64> {
        let inserted = self.inserted.saturating_sub(self.warmup_transitions);
        (inserted > 0).then(|| self.sampled as f64 / inserted as f64)
    }

    /// Returns the samples in excess of the ratio; `None` without a ratio.
    fn ahead(&self) -> Option<f64> {
        self.samples_per_insert.map(|ratio| self.sampled as f64 - self.due(ratio))
    }

    fn due(&self, ratio: f64) -> f64 {
        ratio * self.inserted.saturating_sub(self.warmup_transitions) as f64
    }
}

/// [`Rates`] with blocking waits for threads.
#[derive(Debug)]
pub(crate) struct Limiter {
    state: Mutex<LimiterState>,
    changed: Condvar,
}

#[derive(Debug)]
struct LimiterState {
    rates: Rates,
    /// Set while pausing: nothing more is sampled, and transitions in flight may be inserted
    /// regardless of the ratio.
    pausing: bool,
}

/// Result of waiting to sample or to insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum LimiterTurn {
    /// Proceed; samples are counted.
    Granted,
    /// The agent is pausing: nothing more is sampled.
    Over,
}

impl Limiter {
    pub fn new(rates: Rates) -> Self {
        Self { state: Mutex::new(LimiterState { rates, pausing: false }), changed: Condvar::new() }
    }

    /// Waits until `count` transitions may be inserted. Only one thread may insert.
    ///
    /// [`LimiterTurn::Over`] means that the agent is pausing: what is already in flight within the
    /// process may be inserted regardless.
    pub fn wait_to_insert(&self, count: u64) -> LimiterTurn {
        // Not counted yet, because counted transitions may be sampled. As only one thread inserts,
        // nothing else can use up the allowance meanwhile.
        let state = self.wait(|rates| rates.may_insert(count));
        if state.pausing { LimiterTurn::Over } else { LimiterTurn::Granted }
    }

    /// Counts transitions already in the replay: once counted, they may be sampled.
    pub fn inserted(&self, count: u64) {
        self.lock().rates.inserted += count;
        // All are woken: both sides wait on one condition variable, so a single wake-up could go to
        // a thread that still has to wait.
        self.changed.notify_all();
    }

    /// Waits until `count` transitions may be sampled, and counts them.
    pub fn wait_to_sample(&self, count: u64) -> LimiterTurn {
        let mut state = self.wait(|rates| rates.may_sample(count));
        if state.pausing {
            return LimiterTurn::Over;
        }
        // Counted under the lock of the check, so that two prefetchers cannot use the same
        // allowance.
        state.rates.sampled += count;
        // Released first, so that a woken thread does not block on the lock at once.
        drop(state);
        self.changed.notify_all();
        LimiterTurn::Granted
    }

    /// Releases all waiting threads, permanently.
    pub fn pause(&self) {
        self.lock().pausing = true;
        self.changed.notify_all();
    }

    pub fn rates(&self) -> Rates {
        self.lock().rates
    }

    fn wait(&self, may: impl Fn(&Rates) -> bool) -> MutexGuard<'_, LimiterState> {
        self.changed
            .wait_while(self.lock(), |state| !state.pausing && !may(&state.rates))
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Ignores poisoning: every change is a single addition, so a panic cannot leave one half done.
    fn lock(&self) -> MutexGuard<'_, LimiterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    fn rates(samples_per_insert: Option<f64>, tolerance: f64) -> Rates {
        Rates { warmup_transitions: 100, samples_per_insert, tolerance, inserted: 0, sampled: 0 }
    }

    #[test]
    fn without_a_ratio_only_the_warm_up_counts() {
        let mut rates = rates(None, 0.0);
        assert!(rates.may_insert(1_000_000) && !rates.may_sample(1));
        rates.inserted = 99;
        assert!(!rates.may_sample(1));
        rates.inserted = 100;
        assert!(rates.may_sample(1_000_000) && rates.may_insert(1_000_000));
        let empty = Rates { warmup_transitions: 0, inserted: 0, ..rates };
        assert!(!empty.may_sample(1), "there is nothing to sample");
    }

    #[test]
    fn with_a_ratio_neither_side_runs_ahead_by_more_than_the_tolerance() {
        let mut rates = rates(Some(8.0), 48.0); // a batch of 32, insertions of 2
        assert!(rates.may_insert(100), "the warm-up is free");
        rates.inserted = 100;
        assert!(rates.may_sample(48) && !rates.may_sample(49));
        assert!(rates.may_insert(6) && !rates.may_insert(7));
        (rates.inserted, rates.sampled) = (106, 0);
        assert!(!rates.may_insert(1) && rates.may_sample(96) && !rates.may_sample(97));
        rates.sampled = 48;
        assert!(rates.may_insert(6));
        assert_eq!(rates.measured(), Some(8.0));
    }

    #[test]
    fn with_the_least_tolerance_one_side_can_always_go_on() {
        for (ratio, batch, insert) in [(0.25, 512, 1), (8.0, 32, 50), (1.0, 7, 13), (0.1, 1, 400)] {
            let mut rates = rates(Some(ratio), Rates::least_tolerance(ratio, batch, insert));
            for step in 0..10_000 {
                let samples = rates.may_sample(batch);
                let inserts = rates.may_insert(insert);
                assert!(samples || inserts, "{rates:?}");
                match (samples, inserts, step % 2) {
                    (true, false, _) | (true, true, 0) => rates.sampled += batch,
                    _ => rates.inserted += insert,
                }
            }
            let measured = rates.measured().unwrap();
            assert!((measured / ratio - 1.0).abs() < 0.2, "{measured} for {ratio}");
        }
    }

    #[test]
    fn another_ratio_or_warm_up_leaves_neither_side_waiting_for_the_past() {
        let past = Rates { inserted: 1_000_000, sampled: 7_999_200, ..rates(Some(8.0), 300.0) };
        assert_eq!(past.under(&past), past);
        for other in [rates(Some(4.0), 300.0), rates(Some(16.0), 300.0), rates(None, 300.0)] {
            let now = past.under(&other);
            assert_eq!(now.inserted, 1_000_000);
            assert!(now.may_sample(32) && now.may_insert(2), "{now:?}");
        }
        let free = Rates { samples_per_insert: None, ..past };
        assert!(free.under(&past).may_sample(32) && free.under(&past).may_insert(2));
        let longer = Rates { warmup_transitions: 50_000, ..past };
        assert!(past.under(&longer).may_sample(32) && past.under(&longer).may_insert(2));
    }

    #[test]
    fn threads_wait_for_each_other_and_rest_lets_them_go() {
        let limiter = Arc::new(Limiter::new(Rates { tolerance: 12.0, ..rates(Some(1.0), 0.0) }));
        let inserting = Arc::clone(&limiter);
        let insert = move |_| {
            let _ = inserting.wait_to_insert(2);
            inserting.inserted(2);
        };

        let inserter = thread::spawn(move || (0..2000).for_each(insert));
        for _ in 0..200 {
            assert_eq!(limiter.wait_to_sample(10), LimiterTurn::Granted);
        }

        let Rates { inserted, sampled, .. } = limiter.rates();
        assert!(sampled == 2000 && inserted.abs_diff(2100) <= 12 + 2, "{inserted}");
        limiter.pause();
        inserter.join().unwrap(); // it has inserted everything
        assert_eq!(limiter.rates().inserted, 4000);
        assert_eq!(limiter.wait_to_sample(1), LimiterTurn::Over);
    }
}
