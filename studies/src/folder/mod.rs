//! Folders of pictures, a folder per class, as torchvision's `ImageFolder` has them, but that every file
//! must be a picture.
//!
//! JPEG and PNG, told apart by content and not by name; colours, sizes and crops as Pillow and
//! torchvision have them.

mod checked;
mod decode;
pub(crate) mod found;
pub(crate) mod loader;
mod transform;

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use self::checked::CheckedNote;
use crate::data::SplitIndices;

pub use self::loader::Pictures;
pub use decode::{PictureError, decode};
pub use transform::{centre_square, normalised, signed, test_square, train_square};

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
    /// One class, of which there is nothing to learn.
    #[error("{} has one class; naming pictures takes two", .path.display())]
    OneClass {
        /// The folder.
        path: PathBuf,
    },
    /// A class without pictures.
    #[error("{} is a class without pictures", .path.display())]
    EmptyClass {
        /// The class's folder.
        path: PathBuf,
    },
    /// No more pictures than are to be held out.
    #[error(
        "{} has {count} pictures, of which `study.lsun.test_pictures` holds out {held_out}",
        .path.display()
    )]
    TooFew {
        /// The folder.
        path: PathBuf,
        /// Its pictures.
        count: usize,
        /// Those to be held out.
        held_out: usize,
    },
    /// Classes that differ between what is to be learned and what is held out.
    #[error("{}: the class {class} has no folder there, as it has in {}", .path.display(), .other.display())]
    OtherClasses {
        /// The folder without it.
        path: PathBuf,
        /// The folder with it.
        other: PathBuf,
        /// Its name.
        class: String,
    },
    /// A picture that cannot be cut or resized.
    #[error("picture {row}: {error}")]
    Resizing {
        /// Its number.
        row: usize,
        /// Reason.
        error: PictureError,
    },
    /// A name of pictures that the program does not draw.
    #[error("{name}: the pictures that are drawn here are {known}")]
    NotDrawn {
        /// The name.
        name: String,
        /// That of those that are.
        known: &'static str,
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

    /// Lists all pictures of a folder, those in folders below it too, as one class; holds out up to
    /// `held_out` of them, evenly spread, and numbers those last.
    ///
    /// # Errors
    /// If it cannot be listed, or has too few.
    pub fn list_flat(folder: &Path, held_out: usize) -> Result<(Self, SplitIndices), FolderError> {
        let mut pictures = Vec::new();
        add_pictures(folder, 0, &mut pictures)?;
        let count = pictures.len();
        if count <= held_out {
            return Err(FolderError::TooFew { path: folder.to_owned(), count, held_out });
        }
        let is_held_out = |index: usize| index * held_out / count != (index + 1) * held_out / count;
        let (test, train): (Vec<_>, Vec<_>) =
            pictures.into_iter().enumerate().partition(|(index, _)| is_held_out(*index));
        let rows = SplitIndices::in_turn(train.len(), test.len());
        let pictures = train.into_iter().chain(test).map(|(_, picture)| picture).collect();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((Self { classes: vec![name], pictures }, rows))
    }

    /// Lists a folder with pictures to learn from in `train` and pictures held out in `val`, each with
    /// the same classes; numbers the former first.
    ///
    /// # Errors
    /// As [`PictureFolder::list`], or if their classes differ.
    pub fn list_split(folder: &Path) -> Result<(Self, SplitIndices), FolderError> {
        let [train, val] = ["train", "val"].map(|side| folder.join(side));
        let mut all = Self::list(&train)?;
        let held_out = Self::list(&val)?;
        for ([path, other], [has, needs]) in [
            ([&val, &train], [&held_out.classes, &all.classes]),
            ([&train, &val], [&all.classes, &held_out.classes]),
        ] {
            if let Some(class) = needs.iter().find(|class| !has.contains(class)) {
                let class = class.clone();
                let [path, other] = [path, other].map(PathBuf::clone);
                return Err(FolderError::OtherClasses { path, other, class });
            }
        }
        if all.classes.len() == 1 {
            return Err(FolderError::OneClass { path: train });
        }
        let rows = SplitIndices::in_turn(all.pictures.len(), held_out.pictures.len());
        all.pictures.extend(held_out.pictures);
        Ok((all, rows))
    }

    /// Reads the header of every picture in `folder`, on the ambient rayon pool; with a place for notes
    /// only if a picture has changed since all were good.
    ///
    /// # Errors
    /// The first file that is no picture, in the order of the pictures.
    pub fn check(&self, folder: &Path, notes: Option<&Path>) -> Result<(), FolderError> {
        let note = notes.and_then(|notes| CheckedNote::on(notes, folder, &self.pictures));
        if note.as_ref().is_some_and(CheckedNote::holds) {
            return Ok(());
        }
        self.check_headers()?;
        note.iter().for_each(CheckedNote::write);
        Ok(())
    }

    fn check_headers(&self) -> Result<(), FolderError> {
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

    /// Returns a fingerprint of the names below `folder` and of their order, for a run that is resumed.
    pub(crate) fn fingerprint(&self, folder: &Path) -> String {
        // FNV-1a, because the standard library's hash may change with its version.
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for LabelledPicture { path, .. } in &self.pictures {
            let name = path.strip_prefix(folder).unwrap_or(path);
            for byte in name.as_os_str().as_encoded_bytes().iter().chain(&[0]) {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        format!("{hash:016x}")
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

impl Pictures for PictureFolder {
    fn load(&self, row: usize) -> Result<image::RgbImage, FolderError> {
        Self::load(self, row)
    }

    fn class(&self, row: usize) -> usize {
        self.pictures[row].class
    }

    fn classes(&self) -> &[String] {
        &self.classes
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
        listed.check(folder.path(), None).unwrap();
        assert_eq!(listed.load(2).unwrap().dimensions(), (24, 18));
    }

    #[test]
    fn what_is_wrong_with_a_folder_is_named() {
        let reason = |folder: &Path| match PictureFolder::list(folder) {
            Ok(listed) => listed.check(folder, None).unwrap_err().to_string(),
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

    #[test]
    fn both_sides_have_the_same_classes() {
        let folder = folder_of(&[
            ("train/a", &["rgb.png", "rgb.jpg"]),
            ("train/b", &["grey.jpg"]),
            ("val/a", &["rgb.png"]),
            ("one/train/a", &["rgb.png"]),
            ("one/val/a", &["rgb.png"]),
        ]);
        let reason = |folder: &Path| PictureFolder::list_split(folder).unwrap_err().to_string();
        let text = reason(folder.path());
        assert!(text.contains("val: the class b has no folder there"), "{text}");
        fs::create_dir(folder.path().join("val/b")).unwrap();
        assert!(reason(folder.path()).contains("b is a class without pictures"));
        fs::copy(golden().join("grey.jpg"), folder.path().join("val/b/x")).unwrap();
        let (listed, rows) = PictureFolder::list_split(folder.path()).unwrap();
        assert_eq!((rows.train, rows.test), (vec![0, 1, 2], vec![3, 4]));
        assert_eq!(
            listed.pictures.iter().map(|one| one.class).collect::<Vec<_>>(),
            [0, 0, 1, 0, 1]
        );
        let text = reason(&folder.path().join("one"));
        assert!(text.ends_with("train has one class; naming pictures takes two"), "{text}");
        let text = reason(&folder.path().join("train"));
        assert!(text.contains("train/train cannot be listed"), "{text}");
    }

    #[test]
    fn pictures_held_out_are_spread_and_come_last() {
        let folder = folder_of(&[
            ("a", &["rgb.png", "rgb.jpg", "grey.jpg"]),
            ("b/c", &["rgb.png", "grey.jpg"]),
        ]);
        fs::copy(golden().join("rgb.png"), folder.path().join("z.png")).unwrap();
        let (listed, rows) = PictureFolder::list_flat(folder.path(), 2).unwrap();
        assert_eq!((rows.train.len(), rows.test), (4, vec![4, 5]));
        let held_out = &listed.pictures[4..];
        assert!(held_out[0].path.ends_with("a/rgb.png") && held_out[1].path.ends_with("z.png"));
        let text = PictureFolder::list_flat(folder.path(), 6).unwrap_err().to_string();
        assert!(
            text.ends_with("has 6 pictures, of which `study.lsun.test_pictures` holds out 6"),
            "{text}"
        );
        let other = PictureFolder::list_flat(folder.path(), 1).unwrap().0;
        assert_ne!(other.fingerprint(folder.path()), listed.fingerprint(folder.path()));
    }

    #[test]
    fn headers_are_read_again_only_where_something_changed() {
        let notes = tempfile::tempdir().unwrap();
        let folder = folder_of(&[("a", &["rgb.png", "grey.jpg"])]);
        let bad = folder.path().join("a/notes.jpg");
        fs::write(&bad, "no picture").unwrap();
        let listed = PictureFolder::list(folder.path()).unwrap();
        let check = |listed: &PictureFolder| listed.check(folder.path(), Some(notes.path()));
        assert!(check(&listed).is_err() && check(&listed).is_err(), "an error leaves no note");
        fs::copy(golden().join("rgb.jpg"), &bad).unwrap();
        check(&listed).unwrap();
        let note = CheckedNote::on(notes.path(), folder.path(), &listed.pictures).unwrap();
        assert!(note.holds());
        assert_eq!(fs::read_dir(notes.path()).unwrap().count(), 1);
        // Noted, but no longer as noted.
        fs::write(&bad, "no picture any more").unwrap();
        assert!(check(&listed).is_err());
        assert!(listed.check(folder.path(), Some(Path::new("/dev/null/none"))).is_err());
    }

    /// A header may be whole where the rest is not.
    #[test]
    fn a_picture_that_is_cut_fails_when_it_is_loaded() {
        let folder = folder_of(&[("a", &["cut.jpg"])]);
        let listed = PictureFolder::list(folder.path()).unwrap();
        listed.check(folder.path(), None).unwrap();
        let text = listed.load(0).unwrap_err().to_string();
        assert!(text.ends_with("cut.jpg: it does not decode: it is cut off"), "{text}");
    }
}
