//! `in_set(text)`: whether a text is one of many. Engines turn long lists into trees of
//! comparisons; a set asks once.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{
    ColumnarValue, Expr as DfExpr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// Whether a text is one of many.
pub(in crate::pipe) fn in_set(value: DfExpr, texts: Vec<String>) -> DfExpr {
    in_set_function(texts).call(vec![value])
}

/// The same as a function of one argument.
pub(crate) fn in_set_function(texts: Vec<String>) -> ScalarUDF {
    ScalarUDF::from(InSet {
        texts: texts.into_iter().collect(),
        signature: Signature::any(1, Volatility::Immutable),
    })
}

/// The texts of such a function, if it is one.
pub(crate) fn members_of(function: &ScalarUDF) -> Option<Vec<&String>> {
    let set = function.inner().downcast_ref::<InSet>()?;
    Some(set.texts.iter().collect())
}

#[derive(Debug, PartialEq, Eq)]
struct InSet {
    texts: HashSet<String>,
    signature: Signature,
}

impl std::hash::Hash for InSet {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.texts.len().hash(state);
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
        let values = args.args[0].to_array(args.number_rows)?;
        let values = cast(&values, &DataType::Utf8)?;
        let values = values.as_string::<i32>().iter();
        let members: BooleanArray = values
            .map(|value| Some(self.texts.contains(value?)))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(members)))
    }
}
