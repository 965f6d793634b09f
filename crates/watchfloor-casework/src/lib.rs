//! Triage, incidents, permissions and clocks.
