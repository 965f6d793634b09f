//! Secrets that stand in a document: they are taken out of it before it is kept.

use serde_json::Value;

use crate::reader::pointer;

/// Begins the name by which a document refers to a secret that is kept elsewhere.
pub const SECRET_REFERENCE: &str = "watchfloor-secret:";

/// Properties of authentication infos that hold a secret.
const SECRET_NAMES: &[&str] = &[
    "password",
    "token",
    "oauth_header",
    "private_key",
    "privatekey",
    "secret",
    "client_secret",
    "api_key",
];

/// Takes secrets out of a document. Each is handed to `keep` with a name; a reference stays in
/// its place, as CACAO's `kms` and `kms_key_identifier` say. A document without secrets is not
/// changed. Returns where secrets were.
///
/// # Source
/// CACAO 2.0, section 6.
pub fn take_secrets(document: &mut Value, keep: &mut dyn FnMut(&str, &str)) -> Vec<String> {
    let id = document
        .get("id")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let mut places = Vec::new();
    let infos = document
        .get_mut("authentication_info_definitions")
        .and_then(Value::as_object_mut);
    for (name, info) in infos.into_iter().flatten() {
        let Some(info) = info.as_object_mut() else {
            continue;
        };
        let mut reference = None;
        for property in SECRET_NAMES {
            let Some(Value::String(secret)) = info.get(*property) else {
                continue;
            };
            if secret.is_empty() || secret.starts_with(SECRET_REFERENCE) {
                continue;
            }
            let key = format!("{id}/{name}/{property}");
            keep(&key, secret);
            let kept = format!("{SECRET_REFERENCE}{key}");
            info.insert((*property).to_owned(), Value::String(kept.clone()));
            reference = Some(kept);
            places.push(format!(
                "/authentication_info_definitions/{}/{property}",
                pointer(name)
            ));
        }
        if let Some(reference) = reference {
            info.insert("kms".to_owned(), Value::Bool(true));
            info.insert("kms_key_identifier".to_owned(), Value::String(reference));
        }
    }
    places
}
