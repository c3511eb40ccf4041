//! Models that paint pictures of latent variables, looked at in the same way.

use std::ops::Range;

use coordrl_envs::Problem;
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

/// Pictures of a generative study.
#[derive(Clone, Debug)]
pub(crate) struct Canvases {
    pub scale: Scale,
    /// Rows that are held out, at least two.
    pub held_out: Range<usize>,
    pub device: Device,
}

impl Canvases {
    /// Lists the problems with the settings of canvas and held-out pictures; `table` is where they
    /// stand.
    pub fn check(table: &str, canvas: u32, test_pictures: u32) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, message: String| {
            problems.push(Problem::new(format!("{table}.{key}"), message));
        };
        if test_pictures < 2 {
            let message = format!("is {test_pictures}; the least is 2: a walk's ends");
            refuse("test_pictures", message);
        }
        if Scale::of_side(canvas).is_none() {
            refuse("canvas", format!("is {canvas}; there are 64 and 32"));
        }
        problems
    }
}

/// A model that paints pictures of latent variables.
pub(crate) trait Painter {
    fn canvases(&self) -> &Canvases;

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
        let frames = sights(&self.paint(&self.steps(&starts)?)?, self.canvases().scale)?;
        Ok(frames.chunks_exact(FRAMES).map(Walk::of).collect())
    }

    /// Looks at samples of the rows that are held out.
    fn samples(&self, rows: &[usize]) -> Result<Vec<Sight>, StudyError> {
        let held_out: Vec<usize> =
            rows.iter().copied().filter(|row| self.canvases().held_out.contains(row)).collect();
        match held_out.is_empty() {
            true => Ok(Vec::new()),
            false => sights(&self.paint(&self.prior(&held_out)?)?, self.canvases().scale),
        }
    }

    /// Judges walks and samples.
    fn judge(&self, rows: &[usize]) -> Result<Judged, StudyError> {
        Ok(Judged { walks: self.walks(rows)?, samples: self.samples(rows)? })
    }

    /// Shows the first walks between held-out rows, and where objects are in samples.
    fn shown(&self) -> Result<Vec<Exhibit>, StudyError> {
        let rows: Vec<usize> = self.canvases().held_out.clone().collect();
        let mut walks = Vec::new();
        for start in starts(&rows).into_iter().take(SHOWN) {
            let frames = rgb(&self.paint(&self.steps(&[start])?)?, self.canvases().scale)?;
            walks.push(PaintedWalk { ends: self.ends(start)?, frames });
        }

        let of_data = sights(
            &scenes(&rows, self.canvases().scale, self.canvases().device)?,
            self.canvases().scale,
        )?;
        let mut of_samples = Vec::new();
        for part in rows.chunks(ROWS) {
            of_samples.extend(self.samples(part)?);
        }
        let walks = Exhibit::Walks { side: self.canvases().scale.side, walks };
        Ok(vec![walks, spread(&of_data, &of_samples, self.canvases().scale)])
    }
}

/// Returns `[W · 9, …]` even steps between the ends of W walks, each `[W, 1, …]`.
pub(crate) fn between(from: &Tensor, to: &Tensor) -> Result<Tensor, StudyError> {
    let shares = Tensor::f_linspace(0.0, 1.0, FRAMES as i64, (Kind::Float, from.device()))?;
    Ok((from + shares.f_view([1, -1, 1])? * (to - from)).f_flatten(0, 1)?)
}
