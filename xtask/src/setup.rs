//! The whole set-up: each part is done once, in an order that makes failures early.

use crate::layout::Layout;
use crate::pins::{ALE, DIGITS, Pin};
use crate::prerequisites::{self as machine};
use crate::{ale, deps_dir, digits, libale, libtorch, talk, unpack};
use anyhow::Result;
use std::time::Instant;

/// Disk use of the unpacked torch wheel relative to its packed size; both are there at once.
const UNPACKED_PER_PACKED: u64 = 3;
/// Disk use of ALE's sources, object files and library.
const ALE_MEGABYTES: u64 = 100;

/// Completes the set-up; silent if there is nothing to do.
pub fn run(layout: &Layout) -> Result<()> {
    deps_dir::prepare(layout)?;
    if is_complete(layout) {
        return Ok(());
    }

    // Each part is checked again under the lock: another set-up may have finished it meanwhile.
    let _lock = deps_dir::lock(layout)?;
    let start = Instant::now();
    check_machine(layout)?;
    std::fs::create_dir_all(layout.downloads())?;
    libtorch::ensure(layout)?;
    ale::ensure(layout)?;
    digits::ensure(layout)?;
    libale::ensure(layout)?;
    unpack::remove(&layout.downloads())?;
    talk::line(format!("set-up is complete ({} s)", start.elapsed().as_secs()));
    Ok(())
}

pub fn is_complete(layout: &Layout) -> bool {
    fetched(layout) && libale::is_ready(layout)
}

fn fetched(layout: &Layout) -> bool {
    libtorch::is_ready(layout) && ale::is_ready(layout) && digits::is_ready(layout)
}

/// Disk space needed to set up the missing parts.
pub fn needed_megabytes(layout: &Layout) -> u64 {
    let libtorch = if libtorch::is_ready(layout) { &[][..] } else { &libtorch::wanted_pins()[..] };
    let ale = if ale::is_ready(layout) { 0 } else { ALE.megabytes + ALE_MEGABYTES };
    let digits = if digits::is_ready(layout) { &[][..] } else { &[&DIGITS][..] };
    megabytes_for(libtorch) + ale + megabytes_for(digits)
}

fn megabytes_for(pins: &[&Pin]) -> u64 {
    pins.iter().map(|pin| pin.megabytes).sum::<u64>() * (1 + UNPACKED_PER_PACKED)
}

fn check_machine(layout: &Layout) -> Result<()> {
    let mut findings =
        vec![machine::cpp_compiler(), machine::space(layout.deps(), needed_megabytes(layout))];
    if !fetched(layout) {
        // Without Python, pip need not be checked.
        findings.push(machine::python().and_then(|_| machine::pip()));
    }
    if libtorch::own(layout).is_none() {
        findings.push(machine::platform());
    }
    machine::all_present(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pins;

    #[test]
    fn the_space_asked_for_grows_with_what_is_missing() {
        let cpu: Vec<&Pin> = pins::LIBTORCH.iter().collect();
        let cuda: Vec<&Pin> = pins::LIBTORCH.iter().chain(pins::CUDA).collect();
        assert_eq!(megabytes_for(&[]), 0);
        assert!(megabytes_for(&cpu) > 1500, "the unpacked wheel and its download");
        assert!(megabytes_for(&cuda) > megabytes_for(&cpu) + 6000);
    }

    #[test]
    fn an_empty_checkout_is_not_complete() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_complete(&Layout::at(dir.path().to_path_buf())));
    }
}
