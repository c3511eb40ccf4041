//! Pictures where the settings say that they are: in a folder, or drawn.

use std::path::Path;
use std::sync::Arc;

use super::{FolderError, PictureFolder, Pictures};
use crate::data::SplitIndices;
use crate::task::DrawnPictures;

/// Pictures that are known to be some, and the fingerprint of those of a folder.
pub(crate) type Checked = (Arc<dyn Pictures>, Option<String>);

/// Pictures to learn from.
pub(crate) enum Found {
    Drawn(Arc<dyn Pictures>),
    Folder(PictureFolder),
}

impl Found {
    /// Finds the pictures of a folder by `list`, or the drawn ones.
    ///
    /// # Errors
    /// As `list`, or for a name that is neither a folder's nor that of the drawn ones.
    pub fn at(
        data: &Path,
        drawn: DrawnPictures,
        list: impl Fn(&Path) -> Result<(PictureFolder, SplitIndices), FolderError>,
    ) -> Result<(Self, SplitIndices), FolderError> {
        let name = data.to_string_lossy();
        if name == drawn.name {
            let (pictures, rows) = (drawn.make)();
            return Ok((Self::Drawn(pictures), rows));
        }
        if name.starts_with("builtin:") {
            return Err(FolderError::NotDrawn { name: name.into_owned(), known: drawn.name });
        }
        let (folder, rows) = list(data)?;
        Ok((Self::Folder(folder), rows))
    }

    /// Checks that the files of a folder are pictures, then returns them with their fingerprint.
    ///
    /// # Errors
    /// As [`PictureFolder::check`].
    pub fn checked(self, data: &Path, notes: Option<&Path>) -> Result<Checked, FolderError> {
        match self {
            Self::Drawn(pictures) => Ok((pictures, None)),
            Self::Folder(folder) => {
                folder.check(data, notes)?;
                let fingerprint = folder.fingerprint(data);
                Ok((Arc::new(folder), Some(fingerprint)))
            }
        }
    }
}
