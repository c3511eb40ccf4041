//! Reader for `metrics.jsonl`: the curves of a run.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::{Map, Value};

use super::LogAxis;
use super::tags::{self, Tag};

/// Upper bound on the length of the last four lines of a file.
const LONGEST_LINES: u64 = 1 << 16;

/// Line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadPoint(Map<String, Value>);

impl ReadPoint {
    /// Returns the position of the run; `None` in a line of another kind of run.
    pub fn position(&self, axis: LogAxis) -> Option<u64> {
        self.0.get(axis.name())?.as_u64()
    }

    /// Returns the value of a tag; `None` if there was none.
    pub fn value(&self, tag: &Tag) -> Option<f64> {
        self.0.get(tag.name)?.as_f64()
    }
}

/// Reads all log points, oldest first. An incomplete last line is ignored: the run is still writing
/// it, or was killed. A missing file is a run before its first log point. Archived runs have
/// `metrics.jsonl.gz` instead.
///
/// # Errors
/// If the file cannot be read, or a complete line is malformed.
pub fn read_points(path: &Path) -> io::Result<Vec<ReadPoint>> {
    let text = match read_text(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };

    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let points = whole.lines().enumerate().map(|(index, line)| {
        serde_json::from_str(line).map(ReadPoint).map_err(|error| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}, line {}: {error}", path.display(), index + 1),
            )
        })
    });

    points.collect()
}

/// Reads the file, or else the compressed one next to it.
fn read_text(path: &Path) -> io::Result<String> {
    let missing = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => error,
        other => return other,
    };
    let mut compressed = path.as_os_str().to_owned();
    compressed.push(".gz");
    // The error stays that of the usual file, whose absence callers treat as an empty run.
    let Ok(file) = File::open(&compressed) else { return Err(missing) };

    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text)?;
    Ok(text)
}

/// Reads the last complete log point from the end of the file only, which is cheap enough for
/// polling.
///
/// # Errors
/// If the file exists but cannot be read, or the line is malformed.
pub fn read_last_point(path: &Path) -> io::Result<Option<ReadPoint>> {
    read_last_where(path, |_| true)
}

/// Reads the last log point of training, which an evaluation on the way and a final one may follow
/// with lines of their own.
///
/// # Errors
/// As [`read_last_point`].
pub fn read_last_training_point(path: &Path) -> io::Result<Option<ReadPoint>> {
    read_last_where(path, |point| point.0.contains_key(tags::UPDATES.name))
}

/// Reads the last of the last three log points for which `is_wanted` holds.
fn read_last_where(
    path: &Path,
    is_wanted: impl Fn(&ReadPoint) -> bool,
) -> io::Result<Option<ReadPoint>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };

    let length = file.metadata()?.len();
    let start = length.saturating_sub(LONGEST_LINES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(LONGEST_LINES).read_to_end(&mut bytes)?;
    // The window may start in the middle of a character; only its last complete lines are used.
    let text = String::from_utf8_lossy(&bytes);
    let Some(end) = text.rfind('\n') else { return Ok(None) };
    for line in text[..end].rsplit('\n').take(3) {
        let point = ReadPoint(serde_json::from_str(line)?);
        if is_wanted(&point) {
            return Ok(Some(point));
        }
    }

    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::tags;
    use super::*;

    #[test]
    fn a_compressed_file_is_read_where_there_is_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let text = "{\"frames\":10,\"train/episode_return\":1.5}\n";
        let file = File::create(folder.path().join("metrics.jsonl.gz")).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::default());
        io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
        encoder.finish().unwrap();
        assert_eq!(read_points(&path).unwrap()[0].value(&tags::EPISODE_RETURN), Some(1.5));

        fs::write(&path, "{\"frames\":20}\n").unwrap();
        assert_eq!(read_points(&path).unwrap()[0].position(LogAxis::Frames), Some(20));

        fs::remove_file(&path).unwrap();
        fs::write(folder.path().join("metrics.jsonl.gz"), "no archive").unwrap();
        assert!(read_points(&path).is_err());
    }

    #[test]
    fn whole_lines_are_read_and_a_damaged_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        assert_eq!(read_points(&path).unwrap(), []);
        let line = |frames: u64, value: &str| {
            format!("{{\"frames\":{frames},\"train/episode_return\":{value}}}\n")
        };

        fs::write(&path, line(10, "null") + &line(20, "1.5") + "{\"frames\":3").unwrap();
        let points = read_points(&path).unwrap();
        let read: Vec<_> = points
            .iter()
            .map(|point| (point.position(LogAxis::Frames), point.value(&tags::EPISODE_RETURN)))
            .collect();
        assert_eq!(read, [(Some(10), None), (Some(20), Some(1.5))]);
        assert_eq!(points[0].position(LogAxis::Updates), None);
        assert_eq!(read_last_point(&path).unwrap().as_ref(), points.last());
        fs::write(&path, "{\"frames\":3").unwrap();
        assert_eq!(read_last_point(&path).unwrap(), None);
        let many: String = (0..5000).map(|frames| line(frames, "2.0")).collect();
        fs::write(&path, many).unwrap();
        assert_eq!(read_last_point(&path).unwrap().unwrap().position(LogAxis::Frames), Some(4999));
        fs::write(&path, line(10, "null") + "rubbish\n").unwrap();
        let error = read_points(&path).unwrap_err().to_string();
        assert!(error.contains("metrics.jsonl, line 2"), "{error}");
    }
}
