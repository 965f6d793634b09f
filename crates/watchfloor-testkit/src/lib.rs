//! Fixtures, fake twins and helpers for tests.
