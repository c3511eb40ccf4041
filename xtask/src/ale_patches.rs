//! Changes to ALE that make it faster without changing a bit of any game.
//!
//! They are made to copies in the build folder; the unpacked sources stay as they were published.

use crate::hash::sha256_of_texts;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// The replacement in a source file; no file has two.
pub struct Patch {
    /// Path below ALE's sources.
    pub file: &'static str,
    /// Text before the place, such as the head of a function.
    pub after: &'static str,
    /// Text replaced where it first follows `after`.
    pub old: &'static str,
    /// Its replacement.
    pub new: &'static str,
}

/// All changes.
pub const PATCHES: &[Patch] = &[UNUSED_PALETTE, EMPTY_STRETCHES];

/// Tables for averaging colours over frames, which no environment does: 80 ms for every emulator.
const UNUSED_PALETTE: Patch = Patch {
    file: "environment/phosphor_blend.cpp",
    after: "PhosphorBlend::PhosphorBlend(",
    old: "  makeAveragePalette();\n",
    new: "",
};

/// The general case of drawing a scanline looks up each pixel's collisions and colour. Where no
/// player, missile or ball is, four pixels share one bit of the playfield and are drawn at once, as
/// the special cases of the same function do.
const EMPTY_STRETCHES: Patch = Patch {
    file: "emucore/TIA.cxx",
    after: "inline void TIA::updateFrameScanline(",
    old: "\
        for(; myFramePointer < ending; ++myFramePointer, ++hpos)
        {
          uint8_t enabled =",
    new: "\
        const uint32_t player0 = myCurrentGRP0 * 0x01010101u;
        const uint32_t player1 = myCurrentGRP1 * 0x01010101u;
        const uint32_t missile0 = (myEnabledObjects & myM0Bit) ? 0xffffffffu : 0;
        const uint32_t missile1 = (myEnabledObjects & myM1Bit) ? 0xffffffffu : 0;
        const uint32_t ball = (myEnabledObjects & myBLBit) ? 0xffffffffu : 0;
        const auto four = [hpos = &hpos](const uint8_t* mask) {
          uint32_t bytes;
          std::memcpy(&bytes, mask + *hpos, 4);
          return bytes;
        };

        for(; myFramePointer < ending; ++myFramePointer, ++hpos)
        {
          while(hpos % 4 == 0 && ending - myFramePointer >= 4)
          {
            if((four(myCurrentP0Mask) & player0) | (four(myCurrentP1Mask) & player1) |
               (four(myCurrentM0Mask) & missile0) | (four(myCurrentM1Mask) & missile1) |
               (four(myCurrentBLMask) & ball))
              break;

            const uint8_t playfield = (myPF & myCurrentPFMask[hpos]) ? myPFBit : 0;
            myCollision |= ourCollisionTable[playfield];
            std::memset(myFramePointer, myColor[myPriorityEncoder[hpos < 80 ? 0 : 1]
                [playfield | myPlayfieldPriorityAndScore]], 4);
            myFramePointer += 4;
            hpos += 4;
          }
          if(myFramePointer >= ending)
            break;

          uint8_t enabled =",
};

/// Identifies all changes: a library with others is compiled again.
pub fn fingerprint() -> String {
    let texts = |patch: &'static Patch| [patch.file, patch.after, patch.old, patch.new];
    sha256_of_texts(PATCHES.iter().flat_map(texts))
}

impl Patch {
    /// Writes the changed file into `folder` and returns its path.
    ///
    /// # Errors
    /// If the file cannot be read or written, or lacks the text to replace.
    pub fn apply(&self, sources: &Path, folder: &Path) -> Result<PathBuf> {
        let source = sources.join(self.file);
        let text = fs::read_to_string(&source)
            .with_context(|| format!("cannot read {}", source.display()))?;
        let Some(changed) = self.changed(&text) else {
            bail!("{} is not the file that is known: it lacks `{}`", source.display(), self.old);
        };

        let path = folder.join(self.file.replace('/', "-"));
        fs::write(&path, changed).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    fn changed(&self, text: &str) -> Option<String> {
        let place = text.find(self.after)? + self.after.len();
        let start = place + text[place..].find(self.old)?;
        let end = start + self.old.len();
        Some([&text[..start], self.new, &text[end..]].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: Patch = Patch { file: "a/b.cxx", after: "f()", old: "x;", new: "y;" };

    #[test]
    fn the_first_place_after_the_given_text_is_changed() {
        let changed = PATCH.changed("x; f() { x; x; }");
        assert_eq!(changed.as_deref(), Some("x; f() { y; x; }"));
        assert_eq!(PATCH.changed("x; f() { z; }"), None);
        assert_eq!(PATCH.changed("x;"), None);
    }

    #[test]
    fn no_file_has_two_patches() {
        let mut files: Vec<&str> = PATCHES.iter().map(|patch| patch.file).collect();
        files.sort_unstable();
        files.dedup();
        assert_eq!(files.len(), PATCHES.len());
    }

    #[test]
    fn the_original_stays_and_a_file_of_another_version_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        let original = dir.path().join("a/b.cxx");
        fs::write(&original, "f() { x; }").unwrap();
        let changed = PATCH.apply(dir.path(), dir.path()).unwrap();
        assert_eq!(fs::read_to_string(changed).unwrap(), "f() { y; }");
        assert_eq!(fs::read_to_string(&original).unwrap(), "f() { x; }");

        fs::write(&original, "g() { x; }").unwrap();
        let error = PATCH.apply(dir.path(), dir.path()).unwrap_err().to_string();
        assert!(error.contains("b.cxx") && error.contains("`x;`"), "{error}");
    }
}
