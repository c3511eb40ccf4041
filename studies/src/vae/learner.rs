//! Learning to encode scenes, and judging what the decoder makes of walks and of the prior.

use coordrl_agents::nn::normal_draws;
use tch::{Device, Kind, Reduction, Tensor};

use super::network::{Encoding, Vae};
use crate::StudyError;
use crate::draws::{Purpose, stream};
use crate::objects::scene::{Scale, Scene};
use crate::objects::sight::Sight;
use crate::objects::spread::{Places, Spread};
use crate::objects::walk::{FRAMES, Walk};
use crate::task::{Draws, Exhibit, PaintedWalk, RowSplit, ScoreSums, Tally, TaskLearner};

/// Pictures per pass.
const ROWS: usize = 16;
/// Walks between held-out pictures that are shown.
const SHOWN: usize = 4;
/// Seed of the scenes, and of the latent variables that evaluations draw: the same for all runs.
const DATA_SEED: u64 = 1807;

/// One thread's network. Rows are numbers of scenes.
pub(super) struct VaeLearner {
    pub network: Vae,
    pub scale: Scale,
    pub latents: usize,
    /// Weight of the divergence from the prior.
    pub beta: f64,
    /// Rows from here on are held out.
    pub held_out_from: usize,
    pub device: Device,
}

/// Losses summed over pictures, as scalars.
struct Losses {
    /// Cross-entropy of pixels, in nats.
    pixels: Tensor,
    /// Divergence from the prior, in nats.
    divergence: Tensor,
}

/// Measures of a pass over some rows.
struct Judged {
    squared_error: f64,
    divergence: f64,
    walks: Vec<Walk>,
    /// Samples from the prior as seen; none for training rows.
    samples: Vec<Sight>,
}

impl VaeLearner {
    /// Draws scenes, `f32 [N, 3, H, H]`.
    fn pictures(&self, rows: &[usize]) -> Result<Tensor, StudyError> {
        let pixels: Vec<f32> = rows
            .iter()
            .flat_map(|&row| {
                let mut rng = stream(DATA_SEED, Purpose::Scenes, row as u64);
                Scene::draw(&mut rng, self.scale).pixels(self.scale)
            })
            .collect();
        let side = self.scale.side as i64;
        let pictures = Tensor::f_from_slice(&pixels)?.f_view([-1, 3, side, side])?;
        Ok(pictures.f_to_device(self.device)?)
    }

    /// Draws standard normal numbers for each row, `[N, Z]`.
    fn noise(
        &self,
        rows: &[usize],
        draws: impl Fn(usize) -> coordrl_envs::Rng,
    ) -> Result<Tensor, StudyError> {
        let noise: Vec<f32> =
            rows.iter().flat_map(|&row| normal_draws(&mut draws(row), self.latents)).collect();
        let noise = Tensor::f_from_slice(&noise)?.f_view([-1, self.latents as i64])?;
        Ok(noise.f_to_device(self.device)?)
    }

    /// Sums the losses, with encodings drawn by `noise`, `[N, Z]`. Source: Kingma and Welling 2013
    /// (arXiv:1312.6114), appendices B and C.
    fn losses(&self, pictures: &Tensor, noise: &Tensor) -> Result<Losses, StudyError> {
        let encoding = self.network.encode(pictures);
        let deviation = (&encoding.log_variance * 0.5).f_exp()?;
        let logits = self.network.decode(&(&encoding.mean + deviation * noise));
        let pixels = pixel_loss(&logits, pictures)?;
        Ok(Losses { pixels, divergence: divergence(&encoding)? })
    }

    /// Decodes latent variables to pixels, row by row as [`Scene::pixels`] has them.
    fn paint(&self, latents: &Tensor) -> Result<Vec<f32>, StudyError> {
        let pictures = self.network.decode(latents).f_sigmoid()?.f_contiguous()?;
        Ok(Vec::try_from(pictures.f_to_device(Device::Cpu)?.f_reshape([-1])?)?)
    }

    /// Decodes latent variables and looks at the pictures.
    fn see(&self, latents: &Tensor) -> Result<Vec<Sight>, StudyError> {
        let pixels = self.paint(latents)?;
        let picture = 3 * self.scale.side * self.scale.side;
        Ok(pixels.chunks_exact(picture).map(|one| Sight::of(one, self.scale)).collect())
    }

