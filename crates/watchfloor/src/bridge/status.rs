//! Figures of the data plane for the API.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use watchfloor_api::ports::{
    AnomalyCount, DataPlaneStatus, EnrichmentFile, EventsOverview, ForwardState, HistogramBucket,
    IndicatorList, LakeStats, LedgerEntry, Listener, LiveCounters, MappingPacks, Metric,
    MetricKind, PipelineStatus, RuleCounts, SourceInfo, StatusError,
};
use watchfloor_ingest::SourceStates;
use watchfloor_lake::{SearchRequest, SortOrder};
use watchfloor_pipeline::{Counts, LedgerRow, Pipeline, StageTimes};
use watchfloor_query::Query;

use super::{Queries, connections};
use crate::enrichment::Enrichment;
use crate::indicators::Shelf;
use crate::packs::Packs;
use crate::rules::Desk;
use crate::sources::Quiet;

/// The running data plane as the API reads it.
pub(crate) struct DataPlane {
    pipeline: Arc<Pipeline>,
    rules: Desk,
    indicators: Shelf,
    enrichment: Enrichment,
    packs: Packs,
    listeners: Vec<Listener>,
    states: SourceStates,
    quiet: Quiet,
    queries: Arc<Queries>,
}

impl DataPlane {
    pub(crate) fn new(
        pipeline: Arc<Pipeline>,
        rules: Desk,
        (indicators, enrichment, packs): (Shelf, Enrichment, Packs),
        (listeners, states, quiet): (Vec<Listener>, SourceStates, Quiet),
        queries: Arc<Queries>,
    ) -> Self {
        Self {
            pipeline,
            rules,
            indicators,
            enrichment,
            packs,
            listeners,
            states,
            quiet,
            queries,
        }
    }

    fn source_list(&self) -> Vec<SourceInfo> {
        let now = Timestamp::now();
        let live = self.pipeline.sources().read(now);
        let mut sources: BTreeMap<String, SourceInfo> = BTreeMap::new();
        let far = SignedDuration::from_hours(91 * 24);
        let from = now.saturating_sub(far).unwrap_or(Timestamp::MIN);
        for row in self.pipeline.ledger().rows(from, now, None) {
            add_row(
                sources
                    .entry(row.source.clone())
                    .or_insert_with(|| new_source(&row)),
                &row,
            );
        }
        for (name, status) in live {
            let Some(source) = sources.get_mut(&name) else {
                // Its first commit is under way; the next look has it.
                continue;
            };
            source.last_seen = status.last_seen;
            source.first_seen = source.first_seen.min(status.first_seen);
            source.events_last_hour = status.rate.iter().sum();
            source.understood_share = status.understood as f64 / status.events.max(1) as f64;
            source.rate = status.rate;
            source.delay_ms = status.delay_ms;
            source.products = status.products.into_iter().collect();
            for anomaly in &mut source.anomalies {
                let code = watchfloor_event::AnomalyCode::parse(&anomaly.code);
                if let Some(example) = code.and_then(|code| status.anomalies.get(&code)) {
                    anomaly.example = format!("{}: {}", example.detail, example.example);
                }
            }
        }
        connections::add(&mut sources, &self.states.read(), &self.quiet.read());
        let mut list: Vec<SourceInfo> = sources.into_values().collect();
        for source in &mut list {
            source.anomalies.sort_by(|left, right| {
                right
                    .count
                    .cmp(&left.count)
                    .then_with(|| left.code.cmp(&right.code))
            });
        }
        list
    }

    async fn overview(&self) -> Result<EventsOverview, StatusError> {
        let now = Timestamp::now();
        let request = SearchRequest {
            query: Query::All,
            from: now - SignedDuration::from_hours(24),
            to: now + SignedDuration::from_secs(1),
            limit: 0,
            order: SortOrder::NewestFirst,
            with_findings: false,
            bucket_seconds: 900,
        };
        let found = self
            .pipeline
            .lake()
            .search(&request)
            .await
            .map_err(status_error)?;
        let buckets = found.histogram.iter().map(|bucket| HistogramBucket {
            start: bucket.start,
            count: bucket.count,
        });
        Ok(EventsOverview {
            events_last_24h: found.total,
            events_rate: buckets.collect(),
        })
    }

    async fn state(&self) -> Result<DataPlaneStatus, StatusError> {
        let lake = self.pipeline.lake().stats().await.map_err(status_error)?;
        let (loaded, refused, suspended) = self.rules.counts();
        Ok(DataPlaneStatus {
            listeners: connections::listeners(&self.listeners, &self.states.read()),
            lake: LakeStats {
                events: lake.rows,
                files: lake.files,
                bytes: lake.bytes,
            },
            rules: RuleCounts {
                loaded,
                refused,
                suspended,
            },
        })
    }
}

