//! `watchfloor rules explain`: why a rule matches an event, or does not.

use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};
use watchfloor_decode::{Decoder, Limits};
use watchfloor_detect::{Body, Explanation, Gate, Read, Step, What, explain};
use watchfloor_event::{EventBatch, Logsource};
use watchfloor_rules::RuleSet;

use crate::cli::{ExplainArgs, ExplainFormat};
use crate::command::visible;
use crate::rules::backtest;
use crate::{Outcome, content, files};

/// Questions shown that were answered with no, per field; the rest is counted.
const MAX_SHOWN: usize = 12;
/// Longest value shown, in characters.
const MAX_VALUE: usize = 400;

pub(crate) fn run(args: &ExplainArgs) -> Result<Outcome> {
    let (set, ids) = chosen(args)?;
    let batch = events(&args.event, args.position)?;
    let mut is_matched = false;
    let mut objects = Vec::new();
    let mut output = std::io::stdout().lock();
    let paint = Paint {
        is_on: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    for row in 0..batch.len() {
        let event = json!({
            "kind": *batch.kind_of(row).name,
            "source": *batch.rows()[row].source,
            "position": batch.rows()[row].id.position(),
            "time": batch.rows()[row].time.to_string(),
        });
        for id in &ids {
            let Some(explained) = explain(&set, id, &batch, row) else {
                continue;
            };
            is_matched |= explained.matched;
            match args.format {
                ExplainFormat::Json => {
                    let mut object = explained.to_json();
                    object["event"] = event.clone();
                    objects.push(object);
                }
                ExplainFormat::Text => {
                    let mut lines = Lines {
                        out: String::new(),
                        paint,
                    };
                    lines.explanation(&explained, &event, 0);
                    output.write_all(lines.out.as_bytes())?;
                }
            }
        }
    }
    for object in objects {
        writeln!(output, "{object:#}")?;
    }
    Ok(if is_matched {
        Outcome::Done
    } else {
        Outcome::Found
    })
}

/// The rules that are asked for, among all that they may rest on.
fn chosen(args: &ExplainArgs) -> Result<(RuleSet, Vec<String>)> {
    let options = content::load_options(&args.shaping)?;
    let mut others = content::embedded("rules/");
    others.extend(content::files_below(&args.rules)?);
    let rule = args.rule.as_str();
    if Path::new(rule).is_file() {
        content::load_shaped([], &options)?;
        let text = content::files_below(&[rule.into()])?;
        let text = text.first().map(|file| file.text.clone());
        let (set, ids, _) = backtest::rules_of(&text.unwrap_or_default(), rule, &others, &options)
            .map_err(|(line, reason)| anyhow!("{rule}:{line}: {reason}"))?;
        return Ok((set, ids.into_iter().collect()));
    }
    let set = content::load_shaped(others, &options)?;
    let by_id = set.metas().filter(|meta| meta.id == rule);
    let mut ids: Vec<String> = by_id.map(|meta| meta.id.clone()).collect();
    if ids.is_empty() {
        let by_title = set.metas().filter(|meta| {
            meta.title.eq_ignore_ascii_case(rule) || (!meta.name.is_empty() && meta.name == rule)
        });
        ids = by_title.map(|meta| meta.id.clone()).collect();
    }
    let refused = set.refused.iter().find(|one| one.rule == rule);
    match (ids.is_empty(), refused) {
        (false, _) => Ok((set, ids)),
        (true, Some(one)) => bail!("{}:{}: {}", one.path, one.line, one.reason),
        (true, None) => bail!(
            "{rule} is neither a file nor the id or title of a rule; 'watchfloor rules list' shows them, and --rules names more"
        ),
    }
}

/// The events of one record of a file.
fn events(path: &Path, position: Option<u64>) -> Result<EventBatch> {
    let mut decoder = Decoder::new(Limits::STANDARD);
    let mut batch = EventBatch::new();
    let count = files::each_record(path, None, &mut |record| {
        // Without a position there must be one record alone.
        if position.unwrap_or(0) == record.position {
            decoder.decode(&mut batch, &record);
        }
        if position == Some(record.position) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    let source = path.display();
    match (position, count) {
        (_, 0) => bail!("{source} holds no record"),
        (None, 2..) => {
            bail!("{source} holds {count} records; name one of them with --position, from 0")
        }
        (Some(wanted), _) if batch.is_empty() => {
            bail!("{source} has no record {wanted}; it holds {count}, counted from 0")
        }
        _ => {}
    }
    content::packs(&[])?.normalize(&mut batch);
    Ok(batch)
}

/// Colours of a terminal, or none.
#[derive(Clone, Copy)]
struct Paint {
    is_on: bool,
}

impl Paint {
    fn mark(self, holds: bool) -> &'static str {
        match (self.is_on, holds) {
            (true, true) => "\u{1b}[32m✓\u{1b}[0m",
            (true, false) => "\u{1b}[31m✗\u{1b}[0m",
            (false, true) => "✓",
            (false, false) => "✗",
        }
    }

    fn faint(self, text: &str) -> String {
        if self.is_on {
            format!("\u{1b}[2m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The lines of an explanation.
struct Lines {
    out: String,
    paint: Paint,
}

impl Lines {
    fn line(&mut self, depth: usize, text: &str) {
        self.out.push_str(&"  ".repeat(depth));
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn explanation(&mut self, one: &Explanation, event: &Value, depth: usize) {
        let verdict = match (&one.body, one.matched) {
            (Body::Event { .. }, true) => "matches",
            (Body::Event { .. }, false) => "does not match",
            (Body::Several { .. }, true) => "counts this event",
            (Body::Several { .. }, false) => "does not count this event",
        };
        let head = format!(
            "{} {} ({}) {verdict}",
            self.paint.mark(one.matched),
            visible(&one.title),
            visible(&one.rule_id)
        );
        self.line(depth, &head);
        if depth == 0 {
            let text = |key: &str| visible(event[key].as_str().unwrap_or_default());
            let (kind, time) = (text("kind"), text("time"));
            self.line(
                1,
                &format!("event: {kind}, {time}, record {}", event["position"]),
            );
        }
        match &one.body {
            Body::Event {
                gate,
                conditions,
                tree,
            } => {
                self.gate(gate, depth + 1);
                for condition in conditions {
                    self.line(depth + 1, &format!("condition: {}", visible(condition)));
                }
                self.step(tree, depth + 1);
            }
            Body::Several {
                kind,
                needs,
                fields,
                bases,
            } => {
                for need in needs {
                    self.line(depth + 1, &format!("{kind}: {}", visible(need)));
                }
                for field in fields {
                    let line = format!("reads {}", self.read(field));
                    self.line(depth + 1, &line);
                }
                for base in bases {
                    self.explanation(base, event, depth + 1);
                }
            }
        }
    }

    fn gate(&mut self, gate: &Gate, depth: usize) {
        let offers: Vec<String> = gate.offers.iter().map(source_words).collect();
        let offers = if offers.is_empty() {
            "no log source".to_owned()
        } else {
            offers.join("; ")
        };
        let line = format!(
            "{} log source: the rule asks for {}; this event is {}, which answers to {}",
            self.paint.mark(gate.passed),
            visible(&source_words(&gate.asks)),
            visible(&gate.kind),
            visible(&offers)
        );
        self.line(depth, &line);
    }

    fn read(&self, read: &Read) -> String {
        let field = read.field.as_deref().unwrap_or_default();
        match (&read.place, &read.value) {
            (Some(place), Some(value)) => {
                format!(
                    "{} {} = {}",
                    visible(field),
                    self.place(place, field),
                    shown(value)
                )
            }
            _ => {
                let places = format!("absent; looked in {}", read.places.join(", "));
                format!("{} {}", visible(field), self.paint.faint(&visible(&places)))
            }
        }
    }

    fn place(&self, place: &str, field: &str) -> String {
        if place == field {
            return String::new();
        }
        self.paint.faint(&format!("({})", visible(place)))
    }

    fn step(&mut self, step: &Step, depth: usize) {
        let mark = self.paint.mark(step.holds);
        let text = match &step.what {
            What::All => "all of".to_owned(),
            What::Any => "one of".to_owned(),
            What::Not => "not".to_owned(),
            What::Selection(name) => visible(name),
            What::Field(read) if read.field.is_none() => "keywords, in any value".to_owned(),
            What::Field(read) => self.read(read),
            What::Question(answered) => format!(
                "{}  {}",
                shown(&answered.written),
                self.paint.faint(&visible(&cut(&format!(
                    "{}: {}",
                    answered.compared, answered.why
                ))))
            ),
        };
        self.line(depth, &format!("{mark} {text}"));
        let is_plain = |step: &&Step| matches!(step.what, What::Question(_)) && !step.holds;
        let mut left = MAX_SHOWN;
        let mut hidden = 0;
        for part in &step.below {
            if is_plain(&part) {
                if left == 0 {
                    hidden += 1;
                    continue;
                }
                left -= 1;
            }
            self.step(part, depth + 1);
        }
        if hidden > 0 {
            let mark = self.paint.mark(false);
            self.line(
                depth + 1,
                &format!("{mark} and {hidden} more, none of which is met"),
            );
        }
    }
}

fn shown(value: &str) -> String {
    format!("'{}'", visible(&cut(value)))
}

fn cut(value: &str) -> String {
    if value.chars().count() <= MAX_VALUE {
        return value.to_owned();
    }
    let mut cut: String = value.chars().take(MAX_VALUE).collect();
    cut.push('\u{2026}');
    cut
}

fn source_words(source: &Logsource) -> String {
    let parts = [
        ("product", &source.product),
        ("category", &source.category),
        ("service", &source.service),
    ];
    let words: Vec<String> = parts
        .into_iter()
        .filter_map(|(name, part)| Some(format!("{name} {}", part.as_deref()?)))
        .collect();
    if words.is_empty() {
        "events of every source".to_owned()
    } else {
        words.join(", ")
    }
}
