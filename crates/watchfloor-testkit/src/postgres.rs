//! A PostgreSQL server for tests: Debian's package, in a folder of its own.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};

use crate::wait_for;

/// As it stands in an URL.
const PASSWORD_IN_URL: &str = "watch%3Afloor%40test";

/// A PostgreSQL server that ends with the test, or with the process if that is killed.
#[derive(Debug)]
pub struct Postgres {
    /// Reads its input; when that ends, the server ends.
    keeper: Child,
    folder: PathBuf,
    binaries: PathBuf,
    /// Where it listens.
    pub port: u16,
    databases: AtomicU32,
}

/// How much of a crash a server has to survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// None: quick.
    None,
    /// As in production.
    Full,
}

impl Postgres {
    /// The password of its user.
    pub const PASSWORD: &str = "watch:floor@test";

    /// Starts one; `None`, with a line, where PostgreSQL is not installed.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(durability: Durability) -> Result<Option<Self>> {
        let Some(binaries) = binaries() else {
            println!("skipped: PostgreSQL is not installed; cargo xtask test installs it");
            return Ok(None);
        };
        // Not in a folder of `tempfile`, which its user could not enter.
        let folder = std::env::temp_dir().join(format!(
            "watchfloor-postgres-{}-{}",
            std::process::id(),
            TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()
        ));
        as_user("mkdir", &[])
            .args(["-p", "-m", "700"])
            .arg(&folder)
            .status()?;
        let password = folder.join("password");
        let mut write = as_user("sh", &[])
            .arg("-c")
            .arg(format!("umask 077; cat > '{}'", password.display()))
            .stdin(Stdio::piped())
            .spawn()?;
        write
            .stdin
            .take()
            .context("no input")?
            .write_all(Self::PASSWORD.as_bytes())?;
        ensure!(write.wait()?.success(), "no password file");
        let made = as_user(&binaries.join("initdb").to_string_lossy(), &[])
            .args(["--auth=scram-sha-256", "--username=watchfloor", "--no-sync"])
            .args(["--encoding=UTF8", "--locale=C.UTF-8", "--pwfile"])
            .arg(&password)
            .arg("-D")
            .arg(folder.join("data"))
            .output()?;
        ensure!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let keeper = keep(&binaries, &folder, port, durability)?;
        let server = Self {
            keeper,
            folder,
            binaries,
            port,
            databases: AtomicU32::new(0),
        };
        server.wait()?;
        Ok(Some(server))
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// If it does not.
    pub fn wait(&self) -> Result<()> {
        wait_for("PostgreSQL answers", || {
            Ok(TcpStream::connect(("127.0.0.1", self.port)).is_ok()
                && self.sql("postgres", "SELECT 1").is_ok())
        })
    }

    /// Makes an empty database and gives its address, password included.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn database(&self) -> Result<String> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(&name))
    }

    /// The address of a database.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://watchfloor:{PASSWORD_IN_URL}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// Runs SQL in a database, by its name or its address; gives what `psql` prints.
    ///
    /// # Errors
    /// If it fails.
    pub fn sql(&self, database: &str, text: &str) -> Result<String> {
        let name = database.rsplit('/').next().unwrap_or(database);
        let ran = Command::new(self.binaries.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
            .args(["-h", "127.0.0.1", "-U", "watchfloor", "-d", name])
            .args(["-p", &self.port.to_string(), "-c", text])
            .env("PGPASSWORD", Self::PASSWORD)
            .output()?;
        if !ran.status.success() {
            bail!("{text}: {}", String::from_utf8_lossy(&ran.stderr));
        }
        Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned())
    }

    /// The process id of the server.
    ///
    /// # Errors
    /// If it does not run.
    pub fn id(&self) -> Result<u32> {
        let path = self.folder.join("data/postmaster.pid");
        let text = as_user("cat", &[]).arg(path).output()?;
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        let first = text.lines().next().context("PostgreSQL does not run")?;
        Ok(first.trim().parse()?)
    }

    /// Ends it as a power cut would, with all its processes; it is started again with
    /// [`Postgres::start_again`].
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&mut self) -> Result<()> {
        let id = self.id()?.to_string();
        // Its children see that it is gone and end; those in the middle of something are killed.
        let _none_may_be_left = Command::new("pkill").args(["-KILL", "-P", &id]).status();
        Command::new("kill").args(["-KILL", &id]).status()?;
        // Not `wait`, which closes the keeper's input, and that means the end.
        wait_for("PostgreSQL is gone", || {
            Ok(self.keeper.try_wait()?.is_some())
        })
    }

    /// Starts it again on its data.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_again(&mut self, durability: Durability) -> Result<()> {
        self.keeper = keep(&self.binaries, &self.folder, self.port, durability)?;
        self.wait()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The keeper kills the server when its input ends.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        let _ = as_user("rm", &[]).arg("-rf").arg(&self.folder).status();
    }
}

/// Runs the server behind a shell that ends it when the test's end of a pipe closes.
fn keep(binaries: &Path, folder: &Path, port: u16, durability: Durability) -> Result<Child> {
    let sync = match durability {
        Durability::None => "-c fsync=off -c synchronous_commit=off -c full_page_writes=off",
        Durability::Full => "-c fsync=on",
    };
    let script = format!(
        "'{0}/postgres' -D '{1}/data' -p {port} -k '{1}' -c listen_addresses=127.0.0.1 \
         -c max_connections=60 -c shared_buffers=32MB {sync} < /dev/null > '{1}/log' 2>&1 & server=$!; \
         (cat > /dev/null; touch '{1}/ending'; kill -QUIT $server) <&3 & watcher=$!; wait $server; \
         if [ -e '{1}/ending' ]; then rm -rf '{1}'; else kill $watcher; fi",
        binaries.display(),
        folder.display()
    );
    as_user("sh", &[])
        .args(["-c", &format!("exec 3<&0; {script}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start PostgreSQL")
}

/// PostgreSQL does not run as root, so root becomes the user of Debian's package.
fn as_user(program: &str, arguments: &[&str]) -> Command {
    let is_root = std::fs::metadata("/proc/self")
        .is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0);
    let mut command = match is_root {
        true => {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
                .arg(program);
            command
        }
        false => Command::new(program),
    };
    command.args(arguments).current_dir("/");
    command
}

/// Debian keeps the programs of each version in a folder of its own.
fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|bin| bin.join("postgres").is_file() && bin.join("psql").exists())
        .collect();
    found.sort();
    found.pop()
}
