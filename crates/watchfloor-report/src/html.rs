//! An incident report as one self-contained page without script, made to be printed.

use std::fmt::Write;

use watchfloor_model::Severity;

use crate::IncidentReport;
use crate::text::visible;

const STYLE: &str = include_str!("../assets/report.css");

/// Escapes text for content and quoted attributes.
fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A page under construction. Writing to a string cannot fail, so results are dropped here,
/// in one place.
struct Page(String);

impl Page {
    fn add(&mut self, parts: std::fmt::Arguments<'_>) {
        let _strings_do_not_fail = self.0.write_fmt(parts);
    }

    fn heading(&mut self, text: &str) {
        self.add(format_args!("<h2>{}</h2>\n", esc(text)));
    }

    fn table(&mut self, class: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
        self.add(format_args!("<table class=\"{class}\"><thead><tr>"));
        for cell in head {
            self.add(format_args!("<th scope=\"col\">{}</th>", esc(cell)));
        }
        self.add(format_args!("</tr></thead><tbody>\n"));
        for row in rows {
            self.add(format_args!("<tr>"));
            for cell in row {
                self.add(format_args!("<td>{cell}</td>"));
            }
            self.add(format_args!("</tr>\n"));
        }
        self.add(format_args!("</tbody></table>\n"));
    }
}

fn badge(severity: Severity) -> String {
    format!("<span class=\"severity {severity}\">{severity}</span>")
}

/// Renders the report.
pub fn incident_html(report: &IncidentReport) -> String {
    let mut page = Page(String::with_capacity(64 * 1024));
    page.add(format_args!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>Incident {} – {}</title>\n<style>{STYLE}</style></head>\n<body><main>\n",
        report.number,
        esc(&report.title)
    ));
    head(&mut page, report);
    clocks_and_path(&mut page, report);
    scope_and_timeline(&mut page, report);
    alerts(&mut page, report);
    work(&mut page, report);
    page.add(format_args!(
        "<footer><span>{}</span><span>Incident {} · made {} by {} · Watchfloor</span></footer>\n</main></body></html>\n",
        report.marking,
        report.number,
        esc(&report.made_at),
        esc(&report.made_by)
    ));
    page.0
}

fn head(page: &mut Page, report: &IncidentReport) {
    page.add(format_args!(
        "<header><p class=\"marking\">{}</p><p class=\"kind\">Incident report · #{}</p><h1>{}</h1></header>\n<dl class=\"facts\">",
        report.marking,
        report.number,
        esc(&report.title)
    ));
    let or_none = |text: &str| {
        if text.is_empty() {
            "none yet".to_owned()
        } else {
            esc(text)
        }
    };
    for (name, value) in [
        ("Severity", badge(report.severity)),
        ("Status", esc(&report.status)),
        ("Verdict", or_none(&report.verdict)),
        ("Lead", or_none(&report.assignee)),
        ("First event", esc(&report.first_time)),
        ("Last event", esc(&report.last_time)),
    ] {
        page.add(format_args!("<div><dt>{name}</dt><dd>{value}</dd></div>"));
    }
    page.add(format_args!("</dl>\n"));
    page.heading("Summary");
    page.add(format_args!(
        "<p class=\"summary\">{}</p>\n",
        esc(&report.summary)
    ));
}

fn clocks_and_path(page: &mut Page, report: &IncidentReport) {
    page.heading("Clocks");
    page.table(
        "clocks",
        &["Reached", "At", "After detection"],
        report.clocks.iter().map(|clock| {
            vec![
                esc(&clock.name),
                esc(&clock.at),
                esc(clock.after.as_deref().unwrap_or("–")),
            ]
        }),
    );
    if report.path.is_empty() {
        return;
    }
    page.heading("Path of the attack");
    page.add(format_args!("<ol class=\"path\">"));
    for step in &report.path {
        page.add(format_args!(
            "<li><strong>{}</strong><span>{}</span><em>{} alert{}</em></li>",
            esc(&step.tactic),
            esc(&step.techniques.join(", ")),
            step.alerts,
            if step.alerts == 1 { "" } else { "s" }
        ));
    }
    page.add(format_args!("</ol>\n"));
}

