//! An isolated host keeps its lease and finds a server that moves: real servers of DHCP (both
//! versions), router advertisements and names, and a real client.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::net::{Net, must, tool};
use crate::server::{Agent, Server, WAIT};
use crate::{act, begin, evidence};

/// What the client does with a lease: puts the address on, and nothing else on this machine.
const SCRIPT: &str = r#"#!/bin/sh
case "$reason" in
BOUND|RENEW|REBIND|REBOOT) ip addr replace "$new_ip_address/24" dev "$interface" ;;
BOUND6|RENEW6|REBIND6) ip -6 addr replace "$new_ip6_address/64" dev "$interface" nodad ;;
esac
"#;

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Leases, routers and names for the hosts of a net.
struct Lessor {
    process: Process,
    folder: PathBuf,
}

impl Lessor {
    fn start(program: &str, folder: &Path) -> Self {
        fs::write(folder.join("hosts"), "10.77.205.1 soc.watchfloor.test\n").unwrap();
        let file = |name: &str| folder.join(name).display().to_string();
        let process = Command::new(program)
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--user=root",
            ])
            .args([
                "--interface=wf205br",
                "--except-interface=lo",
                "--bind-interfaces",
            ])
            .args([
                "--no-resolv",
                "--no-hosts",
                "--enable-ra",
                "--dhcp-authoritative",
            ])
            .args([
                "--dhcp-range=10.77.205.100,10.77.205.120,2m",
                // The client asks its server after 3 s, and the whole link after 6.
                "--dhcp-option=58,3",
                "--dhcp-option=59,6",
            ])
            .args(["--dhcp-range=fd77:205::100,fd77:205::120,64,2m"])
            .arg(format!("--addn-hosts={}", file("hosts")))
            .arg(format!("--dhcp-leasefile={}", file("leases")))
            .arg(format!("--log-facility={}", file("log")))
            .arg("--pid-file=")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            process: Process(process),
            folder: folder.to_owned(),
        }
    }

    /// How often it said something.
    fn count(&self, word: &str) -> usize {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        log.matches(word).count()
    }

    fn wait_for_more(&self, word: &str, than: usize) {
        wait_until(&format!("another {word}"), || self.count(word) > than);
    }

    /// Gives the server's name another address.
    fn move_server(&self, address: &str) {
        fs::write(
            self.folder.join("hosts"),
            format!("{address} soc.watchfloor.test\n"),
        )
        .unwrap();
        let id = rustix::process::Pid::from_raw(self.process.0.id() as i32).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::HUP).unwrap();
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + WAIT;
    while !is_so() {
        assert!(Instant::now() < until, "{what} did not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The client on host `a`; it renews while it runs.
fn client(net: &Net, program: &str, family: &str, folder: &Path, round: u32) -> Process {
    let file = |name: &str| folder.join(format!("client{family}-{round}.{name}"));
    let script = folder.join("lease.sh");
    fs::write(&script, SCRIPT).unwrap();
    must(&format!("-n {} link set eth0 up", net.tag.clone() + "a"));
    let child = net
        .on("a", "sh")
        .args(["-c", "chmod 755 \"$0\"; exec \"$@\""])
        .arg(&script)
        .args([program, family, "-d", "-sf"])
        .arg(&script)
        .arg("-lf")
        .arg(file("leases"))
        .arg("-pf")
        .arg(file("pid"))
        .arg("eth0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(file("log")).unwrap())
        .spawn()
        .unwrap();
    Process(child)
}

/// Whether a datagram from the client's port of DHCP reaches the server's port of a host.
fn lease_ports_reach(net: &Net, host: &str) -> bool {
    const HEAR: &str = "import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n\
        s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)\ns.bind((sys.argv[1],67))\n\
        s.settimeout(3)\nprint('ready',flush=True)\n\
        while True:\n    if s.recvfrom(99)[0]==b'out': break";
    const SAY: &str = "import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n\
        s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)\ns.bind(('',68))\n\
        for _ in range(3):\n    try: s.sendto(b'out',(sys.argv[1],67))\n    except OSError: pass";
    let mut hearing = match host {
        "10.77.205.3" => net.on("b", "python3"),
        _ => Command::new("python3"),
    };
    let mut hearing = hearing
        .args(["-c", HEAR, host])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut word = [0; 6];
    std::io::Read::read_exact(hearing.stdout.as_mut().unwrap(), &mut word).unwrap();
    let said = net.on("a", "python3").args(["-c", SAY, host]).status();
    assert!(said.unwrap().success());
    hearing.wait().unwrap().success()
}

#[test]
fn an_isolated_host_keeps_its_lease_and_finds_a_server_that_moves() {
    let Some(net) = Net::new(205) else { return };
    let (Some(dnsmasq), Some(dhclient)) = (tool("dnsmasq"), tool("dhclient")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let space = format!("/etc/netns/{}a", net.tag);
    fs::create_dir_all(&space).unwrap();
    fs::write(format!("{space}/resolv.conf"), "nameserver 10.77.205.1\n").unwrap();
    let server = Server::start_at("10.77.205.1:0", Default::default(), Default::default());
    let lessor = Lessor::start(&dnsmasq, folder.path());
    let _b = net.listen("b", 8000);
    let _four = client(&net, &dhclient, "-4", folder.path(), 0);
    lessor.wait_for_more("DHCPACK(", 0);
    let six = client(&net, &dhclient, "-6", folder.path(), 0);
    lessor.wait_for_more("DHCPREPLY(", 0);
    let mut agent = Agent::new();
    agent.wrap = net.wrap("a");
    let port = server.address.port();
    let _agent = begin(agent, &server, &format!("soc.watchfloor.test:{port}"));
    server.act(&act("k1", "isolate_host", None));
    evidence(server.outcome("k1"));
    assert!(!net.reaches("a", "10.77.205.3", 8000));

    assert!(
        !lease_ports_reach(&net, "10.77.205.3"),
        "a way out by the ports of DHCP"
    );
    assert!(
        !lease_ports_reach(&net, "10.77.205.1"),
        "not to the server's host either"
    );

    // The lease is renewed by asking the link; version 6 begins anew.
    let (acks, replies) = (lessor.count("DHCPACK("), lessor.count("DHCPREPLY("));
    lessor.wait_for_more("DHCPACK(", acks + 1);
    drop(six);
    let _six = client(&net, &dhclient, "-6", folder.path(), 1);
    lessor.wait_for_more("DHCPREPLY(", replies);
    // Routers are asked for and heard.
    let adverts = lessor.count("RTR-ADVERT(");
    must(&format!("-n {}a link set eth0 down", net.tag));
    must(&format!("-n {}a link set eth0 up", net.tag));
    lessor.wait_for_more("RTR-ADVERT(", adverts);
    let has_prefix = || {
        let shown = net.on("a", "ip").args(["-6", "route"]).output().unwrap();
        String::from_utf8_lossy(&shown.stdout).contains("proto ra")
    };
    wait_until("a route by the router's word", has_prefix);

    // The server moves, and its name with it; then to an address of the other family.
    must("addr add 10.77.205.9/24 dev wf205br");
    let mut server = server;
    for at in ["10.77.205.9", "fd77:205::1"] {
        let (_, authority, heard) = server.stop();
        let hellos = heard.lock().unwrap().hellos;
        lessor.move_server(at);
        must(&format!("-n {}a neigh flush dev eth0", net.tag));
        let address = match at.contains(':') {
            true => format!("[{at}]:{port}"),
            false => format!("{at}:{port}"),
        };
        server = Server::start_at(&address, authority, heard);
        server.wait("the agent", |heard| (heard.hellos > hellos).then_some(()));
    }
    assert!(!net.reaches("a", "10.77.205.3", 8000) && !net.reaches("a", "fd77:205::3", 8000));
    assert!(!net.reaches("b", "10.77.205.2", 8000));
}
