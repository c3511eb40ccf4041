//! Network and memory that a run needs of its broker, said before it starts.

use coordrl_fleet::{BrokerMemory, RedisBroker};

use super::in_agent;
use crate::exit_code::BadRequest;
use crate::machine::size;
use crate::metrics::console::status;

/// Weights at the broker at once: the newest, those before, and those that replace them.
const COPIES: u64 = 3;

/// Bytes that a run moves and keeps.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Bytes of the weights.
    pub weights: u64,
    /// Bytes of experience that one actor process may have at the broker.
    pub log: u64,
}

impl Budget {
    /// Checks that the broker keeps what it is given, and prints what the run takes.
    ///
    /// # Errors
    /// If the broker removes data when it is full, or does not answer.
    pub fn check(self, broker: &mut RedisBroker) -> anyhow::Result<()> {
        let Self { weights, log } = self;
        status!(
            "broker: up to {} of weights, and {} of experience for each actor process",
            size(COPIES * weights),
            size(log)
        );
        status!("network: up to {} of weights a second to each actor process", size(weights));
        match broker.memory().map_err(in_agent)? {
            Some(memory) => self.check_memory(&memory)?,
            None => status!(
                "the broker does not tell its `maxmemory-policy`: it must be `{}`",
                BrokerMemory::KEEPS_ALL
            ),
        }
        Ok(())
    }

    fn check_memory(self, memory: &BrokerMemory) -> anyhow::Result<()> {
        let BrokerMemory { policy, .. } = memory;
        if policy != BrokerMemory::KEEPS_ALL {
            return Err(BadRequest::error(format!(
                "the broker removes data when it is full (`maxmemory-policy {policy}`): set it to `{}`",
                BrokerMemory::KEEPS_ALL
            )));
        }
        if let Some(processes) = self.room(memory) {
            status!("`maxmemory` leaves room for {processes} actor processes");
        }
        Ok(())
    }

    /// Returns for how many actor processes there is room; `None` without a limit.
    fn room(self, memory: &BrokerMemory) -> Option<u64> {
        let free = memory.limit?.saturating_sub(memory.used);
        Some(free.saturating_sub(COPIES * self.weights) / self.log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(limit: Option<u64>, policy: &str) -> BrokerMemory {
        BrokerMemory { used: 1 << 20, limit, policy: policy.to_owned() }
    }

    #[test]
    fn room_is_what_weights_leave_of_the_limit() {
        let budget = Budget { weights: 10 << 20, log: 64 << 20 };
        let room = |limit: u64| budget.room(&memory(Some(limit << 20), "noeviction"));
        assert_eq!(room(1 + 30 + 64), Some(1));
        assert_eq!(room(1 + 30 + 3 * 64 - 1), Some(2));
        assert_eq!(room(5), Some(0));
        assert_eq!(budget.room(&memory(None, "noeviction")), None);
    }

    #[test]
    fn a_broker_that_removes_data_is_refused_whatever_its_limit() {
        let budget = Budget { weights: 1, log: 1 };
        budget.check_memory(&memory(Some(1 << 30), "noeviction")).unwrap();
        let error = budget.check_memory(&memory(None, "allkeys-lru")).unwrap_err().to_string();
        assert!(error.contains("`maxmemory-policy allkeys-lru`"), "{error}");
    }
}
