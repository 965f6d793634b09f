//! The lake's own functions, for machines that are sent a plan: it names them, and what they are
//! made with are their arguments.
//!
//! A codec of our own would not be asked: the engine's distributed codec stands before it and
//! takes every function for one that its name tells (datafusion-distributed 4.0,
//! `DistributedCodec`; datafusion-proto 55, `ComposedPhysicalExtensionCodec`).

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

use crate::needles;
use crate::pipe::{in_set_function, row_functions};
use crate::search::in_network;

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = Arc<ScalarUDF>> {
    let own = [needles::has_word(), in_network(), in_set_function()];
    own.into_iter().chain(row_functions()).map(Arc::new)
}
