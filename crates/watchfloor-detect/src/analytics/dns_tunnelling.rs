//! `dns_tunnelling`: many long, random names below one registered domain.
//!
//! The registered domain is the last two labels, or three where the last two are one of the
//! usual suffixes of two labels below. That is a simple rule, not the list of public suffixes:
//! a rarer suffix such as `k12.ca.us` counts as a domain of its own, and customers of one
//! hosting domain (`*.cloudfront.net`) are one domain.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchfloor_event::{Entity, EntityKind};
use watchfloor_rules::DnsTunnelling;

use super::conclusion::{Conclusion, Evidence, fingerprint};
use super::groups::{self, Groups};
use super::{Ctx, Sighting, words};

/// Suffixes of two labels below which domains are registered.
const SUFFIXES: [&str; 44] = [
    "co.uk", "org.uk", "ac.uk", "gov.uk", "me.uk", "net.uk", "com.au", "net.au", "org.au",
    "edu.au", "gov.au", "co.nz", "org.nz", "net.nz", "co.jp", "ne.jp", "or.jp", "ac.jp", "go.jp",
    "com.br", "net.br", "org.br", "gov.br", "com.cn", "net.cn", "org.cn", "gov.cn", "co.in",
    "net.in", "org.in", "co.kr", "or.kr", "com.mx", "com.tr", "com.tw", "com.sg", "com.hk",
    "co.za", "com.ar", "com.pl", "com.ua", "co.il", "com.my", "com.vn",
];
/// Names that look up addresses are long by nature.
const REVERSE: [&str; 2] = [".in-addr.arpa", ".ip6.arpa"];
/// Most names kept below one domain; the oldest give way, a tenth at once.
const MAX_NAMES: usize = 4_096;
/// Examples in a reason.
const MAX_EXAMPLES: usize = 3;

/// What is kept of a group and a domain.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Group {
    /// Last time and length by fingerprint.
    names: BTreeMap<u64, (i64, usize)>,
    examples: Vec<String>,
    evidence: Evidence,
    quiet_until_us: Option<i64>,
}

/// A name that may carry data.
struct Name {
    sub: String,
    domain: String,
    length: usize,
    entropy: f64,
}

impl groups::Group for Group {
    fn items(&self) -> usize {
        self.names.len()
    }
}

pub(super) fn take(
    rule: &DnsTunnelling,
    groups: &mut Groups<Group>,
    ctx: &Ctx<'_>,
    sighting: &Sighting<'_>,
) -> Option<Conclusion> {
    let name = Name::of(&sighting.field(&rule.field)?)?;
    if (name.length as u64) < rule.min_length || name.entropy < rule.min_entropy {
        return None;
    }
    let key = format!("{} {}", ctx.group(), name.domain);
    groups.with(key, sighting.time_us, ctx.horizon_us, |group| {
        group.take(rule, ctx, sighting, &name)
    })
}

impl Name {
    fn of(name: &str) -> Option<Self> {
        let name = name.trim_end_matches('.').to_lowercase();
        if REVERSE.iter().any(|suffix| name.ends_with(suffix)) {
            return None;
        }
        let labels: Vec<&str> = name.split('.').collect();
        let last_two = labels.get(labels.len().checked_sub(2)?..)?.join(".");
        let depth = if SUFFIXES.contains(&last_two.as_str()) {
            3
        } else {
            2
        };
        let at = labels.len().checked_sub(depth)?;
        let sub = labels.get(..at)?.concat();
        let domain = labels.get(at..)?.join(".");
        if sub.is_empty() {
            return None;
        }
        Some(Self {
            length: sub.chars().count(),
            entropy: entropy(&sub),
            sub,
            domain,
        })
    }
}

/// Shannon's entropy of the letters, in bits per letter.
fn entropy(text: &str) -> f64 {
    let mut counts: BTreeMap<char, u32> = BTreeMap::new();
    for letter in text.chars() {
        *counts.entry(letter).or_insert(0) += 1;
    }
    let all = f64::from(counts.values().sum::<u32>());
    let part = |count: &u32| {
        let share = f64::from(*count) / all;
        -share * share.log2()
    };
    counts.values().map(part).sum()
}

