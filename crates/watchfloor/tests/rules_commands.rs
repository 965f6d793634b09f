//! `watchfloor rules explain`, `coverage`, `test --junit`, and pipelines on the command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");

fn watchfloor(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(PROGRAM).args(arguments).output()?)
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn write(&self, name: &str, text: &str) -> Result<String> {
        let path = self.0.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// A process start as Sysmon has it.
const EVENT: &str = r#"{"Channel":"Microsoft-Windows-Sysmon/Operational","Provider_Name":"Microsoft-Windows-Sysmon","EventID":1,"UtcTime":"2026-11-24 08:00:00.000","Image":"C:\\Windows\\System32\\Whoami.exe","CommandLine":"whoami \u001b[31m/all","User":"LAB\\bob"}"#;

const RULE: &str = r"title: Who Am I
id: 11111111-1111-4111-8111-111111111111
tags: [attack.discovery, attack.t1033, attack.t1086]
logsource:
  product: windows
  category: process_creation
detection:
  selection:
    Image|endswith:
      - '\whoami.exe'
      - '\id.exe'
  filter:
    User|contains: admin
    ParentImage: x
  condition: selection and not filter
level: high
";

#[test]
fn explain_says_condition_by_condition_why() -> Result<()> {
    let folder = Folder::new()?;
    let (rule, event) = (folder.write("r.yml", RULE)?, folder.write("e.json", EVENT)?);
    let output = watchfloor(&["rules", "explain", &rule, &event])?;
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}{output:?}");
    for expected in [
        "✓ Who Am I (11111111-1111-4111-8111-111111111111) matches",
        "condition: selection and not filter",
        "✓ log source: the rule asks for product windows, category process_creation",
        "✓ selection",
        "(process.file.path) = 'C:\\Windows\\System32\\Whoami.exe'",
        "ends with '\\whoami.exe', in lower case",
        "✗ filter",
        "the value differs",
        "ParentImage absent; looked in unmapped.ParentImage, ParentImage, actor.process.file.path",
    ] {
        assert!(text.contains(expected), "no {expected:?} in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no colour without a terminal");
    // The other way round, and what the event says cannot steer the terminal.
    let other = RULE.replace("'\\id.exe'", "'\\id.exe'\n    CommandLine: never");
    let rule = folder.write("other.yml", &other)?;
    let output = watchfloor(&["rules", "explain", &rule, &event])?;
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("whoami \\u{1b}[31m/all"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    Ok(())
}

#[test]
fn explain_as_json_names_places_and_the_log_source() -> Result<()> {
    let folder = Folder::new()?;
    let event = folder.write("e.json", EVENT)?;
    let linux = RULE.replace("product: windows", "product: linux");
    let rule = folder.write("r.yml", &linux)?;
    let output = watchfloor(&["rules", "explain", "--format", "json", &rule, &event])?;
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(told["matched"], false);
    assert_eq!(told["logsource"]["passed"], false);
    assert_eq!(told["logsource"]["asks"]["product"], "linux");
    assert_eq!(told["tree"]["matched"], true, "the condition alone holds");
    assert_eq!(told["tree"]["parts"][0]["name"], "selection");
    let field = &told["tree"]["parts"][0]["parts"][0];
    assert_eq!(field["place"], "process.file.path", "{told:#}");
    assert_eq!(told["event"]["position"], 0);
    Ok(())
}

#[test]
fn explain_picks_a_record_and_a_rule_by_title() -> Result<()> {
    let folder = Folder::new()?;
    let calm = EVENT.replace("Whoami.exe", "calc.exe");
    let events = folder.write("e.ndjson", &format!("{calm}\n{EVENT}\n"))?;
    let rule = folder.write("r.yml", RULE)?;
    let explain = |more: &[&str]| {
        let arguments = ["rules", "explain", "--rules", &rule, "who am i", &events];
        watchfloor(&[&arguments, more].concat())
    };
    assert_eq!(explain(&["--position", "0"])?.status.code(), Some(1));
    assert_eq!(explain(&["--position", "1"])?.status.code(), Some(0));
    for (more, words) in [
        (&[][..], "holds 2 records; name one of them with --position"),
        (&["--position", "7"][..], "has no record 7"),
    ] {
        let output = explain(more)?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2));
        assert!(told.contains(words), "{told}");
    }
    let output = watchfloor(&["rules", "explain", "no such rule", &events])?;
    assert_eq!(output.status.code(), Some(2));
    Ok(())
}

