//! Side panel of a video: network inputs and outputs.

use coordrl_agents::{Maps, Policy};
use coordrl_envs::EnvSpec;
use coordrl_plots::{Bars, Figure};

use super::Picture;
use super::game::Moment;

/// Minimum height of the screen, which is enlarged to leave room for text.
const LEAST_HEIGHT: usize = 400;
/// Minimum height and width of a drawn input frame.
const FRAME: usize = 84;
/// Maximum total width of the first layer's maps.
const MAPS_WIDTH: usize = 350;
const GAP: usize = 6;
/// Pixels between two maps.
const MAP_GAP: usize = 2;
const PAPER: [u8; 3] = [255; 3];

/// Parts drawn beside the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SidePanel {
    /// Input frames, value, and probabilities or Q-values.
    pub panel: bool,
    /// Feature maps of the torso's first layer.
    pub torso_view: bool,
}

/// Renderer of video pages: the screen and the parts beside it.
pub struct PanelRenderer<'a> {
    beside: SidePanel,
    policy: &'a Policy,
    spec: &'a EnvSpec,
    /// Largest |Q| so far, so that bars keep their scale.
    widest: f64,
    /// Largest activation of each map so far, so that maps keep their scale.
    brightest: Vec<f32>,
}

impl<'a> PanelRenderer<'a> {
    /// Builds a renderer for `policy` in environments of this spec.
    pub fn new(beside: SidePanel, policy: &'a Policy, spec: &'a EnvSpec) -> Self {
        Self { beside, policy, spec, widest: 0.0, brightest: Vec::new() }
    }

    /// Renders the parts beside the screen until the next decision, from left to right.
    ///
    /// # Errors
    /// If the network fails or a part cannot be drawn.
    pub fn beside(&mut self, moment: &Moment<'_>) -> anyhow::Result<Vec<Picture>> {
        let mut parts = Vec::new();
        if self.beside.panel {
            parts.push(self.panel(moment)?);
        }
        if self.beside.torso_view {
            parts.extend(self.maps(moment)?);
        }
        Ok(parts.into_iter().map(with_few_colours).collect())
    }

    /// Renders the page: the screen unchanged if it is alone, otherwise enlarged with the parts to
    /// its right.
    ///
    /// # Errors
    /// If a part does not fit.
    pub fn page(&self, screen: Picture, parts: &[Picture]) -> anyhow::Result<Picture> {
        if parts.is_empty() {
            return Ok(screen);
        }

        let screen = screen.enlarged(LEAST_HEIGHT.div_ceil(screen.height.max(1)));
        let height = parts.iter().map(|part| part.height).chain([screen.height]).max().unwrap_or(0);
        let width = parts.iter().map(|part| part.width + GAP).sum::<usize>() + screen.width + GAP;
        let mut page = Picture::filled(width, height, PAPER);
        page.put(&screen, 0, 0)?;
        let mut left = screen.width + GAP;
        for part in parts {
            page.put(part, left, 0)?;
            left += part.width + GAP;
        }

        Ok(page)
    }

    fn panel(&mut self, moment: &Moment<'_>) -> anyhow::Result<Picture> {
        let frames = self.frames(moment.obs)?;
        let bars = self.bars(moment)?;
        let width = frames.width.max(bars.width);
        let mut panel = Picture::filled(width, frames.height + GAP + bars.height, PAPER);
        panel.put(&frames, 0, 0)?;
        panel.put(&bars, 0, frames.height + GAP)?;
        Ok(panel)
    }

    /// Draws the stacked frames, two per row, oldest first.
    fn frames(&self, obs: &[u8]) -> anyhow::Result<Picture> {
        let [depth, height, width] = self.spec.obs_shape;
        let factor = FRAME.div_ceil(height.max(width).max(1));
        let columns = depth.min(2);
        let rows = depth.div_ceil(2);
        let mut page = Picture::filled(
            offset(columns, width * factor, GAP).saturating_sub(GAP),
            offset(rows, height * factor, GAP).saturating_sub(GAP),
            PAPER,
        );
        for (index, frame) in obs.chunks_exact(height * width).enumerate() {
            let column = index % columns;
            let row = index / columns;
            page.put(
                &Picture::of_grey(frame, width).enlarged(factor),
                offset(column, width * factor, GAP),
                offset(row, height * factor, GAP),
            )?;
        }

        Ok(page)
    }

    fn bars(&mut self, moment: &Moment<'_>) -> anyhow::Result<Picture> {
        let insight = moment.insight;
        let scores = insight.scores.iter().map(|&score| f64::from(score));
        self.widest = scores.clone().map(f64::abs).fold(self.widest, f64::max);
        let range =
            if insight.are_probabilities { (0.0, 1.0) } else { (-self.widest, self.widest) };
        let what = if insight.are_probabilities { "probabilities" } else { "Q" };
        let title = format!("value {:.2} · {what}", insight.value);
        let bars = self.spec.actions.iter().cloned().zip(scores);
        let pixels = Bars::new(title, bars, range).with_mark(moment.action).to_pixels(1.0)?;
        Ok(Picture { width: pixels.width, height: pixels.height, rgb: pixels.rgb })
    }

