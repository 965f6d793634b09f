//! CACAO security playbooks 2.0: read, checked, rehearsed and stepped through.
//!
//! Pure: documents, values and the time in; faults and effects out.
//!
//! # Source
//! OASIS CACAO Security Playbooks Version 2.0, Committee Specification 01, 27 November 2023.

mod check;
mod command;
mod condition;
mod document;
mod drafts;
mod fault;
mod machine;
mod reader;
mod rehearse;
mod secrets;
mod unit;
mod variable;

pub use check::{call_faults, check};
pub use command::{Command, CommandKind};
pub use condition::{Condition, ConditionError, Facts};
pub use document::{AgentTarget, Playbook, Step, StepKind};
pub use fault::{Fault, Gravity};
pub use machine::{
    Context, Effect, Machine, MachineError, OpenStep, Outcome, StepResult, Waits, missing_inputs,
};
pub use reader::{BYTES_MAX, read};
pub use rehearse::{Rehearsed, RehearsedStep, rehearse};
pub use secrets::{SECRET_REFERENCE, take_secrets};
pub use unit::{NativeCommand, Unit, UnitKind, WATCHFLOOR_COMMAND, WATCHFLOOR_EXTENSION, units_of};
pub use variable::{Values, Variable, check_value, fill, is_variable_name, names_in};
