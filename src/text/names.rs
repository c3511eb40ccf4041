//! Checks of user-chosen names before anything is written under them.
//!
//! File systems limit the length of a name in bytes. Text that the program adds to a user's name
//! counts too, so names are checked before a folder is created or a game is played.

use std::ffi::OsStr;
use std::path::Path;

use crate::exit_code::BadRequest;

/// Maximum length of a name in bytes on common file systems.
pub const LONGEST: usize = 255;

/// Checks that a name is valid for a folder and short enough for what is added to it.
///
/// # Errors
/// If it is not, with the flag, the name and the maximum length.
pub fn check_folder_name(flag: &str, name: &str, added_bytes: usize) -> anyhow::Result<()> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
        let text = format!("`{flag} {name}` is not a folder name: leave out `/` and leading dots");
        return Err(BadRequest::error(text));
    }
    check_length(flag, OsStr::new(name), added_bytes)
}

/// Checks that every component of a path is short enough.
///
/// # Errors
/// If one is not, with the flag, the component and the maximum length.
pub fn check_path(flag: &str, path: &Path) -> anyhow::Result<()> {
    path.iter().try_for_each(|part| check_length(flag, part, 0))
}

fn check_length(flag: &str, name: &OsStr, added_bytes: usize) -> anyhow::Result<()> {
    let most = LONGEST.saturating_sub(added_bytes);
    if name.len() <= most {
        return Ok(());
    }

    let with = match added_bytes {
        0 => String::new(),
        added => format!(" with the {added} that are added to it"),
    };

    Err(BadRequest::error(format!(
        "`{flag} {}` is too long: a name has at most {LONGEST} bytes, so this one at most {most}{with}; it has {}",
        name.display(),
        name.len()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::exit_code_of;
    use crate::exit_code::ExitCode;

    #[test]
    fn a_name_is_as_long_as_fits_with_what_is_added_and_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        for added in [0, 20] {
            let fits = "s".repeat(LONGEST - added);
            check_folder_name("--name", &fits, added).unwrap();
            std::fs::create_dir(folder.path().join(fits.clone() + &"x".repeat(added))).unwrap();
            let error = check_folder_name("--name", &format!("{fits}s"), added).unwrap_err();
            assert_eq!(exit_code_of(&error), ExitCode::BadRequest);
            let text = error.to_string();
            assert!(
                text.starts_with("`--name sss")
                    && text.contains(&format!("at most {}", 255 - added)),
                "{text}"
            );
        }

        assert!(
            check_folder_name("--name", &"ä".repeat(128), 0).is_err(),
            "bytes count, not letters"
        );
        for bad in ["", ".hidden", "..", "a/b", "a\\b"] {
            assert!(check_folder_name("--name", bad, 0).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_part_of_a_path_counts() {
        check_path("--video", Path::new("a/b/c.gif")).unwrap();
        let long = Path::new("a").join("b".repeat(256)).join("c.gif");
        assert!(check_path("--video", &long).unwrap_err().to_string().contains("`--video bbb"));
    }
}
