//! Functions of values: those of the engine where it has them, and the others row by row.

use std::ops::Range;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn as df;
use datafusion::functions_nested::expr_fn::{array_element, array_length, make_array};
use datafusion::logical_expr::{Expr as DfExpr, cast, lit, try_cast};
use jiff::Timestamp;
use watchfloor_query::Diagnostic;
use watchfloor_query::pipe::nearest;

use super::expression::{df_case, is_list, long, shown, span_type, time};
use super::operators::time_of;
use super::row_functions::MANY;
pub(super) use super::row_functions::call;
use super::sources::type_of;
pub(super) use super::texts::regex_of;
use super::{Rows, row_functions};
use crate::schema;

/// Other names of the same.
const ALIASES: &[(&str, &str)] = &[
    ("todynamic", "parse_json"),
    ("toobject", "parse_json"),
    ("parsejson", "parse_json"),
    ("dynamic", "parse_json"),
    ("base64_decodestring", "base64_decode_tostring"),
    ("base64_encodestring", "base64_encode_tostring"),
    ("base64_decode_toguid", "base64_decode_tostring"),
    ("iif", "iff"),
    ("toint", "tolong"),
    ("int", "tolong"),
    ("long", "tolong"),
    ("double", "toreal"),
    ("todouble", "toreal"),
    ("todecimal", "toreal"),
    ("decimal", "toreal"),
    ("real", "toreal"),
    ("string", "tostring"),
    ("bool", "tobool"),
    ("boolean", "tobool"),
    ("toboolean", "tobool"),
    ("guid", "toguid"),
    ("notempty", "isnotempty"),
    ("notnull", "isnotnull"),
    ("extractjson", "extract_json"),
    ("pack_array", "array"),
    ("pack", "bag_pack"),
    ("pack_dictionary", "bag_pack"),
    ("hourofday", "hour"),
    ("getmonth", "month"),
    ("monthofyear", "month"),
    ("getyear", "year"),
    ("week_of_year", "weekofyear"),
    ("ceiling", "ceil"),
    ("min_of", "least"),
    ("max_of", "greatest"),
    ("array_strcat", "strcat_array"),
    ("arraylength", "array_length"),
    ("floor", "bin"),
    ("sha256", "hash_sha256"),
    ("parse_url_query", "parse_urlquery"),
    ("parseurl", "parse_url"),
    ("ipv4_is_in_subnet", "ipv4_is_in_range"),
    ("make_time", "make_timespan"),
    ("totime", "totimespan"),
    ("timespan", "totimespan"),
    ("time", "totimespan"),
    ("datetime", "todatetime"),
];

/// Functions beside those that work row by row, with the least and the largest number of
/// arguments.
const OTHERS: &[(&str, usize, usize)] = &[
    ("now", 0, 1),
    ("ago", 1, 1),
    ("bin", 1, 2),
    ("startofhour", 1, 1),
    ("hour", 1, 1),
    ("dayofweek", 1, 1),
    ("dayofmonth", 1, 1),
    ("month", 1, 1),
    ("year", 1, 1),
    ("tostring", 1, 1),
    ("tolong", 1, 1),
    ("toreal", 1, 1),
    ("tobool", 1, 1),
    ("tolower", 1, 1),
    ("toupper", 1, 1),
    ("strcat", 1, MANY),
    ("isempty", 1, 1),
    ("isnotempty", 1, 1),
    ("isnull", 1, 1),
    ("isnotnull", 1, 1),
    ("bin_at", 3, 3),
    ("iff", 3, 3),
    ("case", 3, 512),
    ("coalesce", 1, MANY),
    ("abs", 1, 1),
    ("least", 1, MANY),
    ("greatest", 1, MANY),
    ("array", 0, MANY),
    ("extract_json", 2, 3),
    ("column_ifexists", 2, 2),
    ("columnifexists", 2, 2),
    ("row_number", 0, 2),
    ("row_cumsum", 1, 2),
    ("row_window_session", 3, 4),
    ("prev", 1, 3),
    ("next", 1, 3),
    ("toscalar", 1, 1),
    ("gettype", 1, 1),
    ("rand", 0, 1),
    ("new_guid", 0, 0),
    ("pack_all", 0, 1),
    ("bag_pack_columns", 1, MANY),
    ("ingestion_time", 0, 0),
    ("not", 1, 1),
    ("pi", 0, 0),
];

