//! Functions that work row by row on texts, as functions of the engine.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, ListBuilder, StringArray,
    StringBuilder,
};
use arrow::compute::cast as cast_array;
use arrow::datatypes::{DataType, Field};
use base64::Engine as _;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{
    ColumnarValue, Expr as DfExpr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit,
};
use sha2::{Digest, Sha256};
use watchfloor_event::{EventId, ocsf};

use super::output;
use super::texts::*;

pub(super) type Texts<'a> = &'a [Option<&'a str>];

/// What a function of texts gives.
#[derive(Clone, Copy)]
pub(super) enum Row {
    Text(fn(Texts<'_>) -> Option<String>),
    Bool(fn(Texts<'_>) -> Option<bool>),
    Long(fn(Texts<'_>) -> Option<i64>),
    Real(fn(Texts<'_>) -> Option<f64>),
    List(fn(Texts<'_>) -> Option<Vec<String>>),
}

/// Functions of texts by name, with the least number of arguments.
pub(super) const ROWS: &[(&str, usize, Row)] = &[
    (
        "has",
        2,
        Row::Bool(|row| Some(has(row[0]?, row[1]?, false))),
    ),
    (
        "has_cs",
        2,
        Row::Bool(|row| Some(has(row[0]?, row[1]?, true))),
    ),
    (
        "hasprefix",
        2,
        Row::Bool(|row| Some(has_at(row[0]?, row[1]?, (true, false)))),
    ),
    (
        "hasprefix_cs",
        2,
        Row::Bool(|row| Some(holds_word(row[0]?, row[1]?, (true, false)))),
    ),
    (
        "hassuffix",
        2,
        Row::Bool(|row| Some(has_at(row[0]?, row[1]?, (false, true)))),
    ),
    (
        "hassuffix_cs",
        2,
        Row::Bool(|row| Some(holds_word(row[0]?, row[1]?, (false, true)))),
    ),
    (
        "contains",
        2,
        Row::Bool(|row| Some(folded(row[0]?).contains(&folded(row[1]?)))),
    ),
    (
        "contains_cs",
        2,
        Row::Bool(|row| Some(row[0]?.contains(row[1]?))),
    ),
    (
        "startswith",
        2,
        Row::Bool(|row| Some(folded(row[0]?).starts_with(&folded(row[1]?)))),
    ),
    (
        "startswith_cs",
        2,
        Row::Bool(|row| Some(row[0]?.starts_with(row[1]?))),
    ),
    (
        "endswith",
        2,
        Row::Bool(|row| Some(folded(row[0]?).ends_with(&folded(row[1]?)))),
    ),
    (
        "endswith_cs",
        2,
        Row::Bool(|row| Some(row[0]?.ends_with(row[1]?))),
    ),
    (
        "matches_regex",
        2,
        Row::Bool(|row| with_regex(row[1]?, |regex| regex.is_match(row[0].unwrap_or_default()))),
    ),
    (
        "extract",
        3,
        Row::Text(|row| {
            let group: usize = row[1]?.parse().ok()?;
            with_regex(row[0]?, |regex| {
                let found = regex.captures(row[2]?)?;
                found.get(group).map(|part| part.as_str().to_owned())
            })?
        }),
    ),
    (
        "extract_all",
        2,
        Row::List(|row| {
            with_regex(row[0]?, |regex| {
                let found = regex.captures_iter(row[1].unwrap_or_default());
                let group = |found: regex::Captures<'_>| {
                    found
                        .get(1)
                        .or(found.get(0))
                        .map(|part| part.as_str().to_owned())
                };
                found.filter_map(group).collect()
            })
        }),
    ),
    (
        "replace_regex",
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
        Row::Text(|row| Some(row[0]?.replace(row[1]?, row[2]?))),
    ),
    (
        "trim",
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
        Row::Text(|row| {
            with_regex(&format!("^(?:{})+", row[0]?), |regex| {
                regex.replace(row[1].unwrap_or_default(), "").into_owned()
            })
        }),
    ),
    (
        "trim_end",
        2,
        Row::Text(|row| {
            with_regex(&format!("(?:{})+$", row[0]?), |regex| {
                regex.replace(row[1].unwrap_or_default(), "").into_owned()
            })
        }),
    ),
    (
        "split",
        2,
        Row::List(|row| Some(row[0]?.split(row[1]?).map(str::to_owned).collect())),
    ),
    (
        "strcat_delim",
        2,
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
        "substring",
        2,
        Row::Text(|row| {
            let text: Vec<char> = row[0]?.chars().collect();
            let from = usize::try_from(row[1]?.parse::<i64>().ok()?.max(0))
                .ok()?
                .min(text.len());
            let most = row
                .get(2)
                .copied()
                .flatten()
                .and_then(|most| most.parse().ok())
                .unwrap_or(usize::MAX);
            Some(text[from..].iter().take(most).collect())
        }),
    ),
    (
        "strrep",
        2,
        Row::Text(|row| Some(row[0]?.repeat(row[1]?.parse::<usize>().ok()?.min(1024)))),
    ),
    (
        "reverse",
        1,
        Row::Text(|row| Some(row[0]?.chars().rev().collect())),
    ),
    (
        "round",
        1,
        Row::Real(|row| {
            let digits = row.get(1).copied().flatten().unwrap_or("0").parse().ok()?;
            let power = 10_f64.powi(digits);
            Some((real(row[0])? * power).round() / power)
        }),
    ),
    ("ceil", 1, Row::Real(|row| Some(real(row[0])?.ceil()))),
    ("sqrt", 1, Row::Real(|row| finite(real(row[0])?.sqrt()))),
    ("exp", 1, Row::Real(|row| finite(real(row[0])?.exp()))),
    ("log", 1, Row::Real(|row| finite(real(row[0])?.ln()))),
    ("log10", 1, Row::Real(|row| finite(real(row[0])?.log10()))),
    ("log2", 1, Row::Real(|row| finite(real(row[0])?.log2()))),
    (
        "pow",
        2,
        Row::Real(|row| finite(real(row[0])?.powf(real(row[1])?))),
    ),
    (
        "indexof",
        2,
        Row::Long(|row| {
            Some(row[0]?.find(row[1]?).map_or(-1, |at| {
                row[0].unwrap_or_default()[..at].chars().count() as i64
            }))
        }),
    ),
    (
        "countof",
        2,
        Row::Long(|row| Some(row[0]?.matches(row[1]?).count() as i64)),
    ),
    (
        "strlen",
        1,
        Row::Long(|row| Some(row[0]?.chars().count() as i64)),
    ),
    ("parse_json", 1, Row::Text(|row| row[0].map(str::to_owned))),
    ("json_member", 2, Row::Text(|row| json_of(row[0]?, row[1]?))),
    (
        "bag_keys",
        1,
        Row::List(|row| {
            let value: serde_json::Value = serde_json::from_str(row[0]?).ok()?;
            Some(value.as_object()?.keys().cloned().collect())
        }),
    ),
    ("json_items", 1, Row::List(|row| items(row[0]?))),
    (
        "ipv4_is_private",
        1,
        Row::Bool(|row| Some(is_private(row[0]?.parse().ok()?))),
    ),
    (
        "ipv4_is_in_range",
        2,
        Row::Bool(|row| in_range(row[0]?, row[1]?)),
    ),
    (
        "ipv4_is_match",
        2,
        Row::Bool(|row| in_range(row[0]?, row[1]?)),
    ),
    (
        "ipv6_is_in_range",
        2,
        Row::Bool(|row| in_range(row[0]?, row[1]?)),
    ),
    (
        "ipv4_is_in_any_range",
        2,
        Row::Bool(|row| {
            let ranges = row[1..].iter().flatten();
            let all =
                ranges.flat_map(|range| items(range).unwrap_or_else(|| vec![(*range).to_owned()]));
            let address = row[0]?;
            Some(
                all.into_iter()
                    .any(|range| in_range(address, &range) == Some(true)),
            )
        }),
    ),
    (
        "base64_decode_tostring",
        1,
        Row::Text(|row| {
            let bytes = base64::engine::general_purpose::STANDARD_NO_PAD
                .decode(row[0]?.trim_end_matches('='))
                .ok()?;
            Some(decoded(&bytes))
        }),
    ),
    (
        "base64_encode_tostring",
        1,
        Row::Text(|row| Some(base64::engine::general_purpose::STANDARD.encode(row[0]?))),
    ),
    ("url_decode", 1, Row::Text(|row| Some(url_decoded(row[0]?)))),
    (
        "hash_sha256",
        1,
        Row::Text(|row| Some(hex::encode(Sha256::digest(row[0]?)))),
    ),
    (
        "file_name",
        1,
        Row::Text(|row| Some(row[0]?.rsplit(['/', '\\']).next()?.to_owned())),
    ),
    ("parse_path", 1, Row::Text(|row| Some(path_parts(row[0]?)))),
    ("parse_url", 1, Row::Text(|row| url_parts(row[0]?))),
    (
        "event_id",
        2,
        Row::Text(|row| {
            Some(EventId::new(row[0]?.parse().ok()?, row[1]?.parse().ok()?).to_string())
        }),
    ),
    (
        "class_name",
        1,
        Row::Text(|row| Some(ocsf::class_name(row[0]?.parse().ok()?).to_owned())),
    ),
    (
        "format_span",
        1,
        Row::Text(|row| Some(output::span(row[0]?.parse().ok()?))),
    ),
];

/// A call of a function of texts.
pub(super) fn call(name: &str, args: Vec<DfExpr>) -> DfExpr {
    let found = ROWS.iter().find(|(known, ..)| *known == name);
    let Some((name, _, row)) = found else {
        // Only names of the table above are asked for.
        debug_assert!(false, "no function {name}");
        return lit(ScalarValue::Null);
    };
    let row = *row;
    ScalarUDF::from(RowFunction {
        name,
        row,
        signature: Signature::variadic_any(Volatility::Immutable),
    })
    .call(args)
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
            .map(|arg| Ok(cast_array(&arg.to_array(count)?, &DataType::Utf8)?))
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

/// Whether a text is one of many.
pub(super) fn in_set(value: DfExpr, texts: Vec<String>) -> DfExpr {
    ScalarUDF::from(InSet {
        texts: texts.into_iter().collect(),
        signature: Signature::any(1, Volatility::Immutable),
    })
    .call(vec![value])
}

#[derive(Debug, PartialEq, Eq)]
struct InSet {
    texts: HashSet<String>,
    signature: Signature,
}

impl std::hash::Hash for InSet {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.texts.len().hash(state);
    }
}

impl ScalarUDFImpl for InSet {
    fn name(&self) -> &str {
        "in_set"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let values = args.args[0].to_array(args.number_rows)?;
        let values = cast_array(&values, &DataType::Utf8)?;
        let values = values.as_string::<i32>().iter();
        let members: BooleanArray = values
            .map(|value| Some(self.texts.contains(value?)))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(members)))
    }
}

fn real(text: Option<&str>) -> Option<f64> {
    text?.parse().ok()
}

/// A number, where there is one: none is the root of less than nothing.
fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}
