//! Learning to paint pictures like those of a folder.

use std::ops::Range;
use std::sync::Arc;

use coordrl_agents::nn::Mode;
use tch::{Device, Kind, Tensor};

use super::walks;
use crate::StudyError;
use crate::adversary::{
    self, Discriminator, DoublingGenerator, GENERATOR, Latents, discriminator_loss, generator_loss,
};
use crate::folder::loader::Loader;
use crate::objects::walk::{FRAMES, ends, starts};
use crate::task::{Draws, Exhibit, Intake, PaintedWalk, RowSplit, ScoreSums, Tally, TaskLearner};

/// Pictures per evaluation pass.
const ROWS: usize = 50;
/// Walks that are shown.
const SHOWN: usize = 4;

/// One thread's networks. Rows are numbers of pictures.
pub(super) struct LsunLearner {
    pub discriminator: Discriminator,
    pub generator: DoublingGenerator,
    pub latents: Latents,
    pub loader: Arc<Loader>,
    /// Rows that are held out.
    pub held_out: Range<usize>,
    pub device: Device,
}

impl LsunLearner {
    /// Takes pictures, `f32 [N, 3, H, H]` from −1 to 1.
    fn pictures(&self, rows: &[usize], draws: Option<Draws>) -> Result<Tensor, StudyError> {
        Ok(self.loader.take(rows, draws, self.device)?.pictures)
    }

    /// Paints with the running statistics.
    fn paint(&self, latents: &Tensor) -> Tensor {
        self.generator.forward(latents, Mode::Evaluate)
    }

    /// Looks at samples and walks of held-out rows: every second one and the next.
    fn judge(&self, rows: &[usize]) -> Result<[Tally; 4], StudyError> {
        let is_held_out = |row: &usize| self.held_out.contains(row);
        let starts: Vec<usize> = starts(rows)
            .into_iter()
            .filter(|row| is_held_out(row) && is_held_out(&(row + 1)))
            .collect();
        if starts.is_empty() {
            return Ok([(); 4].map(|()| Tally::Mean { sum: 0.0, count: 0.0 }));
        }
        let pairs = ends(&starts);
        let samples = self.paint(&self.latents.of_evaluation(&pairs)?);
        let pictures = self.pictures(&pairs, None)?;
        let frames = self.paint(&self.latents.of_walks(&starts)?);
        Ok([
            walks::variety(&samples, &pictures)?,
            walks::sharpness(&samples, &pictures)?,
            walks::length(&frames)?,
            walks::middle(&frames)?,
        ])
    }
}

impl TaskLearner for LsunLearner {
    fn loss(&self, objective: usize, rows: &[usize], draws: Draws) -> Result<Tensor, StudyError> {
        let Self { discriminator, generator, .. } = self;
        let latents = self.latents.of_training(rows, draws)?;
        match objective {
            GENERATOR => generator_loss(discriminator, generator, &latents),
            _ => {
                let pictures = self.pictures(rows, Some(draws))?;
                discriminator_loss(discriminator, generator, &pictures, &latents)
            }
        }
    }

    fn score(&self, rows: &[usize]) -> Result<ScoreSums, StudyError> {
        let Self { discriminator, generator, .. } = self;
        let latents = self.latents.of_evaluation(rows)?;
        let pictures = self.pictures(rows, None)?;
        let (loss, correct) = adversary::score(discriminator, generator, &pictures, &latents)?;
        let measures = [correct].into_iter().chain(self.judge(rows)?).collect();
        Ok(ScoreSums { loss, measures })
    }

    /// Batch normalisation lets rows depend on each other.
    fn row_split(&self) -> RowSplit {
        RowSplit::Whole(ROWS)
    }

    fn expect(&self, rows: &[usize], draws: Option<Draws>) {
        self.loader.expect(rows, draws);
    }

    fn load(&self, rows: &[usize], draws: Draws) -> Result<bool, StudyError> {
        self.loader.take(rows, Some(draws), self.device)?;
        Ok(true)
    }

    fn take_intake(&self) -> Intake {
        self.loader.take_intake()
    }

    fn exhibits(&self) -> Result<Vec<Exhibit>, StudyError> {
        let rows: Vec<usize> = self.held_out.clone().collect();
        let starts: Vec<usize> = starts(&rows).into_iter().take(SHOWN).collect();
        let frames = self.paint(&self.latents.of_walks(&starts)?);
        let side = frames.size()[3] as usize;
        let bytes: Vec<Vec<u8>> =
            frames.split(1, 0).iter().map(bytes_of).collect::<Result<_, _>>()?;
        let walks = bytes.chunks_exact(FRAMES);
        let walks = walks.map(|frames| PaintedWalk { ends: None, frames: frames.to_vec() });
        Ok(vec![Exhibit::Walks { side, walks: walks.collect() }])
    }
}

/// Red, green and blue bytes of a picture from −1 to 1, row by row.
fn bytes_of(picture: &Tensor) -> Result<Vec<u8>, StudyError> {
    let rows = picture.f_squeeze_dim(0)?.f_permute([1, 2, 0])?.f_flatten(0, -1)?;
    let bytes = ((rows + 1.0) * 127.5).f_round()?.f_to_kind(Kind::Uint8)?;
    Ok(Vec::<u8>::try_from(bytes.f_to_device(Device::Cpu)?)?)
}
