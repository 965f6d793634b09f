//! What differs from one operating system to the next stands here; the rest of the agent knows
//! only these functions. Today there is Linux.

pub(crate) mod accounts;
pub(crate) mod closings;
pub(crate) mod command;
pub(crate) mod connector;
pub(crate) mod firewall;
pub(crate) mod host;
pub(crate) mod logins;
pub(crate) mod own;
pub(crate) mod process;
pub(crate) mod sockets;
pub(crate) mod writers;