    /// Judges the walks that begin at these rows: at every second one of all.
    fn walk(&self, rows: &[usize]) -> Result<Vec<Walk>, StudyError> {
        // By their numbers, so that it does not matter which rows are scored together.
        let starts: Vec<usize> = rows.iter().copied().filter(|row| row.is_multiple_of(2)).collect();
        if starts.is_empty() {
            return Ok(Vec::new());
        }
        let frames = self.see(&self.steps(&starts)?)?;
        Ok(frames.chunks_exact(FRAMES).map(Walk::of).collect())
    }

    /// Returns the latent variables along walks from the mean encoding of each of these W pictures to
    /// that of the one with the next number, `[W · 9, Z]`.
    fn steps(&self, starts: &[usize]) -> Result<Tensor, StudyError> {
        let rows: Vec<usize> = starts.iter().flat_map(|&row| [row, row + 1]).collect();
        let means = self.network.encode(&self.pictures(&rows)?).mean;
        let pairs = starts.len() as i64;
        let ends = means.f_reshape([pairs, 2, -1])?;
        let from = ends.f_narrow(1, 0, 1)?; // [W, 1, Z]
        let to = ends.f_narrow(1, 1, 1)?;
        let shares = Tensor::f_linspace(0.0, 1.0, FRAMES as i64, (Kind::Float, self.device))?;
        let shares = shares.f_view([1, -1, 1])?;
        let steps = &from + shares * (to - &from); // [W, 9, Z]
        Ok(steps.f_reshape([pairs * FRAMES as i64, -1])?)
    }
}

/// Cross-entropy of pixels whose values are probabilities, summed over pictures.
fn pixel_loss(logits: &Tensor, pictures: &Tensor) -> Result<Tensor, StudyError> {
    let no_weights = None::<Tensor>;
    let no_factor = None::<Tensor>;
    Ok(logits.f_binary_cross_entropy_with_logits(
        pictures,
        no_weights,
        no_factor,
        Reduction::Sum,
    )?)
}

/// Kullback–Leibler divergence from the standard normal prior, summed over pictures.
fn divergence(Encoding { mean, log_variance }: &Encoding) -> Result<Tensor, StudyError> {
    let each = mean.f_square()? + log_variance.f_exp()? - 1.0 - log_variance;
    Ok(each.f_sum(Kind::Float)? * 0.5)
}

impl TaskLearner for VaeLearner {
    fn loss(&self, rows: &[usize], Draws { seed, epoch }: Draws) -> Result<Tensor, StudyError> {
        let noise = self.noise(rows, |row| {
            // One stream for each row of each epoch: 2³² rows, which no data set has.
            stream(seed, Purpose::Encodings, (u64::from(epoch) << 32) + row as u64)
        })?;
        let Losses { pixels, divergence } = self.losses(&self.pictures(rows)?, &noise)?;
        Ok(pixels + divergence * self.beta)
    }

    /// Scores the mean encodings: nothing is drawn for them.
    fn score(&self, rows: &[usize]) -> Result<ScoreSums, StudyError> {
        let pictures = self.pictures(rows)?;
        let encoding = self.network.encode(&pictures);
        let logits = self.network.decode(&encoding.mean);
        let pixels = pixel_loss(&logits, &pictures)?;
        let errors = (logits.f_sigmoid()? - pictures).f_square()?;
        let held_out: Vec<usize> =
            rows.iter().copied().filter(|&row| row >= self.held_out_from).collect();
        let samples = match held_out.is_empty() {
            true => Vec::new(),
            false => self.see(
                &self.noise(&held_out, |row| stream(DATA_SEED, Purpose::Prior, row as u64))?,
            )?,
        };

        let judged = Judged {
            squared_error: errors.f_sum(Kind::Float)?.f_double_value(&[])?,
            divergence: divergence(&encoding)?.f_double_value(&[])?,
            walks: self.walk(rows)?,
            samples,
        };
        let loss = pixels.f_double_value(&[])? + self.beta * judged.divergence;
        Ok(ScoreSums { loss, measures: judged.tallies(rows.len(), self.scale) })
    }

    fn row_split(&self) -> RowSplit {
        RowSplit::Rows(ROWS)
    }

