//! Watchfloor on an endpoint.

mod data;
mod spool;
mod tell;

fn main() {}
