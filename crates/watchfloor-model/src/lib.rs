//! Nouns of the SOC and their state machines.