fn new_source(row: &LedgerRow) -> SourceInfo {
    let hour = Timestamp::from_second(row.hour).unwrap_or(Timestamp::UNIX_EPOCH);
    SourceInfo {
        name: row.source.clone(),
        kind: row.source.split(':').next().unwrap_or_default().to_owned(),
        first_seen: hour,
        last_seen: hour,
        events_last_hour: 0,
        events_total: 0,
        understood_share: 0.0,
        anomalies: Vec::new(),
        dropped: BTreeMap::new(),
        rate: vec![0; 60],
        products: Vec::new(),
        delay_ms: None,
        link: None,
        troubles: Vec::new(),
        quiet: None,
    }
}

/// The ledger's share of a source: what lasts over restarts.
fn add_row(source: &mut SourceInfo, row: &LedgerRow) {
    let Counts {
        events,
        decoded,
        stored,
        dropped,
        anomalies,
        ..
    } = &row.counts;
    source.last_seen = Timestamp::from_second(row.hour)
        .unwrap_or(source.last_seen)
        .max(source.last_seen);
    source.events_total += events;
    if *stored > 0 {
        source.understood_share = *decoded as f64 / *stored as f64;
    }
    for (reason, count) in dropped {
        *source.dropped.entry(reason.clone()).or_default() += count;
    }
    for (code, count) in anomalies {
        match source
            .anomalies
            .iter_mut()
            .find(|anomaly| anomaly.code == *code)
        {
            Some(anomaly) => anomaly.count += count,
            None => source.anomalies.push(AnomalyCount {
                code: code.clone(),
                count: *count,
                example: String::new(),
            }),
        }
    }
}

fn status_error(error: watchfloor_lake::ReadError) -> StatusError {
    StatusError(error.to_string())
}

impl PipelineStatus for DataPlane {
    fn ledger(
        &self,
        from: Timestamp,
        to: Timestamp,
        source: Option<String>,
    ) -> BoxFuture<'_, Result<Vec<LedgerEntry>, StatusError>> {
        async move {
            let rows = self.pipeline.ledger().rows(from, to, source.as_deref());
            Ok(rows.into_iter().map(ledger_entry).collect())
        }
        .boxed()
    }

    fn sources(&self) -> BoxFuture<'_, Result<Vec<SourceInfo>, StatusError>> {
        async move { Ok(self.source_list()) }.boxed()
    }

    fn status(&self) -> BoxFuture<'_, Result<DataPlaneStatus, StatusError>> {
        self.state().boxed()
    }

    fn events_overview(&self) -> BoxFuture<'_, Result<EventsOverview, StatusError>> {
        self.overview().boxed()
    }

    fn counters(&self) -> LiveCounters {
        let journal = self.pipeline.journal().stats();
        let totals = self.pipeline.ledger().totals();
        LiveCounters {
            received: totals.received,
            stored: totals.stored,
            lag_ms: self.pipeline.lag_ms(),
            journal_pending: journal.pending_records,
        }
    }

    fn indicators(&self) -> Vec<IndicatorList> {
        self.indicators.lists(&self.pipeline)
    }

    fn enrichment_files(&self) -> Vec<EnrichmentFile> {
        self.enrichment.files()
    }

    fn mapping_packs(&self) -> MappingPacks {
        self.packs.list(&self.pipeline)
    }

    fn forwards(&self) -> Vec<ForwardState> {
        let states = self.pipeline.forwards().into_iter();
        let states = states.map(|state| ForwardState {
            name: state.name,
            target: state.target,
            sent: state.sent,
            dropped: state.dropped,
            pending_bytes: state.pending_bytes,
            trouble: state.trouble,
        });
        states.collect()
    }

    fn metrics(&self) -> Vec<Metric> {
        let mut metrics = metrics(&self.pipeline);
        metrics.extend(indicator_metrics(&self.pipeline, &self.indicators));
        metrics.extend(self.rules.metrics());
        metrics.extend(connections::metrics(
            &self.states.read(),
            &self.quiet.read(),
        ));
        metrics.extend(forward_metrics(&self.pipeline));
        metrics.extend([
            Metric {
                name: "watchfloor_queries_running",
                help: "Searches and queries that are being worked on.",
                kind: MetricKind::Gauge,
                labels: Vec::new(),
                value: self.queries.running() as f64,
            },
            Metric {
                name: "watchfloor_queries_given_up_total",
                help: "Searches and queries that ended since nobody waited for them.",
                kind: MetricKind::Counter,
                labels: Vec::new(),
                value: self.queries.given_up() as f64,
            },
        ]);
        let failures = self.pipeline.lake().cluster_failures();
        metrics.extend(failures.map(|failures| Metric {
            name: "watchfloor_cluster_failures_total",
            help: "Queries that workers could not answer and that ran again without them.",
            kind: MetricKind::Counter,
            labels: Vec::new(),
            value: failures as f64,
        }));
        metrics
    }
}

