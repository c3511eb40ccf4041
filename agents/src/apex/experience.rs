//! Messages between actors and learner, and their serialised form.

use coordrl_envs::EpisodeStats;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::AgentError;
use crate::replay::StreamPart;
use crate::versioned::{decode, encode};

/// Format version; incremented when the layout of [`Experience`] changes.
const EXPERIENCE_VERSION: u32 = 1;
/// Format version; incremented when the layout of [`Weights`] changes.
const WEIGHTS_VERSION: u32 = 1;

/// Several agent steps of one actor: transitions with the frames they need, and statistics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experience {
    /// Index of the actor.
    pub actor: u32,
    /// One part per environment of the actor that has new data.
    pub parts: Vec<StreamPart>,
    /// Number of agent steps, summed over the actor's environments.
    pub agent_steps: u64,
    /// Sum of the rewards the agent learns from.
    pub reward_sum: f64,
    /// Full games that ended, in order.
    pub episodes: Vec<EpisodeStats>,
    /// Version of the weights used last: the learner's update count.
    pub weights_version: u64,
    /// Time in emulator, preprocessing and inference, in nanoseconds.
    pub nanos: [u64; 3],
}

impl Experience {
    /// Returns the number of transitions in all parts.
    pub fn transitions(&self) -> u64 {
        self.parts.iter().map(|part| part.transitions.len() as u64).sum()
    }

    /// Serialises to MessagePack with a leading version.
    pub fn to_bytes(&self) -> Result<Vec<u8>, AgentError> {
        encode(EXPERIENCE_VERSION, self)
    }

    /// Parses the output of [`Experience::to_bytes`], from this process or another.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AgentError> {
        decode("experience", EXPERIENCE_VERSION, bytes)
    }

    /// Joins several outputs of [`Experience::to_bytes`].
    pub(crate) fn join(messages: &[ByteBuf]) -> Result<Vec<u8>, AgentError> {
        encode(EXPERIENCE_VERSION, &messages)
    }

    /// Parses the output of [`Experience::join`], from this process or another.
    pub(crate) fn split(bytes: &[u8]) -> Result<Vec<Self>, AgentError> {
        let messages: Vec<ByteBuf> = decode("experience", EXPERIENCE_VERSION, bytes)?;
        messages.iter().map(|message| Self::from_bytes(message)).collect()
    }
}

/// All weights of the online network after some update.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Version: the learner's update count.
    pub version: u64,
    /// All parameters, `[P]`, in the network's order.
    #[serde(with = "little_endian")]
    pub numbers: Vec<f32>,
}

impl Weights {
    /// Serialises to MessagePack with a leading layout version.
    pub fn to_bytes(&self) -> Result<Vec<u8>, AgentError> {
        encode(WEIGHTS_VERSION, self)
    }

    /// Parses the output of [`Weights::to_bytes`], from this process or another.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AgentError> {
        decode("weights", WEIGHTS_VERSION, bytes)
    }
}

/// Serialises weights as little-endian bytes: encoding a million of them one by one would take a
/// second.
mod little_endian {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use serde_bytes::ByteBuf;

    pub fn serialize<S: Serializer>(numbers: &[f32], to: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        to.serialize_bytes(&bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
        let bytes = ByteBuf::deserialize(from)?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(D::Error::custom("not a whole number of weights"));
        }
        Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::{Plane, PlaneForm, PlaneWriter, Transition};

    fn weights() -> Weights {
        Weights { version: 7, numbers: vec![1.5, -0.0, f32::MIN_POSITIVE, 3e38] }
    }

    fn experience() -> Experience {
        let game = EpisodeStats { episode_return: -21.0, episode_length_frames: 4000 };
        Experience {
            actor: 3,
            agent_steps: 50,
            reward_sum: 0.5,
            episodes: vec![game],
            weights_version: 7,
            nanos: [1, 2, 3],
            parts: vec![part()],
        }
    }

    /// Builds two planes, the second in the other form: its bytes are carried, not decoded.
    fn part() -> StreamPart {
        let mut writer = PlaneWriter::try_new([2, 2, 2], PlaneForm::Raw).unwrap();
        let obs = writer.begin_episode(&[0, 0, 0, 0, 1, 2, 3, 4]).unwrap();
        let next_obs = writer.follow(&[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        let mut planes = writer.take_planes();
        planes[1] = Plane::Lz4([9, 8].into());
        let action = 2;
        let reward = -1.5;
        let discount = 0.75;
        let td_error_abs = 0.25;
        let transitions =
            vec![Transition { obs, next_obs, action, reward, discount, td_error_abs }];
        StreamPart { stream: 4, first_plane: 0, planes, transitions }
    }

    #[test]
    fn weights_and_experience_come_back_as_they_went() {
        assert_eq!(Weights::from_bytes(&weights().to_bytes().unwrap()).unwrap(), weights());
        let experience = experience();
        assert_eq!((experience.transitions(), experience.parts[0].planes.len()), (1, 2));
        let bytes = experience.to_bytes().unwrap();
        assert_eq!(Experience::from_bytes(&bytes).unwrap(), experience);
        let joined = Experience::join(&[bytes.clone().into(), bytes.into()]).unwrap();
        assert_eq!(Experience::split(&joined).unwrap(), [experience.clone(), experience]);
    }

    /// A changed layout needs a new version. Then rewrite these files from the printed bytes.
    #[test]
    fn messages_of_this_version_are_what_they_always_were() {
        let messages = [
            (weights().to_bytes().unwrap(), &include_bytes!("../../golden/weights_v1.msgpack")[..]),
            (
                experience().to_bytes().unwrap(),
                &include_bytes!("../../golden/experience_v1.msgpack")[..],
            ),
        ];
        assert!(messages.iter().all(|(written, golden)| written == golden), "{messages:?}");
    }

    #[test]
    fn another_version_or_a_damaged_message_is_an_error() {
        let other = encode(WEIGHTS_VERSION + 1, &Weights::default()).unwrap();
        let error = Weights::from_bytes(&other).unwrap_err().to_string();
        assert!(error.contains("weights: it is of version 2; this build reads 1"), "{error}");
        let whole = weights().to_bytes().unwrap();
        for end in 0..whole.len() {
            assert!(Weights::from_bytes(&whole[..end]).is_err(), "{end} bytes");
        }

        let joined = Experience::join(&[ByteBuf::from(b"no message")]).unwrap();
        assert!(Experience::split(&joined).is_err());
        assert!(Experience::from_bytes(&whole).is_err());
        let whole = experience().to_bytes().unwrap();
        for end in 0..whole.len() {
            assert!(Experience::from_bytes(&whole[..end]).is_err(), "{end} bytes");
        }
    }
}
