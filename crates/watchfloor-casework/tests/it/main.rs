//! Behaviour of the control plane, over real records in a fresh folder.

mod access;
mod cases;
mod clocks;
mod response;
mod support;
mod together;
mod triage;
