//! One program for a security operations center.
fn main() {}