    fn exhibit(&self) -> Result<Option<Exhibit>, StudyError> {
        let starts: Vec<usize> = (0..SHOWN).map(|index| self.held_out_from + 2 * index).collect();
        let rows: Vec<usize> = starts.iter().flat_map(|&row| [row, row + 1]).collect();
        let pictures = self.pictures(&rows)?;
        let painted = self.paint(&self.steps(&starts)?)?;
        let shown = Vec::try_from(pictures.f_to_device(Device::Cpu)?.f_reshape([-1])?)?;
        let planes = 3 * self.scale.side * self.scale.side;
        let [ends, frames]: [Vec<Vec<u8>>; 2] = [shown, painted]
            .map(|pixels: Vec<f32>| pixels.chunks_exact(planes).map(interleaved).collect());
        let walks = ends.as_chunks().0.iter().zip(frames.chunks_exact(FRAMES));
        let walks = walks.map(|(ends, frames): (&[Vec<u8>; 2], _)| PaintedWalk {
            ends: ends.clone(),
            frames: frames.to_vec(),
        });
        Ok(Some(Exhibit::Walks { side: self.scale.side, walks: walks.collect() }))
    }
}

/// Turns three planes of values from 0 to 1 into red, green and blue bytes.
fn interleaved(planes: &[f32]) -> Vec<u8> {
    let plane = planes.len() / 3;
    let byte = |value: f32| (value * 255.0).round() as u8;
    (0..plane).flat_map(|at| [0, 1, 2].map(|colour| byte(planes[colour * plane + at]))).collect()
}

impl Judged {
    /// Returns the measures in the task's order.
    fn tallies(&self, rows: usize, scale: Scale) -> Vec<Tally> {
        let of_walks = |value: fn(&Walk) -> f64| mean_of(self.walks.iter().map(value));
        let of_samples = |is_so: fn(Sight) -> bool| {
            mean_of(self.samples.iter().map(|&sight| f64::from(u8::from(is_so(sight)))))
        };
        let mut tallies = vec![
            Tally::over_rows(self.squared_error, rows),
            Tally::over_rows(self.divergence, rows),
            of_walks(|walk| walk.faded),
            of_walks(|walk| walk.coherence),
            of_walks(|walk| walk.worst),
            mean_of(self.walks.iter().flat_map(|walk| walk.detours.iter().copied())),
            mean_of(self.walks.iter().filter_map(|walk| walk.jump)),
            of_samples(Sight::is_whole),
            of_samples(Sight::is_good),
        ];

        let mut places =
            [Places::of_object(scale), Places::of_object(scale), Places::of_difference(scale)];
        for sight in &self.samples {
            let seen = [sight.blue.place, sight.red.place, sight.between()];
            places.iter_mut().zip(seen).for_each(|(all, one)| all.places.extend(one));
        }
        for spread in [Spread::Cells, Spread::Entropy, Spread::Dimension] {
            tallies.extend(places.iter().map(|of| Tally::Spread(spread, of.clone())));
        }
        tallies
    }
}

fn mean_of(numbers: impl Iterator<Item = f64>) -> Tally {
    let (sum, count) = numbers.fold((0.0, 0.0), |(sum, count), number| (sum + number, count + 1.0));
    Tally::Mean { sum, count }
}

#[cfg(test)]
mod tests {
    use coordrl_agents::nn::{ParamScope, ParamStore};
    use serde_json::Value;

    use super::*;
    use crate::find_task;
    use crate::test_support::{
        assert_close, assert_gradient_within, fill_with_waves, under_study, wave,
    };

    /// The values beside which those of a model are put.
    #[test]
    fn values_of_the_data_are_those_of_its_scenes() {
        let scale = Scale::HALF;
        let samples = (0..1000).map(|row| {
            let mut rng = stream(DATA_SEED, Purpose::Scenes, row);
            Sight::of(&Scene::draw(&mut rng, scale).pixels(scale), scale)
        });
        let judged = Judged {
            squared_error: 0.0,
            divergence: 0.0,
            walks: Vec::new(),
            samples: samples.collect(),
        };
        let measures = find_task("vae").unwrap().measures;
        let tallies = judged.tallies(1, scale);
        assert_eq!(measures.len(), tallies.len());
        for (measure, tally) in measures.iter().zip(tallies) {
            if let Some(of_data) = measure.of_data {
                let value = tally.value();
                assert!((value - of_data).abs() < 0.006, "{}: {value}", measure.name);
            }
        }
    }

    fn learner(layer: &str, scale: Scale) -> (VaeLearner, Vec<Tensor>, Vec<String>) {
        let mut store = ParamStore::new(1, Device::Cpu);
        let mut scope = ParamScope::new(&mut store);
        let network = Vae::build(&mut scope, under_study(layer), scale, 8).unwrap();
        let leaves = scope.into_leaves().unwrap();
        let names = store.to_named().into_iter().map(|(name, _)| name).collect();
        let (beta, held_out_from, device) = (1.0, 100, Device::Cpu);
        (VaeLearner { network, scale, latents: 8, beta, held_out_from, device }, leaves, names)
    }

