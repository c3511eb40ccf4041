//! Serialisation of a replay for exact resume.
//!
//! In order, numbers little-endian: magic, version, C, H, W, the limit with slack; next id, number
//! of transitions; the transitions with their priorities; number of streams; each stream with its
//! planes, compressed where that is smaller; CRC32 of everything before it.

use std::io::{Read, Write};

use super::plane_store::Stream;
use super::prioritized::Record;
use super::{MAX_CHANNELS, ObsRef, Plane, PlaneForm, Replay, ReplayConfig, ReplayError};

const MAGIC: [u8; 8] = *b"coordRPL";
const VERSION: u32 = 1;
/// Number of priorities inserted into the tree together while reading.
const CHUNK: u64 = 4096;
/// Bound that no real counter reaches: anything larger is corrupt, and sums of two cannot overflow.
const LARGEST_COUNTER: u64 = u64::MAX / 2;

impl Replay {
    /// Writes the complete state, including ids and priorities, streaming one transition and one
    /// plane at a time without copying the whole. Makes many small writes: pass a buffered writer,
    /// and flush it.
    pub fn write_to(&self, writer: impl Write) -> Result<(), ReplayError> {
        let mut out = Sealing { inner: writer, crc: crc32fast::Hasher::new() };
        self.write_header(&mut out)?;
        for (id, record) in (self.oldest_id()..).zip(&self.records) {
            write_record(&mut out, record, self.tree.get(self.place_of(id)))?;
        }
        out.u64(self.planes.streams().len() as u64)?;
        for (number, stream) in self.planes.streams() {
            self.write_stream(&mut out, number, stream)?;
        }
        let crc = out.crc.finalize();
        Ok(out.inner.write_all(&crc.to_le_bytes())?)
    }

    /// Reads a snapshot written by [`Replay::write_to`]: later draws match those of the original
    /// bit for bit. Planes take the form of `config`.
    ///
    /// The limit with slack and the observation shape must equal those of the snapshot; exponents
    /// may differ (priorities in the snapshot are kept). Makes many small reads: pass a buffered
    /// reader. Bytes after the snapshot are left unread.
    ///
    /// # Errors
    /// If bytes are missing or corrupt. Allocation is bounded by the settings and the bytes
    /// actually read, whatever lengths the snapshot claims.
    pub fn read_from(config: ReplayConfig, reader: impl Read) -> Result<Self, ReplayError> {
        let mut replay = Self::try_new(config)?;
        let mut bytes = Checking { inner: reader, crc: crc32fast::Hasher::new() };
        replay.read_header(&mut bytes)?;
        replay.read_records(&mut bytes)?;
        // The count may be damaged too; since every stream takes bytes, the loop ends with the file
        // at the latest.
        for _ in 0..bytes.u64()? {
            replay.read_stream(&mut bytes)?;
        }
        // The checksum comes last, so everything up to here was read as possibly damaged.
        bytes.check_crc()?;
        replay.check_references()?;
        Ok(replay)
    }

    fn write_header(&self, out: &mut Sealing<impl Write>) -> Result<(), ReplayError> {
        out.bytes(&MAGIC)?;
        out.u32(VERSION)?;
        for size in self.config.obs_shape {
            out.u32(size as u32)?; // below 2^31: checked on construction
        }
        for count in [self.max_len as u64, self.next_id, self.records.len() as u64] {
            out.u64(count)?;
        }
        Ok(())
    }

    fn write_stream(
        &self,
        out: &mut Sealing<impl Write>,
        number: u32,
        stream: &Stream,
    ) -> Result<(), ReplayError> {
        out.u32(number)?;
        for count in [stream.first, stream.needed_from, stream.planes.len() as u64] {
            out.u64(count)?;
        }
        for plane in &stream.planes {
            match plane {
                Plane::Raw(bytes) => write_plane(out, &Plane::pack(bytes, PlaneForm::Lz4))?,
                Plane::Lz4(_) => write_plane(out, plane)?,
            }
        }
        Ok(())
    }

    fn read_header(&mut self, bytes: &mut Checking<impl Read>) -> Result<(), ReplayError> {
        if bytes.array()? != MAGIC {
            return damaged("it does not begin as a replay's does");
        }
        expect_equal("version", &bytes.u32()?, &VERSION)?;
        let shape = [bytes.u32()?, bytes.u32()?, bytes.u32()?].map(|size| size as usize);
        expect_equal("obs_shape", &shape, &self.config.obs_shape)?;
        expect_equal("capacity with slack", &bytes.u64()?, &(self.max_len as u64))
    }

