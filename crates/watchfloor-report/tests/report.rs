//! A report of a real-looking intrusion with hostile text in every field.
//!
//! `WATCHFLOOR_REPORT_DIR=/tmp/x` keeps the documents, to look at.

#![expect(
    clippy::disallowed_methods,
    reason = "tests may look at the clock and leave a PDF to be looked at"
)]

use std::time::Instant;

use watchfloor_model::{Severity, Tlp};
use watchfloor_report::{
    IncidentReport, ReportAlert, ReportClock, ReportDecision, ReportNote, ReportObservable,
    ReportScope, ReportTask, ReportTechnique, ReportTimelineEntry, incident_html, incident_pdf,
};

/// Text that would be markup, script or a hidden change of direction.
const HOSTILE: &str =
    "<script>alert(1)</script> #panic() *bold* $x$ `raw` \"quoted\" \\ \u{202e}fdp.exe\u{1b}[31m";

fn s(text: &str) -> String {
    text.to_owned()
}

fn alert(number: usize, title: &str, severity: Severity, at: &str) -> ReportAlert {
    ReportAlert {
        id: format!("alr-{number:016x}"),
        title: s(title),
        severity,
        at: format!("2026-03-02 {at} UTC"),
        summary: s("j.doe ran powershell.exe with an encoded command on ws-042"),
        rule: s("Suspicious Encoded PowerShell (f4bbd493)"),
        count: number as u64,
        verdict: String::new(),
        techniques: vec![s("T1059.001"), s("T1027")],
        matched: vec![
            (
                s("process.cmd_line"),
                format!(
                    "powershell.exe -NoP -W Hidden -Enc {}",
                    "SQBFAFgAKABOAGUAdwAt".repeat(12)
                ),
            ),
            (
                s("process.file.path"),
                s("C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"),
            ),
        ],
        reasons: vec![s(
            "shares host ws-042 and user j.doe with alert “Log-on after guessing” (alr-2), 4 min apart",
        )],
    }
}

