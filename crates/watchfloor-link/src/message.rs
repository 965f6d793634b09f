//! The messages of both sides.

use serde::{Deserialize, Serialize};

use crate::{Act, ActOutcome, Health, HostIdentity, Policy};

/// Most bytes of records of one message once they are unpacked.
pub const RECORDS_BYTES_MAX: usize = 8 << 20;

/// What an agent says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum ToServer {
    /// Asks for a certificate. The payload is the request for it (PKCS #10, DER; RFC 2986).
    Enrol {
        /// Secret of the one-time token.
        secret: String,
        /// What the host says it is.
        host: HostIdentity,
    },
    /// First words of an agent that has a certificate.
    Hello {
        /// [`crate::PROTOCOL`].
        protocol: u32,
        /// Version of the agent.
        version: String,
        /// What the host says it is.
        host: HostIdentity,
        /// The agent's clock in milliseconds since 1970.
        clock_ms: i64,
        /// Which policy is in force; 0 for none.
        policy: u64,
    },
    /// Asks for a certificate after the present one. The payload is the request for it.
    Renew,
    /// Records that were kept on disk until now. The payload is gzip over lines of JSON.
    Records {
        /// Which spool: a new one begins with a new random number.
        epoch: u64,
        /// Number of the first record in its spool, counted from 1.
        first: u64,
        /// How many.
        count: u32,
    },
    /// How the agent is.
    Heartbeat {
        /// The agent's clock in milliseconds since 1970.
        clock_ms: i64,
        /// Which policy is in force; 0 for none.
        policy: u64,
        /// How it is.
        health: Health,
    },
    /// How an action went.
    Acted {
        /// Key of the action.
        key: String,
        /// How it went.
        outcome: ActOutcome,
    },
    /// A part of a file that an action collected. The payload is the part.
    File {
        /// Key of the action.
        key: String,
        /// Name of the file, without a path.
        name: String,
        /// Where the part begins, in bytes.
        offset: u64,
        /// Hash of the whole file in hexadecimal, with its last part.
        sha256: Option<String>,
    },
    /// Asks for a part of the binary that was offered.
    FetchUpdate {
        /// Its version.
        version: String,
        /// Where the part begins, in bytes.
        offset: u64,
    },
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum ToAgent {
    /// The agent is let in.
    Welcome {
        /// Its id.
        agent: String,
        /// The server's clock in milliseconds since 1970.
        clock_ms: i64,
        /// Seconds between heartbeats.
        heartbeat_s: u32,
    },
    /// The agent is not let in; the connection ends.
    Refused {
        /// Why, as a stable word.
        code: RefusalCode,
        /// Why, for people, and how to mend it.
        message: String,
    },
    /// The certificate that was asked for. The payload is the agent's certificate and the
    /// authority's, PEM.
    Certificate {
        /// Id of the agent.
        agent: String,
    },
    /// Records up to here are durable and need not be kept.
    Stored {
        /// Which spool.
        epoch: u64,
        /// Number of the last record.
        through: u64,
    },
    /// No records for so long, please.
    Hold {
        /// Milliseconds.
        ms: u32,
    },
    /// What is to be watched from now on.
    Policy {
        /// The policy.
        policy: Box<Policy>,
    },
    /// Something is to be done.
    Act {
        /// What.
        act: Act,
    },
    /// A file is kept.
    FileStored {
        /// Key of the action.
        key: String,
        /// Name of the file.
        name: String,
    },
    /// There is another version of the agent.
    Update {
        /// Which.
        offer: UpdateOffer,
    },
    /// A part of its binary, as the payload.
    UpdatePart {
        /// Its version.
        version: String,
        /// Where the part begins, in bytes.
        offset: u64,
    },
}

/// A version of the agent that is to be run instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateOffer {
    /// Its version.
    pub version: String,
    /// Bytes.
    pub size: u64,
    /// Hash of its bytes, hexadecimal.
    pub sha256: String,
    /// Ed25519 over [`UpdateOffer::signed_text`] by the key that came with the certificate,
    /// hexadecimal (RFC 8032).
    pub signature: String,
}

impl UpdateOffer {
    /// What is signed: version, target and hash, so that no binary stands for another.
    pub fn signed_text(version: &str, target: &str, sha256: &str) -> String {
        format!("watchfloor-agent {version} {target} {sha256}\n")
    }
}

/// Why an agent is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The server does not know this version of the protocol.
    Protocol,
    /// The token is unknown, used up, expired or taken back.
    Token,
    /// The request for a certificate is not right.
    Request,
    /// There is no certificate, or it is of another authority or expired.
    Certificate,
    /// The certificate was taken back.
    Revoked,
    /// The certificate was given to another machine.
    OtherMachine,
    /// The server cannot answer just now.
    Busy,
    /// What was said makes no sense here.
    Nonsense,
}

impl RefusalCode {
    /// Whether it makes sense to try again without a person's help.
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Busy)
    }
}
