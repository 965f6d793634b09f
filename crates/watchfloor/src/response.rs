//! The response side of a running server: the way out is opened, built-in playbooks are kept,
//! what a crash left is looked after, and rounds go on until the end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;
use watchfloor_casework::{Casework, CaseworkError, Vault};
use watchfloor_pipeline::Pipeline;

use crate::bridge::Outside;
use crate::content;
use crate::data_folder::DataFolder;
use crate::fleet::{Fleet, Gateway};

/// Longest time between two rounds; changes wake one at once.
const ROUND_EVERY: Duration = Duration::from_millis(500);
/// Pause after a round that failed.
const PAUSE: Duration = Duration::from_secs(2);

/// Opens the way out and starts to respond.
pub(crate) fn start(
    casework: &Casework,
    pipeline: &Pipeline,
    folder: &DataFolder,
    fleet: Fleet,
    stop: &CancellationToken,
) -> Result<tokio::task::JoinHandle<()>> {
    let data = &folder.path;
    let vault = Vault::open(data).context("the secrets cannot be opened")?;
    let agents = Arc::new(Gateway(fleet));
    let outside = Outside::new(Arc::clone(pipeline.lake())).with_agents(agents);
    let outside = Arc::new(outside);
    let boot = format!(
        "{}-{}",
        std::process::id(),
        jiff::Timestamp::now().as_nanosecond()
    );
    let place = std::fs::canonicalize(data).unwrap_or_else(|_| data.clone());
    casework.respond_with(outside, vault, &place.to_string_lossy(), &boot);
    let documents: Vec<String> = content::embedded("playbooks/")
        .into_iter()
        .filter(|file| file.path.ends_with(".json") && !file.path.ends_with(".cases.json"))
        .map(|file| file.text)
        .collect();
    Ok(tokio::spawn(rounds(
        casework.clone(),
        documents,
        stop.clone(),
    )))
}

/// Keeps the built-in playbooks and looks after what an earlier process left.
async fn prepare(casework: &Casework, documents: &[String]) -> Result<(), CaseworkError> {
    casework.install_playbooks(documents).await?;
    let found = casework.recover_actions().await?;
    if found > 0 {
        tracing::warn!(found, "actions were running when the server ended");
    }
    Ok(())
}

async fn rounds(casework: Casework, documents: Vec<String>, stop: CancellationToken) {
    let mut is_prepared = false;
    loop {
        // The records may be away for a while; nothing is begun before the past is settled.
        let done = match is_prepared {
            true => casework.response_round().await.map(|_| ()),
            false => prepare(&casework, &documents).await,
        };
        match done {
            Ok(()) => is_prepared = true,
            Err(error) => {
                tracing::warn!(error = %error_chain(&error), "a round of response failed");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => continue,
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = casework.response_wake() => {}
            () = tokio::time::sleep(ROUND_EVERY) => {}
        }
    }
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}
