//! The latest frames of an episode, stacked into one observation.

use serde::{Deserialize, Serialize};

/// The last C frames as one `[C, H, W]` observation, newest last.
///
/// At an episode's start the older frames are zero, as in Stable-Baselines3's `VecFrameStack`
/// (the alternative, repeating the first frame, is what Gymnasium's wrapper does).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameStack {
    frames: Vec<u8>,
    frame_len: usize,
}

impl FrameStack {
    /// Builds a stack of `depth` zero frames of `frame_len` bytes each.
    pub fn new(depth: usize, frame_len: usize) -> Self {
        Self { frames: vec![0; depth * frame_len], frame_len }
    }

    /// Zeroes all frames: the next one is the first of an episode.
    pub fn clear(&mut self) {
        self.frames.fill(0);
    }

    /// Drops the oldest frame and lets `draw` fill the newest one.
    ///
    /// The slice still holds the previous newest frame until `draw` overwrites it.
    pub fn push_with(&mut self, draw: impl FnOnce(&mut [u8])) {
        // Moving the frames keeps them contiguous and in order, so that an observation is one plain
        // copy; a ring buffer would save this move but split that copy.
        self.frames.copy_within(self.frame_len.., 0);
        let newest = self.frames.len() - self.frame_len;
        draw(&mut self.frames[newest..]);
    }

    /// Returns the observation: all frames, oldest first.
    pub fn as_slice(&self) -> &[u8] {
        &self.frames
    }

    /// Replaces the contents with `frames` and returns `true`, or returns `false` if the length
    /// differs.
    pub fn restore(&mut self, frames: &[u8]) -> bool {
        let fits = frames.len() == self.frames.len();
        if fits {
            self.frames.copy_from_slice(frames);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_starts_with_zero_frames_and_the_newest_comes_last() {
        let mut stack = FrameStack::new(3, 2);
        stack.push_with(|frame| frame.fill(1));
        assert_eq!(stack.as_slice(), [0, 0, 0, 0, 1, 1]);
        for value in 2..=4 {
            stack.push_with(|frame| frame.fill(value));
        }
        assert_eq!(stack.as_slice(), [2, 2, 3, 3, 4, 4]);
        stack.clear();
        stack.push_with(|frame| frame.fill(9));
        assert_eq!(stack.as_slice(), [0, 0, 0, 0, 9, 9]);
    }

    #[test]
    fn a_stack_of_one_is_the_newest_frame() {
        let mut stack = FrameStack::new(1, 2);
        stack.push_with(|frame| frame.fill(5));
        stack.push_with(|frame| frame.fill(6));
        assert_eq!(stack.as_slice(), [6, 6]);
    }

    #[test]
    fn restoring_bytes_of_another_length_changes_nothing() {
        let mut stack = FrameStack::new(2, 2);
        assert!(!stack.restore(&[1; 3]));
        assert_eq!(stack.as_slice(), [0; 4]);
        assert!(stack.restore(&[1, 2, 3, 4]));
        assert_eq!(stack.as_slice(), [1, 2, 3, 4]);
    }
}
