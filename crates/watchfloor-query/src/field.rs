//! From names as people write them to what a stored event has.

use watchfloor_event::ocsf::{self, Attribute};

/// What every event has besides its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreField {
    /// Event id.
    Id,
    /// Name of the source.
    Source,
    /// Product.
    Product,
    /// OCSF class by name or number.
    Class,
    /// Kind of event as the mapping pack names it.
    Kind,
    /// OCSF severity number.
    Severity,
    /// OCSF status number.
    Status,
    /// OCSF activity number.
    Activity,
    /// Anomalies of decoding and mapping.
    Anomalies,
    /// The raw record.
    Raw,
}

impl CoreField {
    /// Every core field with its name and what it holds.
    pub const ALL: [(Self, &'static str, &'static str); 10] = [
        (Self::Id, "id", "event id"),
        (Self::Source, "source", "name of the source"),
        (Self::Product, "product", "product that wrote the record"),
        (Self::Class, "class", "OCSF class, by name or number"),
        (
            Self::Kind,
            "kind",
            "kind of event, as the mapping pack names it",
        ),
        (Self::Severity, "severity_id", "OCSF severity, 0 to 6"),
        (
            Self::Status,
            "status_id",
            "OCSF status: 1 success, 2 failure",
        ),
        (
            Self::Activity,
            "activity_id",
            "OCSF activity within the class",
        ),
        (
            Self::Anomalies,
            "anomalies",
            "what was odd about the record",
        ),
        (Self::Raw, "raw", "the record as it arrived"),
    ];

    fn by_name(name: &str) -> Option<Self> {
        let aliases = [
            ("class_uid", Self::Class),
            ("class_name", Self::Class),
            ("metadata.product.name", Self::Product),
            ("event.original", Self::Raw),
            ("raw_data", Self::Raw),
        ];
        let all = Self::ALL.iter().map(|(field, name, _)| (*name, *field));
        all.chain(aliases)
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, field)| field)
    }
}

/// Where a value may stand in a stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldTarget {
    /// What every event has.
    Core(CoreField),
    /// A promoted OCSF attribute.
    Attribute(&'static Attribute),
    /// A source field that no attribute took over, by its name without `unmapped.`.
    Unmapped(String),
}

/// Where the values of a named field may stand. An OCSF name means one place; an ECS or Sigma
/// name means the attribute it stands for, or the source's own field by that name; a name
/// that no schema knows is a source field.
pub fn field_targets(name: &str) -> Vec<FieldTarget> {
    if let Some(core) = CoreField::by_name(name) {
        return vec![FieldTarget::Core(core)];
    }
    if let Some(attribute) = ocsf::promoted(name) {
        return vec![FieldTarget::Attribute(attribute)];
    }
    if let Some(source) = name.strip_prefix("unmapped.") {
        return vec![FieldTarget::Unmapped(source.to_owned())];
    }
    let known = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let stands_for = |attribute: &&Attribute| known(attribute.sigma) || known(attribute.ecs);
    let mut targets: Vec<FieldTarget> = ocsf::PROMOTED
        .iter()
        .filter(stands_for)
        .map(FieldTarget::Attribute)
        .collect();
    targets.push(FieldTarget::Unmapped(name.to_owned()));
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_schema_lead_to_the_same_place() {
        let path = ocsf::promoted("process.cmd_line").unwrap();
        assert_eq!(
            field_targets("process.cmd_line"),
            [FieldTarget::Attribute(path)]
        );
        let own = |name: &str| FieldTarget::Unmapped(name.to_owned());
        assert_eq!(
            field_targets("CommandLine"),
            [FieldTarget::Attribute(path), own("CommandLine")]
        );
        assert_eq!(
            field_targets("process.command_line")[0],
            FieldTarget::Attribute(path)
        );
        assert_eq!(field_targets("unmapped.x.y"), [own("x.y")]);
        assert_eq!(
            field_targets("Source"),
            [FieldTarget::Core(CoreField::Source)]
        );
        assert_eq!(field_targets("x.y"), [own("x.y")]);
    }
}
