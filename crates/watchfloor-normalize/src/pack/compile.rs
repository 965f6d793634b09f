//! From the written form of a pack to the form that runs; every name is checked here.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use watchfloor_event::ocsf::{self, AttributeType};
use watchfloor_event::{EventKind, Logsource};

use super::text::{
    ChoiceText, KindText, NamedTest, Ordered, PackText, Scalar, TargetOrPath, TargetText,
    TargetsText, TestText,
};
use super::usual::Besides;
use super::{FieldMap, Join, Kind, PackError, PackInfo, extraction};
use crate::choice::{Choice, Lookup};
use crate::convert::Convert;
use crate::expression;
use crate::lazy_regex::LazyRegex;
use crate::native;
use crate::route::{Clause, Condition, Test};

/// Most kinds of one pack.
const KINDS_MAX: usize = 4096;

pub(super) struct Compiled {
    pub(super) info: PackInfo,
    pub(super) kinds: Vec<(Kind, Condition)>,
    pub(super) warnings: Vec<PackError>,
}

/// The pack under work, for messages that say where.
pub(super) struct Place<'a> {
    path: &'a str,
    text: &'a str,
    warnings: Vec<PackError>,
}

impl Place<'_> {
    /// An error at the first line that holds a word.
    pub(super) fn error(&self, near: &str, reason: String) -> PackError {
        let line = self.text.lines().position(|line| line.contains(near));
        PackError {
            path: self.path.to_owned(),
            line: line.map_or(0, |index| index as u64 + 1),
            reason,
        }
    }

    pub(super) fn regex(&self, pattern: &str) -> Result<LazyRegex, PackError> {
        LazyRegex::new(&expression::ascii(pattern)).map_err(|fault| {
            let shown = fault.to_string();
            let last = shown.lines().last().unwrap_or("not valid");
            self.error(pattern, format!("regular expression: {last}"))
        })
    }

    fn target(&mut self, path: &str) -> (Arc<str>, bool) {
        let attribute = ocsf::promoted(path);
        if attribute.is_none() {
            let warning = self.error(path, format!("'{path}' is no promoted attribute"));
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        let is_integer = attribute.is_some_and(|known| known.kind == AttributeType::Integer);
        let known = PROMOTED_NAMES.get(path);
        (
            known.cloned().unwrap_or_else(|| Arc::from(path)),
            is_integer,
        )
    }
}

/// Names of promoted attributes, one for all the maps that lead to them.
static PROMOTED_NAMES: LazyLock<HashMap<&str, Arc<str>>> = LazyLock::new(|| {
    let names = ocsf::PROMOTED
        .iter()
        .map(|one| (one.path, Arc::from(one.path)));
    names.collect()
});

pub(super) fn compile(
    path: &str,
    text: &str,
    pack: &PackText,
    first: usize,
) -> Result<Compiled, PackError> {
    let mut place = Place {
        path,
        text,
        warnings: Vec::new(),
    };
    if pack.product == native::PRODUCT {
        let reason = format!(
            "'{}' is what records that are OCSF already are called; call the pack otherwise",
            native::PRODUCT
        );
        return Err(place.error("product", reason));
    }
    if pack.kinds.len() > KINDS_MAX {
        return Err(place.error("kinds", format!("more than {KINDS_MAX} kinds")));
    }
    let recognize = pack
        .recognize
        .iter()
        .map(|tests| clauses(&place, tests))
        .collect::<Result<Vec<_>, _>>()?;
    // A pack that asks nothing for itself has one alternative, which always holds.
    let recognize: Arc<[Vec<Clause>]> = match recognize.is_empty() {
        true => Arc::from([Vec::new()]),
        false => Arc::from(recognize),
    };
    let mut sets = Sets::new();
    let mut kinds: Vec<(Kind, Condition)> = Vec::new();
    for (index, kind) in pack.kinds.iter().enumerate() {
        let condition = condition(&place, &recognize, kind)?;
        let mut compiled = self::kind(&mut place, pack, kind, &mut sets)?;
        if kinds
            .iter()
            .any(|(known, _)| known.event.name == compiled.event.name)
        {
            return Err(place.error(
                &format!("name: {}", kind.name),
                format!("two kinds are called '{}'", kind.name),
            ));
        }
        compiled.order = (pack.order, first + index);
        kinds.push((compiled, condition));
    }
    Ok(Compiled {
        info: PackInfo {
            product: pack.product.clone(),
            title: pack.title.clone(),
            versions: pack.versions.clone(),
            documentation: pack.documentation.clone(),
            kinds: kinds
                .iter()
                .map(|(kind, _)| Arc::clone(&kind.event))
                .collect(),
        },
        kinds,
        warnings: place.warnings,
    })
}

