//! NumPy array files, version 1.0, for byte rows of a fixed shape whose number is known only at the
//! end.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

/// Magic and version, followed by the header length; the array starts at a multiple of 64 bytes.
const PREAMBLE: &[u8] = b"\x93NUMPY\x01\x00";
const HEADER_BYTES: usize = 128;

/// Writer for rows of bytes; fills in the header at the end.
pub struct NpyWriter {
    file: BufWriter<File>,
    row_shape: Vec<usize>,
    rows: usize,
}

impl NpyWriter {
    /// Creates a file for rows of the given shape.
    pub fn create(path: &Path, row_shape: &[usize]) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&header(0, row_shape))?;
        Ok(Self { file, row_shape: row_shape.to_vec(), rows: 0 })
    }

    /// Appends one row.
    pub fn append(&mut self, row: &[u8]) -> io::Result<()> {
        debug_assert_eq!(row.len(), self.row_shape.iter().product::<usize>());
        self.rows += 1;
        self.file.write_all(row)
    }

    /// Writes the number of rows into the header and closes the file.
    pub fn finish(mut self) -> io::Result<()> {
        // Seeking writes out the buffered rows first, so the header cannot end up among them.
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header(self.rows, &self.row_shape))?;
        self.file.flush()
    }
}

fn header(rows: usize, row_shape: &[usize]) -> Vec<u8> {
    let sizes: Vec<String> = row_shape.iter().map(|size| format!(", {size}")).collect();
    let facts = format!(
        "{{'descr': '|u1', 'fortran_order': False, 'shape': ({rows}{}), }}",
        sizes.concat()
    );
    // A fixed length, so that the final header fits over the first one.
    let text_bytes = HEADER_BYTES - PREAMBLE.len() - 2;
    let mut header = PREAMBLE.to_vec();
    header.extend_from_slice(&[text_bytes as u8, 0]);
    header.extend_from_slice(format!("{facts:<width$}\n", width = text_bytes - 1).as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_tells_the_rows_that_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        let mut npy = NpyWriter::create(&path, &[4, 84, 84]).unwrap();
        npy.append(&vec![7; 4 * 84 * 84]).unwrap();
        npy.append(&vec![8; 4 * 84 * 84]).unwrap();
        npy.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), HEADER_BYTES + 2 * 4 * 84 * 84);
        let text = String::from_utf8_lossy(&bytes[10..HEADER_BYTES]).into_owned();
        assert!(text.contains("'shape': (2, 4, 84, 84)") && text.ends_with('\n'), "{text}");
        assert_eq!(usize::from(bytes[8]) + 10, HEADER_BYTES);
        assert_eq!(bytes[HEADER_BYTES + 4 * 84 * 84], 8);
    }
}
