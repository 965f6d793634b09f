//! Verbs, with how they are written and what they do.

use super::VerbHelp;

const fn verb(name: &'static str, form: &'static str, about: &'static str) -> VerbHelp {
    VerbHelp { name, form, about }
}

/// Every verb, in the order in which people look for them.
pub const VERB_HELP: &[VerbHelp] = &[
    verb(
        "where",
        "where CONDITION",
        "keeps the rows for which the condition holds",
    ),
    verb(
        "summarize",
        "summarize AGGREGATE, … by COLUMN, …",
        "one row per group, with aggregates such as count()",
    ),
    verb("extend", "extend NAME = EXPRESSION, …", "adds columns"),
    verb(
        "project",
        "project COLUMN, NAME = EXPRESSION, …",
        "makes these the columns",
    ),
    verb(
        "sort",
        "sort by COLUMN [asc|desc], …",
        "puts the rows in an order, largest first unless told otherwise",
    ),
    verb(
        "top",
        "top N by COLUMN [asc|desc]",
        "the first N rows of an order",
    ),
    verb("take", "take N", "some N rows"),
    verb("count", "count", "the number of rows"),
    verb(
        "distinct",
        "distinct COLUMN, …",
        "each combination of values once",
    ),
    verb(
        "search",
        "search WORDS",
        "keeps rows that hold words and field:value, as the search bar does",
    ),
    verb(
        "project-away",
        "project-away COLUMN, …",
        "takes columns out; names may hold *",
    ),
    verb(
        "project-keep",
        "project-keep COLUMN, …",
        "keeps only these columns; names may hold *",
    ),
    verb(
        "project-rename",
        "project-rename NEW = OLD, …",
        "gives columns other names",
    ),
    verb(
        "project-reorder",
        "project-reorder COLUMN, …",
        "puts these columns first",
    ),
    verb(
        "join",
        "join kind=inner (ROWS) on COLUMN",
        "pairs of rows that have the same values",
    ),
    verb(
        "lookup",
        "lookup (ROWS) on COLUMN",
        "adds the columns of matching rows",
    ),
    verb("union", "union (ROWS), …", "the rows of others as well"),
    verb(
        "parse",
        "parse TEXT with * 'from ' NAME ' ' *",
        "makes columns of parts of a text",
    ),
    verb(
        "parse-where",
        "parse-where TEXT with * 'from ' NAME *",
        "as parse, and keeps only the rows that fit",
    ),
    verb(
        "parse-kv",
        "parse-kv TEXT as (NAME: string, …) with (pair_delimiter=' ')",
        "makes columns of name=value pairs",
    ),
    verb(
        "mv-expand",
        "mv-expand COLUMN",
        "one row per item of a list",
    ),
    verb(
        "mv-apply",
        "mv-apply ITEM = LIST on (VERBS)",
        "verbs over the items of each row's list",
    ),
    verb(
        "make-series",
        "make-series N = count() on time step 1h by COLUMN",
        "one row per group with a value for each step of time",
    ),
    verb(
        "render",
        "render timechart",
        "how the console draws the rows",
    ),
    verb(
        "sequence",
        "sequence by COLUMN [SEARCH] [SEARCH] with maxspan=5m",
        "events that follow each other",
    ),
    verb(
        "top-hitters",
        "top-hitters N of COLUMN",
        "the values that most rows have",
    ),
    verb("sample", "sample N", "some N rows"),
    verb(
        "sample-distinct",
        "sample-distinct N of COLUMN",
        "some N distinct values",
    ),
    verb(
        "partition",
        "partition by COLUMN (VERBS)",
        "verbs for each value of a column",
    ),
    verb(
        "evaluate",
        "evaluate bag_unpack(COLUMN)",
        "columns out of the data: bag_unpack, pivot, narrow, ipv4_lookup",
    ),
    verb(
        "invoke",
        "invoke FUNCTION()",
        "a function of let over the rows so far",
    ),
    verb(
        "serialize",
        "serialize NAME = row_number()",
        "fixes the order for row_number(), prev() and next()",
    ),
    verb("getschema", "getschema", "the columns and their types"),
    verb("as", "as NAME", "names the rows so far"),
    verb("consume", "consume", "reads all rows and gives none"),
    verb("filter", "filter CONDITION", "the same as where"),
    verb("order", "order by COLUMN", "the same as sort"),
    verb("limit", "limit N", "the same as take"),
    verb("mvexpand", "mvexpand COLUMN", "the same as mv-expand"),
    verb(
        "project-by-names",
        "project-by-names COLUMN, …",
        "the same as project-keep",
    ),
    verb(
        "top-nested",
        "top-nested N of COLUMN by AGGREGATE",
        "read, and refused with a hint: use summarize and top",
    ),
    verb(
        "reduce",
        "reduce by COLUMN",
        "read, and refused with a hint: use summarize",
    ),
];
