//! Folders of pictures, a folder per class, as torchvision's `ImageFolder` has them.
//!
//! JPEG and PNG, told apart by content and not by name; colours, sizes and crops as Pillow and
//! torchvision have them.

mod decode;
mod transform;

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

pub use decode::{PictureError, decode};
pub use transform::{normalised, test_square, train_square};

/// Reasons why a folder cannot be learned from.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// No folder of this name, or one that cannot be listed.
    #[error("{} cannot be listed: {cause}", .path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// Reason.
        cause: std::io::Error,
    },
    /// A folder without folders.
    #[error("{} has no classes; it needs a folder of pictures for each", .path.display())]
    NoClasses {
        /// The folder.
        path: PathBuf,
    },
    /// A class without pictures.
    #[error("{} is a class without pictures", .path.display())]
    EmptyClass {
        /// The class's folder.
        path: PathBuf,
    },
    /// A file that is no picture.
    #[error("{}: {error}", .path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// Reason.
        error: PictureError,
    },
}

/// The pictures of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureFolder {
    /// Names of the classes, in order.
    pub classes: Vec<String>,
    /// The pictures, class by class, each class in the order of their paths.
    pub pictures: Vec<LabelledPicture>,
}

/// A picture and its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledPicture {
    /// Its file.
    pub path: PathBuf,
    /// Number of its class.
    pub class: usize,
}

impl PictureFolder {
    /// Lists a folder with a folder per class. Hidden files, whose names begin with a dot, do not
    /// count; all others must be pictures, which [`PictureFolder::check`] finds out.
    ///
    /// # Errors
    /// If it cannot be listed, has no class, or one without pictures.
    pub fn list(folder: &Path) -> Result<Self, FolderError> {
        let mut classes = Vec::new();
        let mut pictures = Vec::new();
        for path in visible(folder)?.into_iter().filter(|path| path.is_dir()) {
            let before = pictures.len();
            add_pictures(&path, classes.len(), &mut pictures)?;
            if pictures.len() == before {
                return Err(FolderError::EmptyClass { path });
            }
            classes.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
        match classes.is_empty() {
            true => Err(FolderError::NoClasses { path: folder.to_owned() }),
            false => Ok(Self { classes, pictures }),
        }
    }

    /// Reads the header of every picture, on the ambient rayon pool.
    ///
    /// # Errors
    /// The first file that is no picture, in the order of the pictures.
    pub fn check(&self) -> Result<(), FolderError> {
        let checked: Vec<Result<(), FolderError>> = self
            .pictures
            .par_iter()
            .map(|LabelledPicture { path, .. }| match decode::size_of(path) {
                Ok(_) => Ok(()),
                Err(error) => Err(FolderError::Picture { path: path.clone(), error }),
            })
            .collect();
        checked.into_iter().collect()
    }

    /// Reads and decodes a picture to red, green and blue.
    ///
    /// # Errors
    /// If the file is gone, or does not decode although its header did.
    pub fn load(&self, index: usize) -> Result<image::RgbImage, FolderError> {
        let path = &self.pictures[index].path;
        let failed = |error| FolderError::Picture { path: path.clone(), error };
        let bytes =
            fs::read(path).map_err(|error| failed(PictureError::Unreadable(error.to_string())))?;
        decode(&bytes).map_err(failed)
    }
}

/// Adds the pictures of a class, those in folders below it too.
fn add_pictures(
    folder: &Path,
    class: usize,
    pictures: &mut Vec<LabelledPicture>,
) -> Result<(), FolderError> {
    for path in visible(folder)? {
        match path.is_dir() {
            true => add_pictures(&path, class, pictures)?,
            false => pictures.push(LabelledPicture { path, class }),
        }
    }
    Ok(())
}

/// Lists what is not hidden, in order.
fn visible(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let unreadable = |cause| FolderError::Unreadable { path: folder.to_owned(), cause };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/pictures")
    }

    /// A folder of classes, each with copies of these files.
    fn folder_of(classes: &[(&str, &[&str])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (class, files) in classes {
            let class = folder.path().join(class);
            fs::create_dir_all(&class).unwrap();
            for file in *files {
                fs::copy(golden().join(file), class.join(file)).unwrap();
            }
        }
        folder
    }

    #[test]
    fn classes_and_pictures_are_in_order_and_hidden_files_do_not_count() {
        let folder = folder_of(&[("b", &["rgb.png", "grey.jpg"]), ("a/deep", &["rgb.jpg"])]);
        fs::write(folder.path().join("b/.thumbnail"), "x").unwrap();
        fs::write(folder.path().join("readme.txt"), "beside the classes").unwrap();
        let listed = PictureFolder::list(folder.path()).unwrap();
        assert_eq!(listed.classes, ["a", "b"]);
        let found: Vec<(usize, String)> = listed
            .pictures
            .iter()
            .map(|LabelledPicture { path, class }| {
                (*class, path.file_name().unwrap().to_string_lossy().into_owned())
            })
            .collect();
        let expected = [(0, "rgb.jpg"), (1, "grey.jpg"), (1, "rgb.png")];
        assert_eq!(found, expected.map(|(class, name)| (class, name.to_owned())));
        listed.check().unwrap();
        assert_eq!(listed.load(2).unwrap().dimensions(), (24, 18));
    }

    #[test]
    fn what_is_wrong_with_a_folder_is_named() {
        let reason = |folder: &Path| match PictureFolder::list(folder) {
            Ok(listed) => listed.check().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(reason(Path::new("nowhere")).starts_with("nowhere cannot be listed: "));
        let folder = folder_of(&[]);
        assert!(reason(folder.path()).contains("has no classes"));
        let folder = folder_of(&[("a", &["rgb.png"]), ("b", &[])]);
        assert!(reason(folder.path()).contains("b is a class without pictures"));
        let folder = folder_of(&[("a", &["rgb.png"])]);
        fs::write(folder.path().join("a/notes.jpg"), "no picture").unwrap();
        let text = reason(folder.path());
        assert!(text.contains("notes.jpg: it is neither a JPEG nor a PNG"), "{text}");
    }

    /// A header may be whole where the rest is not.
    #[test]
    fn a_picture_that_is_cut_fails_when_it_is_loaded() {
        let folder = folder_of(&[("a", &["cut.jpg"])]);
        let listed = PictureFolder::list(folder.path()).unwrap();
        listed.check().unwrap();
        let text = listed.load(0).unwrap_err().to_string();
        assert!(text.ends_with("cut.jpg: it does not decode: it is cut off"), "{text}");
    }
}
