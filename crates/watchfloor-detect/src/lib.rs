//! Match, correlate and score events.
