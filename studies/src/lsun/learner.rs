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

    /// Returns the held-out rows among these at which walks begin: every second one of all.
    fn starts(&self, rows: &[usize]) -> Vec<usize> {
        let is_held_out = |row: &usize| self.held_out.contains(row);
        let starts = starts(rows).into_iter();
        starts.filter(|row| is_held_out(row) && is_held_out(&(row + 1))).collect()
    }

    /// Looks at samples and walks that begin at these rows, beside the pictures of each and the next.
    fn judge(&self, starts: &[usize], pictures: &Tensor) -> Result<[Tally; 4], StudyError> {
        if starts.is_empty() {
            return Ok([(); 4].map(|()| Tally::Mean { sum: 0.0, count: 0.0 }));
        }
        let samples = self.paint(&self.latents.of_evaluation(&ends(starts))?);
        let frames = self.paint(&self.latents.of_walks(starts)?);
        Ok([
            walks::variety(&samples, pictures)?,
            walks::sharpness(&samples, pictures)?,
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
        let starts = self.starts(rows);
        let pairs = ends(&starts);
        // The last walk may end at the row after these; nothing is decoded twice.
        let beyond = pairs.iter().filter(|row| !rows.contains(row));
        let wanted: Vec<usize> = rows.iter().chain(beyond).copied().collect();
        let places = pairs.iter().filter_map(|row| wanted.iter().position(|other| other == row));
        let places: Vec<i64> = places.map(|place| place as i64).collect();
        let pictures = self.pictures(&wanted, None)?;
        let of_pairs =
            pictures.f_index_select(0, &Tensor::from_slice(&places).f_to_device(self.device)?)?;

        let pictures = pictures.f_narrow(0, 0, rows.len() as i64)?;
        let (loss, correct) = adversary::score(discriminator, generator, &pictures, &latents)?;
        let measures = self.judge(&starts, &of_pairs)?.into_iter().chain([correct]).collect();
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
        let starts: Vec<usize> = self.starts(&rows).into_iter().take(SHOWN).collect();
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

#[cfg(test)]
mod tests {
    use coordrl_agents::nn::{ParamScope, ParamStore};
    use serde_json::Value;

    use super::super::LsunConfig;
    use super::*;
    use crate::adversary::tests::assert_steps;
    use crate::test_support::{multiply_adds, noise, store_of_doubles, under_study};

    struct Built {
        discriminator: Discriminator,
        generator: DoublingGenerator,
        store: ParamStore,
        leaves: Vec<Tensor>,
    }

    fn build(mut store: ParamStore, layer: &str, config: &LsunConfig) -> Built {
        let mut scope = ParamScope::new(&mut store);
        let layer = under_study(layer);
        let (discriminator, generator) = super::super::networks(&mut scope, layer, config).unwrap();
        let leaves = scope.into_leaves().unwrap();
        Built { discriminator, generator, store, leaves }
    }

    fn names(built: &Built) -> Vec<String> {
        built.store.to_named().into_iter().map(|(name, _)| name).collect()
    }

    /// Overwrites the parameters as `golden/lsun.py` has them.
    fn fill(built: &Built) {
        for (index, (name, leaf)) in names(built).iter().zip(&built.leaves).enumerate() {
            let shape = leaf.size();
            let is_scale = name.contains("norm") && name.ends_with("weight");
            let (scale, centre) = match shape.len() {
                1 => (0.1, f64::from(u8::from(is_scale))),
                _ => ((2.0 / shape[1..].iter().product::<i64>() as f64).sqrt(), 0.0),
            };
            let values = noise(&shape, index as f64, scale).to_kind(Kind::Double) + centre;
            tch::no_grad(|| leaf.shallow_clone().copy_(&values));
        }
    }

    #[test]
    fn steps_equal_pytorch() {
        let golden: Value = serde_json::from_str(include_str!("../../golden/lsun.json")).unwrap();
        for (side, latents, width) in [(32, 3, 2), (64, 100, 16)] {
            for layer in ["conv", "coordconv"] {
                let config = LsunConfig { side, latents, width, ..Default::default() };
                let built = build(store_of_doubles(), layer, &config);
                fill(&built);
                let Built { discriminator, generator, store, leaves } = &built;
                let golden = &golden[format!("{layer} {side} {width}")];
                let size = [side, latents].map(i64::from);
                assert_steps(discriminator, generator, size, store, leaves, golden);
            }
        }
    }

    /// In Radford et al. 2015, figure 1, with windows of 5: 0.64 G multiply-adds each.
    #[test]
    fn the_published_networks_have_their_size() {
        let published = LsunConfig { side: 64, width: 128, ..Default::default() };
        let built = build(ParamStore::new(1, Device::Cpu), "conv", &published);
        let named: Vec<(String, Tensor)> = names(&built).into_iter().zip(built.leaves).collect();
        let places = |name: &str| {
            let number = name.split('.').nth(1).unwrap().bytes().next_back().unwrap();
            let number = number.wrapping_sub(b'0');
            let side = match name {
                name if name.contains("halve") => 64 >> number,
                name if name.contains("double") => 2 << number,
                _ => 1, // dense
            };
            side * side
        };
        let of = |part: &str| -> Vec<(String, Tensor)> {
            let its = named.iter().filter(|(name, _)| name.starts_with(part));
            its.map(|(name, values)| (name.clone(), values.shallow_clone())).collect()
        };
        let [generator, discriminator] = ["generator.", "discriminator."].map(of);
        // They mirror each other but for the dense layers: 16 384 outputs of 100, and one of 16 384.
        assert_eq!(multiply_adds(&generator, places), 640.6);
        assert_eq!(multiply_adds(&discriminator, places), 639.0);
    }
}
