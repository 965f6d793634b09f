//! What tests ask a running server: that it has worked everything off, what it has stored,
//! and whether its ledger balances.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::{Client, wait_for};

/// Sums over all rows of the completeness ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerTotals {
    /// Records that arrived.
    pub received: u64,
    /// Records in the lake.
    pub stored: u64,
    /// Records in the lake that no decoder understood.
    pub undecoded: u64,
    /// Records that were dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
}

impl Client {
    /// Waits until nothing is left in the journal.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn settle(&self) -> Result<()> {
        wait_for("the journal is worked off", || {
            let metrics = self.get("/metrics")?;
            let text = String::from_utf8_lossy(&metrics.body).into_owned();
            Ok(text
                .lines()
                .any(|line| line == "watchfloor_journal_pending_records 0"))
        })
    }

    /// The events of all time that a query finds, oldest first.
    ///
    /// # Errors
    /// If the search fails or finds more than one answer can hold.
    pub fn events(&self, query: &str) -> Result<Vec<Value>> {
        let request = json!({
            "query": query, "from": "1600-01-01T00:00:00Z", "to": "9999-12-30T00:00:00Z", "limit": 10_000, "order": "asc",
        });
        let answer = self.post(
            "/api/v1/search",
            &[("Content-Type", "application/json")],
            request.to_string().as_bytes(),
        )?;
        ensure!(
            answer.status == 200,
            "search for {query}: {} {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
        let mut found = answer.json();
        ensure!(
            found["capped"] == false,
            "the answer to {query} is cut short"
        );
        match found["events"].take() {
            Value::Array(events) => Ok(events),
            other => anyhow::bail!("no events in the answer: {other}"),
        }
    }

    /// Sums the ledger up.
    ///
    /// # Errors
    /// If it cannot be had, or a row of it does not balance: received = stored + dropped,
    /// stored = decoded + undecoded.
    pub fn balanced_ledger(&self) -> Result<LedgerTotals> {
        let answer = self.get("/api/v1/ledger")?;
        ensure!(answer.status == 200, "ledger: {}", answer.status);
        let mut totals = LedgerTotals::default();
        for row in answer.json()["items"].as_array().into_iter().flatten() {
            let number = |key: &str| row[key].as_u64().unwrap_or_default();
            let mut dropped = 0;
            for (reason, count) in row["dropped"].as_object().into_iter().flatten() {
                let count = count.as_u64().unwrap_or_default();
                dropped += count;
                *totals.dropped.entry(reason.clone()).or_default() += count;
            }
            ensure!(
                number("received") == number("stored") + dropped,
                "received is not stored + dropped: {row}"
            );
            ensure!(
                number("stored") == number("decoded") + number("undecoded"),
                "stored is not decoded + undecoded: {row}"
            );
            totals.received += number("received");
            totals.stored += number("stored");
            totals.undecoded += number("undecoded");
        }
        Ok(totals)
    }

    /// Where a listener of a kind (`syslog-tcp`) listens: `host:port`.
    ///
    /// # Errors
    /// If there is none.
    pub fn listener(&self, kind: &str) -> Result<String> {
        let status = self.get("/api/v1/status")?.json();
        let listeners = status["listeners"].as_array().cloned().unwrap_or_default();
        let found = listeners
            .iter()
            .find(|one| one["kind"] == kind)
            .and_then(|one| one["address"].as_str());
        found
            .map(str::to_owned)
            .ok_or_else(|| anyhow::anyhow!("no listener {kind} in {status}"))
    }
}
