//! What is wrong with a playbook: where, why, and how to mend it.

/// Whether a playbook with the fault may be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// It cannot be run.
    Error,
    /// It can be run, and somebody should look.
    Warning,
}

impl Gravity {
    /// The word of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Something wrong with a playbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whether it can be run.
    pub gravity: Gravity,
    /// Stable word, such as `unknown_step`.
    pub code: &'static str,
    /// JSON pointer to the place.
    pub place: String,
    /// The step, where it lies in one.
    pub step: Option<String>,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub mend: String,
}

impl Fault {
    pub(crate) fn error(
        code: &'static str,
        place: impl Into<String>,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            gravity: Gravity::Error,
            code,
            place: place.into(),
            step: None,
            message: message.into(),
            mend: mend.into(),
        }
    }

    pub(crate) fn warning(
        code: &'static str,
        place: impl Into<String>,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            gravity: Gravity::Warning,
            ..Self::error(code, place, message, mend)
        }
    }

    pub(crate) fn at_step(mut self, step: &str) -> Self {
        self.step = Some(step.to_owned());
        self
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let gravity = self.gravity.as_str();
        write!(
            f,
            "{gravity}: {}: {} ({})",
            self.place, self.message, self.mend
        )
    }
}
