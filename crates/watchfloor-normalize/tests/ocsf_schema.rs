//! Every case of every pack as an OCSF object, held against the pinned schema: required
//! attributes, constraints, types, enums. Attributes beyond a class's own are allowed: the
//! schema lets events carry more, and they are where people look for them.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

mod packs;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use regex::Regex;
use serde_json::{Map, Value};
use watchfloor_event::ocsf;
use watchfloor_normalize::{Case, to_ocsf_json};

/// The schema as its files have it.
struct Schema {
    folders: Vec<PathBuf>,
    dictionary: Map<String, Value>,
    types: Map<String, Value>,
    objects: HashMap<String, Value>,
    classes: HashMap<String, Value>,
    patches: Vec<Value>,
    resolved: RefCell<HashMap<(bool, String), Rc<Shape>>>,
    expressions: RefCell<HashMap<String, Rc<Regex>>>,
}

/// An object or class with all that it inherits.
#[derive(Clone, Default)]
struct Shape {
    attributes: BTreeMap<String, Value>,
    at_least_one: Vec<String>,
    just_one: Vec<String>,
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("readable");
    serde_json::from_str(&text).expect("JSON")
}

fn json_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            json_files(&path, found);
        } else if path.extension().is_some_and(|one| one == "json") {
            found.push(path);
        }
    }
}

impl Schema {
    fn load(folder: &Path) -> Self {
        let dictionary = read(&folder.join("dictionary.json"));
        let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let mut schema = Self {
            folders: vec![folder.to_owned()],
            dictionary: object(&dictionary["attributes"]),
            types: object(&dictionary["types"]["attributes"]),
            objects: HashMap::new(),
            classes: HashMap::new(),
            patches: Vec::new(),
            resolved: RefCell::default(),
            expressions: RefCell::default(),
        };
        let extensions = std::fs::read_dir(folder.join("extensions"));
        for extension in extensions.into_iter().flatten().flatten() {
            let more = extension.path().join("dictionary.json");
            if more.is_file() {
                let more = read(&more);
                schema.dictionary.extend(object(&more["attributes"]));
                schema.types.extend(object(&more["types"]["attributes"]));
            }
            schema.folders.push(extension.path());
        }
        for folder in schema.folders.clone() {
            for (below, is_class) in [("objects", false), ("events", true)] {
                let mut files = Vec::new();
                json_files(&folder.join(below), &mut files);
                for path in files {
                    let value = read(&path);
                    match (value["name"].as_str().map(str::to_owned), is_class) {
                        (None, _) => schema.patches.push(value),
                        (Some(name), true) => drop(schema.classes.insert(name, value)),
                        (Some(name), false) => drop(schema.objects.insert(name, value)),
                    }
                }
            }
        }
        schema
    }

