//! Decodes pictures on threads of its own, ahead of whoever learns from them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use coordrl_envs::Rng;
use image::RgbImage;
use rayon::{ThreadPool, ThreadPoolBuilder};
use tch::{Device, Kind, Tensor};

use super::{FolderError, PictureError};
use crate::StudyError;
use crate::data::SplitIndices;
use crate::draws::{Purpose, stream};
use crate::task::{Draws, Intake};

/// Pictures in a row that may be unreadable before the cause must be another one, as a disk that is
/// gone.
const MOST_IN_A_ROW: usize = 20;

/// Numbered pictures, each of a class.
pub trait Pictures: Send + Sync {
    /// Returns a picture.
    ///
    /// # Errors
    /// If its file is gone, or does not decode.
    fn load(&self, row: usize) -> Result<RgbImage, FolderError>;

    /// Returns its class.
    fn class(&self, row: usize) -> usize;

    /// Returns the names of the classes.
    fn classes(&self) -> &[String];
}

/// Makes the numbers of a picture, with draws if it is one to learn from.
pub(crate) type Prepare =
    Box<dyn Fn(&RgbImage, Option<&mut Rng>) -> Result<Vec<f32>, PictureError> + Send + Sync>;

/// Pictures of some rows, as tensors.
pub(crate) struct Batch {
    /// `f32 [N, 3, H, H]`.
    pub pictures: Tensor,
    /// `i64 [N]`.
    pub classes: Tensor,
}

/// A row and what it is for: to learn from, with these draws, or to be scored.
type Wanted = (usize, Option<Draws>);

/// Decodes pictures ahead; shared by all threads of a study.
pub(crate) struct Loader {
    source: Arc<Source>,
    pool: ThreadPool,
    coming: Mutex<HashMap<Wanted, Receiver<Sample>>>,
    intake: Mutex<Intake>,
}

/// What the decoding threads share.
struct Source {
    pictures: Arc<dyn Pictures>,
    /// Training rows; those after them are held out.
    train: Range<usize>,
    rows: usize,
    prepare: Prepare,
}

/// A row's picture, or the one in its place.
struct Sample {
    /// Class and numbers; absent if too many in a row could not be read.
    picture: Option<(usize, Vec<f32>)>,
    /// Pictures that could not be read, and why.
    failed: Vec<FolderError>,
}

impl Loader {
    /// Creates one for these rows, the training rows first, that decodes on `threads` threads.
    pub fn new(
        pictures: Arc<dyn Pictures>,
        rows: &SplitIndices,
        threads: usize,
        prepare: Prepare,
    ) -> Result<Self, StudyError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("decode-{index}"))
            .build()
            .map_err(|cause| StudyError::NoThread { cause: cause.to_string() })?;
        let train = 0..rows.train.len();
        let source = Source { pictures, rows: train.end + rows.test.len(), train, prepare };
        Ok(Self {
            source: Arc::new(source),
            pool,
            coming: Mutex::default(),
            intake: Mutex::default(),
        })
    }

    /// Starts to decode these rows, unless that has been started.
    pub fn expect(&self, rows: &[usize], draws: Option<Draws>) {
        let mut coming = lock(&self.coming);
        for &row in rows {
            coming.entry((row, draws)).or_insert_with(|| self.start(row, draws));
        }
    }

    /// Returns these rows, and waits for what is not decoded yet.
    pub fn take(
        &self,
        rows: &[usize],
        draws: Option<Draws>,
        device: Device,
    ) -> Result<Batch, StudyError> {
        self.expect(rows, draws);
        let mut numbers = Vec::new();
        let mut classes = Vec::new();
        for &row in rows {
            let (class, picture) = self.wait_for(row, draws)?;
            classes.push(class as i64);
            numbers.extend(picture);
        }
        let side = (numbers.len() as f64 / (3 * rows.len().max(1)) as f64).sqrt() as i64;
        let pictures = Tensor::from_slice(&numbers).f_view([rows.len() as i64, 3, side, side])?;
        Ok(Batch {
            pictures: pictures.f_to_device(device)?,
            classes: Tensor::from_slice(&classes).f_to(device)?.f_to_kind(Kind::Int64)?,
        })
    }

    /// Returns what loading has met since it was last asked.
    pub fn take_intake(&self) -> Intake {
        std::mem::take(&mut lock(&self.intake))
    }

    fn start(&self, row: usize, draws: Option<Draws>) -> Receiver<Sample> {
        let (sender, receiver) = sync_channel(1);
        let source = self.source.clone();
        self.pool.spawn(move || {
            // Nobody waits any more where a study ends.
            let _ = sender.send(source.sample(row, draws));
        });
        receiver
    }

    fn wait_for(&self, row: usize, draws: Option<Draws>) -> Result<(usize, Vec<f32>), StudyError> {
        let since = Instant::now();
        let receiver = lock(&self.coming).remove(&(row, draws));
        let sample = receiver.and_then(|receiver| receiver.recv().ok());
        let mut intake = lock(&self.intake);
        intake.waited_secs += since.elapsed().as_secs_f64();
        // A decoder that panics ends its thread's job, and with it the channel.
        let Some(Sample { picture, failed }) = sample else {
            let message = format!("the decoder of picture {row} panicked");
            return Err(StudyError::Panicked { shard: 0, message });
        };
        let last = failed.last().map(ToString::to_string);
        intake.failed.extend(failed.iter().map(ToString::to_string));
        picture.ok_or_else(|| StudyError::Unreadable {
            count: MOST_IN_A_ROW,
            of: MOST_IN_A_ROW,
            last: last.unwrap_or_default(),
        })
    }
}

