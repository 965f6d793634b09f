//! Cutting the host off from all but the server, and giving its network back.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::Ordering;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Done;
use crate::core::Core;
use crate::platform::firewall::{self, Allowed};
use crate::record::{Fields, put};
use crate::tell::tell;

/// File that says whether the host is to be cut off; it outlives the agent and the machine.
const STATE: &str = "isolation.json";
/// File with the address at which the server was last met.
pub(crate) const SERVER: &str = "server.json";
/// Most characters of the rules that are sent as proof.
const PROOF_CHARS_MAX: usize = 4_000;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    is_on: bool,
    servers: BTreeSet<SocketAddr>,
    /// Name servers that the rules in force let through.
    #[serde(default)]
    resolvers: BTreeSet<IpAddr>,
}

/// Cuts the host off.
pub(super) fn isolate(core: &Core) -> Result<Done> {
    let mut servers = state(core).servers;
    match core.data.read_json::<SocketAddr>(SERVER) {
        Some(server) => {
            servers.insert(server);
        }
        None => servers.extend(resolve(&core.settings.server)),
    }
    let state = State {
        is_on: true,
        servers,
        resolvers: resolvers(core),
    };
    // Written first: what is in force must be known to whoever starts after a crash.
    core.data.write_json(STATE, &state)?;
    match firewall::isolate(&allowed(&state)) {
        Ok(rules) => {
            core.is_isolated.store(true, Ordering::Release);
            Ok(
                Done::new(format!("the host reaches only {}", join(&state.servers)))
                    .with("reachable", join(&state.servers))
                    .with(
                        "rules",
                        rules.chars().take(PROOF_CHARS_MAX).collect::<String>(),
                    ),
            )
        }
        Err(error) => {
            let off = State::default();
            core.data.write_json(STATE, &off)?;
            // Half of the rules would be worse than none.
            let _ = firewall::release();
            Err(error)
        }
    }
}

/// Gives the host its network back.
pub(super) fn release(core: &Core) -> Result<Done> {
    let was_on = firewall::release()?;
    core.data.write_json(STATE, &State::default())?;
    core.is_isolated.store(false, Ordering::Release);
    Ok(Done::new(match was_on {
        true => "the host has its network back",
        false => "the host was not cut off",
    }))
}

/// Puts the rules back that were in force before the agent ended.
pub(super) fn resume(core: &Core) {
    let mut state = state(core);
    if !state.is_on {
        return;
    }
    state.resolvers = resolvers(core);
    match firewall::isolate(&allowed(&state)) {
        Ok(_) => core.is_isolated.store(true, Ordering::Release),
        Err(error) => trouble(core, &format!("the host should be cut off: {error:#}")),
    }
}

/// Puts the rules back if somebody took them away, and lets other name servers through where a new
/// lease brought some.
pub(super) fn guard(core: &Core) {
    let mut state = state(core);
    if !state.is_on {
        return;
    }
    if matches!(firewall::isolation_rules(), Ok(Some(_))) {
        look_at_resolvers(core, &mut state);
        return;
    }
    let again = match firewall::isolate(&allowed(&state)) {
        Ok(_) => "they are back".to_owned(),
        Err(error) => format!("they cannot be put back: {error:#}"),
    };
    trouble(
        core,
        &format!("the rules of isolation were taken away; {again}"),
    );
}

/// Remembers where the server is, and lets it through if the host is cut off.
pub(super) fn note_server(core: &Core, peer: SocketAddr) {
    if core.data.read_json::<SocketAddr>(SERVER) != Some(peer) {
        let _ = core.data.write_json(SERVER, &peer);
    }
    let mut state = state(core);
    if state.is_on && state.servers.insert(peer) {
        apply(core, &state);
    }
}

/// Lets the agent out to all addresses of the server while the host is cut off.
pub(super) fn open_way(core: &Core, server: &str) {
    let mut state = state(core);
    if !state.is_on {
        return;
    }
    look_at_resolvers(core, &mut state);
    let before = state.servers.len();
    state.servers.extend(resolve(server));
    if state.servers.len() > before {
        apply(core, &state);
    }
}

fn look_at_resolvers(core: &Core, state: &mut State) {
    let now = resolvers(core);
    if now != state.resolvers {
        state.resolvers = now;
        apply(core, state);
    }
}

fn apply(core: &Core, state: &State) {
    let result = core
        .data
        .write_json(STATE, state)
        .map_err(anyhow::Error::from)
        .and_then(|()| firewall::isolate(&allowed(state)));
    if let Err(error) = result {
        trouble(core, &format!("what the host may reach: {error:#}"));
    }
}

fn state(core: &Core) -> State {
    core.data.read_json(STATE).unwrap_or_default()
}

fn allowed(state: &State) -> Allowed {
    Allowed {
        servers: state.servers.clone(),
        resolvers: state.resolvers.clone(),
    }
}

/// Name servers, where the server is known by name.
fn resolvers(core: &Core) -> BTreeSet<IpAddr> {
    let host = core
        .settings
        .server
        .rsplit_once(':')
        .map_or("", |(host, _)| host);
    let is_named = host.trim_matches(['[', ']']).parse::<IpAddr>().is_err();
    match is_named && host != "localhost" {
        true => firewall::resolvers(),
        false => BTreeSet::new(),
    }
}

fn resolve(server: &str) -> Vec<SocketAddr> {
    server
        .to_socket_addrs()
        .map(|found| found.take(8).collect())
        .unwrap_or_default()
}

fn join(servers: &BTreeSet<SocketAddr>) -> String {
    let texts: Vec<String> = servers.iter().map(SocketAddr::to_string).collect();
    texts.join(", ")
}

fn trouble(core: &Core, words: &str) {
    tell(format_args!("isolation: {words}"));
    let mut fields = Fields::new();
    put(&mut fields, "component", "isolation");
    put(&mut fields, "message", words);
    core.observe("actions", "agent_trouble", fields);
}
