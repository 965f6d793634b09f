//! What is on the host: processes, accounts, packages, services and more.

use crate::core::Core;
use crate::record::Fields;

/// The state of a name, as artifact definitions call it; `None` if there is no such state.
pub(crate) fn state(_core: &Core, _name: &str) -> Option<Vec<Fields>> {
    None
}
