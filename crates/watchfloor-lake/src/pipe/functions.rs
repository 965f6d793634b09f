//! Functions of values: those of the engine where it has them, and the others row by row.

use std::ops::Range;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn as df;
use datafusion::functions_nested::expr_fn::{
    array_element, array_has, array_length, array_position, array_to_string, make_array,
};
use datafusion::logical_expr::{Expr as DfExpr, cast, lit, try_cast};
use jiff::Timestamp;
use watchfloor_query::Diagnostic;
use watchfloor_query::pipe::nearest;

use super::Rows;
use super::expression::{df_case, is_list, long, span_type, text, time};
use super::row_functions::ROWS;
pub(super) use super::row_functions::{call, in_set};
use super::sources::type_of;
pub(super) use super::texts::regex_of;
use crate::schema;

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
    "isnotnull",
    "bin_at",
    "iff",
    "case",
    "coalesce",
    "abs",
    "least",
    "greatest",
    "array",
    "array_length",
    "set_has_element",
    "array_index_of",
    "strcat_array",
    "extract_json",
    "column_ifexists",
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
        let pattern = match name {
            "extract" | "extract_all" | "trim" | "trim_start" | "trim_end" => args.first(),
            "matches_regex" | "replace_regex" => args.get(1),
            _ => None,
        };
        if let Some(pattern) = pattern.and_then(text_of) {
            checked(&pattern, place)?;
        }
        if name == "parse_json" && is_list(&type_of(&args[0], rows)) {
            return Ok(args.into_iter().next().unwrap_or_else(|| lit("")));
        }
        // A part of a list that is asked for by its number.
        if name == "split" && args.len() == 3 {
            let list = call(name, args[..2].iter().cloned().map(text).collect());
            let number = long(args[2].clone()) + lit(1_i64);
            return Ok(make_array(vec![array_element(list, number)]));
        }
        return Ok(call(name, args.into_iter().map(text).collect()));
    }
    let kinds: Vec<DataType> = args.iter().map(|arg| type_of(arg, rows)).collect();
    let result = match args.as_slice() {
        [] if name == "now" => Some(time(now.as_microsecond())),
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
        "tolong" => try_cast(one, DataType::Int64),
        "toreal" => try_cast(one, DataType::Float64),
        "tobool" => try_cast(one, DataType::Boolean),
        "tolower" => df::lower(text(one)),
        "toupper" => df::upper(text(one)),
        "strcat" => text(one),
        "isempty" => one.clone().is_null().or(text(one).eq(lit(""))),
        "isnotempty" => one.clone().is_not_null().and(text(one).not_eq(lit(""))),
        "isnull" => one.is_null(),
        "isnotnull" => one.is_not_null(),
        "array_length" if is_list(kind) => long(array_length(one)),
        "array_length" => long(array_length(call("json_items", vec![text(one)]))),
        "abs" => df_case(
            one.clone().lt(lit(0_i64)),
            DfExpr::Negative(Box::new(one.clone())),
            one,
        ),
        "bin" => bin(one, lit(1_i64), &[kind.clone(), DataType::Int64]),
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
        "array_index_of" if is_list(&kinds[0]) => {
            // Kusto counts from 0, and tells -1 where there is none.
            df::coalesce(vec![long(array_position(one, two, lit(1_i64))), lit(0_i64)]) - lit(1_i64)
        }
        "strcat_array" if is_list(&kinds[0]) => array_to_string(one, two),
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

/// A regular expression that is written in the query must be one: matching nothing in silence
/// would be a wrong answer.
pub(super) fn checked(pattern: &str, place: &Range<usize>) -> Result<(), Diagnostic> {
    match regex_of(pattern) {
        Ok(_) => Ok(()),
        Err(error) => Err(Diagnostic::new(
            format!("the regular expression cannot be read: {error}"),
            place.clone(),
            "look-around and back references are not there; escape what stands for itself",
        )),
    }
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
    let is_real = kinds.iter().any(DataType::is_floating);
    // Kusto counts steps of time from the first of January of the year 1.
    let origin = match kinds[0] {
        DataType::Timestamp(..) => 719_162 * 86_400_000_000_i64,
        _ => 0,
    };
    let kind = match kinds[0] {
        _ if is_real => DataType::Float64,
        DataType::Utf8 => DataType::Int64,
        ref kind => kind.clone(),
    };
    let counted = |one| match is_real {
        true => try_cast(one, DataType::Float64),
        false => long(one),
    };
    let (value, width) = (counted(value), df::nullif(counted(width), lit(0_i64)));
    // The remainder has the sign of the value; below zero the lower end lies further down.
    let over = (value.clone() + lit(origin)) % width.clone();
    cast(value - (over + width.clone()) % width, kind)
}

pub(super) fn text_of(expr: &DfExpr) -> Option<String> {
    match expr {
        DfExpr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(text.clone()),
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
