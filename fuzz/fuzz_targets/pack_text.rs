//! Any text through every extractor that a pack can name.
#![no_main]

mod support;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use watchfloor_event::Format;
use watchfloor_normalize::{PackSet, to_ocsf_json};

const PACK: &str = r#"
product: fuzz
title: Fuzz
versions: "1"
documentation: []
kinds:
  - name: any
    when: {message: {exists: true}}
    extract:
      - {as: csv, columns: [a, "-", b]}
      - {as: key_values, separator: ";", assign: ":"}
      - {as: key_values}
      - {as: json}
      - {as: xml}
      - {as: cef}
      - {as: leef}
      - {as: syslog}
      - {as: regex, regex: '(?P<c>\d+) (?P<d>\S+)'}
      - {as: grok, grok: '%{IP:e} %{URI:f} %{QS:g}'}
    time: [a, {join: [a, b]}, {field: c, format: ["%d.%m. %H:%M", "%s"]}]
    fields:
      a: [src_endpoint.ip, {to: src_endpoint.port, as: port}, {to: duration, as: [trim, seconds_to_ms]}]
"#;

static PACKS: LazyLock<PackSet> = LazyLock::new(|| {
    let (set, errors) = PackSet::load([("fuzz.yaml", PACK)]);
    assert!(errors.is_empty(), "{errors:?}");
    set
});

fuzz_target!(|data: &[u8]| {
    let mut batch = support::decoded(Format::Auto, None, data);
    PACKS.normalize(&mut batch);
    for row in 0..batch.len() {
        to_ocsf_json(&batch, row);
        PACKS.explain(&batch, row);
    }
});
