//! What was found, as people and programs read it.

use std::io::{BufWriter, Write};

use anyhow::Result;
use serde_json::Value;

use crate::cli::HuntFormat;
use crate::command::{csv_field, visible};

/// Prints events, which are JSON as the API gives them.
pub(super) fn events(events: &[Value], format: HuntFormat) -> Result<()> {
    if format == HuntFormat::Csv {
        print!("{}", crate::bridge::EVENT_HEAD);
    }
    more_events(events, format)
}

/// Prints further events, without a head.
pub(super) fn more_events(events: &[Value], format: HuntFormat) -> Result<()> {
    let mut output = BufWriter::new(std::io::stdout().lock());
    let names = ["time", "source", "class_name", "product", "raw"];
    for event in events {
        let texts = names.map(|name| visible(event[name].as_str().unwrap_or_default()));
        match format {
            HuntFormat::Csv => {
                writeln!(output, "{}", texts.map(|text| csv_field(&text)).join(","))?
            }
            HuntFormat::Table => {
                let [time, source, class, _, raw] = texts;
                let raw: String = raw.chars().take(200).collect();
                writeln!(output, "{time:<27} {source:<20} {class:<24} {raw}")?;
            }
            HuntFormat::Ndjson | HuntFormat::Parquet => writeln!(output, "{event}")?,
        }
    }
    Ok(output.flush()?)
}

/// Prints rows with their head.
pub(super) fn rows(names: &[String], rows: &[Vec<Value>], format: HuntFormat) -> Result<()> {
    if format == HuntFormat::Csv {
        let names: Vec<String> = names.iter().map(|name| csv_field(&visible(name))).collect();
        println!("{}", names.join(","));
    }
    if format == HuntFormat::Table {
        let names: Vec<String> = names.iter().map(|name| visible(name)).collect();
        return table(&mut BufWriter::new(std::io::stdout().lock()), &names, rows);
    }
    more_rows(names, rows, format)
}

/// Prints further rows, without a head.
pub(super) fn more_rows(names: &[String], rows: &[Vec<Value>], format: HuntFormat) -> Result<()> {
    let mut output = BufWriter::new(std::io::stdout().lock());
    for row in rows {
        match format {
            HuntFormat::Ndjson | HuntFormat::Parquet => {
                let fields = names.iter().zip(row);
                let fields: serde_json::Map<_, _> = fields
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
                writeln!(output, "{}", Value::Object(fields))?;
            }
            HuntFormat::Csv => {
                // A number may begin with a sign; a text that does could be taken for a formula.
                let cell = |value: &Value| match value {
                    Value::Number(number) => number.to_string(),
                    other => csv_field(&shown(other)),
                };
                let row: Vec<String> = row.iter().map(cell).collect();
                writeln!(output, "{}", row.join(","))?;
            }
            HuntFormat::Table => {
                let row: Vec<String> = row.iter().map(shown).collect();
                writeln!(output, "{}", row.join("  "))?;
            }
        }
    }
    Ok(output.flush()?)
}

/// Columns as wide as what is in them, up to a limit.
fn table(output: &mut impl Write, names: &[String], rows: &[Vec<Value>]) -> Result<()> {
    const WIDEST: usize = 60;
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(shown).collect())
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let cells = cells.chain(names.get(column));
        let longest = cells.map(|cell| cell.chars().count()).max();
        longest.unwrap_or(0).min(WIDEST)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    for row in std::iter::once(names).chain(rows.iter().map(Vec::as_slice)) {
        let cells = row.iter().zip(&widths).enumerate();
        let cells: Vec<String> = cells
            .map(|(number, (cell, width))| {
                // The last column takes what room there is.
                let most = if number + 1 == names.len() {
                    200
                } else {
                    *width
                };
                let cut: String = cell.chars().take(most).collect();
                format!("{cut:<width$}")
            })
            .collect();
        writeln!(output, "{}", cells.join("  ").trim_end())?;
    }
    Ok(output.flush()?)
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => visible(text),
        other => visible(&other.to_string()),
    }
}