/// Recognition of the pack and condition of the kind.
fn condition(
    place: &Place<'_>,
    recognize: &Arc<[Vec<Clause>]>,
    kind: &KindText,
) -> Result<Condition, PackError> {
    let when = kind
        .when
        .as_slice()
        .iter()
        .map(|tests| clauses(place, tests))
        .collect::<Result<Vec<_>, _>>()?;
    if recognize.iter().all(Vec::is_empty) && when.iter().all(Vec::is_empty) {
        let reason = "a kind without 'when' in a pack without 'recognize' would take every event";
        return Err(place.error(&format!("name: {}", kind.name), reason.to_owned()));
    }
    Ok(Condition {
        recognize: Arc::clone(recognize),
        when: match when.is_empty() {
            true => vec![Vec::new()],
            false => when,
        },
        is_final: kind.matching.as_slice().is_empty(),
    })
}

fn clauses(place: &Place<'_>, tests: &Ordered<TestText>) -> Result<Vec<Clause>, PackError> {
    let mut found = Vec::new();
    for (field, test) in &tests.0 {
        let mut add = |test, negated| {
            found.push(Clause {
                field: Arc::from(field.as_str()),
                test,
                negated,
            });
        };
        match test {
            TestText::One(value) => add(Test::In(vec![folded(value)]), false),
            TestText::Many(values) => add(Test::In(values.iter().map(folded).collect()), false),
            TestText::Named(named) => named_test(place, field, named, &mut add)?,
        }
    }
    Ok(found)
}

fn named_test(
    place: &Place<'_>,
    field: &str,
    named: &NamedTest,
    add: &mut dyn FnMut(Test, bool),
) -> Result<(), PackError> {
    let all = |values: &super::text::OneOrMany<Scalar>| -> Vec<String> {
        values.as_slice().iter().map(folded).collect()
    };
    let mut count = 0;
    if let Some(exists) = named.exists {
        add(Test::Exists, !exists);
        count += 1;
    }
    if let Some(values) = &named.prefix {
        add(Test::Prefix(all(values)), false);
        count += 1;
    }
    if let Some(values) = &named.suffix {
        add(Test::Suffix(all(values)), false);
        count += 1;
    }
    if let Some(values) = &named.contains {
        add(Test::Contains(all(values)), false);
        count += 1;
    }
    if let Some(pattern) = &named.regex {
        add(Test::Regex(place.regex(pattern)?), false);
        count += 1;
    }
    if let Some(values) = &named.not {
        add(Test::In(all(values)), true);
        count += 1;
    }
    if count == 0 {
        return Err(place.error(field, format!("the condition on '{field}' is empty")));
    }
    Ok(())
}

fn folded(value: &Scalar) -> String {
    value.0.to_ascii_lowercase()
}

/// The sets of a pack that were compiled, by name.
type Sets = HashMap<String, Arc<[FieldMap]>>;

fn kind(
    place: &mut Place<'_>,
    pack: &PackText,
    kind: &KindText,
    sets: &mut Sets,
) -> Result<Kind, PackError> {
    let class_uid = ocsf::class_uid(&kind.class)
        .ok_or_else(|| place.error(&kind.class, format!("no OCSF class '{}'", kind.class)))?;
    let logsources = kind
        .logsources
        .iter()
        .map(|text| logsource(place, text))
        .collect::<Result<Vec<_>, _>>()?;
    let mut maps = vec![compile_maps(place, &kind.fields)?];
    for name in &kind.include {
        maps.push(included(place, pack, name, sets)?);
    }
    let besides = Besides::of(&maps);
    let matching = extraction::matching(place, &kind.matching)?;
    let joins = kind
        .join
        .iter()
        .map(|join| Join {
            sources: join
                .from
                .iter()
                .map(|name| Arc::from(name.as_str()))
                .collect(),
            with: join.with.clone(),
            target: place.target(&join.to).0,
        })
        .collect();
    let constants = kind
        .set
        .0
        .iter()
        .map(|(path, value)| (place.target(path).0, value.0.clone()))
        .collect();
    Ok(Kind {
        event: Arc::new(EventKind {
            name: Arc::from(format!("{}/{}", pack.product, kind.name)),
            product: Arc::from(kind.product.as_deref().unwrap_or(&pack.title)),
            class_uid,
            logsources,
        }),
        pack: 0,
        matching,
        extractions: extraction::extractions(place, kind)?,
        maps,
        besides,
        joins,
        constants,
        activity: choice(&kind.activity),
        severity: choice(&kind.severity),
        status: choice(kind.status.as_ref().unwrap_or(&pack.status)),
        prefers_time: kind.prefer_time,
        times: extraction::times(place, &kind.time)?,
        order: (0, 0),
    })
}

