//! Functions of values: those of the engine where it has them, and the others row by row.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListBuilder, StringArray, StringBuilder,
};
use arrow::compute::cast as cast_array;
use arrow::datatypes::{DataType, Field};
use base64::Engine as _;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::functions::expr_fn as df;
use datafusion::functions_nested::expr_fn::{array_has, array_length, make_array};
use datafusion::logical_expr::{
    ColumnarValue, Expr as DfExpr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, cast, lit, try_cast,
};
use ipnet::IpNet;
use jiff::Timestamp;
use regex::Regex;
use sha2::{Digest, Sha256};
use watchfloor_event::{EventId, ocsf};
use watchfloor_query::Diagnostic;
use watchfloor_query::pipe::nearest;

use super::Rows;
use super::expression::{df_case, is_list, long, span_type, text, time};
use super::sources::type_of;
use crate::schema;

/// Regular expressions kept ready on a thread.
const KEPT_REGEXES: usize = 64;
/// Most bytes of a compiled regular expression.
const MAX_REGEX_BYTES: usize = 4 << 20;

type Texts<'a> = &'a [Option<&'a str>];

/// What a function of texts gives.
#[derive(Clone, Copy)]
enum Row {
    Text(fn(Texts<'_>) -> Option<String>),
    Bool(fn(Texts<'_>) -> Option<bool>),
    Long(fn(Texts<'_>) -> Option<i64>),
    List(fn(Texts<'_>) -> Option<Vec<String>>),
}

/// Functions of texts by name, with the least number of arguments.
const ROWS: &[(&str, usize, Row)] = &[
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
        Row::Bool(|row| Some(has_at(row[0]?, row[1]?, (true, false)))),
    ),
    (
        "hassuffix",
        2,
        Row::Bool(|row| Some(has_at(row[0]?, row[1]?, (false, true)))),
    ),
    (
        "hassuffix_cs",
        2,
        Row::Bool(|row| Some(has_at(row[0]?, row[1]?, (false, true)))),
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
        Row::Text(|row| Some(super::output::span(row[0]?.parse().ok()?))),
    ),
];

/// Other names of the same.
const ALIASES: &[(&str, &str)] = &[
    ("replace", "replace_regex"),
    ("todynamic", "parse_json"),
    ("toobject", "parse_json"),
    ("base64_decodestring", "base64_decode_tostring"),
    ("base64_encodestring", "base64_encode_tostring"),
    ("iif", "iff"),
    ("toint", "tolong"),
    ("int", "tolong"),
    ("long", "tolong"),
    ("double", "toreal"),
    ("todouble", "toreal"),
    ("todecimal", "toreal"),
    ("real", "toreal"),
    ("string", "tostring"),
    ("bool", "tobool"),
    ("boolean", "tobool"),
    ("toboolean", "tobool"),
    ("isnotnull", "isnotempty"),
    ("notempty", "isnotempty"),
    ("extractjson", "extract_json"),
    ("pack_array", "array"),
    ("hourofday", "hour"),
    ("getmonth", "month"),
    ("getyear", "year"),
    ("ceiling", "ceil"),
    ("min_of", "least"),
    ("max_of", "greatest"),
    ("array_strcat", "strcat_array"),
    ("floor", "bin"),
    ("has_ipv4", "has"),
    ("tohex", "tostring"),
    ("parse_ipv4", "tostring"),
    ("sha256", "hash_sha256"),
];

/// Functions that [`scalar`] knows beside those of texts.
const OTHERS: &[&str] = &[
    "now",
    "ago",
    "bin",
    "startofday",
    "startofhour",
    "startofweek",
    "startofmonth",
    "hour",
    "dayofweek",
    "dayofmonth",
    "month",
    "year",
    "datetime_part",
    "datetime_diff",
    "datetime_add",
    "format_datetime",
    "unixtime_seconds_todatetime",
    "unixtime_milliseconds_todatetime",
    "todatetime",
    "totimespan",
    "tostring",
    "tolong",
    "toreal",
    "tobool",
    "tolower",
    "toupper",
    "strcat",
    "isempty",
    "isnotempty",
    "isnull",
    "iff",
    "case",
    "coalesce",
    "abs",
    "round",
    "ceil",
    "sqrt",
    "exp",
    "log",
    "log10",
    "log2",
    "pow",
    "least",
    "greatest",
    "array",
    "array_length",
    "set_has_element",
    "array_index_of",
    "strcat_array",
    "extract_json",
    "column_ifexists",
    "not",
    "iff",
    "rand",
    "row_number",
    "has_any",
    "has_all",
    "toscalar",
];

/// A call of a function by its name.
pub(super) fn scalar(
    name: &str,
    args: Vec<DfExpr>,
    rows: &Rows,
    now: Timestamp,
    place: &Range<usize>,
) -> Result<DfExpr, Diagnostic> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    let name = alias.map_or(name, |(_, name)| name);
    let wrong = |wanted: &str| {
        Diagnostic::new(
            format!("'{name}' has {} arguments", args.len()),
            place.clone(),
            &format!("it takes {wanted}"),
        )
    };
    if let Some((_, least, _)) = ROWS.iter().find(|(known, ..)| *known == name) {
        if args.len() < *least {
            return Err(wrong(&format!("at least {least}")));
        }
        if name == "parse_json" && is_list(&type_of(&args[0], rows)) {
            return Ok(args.into_iter().next().unwrap_or_else(|| lit("")));
        }
        // A part of a list that is asked for by its number.
        if name == "split" && args.len() == 3 {
            let list = call(name, args[..2].iter().cloned().map(text).collect());
            let number = long(args[2].clone()) + lit(1_i64);
            return Ok(make_array(vec![
                datafusion::functions_nested::expr_fn::array_element(list, number),
            ]));
        }
        return Ok(call(name, args.into_iter().map(text).collect()));
    }
    let kinds: Vec<DataType> = args.iter().map(|arg| type_of(arg, rows)).collect();
    let result = match args.as_slice() {
        [] => of_none(name, now),
        [one] => of_one(name, one, &kinds[0], now),
        [one, two] => of_two(name, one, two, &kinds),
        _ => None,
    };
    let result = result.or_else(|| of_many(name, &args, &kinds));
    result.ok_or_else(|| {
        if OTHERS.contains(&name) {
            return wrong("another number of them");
        }
        let known = ROWS
            .iter()
            .map(|(name, ..)| *name)
            .chain(OTHERS.iter().copied());
        let known = known.chain(super::aggregates::NAMES.iter().copied());
        let hint = match nearest(name, known) {
            Some(near) => format!("did you mean {near}()?"),
            None => "functions are listed on the reference page of the language".to_owned(),
        };
        Diagnostic::new(
            format!("there is no function '{name}'"),
            place.clone(),
            &hint,
        )
    })
}

fn of_none(name: &str, now: Timestamp) -> Option<DfExpr> {
    Some(match name {
        "now" => time(now.as_microsecond()),
        "rand" => return None,
        _ => return None,
    })
}

fn of_one(name: &str, one: &DfExpr, kind: &DataType, now: Timestamp) -> Option<DfExpr> {
    let one = one.clone();
    let instant = |one: DfExpr| try_cast(one, schema::time_type());
    let trunc = |unit: &str| {
        cast(
            df::date_trunc(lit(unit), instant(one.clone())),
            schema::time_type(),
        )
    };
    let part = |unit: &str| long(df::date_part(lit(unit), instant(one.clone())));
    Some(match name {
        "now" => cast(lit(now.as_microsecond()) + long(one), schema::time_type()),
        "ago" => cast(lit(now.as_microsecond()) - long(one), schema::time_type()),
        "startofday" => trunc("day"),
        "startofhour" => trunc("hour"),
        // Kusto's week begins with Sunday.
        "startofweek" => {
            let day_us = lit(86_400_000_000_i64);
            let shifted = cast(long(instant(one)) + day_us.clone(), schema::time_type());
            cast(
                long(df::date_trunc(lit("week"), shifted)) - day_us,
                schema::time_type(),
            )
        }
        "startofmonth" => trunc("month"),
        "hour" => part("hour"),
        "dayofweek" => cast(part("dow") * lit(86_400_000_000_i64), span_type()),
        "dayofmonth" => part("day"),
        "month" => part("month"),
        "year" => part("year"),
        "unixtime_seconds_todatetime" => cast(long(one) * lit(1_000_000_i64), schema::time_type()),
        "unixtime_milliseconds_todatetime" => cast(long(one) * lit(1_000_i64), schema::time_type()),
        "todatetime" => instant(one),
        "totimespan" => cast(long(one), span_type()),
        "tostring" if *kind == span_type() => call("format_span", vec![text(long(one))]),
        "tostring" => text(one),
        "tolong" if *kind == DataType::Utf8 => long(try_cast(one, DataType::Float64)),
        "tolong" => try_cast(one, DataType::Int64),
        "toreal" => try_cast(one, DataType::Float64),
        "tobool" => try_cast(one, DataType::Boolean),
        "tolower" => df::lower(text(one)),
        "toupper" => df::upper(text(one)),
        "strcat" => text(one),
        "isempty" => one.clone().is_null().or(text(one).eq(lit(""))),
        "isnotempty" => one.clone().is_not_null().and(text(one).not_eq(lit(""))),
        "isnull" => one.is_null(),
        "array_length" if is_list(kind) => long(array_length(one)),
        "array_length" => long(array_length(call("json_items", vec![text(one)]))),
        "abs" => df_case(
            one.clone().lt(lit(0_i64)),
            DfExpr::Negative(Box::new(one.clone())),
            one,
        ),
        "round" => long(try_cast(one, DataType::Float64) + lit(0.5_f64)),
        "bin" => long(one),
        "coalesce" => one,
        "array" => make_array(vec![one]),
        _ => return None,
    })
}

fn of_two(name: &str, one: &DfExpr, two: &DfExpr, kinds: &[DataType]) -> Option<DfExpr> {
    let (one, two) = (one.clone(), two.clone());
    Some(match name {
        "bin" => bin(one, two, kinds),
        "datetime_part" => long(df::date_part(
            two_unit(&one)?,
            try_cast(two, schema::time_type()),
        )),
        "format_datetime" => df::to_char(try_cast(one, schema::time_type()), lit(format_of(&two)?)),
        "set_has_element" if is_list(&kinds[0]) => array_has(one, two),
        "extract_json" => call("json_member", vec![text(two), text(one)]),
        "round" => {
            let power = lit(10_f64.powi(number_of(&two)? as i32));
            let scaled = try_cast(one, DataType::Float64) * power.clone() + lit(0.5_f64);
            cast(long(scaled), DataType::Float64) / power
        }
        "column_ifexists" => one,
        _ => return None,
    })
}

fn of_many(name: &str, args: &[DfExpr], kinds: &[DataType]) -> Option<DfExpr> {
    let texts = || args.iter().cloned().map(text).collect::<Vec<_>>();
    Some(match (name, args) {
        ("strcat", _) => df::concat(texts()),
        ("array", _) if kinds.windows(2).all(|pair| pair[0] == pair[1]) => {
            make_array(args.to_vec())
        }
        ("array", _) => make_array(texts()),
        // An empty text is as good as none.
        ("coalesce", [rest @ .., last]) if kinds.contains(&DataType::Utf8) => {
            let rest = rest.iter().cloned();
            let rest = rest.map(|one| df::nullif(text(one), lit("")));
            df::coalesce(rest.chain([text(last.clone())]).collect())
        }
        ("coalesce", _) => df::coalesce(args.to_vec()),
        ("least" | "greatest", [first, rest @ ..]) => {
            let better = |a: DfExpr, b: &DfExpr| {
                let is = if name == "least" {
                    a.clone().lt_eq(b.clone())
                } else {
                    a.clone().gt_eq(b.clone())
                };
                df_case(is, a, b.clone())
            };
            rest.iter().fold(first.clone(), better)
        }
        ("iff", [condition, yes, no]) => {
            let (yes, no) = alike(yes, no, &kinds[1..]);
            df_case(condition.clone(), yes, no)
        }
        ("case", [rest @ .., last]) if args.len() % 2 == 1 && args.len() > 1 => {
            let values = kinds.iter().skip(1).step_by(2).chain(kinds.last());
            let are_alike = values.clone().all(|kind| Some(kind) == kinds.last());
            let value = |one: &DfExpr| {
                if are_alike {
                    one.clone()
                } else {
                    text(one.clone())
                }
            };
            rest.chunks(2).rev().fold(value(last), |no, pair| {
                df_case(pair[0].clone(), value(&pair[1]), no)
            })
        }
        ("datetime_diff", [unit, one, two]) => {
            let micros = unit_micros(&text_of(unit)?)?;
            let whole =
                |one: &DfExpr| long(try_cast(one.clone(), schema::time_type())) / lit(micros);
            whole(one) - whole(two)
        }
        ("datetime_add", [unit, count, one]) => {
            let micros = long(count.clone()) * lit(unit_micros(&text_of(unit)?)?);
            cast(
                long(try_cast(one.clone(), schema::time_type())) + micros,
                schema::time_type(),
            )
        }
        ("bin_at", [value, width, at]) => {
            let shifted = bin(
                cast(long(value.clone()) - long(at.clone()), kinds[0].clone()),
                width.clone(),
                kinds,
            );
            cast(long(shifted) + long(at.clone()), kinds[0].clone())
        }
        _ => return None,
    })
}

/// Two values of one type.
fn alike(one: &DfExpr, two: &DfExpr, kinds: &[DataType]) -> (DfExpr, DfExpr) {
    let numbers = kinds.iter().all(DataType::is_numeric);
    let nulls = kinds.contains(&DataType::Null);
    if kinds[0] == kinds[1] || numbers || nulls {
        return (one.clone(), two.clone());
    }
    (text(one.clone()), text(two.clone()))
}

/// The lower end of the step in which a value lies.
pub(super) fn bin(value: DfExpr, width: DfExpr, kinds: &[DataType]) -> DfExpr {
    let is_whole = !kinds[0].is_floating() && !kinds[1].is_floating();
    if !is_whole {
        let real = |one| try_cast(one, DataType::Float64);
        let steps = long(real(value) / real(width.clone()));
        return cast(steps, DataType::Float64) * real(width);
    }
    let kind = if kinds[0] == DataType::Utf8 {
        DataType::Int64
    } else {
        kinds[0].clone()
    };
    // Kusto counts steps of time from the first of January of the year 1.
    let origin = match kind {
        DataType::Timestamp(..) => 719_162 * 86_400_000_000_i64,
        _ => 0,
    };
    let (value, width) = (long(value), df::nullif(long(width), lit(0_i64)));
    cast(value.clone() - (value + lit(origin)) % width, kind)
}

fn text_of(expr: &DfExpr) -> Option<String> {
    match expr {
        DfExpr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(text.clone()),
        _ => None,
    }
}

fn number_of(expr: &DfExpr) -> Option<i64> {
    match expr {
        DfExpr::Literal(ScalarValue::Int64(Some(number)), _) => Some(*number),
        _ => None,
    }
}

fn two_unit(unit: &DfExpr) -> Option<DfExpr> {
    Some(lit(text_of(unit)?.to_lowercase()))
}

fn unit_micros(unit: &str) -> Option<i64> {
    Some(match unit.to_lowercase().as_str() {
        "day" => 86_400_000_000,
        "week" => 604_800_000_000,
        "hour" => 3_600_000_000,
        "minute" => 60_000_000,
        "second" => 1_000_000,
        "millisecond" => 1_000,
        "microsecond" => 1,
        _ => return None,
    })
}

/// Kusto's form of a time as the engine's.
fn format_of(expr: &DfExpr) -> Option<String> {
    let mut format = text_of(expr)?;
    for (theirs, ours) in [
        ("yyyy", "%Y"),
        ("yy", "%y"),
        ("MM", "%m"),
        ("dd", "%d"),
        ("HH", "%H"),
        ("hh", "%I"),
        ("mm", "%M"),
        ("ss", "%S"),
        ("fff", "%3f"),
        ("tt", "%p"),
    ] {
        format = format.replace(theirs, ours);
    }
    Some(format)
}

/// A member of a JSON document by the names on the way to it.
pub(super) fn json_member<'a>(of: DfExpr, path: impl Iterator<Item = &'a str>) -> DfExpr {
    path.fold(text(of), |of, name| {
        call("json_member", vec![of, lit(name)])
    })
}

/// A call of a function of texts.
pub(super) fn call(name: &str, args: Vec<DfExpr>) -> DfExpr {
    let found = ROWS.iter().find(|(known, ..)| *known == name);
    let (name, row) = found.map_or(
        ("parse_json", Row::Text(|row| row[0].map(str::to_owned))),
        |(name, _, row)| (*name, *row),
    );
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
    fn over(self, columns: &[&StringArray], count: usize) -> ArrayRef {
        let mut row: Vec<Option<&str>> = Vec::with_capacity(columns.len());
        let mut each = |index: usize| -> Vec<Option<&str>> {
            row.clear();
            row.extend(
                columns
                    .iter()
                    .map(|column| column.is_valid(index).then(|| column.value(index))),
            );
            row.clone()
        };
        let rows = 0..count;
        match self {
            Self::Text(one) => {
                Arc::new(rows.map(|index| one(&each(index))).collect::<StringArray>())
            }
            Self::Bool(one) => Arc::new(
                rows.map(|index| one(&each(index)))
                    .collect::<BooleanArray>(),
            ),
            Self::Long(one) => {
                Arc::new(rows.map(|index| one(&each(index))).collect::<Int64Array>())
            }
            Self::List(one) => {
                let mut builder = ListBuilder::new(StringBuilder::new());
                for index in rows {
                    let items = one(&each(index));
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

thread_local! {
    static REGEXES: RefCell<HashMap<String, Option<Regex>>> = RefCell::default();
}

/// Lets a regular expression work, which is compiled once a thread; one that cannot be compiled
/// or would be too large matches nothing.
fn with_regex<T>(pattern: &str, work: impl FnOnce(&Regex) -> T) -> Option<T> {
    REGEXES.with_borrow_mut(|known| {
        if known.len() > KEPT_REGEXES {
            known.clear();
        }
        let compiled = known
            .entry(pattern.to_owned())
            .or_insert_with(|| regex_of(pattern).ok());
        compiled.as_ref().map(work)
    })
}

/// Compiles a regular expression within limits.
pub(super) fn regex_of(pattern: &str) -> Result<Regex, regex::Error> {
    regex::RegexBuilder::new(pattern)
        .size_limit(MAX_REGEX_BYTES)
        .build()
}

fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// Whether a text holds a word: what stands before and behind it is no letter or digit.
fn has(text: &str, word: &str, is_exact: bool) -> bool {
    if is_exact {
        return holds_word(text, word, (true, true));
    }
    holds_word(&folded(text), &folded(word), (true, true))
}

fn has_at(text: &str, word: &str, ends: (bool, bool)) -> bool {
    holds_word(&folded(text), &folded(word), ends)
}

fn holds_word(text: &str, word: &str, (begins, ends): (bool, bool)) -> bool {
    if word.is_empty() {
        return true;
    }
    let is_free = |next: Option<char>, inner: Option<char>| {
        !(next.is_some_and(char::is_alphanumeric) && inner.is_some_and(char::is_alphanumeric))
    };
    let (first, last) = (word.chars().next(), word.chars().next_back());
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        (!begins || is_free(before, first)) && (!ends || is_free(after, last))
    })
}

/// A member of a JSON document: a name, a number, or a path such as `$.a.b[0]`.
fn json_of(json: &str, key: &str) -> Option<String> {
    let document: serde_json::Value = serde_json::from_str(json).ok()?;
    let shown = |value: &serde_json::Value| match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let member = |of: &serde_json::Value, key: &str| -> Option<serde_json::Value> {
        match of {
            serde_json::Value::Array(items) => {
                let index: i64 = key.parse().ok()?;
                let index = if index < 0 {
                    items.len() as i64 + index
                } else {
                    index
                };
                items.get(usize::try_from(index).ok()?).cloned()
            }
            of => of.get(key).cloned(),
        }
    };
    let Some(path) = key.strip_prefix('$') else {
        return shown(&member(&document, key)?);
    };
    let steps = path
        .split(['.', '[', ']'])
        .map(|step| step.trim_matches(['\'', '"']));
    let mut steps = steps.filter(|step| !step.is_empty());
    shown(&steps.try_fold(document, |of, step| member(&of, step))?)
}

/// The items of a JSON list; another document is its only item.
fn items(json: &str) -> Option<Vec<String>> {
    match serde_json::from_str(json) {
        Ok(serde_json::Value::Array(items)) => {
            let shown = |item: serde_json::Value| match item {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            Some(items.into_iter().map(shown).collect())
        }
        Ok(serde_json::Value::Object(_)) => Some(vec![json.to_owned()]),
        _ => None,
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

fn in_range(address: &str, range: &str) -> Option<bool> {
    let address: IpAddr = address.parse().ok()?;
    let network = range
        .parse::<IpNet>()
        .or_else(|_| range.parse::<IpAddr>().map(IpNet::from))
        .ok()?;
    Some(network.contains(&address))
}

/// UTF-8, or UTF-16 as PowerShell encodes its commands.
fn decoded(bytes: &[u8]) -> String {
    let is_wide = bytes.len() >= 2
        && bytes.len().is_multiple_of(2)
        && bytes.iter().skip(1).step_by(2).all(|byte| *byte == 0);
    if !is_wide {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    bytes
        .iter()
        .step_by(2)
        .map(|byte| char::from(*byte))
        .collect()
}

fn url_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten();
        let escaped = escaped
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        out.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn path_parts(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let folder = path[..path.len() - name.len()].trim_end_matches(['/', '\\']);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    serde_json::json!({
        "DirectoryPath": folder,
        "DirectoryName": folder.rsplit(['/', '\\']).next(),
        "Filename": name,
        "Extension": extension,
    })
    .to_string()
}

fn url_parts(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let parameters: serde_json::Map<String, serde_json::Value> = url
        .query_pairs()
        .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
        .collect();
    Some(
        serde_json::json!({
            "Scheme": url.scheme(),
            "Host": url.host_str(),
            "Port": url.port_or_known_default().map(|port| port.to_string()),
            "Path": url.path(),
            "Username": url.username(),
            "Query Parameters": parameters,
            "Fragment": url.fragment(),
        })
        .to_string(),
    )
}
