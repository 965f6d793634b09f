//! JSON: an object per line, or one document, of STIX or of MISP.
//!
//! The objects of a bundle are taken one by one, so a bundle of any size needs the memory of
//! one object.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};

use super::{ListFormat, MAX_OBJECT_BYTES, Sink, lines, misp, stix};

pub(super) fn read_lines(reader: &mut dyn BufRead, sink: &mut Sink<'_>) -> io::Result<()> {
    lines(reader, sink, &mut |line, number, sink| {
        if line.trim().is_empty() {
            return;
        }
        match serde_json::from_str(line) {
            Ok(value) => object(&value, number, sink),
            Err(error) => sink.report.refuse(number, format!("no JSON: {error}")),
        }
    })
}

pub(super) fn read_document(reader: &mut dyn BufRead, sink: &mut Sink<'_>) -> io::Result<()> {
    let budget = Cell::new(MAX_OBJECT_BYTES);
    let limited = Limited {
        reader,
        budget: &budget,
    };
    let mut deserializer = serde_json::Deserializer::from_reader(BufReader::new(limited));
    let document = Document {
        sink: &mut *sink,
        budget: &budget,
    };
    let result = document
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    let is_over = budget.get() == 0;
    match result {
        Ok(()) => Ok(()),
        Err(error) if error.is_io() && !is_over => Err(error.into()),
        Err(error) => {
            let reason = if is_over {
                format!(
                    "an object has more than {MAX_OBJECT_BYTES} bytes; what follows was not read"
                )
            } else {
                format!("no JSON from here on: {error}")
            };
            sink.report.refuse((error.line() as u64).max(1), reason);
            Ok(())
        }
    }
}

/// A reader that ends in an error rather than quietly when an object is too large.
struct Limited<'a> {
    reader: &'a mut dyn BufRead,
    /// Bytes that may still come before the next object begins.
    budget: &'a Cell<u64>,
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.budget
            .set(self.budget.get().saturating_sub(read as u64));
        if self.budget.get() == 0 && read > 0 {
            return Err(io::Error::other("the object is too large"));
        }
        Ok(read)
    }
}

/// One object of whatever form.
fn object(value: &Json, number: u64, sink: &mut Sink<'_>) {
    if misp::is_event(value) {
        sink.report.format = Some(ListFormat::Misp);
        misp::event(value, number, sink);
    } else if value["type"] == "bundle" {
        for object in value["objects"].as_array().into_iter().flatten() {
            stix::object(object, number, sink);
        }
    } else {
        sink.report.format = Some(ListFormat::Stix);
        stix::object(value, number, sink);
    }
}

/// The top of a document.
struct Document<'s, 'a> {
    sink: &'s mut Sink<'a>,
    budget: &'s Cell<u64>,
}

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut rest = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            // Feeds that are no STIX bundles have other keys.
            if key == "objects" || key == "response" {
                map.next_value_seed(Objects {
                    sink: &mut *self.sink,
                    budget: self.budget,
                })?;
            } else {
                rest.insert(key, map.next_value()?);
            }
        }
        let rest = Json::Object(rest);
        if misp::is_event(&rest) || rest["type"] == "indicator" {
            object(&rest, 1, self.sink);
        } else if self.sink.report.format.is_none() {
            self.sink
                .report
                .refuse(1, "neither a STIX bundle nor a MISP event");
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Objects {
            sink: self.sink,
            budget: self.budget,
        }
        .visit_seq(seq)
    }
}

/// A list of objects, taken one by one.
struct Objects<'s, 'a> {
    sink: &'s mut Sink<'a>,
    budget: &'s Cell<u64>,
}

impl<'de> DeserializeSeed<'de> for Objects<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Objects<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut number = 0;
        if self.sink.report.format.is_none() {
            self.sink.report.format = Some(ListFormat::Stix);
        }
        while let Some(value) = seq.next_element::<Json>()? {
            number += 1;
            self.budget.set(MAX_OBJECT_BYTES);
            object(&value, number, self.sink);
        }
        Ok(())
    }

    /// MISP's API wraps a single answer, or its attributes, in an object.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut rest = Map::new();
        while let Some((key, value)) = map.next_entry::<String, Json>()? {
            rest.insert(key, value);
        }
        object(&Json::Object(rest), 1, self.sink);
        Ok(())
    }
}
