//! What this crate needs of the program around it.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use watchfloor_link::{ActOutcome, HostIdentity, RefusalCode};
use watchfloor_model::AgentDoubt;

use crate::{Identity, Issued, Session};

/// An answer of the desk.
pub type DeskFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why an agent is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stable word.
    pub code: RefusalCode,
    /// What, and how to mend it.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// An agent that is let in.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Name of the host as it was enrolled.
    pub host: String,
    /// The group whose policy it follows.
    pub group: String,
    /// What the group's policy is called.
    pub policy: u64,
    /// The policy as a frame, shared by the group's agents.
    pub policy_frame: Arc<[u8]>,
    /// Records a second that the policy allows.
    pub records_per_second: u32,
    /// Its spool and the last record of it that is stored.
    pub mark: (u64, u64),
    /// The version that is offered to it, as a frame, if it is to run another.
    pub update_frame: Option<Arc<[u8]>>,
}

/// What became of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// They are durable.
    Durable,
    /// They could not be kept just now; the agent keeps them.
    Later,
}

/// A part of a file that an agent collected.
#[derive(Clone, Copy, Debug)]
pub struct FilePart<'a> {
    /// Key of the action.
    pub key: &'a str,
    /// Name of the file.
    pub name: &'a str,
    /// Where the part begins.
    pub offset: u64,
    /// The part.
    pub bytes: &'a [u8],
    /// Hash of the whole, with the last part.
    pub sha256: Option<&'a str>,
}

/// Decides who is let in, and takes what agents bring.
pub trait Desk: Send + Sync + 'static {
    /// Makes a certificate for a host that has a one-time token. Answers the agent's id.
    fn enrol<'a>(
        &'a self,
        secret: &'a str,
        host: &'a HostIdentity,
        request: &'a [u8],
    ) -> DeskFuture<'a, Result<(String, Issued), Refusal>>;

    /// Makes a further certificate for an agent.
    fn renew<'a>(
        &'a self,
        who: &'a Identity,
        request: &'a [u8],
    ) -> DeskFuture<'a, Result<Issued, Refusal>>;

    /// Judges an agent with a good certificate.
    fn admit<'a>(
        &'a self,
        who: &'a Identity,
        version: &'a str,
        host: &'a HostIdentity,
        peer: IpAddr,
    ) -> DeskFuture<'a, Result<Admission, Refusal>>;

    /// Keeps records; each comes with a key that a repeat has too.
    fn keep<'a>(
        &'a self,
        session: &'a Session,
        records: Vec<(u128, Bytes)>,
    ) -> DeskFuture<'a, Kept>;

    /// Takes what came of an action.
    fn acted(&self, session: &Session, key: &str, outcome: ActOutcome);

    /// Keeps a part of a file; says when the whole is durable.
    fn file<'a>(
        &'a self,
        session: &'a Session,
        part: FilePart<'a>,
    ) -> DeskFuture<'a, Result<bool, String>>;

    /// A part of a published version.
    fn update_part(&self, session: &Session, version: &str, offset: u64) -> Option<Vec<u8>>;

    /// Something about an agent that a person should look at; told once per session and kind, or
    /// of an agent that was not let in.
    fn doubt(&self, who: &Identity, doubt: AgentDoubt, words: String);

    /// A connection that came to nothing: a stable word, and words.
    fn refused(&self, peer: IpAddr, word: &'static str, words: &str);
}
