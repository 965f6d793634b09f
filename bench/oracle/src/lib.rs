//! Holds a test alone; see `tests/oracle.rs`.
