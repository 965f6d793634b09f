//! `watchfloor serve` as a process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::Client;

/// A server that is killed when this goes.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    program: PathBuf,
    data: PathBuf,
    complaints: Arc<Mutex<String>>,
    /// Where it listens: `http://host:port`.
    pub url: String,
}

impl ServerProcess {
    /// Starts a program's `serve` on free ports over a data folder, with more arguments, and
    /// waits until it says that it is ready.
    ///
    /// # Errors
    /// If it does not get ready; with what it complained of.
    pub fn start(program: &Path, data: &Path, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(program)
            .arg("serve")
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            // Tests wait for commits more often than people do.
            .args(["--commit-ms", "200"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the server")?;
        let stdout = child.stdout.take().context("no output")?;
        let stderr = child.stderr.take().context("no error output")?;
        // What it complains of is read on, so that it never blocks.
        let complaints: Arc<Mutex<String>> = Arc::default();
        let heard = Arc::clone(&complaints);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut text = heard.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&line);
                text.push('\n');
            }
        });
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let Some(url) = line.trim().strip_prefix("ready ") else {
            let _ = child.kill();
            let _ = child.wait();
            let _ = reader.join();
            let text = complaints.lock().unwrap_or_else(PoisonError::into_inner);
            bail!("the server is not ready: {text}");
        };
        Ok(Self {
            url: url.to_owned(),
            program: program.to_owned(),
            data: data.to_owned(),
            child,
            complaints,
        })
    }

    /// A client with a token of some scopes.
    ///
    /// # Errors
    /// If the token cannot be made.
    pub fn client(&self, scope: &str) -> Result<Client> {
        self.client_with(scope, &[])
    }

    /// As [`ServerProcess::client`], with variables of the environment.
    ///
    /// # Errors
    /// If the token cannot be made.
    pub fn client_with(&self, scope: &str, environment: &[(&str, &str)]) -> Result<Client> {
        let made = Command::new(&self.program)
            .args(["admin", "token", "--scope", scope, "--data"])
            .arg(&self.data)
            .envs(environment.iter().copied())
            .output()?;
        if !made.status.success() {
            bail!("no token: {}", String::from_utf8_lossy(&made.stderr));
        }
        Ok(Client::new(
            &self.url,
            String::from_utf8_lossy(&made.stdout).trim(),
        ))
    }

    /// Ends it as a power cut would: at once, with nothing said (SIGKILL).
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn is_alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// What it has written to its error output so far.
    pub fn complaints(&self) -> String {
        let text = self.complaints.lock();
        text.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
