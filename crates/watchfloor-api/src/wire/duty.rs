//! People on call.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use watchfloor_casework as casework;
use watchfloor_model as model;

/// A time that somebody is on call.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Turn {
    #[schema(value_type = String, format = DateTime)]
    pub(crate) from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) to: Timestamp,
    pub(crate) name: String,
    /// For whom they stand in.
    #[schema(required)]
    pub(crate) instead_of: Option<String>,
}

impl From<casework::Turn> for Turn {
    fn from(turn: casework::Turn) -> Self {
        Self {
            from: turn.from,
            to: turn.to,
            name: turn.name,
            instead_of: turn.instead_of,
        }
    }
}

/// A rotation that is to be made or changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRotation {
    pub(crate) name: String,
    /// Names of users, in the order of their turns.
    pub(crate) members: Vec<String>,
    /// First day, local, such as `2026-03-02`.
    pub(crate) starts_on: String,
    /// Minute of the day at which a turn begins, local, 0 to 1439.
    pub(crate) handover_minute: u16,
    /// Length of a turn in hours by the local clock.
    pub(crate) turn_hours: u32,
    /// Time zone of the IANA database.
    pub(crate) zone: String,
}

impl From<NewRotation> for casework::NewRotation {
    fn from(new: NewRotation) -> Self {
        Self {
            name: new.name,
            members: new.members,
            starts_on: new.starts_on,
            handover_minute: new.handover_minute,
            turn_hours: new.turn_hours,
            zone: new.zone,
        }
    }
}

/// People who take turns.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rotation {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) members: Vec<String>,
    pub(crate) starts_on: String,
    pub(crate) handover_minute: u16,
    pub(crate) turn_hours: u32,
    pub(crate) zone: String,
    pub(crate) changed_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) changed_at: Timestamp,
    pub(crate) version: u64,
}

impl From<model::Rotation> for Rotation {
    fn from(rotation: model::Rotation) -> Self {
        Self {
            id: rotation.id.to_string(),
            name: rotation.name,
            members: rotation.members,
            starts_on: rotation.starts_on,
            handover_minute: rotation.handover_minute,
            turn_hours: rotation.turn_hours,
            zone: rotation.zone,
            changed_by: rotation.changed_by,
            changed_at: rotation.changed_at,
            version: rotation.version,
        }
    }
}

/// Somebody stands in for somebody.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StandIn {
    pub(crate) id: String,
    pub(crate) rotation_id: String,
    pub(crate) name: String,
    /// `null` for whoever is on call.
    #[schema(required)]
    pub(crate) instead_of: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) to: Timestamp,
    pub(crate) created_by: String,
}

impl From<model::StandIn> for StandIn {
    fn from(one: model::StandIn) -> Self {
        Self {
            id: one.id.to_string(),
            rotation_id: one.rotation_id.to_string(),
            name: one.name,
            instead_of: one.instead_of,
            from: one.from,
            to: one.to,
            created_by: one.created_by,
        }
    }
}

/// Somebody is to stand in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewStandIn {
    pub(crate) name: String,
    /// For whoever is on call without.
    pub(crate) instead_of: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) to: Timestamp,
}

impl From<NewStandIn> for casework::NewStandIn {
    fn from(new: NewStandIn) -> Self {
        Self {
            name: new.name,
            instead_of: new.instead_of,
            from: new.from,
            to: new.to,
        }
    }
}

/// A rotation with its turns.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Roster {
    pub(crate) rotation: Rotation,
    /// The turn that runs.
    #[schema(required)]
    pub(crate) now: Option<Turn>,
    /// The next turn of somebody else.
    #[schema(required)]
    pub(crate) next: Option<Turn>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) stand_ins: Vec<StandIn>,
}

impl From<casework::Roster> for Roster {
    fn from(roster: casework::Roster) -> Self {
        let (now, next) = match roster.on_call {
            Some(on_call) => (Some(on_call.now.into()), on_call.next.map(Into::into)),
            None => (None, None),
        };
        Self {
            rotation: roster.rotation.into(),
            now,
            next,
            turns: roster.turns.into_iter().map(Into::into).collect(),
            stand_ins: roster.stand_ins.into_iter().map(Into::into).collect(),
        }
    }
}

/// Over which time.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RosterQuery {
    /// From this time; default now.
    pub(crate) from: Option<String>,
    /// To this time; default four weeks later, at most half a year.
    pub(crate) to: Option<String>,
}

/// How somebody is reached outside of the console.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contact {
    /// Name of the user.
    pub(crate) name: String,
    /// E-mail address; empty for none.
    pub(crate) email: String,
    /// How a channel calls them; empty for none.
    pub(crate) mention: String,
}

impl From<model::Contact> for Contact {
    fn from(contact: model::Contact) -> Self {
        Self {
            name: contact.name,
            email: contact.email,
            mention: contact.mention,
        }
    }
}

impl From<Contact> for model::Contact {
    fn from(contact: Contact) -> Self {
        Self {
            name: contact.name,
            email: contact.email,
            mention: contact.mention,
        }
    }
}
