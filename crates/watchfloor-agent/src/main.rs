//! Watchfloor on an endpoint.

fn main() {}
