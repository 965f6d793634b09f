//! The part of the Open Cybersecurity Schema Framework that the program speaks: class numbers
//! and names, and the promoted attributes.

mod attributes;
mod classes;
mod requirements;

pub use attributes::{Attribute, AttributeType, PROMOTED, promoted};
pub use classes::VERSION;

/// Class of events that no pack understands.
pub const BASE_EVENT: u32 = 0;
/// Class of findings.
pub const DETECTION_FINDING: u32 = 2004;

/// The caption of a class, such as `Process Activity`, or `Base Event` for unknown numbers.
pub fn class_name(class_uid: u32) -> &'static str {
    class(class_uid).map_or("Base Event", |(_, _, caption)| caption)
}

/// The number of a class by its schema name, such as `process_activity`.
pub fn class_uid(name: &str) -> Option<u32> {
    classes::CLASSES
        .iter()
        .find(|(_, known, _)| *known == name)
        .map(|(uid, _, _)| *uid)
}

/// Attributes that events of a class must have beside those of every event, and attributes of
/// which they must have one.
pub fn requirements(class_uid: u32) -> (&'static [&'static str], &'static [&'static str]) {
    let name = class(class_uid).map(|(_, name, _)| *name);
    let rows = requirements::REQUIREMENTS.iter();
    let found = name.and_then(|name| rows.clone().find(|(known, ..)| *known == name));
    found.map_or((&[], &[]), |(_, required, one_of)| (*required, *one_of))
}

/// The category of a class, which is its thousands digit.
pub fn category_uid(class_uid: u32) -> u32 {
    class_uid % 100_000 / 1000
}

/// The full names of the columns that a field may stand in, as rules and queries name it: the
/// source's own field (`unmapped.` before it) and the OCSF attributes that the name stands for.
///
/// ```
/// let names = watchfloor_event::ocsf::full_names("CommandLine");
/// assert!(names.iter().any(|name| name == "unmapped.CommandLine"));
/// assert!(names.iter().any(|name| name == "process.cmd_line"));
/// ```
pub fn full_names(field: &str) -> Vec<String> {
    let plain = field.strip_prefix("unmapped.").unwrap_or(field);
    let mut names = vec![format!("unmapped.{plain}"), field.to_owned()];
    let meant = PROMOTED.iter().filter(|attribute| {
        attribute.path != field
            && (attribute.sigma.contains(&field) || attribute.ecs.contains(&field))
    });
    names.extend(meant.map(|attribute| attribute.path.to_owned()));
    names.dedup();
    names
}

fn class(class_uid: u32) -> Option<&'static (u32, &'static str, &'static str)> {
    let index = classes::CLASSES
        .binary_search_by_key(&class_uid, |(uid, _, _)| *uid)
        .ok()?;
    classes::CLASSES.get(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_found_both_ways() {
        assert_eq!(class_uid("process_activity"), Some(1007));
        assert_eq!(class_name(1007), "Process Activity");
        assert_eq!(class_uid("registry_value_activity"), Some(201_002));
        assert_eq!(category_uid(201_002), 1);
        assert_eq!(category_uid(DETECTION_FINDING), 2);
        assert_eq!(class_name(77), "Base Event");
    }
}
