//! The lake's own functions on their way to another machine: by name and what they were made
//! with.

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};

use crate::needles;
use crate::pipe::{function_named, in_set_function, members_of};
use crate::search::in_network;

/// Reads and writes them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Functions;

impl PhysicalExtensionCodec for Functions {
    fn try_decode(
        &self,
        _: &[u8],
        _: &[Arc<dyn ExecutionPlan>],
        _: &TaskContext,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(unknown("a plan"))
    }

    fn try_encode(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &mut Vec<u8>,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        Err(unknown(plan.name()))
    }

    fn try_encode_udf(&self, function: &ScalarUDF, into: &mut Vec<u8>) -> Result<()> {
        if let Some(members) = members_of(function) {
            let text = serde_json::to_vec(&members);
            into.extend(text.map_err(|error| DataFusionError::External(Box::new(error)))?);
        }
        Ok(())
    }

    fn try_decode_udf(&self, name: &str, bytes: &[u8]) -> Result<Arc<ScalarUDF>> {
        let function = match name {
            "has_word" => Some(needles::has_word()),
            "in_network" => Some(in_network()),
            "in_set" => {
                let members: Vec<String> = serde_json::from_slice(bytes)
                    .map_err(|error| DataFusionError::External(Box::new(error)))?;
                Some(in_set_function(members))
            }
            name => function_named(name),
        };
        function.map(Arc::new).ok_or_else(|| unknown(name))
    }
}

fn unknown(what: &str) -> DataFusionError {
    DataFusionError::NotImplemented(format!("{what} cannot be sent to a worker"))
}
