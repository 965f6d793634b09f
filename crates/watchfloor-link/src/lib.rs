//! What agents and the server say to each other: frames over one TLS connection per agent, and
//! the messages in them. Pure: bytes in, values out.
//!
//! An agent dials the server. Without a certificate it can only ask for one
//! ([`ToServer::Enrol`]); with one it says [`ToServer::Hello`], is told [`ToAgent::Welcome`], and
//! from then on both sides send what they have, when they have it.

mod action;
mod enrolment;
mod frame;
mod message;
mod policy;
mod state;

pub use action::{AGENT_ACTIONS, Act, ActOutcome};
pub use enrolment::{EnrolmentError, EnrolmentToken};
pub use frame::{Frame, FrameError, HEAD_BYTES, Head, MESSAGE_BYTES_MAX, PAYLOAD_BYTES_MAX};
pub use message::{RECORDS_BYTES_MAX, RefusalCode, ToAgent, ToServer, UpdateOffer};
pub use policy::{
    ArtifactDefinition, CheckDefinition, CheckProbe, IntegrityPath, LogFile, Policy, ProcessEvents,
};
pub use state::{CollectorState, Health, HostIdentity};

/// Version of what is said. A server refuses versions that it does not know.
pub const PROTOCOL: u32 = 1;

/// Port on which servers wait for agents unless told otherwise.
pub const PORT: u16 = 6517;
