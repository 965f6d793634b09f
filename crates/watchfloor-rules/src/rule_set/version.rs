//! The version of a rule: a hash of its text, and of what pipelines and placeholders make of it,
//! so that a finding says by which of them it came about.

use sha2::{Digest, Sha256};

use super::LoadOptions;
use crate::modifiers::Placeholders;

/// What every version holds where there are pipelines: their texts in the order in which they
/// were given, and the values of all placeholders, which a pipeline may put into any rule.
pub(super) fn of_pipelines(options: &LoadOptions) -> Vec<u8> {
    if options.pipelines.is_empty() {
        return Vec::new();
    }
    let mut hasher = Sha256::new();
    for pipeline in &options.pipelines {
        add(&mut hasher, &pipeline.text);
    }
    for (name, values) in &options.placeholders {
        add_placeholder(&mut hasher, name, values);
    }
    hasher.finalize().to_vec()
}

/// The version of a rule of this text, where it hangs on more than the text.
pub(super) fn of_rule(text: &str, shaping: &[u8], placeholders: &Placeholders) -> Option<String> {
    let mut hasher = Sha256::new();
    hasher.update(text.as_bytes());
    let mut is_shaped = !shaping.is_empty();
    hasher.update(shaping);
    if shaping.is_empty() {
        for (name, values) in placeholders {
            if text.contains(&format!("%{name}%")) {
                add_placeholder(&mut hasher, name, values);
                is_shaped = true;
            }
        }
    }
    is_shaped.then(|| hex::encode(&hasher.finalize()[..6]))
}

fn add_placeholder(hasher: &mut Sha256, name: &str, values: &[String]) {
    add(hasher, name);
    values.iter().for_each(|value| add(hasher, value));
    hasher.update([0xff]);
}

/// Adds a text with its length, so that two texts never look like one.
fn add(hasher: &mut Sha256, text: &str) {
    hasher.update((text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}
