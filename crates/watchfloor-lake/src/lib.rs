//! Delta tables of events: append, compaction, queries.