fn report() -> IncidentReport {
    let titles = [
        ("SSH password guessing", Severity::Medium, "10:02:11"),
        ("Log-on after password guessing", Severity::High, "10:09:40"),
        (
            "Suspicious encoded PowerShell command line",
            Severity::High,
            "10:31:05",
        ),
        (
            "Credential dumping from LSASS memory",
            Severity::Critical,
            "10:44:52",
        ),
        (
            "Remote service creation from a workstation",
            Severity::High,
            "10:58:30",
        ),
        (
            "Large upload to an address never seen before",
            Severity::High,
            "11:12:17",
        ),
    ];
    IncidentReport {
        number: 7,
        title: s("Initial access to exfiltration on ws-042 and srv-fs01 by j.doe"),
        summary: s(
            "6 alerts from 2026-03-02 10:02 UTC to 2026-03-02 11:12 UTC. It begins with “SSH password guessing”; the latest is “Large upload to an address never seen before”. Hosts: web-01, ws-042 and srv-fs01. Users: deploy and j.doe. Tactics seen: initial access, execution, credential access, lateral movement and exfiltration.",
        ),
        severity: Severity::Critical,
        status: s("Contained"),
        verdict: s("True positive"),
        assignee: s("Ada Lovelace"),
        marking: Tlp::Amber,
        made_at: s("2026-03-02 12:30:00 UTC"),
        made_by: s("ada"),
        first_time: s("2026-03-02 10:02:11 UTC"),
        last_time: s("2026-03-02 11:12:17 UTC"),
        clocks: vec![
            ReportClock {
                name: s("Detected"),
                at: s("2026-03-02 10:09:41 UTC"),
                after: None,
            },
            ReportClock {
                name: s("Acknowledged"),
                at: s("2026-03-02 10:15:03 UTC"),
                after: Some(s("5 min")),
            },
            ReportClock {
                name: s("Contained"),
                at: s("2026-03-02 11:40:12 UTC"),
                after: Some(s("1 h 30 min")),
            },
            ReportClock {
                name: s("Resolved"),
                at: s("not yet"),
                after: None,
            },
        ],
        path: [
            "Initial access",
            "Execution",
            "Credential access",
            "Lateral movement",
            "Exfiltration",
        ]
        .iter()
        .map(|tactic| ReportTechnique {
            tactic: s(tactic),
            techniques: vec![s("T1110.001"), s("T1059.001")],
            alerts: 2,
        })
        .collect(),
        scope: vec![
            ReportScope {
                kind: s("host"),
                value: s("ws-042"),
                roles: s("source, target"),
                alerts: 4,
            },
            ReportScope {
                kind: s("user"),
                value: s("CORP\\j.doe"),
                roles: s("actor"),
                alerts: 4,
            },
            ReportScope {
                kind: s("address"),
                value: s("203.0.113.66"),
                roles: s("source"),
                alerts: 2,
            },
            ReportScope {
                kind: s("file"),
                value: HOSTILE.to_owned(),
                roles: s("target"),
                alerts: 1,
            },
        ],
        timeline: titles
            .iter()
            .map(|(title, severity, at)| ReportTimelineEntry {
                at: format!("2026-03-02 {at} UTC"),
                kind: s("alert"),
                title: s(title),
                detail: s("j.doe ran powershell.exe with an encoded command on ws-042"),
                actor: String::new(),
                severity: Some(*severity),
            })
            .chain([ReportTimelineEntry {
                at: s("2026-03-02 11:40:12 UTC"),
                kind: s("status"),
                title: s("Status changed"),
                detail: s("in_progress to contained"),
                actor: s("ada"),
                severity: None,
            }])
            .collect(),
        alerts: titles
            .iter()
            .enumerate()
            .map(|(number, (title, severity, at))| alert(number + 1, title, *severity, at))
            .collect(),
        tasks: vec![
            ReportTask {
                title: s("Isolate ws-042"),
                status: s("done"),
                assignee: s("ada"),
            },
            ReportTask {
                title: s("Reset the passwords of j.doe and deploy"),
                status: s("open"),
                assignee: String::new(),
            },
        ],
        notes: vec![ReportNote {
            at: s("2026-03-02 11:02:00 UTC"),
            author: s("ada"),
            text: format!("{HOSTILE}\nSecond line."),
        }],
        observables: vec![ReportObservable {
            kind: s("address"),
            value: s("198.51.100.20"),
            note: s("upload target"),
        }],
        decisions: vec![ReportDecision {
            at: s("2026-03-02 11:40:12 UTC"),
            actor: s("ada"),
            text: s("incident status: in_progress to contained"),
        }],
    }
}

fn keep(name: &str, bytes: &[u8]) {
    if let Some(folder) = std::env::var_os("WATCHFLOOR_REPORT_DIR") {
        std::fs::write(std::path::Path::new(&folder).join(name), bytes).unwrap();
    }
}

#[test]
fn html_shows_hostile_text_and_runs_none() {
    let html = incident_html(&report());
    keep("incident.html", html.as_bytes());
    assert!(!html.contains("<script"));
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(html.contains("⟨U+202E⟩fdp.exe⟨U+001B⟩[31m"));
    assert!(!html.contains('\u{202e}') && !html.contains('\u{1b}'));
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn pdf_is_made_of_hostile_text() {
    let started = Instant::now();
    let pdf = incident_pdf(&report()).unwrap();
    println!("first pdf: {:?}, {} bytes", started.elapsed(), pdf.len());
    let started = Instant::now();
    let mut other = report();
    other.title = HOSTILE.to_owned();
    let pdf = incident_pdf(&other).unwrap();
    println!("second pdf: {:?}", started.elapsed());
    keep("hostile.pdf", &pdf);
    let pdf = incident_pdf(&report()).unwrap();
    keep("incident.pdf", &pdf);
    assert!(pdf.starts_with(b"%PDF-"));
}