/// Reads `product/category/service`, in which `-` or nothing stands for a part not offered.
fn logsource(place: &Place<'_>, text: &str) -> Result<Logsource, PackError> {
    let mut parts = text.split('/').map(|part| {
        let part = part.trim();
        (!part.is_empty() && part != "-").then(|| part.to_owned())
    });
    let found = Logsource {
        product: parts.next().flatten(),
        category: parts.next().flatten(),
        service: parts.next().flatten(),
    };
    if parts.next().is_some() || found == Logsource::default() {
        let reason = format!("log source '{text}' is not 'product/category/service'");
        return Err(place.error(text, reason));
    }
    Ok(found)
}

fn choice(text: &ChoiceText) -> Choice {
    match text {
        ChoiceText::Fixed(number) => Choice::Fixed(*number),
        ChoiceText::Mapped {
            field,
            map,
            default,
        } => Choice::Mapped {
            fields: field
                .as_slice()
                .iter()
                .map(|name| Arc::from(name.as_str()))
                .collect(),
            map: Lookup::new(map.0.iter().map(|(value, number)| (value.clone(), *number))),
            default: *default,
        },
    }
}

/// The maps of a set that a kind includes; kinds share them.
fn included(
    place: &mut Place<'_>,
    pack: &PackText,
    name: &str,
    sets: &mut Sets,
) -> Result<Arc<[FieldMap]>, PackError> {
    if let Some(known) = sets.get(name) {
        return Ok(Arc::clone(known));
    }
    let written = pack.sets.0.iter().find(|(known, _)| known == name);
    let maps = match written {
        _ if name == "ecs" => Arc::clone(&ECS_MAPS),
        Some((_, fields)) => compile_maps(place, fields)?,
        None => return Err(place.error(name, format!("no set '{name}' in this pack"))),
    };
    sets.insert(name.to_owned(), Arc::clone(&maps));
    Ok(maps)
}

fn compile_maps(
    place: &mut Place<'_>,
    fields: &Ordered<TargetsText>,
) -> Result<Arc<[FieldMap]>, PackError> {
    let mut maps = Vec::new();
    add_maps(place, fields, &mut maps)?;
    Ok(Arc::from(maps))
}

fn add_maps(
    place: &mut Place<'_>,
    fields: &Ordered<TargetsText>,
    maps: &mut Vec<FieldMap>,
) -> Result<(), PackError> {
    for (source, targets) in &fields.0 {
        match targets {
            TargetsText::Path(path) => add_map(place, source, path, Convert::Copy, maps),
            TargetsText::One(target) => add_target(place, source, target, maps)?,
            TargetsText::Many(targets) => {
                for target in targets {
                    match target {
                        TargetOrPath::Path(path) => {
                            add_map(place, source, path, Convert::Copy, maps);
                        }
                        TargetOrPath::One(target) => add_target(place, source, target, maps)?,
                    }
                }
            }
        }
    }
    Ok(())
}

fn add_target(
    place: &mut Place<'_>,
    source: &str,
    target: &TargetText,
    maps: &mut Vec<FieldMap>,
) -> Result<(), PackError> {
    let mut steps = Vec::new();
    for name in target.convert.as_slice() {
        steps.push(Convert::parse(name).ok_or_else(|| {
            place.error(
                name,
                format!("no converter '{name}'; known: {}", Convert::NAMES),
            )
        })?);
    }
    if let Some(map) = &target.map {
        let entries = map
            .0
            .iter()
            .map(|(from, Scalar(to))| (from.clone(), to.clone()));
        steps.push(Convert::Map {
            map: Lookup::new(entries),
            default: target.default.as_ref().map(|value| value.0.clone()),
        });
    }
    let convert = match steps.len() {
        0 => Convert::Copy,
        1 => steps.remove(0),
        _ => Convert::Chain(steps),
    };
    add_map(place, source, &target.to, convert, maps);
    Ok(())
}

fn add_map(
    place: &mut Place<'_>,
    source: &str,
    path: &str,
    convert: Convert,
    maps: &mut Vec<FieldMap>,
) {
    let (target, is_integer) = place.target(path);
    maps.push(FieldMap {
        source: Arc::from(source),
        is_alias: is_alias(source, path),
        is_gathered: path.ends_with(".hashes"),
        target,
        is_integer,
        convert,
    });
}

/// Every name that the Elastic Common Schema has for a promoted attribute.
static ECS_MAPS: LazyLock<Arc<[FieldMap]>> = LazyLock::new(|| {
    let names = |attribute: &'static ocsf::Attribute| {
        attribute.ecs.iter().map(move |name| FieldMap {
            source: Arc::from(*name),
            target: Arc::from(attribute.path),
            is_integer: attribute.kind == AttributeType::Integer,
            is_alias: true,
            is_gathered: attribute.path.ends_with(".hashes"),
            convert: Convert::Copy,
        })
    };
    ocsf::PROMOTED.iter().flat_map(names).collect()
});

pub(super) fn is_alias(source: &str, path: &str) -> bool {
    source == path
        || ocsf::promoted(path)
            .is_some_and(|known| known.sigma.contains(&source) || known.ecs.contains(&source))
}
