//! `metrics.jsonl`: one JSON object per log point, for programs.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use super::{LogPoint, MetricSink};

/// Sink that appends log points to a file whose length is saved in every checkpoint.
#[derive(Debug)]
pub struct JsonlSink {
    file: File,
    bytes: u64,
}

impl JsonlSink {
    /// Opens the file and truncates it to `bytes`: a resumed run recomputes everything after its
    /// checkpoint.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the file is shorter than `bytes`.
    pub fn open(path: &Path, bytes: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        let length = file.metadata()?.len();
        // `set_len` would pad a short file with zero bytes.
        if length < bytes {
            let cause = format!("it has {length} bytes, the checkpoint knows {bytes}");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, cause));
        }
        file.set_len(bytes)?;
        // Opened for writing, not for appending: the position is still 0.
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file, bytes })
    }

    /// Returns the length of the file so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl MetricSink for JsonlSink {
    fn log(&mut self, point: &LogPoint) -> io::Result<()> {
        let line = to_line(point)?;
        // Unbuffered: readers see the line at once, and a crash of the process cannot lose it.
        self.file.write_all(line.as_bytes())?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn to_line(point: &LogPoint) -> io::Result<String> {
    let mut line = format!("{{\"{}\":{}", point.axis.name(), point.position);
    for (tag, value) in &point.values {
        // JSON has no infinities; training stops before it would log one.
        let value = serde_json::to_string(value)?;
        let _ = write!(line, ",\"{}\":{value}", tag.name);
    }
    line.push_str("}\n");
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::super::{LogAxis, tags};
    use super::*;

    fn point(frames: u64, value: Option<f64>) -> LogPoint {
        LogPoint {
            axis: LogAxis::Frames,
            position: frames,
            values: vec![(&tags::GRAD_NORM, value), (&tags::EPISODES, Some(3.0))],
        }
    }

    #[test]
    fn floats_read_back_to_the_last_bit_and_absent_is_null() {
        let awkward = 0.1 + 0.2;
        let line = to_line(&point(7, Some(awkward))).unwrap();
        assert!(line.starts_with("{\"frames\":7,"), "{line}");
        let back: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(back["optim/grad_norm"].as_f64().unwrap().to_bits(), awkward.to_bits());
        assert!(to_line(&point(7, None)).unwrap().contains("\"optim/grad_norm\":null"));
    }

    #[test]
    fn reopening_cuts_what_came_after_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut sink = JsonlSink::open(&path, 0).unwrap();
        sink.log(&point(1, None)).unwrap();
        let kept = sink.bytes();
        sink.log(&point(2, None)).unwrap();
        drop(sink);
        let mut sink = JsonlSink::open(&path, kept).unwrap();
        sink.log(&point(3, None)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let frames: Vec<&str> = text.lines().map(|line| &line[..11]).collect();
        assert_eq!(frames, ["{\"frames\":1", "{\"frames\":3"]);
        let error = JsonlSink::open(&path, 10_000).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_device_that_is_full_says_so() {
        let Ok(file) = OpenOptions::new().write(true).open("/dev/full") else { return };
        let mut sink = JsonlSink { file, bytes: 0 };
        assert_eq!(sink.log(&point(1, None)).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
