//! The learner's accounts of batches, by actor process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Batch, ProcessId};

/// Accounts of all actor processes that ever sent a batch. Part of the learner's checkpoint: it
/// says which batches the replay beside it contains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    accounts: BTreeMap<ProcessId, Account>,
    /// Batches that came a second time.
    duplicates: u64,
}

/// Account of one actor process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Number of the last batch seen.
    pub up_to: u64,
    /// Number of batches inserted.
    pub inserted: u64,
    /// Number of batches that are missing, or came but are of no use without a missing one. With
    /// those inserted they sum to `up_to`.
    pub lost: u64,
    /// Generation of the last batch seen.
    generation: u32,
    /// A batch of this generation is missing.
    broken: bool,
}

/// Treatment of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Insert it.
    Insert {
        /// Its streams of frames begin anew.
        opens: bool,
    },
    /// Do not insert it: a batch that it builds upon is missing.
    Useless,
    /// Do not insert it: it has been inserted before.
    Duplicate,
}

impl Ledger {
    /// Enters a batch, and says what to do with it.
    pub fn accept(&mut self, actor: ProcessId, seq: u64, batch: &Batch) -> Accepted {
        let account = self.accounts.entry(actor).or_default();
        if seq <= account.up_to {
            self.duplicates += 1;
            return Accepted::Duplicate;
        }

        // A log is in order: what has not come by now never will.
        let missing = seq - account.up_to - 1;
        account.lost += missing;
        account.up_to = seq;
        if batch.generation == account.generation {
            account.broken |= missing > 0 || batch.opens;
        } else {
            account.broken = !batch.opens;
        }
        account.generation = batch.generation;

        if account.broken {
            account.lost += 1;
            return Accepted::Useless;
        }
        account.inserted += 1;
        Accepted::Insert { opens: batch.opens }
    }

    /// Enters a batch that cannot be read as lost.
    pub fn reject(&mut self, actor: ProcessId, seq: u64) {
        let account = self.accounts.entry(actor).or_default();
        if seq > account.up_to {
            account.lost += seq - account.up_to;
            account.up_to = seq;
            account.broken = true;
        }
    }

    /// Enters the last `batches` batches of a process as lost, which were to be inserted and could not
    /// be, and what follows in their generation.
    pub fn withdraw(&mut self, actor: ProcessId, batches: u64) {
        if let Some(account) = self.accounts.get_mut(&actor) {
            account.inserted -= batches;
            account.lost += batches;
            account.broken = true;
        }
    }

    /// Declares all generations of use no more: the replay has none of their frames.
    pub fn break_all(&mut self) {
        self.accounts.values_mut().for_each(|account| account.broken = true);
    }

    /// Returns the accounts, by process.
    pub fn accounts(&self) -> impl Iterator<Item = (ProcessId, &Account)> {
        self.accounts.iter().map(|(actor, account)| (*actor, account))
    }

    /// Returns the number of the last batch seen of each actor process.
    pub fn positions(&self) -> Vec<(ProcessId, u64)> {
        self.accounts().map(|(actor, account)| (actor, account.up_to)).collect()
    }

    /// Returns the number of batches that are missing or were of no use.
    pub fn lost(&self) -> u64 {
        self.accounts.values().map(|account| account.lost).sum()
    }

    /// Returns the number of batches inserted.
    pub fn inserted(&self) -> u64 {
        self.accounts.values().map(|account| account.inserted).sum()
    }

    /// Returns the number of batches that came a second time and were left out.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTOR: ProcessId = ProcessId(7);

    fn batch(generation: u32, opens: bool) -> Batch {
        Batch { epoch: 1, generation, opens, transitions: 1, content: Vec::new() }
    }

    /// Enters batches given as (number, generation, opens), and checks that all are accounted for.
    fn accept(ledger: &mut Ledger, batches: &[(u64, u32, bool)]) -> Vec<Accepted> {
        let accepted = batches
            .iter()
            .map(|(seq, generation, opens)| ledger.accept(ACTOR, *seq, &batch(*generation, *opens)))
            .collect();
        for (_, account) in ledger.accounts() {
            assert_eq!(account.inserted + account.lost, account.up_to, "{account:?}");
        }
        accepted
    }

    const INSERT: Accepted = Accepted::Insert { opens: false };
    const OPEN: Accepted = Accepted::Insert { opens: true };
    use Accepted::{Duplicate, Useless};

    #[test]
    fn batches_in_order_are_inserted_and_repeated_ones_are_not() {
        let mut ledger = Ledger::default();
        let sent = [(1, 1, true), (2, 1, false), (1, 1, true), (2, 1, false), (3, 1, false)];
        assert_eq!(accept(&mut ledger, &sent), [OPEN, INSERT, Duplicate, Duplicate, INSERT]);
        assert_eq!((ledger.inserted(), ledger.lost(), ledger.duplicates()), (3, 0, 2));
    }

    #[test]
    fn after_a_gap_only_a_new_generation_is_of_use() {
        let mut ledger = Ledger::default();
        let sent = [(1, 1, true), (4, 1, false), (5, 1, false), (6, 2, true), (7, 2, false)];
        assert_eq!(accept(&mut ledger, &sent), [OPEN, Useless, Useless, OPEN, INSERT]);
        assert_eq!((ledger.inserted(), ledger.lost()), (3, 4));
    }

    #[test]
    fn a_generation_whose_beginning_is_missing_is_of_no_use() {
        let mut ledger = Ledger::default();
        let sent = [(3, 1, false), (4, 1, false), (6, 2, false), (7, 3, true)];
        assert_eq!(accept(&mut ledger, &sent), [Useless, Useless, Useless, OPEN]);
        // The batch that opened generation 4 is among the missing.
        assert_eq!(accept(&mut ledger, &[(9, 4, false)]), [Useless]);
    }

    #[test]
    fn a_gap_between_two_generations_costs_nothing_more() {
        let mut ledger = Ledger::default();
        assert_eq!(accept(&mut ledger, &[(1, 1, true), (5, 2, true)]), [OPEN, OPEN]);
        assert_eq!(ledger.lost(), 3);
    }

    #[test]
    fn a_batch_that_cannot_be_read_is_a_gap() {
        let mut ledger = Ledger::default();
        accept(&mut ledger, &[(1, 1, true)]);
        ledger.reject(ACTOR, 1);
        ledger.reject(ACTOR, 3);
        assert_eq!(accept(&mut ledger, &[(4, 1, false), (5, 2, true)]), [Useless, OPEN]);
        assert_eq!((ledger.inserted(), ledger.lost()), (2, 3));
    }

    #[test]
    fn a_batch_that_cannot_be_inserted_takes_its_generation_with_it() {
        let mut ledger = Ledger::default();
        accept(&mut ledger, &[(1, 1, true), (2, 1, false), (3, 1, false)]);
        ledger.withdraw(ACTOR, 2);
        assert_eq!(accept(&mut ledger, &[(4, 1, false), (5, 2, true)]), [Useless, OPEN]);
        assert_eq!((ledger.inserted(), ledger.lost()), (2, 3));
    }

    #[test]
    fn without_its_frames_a_replay_waits_for_new_generations() {
        let mut ledger = Ledger::default();
        accept(&mut ledger, &[(1, 1, true), (2, 1, false)]);
        ledger.break_all();
        let sent = [(3, 1, false), (4, 2, true), (5, 2, false)];
        assert_eq!(accept(&mut ledger, &sent), [Useless, OPEN, INSERT]);
    }
}
