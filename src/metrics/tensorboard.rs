//! TensorBoard event files in tensorboard-rs' record format.
//!
//! Its own `SummaryWriter` panics in a thread when the disk is full, and two writers started within
//! one second overwrite each other; so files are opened, named and closed here (see docs/adr/0032).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use protobuf::Message;
use serde::{Deserialize, Serialize};
use tensorboard_proto::event::{Event, SessionLog, SessionLog_SessionStatus};
use tensorboard_rs::record_writer::RecordWriter;
use tensorboard_rs::summary;

use super::{LogPoint, MetricSink};
use crate::run::run_dir::host_name;

const PREFIX: &str = "events.out.tfevents.";

/// Event file, and its length at a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventFile {
    /// Name inside `tb/`.
    pub name: String,
    /// Number of bytes to keep on resume.
    pub bytes: u64,
}

/// Sink that writes one event file; a resumed run starts another.
pub struct TensorBoardSink {
    writer: RecordWriter<BufWriter<File>>,
    /// The same open file, for its length and for syncing it to disk.
    file: File,
    name: String,
    earlier: Vec<EventFile>,
}

impl TensorBoardSink {
    /// Truncates the files of earlier sessions to the lengths in the checkpoint, removes files
    /// unknown to it, and starts a new one.
    pub fn open(dir: &Path, earlier: &[EventFile], start_position: u64) -> io::Result<Self> {
        cut_earlier(dir, earlier)?;
        let (name, file) = create_after(dir, earlier)?;
        let writer = RecordWriter::new(BufWriter::new(file.try_clone()?));
        let mut sink = Self { writer, file, name, earlier: earlier.to_vec() };
        sink.write_header(start_position)?;
        Ok(sink)
    }

    /// Flushes, then returns all files with their lengths for the checkpoint.
    pub fn files(&mut self) -> io::Result<Vec<EventFile>> {
        self.writer.flush()?;
        let mut files = self.earlier.clone();
        files.push(EventFile { name: self.name.clone(), bytes: self.file.metadata()?.len() });
        Ok(files)
    }

    fn write_header(&mut self, start_position: u64) -> io::Result<()> {
        let mut version = new_event(0);
        version.set_file_version("brain.Event:2".to_owned());
        self.write(&version)?;
        if start_position > 0 {
            // A START event makes TensorBoard discard what it has read from this step on, the step
            // itself included; `+ 1` keeps the checkpoint's own log point.
            let mut log = SessionLog::new();
            log.set_status(SessionLog_SessionStatus::START);
            let mut start = new_event(start_position + 1);
            start.set_session_log(log);
            self.write(&start)?;
        }

        self.writer.flush()
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        let bytes = event.write_to_bytes().map_err(io::Error::other)?;
        self.writer.write(&bytes)
    }
}

impl MetricSink for TensorBoardSink {
    fn log(&mut self, point: &LogPoint) -> io::Result<()> {
        for (tag, value) in &point.values {
            let Some(value) = value else { continue };
            let mut event = new_event(point.position);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "TensorBoard's scalars are single precision"
            )]
            event.set_summary(summary::scalar(tag.name, *value as f32));
            self.write(&event)?;
        }
        self.writer.flush()
    }

    fn sync(&mut self) -> io::Result<()> {
        // Syncing the file does not reach what the writer still buffers.
        self.writer.flush()?;
        self.file.sync_data()
    }
}

fn new_event(position: u64) -> Event {
    let mut event = Event::new();
    event.set_wall_time(
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()),
    );
    event.set_step(i64::try_from(position).unwrap_or(i64::MAX));
    event
}

fn cut_earlier(dir: &Path, earlier: &[EventFile]) -> io::Result<()> {
    for path in event_paths(dir)? {
        let known = earlier.iter().find(|file| path.ends_with(&file.name));
        match known {
            Some(file) => {
                let open = OpenOptions::new().write(true).open(&path)?;
                // Events only duplicate `metrics.jsonl`, so a short file is no reason to stop.
                open.set_len(file.bytes.min(open.metadata()?.len()))?;
            }
            None => fs::remove_file(&path)?,
        }
    }

    Ok(())
}

