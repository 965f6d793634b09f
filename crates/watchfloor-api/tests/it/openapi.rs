//! The description of the API is a golden file: the console's types are made from it.

use std::path::Path;

#[test]
fn description_is_the_golden_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.json");
    let made = watchfloor_api::openapi_json();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == made,
        "openapi.json is not what the code says; look at the change, then run with UPDATE_GOLDEN=1"
    );
}
