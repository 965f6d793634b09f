//! Compiles what draws fields and times out of text.

use std::sync::Arc;

use watchfloor_decode::{Part, VALUES_MAX};

use super::PackError;
use super::compile::Place;
use super::text::{ExtractText, KindText, MatchText, NamedTime, OneOrMany, TimeText};
use crate::event_time::TimeSource;
use crate::extract::{Extraction, Matching};
use crate::grok;

/// Most expressions of one kind.
const EXPRESSIONS_MAX: usize = 64;

pub(super) fn matching(
    place: &Place<'_>,
    texts: &OneOrMany<MatchText>,
) -> Result<Vec<Matching>, PackError> {
    let texts = texts.as_slice();
    if texts.len() > EXPRESSIONS_MAX {
        return Err(place.error("match", format!("more than {EXPRESSIONS_MAX} expressions")));
    }
    texts
        .iter()
        .map(|text| {
            expression(
                place,
                &text.field,
                text.regex.as_deref(),
                text.grok.as_deref(),
            )
        })
        .collect()
}

fn expression(
    place: &Place<'_>,
    field: &str,
    regex: Option<&str>,
    grok: Option<&str>,
) -> Result<Matching, PackError> {
    match (regex, grok) {
        (Some(regex), None) => Ok(Matching::new(field, place.regex(regex)?)),
        (None, Some(text)) => {
            let expanded =
                grok::expand(text).map_err(|fault| place.error(text, format!("grok: {fault}")))?;
            Ok(Matching::new(field, place.regex(&expanded)?))
        }
        _ => Err(place.error(field, "one of 'regex' and 'grok' is needed".to_owned())),
    }
}

pub(super) fn extractions(
    place: &Place<'_>,
    kind: &KindText,
) -> Result<Vec<Extraction>, PackError> {
    let shorthand = kind.key_values.iter().map(|field| Extraction::Pairs {
        field: Arc::from(field.as_str()),
        assign: '=',
        separator: None,
    });
    let mut found: Vec<Extraction> = shorthand.collect();
    if kind.extract.len() > EXPRESSIONS_MAX {
        return Err(place.error(
            "extract",
            format!("more than {EXPRESSIONS_MAX} extractions"),
        ));
    }
    for text in &kind.extract {
        found.push(extraction(place, text)?);
    }
    Ok(found)
}

fn extraction(place: &Place<'_>, text: &ExtractText) -> Result<Extraction, PackError> {
    let field: Arc<str> = Arc::from(text.field.as_str());
    match text.form.as_str() {
        "csv" => {
            if text.columns.is_empty() || text.columns.len() > VALUES_MAX {
                let reason = format!("'columns' must name 1 to {VALUES_MAX} values");
                return Err(place.error("csv", reason));
            }
            let name = |name: &String| match name.as_str() {
                "-" => Arc::from(""),
                name => Arc::from(name),
            };
            Ok(Extraction::Values {
                field,
                separator: text.separator.unwrap_or(','),
                columns: text.columns.iter().map(name).collect(),
            })
        }
        "key_values" => Ok(Extraction::Pairs {
            field,
            assign: text.assign.unwrap_or('='),
            separator: text.separator,
        }),
        "regex" | "grok" => {
            let (regex, grok) = (text.regex.as_deref(), text.grok.as_deref());
            expression(place, &text.field, regex, grok).map(Extraction::Groups)
        }
        word => match Part::parse(word) {
            Some(part) => Ok(Extraction::Form { field, part }),
            None => {
                let known = "csv, key_values, json, xml, cef, leef, syslog, regex, grok";
                Err(place.error(word, format!("no extractor '{word}'; known: {known}")))
            }
        },
    }
}

pub(super) fn times(place: &Place<'_>, texts: &[TimeText]) -> Result<Vec<TimeSource>, PackError> {
    texts
        .iter()
        .map(|text| match text {
            TimeText::Field(name) => Ok(TimeSource::field(name)),
            TimeText::Named(named) => time(place, named),
        })
        .collect()
}

fn time(place: &Place<'_>, named: &NamedTime) -> Result<TimeSource, PackError> {
    let fields: Vec<Arc<str>> = named
        .field
        .iter()
        .chain(&named.join)
        .map(|name| Arc::from(name.as_str()))
        .collect();
    if fields.is_empty() {
        return Err(place.error("time", "a time needs 'field' or 'join'".to_owned()));
    }
    Ok(TimeSource {
        fields,
        patterns: named.format.as_slice().to_vec(),
    })
}
