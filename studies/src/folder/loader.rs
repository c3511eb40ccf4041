//! Decodes pictures on threads of its own, ahead of whoever learns from them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use coordrl_agents::panic_to_error;
use coordrl_envs::Rng;
use image::RgbImage;
use rayon::{ThreadPool, ThreadPoolBuilder};
use tch::{Device, Kind, Tensor};

use super::{FolderError, PictureError};
use crate::StudyError;
use crate::data::SplitIndices;
use crate::draws::{Purpose, stream};
use crate::task::{Draws, Intake};

/// Consecutive unreadable pictures after which we assume that the storage itself has failed.
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

/// State shared by the decoding threads.
struct Source {
    pictures: Arc<dyn Pictures>,
    /// Training rows; those after them are held out.
    train: Range<usize>,
    rows: usize,
    prepare: Prepare,
}

/// A row's picture, or the one in its place.
struct Sample {
    /// Class and numbers, or why the last of too many pictures could not be read.
    picture: Result<(usize, Vec<f32>), FolderError>,
    /// Why the row's own picture could not be read. Those tried in its place report themselves when
    /// their turn comes.
    failed: Option<FolderError>,
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
        let mut numbers = Vec::new();
        let mut classes = Vec::new();
        for receiver in self.claim(rows, draws) {
            let (class, picture) = self.wait_for(&receiver, draws)?;
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

    /// Returns the statistics of loading since the last call.
    pub fn take_intake(&self) -> Intake {
        std::mem::take(&mut lock(&self.intake))
    }

    /// Takes what is coming for these rows, so that nobody else can, and starts what is not.
    fn claim(&self, rows: &[usize], draws: Option<Draws>) -> Vec<Receiver<Sample>> {
        let mut coming = lock(&self.coming);
        let mut take = |&row| coming.remove(&(row, draws));
        rows.iter().map(|row| take(row).unwrap_or_else(|| self.start(*row, draws))).collect()
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

    fn wait_for(
        &self,
        receiver: &Receiver<Sample>,
        draws: Option<Draws>,
    ) -> Result<(usize, Vec<f32>), StudyError> {
        let since = Instant::now();
        // Every job that was started sends: its panics are caught.
        let Ok(Sample { picture, failed }) = receiver.recv() else {
            let message = "a decoding thread has ended".to_owned();
            return Err(StudyError::Panicked { shard: 0, message });
        };
        let mut intake = lock(&self.intake);
        intake.waited_secs += since.elapsed().as_secs_f64();
        if let Some(failed) = failed {
            intake.failed.push(failed.to_string());
            intake.failed_to_learn += usize::from(draws.is_some());
        }
        picture.map_err(|last| StudyError::Unreadable {
            count: MOST_IN_A_ROW,
            of: MOST_IN_A_ROW,
            last: last.to_string(),
        })
    }
}

impl Source {
    /// Decodes a row, or in its place the next of its split that can be read.
    fn sample(&self, row: usize, draws: Option<Draws>) -> Sample {
        let mut failed = None;
        let mut place = row;
        for tried in 1.. {
            match self.prepared(place, row, draws) {
                Ok(numbers) => {
                    return Sample { picture: Ok((self.pictures.class(place), numbers)), failed };
                }
                Err(error) if tried == MOST_IN_A_ROW => {
                    return Sample { picture: Err(error), failed };
                }
                Err(error) if tried == 1 => failed = Some(error),
                Err(_) => {}
            }
            place = self.next(place);
        }
        unreachable!("the loop ends by returning")
    }

    /// Like [`Source::prepare_picture`]; a decoder that panics has met a damaged picture.
    fn prepared(
        &self,
        place: usize,
        row: usize,
        draws: Option<Draws>,
    ) -> Result<Vec<f32>, FolderError> {
        panic_to_error(
            || self.prepare_picture(place, row, draws),
            |message| FolderError::Resizing {
                row: place,
                error: PictureError::Damaged(format!("the decoder panicked: {message}")),
            },
        )
    }

    /// The draws are the row's own, whichever picture stands in its place.
    fn prepare_picture(
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

    /// A picture at which the decoder panics.
    const PANICS: usize = 4;

    impl Pictures for Greys {
        fn load(&self, row: usize) -> Result<RgbImage, FolderError> {
            match self.broken.contains(&row) {
                true => Err(FolderError::Picture {
                    path: format!("{row}.jpg").into(),
                    error: PictureError::Format,
                }),
                false if row == PANICS && self.broken.contains(&5) => panic!("out of luck"),
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
    fn a_row_that_cannot_be_read_is_named_once_and_the_next_of_its_split_is_used() {
        // The second fails once more, in the place of the first, and the last of each split begins
        // again at its start.
        let loader = loader(&[1, 2, 5, 7]);
        let (pictures, classes) = values(&loader, &[0, 1, 2, 5, 6, 7], None);
        assert_eq!(pictures, [0.0, 3.0, 3.0, 0.0, 6.0, 6.0]);
        assert_eq!(classes, [0, 30, 30, 0, 60, 60]);
        let Intake { failed, failed_to_learn, .. } = loader.take_intake();
        let names = ["1.jpg", "2.jpg", "5.jpg", "7.jpg"];
        assert_eq!((failed.len(), failed_to_learn), (4, 0));
        assert!(failed.iter().zip(names).all(|(text, name)| text.starts_with(name)), "{failed:?}");
        assert_eq!(loader.take_intake(), Intake::default());
        loader.take(&[1, 2, 3], Some(Draws { seed: 1, epoch: 0 }), Device::Cpu).unwrap();
        assert_eq!(loader.take_intake().failed_to_learn, 2);
    }

    #[test]
    fn a_decoder_that_panics_has_met_a_damaged_picture() {
        let loader = loader(&[5]);
        assert_eq!(values(&loader, &[PANICS, 3], None).0, [0.0, 3.0]);
        let failed = loader.take_intake().failed;
        let text = "picture 4: it does not decode: the decoder panicked: out of luck";
        assert_eq!(failed, [text]);
    }

    #[test]
    fn two_threads_may_take_the_same_row() {
        let loader = loader(&[]);
        for _ in 0..50 {
            loader.expect(&[1, 2], None);
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope
                        .spawn(|| assert_eq!(values(&loader, &[2, 1, 2], None).0, [2.0, 1.0, 2.0]));
                }
            });
        }
    }

    #[test]
    fn where_nothing_can_be_read_it_does_not_look_for_ever() {
        let loader = loader(&[6, 7]);
        let error = loader.take(&[6], None, Device::Cpu).err().unwrap().to_string();
        assert!(error.contains("7.jpg: it is neither a JPEG nor a PNG"), "{error}");
    }
}
