//! Every log source that SigmaHQ's rules name for a supported product must be offered by a kind.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

mod packs;

use std::collections::BTreeMap;
use std::path::Path;

use watchfloor_event::Logsource;

/// Products and categories without a pack yet; their rules are named as unreachable.
const UNSUPPORTED: [&str; 11] = [
    "django",
    "huawei",
    "jvm",
    "nodejs",
    "python",
    "ruby_on_rails",
    "spring",
    "sql",
    "velocity",
    "linux/-/guacamole",
    "paloalto/file_event/globalprotect",
];

fn collect(folder: &Path, found: &mut BTreeMap<String, usize>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|end| end == "yml") {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let Some(at) = text.find("\nlogsource:") else {
                continue;
            };
            let mut parts = ["-".to_owned(), "-".to_owned(), "-".to_owned()];
            for line in text[at + 1..].lines().skip(1) {
                if !line.starts_with([' ', '\t']) {
                    break;
                }
                let Some((key, value)) = line.split('#').next().unwrap_or("").split_once(':')
                else {
                    continue;
                };
                let value = value.trim().trim_matches(['\'', '"']).to_owned();
                match key.trim() {
                    "product" => parts[0] = value,
                    "category" => parts[1] = value,
                    "service" => parts[2] = value,
                    _ => {}
                }
            }
            *found.entry(parts.join("/")).or_default() += 1;
        }
    }
}

#[test]
fn supported_log_sources_are_reachable() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/sigma-rules");
    if !rules.is_dir() {
        println!("skipped: {} is absent", rules.display());
        return;
    }
    let mut wanted = BTreeMap::new();
    collect(&rules, &mut wanted);
    let set = packs::load();
    let (mut reached, mut missed, mut failures) = (0, 0, Vec::new());
    for (name, count) in &wanted {
        let mut parts = name
            .split('/')
            .map(|part| (part != "-").then(|| part.to_owned()));
        let rule = Logsource {
            product: parts.next().flatten(),
            category: parts.next().flatten(),
            service: parts.next().flatten(),
        };
        let mut kinds = set.packs().iter().flat_map(|pack| &pack.kinds);
        let product = name.split('/').next().unwrap_or_default();
        if kinds.any(|kind| kind.answers_to(&rule)) {
            reached += count;
        } else if UNSUPPORTED.contains(&product) || UNSUPPORTED.contains(&name.as_str()) {
            missed += count;
        } else {
            failures.push(format!("{count} rules of {name}"));
        }
    }
    println!("{reached} rules reachable, {missed} of products without a pack");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
