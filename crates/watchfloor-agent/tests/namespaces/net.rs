//! Hosts in network namespaces.

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};

pub(crate) fn ip(arguments: &str) -> Output {
    Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .unwrap()
}

pub(crate) fn must(arguments: &str) {
    let output = ip(arguments);
    assert!(output.status.success(), "ip {arguments}: {output:?}");
}

/// Says loudly that a test shows nothing here; what is printed is kept back if a test passes.
pub(crate) fn skip(words: &str) {
    let _ = std::io::stderr().write_all(format!("\nSKIPPED: {words}\n").as_bytes());
}

/// Where Debian keeps a program of administrators. As root, it must be there.
pub(crate) fn tool(name: &str) -> Option<String> {
    let path = format!("/usr/sbin/{name}");
    if fs::metadata(&path).is_ok() {
        return Some(path);
    }
    let is_root = rustix::process::geteuid().is_root();
    assert!(
        !is_root,
        "{name} is missing; cargo xtask test installs what tests need"
    );
    None
}

/// Three hosts on one bridge: the server's (this one), the one that is isolated, and another. Each
/// has the addresses `10.77.NUMBER.HOST` and `fd77:NUMBER::HOST`.
pub(crate) struct Net {
    pub tag: String,
    /// What is mounted over programs of the isolated host, so that they are not there.
    pub hidden: Vec<String>,
    /// Another run of the tests on this machine waits.
    _lock: fs::File,
}

impl Net {
    /// `None` where the machine does not let us.
    pub(crate) fn new(number: u8) -> Option<Self> {
        if !rustix::process::geteuid().is_root() || tool("nft").is_none() {
            skip("isolation needs root and nft");
            return None;
        }
        let lock = std::env::temp_dir().join(format!("watchfloor-test-net-{number}"));
        let lock = fs::File::create(lock).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        let net = Self {
            tag: format!("wf{number}"),
            hidden: Vec::new(),
            _lock: lock,
        };
        net.clean();
        let tag = &net.tag;
        if !ip(&format!("link add {tag}br type bridge"))
            .status
            .success()
        {
            skip("no bridges here");
            return None;
        }
        must(&format!("addr add 10.77.{number}.1/24 dev {tag}br"));
        must(&format!("addr add fd77:{number}::1/64 dev {tag}br nodad"));
        must(&format!("link set {tag}br up"));
        for (name, host) in [("a", 2), ("b", 3)] {
            must(&format!("netns add {tag}{name}"));
            must(&format!(
                "link add {tag}{name}0 type veth peer name eth0 netns {tag}{name}"
            ));
            must(&format!("link set {tag}{name}0 master {tag}br up"));
            let add = format!("-n {tag}{name} addr add");
            must(&format!("{add} 10.77.{number}.{host}/24 dev eth0"));
            must(&format!("{add} fd77:{number}::{host}/64 dev eth0 nodad"));
            must(&format!("-n {tag}{name} link set eth0 up"));
            must(&format!("-n {tag}{name} link set lo up"));
        }
        Some(net)
    }

    fn clean(&self) {
        let tag = &self.tag;
        for name in ["a", "b"] {
            // A process that is left would keep the namespace, and with it this.
            ip(&format!("link del {tag}{name}0"));
            ip(&format!("netns del {tag}{name}"));
            let _ = fs::remove_dir_all(format!("/etc/netns/{tag}{name}"));
        }
        ip(&format!("link del {tag}br"));
    }

    /// What a program is started by, so that it runs on a host.
    pub(crate) fn wrap(&self, host: &str) -> Vec<String> {
        let space = format!("{}{host}", self.tag);
        let mut words = ["ip", "netns", "exec", &space].map(str::to_owned).to_vec();
        if !self.hidden.is_empty() {
            // A mount namespace of its own comes with `ip netns exec`.
            let mut script = "set -e; ".to_owned();
            for path in &self.hidden {
                script.push_str(&format!("mount --bind /dev/null {path}; "));
            }
            script.push_str("exec \"$@\"");
            words.extend(["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()]);
        }
        words
    }

    /// A program on one of the hosts.
    pub(crate) fn on(&self, host: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}{host}", self.tag), program]);
        command
    }

    /// Whether one host reaches a port of another, by the answer that a listener gives.
    pub(crate) fn reaches(&self, from: &str, address: &str, port: u16) -> bool {
        let script = format!(
            "import socket;s=socket.create_connection(('{address}',{port}),1);print(s.recv(2).decode())"
        );
        let output = self
            .on(from, "python3")
            .args(["-c", &script])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).contains("ok")
    }

    pub(crate) fn listen(&self, host: &str, port: u16) -> Listener {
        let script = format!(
            "import socket\ns=socket.socket(socket.AF_INET6);s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)\n\
             s.bind(('::',{port}));s.listen(9);print('up',flush=True)\n\
             while True:\n c,_=s.accept();c.send(b'ok');c.close()"
        );
        let mut child = self
            .on(host, "python3")
            .args(["-c", &script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut up = [0; 2];
        child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
        Listener(child)
    }

    pub(crate) fn pings(&self, from: &str, address: &str) -> bool {
        let script = format!(
            "import socket,struct,os\ns=socket.socket(socket.AF_INET,socket.SOCK_RAW,1);s.settimeout(1)\n\
             def c(b):\n n=sum(struct.unpack('!%dH'%(len(b)//2),b));n=(n>>16)+(n&65535);return ~(n+(n>>16))&65535\n\
             h=struct.pack('!BBHHH',8,0,0,7,1);h=struct.pack('!BBHHH',8,0,c(h),7,1)\n\
             s.sendto(h,('{address}',0));s.recv(99);print('ok')"
        );
        let output = self
            .on(from, "python3")
            .args(["-c", &script])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).contains("ok")
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.clean();
    }
}

pub(crate) struct Listener(Child);

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A listener of this host, where the server is, on a port that is not the server's.
pub(crate) fn listen_here(address: &str) -> u16 {
    let listener = std::net::TcpListener::bind(address).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"ok");
        }
    });
    port
}
