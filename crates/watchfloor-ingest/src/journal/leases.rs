//! Who works on which partition: leases in a key-value bucket of NATS.
//!
//! A lease is a key that its holder writes again every round. Others take it over once it has
//! not changed for [`LEASE`], measured by their own clocks, so that clocks need not agree. Two
//! holders at once are possible for a moment (a process that was stopped and goes on); the lake
//! lets only one of them commit, so nothing is stored twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use async_nats::jetstream::kv::{Operation, Store};
use bytes::Bytes;

use super::OpenError;
use super::nats::{NatsJournal, chain};

/// How long a lease holds that is not renewed.
pub const LEASE: Duration = Duration::from_secs(8);
/// How often leases are renewed and looked at.
pub const LEASE_ROUND: Duration = Duration::from_secs(2);

/// The leases, as one process sees them.
pub struct Leases {
    nats: NatsJournal,
    store: Store,
    node: String,
    /// Revision of each key, and since when it has been that.
    known: BTreeMap<String, (u64, Instant)>,
    /// Partitions that are held: revision of the key, and when it was renewed.
    held: BTreeMap<u16, (u64, Instant)>,
    node_revision: u64,
}

impl std::fmt::Debug for Leases {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Leases")
            .field("node", &self.node)
            .field("held", &self.held.keys())
            .finish_non_exhaustive()
    }
}

/// What a key says.
struct Entry {
    revision: u64,
    holder: String,
    /// Not changed for the time of a lease.
    is_over: bool,
}

impl Leases {
    /// Opens the leases of a journal for a process; its name must be no other's.
    ///
    /// # Errors
    /// If the bucket cannot be made.
    pub async fn open(nats: &NatsJournal, node: String) -> Result<Self, OpenError> {
        let store = nats.shared().bucket("leases").await;
        let store = store.map_err(|reason| OpenError::Nats {
            place: nats.place().to_owned(),
            reason: format!("the leases cannot be made: {reason}"),
        })?;
        Ok(Self {
            nats: nats.clone(),
            store,
            node,
            known: BTreeMap::new(),
            held: BTreeMap::new(),
            node_revision: 0,
        })
    }

    /// Partitions that this process may work on now. One whose lease could not be renewed in
    /// time is none of them.
    pub fn held(&self) -> BTreeSet<u16> {
        let in_time = self
            .held
            .iter()
            .filter(|(_, (_, since))| since.elapsed() < LEASE);
        in_time.map(|(partition, _)| *partition).collect()
    }

    /// Renews what is held, takes what is free up to a fair share, and says of what it has too
    /// much; that is given back with [`Leases::give_back`] once nothing works on it any more.
    ///
    /// # Errors
    /// What NATS said; what is held runs out if that goes on.
    pub async fn round(&mut self) -> Result<Vec<u16>, String> {
        let name = format!("node.{}", self.node);
        self.node_revision = self.write(&name, None).await?;
        let nodes = self.nodes().await?;
        let partitions: Vec<u16> = self.nats.partitions().collect();
        let share = partitions.len().div_ceil(nodes.max(1));
        for partition in partitions {
            let key = format!("partition.{partition}");
            let entry = self.entry(&key).await?;
            let is_mine = self.held.contains_key(&partition);
            let revision = match entry {
                Some(entry) if is_mine && entry.holder == self.node => entry.revision,
                // Someone took it over while we were away.
                Some(entry) if is_mine => {
                    tracing::warn!(partition, by = entry.holder, "the partition was taken over");
                    self.held.remove(&partition);
                    continue;
                }
                Some(entry)
                    if self.held.len() < share && (entry.holder.is_empty() || entry.is_over) =>
                {
                    entry.revision
                }
                None if self.held.len() < share => 0,
                _ => continue,
            };
            match self.write(&key, Some(revision)).await {
                Ok(revision) => {
                    self.held.insert(partition, (revision, Instant::now()));
                }
                // Another was quicker.
                Err(reason) if !is_mine => tracing::debug!(partition, reason, "not taken"),
                Err(reason) => return Err(reason),
            }
        }
        let too_many = self.held.len().saturating_sub(share);
        Ok(self.held.keys().rev().take(too_many).copied().collect())
    }

    /// Gives a partition back at once.
    pub async fn give_back(&mut self, partition: u16) {
        let Some((revision, _)) = self.held.remove(&partition) else {
            return;
        };
        let key = format!("partition.{partition}");
        let given = self.store.update(&key, Bytes::new(), revision).await;
        if let Err(error) = given {
            tracing::debug!(
                partition,
                error = chain(&error),
                "the lease runs out by itself"
            );
        }
    }

    /// Gives everything back; others need not wait.
    pub async fn close(mut self) {
        let held: Vec<u16> = self.held.keys().copied().collect();
        for partition in held {
            self.give_back(partition).await;
        }
        let _others_see_it_run_out = self.store.purge(format!("node.{}", self.node)).await;
    }

    /// Writes this process's name under a key, if the key is still at a revision.
    async fn write(&mut self, key: &str, revision: Option<u64>) -> Result<u64, String> {
        let value = Bytes::from(self.node.clone());
        let written = match revision {
            None => self.store.put(key, value).await.map_err(|e| chain(&e)),
            Some(revision) => {
                let update = self.store.update(key, value, revision).await;
                update.map_err(|error| chain(&error))
            }
        };
        let revision = written?;
        self.known
            .insert(key.to_owned(), (revision, Instant::now()));
        Ok(revision)
    }

    async fn entry(&mut self, key: &str) -> Result<Option<Entry>, String> {
        let entry = self.store.entry(key).await.map_err(|error| chain(&error))?;
        let Some(entry) = entry else { return Ok(None) };
        let now = Instant::now();
        let known = self.known.entry(key.to_owned()).or_insert((0, now));
        if known.0 != entry.revision {
            *known = (entry.revision, now);
        }
        let holder = match entry.operation {
            Operation::Put => String::from_utf8_lossy(&entry.value).into_owned(),
            Operation::Delete | Operation::Purge => String::new(),
        };
        Ok(Some(Entry {
            revision: entry.revision,
            holder,
            is_over: known.1.elapsed() >= LEASE,
        }))
    }

    /// How many processes are alive, this one among them.
    async fn nodes(&mut self) -> Result<usize, String> {
        use futures::StreamExt;
        let keys = self.store.keys().await.map_err(|error| chain(&error))?;
        let keys: Vec<Result<String, _>> = keys.collect().await;
        let mut alive = 0;
        for key in keys.into_iter().flatten() {
            if !key.starts_with("node.") {
                continue;
            }
            let is_alive = self.entry(&key).await?;
            alive += usize::from(is_alive.is_some_and(|entry| {
                !entry.holder.is_empty() && (!entry.is_over || entry.holder == self.node)
            }));
        }
        Ok(alive)
    }
}
