//! Loading rules: every file's documents become rules, or are refused by name and reason.

mod filter;
mod loader;
mod order;
mod version;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::analytic::Analytic;
use crate::correlation::Correlation;
use crate::document;
use crate::parallel::in_parallel;
use crate::rule::{Rule, RuleMeta};
use loader::Loader;

/// A rule file as read by the caller.
#[derive(Clone, Debug)]
pub struct RuleFile {
    /// Path shown to people.
    pub path: Arc<str>,
    /// Content.
    pub text: String,
}

/// A rule that is not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its file.
    pub path: Arc<str>,
    /// Line of the trouble, or of the rule's start, from 1.
    pub line: usize,
    /// Id or title, where known.
    pub rule: String,
    /// What is wrong and how to mend it.
    pub reason: String,
}

/// A rule that is loaded, with something to know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Its id.
    pub rule_id: String,
    /// What to know.
    pub reason: String,
}

/// All loaded rules.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// Rules over single events, in the order of loading.
    pub rules: Vec<Rule>,
    /// Rules over several events, each after those it rests on.
    pub correlations: Vec<Correlation>,
    /// Native rules over several events.
    pub analytics: Vec<Analytic>,
    /// What is not loaded.
    pub refused: Vec<Refusal>,
    /// What to know about what is loaded.
    pub warnings: Vec<Warning>,
}

/// Files whose documents are in memory at the same time.
const FILES_AT_ONCE: usize = 64;

/// What rules are loaded with.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Values for `%name%` under the `expand` modifier.
    pub placeholders: BTreeMap<String, Vec<String>>,
    /// Processing pipelines in pySigma's YAML form; they are applied in the order of their
    /// priority, those of the same priority in this order.
    pub pipelines: Vec<RuleFile>,
}

impl RuleSet {
    /// Loads rule files. `placeholders` gives the values for `%name%` under the `expand`
    /// modifier.
    pub fn load(
        files: impl IntoIterator<Item = RuleFile>,
        placeholders: BTreeMap<String, Vec<String>>,
    ) -> Self {
        let options = LoadOptions {
            placeholders,
            ..LoadOptions::default()
        };
        Self::load_with(files, options)
    }

    /// Loads rule files, changed by processing pipelines. A pipeline that cannot be read is
    /// among [`RuleSet::refused`] and changes nothing.
    pub fn load_with(files: impl IntoIterator<Item = RuleFile>, options: LoadOptions) -> Self {
        let mut loader = Loader::new(options);
        let files: Vec<RuleFile> = files.into_iter().collect();
        for some in files.chunks(FILES_AT_ONCE) {
            // YAML is half of what loading costs.
            let documents = in_parallel(some, |file| document::documents(&file.text));
            for (file, documents) in some.iter().zip(documents) {
                loader.file(file, documents);
            }
        }
        loader.finish()
    }

    /// Number of loaded rules of all kinds.
    pub fn len(&self) -> usize {
        self.rules.len() + self.correlations.len() + self.analytics.len()
    }

    /// Whether no rule is loaded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What each loaded rule says about itself.
    pub fn metas(&self) -> impl Iterator<Item = &RuleMeta> {
        let rules = self.rules.iter().map(|rule| &rule.meta);
        let correlations = self.correlations.iter().map(|one| &one.meta);
        let analytics = self.analytics.iter().map(|one| &one.meta);
        rules.chain(correlations).chain(analytics)
    }
}

#[cfg(test)]
mod tests;
