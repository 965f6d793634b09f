//! The reference page of the language.

use std::fmt::Write;

use watchfloor_event::ocsf::{AttributeType, PROMOTED};

use super::{FUNCTIONS, FunctionGroup, JOIN_KINDS, OPERATORS, RENDERS, VERB_HELP};
use crate::field::CoreField;
use crate::pipe::TABLES;

/// The page `docs/guide/hunt-reference.md`, made from what the language knows.
pub fn reference() -> String {
    let mut page = String::from(
        "# The hunt language: reference\n\n\
         This page is made from the tables that the parser, completion and the engine use; a test holds it\n\
         against them. [Hunting](hunt.md) tells how to write a question.\n",
    );
    verbs(&mut page);
    operators(&mut page);
    functions(&mut page);
    fields(&mut page);
    tables(&mut page);
    page
}

/// A cell of a table: what would end it is written out.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn line(page: &mut String, cells: &[&str]) {
    // Writing to a text does not fail.
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

fn head(page: &mut String, title: &str, names: &[&str]) {
    let _ = write!(page, "\n## {title}\n\n");
    line(page, names);
    line(page, &vec!["---"; names.len()]);
}

fn verbs(page: &mut String) {
    head(page, "Verbs", &["Written", "What it does"]);
    for verb in VERB_HELP {
        line(
            page,
            &[&format!("`{}`", cell(verb.form)), &cell(verb.about)],
        );
    }
    let _ = write!(
        page,
        "\nKinds of `join`: `{}`. Kinds of `render`: `{}`.\n",
        JOIN_KINDS.join("`, `"),
        RENDERS.join("`, `")
    );
}

fn operators(page: &mut String) {
    head(page, "Operators", &["Written", "Holds where"]);
    let signs = [
        ("==", "both are equal; letter case counts"),
        ("=~", "both are equal; letter case does not count"),
        ("!=", "they differ; letter case counts"),
        ("!~", "they differ; letter case does not count"),
        ("< <= > >=", "by order"),
        (
            "+ - * / %",
            "sums, differences, products, quotients, remainders; times and spans too",
        ),
    ];
    for (operator, about) in signs.iter().chain(OPERATORS) {
        line(page, &[&format!("`{operator}`"), &cell(about)]);
    }
    page.push_str("\nThose in words come with `!` before for the opposite, and most with `_cs` behind, where letter case counts.\n");
}

fn functions(page: &mut String) {
    page.push_str("\n## Functions\n\nArguments in square brackets may be left out.\n");
    for (group, title) in FunctionGroup::ALL {
        let _ = write!(page, "\n### {title}\n\n");
        line(page, &["Written", "What it gives"]);
        line(page, &["---", "---"]);
        for function in FUNCTIONS.iter().filter(|one| one.group == group) {
            line(
                page,
                &[
                    &format!("`{}`", cell(&function.signature())),
                    &cell(function.about),
                ],
            );
        }
    }
}

fn fields(page: &mut String) {
    head(
        page,
        "Fields",
        &["Field", "Also written", "Type", "What it holds"],
    );
    line(
        page,
        &[
            "`time`",
            "`TimeGenerated` `Timestamp` `@timestamp`",
            "time",
            "when it happened (behind `|`)",
        ],
    );
    for (_, name, about) in CoreField::ALL {
        let kind = if name.ends_with("_id") {
            "number"
        } else {
            "text"
        };
        line(page, &[&format!("`{name}`"), "", kind, &cell(about)]);
    }
    for attribute in PROMOTED {
        let names = attribute.ecs.iter().chain(attribute.sigma);
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        let kind = match attribute.kind {
            AttributeType::Text => "text",
            AttributeType::Integer => "number",
        };
        let cells = [
            &format!("`{}`", attribute.path),
            &names.join(" "),
            kind,
            &cell(attribute.about),
        ];
        line(page, &cells.map(|text: &str| text));
    }
    page.push_str(
        "\nA name that is none of these is a field of the source; `unmapped.NAME` says so.\n",
    );
}

fn tables(page: &mut String) {
    head(page, "Tables", &["Table", "What it holds", "As a search"]);
    for (name, filter, about) in TABLES {
        let filter = match *filter {
            "" => "everything".to_owned(),
            filter => format!("`{}`", cell(filter)),
        };
        line(page, &[&format!("`{name}`"), &cell(about), &filter]);
    }
}
