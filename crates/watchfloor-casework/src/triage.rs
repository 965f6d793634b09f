//! Decisions of triage, as pure functions: what is held back, what repeats, what binds, and
//! what an incident then says of itself.

pub(crate) mod bind;
pub(crate) mod evidence;
pub(crate) mod intake;
pub(crate) mod portrait;
pub(crate) mod risk;
pub(crate) mod scope;
