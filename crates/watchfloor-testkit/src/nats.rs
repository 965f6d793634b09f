//! A nats-server with JetStream for tests: Debian's package, in a folder of its own.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::wait_for;

/// A nats-server that ends with the test.
#[derive(Debug)]
pub struct Nats {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Nats {
    /// Starts one; `None`, with a line, where it is not installed.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start() -> Result<Option<Self>> {
        let Some(program) = program() else {
            println!("skipped: nats-server is not installed; cargo xtask test installs it");
            return Ok(None);
        };
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = tempfile::tempdir()?;
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\nmax_payload: 4MB\njetstream {{ store_dir: \"{}\", max_file_store: 4GB }}\n",
            folder.path().join("store").display()
        );
        std::fs::write(folder.path().join("nats.conf"), config)?;
        let child = run(&program, &folder)?;
        let server = Self {
            child,
            folder,
            port,
        };
        server.wait()?;
        Ok(Some(server))
    }

    /// As `nats://127.0.0.1:4222`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    fn wait(&self) -> Result<()> {
        wait_for("nats-server listens", || {
            Ok(TcpStream::connect(("127.0.0.1", self.port)).is_ok())
        })
    }

    /// Ends it as a power cut would.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again on its data.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_again(&mut self) -> Result<()> {
        let program = program().context("nats-server is gone")?;
        self.child = run(&program, &self.folder)?;
        self.wait()
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(program: &PathBuf, folder: &tempfile::TempDir) -> Result<Child> {
    let log = std::fs::File::create(folder.path().join("log"))?;
    Command::new(program)
        .arg("-c")
        .arg(folder.path().join("nats.conf"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .context("cannot start nats-server")
}

/// Debian puts it where only administrators look.
fn program() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&paths).chain(["/usr/sbin".into(), "/usr/bin".into()]);
    let mut found = folders.map(|folder| folder.join("nats-server"));
    found.find(|path| path.is_file())
}
