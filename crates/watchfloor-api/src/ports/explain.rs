//! Why a rule matches an event, as the API asks for it.

/// The event that a rule is explained on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExplainedEvent {
    /// A stored one, by id.
    Stored(String),
    /// A raw record.
    Raw {
        /// Its text.
        text: String,
        /// Its format, such as `json` or `syslog`; found from the text where none is named.
        format: Option<String>,
    },
}

/// Why there is no explanation.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ExplainError {
    /// No rule has the id.
    #[error("no rule has this id")]
    NoRule,
    /// No stored event has the id.
    #[error("no stored event has this id; it may be older than what is kept")]
    NoEvent,
    /// The raw record's format is none.
    #[error("there is no format '{0}'")]
    NoFormat(String),
    /// The lake failed; the text is for the log.
    #[error("the event could not be read: {0}")]
    Failed(String),
}
