//! Tables as text: CSV with a head line (comma, semicolon or tab), JSON lists, JSON lines.
//!
//! # Source
//! RFC 4180.

use serde_json::Value;

/// A row of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// The line that it begins on; of a JSON list the number of the entry.
    pub(crate) line: usize,
    /// Column name and value, in order; empty values are left out.
    pub(crate) cells: Vec<(String, String)>,
}

/// The rows of a text, and what could not be read of it (line number, reason).
pub(crate) fn rows(text: &str) -> (Vec<Row>, Vec<(usize, String)>) {
    let text = text.trim_start_matches('\u{feff}');
    match text.trim_start().bytes().next() {
        Some(b'[') => json_list(text),
        Some(b'{') => json_lines(text),
        _ => csv(text),
    }
}

fn json_list(text: &str) -> (Vec<Row>, Vec<(usize, String)>) {
    match serde_json::from_str::<Vec<Value>>(text) {
        Ok(list) => (numbered(&list), Vec::new()),
        Err(error) => (Vec::new(), vec![(error.line(), error.to_string())]),
    }
}

fn json_lines(text: &str) -> (Vec<Row>, Vec<(usize, String)>) {
    // What Microsoft Graph answers is one object around the list.
    if let Ok(Value::Object(object)) = serde_json::from_str::<Value>(text)
        && let Some(Value::Array(list)) = object.get("value")
    {
        return (numbered(list), Vec::new());
    }
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str::<Value>(line) {
            Ok(value) => rows.push(flat(number, &value)),
            Err(error) => faults.push((number, error.to_string())),
        }
    }
    (rows, faults)
}

fn numbered(list: &[Value]) -> Vec<Row> {
    let list = (1..).zip(list);
    list.map(|(number, value)| flat(number, value)).collect()
}

fn flat(line: usize, value: &Value) -> Row {
    let object = value.as_object().into_iter().flatten();
    let pairs = object.filter_map(|(name, value)| {
        let text = match value {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            Value::Array(list) => {
                let parts = list.iter().filter_map(|one| match one {
                    Value::String(text) => Some(text.clone()),
                    Value::Object(inner) => Some(inner.get("displayName")?.as_str()?.to_owned()),
                    Value::Null => None,
                    other => Some(other.to_string()),
                });
                parts.collect::<Vec<_>>().join(";")
            }
            Value::Object(inner) => inner.get("displayName")?.as_str()?.to_owned(),
            other => other.to_string(),
        };
        (!text.is_empty()).then(|| (name.clone(), text))
    });
    Row {
        line,
        cells: pairs.collect(),
    }
}

fn csv(text: &str) -> (Vec<Row>, Vec<(usize, String)>) {
    // `Export-Csv` of PowerShell puts a line on the type before the head.
    let skipped = if text.starts_with("#TYPE") { 1 } else { 0 };
    let after = text.split_inclusive('\n').take(skipped).map(str::len).sum();
    let body = text.get(after..).unwrap_or("");
    let first = body.lines().next().unwrap_or("");
    let count = |separator: char| first.matches(separator).count();
    let separator = [',', ';', '\t']
        .into_iter()
        .max_by_key(|separator| count(*separator))
        .unwrap_or(',');
    let mut records = records(body, separator).into_iter();
    let Some((_, head)) = records.next() else {
        return (Vec::new(), Vec::new());
    };
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for (line, cells) in records {
        if cells.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        if cells.len() > head.len() {
            let reason = format!("{} values, but the head names {}", cells.len(), head.len());
            faults.push((line + skipped, reason));
            continue;
        }
        let pairs = head.iter().zip(cells);
        let pairs = pairs.map(|(name, cell)| (name.trim().to_owned(), cell.trim().to_owned()));
        rows.push(Row {
            line: line + skipped,
            cells: pairs.filter(|(_, cell)| !cell.is_empty()).collect(),
        });
    }
    (rows, faults)
}

/// Records with the number of the line each begins on.
fn records(text: &str, separator: char) -> Vec<(usize, Vec<String>)> {
    let mut all = Vec::new();
    let (mut line, mut start) = (1, 1);
    let mut cells: Vec<String> = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        line += usize::from(letter == '\n');
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.trim().is_empty() => {
                cell.clear();
                quoted = true;
            }
            '\n' if !quoted => {
                cells.push(std::mem::take(&mut cell));
                all.push((start, std::mem::take(&mut cells)));
                start = line;
            }
            '\r' if !quoted => {}
            other if other == separator && !quoted => cells.push(std::mem::take(&mut cell)),
            other => cell.push(other),
        }
    }
    if !cell.is_empty() || !cells.is_empty() {
        cells.push(cell);
        all.push((start, cells));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_in_their_forms() {
        let wanted = vec![
            ("ip".to_owned(), "192.0.2.1".to_owned()),
            ("name".to_owned(), "a, \"b\"\nc".to_owned()),
        ];
        for text in [
            "ip,name,owner\n192.0.2.1,\"a, \"\"b\"\"\nc\",\n",
            "\u{feff}ip;name\r\n192.0.2.1;\"a, \"\"b\"\"\nc\"\r\n",
            "#TYPE Selected.User\nip\tname\n192.0.2.1\t\"a, \"\"b\"\"\nc\"",
            "[{\"ip\": \"192.0.2.1\", \"name\": \"a, \\\"b\\\"\\nc\", \"owner\": null}]",
            "{\"ip\": \"192.0.2.1\", \"name\": \"a, \\\"b\\\"\\nc\"}\n",
            "{\"value\": [{\"ip\": \"192.0.2.1\", \"name\": \"a, \\\"b\\\"\\nc\"}]}",
        ] {
            let (rows, faults) = rows(text);
            assert_eq!((rows.len(), faults.len()), (1, 0), "{text}");
            assert_eq!(rows[0].cells, wanted, "{text}");
        }
    }

    #[test]
    fn a_bad_line_is_named_and_the_rest_is_read() {
        let (found, faults) = rows("ip,name\n192.0.2.1,a\n1,2,3\n192.0.2.2,b\n");
        assert_eq!((found.len(), faults[0].0), (2, 3));
        assert_eq!((found[0].line, found[1].line), (2, 4));
        let (found, faults) = rows("{\"ip\":\"192.0.2.1\"}\nnonsense\n{\"ip\":\"192.0.2.2\"}");
        assert_eq!((found.len(), faults[0].0), (2, 2));
        assert!(rows("[1,").0.is_empty() && rows("").0.is_empty());
    }
}