fn scope_and_timeline(page: &mut Page, report: &IncidentReport) {
    if !report.scope.is_empty() {
        page.heading("Scope");
        page.table(
            "scope",
            &["Kind", "Name", "Role", "Alerts"],
            report.scope.iter().map(|row| {
                vec![
                    esc(&row.kind),
                    format!("<code>{}</code>", esc(&row.value)),
                    esc(&row.roles),
                    row.alerts.to_string(),
                ]
            }),
        );
    }
    if !report.timeline.is_empty() {
        page.heading("Timeline");
        page.table(
            "timeline",
            &["Time", "What", "Who"],
            report.timeline.iter().map(|line| {
                let badge = line.severity.map_or_else(String::new, |s| badge(s) + " ");
                vec![
                    esc(&line.at),
                    format!(
                        "{badge}<strong>{}</strong><div>{}</div>",
                        esc(&line.title),
                        esc(&line.detail)
                    ),
                    esc(&line.actor),
                ]
            }),
        );
    }
}

fn alerts(page: &mut Page, report: &IncidentReport) {
    if report.alerts.is_empty() {
        return;
    }
    page.heading("Alerts");
    for alert in &report.alerts {
        page.add(format_args!(
            "<section class=\"alert\"><h3>{} {}</h3><p class=\"meta\">{} · {} · seen {} time{}{}{}</p><p>{}</p>",
            badge(alert.severity),
            esc(&alert.title),
            esc(&alert.at),
            esc(&alert.rule),
            alert.count,
            if alert.count == 1 { "" } else { "s" },
            if alert.verdict.is_empty() { "" } else { " · " },
            esc(&alert.verdict),
            esc(&alert.summary)
        ));
        if !alert.matched.is_empty() {
            page.table(
                "matched",
                &["Matched field", "Value"],
                alert
                    .matched
                    .iter()
                    .map(|(field, value)| vec![esc(field), format!("<code>{}</code>", esc(value))]),
            );
        }
        if !alert.reasons.is_empty() {
            page.add(format_args!(
                "<p class=\"meta\">Why it belongs here:</p><ul>"
            ));
            for reason in &alert.reasons {
                page.add(format_args!("<li>{}</li>", esc(reason)));
            }
            page.add(format_args!("</ul>"));
        }
        page.add(format_args!("</section>\n"));
    }
}

fn work(page: &mut Page, report: &IncidentReport) {
    if !report.tasks.is_empty() {
        page.heading("Tasks");
        page.table(
            "tasks",
            &["State", "Task", "Assignee"],
            report
                .tasks
                .iter()
                .map(|task| vec![esc(&task.status), esc(&task.title), esc(&task.assignee)]),
        );
    }
    if !report.notes.is_empty() {
        page.heading("Notes");
        for note in &report.notes {
            page.add(format_args!(
                "<section class=\"note\"><p class=\"meta\">{} · {}</p><p>{}</p></section>\n",
                esc(&note.at),
                esc(&note.author),
                esc(&note.text)
            ));
        }
    }
    if !report.observables.is_empty() {
        page.heading("Observables");
        page.table(
            "observables",
            &["Kind", "Value", "Note"],
            report.observables.iter().map(|row| {
                vec![
                    esc(&row.kind),
                    format!("<code>{}</code>", esc(&row.value)),
                    esc(&row.note),
                ]
            }),
        );
    }
    if !report.decisions.is_empty() {
        page.heading("Decisions");
        page.table(
            "decisions",
            &["Time", "Who", "What"],
            report
                .decisions
                .iter()
                .map(|row| vec![esc(&row.at), esc(&row.actor), esc(&row.text)]),
        );
    }
}
