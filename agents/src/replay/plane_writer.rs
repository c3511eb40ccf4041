//! Conversion of observations to planes, in the actor.

use serde::{Deserialize, Serialize};

use super::planes::check_obs_shape;
use super::{MAX_CHANNELS, ObsRef, Plane, PlaneForm, ReplayError};

/// Converts the observations of one environment to planes, each distinct image once, and one
/// reference per observation.
///
/// It compares bytes and makes no assumptions: channels equal to earlier ones refer to them, all
/// others become new planes. Frame stacks therefore cost one plane per agent step, whatever their
/// padding; any other observation is stored exactly too, but takes more planes.
#[derive(Clone, Debug)]
pub struct PlaneWriter {
    obs_shape: [usize; 3],
    form: PlaneForm,
    /// Number of the next plane.
    next_plane: u64,
    /// Previous observation.
    last_obs: Vec<u8>,
    /// Planes of the previous observation; `None` before the first episode.
    last_ref: Option<ObsRef>,
    pending: Vec<Plane>,
}

/// Complete state of a [`PlaneWriter`], for exact resume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaneWriterState {
    next_plane: u64,
    #[serde(with = "serde_bytes")]
    last_obs: Vec<u8>,
    last_ref: Option<ObsRef>,
    pending: Vec<Plane>,
}

/// Planes of an observation's channels; `None` for zeros.
type Named = [Option<u64>; MAX_CHANNELS];

impl PlaneWriter {
    /// Creates a writer for observations of `obs_shape` (`[C, H, W]`) at the start of its stream.
    pub fn try_new(obs_shape: [usize; 3], form: PlaneForm) -> Result<Self, ReplayError> {
        check_obs_shape(obs_shape)?;
        let last_obs = vec![0; obs_shape.iter().product()];
        Ok(Self { obs_shape, form, next_plane: 0, last_obs, last_ref: None, pending: Vec::new() })
    }

    /// Writes the first observation of an episode.
    ///
    /// Channels of zeros and repeated channels cost nothing: these are the two ways in which frame
    /// stacks are padded at the start.
    pub fn begin_episode(&mut self, obs: &[u8]) -> Result<ObsRef, ReplayError> {
        self.check_len(obs)?;
        let mut named = Named::default();
        for (c, channel) in self.channels(obs).enumerate() {
            // Not compared with the previous episode: its planes may lie further back than the one
            // byte of an `ObsRef` can express.
            let twin = self.channels(obs).take(c).position(|earlier| earlier == channel);
            named[c] = twin.map_or_else(|| self.write(channel), |twin| named[twin]);
        }
        Ok(self.remember(obs, &named))
    }

    /// Writes an observation that follows the previous one, including the last of a truncated
    /// episode.
    ///
    /// A channel equal to the next channel of the previous observation refers to the same plane.
    /// The newest channel has no successor: even on a static screen it is a new plane.
    pub fn follow(&mut self, obs: &[u8]) -> Result<ObsRef, ReplayError> {
        self.check_len(obs)?;
        let last_ref = self.last_ref.ok_or(ReplayError::NoEpisode)?;
        // Taken out while `write` borrows the writer, and put back so that its allocation is
        // reused.
        let last_obs = std::mem::take(&mut self.last_obs);
        let mut named = Named::default();
        let mut shown_before = self.channels(&last_obs).skip(1);
        for (c, channel) in self.channels(obs).enumerate() {
            let inherited = shown_before.next() == Some(channel);
            named[c] = if inherited { last_ref.plane(c + 1) } else { self.write(channel) };
        }
        self.last_obs = last_obs;
        Ok(self.remember(obs, &named))
    }

    /// Returns the number of the first plane that [`PlaneWriter::take_planes`] will return.
    pub fn first_pending(&self) -> u64 {
        self.next_plane - self.pending.len() as u64
    }

    /// Takes the planes written since the last call.
    pub fn take_planes(&mut self) -> Vec<Plane> {
        std::mem::take(&mut self.pending)
    }

    /// Returns the complete state, including planes not yet taken.
    pub fn save_state(&self) -> PlaneWriterState {
        let Self { next_plane, last_obs, last_ref, pending, .. } = self.clone();
        PlaneWriterState { next_plane, last_obs, last_ref, pending }
    }

