//! Observation storage: channel by channel, each distinct image once.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ReplayError;

/// Maximum number of channels of an observation.
pub const MAX_CHANNELS: usize = 16;

/// Storage form of planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlaneForm {
    /// Uncompressed.
    Raw,
    /// LZ4 block format; uncompressed where that is not smaller.
    Lz4,
}

/// One channel of an observation: H · W bytes, shared by all references to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plane {
    /// Uncompressed bytes.
    Raw(#[serde(with = "shared_bytes")] Arc<[u8]>),
    /// One LZ4 block, smaller than the plane.
    Lz4(#[serde(with = "shared_bytes")] Arc<[u8]>),
}

impl Plane {
    /// Packs bytes in `form`.
    pub fn pack(bytes: &[u8], form: PlaneForm) -> Self {
        match form {
            PlaneForm::Raw => Self::Raw(bytes.into()),
            PlaneForm::Lz4 => {
                let packed = lz4_flex::block::compress(bytes);
                // Strictly smaller: `may_hold` and the snapshot recognise damaged lengths by it.
                if packed.len() < bytes.len() {
                    Self::Lz4(packed.into())
                } else {
                    Self::Raw(bytes.into())
                }
            }
        }
    }

    /// Writes the plane's H · W bytes to `out`, which must have that length.
    pub fn unpack_into(&self, out: &mut [u8]) -> Result<(), ReplayError> {
        let expected = out.len();
        let found = match self {
            Self::Raw(bytes) => {
                // `copy_from_slice` panics on another length, which bytes from outside may have.
                if bytes.len() == expected {
                    out.copy_from_slice(bytes);
                }
                bytes.len()
            }
            Self::Lz4(packed) => lz4_flex::block::decompress_into(packed, out)
                .map_err(|error| ReplayError::DamagedPlane { reason: error.to_string() })?,
        };

        if found == expected {
            return Ok(());
        }

        Err(ReplayError::DamagedPlane { reason: format!("{found} bytes instead of {expected}") })
    }

    /// Returns the stored bytes.
    pub(super) fn packed(&self) -> &[u8] {
        match self {
            Self::Raw(bytes) | Self::Lz4(bytes) => bytes,
        }
    }

    /// Returns `true` if this may be a plane of `len` bytes, judged without decompressing.
    pub(super) fn may_hold(&self, len: usize) -> bool {
        match self {
            Self::Raw(bytes) => bytes.len() == len,
            Self::Lz4(packed) => !packed.is_empty() && packed.len() < len,
        }
    }
}

/// An observation as references to the planes of its channels.
///
/// Planes are numbered within a stream in the order written. A channel is stored as its distance
/// back from `end`, which fits in one byte. The oldest plane a channel can show was written with
/// the first observation of an episode, followed by at most C − 2 others, and moved from the newest
/// channel to the oldest over C − 1 observations of at most C − 1 new planes each: (C − 1) + (C −
/// 1)² = 240 for 16 channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObsRef {
    /// One past the newest plane of the stream when the observation was written.
    end: u64,
    /// Distance of each channel's plane before `end`; [`ZERO`] for a channel of zeros.
    #[serde(with = "serde_bytes")]
    back: [u8; MAX_CHANNELS],
}

/// Marker for the plane of zeros, which is not stored: frame stacks use it as padding at the start
/// of an episode.
const ZERO: u8 = 0;

const _: () =
    assert!((MAX_CHANNELS - 1) * MAX_CHANNELS <= u8::MAX as usize, "distances fit one byte");

impl ObsRef {
    /// Creates a reference to `planes`, one per channel (`None`: zeros), in a stream of `end`
    /// planes so far.
    pub(super) fn new(planes: &[Option<u64>; MAX_CHANNELS], end: u64) -> Self {
        // The cast is exact: a distance is at most 240.
        let back = planes.map(|plane| plane.map_or(ZERO, |plane| (end - plane) as u8));
        Self { end, back }
    }

    /// Returns the plane of `channel`, `None` for zeros.
    pub(super) fn plane(&self, channel: usize) -> Option<u64> {
        match self.back[channel] {
            ZERO => None,
            // Never wraps: `range` has refused every stored reference for which it would.
            back => Some(self.end.wrapping_sub(u64::from(back))),
        }
    }

    /// Returns the range from the oldest plane this observation needs to one past the newest it may
    /// refer to, or `None` if a distance reaches before plane 0, which means corruption.
    ///
    /// Within a stream, the start never decreases from one observation to the next, since an
    /// observation can refer only to new planes and those of its predecessor. For that reason an
    /// observation of zeros starts at `end`, although it needs no plane.
    pub(super) fn range(&self, channels: usize) -> Option<std::ops::Range<u64>> {
        let furthest = self.back[..channels].iter().copied().max().unwrap_or(ZERO);
        Some(self.end.checked_sub(u64::from(furthest))?..self.end)
    }

