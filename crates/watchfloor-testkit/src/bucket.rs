//! S3-compatible servers for tests: moto, from PyPI, which forgets when it ends, and `disk-bucket`
//! of this crate, which keeps its objects.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{Client, wait_for};

/// An S3-compatible server with one bucket, that ends with the test.
#[derive(Debug)]
pub struct Bucket {
    child: Child,
    /// What it keeps on disk.
    kept: Option<Kept>,
    /// As `http://host:port`.
    pub endpoint: String,
}

/// Objects on disk, and the program that serves them.
#[derive(Debug)]
struct Kept {
    program: PathBuf,
    folder: tempfile::TempDir,
    address: SocketAddr,
}

impl Kept {
    fn start(&self) -> Result<Child> {
        let [(_, access_key), (_, secret_key)] = Bucket::CREDENTIALS;
        let child = Command::new(&self.program)
            .arg(self.address.to_string())
            .arg(self.folder.path())
            .args([access_key, secret_key])
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| {
                let program = self.program.display();
                format!("cannot start {program}; cargo build --workspace makes it")
            })?;
        wait_for("the bucket listens", || {
            Ok(TcpStream::connect(self.address).is_ok())
        })?;
        Ok(child)
    }
}

impl Bucket {
    /// What a program is given as credentials; moto takes any.
    pub const CREDENTIALS: [(&str, &str); 2] = [
        ("AWS_ACCESS_KEY_ID", "watchfloor"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];

    /// Starts it with the interpreter that has moto, and makes the bucket `soc`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(python: &Path) -> Result<Self> {
        // The port is free when moto asks for it, unless another program is very quick.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new(python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p"])
            .arg(address.port().to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start moto")?;
        let bucket = Self {
            child,
            kept: None,
            endpoint: format!("http://{address}"),
        };
        wait_for("moto listens", || Ok(TcpStream::connect(address).is_ok()))?;
        let made = Client::new(&bucket.endpoint, "none").request("PUT", "/soc", &[], b"")?;
        ensure!(made.status == 200, "no bucket: {}", made.status);
        Ok(bucket)
    }

    /// Starts one with a bucket `soc` that can be killed; `beside` is a program that was built with
    /// `disk-bucket`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_on_disk(beside: &Path) -> Result<Self> {
        let kept = Kept {
            program: beside.with_file_name("disk-bucket"),
            folder: tempfile::tempdir()?,
            address: TcpListener::bind("127.0.0.1:0")?.local_addr()?,
        };
        std::fs::create_dir(kept.folder.path().join("soc"))?;
        Ok(Self {
            child: kept.start()?,
            endpoint: format!("http://{}", kept.address),
            kept: Some(kept),
        })
    }

    /// Ends it as a crash does; what it was given stays.
    ///
    /// # Errors
    /// If it keeps nothing, or runs no more.
    pub fn kill(&mut self) -> Result<()> {
        ensure!(self.kept.is_some(), "moto would forget its objects");
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again with what it keeps.
    ///
    /// # Errors
    /// If it keeps nothing, or does not start.
    pub fn start_again(&mut self) -> Result<()> {
        let kept = self.kept.as_ref().context("it keeps nothing")?;
        self.child = kept.start()?;
        Ok(())
    }

    /// Stops or goes on, as a store that hangs does.
    ///
    /// # Errors
    /// If there is no such signal.
    pub fn signal(&self, name: &str) -> Result<()> {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status()?;
        ensure!(status.success(), "kill -s {name}");
        Ok(())
    }

    /// Writes a configuration with the lake in the bucket, and more lines behind it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn config(&self, folder: &Path, more: &str) -> Result<PathBuf> {
        let text = format!(
            "syslog = \"off\"\n[lake]\nlocation = \"s3://soc/lake\"\n[lake.storage]\n\
             endpoint = \"{}\"\nregion = \"us-east-1\"\nallow_http = \"true\"\ntimeout = \"3s\"\n\
             access_key_id = \"{}\"\nsecret_access_key = \"{}\"\n{more}",
            self.endpoint,
            Self::CREDENTIALS[0].1,
            Self::CREDENTIALS[1].1
        );
        let path = folder.join("watchfloor.toml");
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.signal("CONT");
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