    /// Attributes of a file, what a profile brings made optional.
    fn attributes(&self, value: &Value) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        for (name, attribute) in value["attributes"].as_object().into_iter().flatten() {
            if name != "$include" {
                found.push((name.clone(), attribute.clone()));
                continue;
            }
            let paths: Vec<&str> = match attribute {
                Value::String(path) => vec![path],
                Value::Array(paths) => paths.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            };
            for path in paths {
                let files = self.folders.iter().map(|folder| folder.join(path));
                for file in files.filter(|file| file.is_file()) {
                    for (name, mut attribute) in self.attributes(&read(&file)) {
                        attribute["requirement"] = "optional".into();
                        found.push((name, attribute));
                    }
                }
            }
        }
        found
    }

    fn shape(&self, is_class: bool, name: &str) -> Rc<Shape> {
        let key = (is_class, name.to_owned());
        if let Some(known) = self.resolved.borrow().get(&key) {
            return Rc::clone(known);
        }
        let table = if is_class {
            &self.classes
        } else {
            &self.objects
        };
        let mut shape = Shape::default();
        if let Some(value) = table.get(name) {
            if let Some(parent) = value["extends"].as_str().filter(|parent| *parent != name) {
                shape = (*self.shape(is_class, parent)).clone();
            }
            for (name, attribute) in self.attributes(value) {
                merge(&mut shape.attributes, name, attribute);
            }
            let list = |constraint: &str| -> Option<Vec<String>> {
                let names = value["constraints"][constraint].as_array()?;
                Some(
                    names
                        .iter()
                        .filter_map(|name| name.as_str().map(str::to_owned))
                        .collect(),
                )
            };
            shape.at_least_one = list("at_least_one").unwrap_or(shape.at_least_one);
            shape.just_one = list("just_one").unwrap_or(shape.just_one);
            for patch in self.patches.iter().filter(|patch| patch["extends"] == name) {
                for (name, attribute) in self.attributes(patch) {
                    shape.attributes.entry(name).or_insert(attribute);
                }
            }
        }
        let shape = Rc::new(shape);
        self.resolved.borrow_mut().insert(key, Rc::clone(&shape));
        shape
    }

    fn check(
        &self,
        object: &Map<String, Value>,
        shape: &Shape,
        path: &str,
        faults: &mut Vec<String>,
    ) {
        for (name, attribute) in &shape.attributes {
            let is_required =
                attribute["requirement"] == "required" && attribute["profile"].is_null();
            if is_required && !object.contains_key(name) {
                faults.push(format!("{path}.{name} is required"));
            }
        }
        let count = |names: &[String]| {
            names
                .iter()
                .filter(|name| object.contains_key(*name))
                .count()
        };
        if !shape.at_least_one.is_empty() && count(&shape.at_least_one) == 0 {
            faults.push(format!(
                "{path} has none of {}",
                shape.at_least_one.join(", ")
            ));
        }
        if !shape.just_one.is_empty() && count(&shape.just_one) != 1 {
            faults.push(format!(
                "{path} has not just one of {}",
                shape.just_one.join(", ")
            ));
        }
        for (name, value) in object {
            if let Some(attribute) = shape.attributes.get(name) {
                self.check_value(name, value, attribute, &format!("{path}.{name}"), faults);
            }
        }
    }

    fn check_value(
        &self,
        name: &str,
        value: &Value,
        attribute: &Value,
        path: &str,
        faults: &mut Vec<String>,
    ) {
        let general = self.dictionary.get(name).cloned().unwrap_or_default();
        let of = |key: &str| {
            let own = attribute[key].as_str().or_else(|| general[key].as_str());
            own.unwrap_or_default().to_owned()
        };
        let is_array = attribute["is_array"]
            .as_bool()
            .or_else(|| general["is_array"].as_bool());
        let values: Vec<&Value> = match (is_array.unwrap_or(false), value) {
            (true, Value::Array(list)) => list.iter().collect(),
            (true, _) => return faults.push(format!("{path} must be a list")),
            (false, Value::Array(_)) => return faults.push(format!("{path} must be no list")),
            (false, one) => vec![one],
        };
        let kind = of("type");
        let mut object_type = of("object_type");
        if object_type.is_empty() && self.objects.contains_key(&kind) {
            object_type.clone_from(&kind);
        }
        for value in values {
            if kind == "object_t" || !object_type.is_empty() {
                match value.as_object() {
                    _ if object_type == "object" => {}
                    Some(object) => {
                        self.check(object, &self.shape(false, &object_type), path, faults);
                    }
                    None => faults.push(format!("{path} must be an object of type {object_type}")),
                }
                continue;
            }
            self.check_scalar(value, &kind, path, faults);
            let has = |place: &Value| {
                place["enum"]
                    .get(value.to_string().trim_matches('"'))
                    .is_some()
            };
            let is_enum = attribute["enum"].is_object() || general["enum"].is_object();
            if name.ends_with("_id") && is_enum && !has(attribute) && !has(&general) {
                faults.push(format!("{path}: {value} is no value of the enum"));
            }
        }
    }

    fn check_scalar(&self, value: &Value, kind: &str, path: &str, faults: &mut Vec<String>) {
        let mut base = kind;
        while let Some(below) = self.types.get(base).and_then(|one| one["type"].as_str()) {
            base = below;
        }
        let fits = match base {
            "string_t" => value.is_string(),
            "integer_t" | "long_t" => value.is_i64() || value.is_u64(),
            "boolean_t" => value.is_boolean(),
            "float_t" => value.is_number(),
            _ => true,
        };
        if !fits {
            return faults.push(format!("{path}: {value} is no {base}"));
        }
        let expression = self.types.get(kind).and_then(|one| one["regex"].as_str());
        let (Some(expression), Some(text)) = (expression, value.as_str()) else {
            return;
        };
        let mut known = self.expressions.borrow_mut();
        let regex = known.entry(kind.to_owned()).or_insert_with(|| {
            Rc::new(Regex::new(expression).unwrap_or_else(|_| Regex::new("").expect("empty")))
        });
        if !regex.is_match(text) {
            faults.push(format!("{path}: '{text}' is no {kind}"));
        }
    }
}

fn merge(attributes: &mut BTreeMap<String, Value>, name: String, attribute: Value) {
    let Some(known) = attributes.get_mut(&name) else {
        attributes.insert(name, attribute);
        return;
    };
    for (key, value) in attribute.as_object().into_iter().flatten() {
        match (known[key].as_object_mut(), value.as_object()) {
            (Some(before), Some(more)) if key == "enum" => before.extend(more.clone()),
            _ => known[key] = value.clone(),
        }
    }
}

#[test]
fn every_case_validates_against_the_schema() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/ocsf-schema");
    if !folder.is_dir() {
        println!("skipped: {} is absent", folder.display());
        return;
    }
    let schema = Schema::load(&folder);
    let names: HashMap<u32, String> = schema
        .classes
        .keys()
        .filter_map(|name| Some((ocsf::class_uid(name)?, name.clone())))
        .collect();
    let set = packs::load();
    let (mut checked, mut all): (u64, BTreeMap<String, String>) = Default::default();
    for pack in std::fs::read_dir(packs::folder())
        .expect("a folder")
        .flatten()
    {
        let cases = std::fs::read_dir(pack.path().join("cases"));
        for file in cases.into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(file.path()).expect("readable");
            for (number, line) in text
                .lines()
                .enumerate()
                .filter(|(_, line)| !line.is_empty())
            {
                let batch = Case::parse(line).expect("a case").batch(&set);
                for row in 0..batch.len() {
                    let event = to_ocsf_json(&batch, row);
                    let class_uid = event["class_uid"].as_u64().expect("a class") as u32;
                    let name = names.get(&class_uid).expect("a class of the schema");
                    let mut faults = Vec::new();
                    let object = event.as_object().expect("an object");
                    schema.check(object, &schema.shape(true, name), name, &mut faults);
                    checked += 1;
                    let place = format!("{}:{}", file.path().display(), number + 1);
                    for fault in faults {
                        all.entry(fault).or_insert_with(|| place.clone());
                    }
                }
            }
        }
    }
    println!("{checked} events checked");
    let lines: Vec<String> = all
        .iter()
        .map(|(fault, place)| format!("{fault} ({place})"))
        .collect();
    assert!(
        lines.is_empty(),
        "{} kinds of fault:\n{}",
        lines.len(),
        lines.join("\n")
    );
    assert!(checked > 1000);
}
