//! Files of at most 800 lines without tests, functions of at most 70; what is longer stands in
//! a list that may only shrink.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use crate::{shell, tidy};

const MAX_FILE_LINES: usize = 800;
const MAX_FUNCTION_LINES: usize = 70;

pub(super) fn check() -> Result<Vec<String>> {
    let list = shell::root().join("xtask/tidy-allow.txt");
    let text = std::fs::read_to_string(&list)
        .with_context(|| format!("cannot read {}", list.display()))?;
    let allowed: BTreeSet<String> = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(str::to_owned)
        .collect();
    let mut met = BTreeSet::new();
    let mut faults = Vec::new();
    for path in tidy::sources() {
        let name = path
            .strip_prefix(shell::root())
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        if name.contains("tests") {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let mut report = |key: String, what: String| {
            if allowed.contains(&key) {
                met.insert(key);
            } else {
                faults.push(what);
            }
        };
        let lines = code.lines().count();
        if lines > MAX_FILE_LINES {
            report(
                name.clone(),
                format!("{name} has {lines} lines; at most {MAX_FILE_LINES}"),
            );
        }
        for (function, lines) in long_functions(code) {
            report(
                format!("{name} {function}"),
                format!("{name}: fn {function} has {lines} lines; at most {MAX_FUNCTION_LINES}"),
            );
        }
    }
    for gone in allowed.difference(&met) {
        faults.push(format!(
            "'{gone}' in xtask/tidy-allow.txt is no longer too long; take it out"
        ));
    }
    Ok(faults)
}

/// Functions whose body, by the indentation that rustfmt gives, is too long.
fn long_functions(code: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(function) = function_name(line) else {
            continue;
        };
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        let length = lines[start..]
            .iter()
            .position(|line| *line == end)
            .map_or(0, |offset| offset + 1);
        if length > MAX_FUNCTION_LINES {
            found.push((function, length));
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let text = line.trim_start();
    let words = [
        "pub ",
        "pub(crate) ",
        "pub(super) ",
        "const ",
        "async ",
        "unsafe ",
    ];
    let mut rest = text;
    while let Some(shorter) = words.iter().find_map(|word| rest.strip_prefix(word)) {
        rest = shorter;
    }
    let name = rest.strip_prefix("fn ")?;
    Some(name.split(['(', '<']).next().unwrap_or_default().to_owned())
}
