//! Configuration checks: rules as data over a root folder, so that cases can run on a folder.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use regex_automata::meta::Regex;
use watchfloor_link::{CheckDefinition, CheckProbe};

use crate::glob;

/// Longest file that is looked at.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Files of one pattern.
const FILES_MAX: usize = 500;
/// Longest compiled expression.
const REGEX_BYTES_MAX: usize = 1 << 20;
/// Files that name files that name files.
const INCLUDES_MAX: usize = 4;
/// Characters of a line that are shown.
const SHOWN_CHARS_MAX: usize = 200;

/// How the host stands, apart from its files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Installed packages.
    pub(crate) packages: Vec<String>,
    /// Where something listens.
    pub(crate) listening: Vec<SocketAddr>,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether all holds.
    pub(crate) holds: bool,
    /// What was seen.
    pub(crate) evidence: String,
}

/// Looks whether a check holds below a root. An error if the check itself is wrong.
pub(crate) fn evaluate(
    check: &CheckDefinition,
    root: &Path,
    facts: &Facts,
) -> Result<Verdict, String> {
    let mut evidence = Vec::new();
    for probe in &check.all {
        let verdict = look(probe, root, facts)?;
        if !verdict.holds {
            return Ok(verdict);
        }
        evidence.push(verdict.evidence);
    }
    Ok(Verdict {
        holds: true,
        evidence: evidence.join("; "),
    })
}

fn look(probe: &CheckProbe, root: &Path, facts: &Facts) -> Result<Verdict, String> {
    Ok(match probe {
        CheckProbe::File { path, exists } => {
            let is_there = under(root, path).symlink_metadata().is_ok();
            let word = if is_there { "is there" } else { "is not there" };
            verdict(is_there == *exists, format!("{path} {word}"))
        }
        CheckProbe::Mode {
            path,
            forbidden,
            owner,
        } => mode(root, path, forbidden, *owner)?,
        CheckProbe::Lines {
            path,
            matches,
            expected,
            if_missing,
        } => lines(root, path, matches, *expected, *if_missing)?,
        CheckProbe::Setting {
            path,
            name,
            allowed,
            default,
            first_counts,
        } => {
            let found = setting(root, path, name, *first_counts);
            let value = found.as_deref().unwrap_or(default);
            let holds = allowed.iter().any(|one| one.eq_ignore_ascii_case(value));
            let source = found.as_ref().map_or(" (nothing set)", |_| "");
            verdict(holds, format!("{name} is {value:?}{source}"))
        }
        CheckProbe::Sysctl { name, allowed } => sysctl(root, name, allowed),
        CheckProbe::Package { name, installed } => {
            let is_there = facts.packages.iter().any(|one| one == name);
            let word = if is_there {
                "is installed"
            } else {
                "is not installed"
            };
            verdict(is_there == *installed, format!("{name} {word}"))
        }
        CheckProbe::Module { name, loaded } => {
            let text = fs::read_to_string(under(root, "/proc/modules")).unwrap_or_default();
            let is_there = text
                .lines()
                .any(|line| line.split(' ').next() == Some(name));
            let word = if is_there {
                "is loaded"
            } else {
                "is not loaded"
            };
            verdict(is_there == *loaded, format!("{name} {word}"))
        }
        CheckProbe::Listening { port, expected } => {
            let is_reached = |one: &&SocketAddr| one.port() == *port && !one.ip().is_loopback();
            let found = facts.listening.iter().find(is_reached);
            let words = match found {
                Some(address) => format!("something listens on {address}"),
                None => format!("nothing listens on port {port} for others"),
            };
            verdict(found.is_some() == *expected, words)
        }
        CheckProbe::Mount { path, options } => mount(root, path, options),
    })
}

fn sysctl(root: &Path, name: &str, allowed: &[String]) -> Verdict {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    match fs::read_to_string(under(root, &path)) {
        Ok(text) => {
            let value = text.split_whitespace().collect::<Vec<_>>().join(" ");
            verdict(allowed.contains(&value), format!("{name} is {value}"))
        }
        Err(_) => verdict(false, format!("{name} is not there")),
    }
}

fn verdict(holds: bool, evidence: String) -> Verdict {
    Verdict { holds, evidence }
}

