//! What an event is to its product: decides which rules can meet it and how to call it.

use std::sync::Arc;

/// A Sigma log source: rules name one, event kinds offer some.
///
/// # Source
/// Sigma specification 2.1, `logsource`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Logsource {
    /// Such as `windows`.
    pub product: Option<String>,
    /// Such as `process_creation`.
    pub category: Option<String>,
    /// Such as `sysmon`.
    pub service: Option<String>,
}

/// One kind of event of one product, as a mapping pack names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventKind {
    /// Pack and kind, e.g. `windows/sysmon_process_creation`; unique among the loaded packs.
    pub name: Arc<str>,
    /// Product for people, e.g. `Microsoft Windows Sysmon`.
    pub product: Arc<str>,
    /// OCSF class, see [`crate::ocsf`].
    pub class_uid: u32,
    /// The Sigma log sources that the kind answers to.
    pub logsources: Vec<Logsource>,
}

impl EventKind {
    /// The kind of an event that no pack knows.
    pub fn unknown() -> Self {
        Self {
            name: Arc::from("unknown"),
            product: Arc::from("unknown"),
            class_uid: crate::ocsf::BASE_EVENT,
            logsources: Vec::new(),
        }
    }

    /// Whether a rule with this log source may meet events of this kind: each part that the
    /// rule names must stand in one of the offered log sources.
    pub fn answers_to(&self, rule: &Logsource) -> bool {
        let any = rule.product.is_none() && rule.category.is_none() && rule.service.is_none();
        any || self.logsources.iter().any(|offered| {
            part_agrees(&rule.product, &offered.product)
                && part_agrees(&rule.category, &offered.category)
                && part_agrees(&rule.service, &offered.service)
        })
    }
}

fn part_agrees(asked: &Option<String>, offered: &Option<String>) -> bool {
    match (asked, offered) {
        (None, _) => true,
        (Some(asked), Some(offered)) => asked.eq_ignore_ascii_case(offered),
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logsource(product: &str, category: &str, service: &str) -> Logsource {
        let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Logsource {
            product: part(product),
            category: part(category),
            service: part(service),
        }
    }

    #[test]
    fn a_rule_meets_a_kind_when_each_named_part_is_offered() {
        let kind = EventKind {
            logsources: vec![logsource("windows", "process_creation", "sysmon")],
            ..EventKind::unknown()
        };
        assert!(kind.answers_to(&logsource("windows", "process_creation", "")));
        assert!(kind.answers_to(&logsource("Windows", "", "sysmon")));
        assert!(kind.answers_to(&logsource("", "", "")));
        assert!(!kind.answers_to(&logsource("linux", "process_creation", "")));
        assert!(!kind.answers_to(&logsource("windows", "", "security")));
    }
}
