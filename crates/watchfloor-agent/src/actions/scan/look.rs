//! One file under the rules. Short ones are read; long ones are mapped, in a process of their own:
//! whoever cuts a mapped file short ends who reads it, and that must not be the agent.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use boreal::scanner::{EvaluatedRule, ScanParams, ScanResult};
use boreal::{Compiler, MetadataValue, Scanner};
use serde_json::{Map, Value, json};

use crate::platform::command;
use crate::record::{Fields, put};

/// Bytes of a file that are read into memory.
const READ_BYTES_MAX: u64 = 16 << 20;
/// Longest look at one file, and bytes for which there is a second more.
const FILE_TIME: Duration = Duration::from_secs(20);
const BYTES_PER_SECOND: u64 = 10 << 20;
/// What a process of its own may take longer, to begin and to read the rules.
const ASIDE_MORE: Duration = Duration::from_secs(15);
/// Places of one text that are told.
const OFFSETS_MAX: u32 = 10;
/// Longest rules.
const RULES_BYTES_MAX: u64 = 4 << 20;
/// The subcommand of the agent that looks at a long file.
pub(crate) const ASIDE: &str = "look";

const TOO_LONG: &str = "only its beginning, it is longer than the policy says";
const TIME_OVER: &str = "not to the end, its time was over";

/// The rules, and what is needed to use them.
pub(super) struct Look {
    rules: String,
    scanner: Scanner,
    binary: PathBuf,
    /// Longest file that is looked at to its end.
    limit: u64,
}

/// What was found in a file.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) matches: Vec<Fields>,
    /// Why not all of it was looked at.
    pub(super) cut: Option<&'static str>,
}

impl Look {
    pub(super) fn new(rules: &str, binary: &Path, limit: u64) -> Result<Self> {
        Ok(Self {
            rules: rules.to_owned(),
            scanner: compile(rules, FILE_TIME)?,
            binary: binary.to_owned(),
            limit: limit.max(READ_BYTES_MAX),
        })
    }

    /// Looks at a file.
    pub(super) fn at(&self, path: &Path) -> Result<Found> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        if (READ_BYTES_MAX + 1..=self.limit).contains(&length) {
            return self.aside(path, length);
        }
        let mut bytes = Vec::new();
        file.take(READ_BYTES_MAX).read_to_end(&mut bytes)?;
        let (matches, is_over) = matches(&self.scanner, self.scanner.scan_mem(&bytes));
        let cut = (length > READ_BYTES_MAX).then_some(TOO_LONG);
        Ok(Found {
            matches,
            cut: cut.or(is_over.then_some(TIME_OVER)),
        })
    }

    fn aside(&self, path: &Path, length: u64) -> Result<Found> {
        let time = FILE_TIME + Duration::from_secs(length / BYTES_PER_SECOND);
        let seconds = time.as_secs().to_string();
        let arguments = [
            OsStr::new(ASIDE),
            OsStr::new("--seconds"),
            OsStr::new(&seconds),
            OsStr::new("--"),
            path.as_os_str(),
        ];
        let said = command::run_aside(&self.binary, &arguments, &self.rules, time + ASIDE_MORE)
            .context("it could not be looked at to its end")?;
        let (matches, is_over) = serde_json::from_str(&said)?;
        let is_over: bool = is_over;
        Ok(Found {
            matches,
            cut: is_over.then_some(TIME_OVER),
        })
    }
}

/// Looks at a long file with the rules from the standard input, and writes what it found. This is
/// what the process of its own does.
///
/// # Errors
/// The rules are wrong, or the file cannot be mapped.
#[expect(
    unsafe_code,
    reason = "the library maps files only so; who cuts the file short ends this process alone"
)]
pub(crate) fn aside(path: &Path, seconds: u64) -> Result<()> {
    let mut rules = String::new();
    std::io::stdin()
        .take(RULES_BYTES_MAX)
        .read_to_string(&mut rules)?;
    let scanner = compile(&rules, Duration::from_secs(seconds))?;
    // SAFETY: the bytes may change while they are looked at, so that a match may be missed or
    // wrong; they are compared and copied, and nothing else is concluded from them.
    let result = unsafe { scanner.scan_file_memmap(path) };
    if let Err((error @ boreal::scanner::ScanError::CannotReadFile(_), _)) = &result {
        return Err(anyhow!("{error}"));
    }
    let found = serde_json::to_string(&matches(&scanner, result))?;
    std::io::stdout().write_all(found.as_bytes())?;
    Ok(())
}

fn compile(rules: &str, time: Duration) -> Result<Scanner> {
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
            .timeout_duration(Some(time)),
    );
    Ok(scanner)
}

/// What was found, and whether time was over before the end: what was found until then counts.
fn matches(
    scanner: &Scanner,
    result: Result<ScanResult<'_>, (boreal::scanner::ScanError, ScanResult<'_>)>,
) -> (Vec<Fields>, bool) {
    let (result, is_over) = match result {
        Ok(result) => (result, false),
        Err((_, result)) => (result, true),
    };
    let rules = result.rules.iter();
    (rules.map(|rule| fields(scanner, rule)).collect(), is_over)
}

fn fields(scanner: &Scanner, rule: &EvaluatedRule<'_>) -> Fields {
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
        let scanner = compile(rules, FILE_TIME).unwrap();
        let (found, is_over) = matches(&scanner, scanner.scan_mem(b"xx cmd= yy cmd="));
        let fields = &found[0];
        assert!(!is_over);
        assert_eq!(fields["rule"], "evil");
        assert_eq!(fields["tags"], "web,shell");
        assert_eq!(fields["meta"], json!({"author": "a", "score": 7}));
        assert_eq!(
            fields["strings"],
            json!([{"name": "$a", "offsets": [3, 11]}])
        );
        assert!(compile("rule x {", FILE_TIME).is_err());
    }
}
