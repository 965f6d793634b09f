//! Writes the OCSF class list from a copy of the schema.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell;

/// A class as the schema gives it.
struct Class {
    name: String,
    caption: String,
    category: Option<String>,
    extends: Option<String>,
    uid: Option<u64>,
    /// Number of the extension that it belongs to.
    extension: u64,
    /// Attributes that it says are required, or are not any more.
    requirements: BTreeMap<String, bool>,
    /// Attributes of which one has to be there.
    at_least_one: Vec<String>,
}

/// Attributes of every event, which the program sets itself.
const OF_EVERY_EVENT: [&str; 7] = [
    "activity_id",
    "category_uid",
    "class_uid",
    "metadata",
    "severity_id",
    "time",
    "type_uid",
];

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [folder] = arguments else {
        bail!("name the folder of the schema: cargo xtask ocsf FOLDER");
    };
    let folder = Path::new(folder);
    let version = read(&folder.join("version.json"))?;
    let categories = read(&folder.join("categories.json"))?;
    let mut classes = Vec::new();
    collect(&folder.join("events"), 0, &mut classes)?;
    for extension in std::fs::read_dir(folder.join("extensions"))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
    {
        let uid = read(&extension.join("extension.json"))?["uid"]
            .as_u64()
            .context("extension without uid")?;
        collect(&extension.join("events"), uid, &mut classes)?;
    }
    let mut by_uid = BTreeMap::from([(0, ("base_event".to_owned(), "Base Event".to_owned()))]);
    for class in &classes {
        let category = category(class, &classes)
            .and_then(|name| categories["attributes"][name]["uid"].as_u64());
        if let (Some(uid), Some(category)) = (class.uid, category) {
            let uid = class.extension * 100_000 + category * 1000 + uid;
            by_uid.insert(uid, (class.name.clone(), class.caption.clone()));
        }
    }
    let text = render(version["version"].as_str().unwrap_or_default(), &by_uid)?;
    std::fs::write(
        shell::root().join("crates/watchfloor-event/src/ocsf/classes.rs"),
        text,
    )?;
    write_requirements(&classes)?;
    println!("{} classes written", by_uid.len());
    Ok(())
}

fn render(version: &str, classes: &BTreeMap<u64, (String, String)>) -> Result<String> {
    let mut text = String::from(
        "//! OCSF classes and their names. Written by `cargo xtask ocsf` from the pinned schema;\n\
         //! not to be edited by hand.\n\n/// The pinned version of the schema.\n",
    );
    writeln!(text, "pub const VERSION: &str = \"{version}\";\n")?;
    text.push_str("/// Class number, name and caption, by number.\npub(super) const CLASSES: &[(u32, &str, &str)] = &[\n");
    for (uid, (name, caption)) in classes {
        writeln!(text, "    ({uid}, \"{name}\", \"{caption}\"),")?;
    }
    text.push_str("];\n");
    Ok(text)
}

/// What events of a class must have, beside what every event has.
fn write_requirements(classes: &[Class]) -> Result<()> {
    let mut rows = BTreeMap::new();
    for class in classes {
        let line = ancestry(class, classes);
        let category = line.iter().find_map(|one| one.category.as_deref());
        let (Some(uid), Some(_)) = (class.uid, category) else {
            continue;
        };
        let mut required: BTreeMap<&str, bool> = BTreeMap::new();
        let mut one_of: &[String] = &[];
        // From the farthest ancestor to the class itself, which has the last word.
        for one in line.iter().rev() {
            for (name, is_required) in &one.requirements {
                required.insert(name, *is_required);
            }
            if !one.at_least_one.is_empty() {
                one_of = &one.at_least_one;
            }
        }
        let names: Vec<String> = required
            .into_iter()
            .filter(|(name, is_required)| *is_required && !OF_EVERY_EVENT.contains(name))
            .map(|(name, _)| format!("\"{name}\""))
            .collect();
        let one_of: Vec<String> = one_of.iter().map(|name| format!("\"{name}\"")).collect();
        if !names.is_empty() || !one_of.is_empty() {
            rows.insert(
                (class.name.clone(), uid),
                (names.join(", "), one_of.join(", ")),
            );
        }
    }
    let mut text = String::from(
        "//! What events of OCSF classes must have. Written by `cargo xtask ocsf` from the pinned schema;\n\
         //! not to be edited by hand.\n\n\
         /// Class name, attributes that it requires beside those of every event, and attributes of which\n\
         /// one has to be there; by name.\n\
         #[rustfmt::skip]\n\
         pub(super) const REQUIREMENTS: &[(&str, &[&str], &[&str])] = &[\n",
    );
    for ((name, _), (required, one_of)) in rows {
        writeln!(text, "    (\"{name}\", &[{required}], &[{one_of}]),")?;
    }
    text.push_str("];\n");
    let path = "crates/watchfloor-event/src/ocsf/requirements.rs";
    std::fs::write(shell::root().join(path), text)?;
    Ok(())
}

/// A class and what it extends, nearest first.
fn ancestry<'a>(class: &'a Class, classes: &'a [Class]) -> Vec<&'a Class> {
    let mut line = vec![class];
    while let Some(last) = line.last()
        && let Some(parent) = &last.extends
        && line.len() <= classes.len()
        && let Some(found) = classes.iter().find(|other| other.name == *parent)
        && found.name != last.name
    {
        line.push(found);
    }
    line
}

fn category<'a>(class: &'a Class, classes: &'a [Class]) -> Option<&'a str> {
    let mut class = class;
    // A schema whose classes extend each other in a ring is no schema; the bound ends it.
    for _ in 0..classes.len() {
        if let Some(category) = &class.category {
            return Some(category);
        }
        let parent = class.extends.as_ref()?;
        class = classes.iter().find(|other| other.name == *parent)?;
    }
    None
}

fn collect(folder: &Path, extension: u64, classes: &mut Vec<Class>) -> Result<()> {
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => return Ok(()),
    };
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, extension, classes)?;
            continue;
        }
        let value = read(&path)?;
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let attributes = value["attributes"].as_object().into_iter().flatten();
        let requirements = attributes.filter_map(|(name, attribute)| {
            // What a profile brings is required only where the profile is in use.
            let is_plain = attribute.get("profile").is_none_or(Value::is_null);
            let requirement = attribute["requirement"].as_str()?;
            is_plain.then(|| (name.clone(), requirement == "required"))
        });
        let requirements = requirements.collect();
        let one_of = value["constraints"]["at_least_one"].as_array();
        let one_of = one_of.into_iter().flatten();
        let one_of = one_of.filter_map(|name| name.as_str().map(str::to_owned));
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        classes.push(Class {
            name: text("name").unwrap_or(stem),
            caption: text("caption").unwrap_or_default(),
            category: text("category"),
            extends: text("extends"),
            uid: value["uid"].as_u64(),
            extension,
            requirements,
            at_least_one: one_of.collect(),
        });
    }
    Ok(())
}

fn read(path: &Path) -> Result<Value> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}