fn ledger_entry(row: LedgerRow) -> LedgerEntry {
    LedgerEntry {
        source: row.source,
        hour: Timestamp::from_second(row.hour).unwrap_or(Timestamp::UNIX_EPOCH),
        received: row.counts.received,
        decoded: row.counts.decoded,
        undecoded: row.counts.undecoded,
        stored: row.counts.stored,
        evaluated: row.counts.evaluated,
        dropped: row.counts.dropped,
    }
}

fn metrics(pipeline: &Pipeline) -> Vec<Metric> {
    let totals = pipeline.ledger().totals();
    let journal = pipeline.journal().stats();
    let times = pipeline.timings().read();
    let metric = |kind, name, help, value| Metric {
        name,
        help,
        kind,
        labels: Vec::new(),
        value,
    };
    let counter = |name, help, value: u64| metric(MetricKind::Counter, name, help, value as f64);
    let mut metrics = vec![
        counter(
            "watchfloor_records_received_total",
            "Raw records that arrived.",
            totals.received,
        ),
        counter(
            "watchfloor_records_stored_total",
            "Raw records in the lake.",
            totals.stored,
        ),
        counter(
            "watchfloor_records_undecoded_total",
            "Raw records that no decoder understood.",
            totals.undecoded,
        ),
        counter(
            "watchfloor_events_total",
            "Events in the lake.",
            totals.events,
        ),
        counter(
            "watchfloor_findings_total",
            "Findings since start.",
            times.findings,
        ),
        counter(
            "watchfloor_commits_total",
            "Lake commits since start.",
            times.commits,
        ),
        metric(
            MetricKind::Gauge,
            "watchfloor_journal_pending_bytes",
            "Bytes that wait in the journal.",
            journal.pending_bytes as f64,
        ),
        metric(
            MetricKind::Gauge,
            "watchfloor_journal_pending_records",
            "Records that wait in the journal.",
            journal.pending_records as f64,
        ),
    ];
    metrics.extend(stage_metrics(&times));
    metrics.extend(totals.dropped.into_iter().map(|(reason, count)| Metric {
        name: "watchfloor_records_dropped_total",
        help: "Raw records that were dropped.",
        kind: MetricKind::Counter,
        labels: vec![("reason", reason)],
        value: count as f64,
    }));
    metrics
}

/// What is looked for, and how often it was met.
fn forward_metrics(pipeline: &Pipeline) -> Vec<Metric> {
    let metric = |name, help, kind, to: &str, value: u64| Metric {
        name,
        help,
        kind,
        labels: vec![("destination", to.to_owned())],
        value: value as f64,
    };
    let states = pipeline.forwards().into_iter().flat_map(|state| {
        let to = state.name.as_str();
        [
            metric(
                "watchfloor_forward_sent_total",
                "Copies of records that a destination has taken.",
                MetricKind::Counter,
                to,
                state.sent,
            ),
            metric(
                "watchfloor_forward_dropped_total",
                "Copies of records that were left out: the spool was full, or the destination takes none of their size.",
                MetricKind::Counter,
                to,
                state.dropped,
            ),
            metric(
                "watchfloor_forward_pending_bytes",
                "Bytes that wait for a destination.",
                MetricKind::Gauge,
                to,
                state.pending_bytes,
            ),
        ]
    });
    states.collect()
}

fn indicator_metrics(pipeline: &Pipeline, indicators: &Shelf) -> Vec<Metric> {
    let (count, bytes) = indicators.size();
    let gauge = |name, help, value: usize| Metric {
        name,
        help,
        kind: MetricKind::Gauge,
        labels: Vec::new(),
        value: value as f64,
    };
    let matches = pipeline.indicator_matches().read();
    let matches = matches.into_iter().map(|(list, count)| Metric {
        name: "watchfloor_indicator_matches_total",
        help: "Indicators met by events since start.",
        kind: MetricKind::Counter,
        labels: vec![("list", list.to_string())],
        value: count as f64,
    });
    [
        gauge(
            "watchfloor_indicators",
            "Indicators that are looked for.",
            count,
        ),
        gauge(
            "watchfloor_indicator_bytes",
            "Memory that they take.",
            bytes,
        ),
    ]
    .into_iter()
    .chain(matches)
    .collect()
}

/// Time per stage since start.
fn stage_metrics(times: &StageTimes) -> [Metric; 4] {
    let stages = [
        ("decode", times.decode_ns),
        ("normalize", times.normalize_ns),
        ("detect", times.detect_ns),
        ("commit", times.commit_ns),
    ];
    stages.map(|(stage, nanos)| Metric {
        name: "watchfloor_stage_seconds_total",
        help: "Time that a stage worked.",
        kind: MetricKind::Counter,
        labels: vec![("stage", stage.to_owned())],
        value: nanos as f64 / 1e9,
    })
}
