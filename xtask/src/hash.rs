//! Checksums of files.

use anyhow::{Context, Result};
use md5::Md5;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// SHA-256 of a file, in lower-case hexadecimal.
pub fn sha256_of(path: &Path) -> Result<String> {
    digest_of::<Sha256>(path)
}

/// SHA-256 of some texts one after the other, in lower-case hexadecimal.
pub fn sha256_of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    texts.into_iter().for_each(|text| hasher.update(text));
    hexadecimal(&hasher.finalize())
}

/// MD5 of a file, in lower-case hexadecimal, which ALE uses to identify ROMs.
pub fn md5_of(path: &Path) -> Result<String> {
    digest_of::<Md5>(path)
}

fn digest_of<D: Digest>(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut hasher = D::new();
    // Piece by piece: the largest wheel has half a gigabyte.
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count =
            file.read(&mut buffer).with_context(|| format!("cannot read {}", path.display()))?;
        if count == 0 {
            return Ok(hexadecimal(&hasher.finalize()));
        }
        hasher.update(&buffer[..count]);
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn digests_match_published_test_vectors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        fs::write(&path, "abc").unwrap();
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // FIPS 180-2, B.1
        assert_eq!(sha256_of(&path).unwrap(), sha256);
        assert_eq!(md5_of(&path).unwrap(), "900150983cd24fb0d6963f7d28e17f72"); // RFC 1321, A.5
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = sha256_of(Path::new("no/such/file")).unwrap_err();
        assert!(format!("{error:#}").contains("no/such/file"));
    }
}
