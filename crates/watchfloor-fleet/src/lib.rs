//! The server's side of agents.
