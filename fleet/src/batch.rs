//! Experience as it travels.

/// Version of the layout; incremented when it changes.
const VERSION: u16 = 1;
/// First bytes of every batch.
const MAGIC: [u8; 4] = *b"crlb";
/// Magic, version, flags, epoch, generation, transitions, length before compression, checksum.
const HEADER: usize = CHECKSUM + 4;
/// Place of the checksum.
const CHECKSUM: usize = 4 + 2 + 2 + 8 + 4 + 4 + 4;
/// Flag of the first batch of a generation.
const OPENS: u16 = 1;
/// Above this a length is damage: a batch is about 64 KiB, compressed.
const LONGEST: usize = 64 << 20;

/// Several agent steps of all environments of one actor process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Number of the epoch in which it was made.
    pub epoch: u64,
    /// Counts how often the actor began its streams of frames anew. Frames are sent once and
    /// referred to later, so a batch is of use only if all before it in its generation arrived.
    pub generation: u32,
    /// It is the first of its generation.
    pub opens: bool,
    /// Number of transitions.
    pub transitions: u32,
    /// The experience, in a form that only actor and learner know.
    pub content: Vec<u8>,
}

/// A batch that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Of another build.
    #[error("it is of version {found}; this build reads {VERSION}")]
    Version {
        /// The version found.
        found: u16,
    },
    /// Not what was written.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// Not to be sent.
    #[error("its {0} bytes are more than a batch may have")]
    TooLong(usize),
}

impl Batch {
    /// Compresses the content (LZ4) behind a header.
    ///
    /// # Errors
    /// If the content is above 64 MiB.
    pub fn encode(&self) -> Result<Vec<u8>, BatchError> {
        let len = self.content.len();
        if len > LONGEST {
            return Err(BatchError::TooLong(len));
        }

        let compressed = lz4_flex::block::compress(&self.content);
        let flags = if self.opens { OPENS } else { 0 };
        let mut bytes = Vec::with_capacity(HEADER + compressed.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(&self.epoch.to_le_bytes());
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(&self.transitions.to_le_bytes());
        bytes.extend_from_slice(&(len as u32).to_le_bytes());
        bytes.extend_from_slice(&checksum(&bytes, &compressed).to_le_bytes());
        bytes.extend_from_slice(&compressed);
        Ok(bytes)
    }

    /// Reads the output of [`Batch::encode`].
    ///
    /// # Errors
    /// If it is of another version, or a byte differs from what was written.
    pub fn decode(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some((header, compressed)) = bytes.split_at_checked(HEADER) else {
            return Err(BatchError::Damaged("it is shorter than a header"));
        };
        let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };

        if header[..4] != MAGIC {
            return Err(BatchError::Damaged("it does not begin like a batch"));
        }
        // Before the checksum: another version may have another one.
        if short(4) != VERSION {
            return Err(BatchError::Version { found: short(4) });
        }
        if word(CHECKSUM) != checksum(&header[..CHECKSUM], compressed) {
            return Err(BatchError::Damaged("its checksum differs"));
        }

        let len = word(24) as usize;
        if len > LONGEST {
            return Err(BatchError::Damaged("its length is impossible"));
        }
        let content = lz4_flex::block::decompress(compressed, len)
            .map_err(|_| BatchError::Damaged("it does not decompress"))?;
        if content.len() != len {
            return Err(BatchError::Damaged("its length differs"));
        }
        Ok(Self {
            epoch: u64::from(word(8)) | u64::from(word(12)) << 32,
            opens: short(6) & OPENS != 0,
            generation: word(16),
            transitions: word(20),
            content,
        })
    }
}

fn checksum(header: &[u8], compressed: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(compressed);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        let content = (0..2000u32).map(|i| (i / 50) as u8).collect();
        Batch { epoch: 5 << 32 | 7, generation: 3, opens: true, transitions: 40, content }
    }

    #[test]
    fn a_batch_comes_back_smaller_than_it_was() {
        for opens in [false, true] {
            let sent = Batch { opens, ..batch() };
            let bytes = sent.encode().unwrap();
            assert!(bytes.len() < 500, "{} bytes", bytes.len());
            assert_eq!(Batch::decode(&bytes), Ok(sent));
        }
        let empty = Batch { content: Vec::new(), transitions: 0, ..batch() };
        assert_eq!(Batch::decode(&empty.encode().unwrap()), Ok(empty));
    }

    #[test]
    fn any_other_byte_and_any_cut_is_an_error() {
        let whole = batch().encode().unwrap();
        for end in 0..whole.len() {
            assert!(Batch::decode(&whole[..end]).is_err(), "the first {end} bytes");
        }
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 0x10;
            assert!(Batch::decode(&other).is_err(), "byte {at}");
        }
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = batch().encode().unwrap();
        bytes[4] = 9;
        let error = Batch::decode(&bytes).unwrap_err();
        assert_eq!(error.to_string(), "it is of version 9; this build reads 1");
    }
}
