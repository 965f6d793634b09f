//! `in_set(text, list)`: whether a text is one of many. Engines turn long lists into trees of
//! comparisons; a set asks once.
//!
//! The members are an argument and no part of the function, so that a plan with it can be sent
//! to a worker, which knows the function by its name.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::logical_expr::{
    ColumnarValue, Expr as DfExpr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit,
};
use datafusion::scalar::ScalarValue;

/// Lists whose sets are kept from batch to batch.
const MAX_KEPT: usize = 8;

/// Whether a text is one of many.
pub(in crate::pipe) fn in_set(value: DfExpr, texts: Vec<String>) -> DfExpr {
    let texts = StringArray::from(texts);
    let offsets = OffsetBuffer::from_lengths([texts.len()]);
    let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let list = ListArray::new(field, offsets, Arc::new(texts), None);
    in_set_function().call(vec![value, lit(ScalarValue::List(Arc::new(list)))])
}

/// The function.
pub(crate) fn in_set_function() -> ScalarUDF {
    ScalarUDF::from(InSet {
        signature: Signature::any(2, Volatility::Immutable),
        kept: Kept::default(),
    })
}

/// A list and the set of its members.
type Members = (ArrayRef, Arc<HashSet<String>>);

/// Sets of lists that were met; they are no part of what the function is.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<Members>>);

impl Kept {
    /// The set of a list: made once as long as the same list comes again.
    fn of(&self, list: &ListArray) -> Arc<HashSet<String>> {
        let values = list.values();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, set)) = kept.iter().find(|(known, _)| Arc::ptr_eq(known, values)) {
            return Arc::clone(set);
        }
        let texts = values
            .as_string_opt::<i32>()
            .into_iter()
            .flatten()
            .flatten();
        let set: Arc<HashSet<String>> = Arc::new(texts.map(str::to_owned).collect());
        if kept.len() >= MAX_KEPT {
            kept.remove(0);
        }
        kept.push((Arc::clone(values), Arc::clone(&set)));
        set
    }
}

#[derive(Debug)]
struct InSet {
    signature: Signature,
    kept: Kept,
}

impl PartialEq for InSet {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for InSet {}

impl std::hash::Hash for InSet {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for InSet {
    fn name(&self) -> &str {
        "in_set"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let [value, ColumnarValue::Scalar(ScalarValue::List(list))] = args.args.as_slice() else {
            let what = "in_set takes a value and a list of texts";
            return Err(DataFusionError::Execution(what.to_owned()));
        };
        let set = self.kept.of(list);
        let values = value.to_array(args.number_rows)?;
        let values = cast(&values, &DataType::Utf8)?;
        let values = values.as_string::<i32>().iter();
        let members: BooleanArray = values.map(|value| Some(set.contains(value?))).collect();
        Ok(ColumnarValue::Array(Arc::new(members)))
    }
}