impl Group {
    fn take(
        &mut self,
        rule: &DnsTunnelling,
        ctx: &Ctx<'_>,
        sighting: &Sighting<'_>,
        name: &Name,
    ) -> Option<Conclusion> {
        let now_us = sighting.time_us;
        let known = self
            .names
            .entry(fingerprint(&name.sub))
            .or_insert((now_us, name.length));
        known.0 = known.0.max(now_us);
        if now_us.saturating_sub(self.evidence.last_us) > ctx.timespan_us {
            self.evidence = Evidence::default();
            self.examples.clear();
        }
        self.evidence.note(sighting);
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(words::piece(&name.sub));
        }
        self.forget(ctx.horizon_us);
        if self.quiet_until_us.is_some_and(|until| now_us < until) {
            return None;
        }
        let newest_us = self.names.values().map(|(time, _)| *time).max()?;
        let start_us = newest_us.saturating_sub(ctx.timespan_us);
        let (mut names, mut letters) = (0_u64, 0_usize);
        for (_, length) in self.names.values().filter(|(time, _)| *time >= start_us) {
            names += 1;
            letters += length;
        }
        if names < rule.min_names {
            return None;
        }
        self.quiet_until_us = Some(newest_us.saturating_add(ctx.timespan_us));
        let length = letters as f64 / names as f64;
        Some(self.conclude(rule, ctx, name, names, length))
    }

    fn conclude(
        &mut self,
        rule: &DnsTunnelling,
        ctx: &Ctx<'_>,
        name: &Name,
        names: u64,
        length: f64,
    ) -> Conclusion {
        let mut evidence = std::mem::take(&mut self.evidence);
        evidence.note_entities(&[Entity {
            kind: EntityKind::Domain,
            value: name.domain.clone(),
            role: "asked for".to_owned(),
        }]);
        let examples = std::mem::take(&mut self.examples).join(", ");
        let span = words::span(ctx.timespan_us);
        Conclusion {
            evidence,
            sentence: format!(
                "{} asked for {names} long, random names below {} within {span}, {} letters each on average, {:.0} kB in all",
                ctx.who(),
                name.domain,
                words::short(length),
                (length * names as f64 / 1000.0).ceil(),
            ),
            reasons: vec![
                (
                    rule.field.clone(),
                    name.domain.clone(),
                    "the registered domain".to_owned(),
                ),
                (
                    "distinct names".to_owned(),
                    names.to_string(),
                    format!("at least {} within {span}", rule.min_names),
                ),
                (
                    "length".to_owned(),
                    words::short(length),
                    format!("at least {} letters", rule.min_length),
                ),
                (
                    "entropy".to_owned(),
                    format!("{:.2} bits per letter", name.entropy),
                    format!("at least {}", rule.min_entropy),
                ),
                (
                    "examples".to_owned(),
                    examples,
                    "names without the domain".to_owned(),
                ),
            ],
            raised: false,
        }
    }

    fn forget(&mut self, horizon_us: i64) {
        if self.names.len() <= MAX_NAMES {
            return;
        }
        self.names.retain(|_, (time, _)| *time >= horizon_us);
        if self.names.len() <= MAX_NAMES {
            return;
        }
        let mut times: Vec<i64> = self.names.values().map(|(time, _)| *time).collect();
        times.sort_unstable();
        let bound = times.get(times.len() / 10).copied().unwrap_or(i64::MIN);
        self.names.retain(|_, (time, _)| *time > bound);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_domains_and_what_stands_before_them() {
        let check = |name: &str, expected: Option<(&str, &str)>| {
            let found = Name::of(name);
            let found = found
                .as_ref()
                .map(|one| (one.sub.as_str(), one.domain.as_str()));
            assert_eq!(found, expected, "{name}");
        };
        check("a.b.Example.COM.", Some(("ab", "example.com")));
        check("x.example.co.uk", Some(("x", "example.co.uk")));
        check("example.com", None);
        check("co.uk", None);
        check("com", None);
        check("", None);
        check("1.2.0.192.in-addr.arpa", None);
        check("..", None);
    }

    #[test]
    fn entropy_tells_words_from_data() {
        assert!(entropy("www") < 0.1);
        assert!(entropy("mailserverfrontend") < 3.6);
        assert!(entropy("mzxw6ytboi4dk3tfor3q9x2v7p5") > 4.0);
    }
}
