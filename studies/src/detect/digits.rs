//! Handwritten digits: MNIST, as set-up fetches it or as its authors published it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

/// Height and width of a digit's picture.
pub const SIDE: usize = 28;
/// Pixels of a digit's picture.
const PIXELS: usize = SIDE * SIDE;
/// File that set-up leaves in the folder of digits: rows of 784 pixels and the class.
pub const PACKED: &str = "mnist_5k.csv.gz";
/// Of each class in [`PACKED`], the digits from this one on are held out.
const HELD_OUT_FROM: usize = 450;

/// Digits to learn from, and others to test with.
#[derive(Debug, PartialEq)]
pub struct Digits {
    /// For training canvases.
    pub train: Vec<Digit>,
    /// For test canvases.
    pub test: Vec<Digit>,
}

/// A handwritten digit, cut to the rows and columns that have ink.
#[derive(Clone, Debug, PartialEq)]
pub struct Digit {
    /// From 0 to 9.
    pub class: u8,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// From 0 to 1, row by row.
    pub pixels: Vec<f32>,
}

/// Reason why digits cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DigitsError {
    /// The folder has neither kind of file.
    #[error(
        "{} has no digits: neither {PACKED}, which `cargo xtask setup` fetches, nor the four files \
         of MNIST (train-images-idx3-ubyte and so on, unpacked)", .dir.display()
    )]
    Missing {
        /// The folder.
        dir: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {cause}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// A file is not what its name says.
    #[error("{}: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its fault.
        reason: String,
    },
}

impl Digits {
    /// Reads the digits in a folder: MNIST's four files (60 000 and 10 000 digits), else
    /// [`PACKED`] (of each class 450 and 50).
    pub fn read(dir: &Path) -> Result<Self, DigitsError> {
        if dir.join(IMAGES[0]).is_file() {
            let [train, test] = [0, 1].map(|part| read_idx(dir, part));
            return Ok(Self { train: train?, test: test? });
        }
        let packed = dir.join(PACKED);
        if packed.is_file() {
            return Self::read_packed(&packed);
        }
        Err(DigitsError::Missing { dir: dir.to_owned() })
    }

    fn read_packed(path: &Path) -> Result<Self, DigitsError> {
        let file = File::open(path).map_err(|cause| unreadable(path, cause))?;
        let mut digits = Self { train: Vec::new(), test: Vec::new() };
        let mut seen = [0; 10];
        for (index, line) in BufReader::new(GzDecoder::new(file)).lines().enumerate() {
            let line = line.map_err(|cause| unreadable(path, cause))?;
            let digit = parse_line(&line)
                .ok_or_else(|| damaged(path, format!("line {} is not a digit", index + 1)))?;
            let count = &mut seen[usize::from(digit.class)];
            let part = if *count < HELD_OUT_FROM { &mut digits.train } else { &mut digits.test };
            part.push(digit);
            *count += 1;
        }
        digits.check_both(path)
    }

    fn check_both(self, path: &Path) -> Result<Self, DigitsError> {
        if self.train.is_empty() || self.test.is_empty() {
            return Err(damaged(path, "it has too few digits to hold any out".to_owned()));
        }
        Ok(self)
    }
}

/// Parses `p,p,…,p,class`; `None` if it is anything else.
fn parse_line(line: &str) -> Option<Digit> {
    let numbers: Vec<u8> = line.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
    let (&class, pixels) = numbers.split_last()?;
    Digit::cut(pixels, class)
}

impl Digit {
    /// Cuts a picture of 28 × 28 pixels to the rows and columns whose sum exceeds 0.001; `None`
    /// without any, or for another size or class.
    fn cut(picture: &[u8], class: u8) -> Option<Self> {
        if picture.len() != PIXELS || class > 9 {
            return None;
        }
        // One step of grey is 0.004, so any ink exceeds 0.001.
        let has_ink = |row: usize, column: usize| picture[row * SIDE + column] > 0;
        let rows = extent(|row| (0..SIDE).any(|column| has_ink(row, column)))?;
        let columns = extent(|column| (0..SIDE).any(|row| has_ink(row, column)))?;
        let cut = rows.clone().flat_map(|row| &picture[row * SIDE..][columns.clone()]);
        let pixels = cut.map(|&grey| f32::from(grey) / 255.0).collect();
        Some(Self { class, height: rows.len(), width: columns.len(), pixels })
    }
}

/// Range from the first to the last index that qualifies.
fn extent(qualifies: impl Fn(usize) -> bool) -> Option<std::ops::Range<usize>> {
    let first = (0..SIDE).find(|&index| qualifies(index))?;
    let last = (first..SIDE).rfind(|&index| qualifies(index))?;
    Some(first..last + 1)
}

const IMAGES: [&str; 2] = ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte"];
const LABELS: [&str; 2] = ["train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"];

/// Reads the training (0) or test (1) files.
fn read_idx(dir: &Path, part: usize) -> Result<Vec<Digit>, DigitsError> {
    let images = dir.join(IMAGES[part]);
    let labels = dir.join(LABELS[part]);
    let pixels = idx_values(&images, [0, 0, 8, 3], PIXELS)?;
    let classes = idx_values(&labels, [0, 0, 8, 1], 1)?;
    if classes.len() * PIXELS != pixels.len() {
        let count = pixels.len() / PIXELS;
        return Err(damaged(
            &labels,
            format!("it has {} labels for {count} digits", classes.len()),
        ));
    }
    let pictures = pixels.chunks_exact(PIXELS).zip(&classes).enumerate();
    pictures
        .map(|(index, (picture, &class))| {
            let reason = || damaged(&images, format!("number {index} is empty, or no digit"));
            Digit::cut(picture, class).ok_or_else(reason)
        })
        .collect()
}