/// A call of a function by its name.
pub(super) fn scalar(
    name: &str,
    mut args: Vec<DfExpr>,
    rows: &Rows,
    now: Timestamp,
    place: &Range<usize>,
) -> Result<DfExpr, Diagnostic> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    let mut name = alias.map_or(name, |(_, name)| name);
    if name == "replace" {
        // The old form has the text last.
        name = "replace_regex";
        args.rotate_right(1);
    }
    let known = row_functions::known(name).map(|(_, least, most, _)| (*least, *most));
    let other = OTHERS.iter().find(|(known, ..)| *known == name);
    let Some((least, most)) = known.or(other.map(|(_, least, most)| (*least, *most))) else {
        return Err(unknown(name, place));
    };
    if !(least..=most).contains(&args.len()) {
        let wanted = match (least, most) {
            (least, MANY..) => format!("at least {least}"),
            (least, most) if least == most => format!("{least}"),
            (least, most) => format!("{least} to {most}"),
        };
        return Err(Diagnostic::new(
            format!(
                "the arguments of '{name}' do not fit: there are {}",
                args.len()
            ),
            place.clone(),
            &format!("it takes {wanted}"),
        ));
    }
    let kinds: Vec<DataType> = args.iter().map(|arg| type_of(arg, rows)).collect();
    if let Some(special) = special(name, &args, &kinds, place)? {
        return Ok(special);
    }
    if known.is_some() {
        return Ok(call(name, args));
    }
    let result = match args.as_slice() {
        [] if name == "now" => Some(time(now.as_microsecond())),
        [one] => of_one(name, one, &kinds[0], now),
        [one, two] => of_two(name, one, two, &kinds),
        _ => None,
    };
    let result = result.or_else(|| of_many(name, &args, &kinds));
    result.ok_or_else(|| {
        Diagnostic::new(
            format!("the arguments of '{name}' do not fit"),
            place.clone(),
            "look at their types with getschema",
        )
    })
}

fn unknown(name: &str, place: &Range<usize>) -> Diagnostic {
    let known = row_functions::all().map(|(name, ..)| *name);
    let known = known.chain(OTHERS.iter().map(|(name, ..)| *name));
    let known = known.chain(ALIASES.iter().map(|(alias, _)| *alias));
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
}

/// What depends on the types of arguments, or has a faster form of the engine's.
fn special(
    name: &str,
    args: &[DfExpr],
    kinds: &[DataType],
    place: &Range<usize>,
) -> Result<Option<DfExpr>, Diagnostic> {
    let pattern = match name {
        "extract" | "extract_all" | "trim" | "trim_start" | "trim_end" => args.first(),
        "matches_regex" | "replace_regex" => args.get(1),
        _ => None,
    };
    if let Some(pattern) = pattern.and_then(text_of) {
        checked(&pattern, place)?;
    }
    let is_time = matches!(kinds.first(), Some(DataType::Timestamp(..)));
    if let Some(document) = documents(name, args, kinds) {
        return Ok(Some(document));
    }
    Ok(Some(match (name, args) {
        ("extract", [regex, group, text, kind]) => {
            let found = call(name, vec![regex.clone(), group.clone(), text.clone()]);
            typed(found, &text_of(kind).unwrap_or_default())
        }
        ("parse_json", [one]) if is_list(&kinds[0]) => one.clone(),
        // A part of a list that is asked for by its number.
        ("split", [text, by, number]) => {
            let list = call(name, vec![text.clone(), by.clone()]);
            let number = long(number.clone()) + lit(1_i64);
            make_array(vec![array_element(list, number)])
        }
        ("todatetime", [one]) if is_time => one.clone(),
        ("totimespan", [one]) if kinds[0] == span_type() => one.clone(),
        ("totimespan", [one]) if kinds[0].is_numeric() => cast(long(one.clone()), span_type()),
        ("startofday" | "startofmonth" | "startofweek", [one]) if is_time => {
            return Ok(of_one(name, one, &kinds[0], Timestamp::UNIX_EPOCH));
        }
        ("array_length", [one]) if is_list(&kinds[0]) => {
            let none = one.clone().is_null();
            let length = df::coalesce(vec![long(array_length(one.clone())), lit(0_i64)]);
            df_case(none, lit(ScalarValue::Int64(None)), length)
        }
        ("gettype", [one]) => match super::output::kusto_kind(&kinds[0]) {
            "string" => call("gettype_of_text", vec![one.clone()]),
            "dynamic" => lit("array"),
            other => lit(other),
        },
        ("rand", []) => df::random(),
        ("rand", [most]) => cast(
            df::floor(df::random() * cast(most.clone(), DataType::Float64)),
            DataType::Int64,
        ),
        ("new_guid", []) => df::uuid(),
        ("pi", []) => lit(std::f64::consts::PI),
        ("format_datetime", [one, _]) if kinds[0] == span_type() => {
            call("format_timespan", vec![one.clone(), args[1].clone()])
        }
        _ => return Ok(None),
    }))
}