    fn read_records(&mut self, bytes: &mut Checking<impl Read>) -> Result<(), ReplayError> {
        let next_id = bytes.u64()?;
        let count = bytes.u64()?;
        if next_id > LARGEST_COUNTER || count > next_id || count > self.max_len as u64 {
            return damaged("its counters contradict each other");
        }

        // Ids continue where they were, because an id decides its leaf and so later draws.
        self.next_id = next_id - count;
        while self.next_id < next_id {
            let ids = self.next_id..next_id.min(self.next_id + CHUNK);
            let mut priorities = Vec::with_capacity(CHUNK as usize);
            for _ in ids.clone() {
                let (record, priority) = read_record(bytes)?;
                self.records.push_back(record);
                priorities.push(priority);
            }
            self.next_id = ids.end;
            let places: Vec<usize> = ids.map(|id| self.place_of(id)).collect();
            if self.tree.set_batch(&places, &priorities).is_err() {
                return damaged("a priority is none");
            }
        }

        Ok(())
    }

    fn read_stream(&mut self, bytes: &mut Checking<impl Read>) -> Result<(), ReplayError> {
        let number = bytes.u32()?;
        let first = bytes.u64()?;
        let needed_from = bytes.u64()?;
        let count = bytes.u64()?;
        if [first, needed_from, count].iter().any(|count| *count > LARGEST_COUNTER) {
            return damaged("its counters contradict each other");
        }

        // Reserves nothing: `count` may be damaged, and the queue grows only with planes really
        // read.
        let mut stream = Stream { first, needed_from, ..Stream::default() };
        let mut raw = vec![0; self.planes.plane_len];
        for _ in 0..count {
            stream.planes.push_back(read_plane(bytes, &mut raw, self.config.plane_form)?);
        }

        if needed_from < first
            || needed_from > stream.end()
            || !self.planes.add_stream(number, stream)
        {
            return damaged("its streams contradict each other");
        }

        Ok(())
    }

    /// Checks that the planes of every transition are stored, and counts each stream's transitions.
    fn check_references(&mut self) -> Result<(), ReplayError> {
        let held = self.records.iter().all(|record| self.holds_planes_of(record));
        let Self { records, planes, .. } = self;
        if held && records.iter().all(|record| planes.count_transition(record.stream)) {
            return Ok(());
        }
        damaged("a transition refers to planes that are not in it")
    }

    fn holds_planes_of(&self, record: &Record) -> bool {
        let needs = self.planes.needs(&record.obs, &record.next_obs);
        needs.is_some_and(|needs| self.planes.holds(record.stream, &needs))
    }
}

fn write_record(
    out: &mut Sealing<impl Write>,
    record: &Record,
    priority: f64,
) -> Result<(), ReplayError> {
    for obs in [record.obs, record.next_obs] {
        let (end, back) = obs.to_parts();
        out.u64(end)?;
        out.bytes(&back)?;
    }
    out.u32(record.stream)?;
    out.bytes(&record.action.to_le_bytes())?;
    out.u32(record.reward.to_bits())?;
    out.u32(record.discount.to_bits())?;
    out.u64(priority.to_bits())
}

fn read_record(bytes: &mut Checking<impl Read>) -> Result<(Record, f64), ReplayError> {
    let obs = read_obs_ref(bytes)?;
    let next_obs = read_obs_ref(bytes)?;
    let stream = bytes.u32()?;
    let action = u16::from_le_bytes(bytes.array()?);
    let reward = f32::from_bits(bytes.u32()?);
    let discount = f32::from_bits(bytes.u32()?);
    let priority = f64::from_bits(bytes.u64()?);
    Ok((Record { obs, next_obs, stream, reward, discount, action }, priority))
}

fn read_obs_ref(bytes: &mut Checking<impl Read>) -> Result<ObsRef, ReplayError> {
    Ok(ObsRef::from_parts(bytes.u64()?, bytes.array::<MAX_CHANNELS>()?))
}

/// Flag in the length of a compressed plane; lengths are below it.
const COMPRESSED: u32 = 1 << 31;

fn write_plane(out: &mut Sealing<impl Write>, plane: &Plane) -> Result<(), ReplayError> {
    let len = plane.packed().len() as u32;
    match plane {
        Plane::Raw(_) => out.u32(len)?,
        Plane::Lz4(_) => out.u32(len | COMPRESSED)?,
    }
    out.bytes(plane.packed())
}

/// Reads a plane in `form`; `raw` is scratch space for an uncompressed one.
fn read_plane(
    bytes: &mut Checking<impl Read>,
    raw: &mut [u8],
    form: PlaneForm,
) -> Result<Plane, ReplayError> {
    let word = bytes.u32()?;
    let len = (word & !COMPRESSED) as usize;
    let compressed = word & COMPRESSED != 0;
    if (compressed && !(1..raw.len()).contains(&len)) || (!compressed && len != raw.len()) {
        return damaged("a plane has an impossible length");
    }

    bytes.fill(&mut raw[..len])?;
    // A plane that was written uncompressed would not get smaller.
    let packed =
        if compressed { Plane::Lz4(raw[..len].into()) } else { Plane::Raw(raw[..].into()) };
    // Even if it stays compressed: damage should show now, not in a later draw.
    if packed.unpack_into(raw).is_err() {
        return damaged("a plane cannot be decompressed");
    }

    Ok(if form == PlaneForm::Lz4 { packed } else { Plane::Raw(raw[..].into()) })
}

