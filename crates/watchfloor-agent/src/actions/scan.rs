//! Looking through files with YARA rules.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use boreal::scanner::{EvaluatedRule, ScanParams};
use boreal::{Compiler, MetadataValue, Scanner};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Done;
use crate::core::Core;
use crate::data::sha256_hex;
use crate::record::{Fields, put};
use crate::spool::{Class, Positions};

/// Bytes of a file that are looked at; memory is bounded by it.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Longest look at one file.
const FILE_TIME_MAX: Duration = Duration::from_secs(20);
/// Longest whole scan.
const SCAN_TIME_MAX: Duration = Duration::from_secs(45 * 60);
/// Files of one scan.
const FILES_MAX: u64 = 1_000_000;
/// Folders that hold no files.
const NOT_FILES: &[&str] = &["/proc", "/sys", "/dev"];
/// Matches that are named in the proof; all of them are records.
const NAMED_MAX: usize = 50;
/// Places of one text that are told.
const OFFSETS_MAX: u32 = 10;

#[derive(Default)]
struct Counts {
    files: u64,
    matches: u64,
    cut: u64,
    unread: u64,
    named: Vec<String>,
    stopped: Option<&'static str>,
}

/// Looks through files and folders.
pub(super) fn scan(core: &Core, rules: &str, paths: &[PathBuf]) -> Result<Done> {
    let scanner = compile(rules)?;
    let mut counts = Counts::default();
    let begin = Instant::now();
    let mut open: Vec<PathBuf> = paths.to_vec();
    while let Some(path) = open.pop() {
        counts.stopped = why_stop(core, &counts, begin);
        if counts.stopped.is_some() {
            break;
        }
        let Ok(meta) = fs::symlink_metadata(&path) else {
            counts.unread += 1;
            continue;
        };
        if meta.is_dir() {
            let is_none = NOT_FILES.iter().any(|one| Path::new(one) == path);
            if !is_none && path != core.data.root() {
                let entries = fs::read_dir(&path).into_iter().flatten().flatten();
                open.extend(entries.map(|entry| entry.path()));
            }
        } else if meta.is_file() && meta.len() > 0 {
            look(core, &scanner, &path, &mut counts);
            core.pace.step();
        }
    }
    if counts.files == 0 && counts.unread > 0 {
        bail!("none of the paths could be read");
    }
    Ok(summary(&counts))
}

fn why_stop(core: &Core, counts: &Counts, begin: Instant) -> Option<&'static str> {
    if !core.is_running() {
        return Some("the agent ended");
    }
    if begin.elapsed() > SCAN_TIME_MAX {
        return Some("its time was over");
    }
    (counts.files >= FILES_MAX).then_some("there were too many files")
}

fn summary(counts: &Counts) -> Done {
    let mut text = format!(
        "looked at {} files: {} matches",
        counts.files, counts.matches
    );
    if let Some(reason) = counts.stopped {
        text.push_str(&format!("; not to the end, because {reason}"));
    }
    let mut done = Done::new(text)
        .with("files", counts.files.to_string())
        .with("matches", counts.matches.to_string());
    for (name, count) in [("cut", counts.cut), ("unread", counts.unread)] {
        if count > 0 {
            done = done.with(name, count.to_string());
        }
    }
    if !counts.named.is_empty() {
        done = done.with("matched", counts.named.join("\n"));
    }
    done
}

fn compile(rules: &str) -> Result<Scanner> {
    let mut compiler = Compiler::new();
    compiler
        .add_rules_str(rules)
        .map_err(|error| anyhow!("the rules cannot be used: {error}"))?;
    let mut scanner = compiler.finalize();
    scanner.set_scan_params(
        ScanParams::default()
            .compute_full_matches(true)
            .string_max_nb_matches(OFFSETS_MAX)
            .match_max_length(64)
            .timeout_duration(Some(FILE_TIME_MAX)),
    );
    Ok(scanner)
}

fn look(core: &Core, scanner: &Scanner, path: &Path, counts: &mut Counts) {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    if read.is_err() {
        counts.unread += 1;
        return;
    }
    counts.files += 1;
    let is_cut = bytes.len() as u64 >= FILE_BYTES_MAX;
    counts.cut += u64::from(is_cut);
    let result = match scanner.scan_mem(&bytes) {
        Ok(result) => result,
        // What was found until its time was over still counts.
        Err((_, result)) => {
            counts.cut += u64::from(!is_cut);
            result
        }
    };
    if result.rules.is_empty() {
        return;
    }
    let hash = sha256_hex(&bytes);
    let records: Vec<Vec<u8>> = result
        .rules
        .iter()
        .map(|rule| {
            counts.matches += 1;
            if counts.named.len() < NAMED_MAX {
                counts
                    .named
                    .push(format!("{}: {}", rule.name, path.display()));
            }
            let fields = fields(scanner, rule, path, &hash, is_cut);
            core.recorder.event("yara_match", Timestamp::now(), fields)
        })
        .collect();
    core.keep("actions", Class::Momentary, records, Positions::new());
}

fn fields(
    scanner: &Scanner,
    rule: &EvaluatedRule<'_>,
    path: &Path,
    hash: &str,
    is_cut: bool,
) -> Fields {
    let mut fields = Fields::new();
    put(&mut fields, "rule", rule.name);
    let tags: Vec<&str> = rule
        .tags
        .iter()
        .map(|tag| scanner.get_string_symbol(*tag))
        .collect();
    put(&mut fields, "tags", tags.join(","));
    let mut meta = Map::new();
    for one in rule.metadatas {
        let value = match one.value {
            MetadataValue::Bytes(symbol) => {
                String::from_utf8_lossy(scanner.get_bytes_symbol(symbol)).into()
            }
            MetadataValue::Integer(number) => Value::from(number),
            MetadataValue::Boolean(is_set) => Value::from(is_set),
        };
        meta.insert(scanner.get_string_symbol(one.name).to_owned(), value);
    }
    put(&mut fields, "meta", meta);
    put(&mut fields, "path", path.to_string_lossy());
    // Of a file that is longer only the beginning was looked at, and hashed.
    match is_cut {
        true => put(&mut fields, "is_cut", true),
        false => put(&mut fields, "sha256", hash),
    }
    let strings: Vec<Value> = rule
        .matches
        .iter()
        .filter(|one| !one.matches.is_empty())
        .map(|one| {
            let offsets: Vec<usize> = one.matches.iter().map(|found| found.offset).collect();
            json!({"name": format!("${}", one.name), "offsets": offsets})
        })
        .collect();
    put(&mut fields, "strings", strings);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_says_rule_tags_meta_and_places() {
        let rules = r#"rule evil : web shell { meta: author = "a" score = 7
            strings: $a = "cmd=" condition: $a }"#;
        let scanner = compile(rules).unwrap();
        let result = scanner.scan_mem(b"xx cmd= yy cmd=").unwrap();
        let fields = fields(
            &scanner,
            &result.rules[0],
            Path::new("/w/x.php"),
            "ab",
            false,
        );
        assert_eq!(fields["rule"], "evil");
        assert_eq!(fields["tags"], "web,shell");
        assert_eq!(fields["meta"], json!({"author": "a", "score": 7}));
        assert_eq!(
            fields["strings"],
            json!([{"name": "$a", "offsets": [3, 11]}])
        );
        assert!(compile("rule x {").is_err());
    }
}