#[test]
fn explain_tells_what_a_correlation_needs() -> Result<()> {
    let folder = Folder::new()?;
    let event = folder.write("e.json", EVENT)?;
    let correlation = "---\ntitle: Many\nid: 22222222-2222-4222-8222-222222222222\ncorrelation:\n  type: event_count\n  rules: [11111111-1111-4111-8111-111111111111]\n  group-by: [User]\n  timespan: 1h\n  condition: {gte: 5}\n";
    let rule = folder.write("r.yml", &format!("{RULE}{correlation}"))?;
    let arguments = ["rules", "explain", "--rules", &rule, "Many", &event];
    let output = watchfloor(&arguments)?;
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for expected in [
        "✓ Many (22222222-2222-4222-8222-222222222222) counts this event",
        "event_count: the number of events within 1 h must be >= 5",
        "all events must have the same User",
        "✓ Who Am I",
    ] {
        assert!(text.contains(expected), "no {expected:?} in:\n{text}");
    }
    Ok(())
}

#[test]
fn coverage_tells_four_states_apart() -> Result<()> {
    let folder = Folder::new()?;
    let event = folder.write("e.json", EVENT)?;
    let rules = folder.path("rules");
    std::fs::create_dir(&rules)?;
    let rule = |id: &str, technique: &str, image: &str| {
        RULE.replace("11111111-1111-4111-8111-111111111111", id)
            .replace(
                "[attack.discovery, attack.t1033, attack.t1086]",
                &format!("[attack.{technique}]"),
            )
            .replace("whoami", image)
    };
    std::fs::write(rules.join("fired.yml"), rule("a", "t1033", "whoami"))?;
    std::fs::write(rules.join("tested.yml"), rule("b", "t1086", "calc"))?;
    let case = EVENT.replace("Whoami.exe", "calc.exe").replace('\'', "''");
    std::fs::write(
        rules.join("tested.cases.yaml"),
        format!("cases:\n  - name: calc\n    fires: true\n    records: [{{line: '{case}'}}]\n"),
    )?;
    std::fs::write(rules.join("rule.yml"), rule("c", "t1105", "curl"))?;
    let layer = folder.path("layer.json");
    let (rules, layer_path) = (rules.to_string_lossy(), layer.to_string_lossy());
    let arguments = [
        "rules",
        "coverage",
        "--rules",
        &rules,
        "--events",
        &event,
        "-o",
        &layer_path,
    ];
    let output = watchfloor(&arguments)?;
    let text = stdout(&output);
    ensure!(output.status.success(), "{text}{output:?}");
    let line = |state: &str| {
        let mut lines = text.lines();
        let found = lines.find(|line| line.starts_with(state));
        let words = found.map(|line| line[state.len()..].split_whitespace());
        words
            .and_then(|mut words| words.next()?.parse::<usize>().ok())
            .with_context(|| format!("no {state} in {text}"))
    };
    assert_eq!(
        [line("rule present")?, line("rule tested")?, line("fired")?],
        [1, 1, 1]
    );
    // Built-in rules tell which techniques there would be data for.
    assert!(line("data present")? > 5, "{text}");
    let layer: Value = serde_json::from_slice(&std::fs::read(&layer)?)?;
    check_layer(&layer)?;
    let techniques = layer["techniques"].as_array().context("a list")?;
    let of = |id: &str| {
        let found = techniques.iter().find(|one| one["techniqueID"] == id);
        found.with_context(|| format!("no {id}"))
    };
    assert_eq!(of("T1033")?["score"], 4);
    // The revoked tag stands for what took its place.
    assert_eq!(of("T1059.001")?["score"], 3);
    assert_eq!(of("T1105")?["score"], 2);
    assert!(
        of("T1033")?["comment"]
            .as_str()
            .is_some_and(|text| text.contains("Who Am I (fired)"))
    );
    Ok(())
}

/// What the layer format 4.5 demands of a layer.
fn check_layer(layer: &Value) -> Result<()> {
    ensure!(layer["versions"]["layer"] == "4.5" && layer["domain"] == "enterprise-attack");
    ensure!(
        layer["name"].is_string()
            && layer["legendItems"]
                .as_array()
                .is_some_and(|items| items.len() == 4)
    );
    for one in layer["techniques"].as_array().context("techniques")? {
        let id = one["techniqueID"].as_str().context("an id")?;
        let digits = id.strip_prefix('T').context("T first")?.replace('.', "");
        ensure!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{id}");
        ensure!(one["score"].is_u64() && one["comment"].is_string(), "{one}");
        let color = one["color"].as_str().context("a colour")?;
        ensure!(color.len() == 7 && color.starts_with('#'), "{color}");
        for item in one["metadata"].as_array().context("metadata")? {
            ensure!(
                item["name"].is_string() && item["value"].is_string(),
                "{item}"
            );
        }
    }
    Ok(())
}