    /// Restores a saved state. On error, nothing is changed.
    pub fn load_state(&mut self, state: PlaneWriterState) -> Result<(), ReplayError> {
        let PlaneWriterState { next_plane, last_obs, last_ref, pending } = state;
        if last_obs.len() != self.last_obs.len() {
            return refuse("its observation has another size");
        }

        let plane_len = self.plane_len();
        if pending.len() as u64 > next_plane
            || pending.iter().any(|plane| !plane.may_hold(plane_len))
        {
            return refuse("its planes are of another size or too many");
        }

        let [channels, ..] = self.obs_shape;
        if last_ref
            .is_some_and(|obs| obs.range(channels).is_none_or(|range| range.end != next_plane))
        {
            return refuse("its observation is not the last of its stream");
        }

        *self = Self { next_plane, last_obs, last_ref, pending, ..*self };
        Ok(())
    }

    /// Stores a new channel and returns its plane number; `None` for zeros.
    fn write(&mut self, channel: &[u8]) -> Option<u64> {
        if channel.iter().all(|byte| *byte == 0) {
            return None;
        }
        self.pending.push(Plane::pack(channel, self.form));
        self.next_plane += 1;
        Some(self.next_plane - 1)
    }

    fn remember(&mut self, obs: &[u8], named: &Named) -> ObsRef {
        let written = ObsRef::new(named, self.next_plane);
        self.last_obs.copy_from_slice(obs);
        self.last_ref = Some(written);
        written
    }

    /// Splits an observation into channels of `plane_len` bytes.
    fn channels<'a>(&self, obs: &'a [u8]) -> std::slice::ChunksExact<'a, u8> {
        obs.chunks_exact(self.plane_len())
    }

    fn plane_len(&self) -> usize {
        self.obs_shape[1] * self.obs_shape[2]
    }

    fn check_len(&self, obs: &[u8]) -> Result<(), ReplayError> {
        let found = obs.len();
        let expected = self.obs_shape.iter().product();
        if found == expected { Ok(()) } else { Err(ReplayError::ObsLength { found, expected }) }
    }
}

