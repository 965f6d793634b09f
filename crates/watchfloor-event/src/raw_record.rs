//! One record as it arrived, before anything is understood.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

/// What the sender or the file name says about a record's form. It is a hint: a record that
/// does not hold to it is tried as `Auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Nothing is known; the decoder looks at the bytes.
    Auto,
    /// One JSON object.
    Json,
    /// Syslog, RFC 5424 or RFC 3164.
    Syslog,
    /// A Windows event rendered as XML.
    WindowsXml,
    /// One line of a Zeek TSV log; the `#fields` header is the record's context.
    ZeekTsv,
    /// One line of the Linux audit log.
    Auditd,
    /// One entry of the journal export format.
    JournalExport,
    /// One line of a web server's access log (common or combined).
    AccessLog,
    /// One line of a text log.
    Text,
}

impl Format {
    /// Every format, in the order of declaration.
    pub const ALL: [Self; 9] = [
        Self::Auto,
        Self::Json,
        Self::Syslog,
        Self::WindowsXml,
        Self::ZeekTsv,
        Self::Auditd,
        Self::JournalExport,
        Self::AccessLog,
        Self::Text,
    ];

    /// The stable word used on the command line and in the journal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Json => "json",
            Self::Syslog => "syslog",
            Self::WindowsXml => "windows-xml",
            Self::ZeekTsv => "zeek-tsv",
            Self::Auditd => "auditd",
            Self::JournalExport => "journal-export",
            Self::AccessLog => "access-log",
            Self::Text => "text",
        }
    }

    /// The format of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }

    /// The byte that stands for the format in the journal.
    pub const fn to_byte(self) -> u8 {
        self as u8
    }

    /// The format of that byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One record as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// Name of the source, as it stands on the Sources page, e.g. `syslog:10.0.0.7`.
    pub source: Arc<str>,
    /// Hint on the form.
    pub format: Format,
    /// Text that the record needs to be understood and that stood elsewhere: the header of
    /// its Zeek or CSV file.
    pub context: Option<Arc<str>>,
    /// Position in the journal; rises by one with each record.
    pub position: u64,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The bytes, without the framing (no line end, no octet count).
    pub bytes: Bytes,
}
