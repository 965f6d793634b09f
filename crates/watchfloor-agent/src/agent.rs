//! A running agent: its parts are started, the server is dialled again and again, and everything
//! ends in order.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use watchfloor_link::{Frame, ToServer};

use crate::clock::random_below;
use crate::core::{Core, End, LARGE_STACK, Opened, SMALL_STACK, lock};
use crate::data::DataFolder;
use crate::health::{self, Meter, Standing};
use crate::platform::own;
use crate::record::{Fields, put};
use crate::session::{self, Ended};
use crate::tell::tell;
use crate::{actions, collect, update};

/// First and last limit of the random wait between connections, in milliseconds.
const WAIT_MS: (u64, u64) = (1_000, 300_000);
/// Wait after a refusal that does not pass by itself, in milliseconds, and what is added at random.
const REFUSED_WAIT_MS: (u64, u64) = (540_000, 120_000);
/// A connection that held so long begins the waits anew.
const HELD: Duration = Duration::from_secs(60);
/// How often what was written is made durable.
const SYNC_EVERY: Duration = Duration::from_millis(500);
/// Time that parts have to end.
const ENDING_MAX: Duration = Duration::from_secs(5);

/// Runs until it is asked to stop. Starts again by itself after an update.
pub(crate) fn run(folder: &Path, server: Option<String>) -> Result<()> {
    let data = DataFolder::open(folder)
        .with_context(|| format!("cannot use {}; run as root?", folder.display()))?;
    let Some(mut settings) = data.settings() else {
        bail!("this host is not enrolled; run `watchfloor-agent enrol` first");
    };
    if let Some(server) = server {
        settings.server = server;
    }
    let held = std::fs::File::create(data.path("lock"))?;
    if flock(&held, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!("another agent runs with {}", folder.display());
    }
    own::step_back();
    let Opened { core, outgoing } = Core::open(data, settings)?;
    tell(format_args!(
        "watchfloor-agent {} as {} on {}",
        crate::record::VERSION,
        core.settings.agent,
        core.host.name
    ));
    update::on_start(&core);
    let parts = start(&core);
    observe(&core, "agent_started");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_stack_size(SMALL_STACK)
        .build()?;
    let result = runtime.block_on(keep_connected(&core, outgoing));
    core.end(End::Stop);
    observe(&core, "agent_stopped");
    let until = Instant::now() + ENDING_MAX;
    for part in parts {
        while !part.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    core.spool.sync()?;
    result?;
    match core.why_ended() {
        End::Again => Err(start_again(&core.binary)),
        End::Stop | End::Not => Ok(()),
    }
}

/// Takes the place of this process; only comes back if that failed.
fn start_again(binary: &Path) -> anyhow::Error {
    let error = Command::new(binary)
        .args(std::env::args_os().skip(1))
        .exec();
    anyhow::Error::from(error).context("the agent cannot be started again")
}

fn observe(core: &Core, kind: &str) {
    let mut fields = Fields::new();
    put(&mut fields, "pid", std::process::id());
    put(&mut fields, "version", crate::record::VERSION);
    put(&mut fields, "boot", core.host.boot.as_str());
    put(&mut fields, "kernel", core.host.kernel.as_str());
    put(&mut fields, "os_name", core.host.os_name.as_str());
    core.observe("agent", kind, fields);
}

fn start(core: &Arc<Core>) -> Vec<std::thread::JoinHandle<()>> {
    let mut parts = Vec::new();
    parts.extend(core.spawn("spool", SMALL_STACK, |core| sync_spool(&core)));
    parts.extend(core.spawn("actions", LARGE_STACK, |core| {
        actions::resume(&core);
        actions::guard(&core);
    }));
    parts.extend(core.spawn("health", SMALL_STACK, |core| health::watch(&core)));
    parts.extend(collect::start(core));
    parts
}

fn sync_spool(core: &Core) {
    while core.rest(SYNC_EVERY) {
        match core.spool.sync() {
            Ok(()) => core.board.well("spool"),
            Err(error) => core
                .board
                .trouble("spool", &format!("cannot sync: {error}")),
        }
    }
}

/// Dials the server until the agent ends.
async fn keep_connected(
    core: &Arc<Core>,
    mut outgoing: mpsc::Receiver<Frame<ToServer>>,
) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = core.settings.server.clone();
    let mut meter = Meter::new();
    let mut failures = 0u32;
    while core.is_running() {
        if is_another(core) {
            core.end(End::Again);
            break;
        }
        let opener = (Arc::clone(core), server.clone());
        // Names are looked up off this thread: it may take long.
        tokio::task::spawn_blocking(move || actions::open_way(&opener.0, &opener.1)).await?;
        let begin = Instant::now();
        let before = core.connection();
        stand(core, &server, None);
        let result = tokio::select! {
            result = session::run(core, &server, &mut outgoing, &mut meter) => result,
            _ = terminate.recv() => { core.end(End::Stop); Ok(Ended::Stopped) }
            _ = interrupt.recv() => { core.end(End::Stop); Ok(Ended::Stopped) }
        };
        if core.connection() > before && begin.elapsed() > HELD {
            failures = 0;
        }
        let wait = match result {
            Ok(Ended::Stopped) => break,
            Ok(Ended::Renewed) => continue,
            Ok(Ended::Refused(code, message)) => {
                trouble(core, &server, &format!("refused ({code:?}): {message}"));
                match code.is_passing() {
                    true => wait_after(failures),
                    false => REFUSED_WAIT_MS.0 + random_below(REFUSED_WAIT_MS.1),
                }
            }
            Err(error) => {
                trouble(core, &server, &format!("{error:#}"));
                wait_after(failures)
            }
        };
        failures = failures.saturating_add(1);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            () = core.ended.notified() => {}
            _ = terminate.recv() => core.end(End::Stop),
            _ = interrupt.recv() => core.end(End::Stop),
        }
    }
    Ok(())
}

/// Whether the host was enrolled again meanwhile: then the agent has another name.
fn is_another(core: &Core) -> bool {
    let now = core.data.settings();
    now.is_some_and(|now| now.agent != core.settings.agent)
}

/// Full jitter: anything between nothing and a limit that doubles, so that thousands of agents do
/// not come back in one moment.
fn wait_after(failures: u32) -> u64 {
    let (first, last) = WAIT_MS;
    let limit = first.saturating_mul(1 << failures.min(16)).min(last);
    first / 10 + random_below(limit)
}

fn stand(core: &Core, server: &str, trouble: Option<&str>) {
    let mut standing = lock(&core.standing);
    // Trouble is shown until a connection holds.
    let kept = standing.trouble.take();
    *standing = Standing {
        server: server.to_owned(),
        is_connected: false,
        trouble: trouble.map(str::to_owned).or(kept),
    };
}

fn trouble(core: &Core, server: &str, words: &str) {
    tell(format_args!("{server}: {words}"));
    stand(core, server, Some(words));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit_and_differ() {
        for failures in 0..40 {
            let limit = WAIT_MS
                .1
                .min(1_000u64.saturating_mul(1 << failures.min(16)));
            let waits: Vec<u64> = (0..50).map(|_| wait_after(failures)).collect();
            assert!(waits.iter().all(|wait| *wait <= limit + 100));
            assert!(waits.iter().any(|wait| *wait != waits[0]));
        }
    }
}
