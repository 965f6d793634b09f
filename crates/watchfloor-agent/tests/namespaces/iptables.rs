//! Where nft is missing: the same with the real iptables.

use std::collections::BTreeMap;

use watchfloor_link::Act;

use crate::net::{Net, tool};
use crate::server::{Agent, Server};
use crate::{act, agent_on, evidence};

/// Hosts of which the isolated one has iptables and no nft.
fn without_nft(number: u8) -> Option<Net> {
    let mut net = Net::new(number)?;
    tool("iptables")?;
    net.hidden = vec![tool("nft")?];
    Some(net)
}

/// The rules of a host in one of both families.
fn rules(net: &Net, tool: &str) -> String {
    let output = net.on("a", tool).arg("-S").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Which ways between the hosts are open, in both families.
fn ways(net: &Net, number: u8) -> [bool; 4] {
    [
        net.reaches("a", &format!("10.77.{number}.3"), 8000),
        net.reaches("b", &format!("10.77.{number}.2"), 8000),
        net.reaches("a", &format!("fd77:{number}::3"), 8000),
        net.reaches("b", &format!("fd77:{number}::2"), 8000),
    ]
}

fn with_rule(net: &Net, tool: &str, rule: &str) {
    let status = net.on("a", tool).args(rule.split(' ')).status().unwrap();
    assert!(status.success(), "{tool} {rule}");
}

#[test]
fn isolation_holds_and_ends_by_iptables_and_leaves_the_rules_of_others() {
    let Some(net) = without_nft(206) else { return };
    let server = Server::start_at("10.77.206.1:0", Default::default(), Default::default());
    let (_a, _b) = (net.listen("a", 8000), net.listen("b", 8000));
    // What others let through does not help an isolated host.
    for tool in ["iptables", "ip6tables"] {
        with_rule(&net, tool, "-A INPUT -p tcp --dport 8000 -j ACCEPT");
        with_rule(&net, tool, "-A OUTPUT -p tcp --dport 8000 -j ACCEPT");
    }
    let before = [rules(&net, "iptables"), rules(&net, "ip6tables")];
    let mut agent: Agent = agent_on(&net, &server);
    assert_eq!(ways(&net, 206), [true; 4]);
    server.act(&act("k1", "isolate_host", None));
    let proof = evidence(server.outcome("k1"));
    assert!(proof["rules"].contains("WATCHFLOOR_ISO_OUT -j DROP"));
    assert_eq!(ways(&net, 206), [false; 4]);
    assert!(net.reaches("a", "127.0.0.1", 8000));
    assert!(!net.pings("a", "10.77.206.3"));
    // Once more is the same, and leaves one hook each.
    server.act(&act("k2", "isolate_host", None));
    evidence(server.outcome("k2"));
    for tool in ["iptables", "ip6tables"] {
        let text = rules(&net, tool);
        assert_eq!(text.matches("-A INPUT -j WATCHFLOOR_ISO_IN").count(), 1);
    }
    // Somebody puts a rule before ours while the agent does not run.
    agent.kill();
    with_rule(
        &net,
        "iptables",
        "-I OUTPUT 1 -p tcp --dport 8000 -j ACCEPT",
    );
    with_rule(&net, "iptables", "-I INPUT 1 -p tcp --sport 8000 -j ACCEPT");
    assert!(net.reaches("a", "10.77.206.3", 8000));
    agent.run();
    server.wait("isolation", |heard| {
        let health = heard.health.as_ref()?;
        (heard.hellos >= 2 && health.is_isolated).then_some(())
    });
    assert_eq!(ways(&net, 206), [false; 4]);
    with_rule(&net, "iptables", "-D OUTPUT -p tcp --dport 8000 -j ACCEPT");
    with_rule(&net, "iptables", "-D INPUT -p tcp --sport 8000 -j ACCEPT");
    server.act(&act("k3", "release_host", None));
    evidence(server.outcome("k3"));
    assert_eq!(ways(&net, 206), [true; 4]);
    assert_eq!([rules(&net, "iptables"), rules(&net, "ip6tables")], before);
}

#[test]
fn addresses_are_blocked_by_iptables() {
    let Some(net) = without_nft(207) else { return };
    let server = Server::start_at("10.77.207.1:0", Default::default(), Default::default());
    let (_a, _b) = (net.listen("a", 8000), net.listen("b", 8000));
    let _agent = agent_on(&net, &server);
    let with = |key: &str, kind: &str, address: &str| Act {
        arguments: BTreeMap::from([("address".to_owned(), address.into())]),
        ..act(key, kind, None)
    };
    let done = |act: Act| {
        server.act(&act);
        evidence(server.outcome(&act.key));
    };
    assert_eq!(ways(&net, 207), [true; 4]);
    done(with("k1", "block_address", "10.77.207.3"));
    assert_eq!(ways(&net, 207), [false, false, true, true]);
    done(with("k2", "block_address", "fd77:207::3"));
    assert_eq!(ways(&net, 207), [false; 4]);
    // Another address that begins the same is another one.
    done(with("k3", "unblock_address", "10.77.207.30"));
    done(with("k4", "block_address", "10.77.207.3"));
    let text = rules(&net, "iptables");
    assert_eq!(text.matches("10.77.207.3/32").count(), 2, "{text}");
    done(with("k5", "unblock_address", "10.77.207.3"));
    done(with("k6", "unblock_address", "fd77:207::3"));
    assert_eq!(ways(&net, 207), [true; 4]);
}
