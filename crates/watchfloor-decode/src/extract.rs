//! Fields out of a text that stands in a field: what mapping packs ask for by name.

use watchfloor_event::EventBatch;

use crate::sink::{Shape, Sink};
use crate::{Limits, json};

/// The form of the text that fields are drawn out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// One JSON object.
    Json,
    /// XML, as Windows events are written.
    Xml,
    /// Common Event Format.
    Cef,
    /// Log Event Extended Format.
    Leef,
    /// Syslog.
    Syslog,
}

impl Part {
    /// The part of a word: `json`, `xml`, `cef`, `leef`, `syslog`.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "json" => Self::Json,
            "xml" => Self::Xml,
            "cef" => Self::Cef,
            "leef" => Self::Leef,
            "syslog" => Self::Syslog,
            _ => return None,
        })
    }
}

/// Sets the fields of a text on a row; false if the text does not hold to its form.
pub fn extract(batch: &mut EventBatch, row: usize, part: Part, text: &str) -> bool {
    let mut shape = Shape::default();
    let mut buffers = json::Buffers::default();
    let mut sink = Sink::new(batch, row, Limits::STANDARD, &mut shape);
    match part {
        Part::Json => {
            let start = text.find('{').and_then(|at| text.get(at..));
            start.is_some_and(|text| json::decode(&mut sink, text, &mut buffers).is_ok())
        }
        Part::Xml => crate::windows::xml::decode(&mut sink, text),
        Part::Cef => {
            let start = crate::cef::find(text).and_then(|at| text.get(at..));
            start.is_some_and(|text| crate::cef::decode(&mut sink, text))
        }
        Part::Leef => {
            let start = crate::leef::find(text).and_then(|at| text.get(at..));
            start.is_some_and(|text| crate::leef::decode(&mut sink, text))
        }
        Part::Syslog => crate::syslog::decode(&mut sink, text, &mut buffers),
    }
}
