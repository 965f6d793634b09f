//! Which rules and correlations feed which analytics.

use std::collections::BTreeMap;

use watchfloor_rules::{Analytic, RuleMeta, RuleSet};

use super::Feeder;

/// Which rules and correlations feed which analytics.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub analytics: Vec<Analytic>,
    /// By analytic and place of the rule: its title.
    pub titles: Vec<Vec<String>>,
    rules: Vec<Feeds>,
    correlations: Vec<Feeds>,
    /// By id: the rules and correlations that feed an analytic.
    feeders: BTreeMap<String, (Feeder, RuleMeta)>,
}

#[derive(Clone, Debug, Default)]
struct Feeds {
    /// Analytics, each with the place of the rule in its list.
    to: Vec<(usize, usize)>,
    silent: bool,
}

impl Index {
    pub(super) fn of(set: &RuleSet) -> Self {
        let mut index = Self {
            analytics: set.analytics.clone(),
            titles: Vec::with_capacity(set.analytics.len()),
            rules: vec![Feeds::default(); set.rules.len()],
            correlations: vec![Feeds::default(); set.correlations.len()],
            feeders: BTreeMap::new(),
        };
        for (number, analytic) in set.analytics.iter().enumerate() {
            let mut titles = vec![String::new(); analytic.rules.len()];
            let mut connect = |meta: &RuleMeta, feeds: &mut Feeds| {
                let Some(place) = analytic.rules.iter().position(|name| meta.answers_to(name))
                else {
                    return;
                };
                feeds.to.push((number, place));
                feeds.silent |= !analytic.generate;
                titles[place].clone_from(&meta.title);
            };
            for (rule, feeds) in set.rules.iter().zip(&mut index.rules) {
                connect(&rule.meta, feeds);
            }
            for (one, feeds) in set.correlations.iter().zip(&mut index.correlations) {
                connect(&one.meta, feeds);
            }
            index.titles.push(titles);
        }
        index.name_feeders(set);
        index
    }

    fn name_feeders(&mut self, set: &RuleSet) {
        let rules = set.rules.iter().enumerate();
        let rules = rules.map(|(index, rule)| (Feeder::Rule(index), &rule.meta));
        let correlations = set.correlations.iter().enumerate();
        let correlations = correlations.map(|(index, one)| (Feeder::Correlation(index), &one.meta));
        let all = rules.chain(correlations);
        let feeding = all.filter(|(feeder, _)| !self.fed_by(*feeder).is_empty());
        self.feeders = feeding
            .map(|(feeder, meta)| (meta.id.clone(), (feeder, meta.clone())))
            .collect();
    }

    /// The rule or correlation of an id, if it feeds an analytic.
    pub(super) fn feeder(&self, id: &str) -> Option<&(Feeder, RuleMeta)> {
        self.feeders.get(id)
    }

    /// The analytics that rest on a rule or correlation, with its place in the list of each.
    pub(super) fn fed_by(&self, feeder: Feeder) -> &[(usize, usize)] {
        self.feeds(feeder).map_or(&[], |feeds| &feeds.to)
    }

    /// Whether an analytic keeps a rule or correlation from findings of its own.
    pub(super) fn silences(&self, feeder: Feeder) -> bool {
        self.feeds(feeder).is_some_and(|feeds| feeds.silent)
    }

    fn feeds(&self, feeder: Feeder) -> Option<&Feeds> {
        match feeder {
            Feeder::Rule(index) => self.rules.get(index),
            Feeder::Correlation(index) => self.correlations.get(index),
        }
    }
}
