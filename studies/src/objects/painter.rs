//! Models that paint pictures of latent variables, looked at in the same way.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use super::judged::{Judged, spread};
use super::pictures::{rgb, scenes, sights};
use super::scene::Scale;
use super::sight::Sight;
use super::walk::{FRAMES, Walk, starts};
use crate::StudyError;
use crate::task::{Exhibit, PaintedWalk};

/// Pictures per pass.
const ROWS: usize = 50;
/// Walks that are shown.
const SHOWN: usize = 4;

/// A model that paints pictures of latent variables.
pub(crate) trait Painter {
    fn scale(&self) -> Scale;

    fn device(&self) -> Device;

    /// Rows that are held out, at least two.
    fn held_out(&self) -> Range<usize>;

    /// Draws latent variables from the prior, by the number of each row and the same for all runs,
    /// `[N, Z]`.
    fn prior(&self, rows: &[usize]) -> Result<Tensor, StudyError>;

    /// Returns the latent variables along walks from each of these W rows to the next one,
    /// `[W · 9, Z]`.
    fn steps(&self, starts: &[usize]) -> Result<Tensor, StudyError>;

    /// Paints latent variables, `[N, 3, H, H]` from 0 to 1.
    fn paint(&self, latents: &Tensor) -> Result<Tensor, StudyError>;

    /// Returns the pictures that a walk leads from and to, if the model encodes pictures.
    fn ends(&self, start: usize) -> Result<Option<[Vec<u8>; 2]>, StudyError>;

    /// Judges the walks that begin at these rows.
    fn walks(&self, rows: &[usize]) -> Result<Vec<Walk>, StudyError> {
        let starts = starts(rows);
        if starts.is_empty() {
            return Ok(Vec::new());
        }
        let frames = sights(&self.paint(&self.steps(&starts)?)?, self.scale())?;
        Ok(frames.chunks_exact(FRAMES).map(Walk::of).collect())
    }

    /// Looks at samples of the rows that are held out.
    fn samples(&self, rows: &[usize]) -> Result<Vec<Sight>, StudyError> {
        let held_out: Vec<usize> =
            rows.iter().copied().filter(|row| self.held_out().contains(row)).collect();
        match held_out.is_empty() {
            true => Ok(Vec::new()),
            false => sights(&self.paint(&self.prior(&held_out)?)?, self.scale()),
        }
    }

    /// Judges walks and samples.
    fn judge(&self, rows: &[usize]) -> Result<Judged, StudyError> {
        Ok(Judged { walks: self.walks(rows)?, samples: self.samples(rows)? })
    }

    /// Shows the first walks between held-out rows, and where objects are in samples.
    fn shown(&self) -> Result<Vec<Exhibit>, StudyError> {
        let rows: Vec<usize> = self.held_out().collect();
        let mut walks = Vec::new();
        for start in starts(&rows).into_iter().take(SHOWN) {
            let frames = rgb(&self.paint(&self.steps(&[start])?)?, self.scale())?;
            walks.push(PaintedWalk { ends: self.ends(start)?, frames });
        }

        let of_data = sights(&scenes(&rows, self.scale(), self.device())?, self.scale())?;
        let mut of_samples = Vec::new();
        for part in rows.chunks(ROWS) {
            of_samples.extend(self.samples(part)?);
        }
        let walks = Exhibit::Walks { side: self.scale().side, walks };
        Ok(vec![walks, spread(&of_data, &of_samples, self.scale())])
    }
}

/// Returns `[W · 9, …]` even steps between the ends of W walks, each `[W, 1, …]`.
pub(crate) fn between(from: &Tensor, to: &Tensor) -> Result<Tensor, StudyError> {
    let shares = Tensor::f_linspace(0.0, 1.0, FRAMES as i64, (Kind::Float, from.device()))?;
    Ok((from + shares.f_view([1, -1, 1])? * (to - from)).f_flatten(0, 1)?)
}
