//! Local tuning of rule sets: what is switched on and off, changed, suppressed, limited. Rule
//! sets stay as they came; the rules in use are made anew from both.

use anyhow::{Context, Result, bail};
use regex::Regex;
use serde::{Deserialize, Serialize};

/// What is changed in rule sets.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tuning {
    /// Switched on although the set has them off: `SID`, `file:GLOB` or `re:EXPRESSION`.
    #[serde(default)]
    pub enable: Vec<String>,
    /// Switched off; goes before `enable`.
    #[serde(default)]
    pub disable: Vec<String>,
    /// Rules that are changed.
    #[serde(default)]
    pub modify: Vec<Change>,
    /// Alerts that are not raised.
    #[serde(default)]
    pub suppress: Vec<Suppression>,
    /// Alerts that are raised less often.
    #[serde(default)]
    pub threshold: Vec<Threshold>,
}

/// A change of the text of rules.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// Which: as in `enable`.
    pub which: String,
    /// An expression.
    pub from: String,
    /// What stands for what it finds; `$1` for its first group.
    pub to: String,
}

/// An alert that is not raised.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suppression {
    /// Number of the rule.
    pub sid: u32,
    /// `by_src`, `by_dst` or `by_either`; always, without it.
    pub track: Option<String>,
    /// An address or a network, with `track`.
    pub ip: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// An alert that is raised less often.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Threshold {
    /// Number of the rule.
    pub sid: u32,
    /// `limit`, `threshold` or `both`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `by_src`, `by_dst`, `by_rule` or `by_both`.
    pub track: String,
    /// How often within the seconds.
    pub count: u32,
    /// Seconds.
    pub seconds: u32,
}

/// Which rules something is about.
#[derive(Debug)]
enum Which {
    Sid(u32),
    File(Regex),
    Text(Regex),
}

impl Which {
    fn parse(text: &str) -> Result<Self> {
        if let Some(glob) = text.strip_prefix("file:") {
            let glob = regex::escape(glob).replace("\\*", ".*");
            return Ok(Self::File(Regex::new(&format!("^{glob}$"))?));
        }
        if let Some(expression) = text.strip_prefix("re:") {
            let expression = Regex::new(expression);
            return Ok(Self::Text(
                expression.with_context(|| format!("'{text}' is no usable expression"))?,
            ));
        }
        let sid = text.trim().parse();
        let sid = sid.with_context(|| {
            format!("'{text}' is neither a rule's number, nor file:GLOB, nor re:EXPRESSION")
        })?;
        Ok(Self::Sid(sid))
    }

    fn meets(&self, file: &str, sid: Option<u32>, rule: &str) -> bool {
        match self {
            Self::Sid(wanted) => sid == Some(*wanted),
            Self::File(name) => name.is_match(file),
            Self::Text(expression) => expression.is_match(rule),
        }
    }
}

/// Tuning that is ready to be applied.
#[derive(Debug)]
pub(super) struct Tuner {
    enable: Vec<Which>,
    disable: Vec<Which>,
    modify: Vec<(Which, Regex, String)>,
}

impl Tuner {
    pub(super) fn new(tuning: &Tuning) -> Result<Self> {
        let all = |texts: &[String]| -> Result<Vec<Which>> {
            texts.iter().map(|text| Which::parse(text)).collect()
        };
        let modify = tuning.modify.iter().map(|change| {
            let from = Regex::new(&change.from)
                .with_context(|| format!("'{}' is no usable expression", change.from))?;
            Ok((Which::parse(&change.which)?, from, change.to.clone()))
        });
        Ok(Self {
            enable: all(&tuning.enable)?,
            disable: all(&tuning.disable)?,
            modify: modify.collect::<Result<_>>()?,
        })
    }

    /// What becomes of a line of a rule file: a rule that is in use, or `None`.
    pub(super) fn apply(&self, file: &str, line: &str) -> Option<String> {
        let text = line.trim();
        let (is_on, rule) = match text.strip_prefix('#') {
            Some(rest) => (false, rest.trim_start_matches(['#', ' '])),
            None => (true, text),
        };
        if !is_rule(rule) {
            return None;
        }
        let sid = sid_of(rule);
        let any = |list: &[Which]| list.iter().any(|which| which.meets(file, sid, rule));
        if any(&self.disable) || !(is_on || any(&self.enable)) {
            return None;
        }
        let mut rule = rule.to_owned();
        for (which, from, to) in &self.modify {
            if which.meets(file, sid, &rule) {
                rule = from.replace_all(&rule, to.as_str()).into_owned();
            }
        }
        Some(rule)
    }
}

