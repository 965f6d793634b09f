//! Results of cases as JUnit XML, for the machines that run them.
//!
//! # Source
//! The form that Jenkins, GitLab and GitHub read: `testsuites` with `testsuite` and `testcase`.

use std::fmt::Write;
use std::time::Duration;

/// The cases of one rule file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Suite {
    /// Path of the rule file.
    pub name: String,
    pub cases: Vec<CaseResult>,
}

/// What became of a case.
#[derive(Clone, Debug)]
pub(crate) struct CaseResult {
    pub name: String,
    pub time: Duration,
    /// What is wrong; `None` where it passed.
    pub failure: Option<String>,
}

/// The document.
pub(crate) fn document(suites: &[Suite]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all: Vec<&CaseResult> = suites.iter().flat_map(|suite| &suite.cases).collect();
    // Writing to a text cannot fail.
    let _ = writeln!(
        xml,
        "<testsuites name=\"watchfloor rules test\" {}>",
        figures(&all)
    );
    for suite in suites {
        let cases: Vec<&CaseResult> = suite.cases.iter().collect();
        let name = escaped(&suite.name);
        let _ = writeln!(xml, "  <testsuite name=\"{name}\" {}>", figures(&cases));
        for case in cases {
            let _ = write!(
                xml,
                "    <testcase classname=\"{name}\" name=\"{}\" time=\"{:.6}\"",
                escaped(&case.name),
                case.time.as_secs_f64()
            );
            let _ = match &case.failure {
                None => writeln!(xml, "/>"),
                Some(message) => writeln!(
                    xml,
                    "><failure type=\"case\" message=\"{0}\">{0}</failure></testcase>",
                    escaped(message)
                ),
            };
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn figures(cases: &[&CaseResult]) -> String {
    let failed = cases.iter().filter(|case| case.failure.is_some()).count();
    let time: Duration = cases.iter().map(|case| case.time).sum();
    format!(
        "tests=\"{}\" failures=\"{failed}\" errors=\"0\" time=\"{:.6}\"",
        cases.len(),
        time.as_secs_f64()
    )
}

/// Text as XML 1.0 may hold it: what it has no place for is left out, escape sequences among it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => out.push(' '),
            '\u{fffe}' | '\u{ffff}' => {}
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
    }
    out
}
