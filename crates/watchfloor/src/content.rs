//! Rules and mapping packs: those in the program, and those in folders that a user names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use watchfloor_normalize::{PackError, PackSet};
use watchfloor_rules::{LoadOptions, Refusal, RuleFile, RuleSet};

use crate::cli::Shaping;

#[derive(rust_embed::RustEmbed)]
#[folder = "../../content"]
struct Embedded;

/// A text file of content.
#[derive(Clone, Debug)]
pub(crate) struct ContentFile {
    pub path: String,
    pub text: String,
}

/// The built-in files below a folder of `content/`, by path.
pub(crate) fn embedded(folder: &str) -> Vec<ContentFile> {
    embedded_that(folder, |_| true)
}

/// As [`embedded`], of the files that are asked for: most are cases, which a server never reads.
pub(crate) fn embedded_that(folder: &str, is_wanted: fn(&str) -> bool) -> Vec<ContentFile> {
    let mut files: Vec<ContentFile> = Embedded::iter()
        .filter(|path| path.starts_with(folder) && is_wanted(path))
        .filter_map(|path| {
            let file = Embedded::get(&path)?;
            Some(ContentFile {
                path: path.into_owned(),
                text: String::from_utf8_lossy(&file.data).into_owned(),
            })
        })
        .collect();
    files.sort_by(|left, right| left.path.cmp(&right.path));
    files
}

/// The YAML and NDJSON files below paths, by path.
pub(crate) fn files_below(paths: &[PathBuf]) -> Result<Vec<ContentFile>> {
    let mut found = Vec::new();
    for path in paths {
        let metadata =
            std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        if metadata.is_dir() {
            collect(path, &mut found)?;
        } else {
            found.push(read(path)?);
        }
    }
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<ContentFile>) -> Result<()> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let extension = path.extension().and_then(|extension| extension.to_str());
        if is_hidden {
            continue;
        }
        if path.is_dir() {
            collect(&path, found)?;
        } else if matches!(extension, Some("yml" | "yaml" | "ndjson")) {
            found.push(read(&path)?);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<ContentFile> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(ContentFile {
        path: path.to_string_lossy().into_owned(),
        text: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

/// The name of a pack: that of its folder.
fn pack_name(path: &str) -> String {
    let folder = Path::new(path).parent().and_then(Path::file_name);
    folder.map_or_else(
        || path.to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

pub(crate) fn is_yaml(path: &str) -> bool {
    path.ends_with(".yml") || path.ends_with(".yaml")
}

/// Whether a file holds the cases of a rule.
pub(crate) fn is_cases(path: &str) -> bool {
    path.ends_with(".cases.yaml") || path.ends_with(".cases.yml")
}

/// Whether a file holds rules.
pub(crate) fn is_rule(path: &str) -> bool {
    is_yaml(path) && !is_cases(path)
}

/// Loads rules from content files; cases and READMEs are passed over.
pub(crate) fn load_rules(
    files: impl IntoIterator<Item = ContentFile>,
    options: &LoadOptions,
) -> RuleSet {
    let rules = files.into_iter().filter(|file| is_rule(&file.path));
    RuleSet::load_with(rules.map(rule_file), options.clone())
}

/// As [`load_rules`], where a pipeline that cannot be applied is an error: without it, the rules
/// would ask for fields that are not there.
pub(crate) fn load_shaped(
    files: impl IntoIterator<Item = ContentFile>,
    options: &LoadOptions,
) -> Result<RuleSet> {
    let set = load_rules(files, options);
    match refused_pipeline(&set, options) {
        Some(refusal) => bail!("{}:{}: {}", refusal.path, refusal.line, refusal.reason),
        None => Ok(set),
    }
}

/// The refusal of a pipeline, if there is one.
pub(crate) fn refused_pipeline<'a>(set: &'a RuleSet, options: &LoadOptions) -> Option<&'a Refusal> {
    let is_pipeline = |refusal: &&Refusal| {
        let mut pipelines = options.pipelines.iter();
        refusal.rule.is_empty() && pipelines.any(|one| one.path == refusal.path)
    };
    set.refused.iter().find(is_pipeline)
}

fn rule_file(file: ContentFile) -> RuleFile {
    RuleFile {
        path: Arc::from(file.path),
        text: file.text,
    }
}

/// Pipelines and placeholders, as a command line names them.
pub(crate) fn load_options(shaping: &Shaping) -> Result<LoadOptions> {
    let pipelines = files_below(&shaping.pipelines)?;
    let mut placeholders = BTreeMap::new();
    for file in files_below(&shaping.placeholders)? {
        placeholders.extend(placeholder_values(&file)?);
    }
    Ok(LoadOptions {
        placeholders,
        pipelines: pipelines.into_iter().map(rule_file).collect(),
    })
}

/// The values of placeholders in a file, by name.
pub(crate) fn placeholder_values(file: &ContentFile) -> Result<BTreeMap<String, Vec<String>>> {
    let wrong = |reason: String| {
        anyhow!(
            "{}: {reason}; write a map of names to lists of texts, such as 'admins: [alice, bob]'",
            file.path
        )
    };
    let map: BTreeMap<String, serde_json::Value> =
        watchfloor_rules::from_yaml(&file.text).map_err(wrong)?;
    let one = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => Ok(text),
        scalar @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => {
            Ok(scalar.to_string())
        }
        other => Err(wrong(format!("{other} is no text"))),
    };
    let mut placeholders = BTreeMap::new();
    for (name, values) in map {
        let values: Result<Vec<String>> = match values {
            serde_json::Value::Array(values) => values.into_iter().map(one).collect(),
            single => one(single).map(|value| vec![value]),
        };
        placeholders.insert(name.trim_matches('%').to_owned(), values?);
    }
    Ok(placeholders)
}

/// The built-in mapping packs and those below folders. A pack that does not load is an error:
/// without it, its product would go unseen.
pub(crate) fn packs(folders: &[PathBuf]) -> Result<PackSet> {
    let mut packs: BTreeMap<String, ContentFile> = BTreeMap::new();
    let mut files = embedded_that("mappings/", is_pack);
    files.extend(files_below(folders)?);
    for file in files.into_iter().filter(|file| is_pack(&file.path)) {
        // A pack of a user's folder takes the place of the built-in one of its name.
        packs.insert(pack_name(&file.path), file);
    }
    let (set, errors) = PackSet::load(packs.into_values().map(|file| (file.path, file.text)));
    if errors.is_empty() {
        return Ok(set);
    }
    let shown: Vec<String> = errors.iter().map(PackError::to_string).collect();
    bail!("mapping packs cannot be loaded:\n  {}", shown.join("\n  "))
}

/// Whether a file is a pack and not its cases.
pub(crate) fn is_pack(path: &str) -> bool {
    path.ends_with("/pack.yaml") || path.ends_with("/pack.yml")
}
