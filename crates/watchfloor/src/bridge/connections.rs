//! How configured sources stand, for the Sources page and for metrics.

use std::collections::BTreeMap;

use watchfloor_api::ports::{
    Listener, Metric, MetricKind, SourceInfo, SourceLink, SourceQuiet, SourceTrouble,
};
use watchfloor_ingest::{Link, SourceReport};

use crate::sources::QuietSince;

/// Adds the state of configured sources to those that their records are counted under; one that
/// has brought nothing yet has a row of its own.
pub(super) fn add(
    sources: &mut BTreeMap<String, SourceInfo>,
    reports: &[SourceReport],
    quiet: &BTreeMap<String, QuietSince>,
) {
    for report in reports {
        let mut is_seen = false;
        for (name, source) in &mut *sources {
            let own = name.strip_prefix(&*report.records_as);
            if own.is_some_and(|rest| rest.is_empty() || rest.starts_with(':')) {
                is_seen = true;
                fill(source, report);
            }
        }
        if !is_seen {
            let mut source = SourceInfo {
                name: report.name.to_string(),
                kind: report.kind.to_owned(),
                first_seen: report.since,
                last_seen: report.since,
                events_last_hour: 0,
                events_total: 0,
                understood_share: 1.0,
                anomalies: Vec::new(),
                dropped: BTreeMap::new(),
                rate: vec![0; 60],
                products: Vec::new(),
                delay_ms: None,
                link: None,
                troubles: Vec::new(),
                quiet: None,
            };
            fill(&mut source, report);
            sources.insert(report.name.to_string(), source);
        }
    }
    for (name, one) in quiet {
        if let Some(source) = sources.get_mut(name) {
            source.quiet = Some(SourceQuiet {
                since: one.since,
                usual_silence_s: one.usual_s,
            });
        }
    }
}

fn fill(source: &mut SourceInfo, report: &SourceReport) {
    report.kind.clone_into(&mut source.kind);
    let (place, error, mend) = match &report.link {
        Link::Starting => (None, None, None),
        Link::Listening { address: place } | Link::Connected { to: place } => {
            (Some(place.clone()), None, None)
        }
        Link::Retrying { error, mend } | Link::Ended { error, mend } => {
            (None, Some(error.clone()), Some(mend.clone()))
        }
    };
    source.link = Some(SourceLink {
        name: report.name.to_string(),
        state: report.link.as_str().to_owned(),
        place,
        error,
        mend,
        since: report.since,
    });
    let troubles = report.troubles.iter().map(|(word, trouble)| SourceTrouble {
        word: (*word).to_owned(),
        count: trouble.count,
        last_at: trouble.last_at,
        message: trouble.message.clone(),
    });
    source.troubles = troubles.collect();
}

/// The server's own listeners, and those of sources; what listens for datagrams and streams is
/// both.
pub(super) fn listeners(own: &[Listener], reports: &[SourceReport]) -> Vec<Listener> {
    let mut listeners = own.to_vec();
    for report in reports {
        let Link::Listening { address } = &report.link else {
            continue;
        };
        let kinds: &[&str] = match report.kind {
            "syslog" => &["syslog-tcp", "syslog-udp"],
            kind => &[kind],
        };
        listeners.extend(kinds.iter().map(|kind| Listener {
            kind: (*kind).to_owned(),
            address: address.clone(),
        }));
    }
    listeners
}

/// Values for Prometheus.
pub(super) fn metrics(
    reports: &[SourceReport],
    quiet: &BTreeMap<String, QuietSince>,
) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for report in reports {
        let is_up = matches!(report.link, Link::Listening { .. } | Link::Connected { .. });
        metrics.push(Metric {
            name: "watchfloor_source_up",
            help: "Whether a configured source listens or reads.",
            kind: MetricKind::Gauge,
            labels: vec![
                ("source", report.name.to_string()),
                ("kind", report.kind.to_owned()),
            ],
            value: f64::from(u8::from(is_up)),
        });
    }
    for report in reports {
        metrics.extend(report.troubles.iter().map(|(word, trouble)| Metric {
            name: "watchfloor_source_troubles_total",
            help: "Trouble of configured sources that cost no record that is known of.",
            kind: MetricKind::Counter,
            labels: vec![
                ("source", report.name.to_string()),
                ("reason", (*word).to_owned()),
            ],
            value: trouble.count as f64,
        }));
    }
    metrics.push(Metric {
        name: "watchfloor_sources_quiet",
        help: "Sources that used to speak and stopped.",
        kind: MetricKind::Gauge,
        labels: Vec::new(),
        value: quiet.len() as f64,
    });
    metrics
}
