//! From field names as rules write them to columns of a batch.

use watchfloor_event::ocsf::PROMOTED;
use watchfloor_event::{Column, EventBatch, Namespace};

/// The columns that a field may stand in, in the order in which they are asked: the source's
/// own field by that name, then the OCSF attribute that the name stands for.
pub(crate) fn candidates<'a>(batch: &'a EventBatch, field: &str) -> Vec<&'a Column> {
    let plain = field.strip_prefix("unmapped.").unwrap_or(field);
    let mut columns: Vec<&Column> = batch.column(Namespace::Source, plain).into_iter().collect();
    columns.extend(batch.column(Namespace::Ocsf, field));
    for attribute in PROMOTED {
        if attribute.path != field
            && (attribute.sigma.contains(&field) || attribute.ecs.contains(&field))
        {
            columns.extend(batch.column(Namespace::Ocsf, attribute.path));
        }
    }
    columns
}

/// The name under which a stored event holds the field's value: the OCSF attribute that has
/// taken it over, or `unmapped.<field>`.
pub(crate) fn stored_name(batch: &EventBatch, field: &str, row: usize) -> String {
    for column in candidates(batch, field) {
        let Some(value) = column.get(row) else {
            continue;
        };
        let is_source = batch
            .column(Namespace::Source, column.name())
            .is_some_and(|source| std::ptr::eq(source, column));
        if !is_source {
            return column.name().to_string();
        }
        if !column.is_moved(row) {
            return format!("unmapped.{}", column.name());
        }
        let taken_over = batch
            .columns(Namespace::Ocsf)
            .iter()
            .find(|other| other.get(row).is_some_and(|other| other.text == value.text));
        return taken_over.map_or_else(
            || format!("unmapped.{}", column.name()),
            |other| other.name().to_string(),
        );
    }
    format!("unmapped.{field}")
}
