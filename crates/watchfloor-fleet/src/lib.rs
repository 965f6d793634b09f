//! The server's side of agents: the authority that signs their certificates, the listener that
//! they dial, one connection each, and what is handed to whom.
//!
//! What agents bring, and who is let in, is decided behind [`Desk`].

mod authority;
mod bucket;
mod connection;
mod desk;
mod listener;
mod registry;
mod tls;

pub use authority::{Authority, AuthorityError, Identity, Issued, SERVER_NAME};
pub use desk::{Admission, Desk, DeskFuture, FilePart, Kept, Refusal};
pub use listener::{FleetListener, FleetSettings};
pub use registry::{ActError, Answer, Live, Registry, Session, SessionState};