/// Whether a line, its comment sign taken away, is a rule.
fn is_rule(line: &str) -> bool {
    const ACTIONS: [&str; 8] = [
        "alert",
        "drop",
        "pass",
        "reject",
        "rejectsrc",
        "rejectdst",
        "rejectboth",
        "config",
    ];
    let action = line.split_whitespace().next().unwrap_or_default();
    ACTIONS.contains(&action) && line.ends_with(')') && line.contains("sid:")
}

/// The number of a rule.
pub(super) fn sid_of(rule: &str) -> Option<u32> {
    let at = rule.rfind("sid:")?;
    let digits = rule.get(at + 4..)?.trim_start();
    let end = digits.find(|letter: char| !letter.is_ascii_digit());
    digits.get(..end.unwrap_or(digits.len()))?.parse().ok()
}

/// The lines of `threshold.config`.
pub(super) fn threshold_lines(tuning: &Tuning) -> Result<String> {
    let mut lines = String::new();
    for one in &tuning.suppress {
        let sid = one.sid;
        match (&one.track, &one.ip) {
            (None, None) => lines += &format!("suppress gen_id 1, sig_id {sid}\n"),
            (Some(track), Some(ip)) => {
                word(track, &["by_src", "by_dst", "by_either"])?;
                let is_address =
                    ip.parse::<std::net::IpAddr>().is_ok() || ip.parse::<ipnet::IpNet>().is_ok();
                if !is_address {
                    bail!("suppression of {sid}: '{ip}' is no address and no network");
                }
                lines += &format!("suppress gen_id 1, sig_id {sid}, track {track}, ip {ip}\n");
            }
            _ => bail!("suppression of {sid}: track and ip belong together"),
        }
    }
    for one in &tuning.threshold {
        word(&one.kind, &["limit", "threshold", "both"])?;
        word(&one.track, &["by_src", "by_dst", "by_rule", "by_both"])?;
        lines += &format!(
            "threshold gen_id 1, sig_id {}, type {}, track {}, count {}, seconds {}\n",
            one.sid, one.kind, one.track, one.count, one.seconds
        );
    }
    Ok(lines)
}

fn word(given: &str, known: &[&str]) -> Result<()> {
    match known.contains(&given) {
        true => Ok(()),
        false => bail!("'{given}' is none of {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str =
        r#"alert tcp $HOME_NET any -> any 80 (msg:"ET GAMES x"; sid:2000001; rev:2;)"#;

    fn applied(tuning: Tuning, line: &str) -> Option<String> {
        Tuner::new(&tuning).unwrap().apply("games.rules", line)
    }

    #[test]
    fn rules_are_switched_and_changed() {
        let list = |text: &str| vec![text.to_owned()];
        assert_eq!(applied(Tuning::default(), RULE).as_deref(), Some(RULE));
        assert_eq!(applied(Tuning::default(), &format!("# {RULE}")), None);
        for on in ["2000001", "file:games.*", "re:ET GAMES"] {
            let tuning = Tuning {
                enable: list(on),
                ..Tuning::default()
            };
            assert_eq!(
                applied(tuning, &format!("#{RULE}")).as_deref(),
                Some(RULE),
                "{on}"
            );
            let tuning = Tuning {
                disable: list(on),
                ..Tuning::default()
            };
            assert_eq!(applied(tuning, RULE), None, "{on}");
        }
        let change = Change {
            which: "2000001".to_owned(),
            from: r"any (\d+) \(".to_owned(),
            to: "any [$1,8080] (".to_owned(),
        };
        let tuning = Tuning {
            modify: vec![change],
            ..Tuning::default()
        };
        assert!(
            applied(tuning, RULE)
                .unwrap()
                .contains("-> any [80,8080] (")
        );
        for other in [
            "",
            "# a comment",
            "include x",
            "alert tcp any any -> any any (msg:\"no number\";)",
        ] {
            assert_eq!(applied(Tuning::default(), other), None, "{other}");
        }
    }

    #[test]
    fn thresholds_cannot_smuggle_lines() {
        let one = |track: &str, ip: &str| Tuning {
            suppress: vec![Suppression {
                sid: 1,
                track: Some(track.to_owned()),
                ip: Some(ip.to_owned()),
                reason: String::new(),
            }],
            ..Tuning::default()
        };
        let line = threshold_lines(&one("by_src", "10.0.0.0/8")).unwrap();
        assert_eq!(
            line,
            "suppress gen_id 1, sig_id 1, track by_src, ip 10.0.0.0/8\n"
        );
        assert!(threshold_lines(&one("by_src", "1.2.3.4\nsuppress gen_id 1, sig_id 2")).is_err());
        assert!(threshold_lines(&one("by_src, ip x", "10.0.0.1")).is_err());
    }
}