/// Lists and documents of values, which are texts, numbers and the like within them.
fn documents(name: &str, args: &[DfExpr], kinds: &[DataType]) -> Option<DfExpr> {
    let quoted = || {
        let pairs = args.iter().zip(kinds);
        let value = |(arg, kind): (&DfExpr, &DataType)| match kind {
            DataType::Utf8 => call("as_value", vec![arg.clone()]),
            _ => arg.clone(),
        };
        pairs.map(value).collect::<Vec<_>>()
    };
    Some(match (name, args) {
        // The names of a document are texts; its values are what they are.
        ("bag_pack", [_, ..]) => {
            let mut pairs = quoted();
            for (pair, name) in pairs.chunks_mut(2).zip(args.chunks(2)) {
                pair[0] = name[0].clone();
            }
            call(name, pairs)
        }
        ("bag_set_key", [bag, key, _]) => {
            let value = quoted().pop().unwrap_or_else(|| lit(""));
            call(name, vec![bag.clone(), key.clone(), value])
        }
        ("array", _) if args.is_empty() => lit("[]"),
        ("bag_pack", _) if args.is_empty() => lit("{}"),
        ("array", _) if kinds.windows(2).any(|pair| pair[0] != pair[1]) => {
            call("array_of", quoted())
        }
        _ => return None,
    })
}

/// A text as what a word such as `long` names.
pub(super) fn typed(value: DfExpr, kind: &str) -> DfExpr {
    match kind {
        "datetime" | "date" => call("todatetime", vec![value]),
        "timespan" | "time" => call("totimespan", vec![value]),
        kind => try_cast(value, super::sources::kind_type(kind)),
    }
}

fn of_one(name: &str, one: &DfExpr, kind: &DataType, now: Timestamp) -> Option<DfExpr> {
    let one = one.clone();
    let instant = |one: DfExpr| time_of(one, kind);
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
        "tostring" => shown(one, kind),
        "tolong" if *kind == DataType::Utf8 => df::coalesce(vec![
            try_cast(one.clone(), DataType::Int64),
            call("from_hex", vec![one]),
        ]),
        "tolong" => try_cast(one, DataType::Int64),
        "toreal" => try_cast(one, DataType::Float64),
        "tobool" => try_cast(one, DataType::Boolean),
        "tolower" => df::lower(shown(one, kind)),
        "toupper" => df::upper(shown(one, kind)),
        "strcat" => shown(one, kind),
        "isempty" => one.clone().is_null().or(shown(one, kind).eq(lit(""))),
        "isnotempty" => one
            .clone()
            .is_not_null()
            .and(shown(one, kind).not_eq(lit(""))),
        "isnull" => one.is_null(),
        "isnotnull" => one.is_not_null(),
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
        "extract_json" => call("json_member", vec![two, one]),
        _ => return None,
    })
}

fn of_many(name: &str, args: &[DfExpr], kinds: &[DataType]) -> Option<DfExpr> {
    Some(match (name, args) {
        ("strcat", _) => {
            let pairs = args.iter().cloned().zip(kinds);
            df::concat(pairs.map(|(arg, kind)| shown(arg, kind)).collect())
        }
        ("array", _) => make_array(args.to_vec()),
        ("extract_json", [path, document, kind]) => {
            let found = call("json_member", vec![document.clone(), path.clone()]);
            typed(found, &text_of(kind).unwrap_or_default())
        }
        // An empty text is as good as none.
        ("coalesce", _) if kinds.contains(&DataType::Utf8) => {
            let mut values = alike(args, kinds);
            let last = values.pop()?;
            let rest = values.into_iter().map(|one| df::nullif(one, lit("")));
            df::coalesce(rest.chain([last]).collect())
        }
        ("coalesce", _) => df::coalesce(alike(args, kinds)),
        ("least" | "greatest", _) => {
            let better = |a: DfExpr, b: DfExpr| {
                let is = if name == "least" {
                    a.clone().lt_eq(b.clone())
                } else {
                    a.clone().gt_eq(b.clone())
                };
                df_case(is.or(b.clone().is_null()), a, b)
            };
            alike(args, kinds).into_iter().reduce(better)?
        }
        ("iff", [condition, ..]) => {
            let mut values = alike(&args[1..], &kinds[1..]);
            let (no, yes) = (values.pop()?, values.pop()?);
            df_case(truth(condition, &kinds[0]), yes, no)
        }
        ("case", _) if args.len() % 2 == 1 => {
            let is_value = |index: &usize| index % 2 == 1 || *index + 1 == args.len();
            let places: Vec<usize> = (0..args.len()).filter(is_value).collect();
            let values: Vec<DfExpr> = places.iter().map(|index| args[*index].clone()).collect();
            let of: Vec<DataType> = places.iter().map(|index| kinds[*index].clone()).collect();
            let mut values = alike(&values, &of);
            let last = values.pop()?;
            let conditions = (0..values.len()).map(|pair| truth(&args[pair * 2], &kinds[pair * 2]));
            let pairs = conditions.zip(values).collect::<Vec<_>>();
            pairs
                .into_iter()
                .rev()
                .fold(last, |no, (condition, yes)| df_case(condition, yes, no))
        }
        ("bin_at", [value, width, fixed]) => bin_at(value, width, fixed, kinds),
        _ => return None,
    })
}

