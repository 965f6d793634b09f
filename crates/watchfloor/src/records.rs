//! Where the records of a data folder stand: SQLite in the folder, or PostgreSQL. A server writes
//! it down in the folder, without credentials, so that commands find the records.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use watchfloor_casework::{PostgresOptions, Store};

/// Name of the file in the data folder.
const FILE: &str = "store.toml";
/// Where a password may stand that is neither in the configuration nor in a file.
const PASSWORD: &str = "WATCHFLOOR_STORE_PASSWORD";

/// What the configuration says of the records.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// As `postgres://user@host:5432/database`; without one, SQLite in the data folder.
    url: Option<String>,
    /// File whose first line is the password.
    password_file: Option<PathBuf>,
}

impl std::fmt::Debug for Wanted {
    /// The URL may hold a password.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Wanted")
            .field("is_postgres", &self.url.is_some())
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Noted {
    url: String,
    password_file: Option<PathBuf>,
}

/// Opens the records that a server is to use; where they stand is written down for commands.
pub(crate) async fn settle(data: &Path, wanted: &Wanted) -> Result<Store> {
    let options = match &wanted.url {
        None => None,
        Some(url) => Some(options(url, wanted.password_file.as_deref())?),
    };
    note(data, wanted)?;
    open(data, options).await
}

/// Opens the records that the server of a data folder used last.
pub(crate) async fn of_data(data: &Path) -> Result<Store> {
    let path = data.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return open(data, None).await;
        }
        text => text.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let noted: Noted = toml::from_str(&text).map_err(|_| {
        anyhow::anyhow!(
            "{} is not as a server wrote it; a server start writes it anew",
            path.display()
        )
    })?;
    open(
        data,
        Some(options(&noted.url, noted.password_file.as_deref())?),
    )
    .await
}

async fn open(data: &Path, options: Option<PostgresOptions>) -> Result<Store> {
    let opened = match options {
        None => Store::open(data).await,
        Some(options) => Store::connect(&options).await,
    };
    opened.context("the records cannot be opened")
}

fn options(url: &str, password_file: Option<&Path>) -> Result<PostgresOptions> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        bail!("store.url must begin with postgres://; leave it out for SQLite in the data folder");
    }
    let password = match password_file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read store.password_file {}", path.display()))?;
            Some(text.lines().next().unwrap_or_default().to_owned())
        }
        None => std::env::var(PASSWORD).ok(),
    };
    Ok(PostgresOptions {
        url: url.to_owned(),
        password,
    })
}

/// The address without its password.
fn without_password(url: &str) -> Result<String> {
    // The cause could show what is secret.
    let Ok(mut url) = url::Url::parse(url) else {
        bail!("store.url is not of the form postgres://user@host:5432/database");
    };
    let _no_host_has_no_password = url.set_password(None);
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| name != "password")
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    Ok(url.into())
}

fn note(data: &Path, wanted: &Wanted) -> Result<()> {
    let path = data.join(FILE);
    let Some(url) = &wanted.url else {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        };
    };
    let password_file = wanted.password_file.as_deref();
    let noted = Noted {
        url: without_password(url)?,
        password_file: password_file.map(std::path::absolute).transpose()?,
    };
    let text = format!(
        "# Where this folder's records stand; written by the server, without credentials.\n{}",
        toml::to_string(&noted).context("the place of the records cannot be written down")?
    );
    if std::fs::read_to_string(&path).is_ok_and(|known| known == text) {
        return Ok(());
    }
    let new = data.join("store.toml.new");
    std::fs::write(&new, text)
        .and_then(|()| std::fs::rename(&new, &path))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_has_no_password() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = Wanted {
            url: Some("postgres://soc:hush@db:5432/soc?sslmode=require&password=hush2".to_owned()),
            password_file: None,
        };
        note(folder.path(), &wanted).unwrap();
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(!text.contains("hush"), "{text}");
        assert!(
            text.contains("postgres://soc@db:5432/soc?sslmode=require"),
            "{text}"
        );
        assert!(!format!("{wanted:?}").contains("hush"));
        note(folder.path(), &Wanted::default()).unwrap();
        assert!(!folder.path().join(FILE).exists());
    }

    #[test]
    fn other_addresses_are_refused_without_being_shown() {
        let refused = options("mysql://a:hush@b/c", None).unwrap_err().to_string();
        assert!(
            refused.contains("postgres://") && !refused.contains("hush"),
            "{refused}"
        );
    }
}
