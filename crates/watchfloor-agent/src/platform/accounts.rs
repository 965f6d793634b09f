//! Accounts of the host: names for numbers.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::unistd::{Uid, User};

/// Names are asked for again after this time: accounts change.
const KEPT: Duration = Duration::from_secs(300);
/// Most names that are kept.
const NAMES_MAX: usize = 1_024;

/// Names of users by number, kept for a while: asking may go over the network.
#[derive(Default)]
pub(crate) struct Names {
    users: Mutex<HashMap<u32, (Option<String>, Instant)>>,
}

impl Names {
    /// The name of a user, if it has one.
    pub(crate) fn user(&self, uid: u32) -> Option<String> {
        let mut users = self.users.lock().unwrap_or_else(|one| one.into_inner());
        if let Some((name, at)) = users.get(&uid)
            && at.elapsed() < KEPT
        {
            return name.clone();
        }
        let name = user_of(uid);
        if users.len() >= NAMES_MAX {
            users.clear();
        }
        users.insert(uid, (name.clone(), Instant::now()));
        name
    }
}

/// The name of a user, asked for now.
pub(crate) fn user_of(uid: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(uid)).ok()?.map(|one| one.name)
}

/// The number of an account, if there is one.
pub(crate) fn uid_of(name: &str) -> Option<u32> {
    User::from_name(name).ok()?.map(|one| one.uid.as_raw())
}