/// A condition as one: of a number, whether it is not 0; of a text, whether it reads so.
fn truth(condition: &DfExpr, kind: &DataType) -> DfExpr {
    match kind {
        DataType::Boolean | DataType::Null => condition.clone(),
        _ => try_cast(condition.clone(), DataType::Boolean),
    }
}

/// The lower end of the step in which a value lies, where steps begin at a fixed one.
fn bin_at(value: &DfExpr, width: &DfExpr, fixed: &DfExpr, kinds: &[DataType]) -> DfExpr {
    let is_real = kinds.iter().any(DataType::is_floating);
    let number = |one: &DfExpr| match is_real {
        true => try_cast(one.clone(), DataType::Float64),
        false => long(one.clone()),
    };
    let over = number(value) - number(fixed);
    let kind = if is_real {
        DataType::Float64
    } else {
        DataType::Int64
    };
    let shifted = bin(over, number(width), &[kind.clone(), kind.clone()]);
    let kind = if is_real { kind } else { kinds[0].clone() };
    cast(shifted + number(fixed), kind)
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

/// Values as one type: what they all have, numbers as reals, all else as texts.
pub(super) fn alike(values: &[DfExpr], kinds: &[DataType]) -> Vec<DfExpr> {
    let there: Vec<&DataType> = kinds
        .iter()
        .filter(|kind| **kind != DataType::Null)
        .collect();
    if there.windows(2).all(|pair| pair[0] == pair[1]) {
        return values.to_vec();
    }
    if there.iter().all(|kind| kind.is_integer()) {
        return values.iter().cloned().map(long).collect();
    }
    if there.iter().all(|kind| kind.is_numeric()) {
        let real = |one: &DfExpr| cast(one.clone(), DataType::Float64);
        return values.iter().map(real).collect();
    }
    let pairs = values.iter().cloned().zip(kinds);
    pairs.map(|(value, kind)| shown(value, kind)).collect()
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

/// A member of a JSON document by the names on the way to it.
pub(super) fn json_member<'a>(of: DfExpr, path: impl Iterator<Item = &'a str>) -> DfExpr {
    path.fold(of, |of, name| call("json_member", vec![of, lit(name)]))
}

#[cfg(test)]
mod tests {
    use watchfloor_query::catalog::{FUNCTIONS, FunctionGroup};

    use super::super::aggregates::NAMES;
    use super::{ALIASES, OTHERS, row_functions};

    /// What lowering makes of operators and members, and nobody writes.
    const WITHIN: [&str; 30] = [
        "array_of",
        "as_text",
        "as_value",
        "bags_of_list",
        "contains",
        "contains_cs",
        "dynamic_to_json",
        "endswith",
        "endswith_cs",
        "event_id",
        "file_name",
        "format_span",
        "from_hex",
        "gettype_of_text",
        "has",
        "has_all",
        "has_any",
        "has_cs",
        "hash_of",
        "hasprefix",
        "hasprefix_cs",
        "hassuffix",
        "hassuffix_cs",
        "item_numbers",
        "json_items",
        "json_member",
        "json_rows",
        "list_has",
        "list_has_folded",
        "object_in",
    ];
    /// The same under other names.
    const SAME: [&str; 6] = [
        "columnifexists",
        "matches_regex",
        "parse_kv_value",
        "replace",
        "startswith",
        "startswith_cs",
    ];

    #[test]
    fn the_catalog_tells_the_functions_that_there_are() {
        let is_known = |name: &str| {
            NAMES.contains(&name)
                || OTHERS.iter().any(|(known, ..)| *known == name)
                || ALIASES.iter().any(|(alias, _)| *alias == name)
                || row_functions::known(name).is_some()
        };
        for function in FUNCTIONS {
            assert!(is_known(function.name), "{} is not known", function.name);
            let is_aggregate = function.group == FunctionGroup::Aggregate;
            assert_eq!(
                NAMES.contains(&function.name),
                is_aggregate,
                "{}",
                function.name
            );
        }
        let is_told = |name: &str| FUNCTIONS.iter().any(|function| function.name == name);
        let others = OTHERS.iter().map(|(name, ..)| *name);
        for name in others.chain(row_functions::all().map(|(name, ..)| *name)) {
            let is_within = WITHIN.contains(&name) || SAME.contains(&name);
            assert!(is_told(name) || is_within, "{name} is not told");
        }
    }
}