impl Source {
    /// Decodes a row, or in its place the next of its side that can be read.
    fn sample(&self, row: usize, draws: Option<Draws>) -> Sample {
        let mut failed = Vec::new();
        let mut place = row;
        while failed.len() < MOST_IN_A_ROW {
            match self.prepared(place, row, draws) {
                Ok(numbers) => {
                    let picture = Some((self.pictures.class(place), numbers));
                    return Sample { picture, failed };
                }
                Err(error) => failed.push(error),
            }
            place = self.next(place);
        }
        Sample { picture: None, failed }
    }

    /// The draws are the row's own, whichever picture stands in its place.
    fn prepared(
        &self,
        place: usize,
        row: usize,
        draws: Option<Draws>,
    ) -> Result<Vec<f32>, FolderError> {
        let picture = self.pictures.load(place)?;
        // One stream for each row of each epoch: 2³² rows, which no data set has.
        let mut rng = draws.map(|Draws { seed, epoch }| {
            stream(seed, Purpose::Crops, (u64::from(epoch) << 32) + row as u64)
        });
        (self.prepare)(&picture, rng.as_mut())
            .map_err(|error| FolderError::Resizing { row: place, error })
    }

    fn next(&self, row: usize) -> usize {
        match row + 1 {
            next if next == self.train.end => self.train.start,
            next if next == self.rows => self.train.end,
            next => next,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked while holding it left a whole map, or a whole sum.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Grey pictures whose brightness is their number; those named cannot be read.
    struct Greys {
        broken: Vec<usize>,
        classes: Vec<String>,
    }

    impl Pictures for Greys {
        fn load(&self, row: usize) -> Result<RgbImage, FolderError> {
            match self.broken.contains(&row) {
                true => Err(FolderError::Picture {
                    path: format!("{row}.jpg").into(),
                    error: PictureError::Format,
                }),
                false => Ok(RgbImage::from_pixel(2, 2, image::Rgb([row as u8; 3]))),
            }
        }

        fn class(&self, row: usize) -> usize {
            10 * row
        }

        fn classes(&self) -> &[String] {
            &self.classes
        }
    }

    /// Six rows to learn from and two held out. A picture to learn from is brighter by what is drawn.
    fn loader(broken: &[usize]) -> Loader {
        let pictures = Greys { broken: broken.to_vec(), classes: Vec::new() };
        let prepare: Prepare = Box::new(|picture, rng| {
            let more = rng.map_or(0.0, |rng| coordrl_agents::nn::uniform(rng) as f32);
            Ok(picture.iter().map(|&value| f32::from(value) + more).collect())
        });
        Loader::new(Arc::new(pictures), &SplitIndices::in_turn(6, 2), 2, prepare).unwrap()
    }

    fn values(loader: &Loader, rows: &[usize], draws: Option<Draws>) -> (Vec<f32>, Vec<i64>) {
        let Batch { pictures, classes } = loader.take(rows, draws, Device::Cpu).unwrap();
        assert_eq!(pictures.size(), [rows.len() as i64, 3, 2, 2]);
        let first = pictures.select(1, 0).select(1, 0).select(1, 0);
        (first.try_into().unwrap(), classes.try_into().unwrap())
    }

    #[test]
    fn rows_come_in_the_order_asked_for_whatever_was_expected() {
        let loader = loader(&[]);
        loader.expect(&[1, 2, 3, 4], None);
        assert_eq!(values(&loader, &[4, 1, 0], None), (vec![4.0, 1.0, 0.0], vec![40, 10, 0]));
        // Those expected and never taken do not stand in the way.
        assert_eq!(values(&loader, &[2, 7], None).0, [2.0, 7.0]);
    }

    #[test]
    fn draws_depend_on_seed_epoch_and_row_alone() {
        let at = |epoch| Some(Draws { seed: 1, epoch });
        let loader = loader(&[]);
        loader.expect(&[0, 1, 2], at(0));
        let (first, _) = values(&loader, &[0, 1, 2], at(0));
        assert_eq!(values(&loader, &[2, 0], at(0)).0, [first[2], first[0]]);
        assert_ne!(values(&loader, &[0, 1, 2], at(1)).0, first);
    }

    #[test]
    fn a_picture_that_cannot_be_read_is_named_and_the_next_of_its_side_takes_its_place() {
        let loader = loader(&[1, 5, 7]);
        let (pictures, classes) = values(&loader, &[0, 1, 5, 6, 7], None);
        assert_eq!(pictures, [0.0, 2.0, 0.0, 6.0, 6.0]);
        assert_eq!(classes, [0, 20, 0, 60, 60]);
        let failed = loader.take_intake().failed;
        let names = ["1.jpg", "5.jpg", "7.jpg"];
        assert_eq!(failed.len(), 3);
        assert!(failed.iter().zip(names).all(|(text, name)| text.starts_with(name)), "{failed:?}");
        assert!(loader.take_intake().failed.is_empty());
    }

    #[test]
    fn where_nothing_can_be_read_it_does_not_look_for_ever() {
        let loader = loader(&[6, 7]);
        let error = loader.take(&[6], None, Device::Cpu).err().unwrap().to_string();
        assert!(error.contains("7.jpg: it is neither a JPEG nor a PNG"), "{error}");
    }
}