    /// Splits into the fields of a snapshot.
    pub(super) fn to_parts(self) -> (u64, [u8; MAX_CHANNELS]) {
        (self.end, self.back)
    }

    /// Builds from the fields of a snapshot.
    pub(super) fn from_parts(end: u64, back: [u8; MAX_CHANNELS]) -> Self {
        Self { end, back }
    }
}

/// Checks that references and snapshots can represent this shape.
pub(super) fn check_obs_shape(shape: [usize; 3]) -> Result<(), ReplayError> {
    let [channels, height, width] = shape;
    let plane_len = height.saturating_mul(width);
    if (1..=MAX_CHANNELS).contains(&channels) && (1..1 << 31).contains(&plane_len) {
        return Ok(());
    }
    let allowed = "C from 1 to 16, H and W at least 1, H · W below 2^31";
    Err(ReplayError::Config { key: "obs_shape", value: format!("{shape:?}"), allowed })
}

/// Serialises an `Arc<[u8]>` as bytes rather than as a list of numbers.
mod shared_bytes {
    use super::{Arc, Deserialize};

    pub fn serialize<S: serde::Serializer>(
        bytes: &Arc<[u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<[u8]>, D::Error> {
        Ok(serde_bytes::ByteBuf::deserialize(deserializer)?.into_vec().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_come_back_in_either_form() {
        let flat = [7u8; 200];
        let noise: Vec<u8> =
            (0..200u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for bytes in [&flat[..], &noise, &[1]] {
            for form in [PlaneForm::Raw, PlaneForm::Lz4] {
                let plane = Plane::pack(bytes, form);
                let mut out = vec![0xAB; bytes.len()];
                plane.unpack_into(&mut out).unwrap();
                assert_eq!(out, bytes);
                assert!(plane.may_hold(bytes.len()));
            }
        }

        assert!(
            matches!(Plane::pack(&flat, PlaneForm::Lz4), Plane::Lz4(packed) if packed.len() < 20)
        );
        assert!(
            matches!(Plane::pack(&noise, PlaneForm::Lz4), Plane::Raw(_)),
            "LZ4 would not be smaller"
        );
    }

    #[test]
    fn planes_of_another_size_or_damaged_are_refused() {
        let error =
            |plane: &Plane, len| plane.unpack_into(&mut vec![0; len]).unwrap_err().to_string();
        let raw = Plane::pack(&[1, 2, 3], PlaneForm::Raw);
        assert_eq!(error(&raw, 4), "a plane's compressed bytes are damaged: 3 bytes instead of 4");
        let packed = Plane::pack(&[7; 200], PlaneForm::Lz4);
        assert_eq!(
            error(&packed, 201),
            "a plane's compressed bytes are damaged: 200 bytes instead of 201"
        );
        assert!(error(&packed, 199).starts_with("a plane's compressed bytes are damaged: "));
        let nonsense = Plane::Lz4(vec![0xFFu8; 9].into());
        assert!(error(&nonsense, 200).starts_with("a plane's compressed bytes are damaged: "));
        assert!(!nonsense.may_hold(9) && !Plane::Lz4(Vec::<u8>::new().into()).may_hold(9));
    }

    #[test]
    fn planes_and_references_travel_as_bytes() {
        let planes =
            [Plane::pack(&[200; 300], PlaneForm::Raw), Plane::pack(&[200; 300], PlaneForm::Lz4)];
        let sent = rmp_serde::to_vec(&planes).unwrap();
        assert!(sent.len() < 300 + 60, "{} bytes", sent.len());
        assert_eq!(rmp_serde::from_slice::<[Plane; 2]>(&sent).unwrap(), planes);
        let mut named = [None; MAX_CHANNELS];
        named[1] = Some(90);
        let obs = ObsRef::new(&named, 100);
        let sent = rmp_serde::to_vec(&obs).unwrap();
        assert_eq!(rmp_serde::from_slice::<ObsRef>(&sent).unwrap(), obs);
        assert!(sent.len() <= 24, "{} bytes", sent.len());
    }

    #[test]
    fn references_know_what_they_need() {
        let mut named = [None; MAX_CHANNELS];
        assert_eq!(ObsRef::new(&named, 5).range(4), Some(5..5));
        named[..3].copy_from_slice(&[Some(7), Some(3), None]);
        let obs = ObsRef::new(&named, 9);
        assert_eq!(obs.range(4), Some(3..9));
        assert_eq!([0, 1, 2].map(|channel| obs.plane(channel)), [Some(7), Some(3), None]);
        let (end, back) = obs.to_parts();
        assert_eq!(ObsRef::from_parts(end, back), obs);
        assert_eq!(ObsRef::from_parts(2, back).range(4), None);
    }
}
