//! Where the planes meet: the traits that each side declares, over the other side.

mod connections;
mod convert;
mod events;
mod exports;
mod findings;
mod hunting;
mod intake;
mod keeper;
mod lookup;
mod outside;
mod status;
mod values;

pub(crate) use events::LakeEvents;
pub(crate) use exports::{EVENT_HEAD, event_json, export_query};
pub(crate) use findings::CaseworkSink;
pub(crate) use hunting::Queries;
pub(crate) use intake::JournalIntake;
pub(crate) use keeper::{Keeper, KeeperSettings};
pub(crate) use lookup::LakeLookup;
pub(crate) use outside::{AgentGateway, Outside};
pub(crate) use status::DataPlane;