    /// Draws the maps of the first layer, black at 0 or below.
    fn maps(&mut self, moment: &Moment<'_>) -> anyhow::Result<Option<Picture>> {
        let Some(Maps { values, shape: [maps, height, width] }) =
            self.policy.first_layer(moment.obs)?
        else {
            return Ok(None);
        };

        self.brightest.resize(maps, 0.0);
        let factor = (MAPS_WIDTH / 8 / width.max(1)).clamp(1, 4);
        // At least one column, however wide a single map is.
        let columns = (MAPS_WIDTH / (width * factor + MAP_GAP)).clamp(1, maps.max(1));
        let rows = maps.div_ceil(columns);
        let mut page = Picture::filled(
            offset(columns, width * factor, MAP_GAP),
            offset(rows, height * factor, MAP_GAP),
            PAPER,
        );
        let all = values.chunks_exact((height * width).max(1)).zip(&mut self.brightest);
        for (index, (map, brightest)) in all.enumerate() {
            *brightest = map.iter().copied().fold(*brightest, f32::max);
            let scale = if *brightest > 0.0 { 255.0 / *brightest } else { 0.0 };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "casts saturate"
            )]
            let grey: Vec<u8> = map.iter().map(|value| (value * scale) as u8).collect();
            let picture = Picture::of_grey(&grey, width).enlarged(factor);
            page.put(
                &picture,
                offset(index % columns, width * factor, MAP_GAP),
                offset(index / columns, height * factor, MAP_GAP),
            )?;
        }

        Ok(Some(page))
    }
}

/// Returns where part `index` of a row or column begins if each has this length, followed by a gap.
fn offset(index: usize, length: usize, gap: usize) -> usize {
    index * (length + gap)
}

/// Quantises the panel to 32 grey levels: a GIF has only 256 colours, and the screen needs its own.
fn with_few_colours(mut picture: Picture) -> Picture {
    // The upper bits also fill the lower ones, so that white stays white.
    picture.rgb.iter_mut().for_each(|part| *part = *part & 0xf8 | *part >> 5);
    picture
}

#[cfg(test)]
mod tests {
    use super::*;
    use coordrl_agents::nn::{Network, ParamStore};
    use coordrl_agents::{ActionScores, find_torso};
    use tch::Device;

    #[test]
    fn pages_have_room_for_everything_at_every_size_of_observation() {
        let sizes =
            [(36, 1, (36, 36)), (40, 2, (160, 210)), (84, 4, (160, 250)), (160, 8, (160, 210))];
        for (size, depth, (width, height)) in sizes {
            let actions: Vec<String> =
                (0..18).map(|action| format!("DOWNRIGHTFIRE{action}")).collect();
            let spec = EnvSpec {
                name: "x".into(),
                obs_shape: [depth, size, size],
                actions,
                frame_skip: 4,
            };
            let torso = find_torso("conv").unwrap();
            let mut store = ParamStore::new(1, Device::Cpu);
            Network::build(torso, spec.obs_shape, 18, &mut store).unwrap();
            let policy = Policy::build(torso, &spec, &store.to_named(), Device::Cpu).unwrap();
            let obs: Vec<u8> = (0..spec.obs_len()).map(|i| (i % 255) as u8).collect();
            let insight = ActionScores {
                scores: vec![1.0 / 18.0; 18],
                are_probabilities: true,
                value: -123.456,
            };
            let pictures = Vec::new();
            let moment = Moment { obs: &obs, insight: &insight, action: 3, pictures, millis: 16.0 };
            let mut pages =
                PanelRenderer::new(SidePanel { panel: true, torso_view: true }, &policy, &spec);
            let parts = pages.beside(&moment).unwrap();
            assert_eq!(parts.len(), 2);
            let page = pages.page(Picture::filled(width, height, [1; 3]), &parts).unwrap();
            assert!(
                page.height >= LEAST_HEIGHT && page.width < 1500,
                "{} × {}",
                page.width,
                page.height
            );
            let greys: std::collections::BTreeSet<u8> = parts[0].rgb.iter().copied().collect();
            assert!((3..=64).contains(&greys.len()), "{}", greys.len());
        }
    }

    #[test]
    fn black_and_white_stay_what_they_are() {
        let greys = with_few_colours(Picture::of_grey(&[0, 255, 128], 3));
        assert_eq!((greys.rgb[0], greys.rgb[3]), (0, 255));
    }
}