/// Reads an IDX file: magic, count and further sizes as big-endian numbers of four bytes, values.
fn idx_values(path: &Path, magic: [u8; 4], each: usize) -> Result<Vec<u8>, DigitsError> {
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(|cause| unreadable(path, cause))?;
    file.read_to_end(&mut bytes).map_err(|cause| unreadable(path, cause))?;
    let header = 4 + 4 * usize::from(magic[3]);
    if bytes.len() < header || bytes[..4] != magic {
        return Err(damaged(path, "it is not an IDX file of the right kind".to_owned()));
    }
    let size = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| bytes[at + byte])) as usize;
    let count = size(4);
    let sizes_fit = (8..header).step_by(4).all(|at| size(at) == SIDE);
    let values = bytes.split_off(header);
    if count == 0 || !sizes_fit || values.len() != count * each {
        let found = values.len();
        return Err(damaged(path, format!("{count} digits of 28 × 28 are not its {found} bytes")));
    }
    Ok(values)
}

fn unreadable(path: &Path, cause: io::Error) -> DigitsError {
    DigitsError::Unreadable { path: path.to_owned(), cause }
}

fn damaged(path: &Path, reason: String) -> DigitsError {
    DigitsError::Damaged { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// A picture with ink in two corners of a box of 2 × 3.
    fn picture() -> Vec<u8> {
        let mut picture = vec![0; PIXELS];
        picture[5 * SIDE + 7] = 255;
        picture[6 * SIDE + 9] = 51;
        picture
    }

    fn idx(magic: [u8; 4], sizes: &[u32], values: &[u8]) -> Vec<u8> {
        let sizes = sizes.iter().flat_map(|size| size.to_be_bytes());
        magic.into_iter().chain(sizes).chain(values.iter().copied()).collect()
    }

    fn write_idx(dir: &Path, part: usize, classes: &[u8]) {
        let count = classes.len() as u32;
        let pixels = picture().repeat(classes.len());
        fs::write(dir.join(IMAGES[part]), idx([0, 0, 8, 3], &[count, 28, 28], &pixels)).unwrap();
        fs::write(dir.join(LABELS[part]), idx([0, 0, 8, 1], &[count], classes)).unwrap();
    }

    fn write_packed(dir: &Path, text: &str) {
        let file = File::create(dir.join(PACKED)).unwrap();
        let mut packed = GzEncoder::new(file, Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap();
    }

    fn line(class: u8) -> String {
        let pixels: Vec<String> = picture().iter().map(u8::to_string).collect();
        format!("{},{class}\n", pixels.join(","))
    }

    fn refusal(dir: &Path) -> String {
        Digits::read(dir).unwrap_err().to_string()
    }

    #[test]
    fn digits_are_cut_to_their_ink_and_the_last_of_a_class_are_held_out() {
        let dir = tempfile::tempdir().unwrap();
        write_packed(dir.path(), &(line(3).repeat(HELD_OUT_FROM + 2) + &line(4)));
        let digits = Digits::read(dir.path()).unwrap();
        assert_eq!((digits.train.len(), digits.test.len()), (HELD_OUT_FROM + 1, 2));
        let pixels = vec![1.0, 0.0, 0.0, 0.0, 0.0, 0.2];
        assert_eq!(digits.test[0], Digit { class: 3, height: 2, width: 3, pixels });
    }

    #[test]
    fn mnists_own_files_are_preferred() {
        let dir = tempfile::tempdir().unwrap();
        write_packed(dir.path(), "damaged");
        write_idx(dir.path(), 0, &[7, 8, 9]);
        write_idx(dir.path(), 1, &[0]);
        let digits = Digits::read(dir.path()).unwrap();
        let classes: Vec<u8> = digits.train.iter().map(|digit| digit.class).collect();
        assert_eq!((classes, digits.test[0].class), (vec![7, 8, 9], 0));
        assert_eq!((digits.test[0].height, digits.test[0].width), (2, 3));
    }

    #[test]
    fn what_is_missing_or_damaged_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        assert!(refusal(path).contains("cargo xtask setup"));

        write_packed(path, &(line(1) + "1,2,3\n"));
        assert!(refusal(path).contains("mnist_5k.csv.gz: line 2 is not a digit"));
        write_packed(path, &line(1));
        assert!(refusal(path).contains("too few digits"));
        fs::write(path.join(PACKED), "not gzip").unwrap();
        assert!(refusal(path).starts_with("cannot read"));

        write_idx(path, 0, &[1, 2]);
        assert!(refusal(path).starts_with("cannot read"), "the test files are missing");
        write_idx(path, 1, &[1]);
        fs::write(path.join(LABELS[1]), idx([0, 0, 8, 1], &[2], &[1, 1])).unwrap();
        assert!(refusal(path).contains("it has 2 labels for 1 digits"));
        fs::write(path.join(LABELS[1]), idx([0, 0, 8, 1], &[1], &[10])).unwrap();
        assert!(refusal(path).contains("number 0 is empty, or no digit"));
        fs::write(path.join(IMAGES[1]), idx([0, 0, 8, 3], &[1, 28, 28], &[0; 9])).unwrap();
        assert!(refusal(path).contains("1 digits of 28 × 28 are not its 9 bytes"));
        fs::write(path.join(IMAGES[1]), idx([0, 0, 8, 3], &[1, 32, 32], &[0; 1024])).unwrap();
        assert!(refusal(path).contains("are not its 1024 bytes"));
        fs::write(path.join(IMAGES[1]), "short").unwrap();
        assert!(refusal(path).contains("not an IDX file"));
    }
}
