//! Where findings go: their form on standard output.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};
use watchfloor_event::{EventBatch, EventId, Finding};
use watchfloor_normalize::to_ocsf_json;

use super::place;
use crate::cli::FindingFormat;
use crate::command::{csv_field, visible};

/// Where findings go.
pub(crate) struct Output {
    format: FindingFormat,
    writer: BufWriter<std::io::Stdout>,
    /// Files by number; none where events come from the lake.
    files: Vec<String>,
    by_rule: BTreeMap<(String, String), (u64, &'static str)>,
}

impl Output {
    pub(crate) fn new(format: FindingFormat) -> Self {
        Self {
            format,
            writer: BufWriter::new(std::io::stdout()),
            files: Vec::new(),
            by_rule: BTreeMap::new(),
        }
    }

    /// Tells events by these files, in the order of their numbers.
    pub(super) fn over(format: FindingFormat, files: &[PathBuf]) -> Self {
        let shown = |path: &PathBuf| path.to_string_lossy().into_owned();
        Self {
            files: files.iter().map(shown).collect(),
            ..Self::new(format)
        }
    }

    pub(crate) fn head(&mut self) -> Result<()> {
        match self.format {
            FindingFormat::Csv => writeln!(
                self.writer,
                "time,level,rule_id,rule,source,position,summary"
            )?,
            FindingFormat::Table => writeln!(
                self.writer,
                "{:<20} {:<13} {:<50} SOURCE",
                "TIME", "LEVEL", "RULE"
            )?,
            FindingFormat::Ndjson | FindingFormat::Summary => {}
        }
        Ok(())
    }

    /// Writes the findings about a batch, with its events.
    pub(crate) fn findings(&mut self, findings: &[Finding], batch: &EventBatch) -> Result<()> {
        if findings.is_empty() {
            return Ok(());
        }
        let rows = batch.rows().iter().enumerate();
        let mut by_id: Vec<(EventId, usize)> = rows.map(|(row, meta)| (meta.id, row)).collect();
        by_id.sort_unstable();
        let event = |id: &EventId| {
            let found = by_id.binary_search_by_key(id, |(id, _)| *id).ok()?;
            Some(to_ocsf_json(batch, by_id[found].1))
        };
        let mut all = findings.iter();
        all.try_for_each(|finding| self.finding(finding, &event))
    }

    fn finding(
        &mut self,
        finding: &Finding,
        event: &dyn Fn(&EventId) -> Option<Value>,
    ) -> Result<()> {
        let position = finding
            .event_ids
            .last()
            .map_or(0, |id| place::position(*id));
        match self.format {
            FindingFormat::Ndjson => {
                let line = self.as_json(finding, position, event);
                writeln!(self.writer, "{line}")?;
            }
            FindingFormat::Csv => {
                let fields = [
                    finding.time.to_string(),
                    finding.level.to_string(),
                    finding.rule_id.clone(),
                    finding.title.clone(),
                    finding.source.clone(),
                    position.to_string(),
                    finding.summary.clone(),
                ];
                let fields: Vec<String> = fields
                    .iter()
                    .map(|field| csv_field(&visible(field)))
                    .collect();
                writeln!(self.writer, "{}", fields.join(","))?;
            }
            FindingFormat::Table => {
                let title: String = visible(&finding.title).chars().take(50).collect();
                let time = format!("{:.0}", finding.time);
                writeln!(
                    self.writer,
                    "{time:<20} {:<13} {title:<50} {}:{position}",
                    finding.level.as_str(),
                    visible(&finding.source)
                )?;
            }
            FindingFormat::Summary => {
                let key = (finding.title.clone(), finding.rule_id.clone());
                self.by_rule
                    .entry(key)
                    .or_insert((0, finding.level.as_str()))
                    .0 += 1;
            }
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self) -> Result<()> {
        let mut rows: Vec<_> = std::mem::take(&mut self.by_rule).into_iter().collect();
        rows.sort_by(|left, right| right.1.0.cmp(&left.1.0).then_with(|| left.0.cmp(&right.0)));
        for ((title, id), (count, level)) in rows {
            writeln!(
                self.writer,
                "{count:>8}  {level:<13}  {}  ({id})",
                visible(&title)
            )?;
        }
        Ok(self.writer.flush()?)
    }

    fn as_json(
        &self,
        finding: &Finding,
        position: u64,
        event: &dyn Fn(&EventId) -> Option<Value>,
    ) -> Value {
        let mut line = json!({
            "rule_id": finding.rule_id,
            "rule": finding.title,
            "level": finding.level.as_str(),
            "time": finding.time.to_string(),
            "source": finding.source,
            "position": position,
            "rule_version": finding.rule_version,
            "summary": finding.summary,
            "tactics": finding.tactics,
            "techniques": finding.techniques,
            "reasons": finding.reasons.iter().map(|reason| json!({
                "selection": reason.selection, "field": reason.field, "value": reason.value, "pattern": reason.pattern,
            })).collect::<Vec<_>>(),
        });
        let events: Vec<Value> = finding.event_ids.iter().filter_map(event).collect();
        if finding.event_count == 1 {
            line["event"] = events.into_iter().next().unwrap_or_default();
        } else {
            line["event_count"] = json!(finding.event_count);
            line["events"] = finding
                .event_ids
                .iter()
                .map(|id| self.event_place(*id))
                .collect();
            line["event"] = events.into_iter().last().unwrap_or_default();
        }
        line
    }

    /// Where an event is: its file and position, or its id in the lake.
    fn event_place(&self, id: EventId) -> Value {
        match self.files.get(place::file(id)) {
            Some(file) => json!({"source": file, "position": place::position(id)}),
            None => json!(id.to_string()),
        }
    }
}
