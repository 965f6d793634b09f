//! Functions that work row by row on texts, as functions of the engine.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DurationMicrosecondArray, Float64Array, Int64Array,
    ListBuilder, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::compute::cast as cast_array;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{
    ColumnarValue, Expr as DfExpr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit,
};
use watchfloor_event::{EventId, ocsf};

use super::output;
use super::texts::*;
use crate::schema;

pub(super) type Texts<'a> = &'a [Option<&'a str>];

/// What a function of texts gives.
#[derive(Clone, Copy)]
pub(super) enum Row {
    Text(fn(Texts<'_>) -> Option<String>),
    Bool(fn(Texts<'_>) -> Option<bool>),
    Long(fn(Texts<'_>) -> Option<i64>),
    Real(fn(Texts<'_>) -> Option<f64>),
    List(fn(Texts<'_>) -> Option<Vec<String>>),
    /// Microseconds since 1970.
    Time(fn(Texts<'_>) -> Option<i64>),
    /// Microseconds.
    Span(fn(Texts<'_>) -> Option<i64>),
}

/// A function by its name, with the least and the largest number of arguments.
pub(super) type Entry = (&'static str, usize, usize, Row);

/// Any number of arguments.
pub(super) const MANY: usize = 1_000;

/// Every function that works row by row.
pub(super) fn all() -> impl Iterator<Item = &'static Entry> {
    let tables = [
        TEXTS,
        super::lists::ROWS,
        super::networks::ROWS,
        super::times::ROWS,
        super::series_functions::ROWS,
        super::hashes::ROWS,
    ];
    tables.into_iter().flatten()
}

pub(super) fn known(name: &str) -> Option<&'static Entry> {
    all().find(|(known, ..)| *known == name)
}

/// Functions of texts.
const TEXTS: &[Entry] = &[
    (
        "has",
        2,
        2,
        Row::Bool(|row| Some(has(row[0]?, row[1]?, false))),
    ),
    (
        "has_cs",
        2,
        2,
        Row::Bool(|row| Some(has(row[0]?, row[1]?, true))),
    ),
    (
        "hasprefix",
        2,
        2,
        Row::Bool(|row| Some(has_at(row[0]?, row[1]?, (true, false)))),
    ),
    (
        "hasprefix_cs",
        2,
        2,
        Row::Bool(|row| Some(holds_word(row[0]?, row[1]?, (true, false)))),
    ),
    (
        "hassuffix",
        2,
        2,
        Row::Bool(|row| Some(has_at(row[0]?, row[1]?, (false, true)))),
    ),
    (
        "hassuffix_cs",
        2,
        2,
        Row::Bool(|row| Some(holds_word(row[0]?, row[1]?, (false, true)))),
    ),
    (
        "contains",
        2,
        2,
        Row::Bool(|row| Some(folded(row[0]?).contains(&folded(row[1]?)))),
    ),
    (
        "contains_cs",
        2,
        2,
        Row::Bool(|row| Some(row[0]?.contains(row[1]?))),
    ),
    (
        "startswith",
        2,
        2,
        Row::Bool(|row| Some(folded(row[0]?).starts_with(&folded(row[1]?)))),
    ),
    (
        "startswith_cs",
        2,
        2,
        Row::Bool(|row| Some(row[0]?.starts_with(row[1]?))),
    ),
    (
        "endswith",
        2,
        2,
        Row::Bool(|row| Some(folded(row[0]?).ends_with(&folded(row[1]?)))),
    ),
    (
        "endswith_cs",
        2,
        2,
        Row::Bool(|row| Some(row[0]?.ends_with(row[1]?))),
    ),
    (
        "matches_regex",
        2,
        2,
        Row::Bool(|row| with_regex(row[1]?, |regex| regex.is_match(row[0].unwrap_or_default()))),
    ),
    (
        "extract",
        3,
        4,
        Row::Text(|row| {
            let group = row[1]?;
            with_regex(row[0]?, |regex| {
                let found = regex.captures(row[2]?)?;
                let part = match group.parse() {
                    Ok(number) => found.get(number),
                    Err(_) => found.name(group),
                };
                part.map(|part| part.as_str().to_owned())
            })?
        }),
    ),
    (
        "replace_regex",
        3,
        3,
        Row::Text(|row| {
            with_regex(row[1]?, |regex| {
                regex
                    .replace_all(
                        row[0].unwrap_or_default(),
                        row[2].unwrap_or_default().replace('\\', "$"),
                    )
                    .into_owned()
            })
        }),
    ),
    (
        "replace_string",
        3,
        3,
        Row::Text(|row| Some(row[0]?.replace(row[1]?, row[2]?))),
    ),
    (
        "trim",
        2,
        2,
        Row::Text(|row| {
            with_regex(&format!("^(?:{0})+|(?:{0})+$", row[0]?), |regex| {
                regex
                    .replace_all(row[1].unwrap_or_default(), "")
                    .into_owned()
            })
        }),
    ),
    (
        "trim_start",
        2,
        2,
        Row::Text(|row| {
            with_regex(&format!("^(?:{})+", row[0]?), |regex| {
                regex.replace(row[1].unwrap_or_default(), "").into_owned()
            })
        }),
    ),
    (
        "trim_end",
        2,
        2,
        Row::Text(|row| {
            with_regex(&format!("(?:{})+$", row[0]?), |regex| {
                regex.replace(row[1].unwrap_or_default(), "").into_owned()
            })
        }),
    ),
    (
        "strcat_delim",
        2,
        MANY,
        Row::Text(|row| {
            Some(
                row[1..]
                    .iter()
                    .map(|part| part.unwrap_or_default())
                    .collect::<Vec<_>>()
                    .join(row[0]?),
            )
        }),
    ),
    (
        "strrep",
        2,
        3,
        Row::Text(|row| Some(row[0]?.repeat(row[1]?.parse::<usize>().ok()?.min(1024)))),
    ),
    (
        "reverse",
        1,
        1,
        Row::Text(|row| Some(row[0]?.chars().rev().collect())),
    ),
    (
        "round",
        1,
        2,
        Row::Real(|row| {
            let digits = row.get(1).copied().flatten().unwrap_or("0").parse().ok()?;
            let power = 10_f64.powi(digits);
            Some((real(row[0])? * power).round() / power)
        }),
    ),
    ("ceil", 1, 1, Row::Real(|row| Some(real(row[0])?.ceil()))),
    ("sqrt", 1, 1, Row::Real(|row| finite(real(row[0])?.sqrt()))),
    ("exp", 1, 1, Row::Real(|row| finite(real(row[0])?.exp()))),
    ("log", 1, 1, Row::Real(|row| finite(real(row[0])?.ln()))),
    (
        "log10",
        1,
        1,
        Row::Real(|row| finite(real(row[0])?.log10())),
    ),
    ("log2", 1, 1, Row::Real(|row| finite(real(row[0])?.log2()))),
    (
        "pow",
        2,
        2,
        Row::Real(|row| finite(real(row[0])?.powf(real(row[1])?))),
    ),
    (
        "strlen",
        1,
        1,
        Row::Long(|row| Some(row[0]?.chars().count() as i64)),
    ),
    (
        "parse_json",
        1,
        1,
        Row::Text(|row| row[0].map(str::to_owned)),
    ),
    (
        "file_name",
        1,
        1,
        Row::Text(|row| Some(row[0]?.rsplit(['/', '\\']).next()?.to_owned())),
    ),
    (
        "event_id",
        2,
        2,
        Row::Text(|row| {
            Some(EventId::new(row[0]?.parse().ok()?, row[1]?.parse().ok()?).to_string())
        }),
    ),
    (
        "class_name",
        1,
        1,
        Row::Text(|row| Some(ocsf::class_name(row[0]?.parse().ok()?).to_owned())),
    ),
    (
        "format_span",
        1,
        1,
        Row::Text(|row| Some(output::span(row[0]?.parse().ok()?))),
    ),
    ("as_text", 1, 1, Row::Text(|row| row[0].map(str::to_owned))),
    (
        "extract_all",
        2,
        3,
        Row::Text(|row| {
            let text = row.last().copied().flatten().unwrap_or_default();
            with_regex(row[0]?, |regex| all_groups(regex, text))
        }),
    ),
    (
        "substring",
        2,
        3,
        Row::Text(|row| substring(row[0]?, row[1]?, row.get(2).copied().flatten())),
    ),
    ("indexof", 2, 5, Row::Long(index_of)),
    (
        "countof",
        2,
        3,
        Row::Long(|row| count_of(row[0]?, row[1]?, row.get(2).copied().flatten())),
    ),
    (
        "split",
        2,
        3,
        Row::List(|row| match (row[0]?, row[1]?) {
            (text, "") => Some(vec![text.to_owned()]),
            (text, by) => Some(text.split(by).map(str::to_owned).collect()),
        }),
    ),
    (
        "json_member",
        2,
        2,
        Row::Text(|row| json_of(row[0]?, row[1]?)),
    ),
    ("json_items", 1, 1, Row::List(|row| items(row[0]?))),
    ("json_rows", 1, 1, Row::List(|row| rows_of(row[0]?))),
    (
        "object_in",
        2,
        2,
        Row::Text(|row| object_in(row[0]?, row[1]?)),
    ),
    ("hash_of", 2, 2, Row::Text(|row| hash_of(row[0]?, row[1]?))),
    (
        "has_any",
        2,
        MANY,
        Row::Bool(|row| {
            Some(
                words(row)
                    .iter()
                    .any(|word| has(row[0].unwrap_or_default(), word, false)),
            )
        }),
    ),
    (
        "has_all",
        2,
        MANY,
        Row::Bool(|row| {
            Some(
                words(row)
                    .iter()
                    .all(|word| has(row[0].unwrap_or_default(), word, false)),
            )
        }),
    ),
    (
        "has_any_index",
        2,
        MANY,
        Row::Long(|row| {
            let found = words(row)
                .iter()
                .position(|word| has(row[0].unwrap_or_default(), word, false));
            Some(found.map_or(-1, |index| index as i64))
        }),
    ),
    (
        "list_has",
        2,
        2,
        Row::Bool(|row| {
            Some(
                items(row[0]?)?
                    .iter()
                    .any(|item| Some(item.as_str()) == row[1]),
            )
        }),
    ),
    (
        "list_has_folded",
        2,
        2,
        Row::Bool(|row| {
            let value = folded(row[1]?);
            Some(items(row[0]?)?.iter().any(|item| folded(item) == value))
        }),
    ),
    (
        "replace_strings",
        3,
        3,
        Row::Text(|row| {
            let (from, to) = (items(row[1]?)?, items(row[2]?)?);
            let pairs = from.iter().zip(&to);
            Some(pairs.fold(row[0]?.to_owned(), |text, (from, to)| {
                text.replace(from, to)
            }))
        }),
    ),
    (
        "translate",
        3,
        3,
        Row::Text(|row| Some(translated(row[0]?, row[1]?, row[2]?))),
    ),
    (
        "strcmp",
        2,
        2,
        Row::Long(|row| Some(row[0]?.cmp(row[1]?) as i64)),
    ),
    (
        "tohex",
        1,
        2,
        Row::Text(|row| {
            let width = row
                .get(1)
                .copied()
                .flatten()
                .and_then(|width| width.parse().ok());
            let number: i64 = row[0]?.parse().ok()?;
            Some(format!(
                "{number:0width$x}",
                width = width.unwrap_or(0_usize).min(64)
            ))
        }),
    ),
    (
        "from_hex",
        1,
        1,
        Row::Long(|row| i64::from_str_radix(row[0]?.strip_prefix("0x")?, 16).ok()),
    ),
    ("toguid", 1, 1, Row::Text(|row| guid(row[0]?))),
    (
        "url_encode",
        1,
        1,
        Row::Text(|row| Some(url_encoded(row[0]?))),
    ),
    (
        "url_encode_component",
        1,
        1,
        Row::Text(|row| Some(url_encoded(row[0]?))),
    ),
    (
        "url_decode",
        1,
        1,
        Row::Text(|row| Some(url_decoded(row[0]?))),
    ),
    (
        "parse_path",
        1,
        1,
        Row::Text(|row| Some(path_parts(row[0]?))),
    ),
    ("parse_url", 1, 1, Row::Text(|row| url_parts(row[0]?))),
    (
        "parse_urlquery",
        1,
        1,
        Row::Text(|row| Some(query_parts(row[0]?))),
    ),
    ("parse_csv", 1, 1, Row::Text(|row| Some(csv_parts(row[0]?)))),
    (
        "parse_command_line",
        1,
        2,
        Row::Text(|row| Some(command_parts(row[0]?))),
    ),
    ("parse_xml", 1, 1, Row::Text(|row| xml_document(row[0]?))),
    (
        "parse_version",
        1,
        1,
        Row::Real(|row| version_number(row[0]?)),
    ),
    ("parse_kv_value", 5, 5, Row::Text(kv_value)),
    (
        "string_size",
        1,
        1,
        Row::Long(|row| Some(row[0]?.len() as i64)),
    ),
    (
        "sign",
        1,
        1,
        Row::Long(|row| {
            let number = real(row[0])?;
            Some(if number > 0.0 {
                1
            } else if number < 0.0 {
                -1
            } else {
                0
            })
        }),
    ),
    (
        "isfinite",
        1,
        1,
        Row::Bool(|row| Some(real(row[0])?.is_finite())),
    ),
    ("isnan", 1, 1, Row::Bool(|row| Some(real(row[0])?.is_nan()))),
    (
        "isinf",
        1,
        1,
        Row::Bool(|row| Some(real(row[0])?.is_infinite())),
    ),
    ("exp2", 1, 1, Row::Real(|row| finite(real(row[0])?.exp2()))),
    (
        "exp10",
        1,
        1,
        Row::Real(|row| finite(10_f64.powf(real(row[0])?))),
    ),
    (
        "binary_and",
        2,
        2,
        Row::Long(|row| Some(whole(row[0])? & whole(row[1])?)),
    ),
    (
        "binary_or",
        2,
        2,
        Row::Long(|row| Some(whole(row[0])? | whole(row[1])?)),
    ),
    (
        "binary_xor",
        2,
        2,
        Row::Long(|row| Some(whole(row[0])? ^ whole(row[1])?)),
    ),
    ("binary_not", 1, 1, Row::Long(|row| Some(!whole(row[0])?))),
    (
        "binary_shift_left",
        2,
        2,
        Row::Long(|row| whole(row[0])?.checked_shl(u32::try_from(whole(row[1])?).ok()?)),
    ),
    (
        "binary_shift_right",
        2,
        2,
        Row::Long(|row| whole(row[0])?.checked_shr(u32::try_from(whole(row[1])?).ok()?)),
    ),
];

/// A call of a function of texts.
pub(super) fn call(name: &str, args: Vec<DfExpr>) -> DfExpr {
    match function_named(name) {
        Some(function) => function.call(args),
        None => {
            // Only names of the table above are asked for.
            debug_assert!(false, "no function {name}");
            lit(ScalarValue::Null)
        }
    }
}

/// A function of texts by its name.
fn function_named(name: &str) -> Option<ScalarUDF> {
    known(name).map(function)
}

/// All functions of texts.
pub(crate) fn row_functions() -> impl Iterator<Item = ScalarUDF> {
    all().map(function)
}

fn function((name, _, _, row): &'static Entry) -> ScalarUDF {
    ScalarUDF::from(RowFunction {
        name,
        row: *row,
        signature: Signature::variadic_any(Volatility::Immutable),
    })
}

struct RowFunction {
    name: &'static str,
    row: Row,
    signature: Signature,
}

impl std::fmt::Debug for RowFunction {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

impl PartialEq for RowFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for RowFunction {}

impl std::hash::Hash for RowFunction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

fn list_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

impl ScalarUDFImpl for RowFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(match self.row {
            Row::Text(_) => DataType::Utf8,
            Row::Bool(_) => DataType::Boolean,
            Row::Long(_) => DataType::Int64,
            Row::Real(_) => DataType::Float64,
            Row::List(_) => list_type(),
            Row::Time(_) => schema::time_type(),
            Row::Span(_) => super::expression::span_type(),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let is_scalar = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let count = if is_scalar { 1 } else { args.number_rows };
        let columns: DfResult<Vec<ArrayRef>> = args
            .args
            .iter()
            .map(|arg| Ok(as_texts(&arg.to_array(count)?)?))
            .collect();
        let columns = columns?;
        let columns: Vec<&StringArray> = columns
            .iter()
            .map(|column| column.as_string::<i32>())
            .collect();
        let array = self.row.over(&columns, count);
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &array, 0,
            )?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

impl Row {
    fn over<'a>(self, columns: &[&'a StringArray], count: usize) -> ArrayRef {
        let mut row: Vec<Option<&str>> = vec![None; columns.len()];
        let fill = |index: usize, row: &mut [Option<&'a str>]| {
            for (value, column) in row.iter_mut().zip(columns) {
                *value = column.is_valid(index).then(|| column.value(index));
            }
        };
        let rows = 0..count;
        macro_rules! each {
            ($one:ident, $array:ty) => {{
                let values = rows.map(|index| {
                    fill(index, &mut row);
                    $one(&row)
                });
                Arc::new(values.collect::<$array>())
            }};
        }
        match self {
            Self::Text(one) => each!(one, StringArray),
            Self::Bool(one) => each!(one, BooleanArray),
            Self::Long(one) => each!(one, Int64Array),
            Self::Real(one) => each!(one, Float64Array),
            Self::Time(one) => {
                let values = rows.map(|index| {
                    fill(index, &mut row);
                    one(&row)
                });
                let values: TimestampMicrosecondArray = values.collect();
                Arc::new(values.with_timezone("UTC"))
            }
            Self::Span(one) => each!(one, DurationMicrosecondArray),
            Self::List(one) => {
                let mut builder = ListBuilder::new(StringBuilder::new());
                for index in rows {
                    fill(index, &mut row);
                    let items = one(&row);
                    let is_there = items.is_some();
                    for item in items.unwrap_or_default() {
                        builder.values().append_value(item);
                    }
                    builder.append(is_there);
                }
                Arc::new(builder.finish())
            }
        }
    }
}

/// Any column as texts: lists and maps as JSON, spans as Kusto writes them.
fn as_texts(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let kind = output::kind(array.data_type());
    if !matches!(kind, "list" | "map" | "span") {
        return cast_array(array, &DataType::Utf8);
    }
    let values = output::values(array)?.into_iter().map(|value| match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        other => Some(other.to_string()),
    });
    Ok(Arc::new(values.collect::<StringArray>()))
}

/// The words of a call: each argument behind the first is one, or a list of them.
fn words(row: Texts<'_>) -> Vec<String> {
    let rest = row.iter().skip(1).flatten();
    rest.flat_map(|one| items(one).unwrap_or_else(|| vec![(*one).to_owned()]))
        .collect()
}

pub(super) fn whole(text: Option<&str>) -> Option<i64> {
    text?.parse().ok()
}

pub(super) fn real(text: Option<&str>) -> Option<f64> {
    text?.parse().ok()
}

/// A number, where there is one: none is the root of less than nothing.
pub(super) fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}
