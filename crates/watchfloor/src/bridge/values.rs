//! Values of fields for those who write a question: kept for a while, so that each further letter
//! is answered at once, and looked for beside when they are not known yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use watchfloor_lake::Lake;

/// How long values are as good as new.
const FRESH: Duration = Duration::from_secs(20);
/// Longest that looking for values may take; nobody waits that long for it.
const LOOK: Duration = Duration::from_secs(5);
/// Longest that a writer waits for values.
const WAIT: Duration = Duration::from_millis(80);
/// Values that are kept of a field, the most frequent.
const KEPT: usize = 2_000;
/// Fields whose values are kept.
const FIELDS: usize = 64;

type Values = Arc<Vec<(String, u64)>>;

/// Values by field.
#[derive(Debug, Default)]
pub(super) struct KnownValues {
    by_field: Mutex<HashMap<String, (Instant, Values)>>,
}

impl KnownValues {
    /// Values of a field that begin with a text, the most frequent first; those that are known
    /// within [`WAIT`], possibly none.
    pub(super) async fn of(
        self: &Arc<Self>,
        lake: &Arc<Lake>,
        field: &str,
        (begin, limit): (&str, usize),
    ) -> Vec<(String, u64)> {
        let known = self.known(field);
        let values = match known {
            Some((at, values)) if at.elapsed() < FRESH => values,
            known => {
                let look = self.look(Arc::clone(lake), field.to_owned());
                let found = tokio::time::timeout(WAIT, tokio::spawn(look)).await;
                match (found, known) {
                    (Ok(Ok(values)), _) | (_, Some((_, values))) => values,
                    _ => return Vec::new(),
                }
            }
        };
        let begin = begin.to_lowercase();
        let values = values.iter();
        let fitting = values.filter(|(value, _)| value.to_lowercase().starts_with(&begin));
        fitting.take(limit).cloned().collect()
    }

    fn known(&self, field: &str) -> Option<(Instant, Values)> {
        let by_field = self.by_field.lock().unwrap_or_else(PoisonError::into_inner);
        by_field.get(field).cloned()
    }

    /// Looks for the values of a field and keeps them.
    fn look(
        self: &Arc<Self>,
        lake: Arc<Lake>,
        field: String,
    ) -> impl Future<Output = Values> + Send + use<> {
        let known = Arc::clone(self);
        async move {
            let values = Arc::new(lake.values(&field, "", KEPT, LOOK).await);
            let mut by_field = known
                .by_field
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if by_field.len() >= FIELDS && !by_field.contains_key(&field) {
                let oldest = by_field.iter().min_by_key(|(_, (at, _))| *at);
                let oldest = oldest.map(|(name, _)| name.clone());
                oldest.and_then(|name| by_field.remove(&name));
            }
            by_field.insert(field, (Instant::now(), Arc::clone(&values)));
            values
        }
    }
}
