//! Rounds that tell people of clocks that run out. What a round writes is sent by the response
//! side, so a round never waits for the outside world.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use watchfloor_casework::Casework;

/// Time between two rounds.
const ROUND_EVERY: Duration = Duration::from_secs(5);

/// Goes round until it is stopped.
pub(crate) async fn go_round(casework: Casework, stop: CancellationToken) {
    let mut round = tokio::time::interval(ROUND_EVERY);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = round.tick() => {}
        }
        match casework.escalation_round().await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "clocks were escalated"),
            Err(error) => tracing::warn!(%error, "a round of escalation failed"),
        }
    }
}
