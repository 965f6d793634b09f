//! The HTTP edge, over real records and the data plane in memory.

mod access;
mod cases;
mod clocks;
mod edge;
mod exceptions;
mod ingest;
mod monitor;
mod openapi;
mod rules;
mod support;