#[test]
fn results_of_cases_are_junit_that_a_parser_reads() -> Result<()> {
    let folder = Folder::new()?;
    let rules = folder.path("rules");
    std::fs::create_dir(&rules)?;
    std::fs::write(rules.join("r.yml"), RULE)?;
    let line = EVENT.replace('\'', "''");
    std::fs::write(
        rules.join("r.cases.yaml"),
        format!(
            "cases:\n  - name: \"<good> & 'well' \\u001b[31m\"\n    fires: true\n    records: [{{line: '{line}'}}]\n  - name: wrong\n    fires: false\n    records: [{{line: '{line}'}}]\n"
        ),
    )?;
    let junit = folder.path("junit.xml");
    let (rules, path) = (rules.to_string_lossy(), junit.to_string_lossy());
    let output = watchfloor(&["rules", "test", "--junit", &path, &rules])?;
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    let xml = std::fs::read_to_string(&junit)?;
    assert!(!xml.contains('\u{1b}'), "{xml}");
    let parsed = parsed_by_python(&junit)?;
    assert_eq!(
        parsed,
        "testsuites 2 1\ntestsuite r.yml 2 1\ntestcase <good> & 'well' [31m\ntestcase wrong FAILURE fires and should not\n",
        "{xml}"
    );
    Ok(())
}

/// What Python's XML parser reads of a JUnit file.
fn parsed_by_python(path: &Path) -> Result<String> {
    const SCRIPT: &str = r"
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
print(root.tag, root.get('tests'), root.get('failures'))
for suite in root:
    print(suite.tag, suite.get('name').split('/')[-1], suite.get('tests'), suite.get('failures'))
    for case in suite:
        float(case.get('time'))
        failure = case.find('failure')
        print(case.tag, case.get('name'), *([] if failure is None else ['FAILURE', failure.get('message')]))
";
    let output = Command::new("python3")
        .args(["-c", SCRIPT])
        .arg(path)
        .output()
        .context("python3 is needed to read the file back")?;
    ensure!(output.status.success(), "{output:?}");
    Ok(stdout(&output))
}

#[test]
fn pipelines_and_placeholders_change_what_is_found() -> Result<()> {
    let folder = Folder::new()?;
    let event = folder.write("e.json", EVENT)?;
    let rule = folder.write(
        "r.yml",
        "title: P\nid: p\nlogsource: {product: windows}\ndetection:\n  s:\n    Program|endswith|expand: '%tools%.exe'\n  condition: s\n",
    )?;
    let pipeline = folder.write(
        "p.yaml",
        "name: map\ntransformations:\n  - {type: field_name_mapping, mapping: {Program: Image}}\n",
    )?;
    let placeholders = folder.write("v.yaml", "tools: [whoami, id]\n")?;
    let detect =
        |more: &[&str]| watchfloor(&[&["detect", "--rules", &rule], more, &[&event]].concat());
    let found = |more: &[&str]| -> Result<Vec<Value>> {
        let output = detect(more)?;
        ensure!(output.status.success(), "{output:?}");
        let lines = stdout(&output);
        lines
            .lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    };
    let shaping = ["--pipeline", &pipeline, "--placeholders", &placeholders];
    assert_eq!(found(&[])?.len(), 0);
    assert_eq!(found(&shaping[2..])?.len(), 0);
    assert_eq!(found(&shaping)?.len(), 1);
    // Without values the rule is refused, with the reason.
    let output = watchfloor(&["rules", "lint", &rule])?;
    assert_eq!(output.status.code(), Some(1));
    let told = stdout(&output);
    assert!(
        told.contains("%tools% has no values") && told.contains("--placeholders"),
        "{told}"
    );
    let output = watchfloor(&[&["rules", "lint", &rule], &shaping[2..]].concat())?;
    assert_eq!(output.status.code(), Some(0));
    // Explained with the pipeline, the field is that of the event.
    let output = watchfloor(&[&["rules", "explain"], &shaping[..], &[&rule, &event]].concat())?;
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    // A pipeline that cannot be applied ends the run: without it rules would ask in vain.
    let broken = folder.write("b.yaml", "transformations: [{type: nonsense}]\n")?;
    let output = detect(&["--pipeline", &broken])?;
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("b.yaml:") && told.contains("nonsense"),
        "{told}"
    );
    Ok(())
}
