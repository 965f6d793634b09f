//! From field names as rules write them to columns of a batch.

use watchfloor_event::ocsf::PROMOTED;
use watchfloor_event::{Column, EventBatch, Namespace};

/// Where a field may stand, worked out once per rule set: the source's own field by that name
/// first, then the OCSF attributes that the name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolution {
    source: String,
    attributes: Vec<String>,
}

impl Resolution {
    /// The places of a field name: Sigma's, ECS's or OCSF's.
    pub(crate) fn of(field: &str) -> Self {
        let aliased = PROMOTED.iter().filter(|attribute| {
            attribute.path != field
                && (attribute.sigma.contains(&field) || attribute.ecs.contains(&field))
        });
        let mut attributes = vec![field.to_owned()];
        attributes.extend(aliased.map(|attribute| attribute.path.to_owned()));
        Self {
            source: field.strip_prefix("unmapped.").unwrap_or(field).to_owned(),
            attributes,
        }
    }

    /// The columns of a batch that hold it, in the order in which they are asked.
    pub(crate) fn columns<'a>(&self, batch: &'a EventBatch) -> Vec<&'a Column> {
        let source = batch.column(Namespace::Source, &self.source);
        let attributes = self
            .attributes
            .iter()
            .filter_map(|path| batch.column(Namespace::Ocsf, path));
        source.into_iter().chain(attributes).collect()
    }
}

/// The columns that a field may stand in, in the order in which they are asked.
pub(crate) fn candidates<'a>(batch: &'a EventBatch, field: &str) -> Vec<&'a Column> {
    Resolution::of(field).columns(batch)
}

/// The name under which a stored event holds a value of this column: the OCSF attribute that
/// has taken it over, or `unmapped.<field>`.
pub(crate) fn stored_name(batch: &EventBatch, column: &Column, row: usize) -> String {
    let is_source = batch
        .column(Namespace::Source, column.name())
        .is_some_and(|source| std::ptr::eq(source, column));
    if !is_source {
        return column.name().to_string();
    }
    let unmapped = || format!("unmapped.{}", column.name());
    let Some(value) = column.get(row).filter(|_| column.is_moved(row)) else {
        return unmapped();
    };
    let taken_over = batch
        .columns(Namespace::Ocsf)
        .iter()
        .find(|other| other.get(row).is_some_and(|other| other.text == value.text));
    taken_over.map_or_else(unmapped, |other| other.name().to_string())
}
