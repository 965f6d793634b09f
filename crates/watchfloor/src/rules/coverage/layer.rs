//! A coverage as a Navigator layer.
//!
//! # Source
//! <https://github.com/mitre-attack/attack-navigator/blob/master/layers/spec/v4.5/layerformat.md>

use serde_json::{Value, json};

use super::{Coverage, RuleStanding, Stage, Technique};

/// Rules named in a comment; the rest is counted.
const MAX_NAMED: usize = 20;

/// What a layer says of itself.
#[derive(Clone, Debug)]
pub(crate) struct LayerHead {
    pub name: String,
    pub description: String,
}

impl Stage {
    /// The score in a layer, 0 to 4.
    pub(crate) const fn score(self) -> u32 {
        match self {
            Self::Known => 0,
            Self::Data => 1,
            Self::Rule => 2,
            Self::Tested => 3,
            Self::Fired => 4,
        }
    }

    /// Colours that stay apart for the colour-blind, and on white and black.
    const fn color(self) -> &'static str {
        match self {
            Self::Known => "#ffffff",
            Self::Data => "#c7d5e8",
            Self::Rule => "#f6c667",
            Self::Tested => "#5aa9e6",
            Self::Fired => "#1f7a4d",
        }
    }
}

impl Coverage {
    /// The layer. Techniques without data and without a rule in force are left out.
    pub(crate) fn layer(&self, head: &LayerHead) -> Value {
        let shown = self
            .techniques
            .iter()
            .filter(|one| one.stage > Stage::Known);
        let techniques: Vec<Value> = shown.map(technique).collect();
        let legend =
            Stage::SHOWN.map(|stage| json!({"label": stage.as_str(), "color": stage.color()}));
        let mut metadata: Vec<Value> = self
            .counts()
            .into_iter()
            .map(|(stage, count)| json!({"name": stage.as_str(), "value": count.to_string()}))
            .collect();
        for (tag, rules) in &self.deprecated {
            let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
            metadata.push(json!({"name": format!("deprecated {tag}"), "value": rules.join("; ")}));
        }
        json!({
            "name": head.name,
            "versions": {"attack": "18", "navigator": "5.1.0", "layer": "4.5"},
            "domain": "enterprise-attack",
            "description": head.description,
            "sorting": 3,
            "layout": {
                "layout": "side",
                "aggregateFunction": "max",
                "showID": true,
                "showName": true,
                "showAggregateScores": false,
                "countUnscored": false,
                "expandedSubtechniques": "annotated",
            },
            "hideDisabled": false,
            "techniques": techniques,
            "gradient": {
                "colors": Stage::SHOWN.map(Stage::color),
                "minValue": Stage::Data.score(),
                "maxValue": Stage::Fired.score(),
            },
            "legendItems": legend,
            "metadata": metadata,
            "showTacticRowBackground": false,
            "selectTechniquesAcrossTactics": true,
            "selectSubtechniquesWithParent": false,
            "selectVisibleTechniques": false,
        })
    }
}

fn technique(one: &Technique) -> Value {
    let active = one.rules.iter().filter(|rule| rule.is_active).count();
    let findings: u64 = one.rules.iter().map(|rule| rule.findings).sum();
    let cases: usize = one.rules.iter().map(|rule| rule.cases).sum();
    let last = one.rules.iter().filter_map(|rule| rule.last_fired).max();
    let with_data = one.rules.iter().filter(|rule| rule.has_data).count();
    let field = |name: &str, value: String| json!({"name": name, "value": value});
    let mut metadata = vec![
        field("state", one.stage.as_str().to_owned()),
        field("rules", active.to_string()),
        field("rules with data", with_data.to_string()),
        field("cases", cases.to_string()),
        field("fired", findings.to_string()),
        field(
            "last fired",
            last.map_or_else(|| "never".to_owned(), |last| last.to_string()),
        ),
    ];
    let older = one.rules.iter().filter_map(|rule| rule.named_as.as_deref());
    let older: std::collections::BTreeSet<&str> = older.collect();
    for tag in older {
        metadata.push(field("tagged as", format!("{tag}, which ATT&CK revoked")));
    }
    json!({
        "techniqueID": one.id,
        "score": one.stage.score(),
        "color": one.stage.color(),
        "comment": comment(&one.rules),
        "enabled": true,
        "metadata": metadata,
        "links": [],
        "showSubtechniques": one.id.contains('.'),
    })
}

fn comment(rules: &[RuleStanding]) -> String {
    let line = |rule: &RuleStanding| {
        let stage = super::stage_of(rule).as_str();
        let data = if rule.has_data { "" } else { ", no data" };
        format!("{} ({stage}{data})", one_line(&rule.title))
    };
    let mut lines: Vec<String> = rules.iter().take(MAX_NAMED).map(line).collect();
    let more = rules.len().saturating_sub(MAX_NAMED);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}
