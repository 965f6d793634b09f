//! Sigma and native rules: parse, lint, compile.