fn refuse(reason: &'static str) -> Result<(), ReplayError> {
    Err(ReplayError::WriterState { reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn writer(channels: usize) -> PlaneWriter {
        PlaneWriter::try_new([channels, 1, 2], PlaneForm::Raw).unwrap()
    }

    /// Builds an observation with two equal bytes per channel.
    fn obs(channels: &[u8]) -> Vec<u8> {
        channels.iter().flat_map(|value| [*value; 2]).collect()
    }

    /// Decodes a reference into one value per channel.
    fn shown(written: ObsRef, planes: &[Plane], channels: usize) -> Vec<u8> {
        let value = |plane: u64| planes[plane as usize].packed()[0];
        (0..channels).map(|channel| written.plane(channel).map_or(0, value)).collect()
    }

    /// Writes observations, one slice per episode; returns the planes written and checks the
    /// decoded values.
    fn cost(episodes: &[&[&[u8]]]) -> Vec<usize> {
        let channels = episodes[0][0].len();
        let mut writer = writer(channels);
        let mut planes = Vec::new();
        let mut costs = Vec::new();
        for episode in episodes {
            for (t, values) in episode.iter().enumerate() {
                let bytes = obs(values);
                let written =
                    if t == 0 { writer.begin_episode(&bytes) } else { writer.follow(&bytes) };
                assert_eq!(writer.first_pending(), planes.len() as u64);
                let new = writer.take_planes();
                costs.push(new.len());
                planes.extend(new);
                assert_eq!(shown(written.unwrap(), &planes, channels), *values);
            }
        }

        costs
    }

    #[test]
    fn a_frame_stack_costs_one_plane_an_observation() {
        let zeros: &[&[u8]] = &[&[0, 0, 1], &[0, 1, 2], &[1, 2, 3], &[2, 3, 4], &[3, 4, 5]];
        let repeats: &[&[u8]] = &[&[1, 1, 1], &[1, 1, 2], &[1, 2, 3], &[2, 3, 4], &[3, 4, 5]];
        assert_eq!(cost(&[zeros, repeats]), [1; 10]);
    }

    #[test]
    fn a_screen_that_stands_still_costs_no_more() {
        assert_eq!(cost(&[&[&[0, 0, 7], &[0, 7, 7], &[7, 7, 7], &[7, 7, 7]]]), [1; 4]);
        assert_eq!(cost(&[&[&[0, 0, 0], &[0, 0, 0], &[0, 0, 3], &[0, 3, 0]]]), [0, 0, 1, 0]);
    }

    #[test]
    fn other_observations_cost_what_is_new() {
        assert_eq!(cost(&[&[&[1, 2, 3], &[4, 5, 6], &[7, 8, 9]]]), [3, 3, 3]);
        assert_eq!(cost(&[&[&[1, 2, 1], &[9, 1, 9], &[9, 1, 9]]]), [2, 2, 3]);
        assert_eq!(cost(&[&[&[5], &[5], &[0], &[6]]]), [1, 1, 0, 1]);
    }

    #[test]
    fn misuse_is_refused() {
        let mut writer = writer(2);
        let error = |result: Result<ObsRef, ReplayError>| result.unwrap_err().to_string();
        let no_episode = "no observation to follow: an episode must be begun first";
        assert_eq!(error(writer.follow(&[1; 4])), no_episode);
        assert_eq!(error(writer.begin_episode(&[1; 5])), "5 bytes are not one observation of 4");
        writer.begin_episode(&[1; 4]).unwrap();
        assert_eq!(error(writer.follow(&[])), "0 bytes are not one observation of 4");
        assert!(PlaneWriter::try_new([17, 1, 1], PlaneForm::Raw).is_err());
    }

    #[test]
    fn a_restored_writer_goes_on_alike() {
        let mut writer = writer(2);
        writer.begin_episode(&[0, 0, 1, 1]).unwrap();
        writer.take_planes();
        writer.follow(&[1, 1, 2, 2]).unwrap();
        let sent = rmp_serde::to_vec(&writer.save_state()).unwrap();
        let mut restored = PlaneWriter::try_new([2, 1, 2], PlaneForm::Raw).unwrap();
        restored.load_state(rmp_serde::from_slice(&sent).unwrap()).unwrap();
        for next in [[2, 2, 3, 3], [9, 9, 9, 9]] {
            assert_eq!(writer.follow(&next).unwrap(), restored.follow(&next).unwrap());
        }

        assert_eq!(writer.first_pending(), restored.first_pending());
        assert_eq!(writer.take_planes(), restored.take_planes());
    }

    #[test]
    fn states_that_do_not_fit_are_refused() {
        let mut donor = writer(2);
        donor.begin_episode(&[0, 0, 1, 1]).unwrap();
        let state = donor.save_state();
        let refused = |channels, change: fn(&mut PlaneWriterState)| {
            let mut state = state.clone();
            change(&mut state);
            writer(channels).load_state(state).unwrap_err().to_string()
        };

        let text = "the saved state of a plane writer cannot be used: ";
        assert_eq!(refused(3, |_| ()), format!("{text}its observation has another size"));
        let planes = format!("{text}its planes are of another size or too many");
        assert_eq!(refused(2, |state| state.next_plane = 0), planes);
        assert_eq!(refused(2, |state| state.pending = vec![Plane::Raw(vec![1u8].into())]), planes);
        let last = format!("{text}its observation is not the last of its stream");
        assert_eq!(refused(2, |state| state.next_plane = 7), last);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]
        /// Uses few values, so that channels coincide in every way, and up to 16 channels, so that
        /// references reach the maximum distance.
        #[test]
        fn any_sequence_is_shown_exactly(
            channels in 1usize..=16,
            values in prop::collection::vec(0u8..4, 16 * 40),
            shifts in prop::collection::vec(0u8..10, 40),
        ) {
            let mut writer = writer(channels);
            let mut planes = Vec::new();
            let mut start = 0;
            let mut last = vec![0; channels];
            for (t, shift) in shifts.iter().enumerate() {
                let fresh = &values[t * 16..t * 16 + channels];
                // Mostly a shifting stack with one odd channel, occasionally something else.
                let mut next = if *shift < 2 { fresh.to_vec() } else { [&last[1..], &fresh[..1]].concat() };
                next[usize::from(*shift) % channels] = fresh[channels - 1];
                let bytes = obs(&next);
                let first = t == 0 || *shift == 0;
                let written = if first { writer.begin_episode(&bytes) } else { writer.follow(&bytes) }.unwrap();
                planes.extend(writer.take_planes());
                prop_assert_eq!(shown(written, &planes, channels), next.clone());
                let range = written.range(channels).unwrap();
                prop_assert!(range.start >= start && range.end == planes.len() as u64);
                (start, last) = (range.start, next);
            }
        }
    }

    /// Reaches the maximum distance: the first observation's newest channel repeats its oldest and
    /// shifts through the stack while every other channel changes.
    #[test]
    fn the_longest_distance_fits() {
        let mut writer = writer(16);
        let mut fresh = (1u32..).map(|value| [(value % 251) as u8 + 1, (value / 251) as u8]);
        let mut values: Vec<[u8; 2]> = fresh.by_ref().take(15).collect();
        let kept = values[0];
        values.push(kept);
        let mut written = writer.begin_episode(&values.concat()).unwrap();
        for place in (0..15).rev() {
            values = fresh.by_ref().take(16).collect();
            values[place] = kept;
            written = writer.follow(&values.concat()).unwrap();
        }

        assert_eq!(written.plane(0), Some(0));
        assert_eq!(written.range(16), Some(0..15 + 15 * 15));
    }
}
