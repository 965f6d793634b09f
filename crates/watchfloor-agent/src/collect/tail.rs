//! A log file from where it was read last: lines, partial lines, lines that are too long.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::data::sha256_hex;

/// Longest line that is kept, in bytes; the rest of it is left out.
pub(super) const LINE_BYTES_MAX: usize = 64 << 10;
/// Bytes at the beginning of a file by which it is known.
const HEAD_BYTES: usize = 256;
/// Bytes that are read in one round.
const ROUND_BYTES: usize = 256 << 10;

/// How far a file was read. Saved with the records that were read up to here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) path: String,
    pub(super) offset: u64,
    /// Bytes that the fingerprint is of.
    head_bytes: usize,
    /// Hash of the first bytes.
    head: String,
    /// Whether the rest of a line that was too long is still to be passed over.
    #[serde(default)]
    is_skipping: bool,
}

/// A line, and whether more of it was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    pub(super) is_cut: bool,
}

impl Position {
    /// The beginning of a file.
    pub(super) fn beginning(path: &Path) -> Self {
        Self {
            path: path.to_string_lossy().into_owned(),
            ..Self::default()
        }
    }

    /// The end of a file: what is in it already is passed over.
    pub(super) fn end(path: &Path, file: &mut File) -> io::Result<Self> {
        let mut position = Self::beginning(path);
        position.offset = file.metadata()?.len();
        // The line that is being written now is not a whole one for us either way.
        position.learn_head(file)?;
        Ok(position)
    }

    /// Whether the file is the one that was read: it begins with the same bytes and is not
    /// shorter than what was read of it.
    pub(super) fn is_of(&self, file: &mut File) -> io::Result<bool> {
        if file.metadata()?.len() < self.offset {
            return Ok(false);
        }
        Ok(self.head_bytes == 0 || head(file, self.head_bytes)? == self.head)
    }

    /// Takes more of the beginning for the fingerprint while the file is short.
    fn learn_head(&mut self, file: &mut File) -> io::Result<()> {
        if self.head_bytes < HEAD_BYTES {
            let length = usize::try_from(file.metadata()?.len()).unwrap_or(HEAD_BYTES);
            let known = length.min(HEAD_BYTES);
            if known > self.head_bytes {
                self.head = head(file, known)?;
                self.head_bytes = known;
            }
        }
        Ok(())
    }

    /// Reads the next whole lines and moves on behind them. With `is_last` the file gets no more,
    /// and a line without an end is a line too.
    pub(super) fn read(&mut self, file: &mut File, is_last: bool) -> io::Result<Vec<Line>> {
        self.learn_head(file)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.by_ref()
            .take(ROUND_BYTES as u64)
            .read_to_end(&mut bytes)?;
        let is_end = bytes.len() < ROUND_BYTES;
        let mut lines = Vec::new();
        let mut rest = bytes.as_slice();
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, behind) = rest.split_at(at);
            rest = behind.get(1..).unwrap_or_default();
            self.offset += at as u64 + 1;
            self.take(line, &mut lines);
        }
        if rest.len() >= LINE_BYTES_MAX {
            self.offset += rest.len() as u64;
            if !self.is_skipping {
                lines.push(cut(rest));
            }
            self.is_skipping = true;
        } else if is_last && is_end && !rest.is_empty() {
            self.offset += rest.len() as u64;
            self.take(rest, &mut lines);
        }
        Ok(lines)
    }

    fn take(&mut self, line: &[u8], lines: &mut Vec<Line>) {
        if std::mem::take(&mut self.is_skipping) {
            return;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            lines.push(cut(line));
        }
    }
}

fn cut(line: &[u8]) -> Line {
    Line {
        bytes: line.get(..LINE_BYTES_MAX).unwrap_or(line).to_vec(),
        is_cut: line.len() >= LINE_BYTES_MAX,
    }
}

fn head(file: &mut File, length: usize) -> io::Result<String> {
    let mut bytes = Vec::with_capacity(length);
    file.seek(SeekFrom::Start(0))?;
    file.by_ref().take(length as u64).read_to_end(&mut bytes)?;
    Ok(sha256_hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    fn texts(lines: Vec<Line>) -> Vec<String> {
        lines
            .into_iter()
            .map(|line| String::from_utf8(line.bytes).unwrap())
            .collect()
    }

    #[test]
    fn partial_lines_wait_for_their_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        fs::write(&path, "one\r\n\ntwo\nthr").unwrap();
        let mut file = File::open(&path).unwrap();
        let mut position = Position::beginning(&path);
        assert_eq!(
            texts(position.read(&mut file, false).unwrap()),
            ["one", "two"]
        );
        assert!(position.read(&mut file, false).unwrap().is_empty());
        let mut writer = fs::OpenOptions::new().append(true).open(&path).unwrap();
        writer.write_all(b"ee\nfour").unwrap();
        assert_eq!(texts(position.read(&mut file, false).unwrap()), ["three"]);
        assert_eq!(texts(position.read(&mut file, true).unwrap()), ["four"]);
        assert!(position.is_of(&mut file).unwrap());
    }

    #[test]
    fn a_file_that_was_cut_or_written_anew_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        fs::write(&path, "first line\nsecond line\n").unwrap();
        let mut file = File::open(&path).unwrap();
        let mut position = Position::beginning(&path);
        position.read(&mut file, false).unwrap();
        fs::write(&path, "x\n").unwrap();
        assert!(!position.is_of(&mut file).unwrap());
        fs::write(&path, "other line that is much longer than before\n").unwrap();
        assert!(!position.is_of(&mut file).unwrap());
        fs::write(&path, "first line\nsecond line\nthird line\n").unwrap();
        assert!(position.is_of(&mut file).unwrap());
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let long = "x".repeat(3 * ROUND_BYTES);
        fs::write(&path, format!("a\n{long}\nb\n")).unwrap();
        let mut file = File::open(&path).unwrap();
        let mut position = Position::beginning(&path);
        let mut all = Vec::new();
        for _ in 0..8 {
            all.extend(position.read(&mut file, false).unwrap());
        }
        let seen: Vec<(usize, bool)> = all
            .iter()
            .map(|one| (one.bytes.len(), one.is_cut))
            .collect();
        assert_eq!(seen, [(1, false), (LINE_BYTES_MAX, true), (1, false)]);
    }
}