fn event_paths(dir: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(dir)?;
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

/// Creates a file whose name sorts after all earlier ones, even if the clock was set back or two
/// sessions start within one second: TensorBoard reads a folder's files in order of their names.
fn create_after(dir: &Path, earlier: &[EventFile]) -> io::Result<(String, File)> {
    let last = earlier.iter().filter_map(|file| seconds_in_name(&file.name)).max();
    let mut seconds = crate::run::run_dir::now_unix_secs().max(last.map_or(0, |last| last + 1));
    loop {
        let name = format!("{PREFIX}{seconds:010}.{}.{}.0", host_name(), std::process::id());
        match OpenOptions::new().create_new(true).write(true).open(dir.join(&name)) {
            Ok(file) => return Ok((name, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => seconds += 1,
            Err(error) => return Err(error),
        }
    }
}

fn seconds_in_name(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use tensorboard_rs::masked_crc32c::masked_crc32c;

    use super::super::{LogAxis, tags};
    use super::*;

    /// Reads a record file and verifies both checksums of each record.
    fn read_events(path: &Path) -> Vec<Event> {
        let mut rest = fs::read(path).unwrap();
        let mut events = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let crc = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            assert_eq!(crc(8), masked_crc32c(&rest[..8]));
            assert_eq!(crc(12 + length), masked_crc32c(&rest[12..12 + length]));
            events.push(Event::parse_from_bytes(&rest[12..12 + length]).unwrap());
            rest.drain(..16 + length);
        }
        events
    }

    fn point(frames: u64, value: f64) -> LogPoint {
        LogPoint {
            axis: LogAxis::Frames,
            position: frames,
            values: vec![(&tags::GRAD_NORM, Some(value)), (&tags::EPISODE_RETURN, None)],
        }
    }

    fn steps_and_values(path: &Path) -> Vec<(i64, f32)> {
        let scalar = |event: &Event| {
            let value = event.get_summary().get_value().first()?;
            assert_eq!(value.get_tag(), "optim/grad_norm");
            Some((event.get_step(), value.get_simple_value()))
        };
        read_events(path).iter().filter_map(scalar).collect()
    }

    #[test]
    fn scalars_read_back_and_absent_values_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = TensorBoardSink::open(dir.path(), &[], 0).unwrap();
        sink.log(&point(10, 0.5)).unwrap();
        sink.log(&point(20, 0.25)).unwrap();
        let file = &sink.files().unwrap()[0];
        let path = dir.path().join(&file.name);
        assert_eq!(read_events(&path)[0].get_file_version(), "brain.Event:2");
        assert_eq!(steps_and_values(&path), [(10, 0.5), (20, 0.25)]);
        assert_eq!(fs::metadata(&path).unwrap().len(), file.bytes);
    }

    #[test]
    fn a_resumed_run_cuts_what_came_after_and_tells_open_readers() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = TensorBoardSink::open(dir.path(), &[], 0).unwrap();
        first.log(&point(10, 1.0)).unwrap();
        let known = first.files().unwrap();
        first.log(&point(20, 2.0)).unwrap();
        drop(first);
        let mut second = TensorBoardSink::open(dir.path(), &known, 10).unwrap();
        second.log(&point(20, 3.0)).unwrap();
        let files = second.files().unwrap();
        assert!(files[0].name < files[1].name, "readers take files in the order of their names");
        let path = |index: usize| dir.path().join(&files[index].name);
        assert_eq!(steps_and_values(&path(0)), [(10, 1.0)]);
        assert_eq!(steps_and_values(&path(1)), [(20, 3.0)]);
        let start = &read_events(&path(1))[1];
        assert_eq!(start.get_session_log().get_status(), SessionLog_SessionStatus::START);
        assert_eq!(start.get_step(), 11, "the log point at 10 stays");
    }

    #[test]
    fn a_session_that_reached_no_checkpoint_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = TensorBoardSink::open(dir.path(), &[], 0).unwrap();
        let known = first.files().unwrap();
        drop(first);
        let mut lost = TensorBoardSink::open(dir.path(), &known, 0).unwrap();
        lost.log(&point(10, 9.0)).unwrap();
        drop(lost);
        TensorBoardSink::open(dir.path(), &known, 0).unwrap();
        let left = event_paths(dir.path()).unwrap();
        let values: usize = left.iter().map(|path| steps_and_values(path).len()).sum();
        assert_eq!((left.len(), values), (2, 0));
    }
}