fn under(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn mode(root: &Path, path: &str, forbidden: &str, owner: Option<u32>) -> Result<Verdict, String> {
    let bits = u32::from_str_radix(forbidden, 8)
        .map_err(|_| format!("{forbidden:?} is no octal number"))?;
    for file in glob::expand(root, path, FILES_MAX) {
        let Ok(meta) = fs::metadata(&file) else {
            continue;
        };
        let shown = shown(root, &file);
        if meta.mode() & bits != 0 {
            let words = format!("{shown} has mode {:o}", meta.mode() & 0o7777);
            return Ok(verdict(false, words));
        }
        if owner.is_some_and(|owner| meta.uid() != owner) {
            return Ok(verdict(
                false,
                format!("{shown} belongs to user {}", meta.uid()),
            ));
        }
    }
    Ok(verdict(true, format!("mode and owner of {path} are right")))
}

fn lines(
    root: &Path,
    path: &str,
    matches: &str,
    expected: bool,
    if_missing: bool,
) -> Result<Verdict, String> {
    let regex = Regex::builder()
        .configure(Regex::config().nfa_size_limit(Some(REGEX_BYTES_MAX)))
        .build(matches)
        .map_err(|error| format!("{matches:?} is no expression: {error}"))?;
    let files = glob::expand(root, path, FILES_MAX);
    if files.is_empty() {
        return Ok(verdict(if_missing, format!("{path} is not there")));
    }
    for file in files {
        let text = read(&file);
        let found = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
            .find(|line| regex.is_match(line));
        if let Some(line) = found {
            let line: String = line.chars().take(SHOWN_CHARS_MAX).collect();
            return Ok(verdict(expected, format!("{}: {line}", shown(root, &file))));
        }
    }
    Ok(verdict(!expected, format!("{path} has no such line")))
}

/// The value of a setting: the last one in all files, or the first.
fn setting(root: &Path, path: &str, name: &str, first_counts: bool) -> Option<String> {
    if first_counts {
        return first_setting(root, path, name, INCLUDES_MAX);
    }
    let mut last = None;
    for file in glob::expand(root, path, FILES_MAX) {
        for line in settings(&read(&file)) {
            let (word, rest) = split_setting(line);
            if word.eq_ignore_ascii_case(name) {
                last = Some(rest.to_owned());
            }
        }
    }
    last
}

/// As sshd reads its settings: the first one counts, other files are read where they are named,
/// and what stands in a `Match` block holds for some only (`sshd_config(5)`).
fn first_setting(root: &Path, path: &str, name: &str, includes: usize) -> Option<String> {
    for file in glob::expand(root, path, FILES_MAX) {
        for line in settings(&read(&file)) {
            let (word, rest) = split_setting(line);
            if word.eq_ignore_ascii_case("match") {
                break;
            }
            if word.eq_ignore_ascii_case(name) {
                return Some(rest.to_owned());
            }
            if word.eq_ignore_ascii_case("include") && includes > 0 {
                let folder = Path::new(path).parent().unwrap_or(Path::new("/"));
                let found = rest.split_whitespace().find_map(|pattern| {
                    // A pattern without a folder is beside the file that names it.
                    let pattern = folder.join(pattern).to_string_lossy().into_owned();
                    first_setting(root, &pattern, name, includes - 1)
                });
                if found.is_some() {
                    return found;
                }
            }
        }
    }
    None
}

/// Lines that are no comments.
fn settings(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';']))
}

fn split_setting(line: &str) -> (&str, &str) {
    let end = line.find(|one: char| one == '=' || one.is_whitespace());
    let Some((word, rest)) = end.and_then(|end| line.split_at_checked(end)) else {
        return (line, "");
    };
    let rest = rest.trim_start_matches(|one: char| one == '=' || one.is_whitespace());
    // A word on the line behind a comment sign is no part of the value.
    let rest = rest.split(" #").next().unwrap_or_default();
    (word, rest.trim().trim_matches('"'))
}

fn mount(root: &Path, path: &str, options: &[String]) -> Verdict {
    let text = fs::read_to_string(under(root, "/proc/self/mounts"))
        .or_else(|_| fs::read_to_string(under(root, "/proc/mounts")))
        .unwrap_or_default();
    let mut mounts = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [_, place, _, set, ..] = words.as_slice() {
            mounts.insert(*place, *set);
        }
    }
    let Some(set) = mounts.get(path) else {
        return verdict(false, format!("nothing is mounted on {path}"));
    };
    let missing: Vec<&str> = options
        .iter()
        .map(String::as_str)
        .filter(|option| !set.split(',').any(|one| one == *option))
        .collect();
    match missing.is_empty() {
        true => verdict(true, format!("{path} is mounted with {set}")),
        false => verdict(
            false,
            format!("{path} is mounted without {}", missing.join(", ")),
        ),
    }
}

fn read(path: &Path) -> String {
    let is_short =
        fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= FILE_BYTES_MAX);
    match is_short {
        true => String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned(),
        false => String::new(),
    }
}

fn shown(root: &Path, path: &Path) -> String {
    let rest = path.strip_prefix(root).unwrap_or(path);
    Path::new("/").join(rest).display().to_string()
}

#[cfg(test)]
mod tests;
