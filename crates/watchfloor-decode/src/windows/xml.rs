//! Windows events as XML, as Windows Event Forwarding and `wevtutil` give them.
//!
//! # Source
//! Microsoft, event schema (`http://schemas.microsoft.com/win/2004/08/events/event`).

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use watchfloor_event::AnomalyCode;

use crate::sink::{Sink, clip};

/// Deepest nesting of elements that is followed.
const DEPTH_MAX: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Outside,
    System,
    Data,
    UserData,
    Rendering,
}

#[derive(Default)]
struct Open {
    name: String,
    data_name: Option<String>,
    text: String,
    has_child: bool,
}

/// Decodes one event; what stands before a fault is kept.
pub(crate) fn decode(sink: &mut Sink<'_>, text: &str) -> bool {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = false;
    let mut part = Part::Outside;
    let mut open: Vec<Open> = Vec::new();
    let mut unnamed: Vec<String> = Vec::new();
    let mut fields = 0_usize;
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                if open.len() >= DEPTH_MAX {
                    sink.note(AnomalyCode::NestedTooDeep, || "XML elements".to_owned());
                    break;
                }
                enter(sink, &mut open, &mut part, &start);
            }
            Ok(Event::Empty(start)) => {
                enter(sink, &mut open, &mut part, &start);
                fields += leave(sink, &mut open, &mut part, &mut unnamed);
            }
            Ok(Event::Text(piece)) => {
                if let Some(top) = open.last_mut() {
                    top.text.push_str(&piece);
                }
            }
            Ok(Event::CData(piece)) => {
                if let Some(top) = open.last_mut() {
                    top.text.push_str(&piece);
                }
            }
            Ok(Event::GeneralRef(reference)) => {
                if let Some(top) = open.last_mut() {
                    top.text.push_str(&entity(&reference));
                }
            }
            Ok(Event::End(_)) => fields += leave(sink, &mut open, &mut part, &mut unnamed),
            Ok(Event::Eof) => break,
            Ok(_) => {}
            Err(fault) => {
                sink.note(AnomalyCode::Malformed, || {
                    clip(&fault.to_string(), 200).to_owned()
                });
                break;
            }
        }
    }
    if !open.is_empty() {
        sink.note(AnomalyCode::Malformed, || "the XML ends early".to_owned());
    }
    put_unnamed(sink, &unnamed);
    fields > 0
}

fn enter(sink: &mut Sink<'_>, open: &mut Vec<Open>, part: &mut Part, start: &BytesStart<'_>) {
    let local = start.local_name();
    let name = local.as_ref().to_owned();
    if let Some(parent) = open.last_mut() {
        parent.has_child = true;
    }
    let mut data_name = None;
    if open.len() == 1 {
        *part = match name.as_str() {
            "System" => Part::System,
            "EventData" | "ProcessingErrorData" | "BinaryEventData" => Part::Data,
            "UserData" => Part::UserData,
            "RenderingInfo" => Part::Rendering,
            _ => Part::Outside,
        };
    }
    for attribute in start.attributes().with_checks(false).flatten() {
        let key = attribute.key.local_name().as_ref().to_owned();
        let raw = attribute.value;
        let value = quick_xml::escape::unescape(&raw).unwrap_or(raw.clone());
        match *part {
            Part::System if open.len() == 2 && name == "TimeCreated" => {
                sink.text("TimeCreated", &value);
            }
            Part::System if open.len() == 2 && key != "xmlns" => {
                sink.scalar(&format!("{name}_{key}"), &value);
            }
            Part::Data if key == "Name" => data_name = Some(value.into_owned()),
            _ => {}
        }
    }
    open.push(Open {
        name,
        data_name,
        ..Open::default()
    });
}

fn leave(
    sink: &mut Sink<'_>,
    open: &mut Vec<Open>,
    part: &mut Part,
    unnamed: &mut Vec<String>,
) -> usize {
    let Some(element) = open.pop() else {
        return 0;
    };
    let depth = open.len();
    let here = *part;
    if depth == 1 {
        *part = Part::Outside;
    }
    if element.has_child {
        return 0;
    }
    match here {
        Part::System if depth == 2 => {
            if element.text.trim().is_empty() {
                return 0;
            }
            sink.scalar(&element.name, element.text.trim());
        }
        Part::Data if depth >= 2 => match &element.data_name {
            Some(name) => {
                sink.scalar(name, &element.text);
                if name.contains(' ') {
                    sink.scalar(&name.replace(' ', ""), &element.text);
                }
            }
            None if element.name == "Data" => unnamed.push(element.text),
            None => sink.scalar(&element.name, &element.text),
        },
        Part::UserData if depth >= 3 => sink.scalar(&element.name, &element.text),
        Part::Rendering if element.name == "Message" => sink.text("Message", &element.text),
        _ => return 0,
    }
    1
}

fn put_unnamed(sink: &mut Sink<'_>, unnamed: &[String]) {
    match unnamed {
        [] => {}
        [one] => sink.text("Data", one),
        many => {
            let mut list = String::from("[");
            for (index, value) in many.iter().enumerate() {
                if index > 0 {
                    list.push(',');
                }
                crate::key_value::push_json_string(&mut list, value);
            }
            list.push(']');
            sink.put("Data", watchfloor_event::ValueKind::List, &list);
        }
    }
}

fn entity(name: &str) -> String {
    let character = match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => name
            .strip_prefix("#x")
            .map(|hex| u32::from_str_radix(hex, 16))
            .or_else(|| name.strip_prefix('#').map(str::parse))
            .and_then(Result::ok)
            .and_then(char::from_u32),
    };
    character.map_or_else(|| format!("&{name};"), String::from)
}
