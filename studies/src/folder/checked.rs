//! Remembers folders whose pictures were checked: ImageNet has a million headers to read.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::LabelledPicture;

/// The note on one folder. One that cannot be read or written costs time and nothing else.
pub(super) struct CheckedNote {
    path: PathBuf,
    /// Changes with the name, length or time of any picture.
    fingerprint: String,
}

impl CheckedNote {
    /// Returns the note on the folder of these pictures, wherever it is named from; `None` if a file is
    /// gone.
    pub fn on(cache: &Path, folder: &Path, pictures: &[LabelledPicture]) -> Option<Self> {
        let mut places = DefaultHasher::new();
        fs::canonicalize(folder).ok()?.hash(&mut places);
        let mut contents = DefaultHasher::new();
        for LabelledPicture { path, .. } in pictures {
            let about = fs::metadata(path).ok()?;
            let changed = about.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            let name = path.strip_prefix(folder).unwrap_or(path);
            (name, about.len(), changed).hash(&mut contents);
        }
        let path = cache.join(format!("pictures-{:016x}", places.finish()));
        Some(Self { path, fingerprint: format!("{:016x}", contents.finish()) })
    }

    /// Returns `true` if they are as they were when they were found good.
    pub fn holds(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|noted| noted == self.fingerprint)
    }

    /// Notes that they are good.
    pub fn write(&self) {
        let _ = self.path.parent().map(fs::create_dir_all);
        let _ = fs::write(&self.path, &self.fingerprint);
    }
}