    #[test]
    fn losses_and_gradients_equal_pytorch() {
        let golden: Value = serde_json::from_str(include_str!("../../golden/vae.json")).unwrap();
        // Among half a million activations at full size some lie so near to 0 that f32 puts them on
        // the other side of a ReLU, and each is a ten thousandth of a gradient.
        for (scale, share) in [(Scale::HALF, 1e-4), (Scale::FULL, 1e-3)] {
            for layer in ["conv", "coordconv"] {
                let (learner, leaves, names) = learner(layer, scale);
                fill_with_waves(&leaves);
                let side = scale.side as i64;
                let pictures = wave(&[2, 3, side, side], 0.0, 1.0).ge(0.0).to_kind(Kind::Float);
                let noise = wave(&[2, 8], 0.25, 1.0);
                let Losses { pixels, divergence } = learner.losses(&pictures, &noise).unwrap();
                let golden = &golden[format!("{layer} {side}")];
                for (loss, key) in [(&pixels, "pixels"), (&divergence, "divergence")] {
                    let scale = golden[key].as_f64().unwrap();
                    assert_close(loss.double_value(&[]), &golden[key], scale, key);
                }
                let gradients = Tensor::run_backward(&[pixels + divergence], &leaves, false, false);
                for (name, gradient) in names.iter().zip(&gradients) {
                    let expected = &golden["gradients"][name];
                    assert_gradient_within(share, gradient, expected, name);
                }
            }
        }
    }

    #[test]
    fn losses_of_pictures_add_up_and_are_drawn_anew_in_every_epoch() {
        let (learner, ..) = learner("coordconv", Scale::HALF);
        let draws = Draws { seed: 3, epoch: 1 };
        let loss = |rows: &[usize]| learner.loss(rows, draws).unwrap().double_value(&[]);
        let rows = [5, 0, 7];
        let apart: f64 = rows.iter().map(|&row| loss(&[row])).sum();
        assert!((loss(&rows) - apart).abs() < 1e-4 * apart);
        let other = learner.loss(&rows, Draws { seed: 3, epoch: 2 }).unwrap();
        assert_ne!(other.double_value(&[]), loss(&rows));
    }

    #[test]
    fn walks_are_shown_with_the_pictures_that_they_lead_between() {
        let (learner, ..) = learner("conv", Scale::HALF);
        let shown = tch::no_grad(|| learner.exhibit()).unwrap();
        let Some(Exhibit::Walks { side, walks }) = shown else { panic!() };
        assert_eq!((side, walks.len()), (32, 4));
        let mut rng = stream(DATA_SEED, Purpose::Scenes, 101);
        let scene = Scene::draw(&mut rng, Scale::HALF);
        let at = scene.red.centre[1] * 32 + scene.red.centre[0];
        assert_eq!(walks[0].ends[1][3 * at..][..3], [255, 0, 0]);
        assert!(walks.iter().all(|walk| walk.frames.len() == FRAMES));
        assert!(walks[0].frames.iter().all(|frame| frame.len() == 3 * 32 * 32));
    }

    /// Walks begin at every second picture, and only held-out rows have samples.
    #[test]
    fn scores_of_rows_add_up_however_they_are_parted() {
        let (learner, ..) = learner("conv", Scale::HALF);
        let score = |rows: &[usize]| tch::no_grad(|| learner.score(rows)).unwrap();
        let whole = score(&[1, 2, 100, 101]);
        let mut sums = score(&[1]);
        assert!(sums.measures[2].value().is_nan(), "no walk begins at it");
        sums.add(&score(&[2]));
        assert!(sums.measures[2].value() >= 0.0);
        assert!(sums.measures[7].value().is_nan(), "no samples");
        sums.add(&score(&[100, 101]));
        assert!((whole.loss - sums.loss).abs() < 1e-4 * whole.loss);
        for (whole, sum) in whole.measures.iter().zip(&sums.measures) {
            let (whole, sum) = (whole.value(), sum.value());
            let both_none = whole.is_nan() && sum.is_nan();
            assert!(both_none || (whole - sum).abs() <= 1e-4 * whole.abs(), "{whole} {sum}");
        }
    }
}
