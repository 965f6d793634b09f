//! Typed ids: a text that was checked once, so that two kinds cannot be mixed up.

use std::fmt;

/// Longest id in bytes.
const MAX_ID_BYTES: usize = 80;

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an id; expected 1 to 80 of a-z, A-Z, 0-9, '-', '_', '.'")]
pub struct InvalidId(String);

fn check(text: &str) -> Result<(), InvalidId> {
    let fits = !text.is_empty() && text.len() <= MAX_ID_BYTES;
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if fits && plain {
        return Ok(());
    }
    Err(InvalidId(text.chars().take(MAX_ID_BYTES).collect()))
}

macro_rules! id_type {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Checks and takes a text.
            ///
            /// # Errors
            /// [`InvalidId`] when it is empty, too long or has other characters.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                check(&text)?;
                Ok(Self(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }
    )+};
}

macro_rules! numbered {
    ($($name:ident $prefix:literal),+ $(,)?) => {$(
        impl $name {
            /// The id of the `number`-th record of its kind in a tenant.
            pub fn numbered(number: u64) -> Self {
                Self(format!(concat!($prefix, "-{}"), number))
            }
        }
    )+};
}

id_type! {
    /// Identifies an action.
    ActionId,
    /// Identifies an agent on an endpoint.
    AgentId,
    /// Identifies a group of agents.
    AgentGroupId,
    /// Identifies a right to enrol agents.
    EnrolmentId,
    /// Identifies an alert.
    AlertId,
    /// Identifies a connector.
    ConnectorId,
    /// Identifies a deletion of events.
    ErasureId,
    /// Identifies an escalation.
    EscalationId,
    /// Identifies a shift handover.
    HandoverId,
    /// Identifies an incident.
    IncidentId,
    /// Identifies a legal hold.
    LegalHoldId,
    /// Identifies a note.
    NoteId,
    /// Identifies an observable of an incident.
    ObservableId,
    /// Identifies a rotation of people on call.
    RotationId,
    /// Identifies a run of a playbook.
    RunId,
    /// Identifies a kept question.
    SearchId,
    /// Identifies a signed-in session; not the secret in the cookie.
    SessionId,
    /// Identifies that somebody stands in for somebody.
    StandInId,
    /// Identifies a suppression.
    SuppressionId,
    /// Identifies a task of an incident.
    TaskId,
    /// Identifies a tenant: whose data it is.
    TenantId,
    /// Identifies an API token; not the secret.
    TokenId,
    /// Identifies a user.
    UserId,
}

numbered! {
    ActionId "act",
    AgentId "agent",
    AgentGroupId "group",
    EnrolmentId "enr",
    ConnectorId "con",
    ErasureId "era",
    EscalationId "esc",
    HandoverId "hand",
    IncidentId "inc",
    LegalHoldId "hold",
    NoteId "note",
    ObservableId "obs",
    RotationId "rot",
    RunId "run",
    SearchId "sea",
    SessionId "ses",
    StandInId "std",
    SuppressionId "sup",
    TaskId "task",
    TokenId "tok",
    UserId "usr",
}

impl TenantId {
    /// The tenant of an installation that serves one organisation.
    pub fn main() -> Self {
        Self("main".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_could_be_mistaken_for_something_else() {
        for bad in ["", "a b", "a/b", "ä", "a\n", "'", &"x".repeat(81)] {
            assert!(AlertId::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(IncidentId::numbered(7).as_str(), "inc-7");
    }
}