fn expect_equal<T: PartialEq + std::fmt::Debug>(
    what: &'static str,
    found: &T,
    expected: &T,
) -> Result<(), ReplayError> {
    if found == expected {
        return Ok(());
    }
    let found = format!("{found:?}");
    let expected = format!("{expected:?}");
    Err(ReplayError::SnapshotMismatch { what, found, expected })
}

fn damaged<T>(reason: &'static str) -> Result<T, ReplayError> {
    Err(ReplayError::SnapshotDamaged { reason })
}

/// Writer that computes a checksum.
struct Sealing<W> {
    inner: W,
    crc: crc32fast::Hasher,
}

impl<W: Write> Sealing<W> {
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), ReplayError> {
        self.crc.update(bytes);
        Ok(self.inner.write_all(bytes)?)
    }

    fn u32(&mut self, number: u32) -> Result<(), ReplayError> {
        self.bytes(&number.to_le_bytes())
    }

    fn u64(&mut self, number: u64) -> Result<(), ReplayError> {
        self.bytes(&number.to_le_bytes())
    }
}

/// Reader that computes a checksum.
struct Checking<R> {
    inner: R,
    crc: crc32fast::Hasher,
}

impl<R: Read> Checking<R> {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), ReplayError> {
        self.inner.read_exact(out)?;
        self.crc.update(out);
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReplayError> {
        let mut out = [0; N];
        self.fill(&mut out)?;
        Ok(out)
    }

    fn u32(&mut self) -> Result<u32, ReplayError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, ReplayError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Reads and verifies the checksum of everything before it.
    fn check_crc(mut self) -> Result<(), ReplayError> {
        // Finished first, because reading the stored value would change it.
        let found = std::mem::take(&mut self.crc).finalize();
        if self.u32()? == found { Ok(()) } else { damaged("its checksum is another") }
    }
}

#[cfg(test)]
mod tests {
    use coordrl_envs::{Role, derive_rng};

    use super::super::config::tests::small;
    use super::super::prioritized::tests::{filled, small_part};
    use super::*;

    fn written(replay: &Replay) -> Vec<u8> {
        let mut bytes = Vec::new();
        replay.write_to(&mut bytes).unwrap();
        bytes
    }

    /// Builds a replay whose ids have wrapped around the tree.
    fn sample() -> Replay {
        let mut replay = filled(&[1.0, 0.0, 0.3, 2.0, 0.7]);
        replay.insert(small_part(5, &[0.1; 11])).unwrap();
        replay.trim();
        replay.update_priorities(&[12, 15], &[3.0, 0.0]).unwrap();
        replay
    }

    fn read(bytes: &[u8]) -> Result<Replay, ReplayError> {
        Replay::read_from(small(8), bytes)
    }

    /// Modifies bytes and recomputes the checksum.
    fn with_checksum(mut bytes: Vec<u8>, at: usize, new: &[u8]) -> Vec<u8> {
        bytes[at..at + new.len()].copy_from_slice(new);
        let body = bytes.len() - 4;
        let crc = crc32fast::hash(&bytes[..body]);
        bytes[body..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    #[test]
    fn what_was_read_goes_on_like_what_was_written() {
        let mut replay = sample();
        let bytes = written(&replay);
        let mut restored = read(&bytes).unwrap();
        assert_eq!(written(&restored), bytes);
        let rng = || derive_rng(4, Role::TrainPolicy, 0);
        for start in [16, 18, 20, 22, 24] {
            let [one, other] =
                [&replay, &restored].map(|replay| replay.draw(50, &mut rng()).unwrap());
            assert_eq!(one, other);
            for replay in [&mut replay, &mut restored] {
                replay.insert(small_part(start, &[0.9, 0.4])).unwrap();
                replay.update_priorities(&[start - 3], &[0.123]).unwrap();
            }
        }

        assert_eq!(replay.tree, restored.tree);
        assert_eq!(read(&written(&filled(&[]))).unwrap().inserted(), 0);
    }

    #[test]
    fn planes_take_the_form_of_the_settings() {
        let shape = [1, 10, 10];
        let config = |plane_form| ReplayConfig { obs_shape: shape, plane_form, ..small(8) };
        let mut writer = super::super::PlaneWriter::try_new(shape, PlaneForm::Raw).unwrap();
        writer.begin_episode(&[7; 100]).unwrap();
        let mut replay = Replay::try_new(config(PlaneForm::Raw)).unwrap();
        let planes = writer.take_planes();
        let part = super::super::StreamPart {
            stream: 3,
            first_plane: 0,
            planes: planes.clone(),
            transitions: vec![],
        };

        replay.insert(part).unwrap();
        let bytes = written(&replay);
        let plane_of = |form| {
            let restored = Replay::read_from(config(form), &bytes[..]).unwrap();
            let (_, stream) = restored.planes.streams().next().unwrap();
            stream.planes[0].clone()
        };

        assert_eq!(plane_of(PlaneForm::Raw), planes[0]);
        assert_eq!(plane_of(PlaneForm::Lz4), Plane::pack(&[7; 100], PlaneForm::Lz4));
        let restored = Replay::read_from(config(PlaneForm::Lz4), &bytes[..]).unwrap();
        assert_eq!(written(&restored), bytes);
    }

    #[test]
    fn no_beginning_of_a_snapshot_is_one() {
        let bytes = written(&sample());
        for len in 0..bytes.len() {
            let error = read(&bytes[..len]).unwrap_err().to_string();
            assert_eq!(error, "the snapshot is damaged: it ends too early", "{len} bytes");
        }
        let more = [&bytes[..], &[1, 2, 3]].concat();
        let mut rest = &more[..];
        Replay::read_from(small(8), &mut rest).unwrap();
        assert_eq!(rest, [1, 2, 3]);
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let bytes = written(&sample());
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xFF] {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                assert!(read(&changed).is_err(), "byte {at} ^ {flip:#x}");
            }
        }
    }

