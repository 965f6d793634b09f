//! Logins, logouts and failed logins from `wtmp` and `btmp`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::platform::logins::{Login, LoginKind, RECORD_BYTES, parse};
use crate::record::{Fields, put};
use crate::spool::{Class, Positions};

const NAME: &str = "logins";
/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Records of one round.
const ROUND_MAX: usize = 256;
/// Logins whose end is awaited.
const OPEN_MAX: usize = 4_096;
/// Files and what a record of a user in them means.
const FILES: &[(&str, &str)] = &[
    ("/var/log/wtmp", "login"),
    ("/var/log/btmp", "login_failed"),
];

/// How far a file was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    inode: u64,
    offset: u64,
}

/// Watches logins until the agent ends.
pub(super) fn run(core: &Core) {
    let mut open = BTreeMap::new();
    while core.rest(LOOK_EVERY) {
        if !core.policy().logins {
            core.board.off(NAME);
            continue;
        }
        core.board.count(NAME, 0);
        for (path, kind) in FILES {
            match read(core, Path::new(path), kind, &mut open) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => core.board.trouble(NAME, &format!("{path}: {error}")),
            }
        }
    }
}

fn read(
    core: &Core,
    path: &Path,
    kind: &str,
    open: &mut BTreeMap<String, Login>,
) -> io::Result<()> {
    let key = format!("utmp:{}", path.display());
    let mut file = File::open(path)?;
    let meta = file.metadata()?;
    let saved = core
        .spool
        .position(&key)
        .and_then(|value| serde_json::from_value(value).ok());
    let mut position: Position = match saved {
        Some(position) => position,
        // At the first start what happened long ago is passed over.
        None => {
            let whole = meta.len() - meta.len() % RECORD_BYTES as u64;
            let position = Position {
                inode: meta.ino(),
                offset: whole,
            };
            return save(core, &key, &position, Vec::new());
        }
    };
    if position.inode != meta.ino() || meta.len() < position.offset {
        position = Position {
            inode: meta.ino(),
            offset: 0,
        };
    }
    while meta.len() >= position.offset + RECORD_BYTES as u64 {
        file.seek(SeekFrom::Start(position.offset))?;
        let mut bytes = Vec::new();
        file.by_ref()
            .take((ROUND_MAX * RECORD_BYTES) as u64)
            .read_to_end(&mut bytes)?;
        let (whole, _) = bytes.as_chunks::<RECORD_BYTES>();
        if whole.is_empty() {
            return Ok(());
        }
        position.offset += (whole.len() * RECORD_BYTES) as u64;
        let records = whole
            .iter()
            .filter_map(|record| tell(core, kind, parse(record), open))
            .collect();
        save(core, &key, &position, records)?;
    }
    Ok(())
}

fn save(core: &Core, key: &str, position: &Position, records: Vec<Vec<u8>>) -> io::Result<()> {
    let value = serde_json::to_value(position).map_err(io::Error::other)?;
    let positions = Positions::from([(key.to_owned(), value)]);
    core.keep(NAME, Class::Kept, records, positions);
    Ok(())
}

/// The record of a login; `None` for what is none.
fn tell(
    core: &Core,
    kind: &str,
    login: Login,
    open: &mut BTreeMap<String, Login>,
) -> Option<Vec<u8>> {
    let (kind, login) = match (login.kind, kind) {
        (LoginKind::User, "login") if !login.user.is_empty() => {
            if open.len() < OPEN_MAX {
                open.insert(login.line.clone(), login.clone());
            }
            ("login", login)
        }
        (_, "login_failed") => ("login_failed", login),
        (LoginKind::Dead, _) => {
            // The record of an end does not say whose it was.
            let begun = open.remove(&login.line)?;
            let ended = Login {
                user: begun.user,
                host: begun.host,
                address: begun.address,
                ..login
            };
            ("logout", ended)
        }
        _ => return None,
    };
    let time = Timestamp::from_microsecond(login.time_us).unwrap_or_else(|_| Timestamp::now());
    Some(core.recorder.event(kind, time, fields(&login)))
}

/// What is told of a login.
pub(super) fn fields(login: &Login) -> Fields {
    let mut fields = Fields::new();
    put(&mut fields, "user", login.user.as_str());
    put(&mut fields, "tty", login.line.as_str());
    put(&mut fields, "pid", login.pid);
    put(&mut fields, "remote_host", login.host.as_str());
    let address = login.address.or_else(|| login.host.parse().ok());
    put(
        &mut fields,
        "remote_address",
        address.map(|one| one.to_string()),
    );
    fields
}

/// Who is logged in now, from `utmp`, for a snapshot.
pub(super) fn current() -> Vec<Fields> {
    let bytes = fs::read("/var/run/utmp").unwrap_or_default();
    let (whole, _) = bytes.as_chunks::<RECORD_BYTES>();
    let logins = whole.iter().map(parse);
    logins
        .filter(|login| login.kind == LoginKind::User && !login.user.is_empty())
        .map(|login| {
            let mut fields = fields(&login);
            let time = Timestamp::from_microsecond(login.time_us).ok();
            put(&mut fields, "since", time.map(|time| format!("{time:.0}")));
            fields
        })
        .collect()
}
