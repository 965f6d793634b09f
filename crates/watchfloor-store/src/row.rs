//! Between columns and domain types.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use watchfloor_model::{Entity, EntityKind, MatchedField, Risk, RiskKind, RiskPart};

use crate::StoreError;

/// Longest value quoted in an error, in characters.
const QUOTE_CHARS: usize = 80;

pub(crate) fn corrupt(column: &'static str, value: impl ToString) -> StoreError {
    StoreError::Corrupt {
        column,
        value: value.to_string().chars().take(QUOTE_CHARS).collect(),
    }
}

pub(crate) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

pub(crate) fn time(column: &'static str, value: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(value).map_err(|_| corrupt(column, value))
}

pub(crate) fn time_opt(
    column: &'static str,
    value: Option<i64>,
) -> Result<Option<Timestamp>, StoreError> {
    value.map(|value| time(column, value)).transpose()
}

pub(crate) fn unsigned(column: &'static str, value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| corrupt(column, value))
}

/// A counter for a column; saturates at the column's largest value.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Reads a word of a closed list.
pub(crate) fn word<T>(
    column: &'static str,
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, StoreError> {
    parse(text).ok_or_else(|| corrupt(column, text))
}

/// Reads an id that this program wrote.
pub(crate) fn id<T: std::str::FromStr>(column: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| corrupt(column, text))
}

#[derive(Serialize, Deserialize)]
struct EntityRow {
    kind: String,
    value: String,
    role: String,
}

#[derive(Serialize, Deserialize)]
struct MatchedFieldRow {
    selection: String,
    field: String,
    value: String,
    pattern: String,
}

/// Writes a list as JSON; strings and maps of strings cannot fail to be written.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "[]".to_owned())
}

pub(crate) fn from_json<T: for<'a> Deserialize<'a>>(
    column: &'static str,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| corrupt(column, text))
}

pub(crate) fn entities_to_json(entities: &[Entity]) -> String {
    let rows: Vec<EntityRow> = entities
        .iter()
        .map(|entity| EntityRow {
            kind: entity.kind.as_str().to_owned(),
            value: entity.value.clone(),
            role: entity.role.clone(),
        })
        .collect();
    to_json(&rows)
}

pub(crate) fn entities_from_json(
    column: &'static str,
    text: &str,
) -> Result<Vec<Entity>, StoreError> {
    from_json::<Vec<EntityRow>>(column, text)?
        .into_iter()
        .map(|row| {
            Ok(Entity {
                kind: word(column, &row.kind, EntityKind::parse)?,
                value: row.value,
                role: row.role,
            })
        })
        .collect()
}

#[derive(Serialize, Deserialize)]
struct RiskPartRow {
    kind: String,
    points: u8,
    max: u8,
    reason: String,
}

pub(crate) fn risk_to_json(risk: &Risk) -> String {
    let rows: Vec<RiskPartRow> = risk
        .parts
        .iter()
        .map(|part| RiskPartRow {
            kind: part.kind.as_str().to_owned(),
            points: part.points,
            max: part.max,
            reason: part.reason.clone(),
        })
        .collect();
    to_json(&rows)
}

pub(crate) fn risk_from_json(column: &'static str, text: &str) -> Result<Risk, StoreError> {
    let parts = from_json::<Vec<RiskPartRow>>(column, text)?
        .into_iter()
        .map(|row| {
            Ok(RiskPart {
                kind: word(column, &row.kind, RiskKind::parse)?,
                points: row.points,
                max: row.max,
                reason: row.reason,
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    Ok(Risk::of(parts))
}

pub(crate) fn matched_to_json(fields: &[MatchedField]) -> String {
    let rows: Vec<MatchedFieldRow> = fields
        .iter()
        .map(|field| MatchedFieldRow {
            selection: field.selection.clone(),
            field: field.field.clone(),
            value: field.value.clone(),
            pattern: field.pattern.clone(),
        })
        .collect();
    to_json(&rows)
}

pub(crate) fn matched_from_json(
    column: &'static str,
    text: &str,
) -> Result<Vec<MatchedField>, StoreError> {
    Ok(from_json::<Vec<MatchedFieldRow>>(column, text)?
        .into_iter()
        .map(|row| MatchedField {
            selection: row.selection,
            field: row.field,
            value: row.value,
            pattern: row.pattern,
        })
        .collect())
}