    /// Must neither panic nor allocate by a forged length, even with a valid checksum.
    #[test]
    fn lies_under_a_right_checksum_do_no_harm() {
        let bytes = written(&sample());
        for at in 0..bytes.len() - 12 {
            for lie in [[0xFF; 8], [0; 8], [0xFF, 0xFF, 0xFF, 0x7F, 0, 0, 0, 0]] {
                if let Ok(replay) = read(&with_checksum(bytes.clone(), at, &lie)) {
                    // Only unconstrained numbers can have changed.
                    let draw = replay.draw(20, &mut derive_rng(1, Role::TrainPolicy, 0));
                    draw.unwrap().assemble().unwrap();
                }
            }
        }
    }

    #[test]
    fn other_replays_and_versions_are_named() {
        let bytes = written(&sample());
        let error =
            |config, bytes: &[u8]| Replay::read_from(config, bytes).unwrap_err().to_string();
        let text = "the snapshot's obs_shape is [2, 1, 2], but this replay's is [1, 2, 2]";
        assert_eq!(error(ReplayConfig { obs_shape: [1, 2, 2], ..small(8) }, &bytes), text);
        let text = "the snapshot's capacity with slack is 12, but this replay's is 13";
        assert_eq!(error(small(9), &bytes), text);
        let text = "the snapshot's version is 2, but this replay's is 1";
        assert_eq!(error(small(8), &with_checksum(bytes.clone(), 8, &[2])), text);
        let text = "the snapshot is damaged: it does not begin as a replay's does";
        assert_eq!(error(small(8), &with_checksum(bytes, 0, b"C")), text);
    }

    #[test]
    fn each_contradiction_is_named() {
        let replay = sample();
        let bytes = written(&replay);
        let records = 48;
        let record_len = 24 + 24 + 4 + 2 + 4 + 4 + 8;
        let streams = records + replay.len() * record_len;
        let error =
            |at, new: &[u8]| read(&with_checksum(bytes.clone(), at, new)).unwrap_err().to_string();
        let damaged = |reason| format!("the snapshot is damaged: {reason}");
        assert_eq!(error(40, &[13]), damaged("its counters contradict each other"));
        let priority = records + record_len - 8;
        assert_eq!(error(priority, &[0xFF; 8]), damaged("a priority is none"));
        assert_eq!(
            error(records, &[1; 8]),
            damaged("a transition refers to planes that are not in it")
        );
        assert_eq!(
            error(streams + 8 + 4, &[0xFF; 8]),
            damaged("its counters contradict each other")
        );
        assert_eq!(
            error(streams + 8 + 12, &[0xEE, 0xEE]),
            damaged("its streams contradict each other")
        );
        assert_eq!(error(streams + 8 + 28, &[3]), damaged("a plane has an impossible length"));
        assert_eq!(
            error(streams + 8 + 28, &[1, 0, 0, 0x80]),
            damaged("a plane cannot be decompressed")
        );
        let mut changed = bytes.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(read(&changed).unwrap_err().to_string(), damaged("its checksum is another"));
    }

    #[test]
    fn failures_to_read_and_write_are_passed_on() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("disk full"))
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let error = sample().write_to(Full).unwrap_err().to_string();
        assert_eq!(error, "the snapshot could not be written or read: disk full");
    }
}
