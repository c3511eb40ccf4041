//! The Arcade Learning Environment's source distribution: fetching and unpacking it, and generating
//! the one header that its own build would generate.

use crate::layout::Layout;
use crate::pins::ALE;
use crate::{pip, roms, stamp, talk, unpack};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

pub fn is_ready(layout: &Layout) -> bool {
    stamp::covers(&layout.ale(), &stamp_lines())
}

/// Fetches and unpacks the sources and ROMs unless they are there.
pub fn ensure(layout: &Layout) -> Result<()> {
    if is_ready(layout) {
        return Ok(());
    }

    talk::line(format!("Arcade Learning Environment {}: sources and ROMs", ALE.version));
    let archive = pip::fetch(&ALE, layout)?;
    let partial = unpack::fresh_neighbour(&layout.ale())?;
    unpack::source(&archive, &partial)?;
    let checked = roms::check(&partial.join("src/ale/python/roms"))?;
    talk::line(format!("  {checked}"));
    // Before the rename, so that a folder under its final name always has its stamp.
    stamp::write(&partial, &stamp_lines())?;
    unpack::put_in_place(&partial, &layout.ale())?;
    fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))
}

/// Lines of a finished folder's stamp.
pub fn stamp_lines() -> Vec<String> {
    vec![ALE.stamp_line()]
}

/// Writes `version.hpp`, which ALE's own build generates, into `include`.
pub fn write_version_header(layout: &Layout, include: &Path) -> Result<()> {
    let template = layout.ale_sources().join("version.hpp.in");
    let text = fs::read_to_string(&template)
        .with_context(|| format!("cannot read {}", template.display()))?;
    fs::create_dir_all(include).with_context(|| format!("cannot create {}", include.display()))?;
    let header = include.join("version.hpp");
    fs::write(&header, filled_in(&text, ALE.version))
        .with_context(|| format!("cannot write {}", header.display()))
}

/// Fills in the `@ALE_…@` placeholders of the header's template.
fn filled_in(template: &str, version: &str) -> String {
    let mut numbers = version.split('.');
    // A source distribution does not carry its commit.
    let mut text =
        template.replace("@ALE_VERSION@", version).replace("@ALE_VERSION_GIT_SHA@", "unknown");
    for part in ["MAJOR", "MINOR", "PATCH"] {
        text = text.replace(&format!("@ALE_VERSION_{part}@"), numbers.next().unwrap_or("0"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_the_version_header_is_filled_in() {
        let template = "\"@ALE_VERSION@\" \"@ALE_VERSION_MAJOR@\" \"@ALE_VERSION_MINOR@\" \"@ALE_VERSION_PATCH@\" \
                        \"@ALE_VERSION_GIT_SHA@\"";
        assert_eq!(filled_in(template, "0.12.1"), r#""0.12.1" "0" "12" "1" "unknown""#);
    }
}
