//! The analyst's story in a real browser, on the demonstration's data.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::shell;

/// Tactics that the recorded intrusion must show in one incident.
const TACTICS: &str = "initial-access,execution,credential-access,lateral-movement,exfiltration";
/// How long the server may take to say that it is ready.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// A server that is stopped when this goes.
pub(crate) struct Server {
    child: Child,
    /// What it printed: its address.
    pub url: String,
    /// The one-time link.
    pub setup_url: String,
}

impl Server {
    /// Starts `watchfloor` with these arguments and waits for its two lines.
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(shell::root())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let output = child.stdout.take().context("the server has no output")?;
        let errors = child
            .stderr
            .take()
            .context("the server has no error output")?;
        let (lines, receiver) = mpsc::channel();
        read_lines(output, lines.clone());
        read_lines(errors, lines);
        let (mut url, mut setup_url) = (None, None);
        while url.is_none() || setup_url.is_none() {
            let line = receiver
                .recv_timeout(READY_LIMIT)
                .context("the server did not get ready")?;
            if let Some(address) = line.strip_prefix("ready ") {
                url = Some(address.to_owned());
            } else if let Some(at) = line.find("http").filter(|_| line.contains("/setup#")) {
                setup_url = line[at..].split_whitespace().next().map(str::to_owned);
            }
        }
        // What comes later is read on, so that the server never blocks on its output.
        std::thread::spawn(move || receiver.iter().for_each(drop));
        Ok(Self {
            child,
            url: url.unwrap_or_default(),
            setup_url: setup_url.unwrap_or_default(),
        })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(from: impl Read + Send + 'static, to: mpsc::Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                break;
            }
        }
    });
}

/// Plays the story; screenshots go to `target/artifacts/console`.
pub(crate) fn story() -> Result<()> {
    let folder = shell::target().join("artifacts");
    let data = folder.join("demo-data");
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    std::fs::create_dir_all(&folder)?;
    let data = data.to_string_lossy().into_owned();
    let program = shell::watchfloor();
    let started = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_millis()
        .to_string();
    let server = Server::start(
        &program,
        &["demo", "--listen", "127.0.0.1:0", "--data", &data],
    )?;
    let token = shell::output(
        Command::new(&program).args(["admin", "token", "--scope", "ingest", "--data", &data]),
    )?;
    let screens = folder.join("console");
    let mut node = shell::command("npm", "console");
    node.args(["run", "--silent", "e2e", "--"]);
    node.args([
        "--url",
        &server.url,
        "--setup-url",
        &server.setup_url,
        "--token",
        token.trim(),
    ]);
    node.args(["--tactics", TACTICS, "--started-ms", &started]);
    node.arg("--out").arg(&screens);
    shell::run(&mut node)?;
    let made = std::fs::read_dir(&screens)?.count();
    if made == 0 {
        bail!("the story left no screenshots in {}", screens.display());
    }
    println!("{made} screenshots in {}", screens.display());
    Ok(())
}
