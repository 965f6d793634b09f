use super::*;
use serde::Deserialize;
use std::os::unix::fs::PermissionsExt;

/// A host, and what checks must say of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    check: String,
    expected: Expected,
    #[serde(default)]
    files: BTreeMap<String, CaseFile>,
    #[serde(default)]
    packages: Vec<String>,
    #[serde(default)]
    listening: Vec<SocketAddr>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expected {
    Pass,
    Fail,
}

/// The text of a file, or text and mode.
#[derive(Deserialize)]
#[serde(untagged)]
enum CaseFile {
    Text(String),
    WithMode { text: String, mode: String },
}

fn content() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content")
}

fn yaml<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn run(case: &Case, check: &CheckDefinition) -> Verdict {
    let folder = tempfile::tempdir().unwrap();
    for (path, file) in &case.files {
        let path = under(folder.path(), path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let (text, mode) = match file {
            CaseFile::Text(text) => (text, 0o644),
            CaseFile::WithMode { text, mode } => (text, u32::from_str_radix(mode, 8).unwrap()),
        };
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let facts = Facts {
        packages: case.packages.clone(),
        listening: case.listening.clone(),
    };
    evaluate(check, folder.path(), &facts).unwrap()
}

#[test]
fn all_checks_that_come_with_the_program_hold_on_their_cases() {
    let mut count = 0;
    let mut ids = std::collections::BTreeSet::new();
    for path in glob::expand(&content(), "/checks/*.yml", 100) {
        if path.to_string_lossy().ends_with(".cases.yml") {
            continue;
        }
        let checks: Vec<CheckDefinition> = yaml(&path);
        let cases: Vec<Case> = yaml(&path.with_extension("cases.yml"));
        for check in &checks {
            assert!(ids.insert(check.id.clone()), "{} is there twice", check.id);
            assert!(matches!(
                check.severity.as_str(),
                "low" | "medium" | "high" | "critical"
            ));
            let own: Vec<&Case> = cases.iter().filter(|case| case.check == check.id).collect();
            for expected in [Expected::Pass, Expected::Fail] {
                assert!(
                    own.iter().any(|case| case.expected == expected),
                    "{} has no case that must {expected:?}",
                    check.id
                );
            }
            for case in own {
                let verdict = run(case, check);
                assert_eq!(
                    verdict.holds,
                    case.expected == Expected::Pass,
                    "{}: {verdict:?}",
                    check.id
                );
            }
            count += 1;
        }
        let unknown = cases
            .iter()
            .find(|case| checks.iter().all(|check| check.id != case.check));
        assert!(unknown.is_none(), "{}", unknown.unwrap().check);
    }
    assert!(count >= 40, "{count} checks");
}

#[test]
fn all_artifacts_that_come_with_the_program_can_be_read() {
    let mut names = std::collections::BTreeSet::new();
    for path in glob::expand(&content(), "/artifacts/*.yml", 100) {
        let artifacts: BTreeMap<String, watchfloor_link::ArtifactDefinition> = yaml(&path);
        for (name, artifact) in artifacts {
            assert!(!artifact.description.is_empty(), "{name}");
            assert!(
                artifact.paths.iter().all(|one| one.starts_with('/')),
                "{name}"
            );
            assert!(
                !artifact.paths.is_empty() || !artifact.states.is_empty(),
                "{name}"
            );
            assert!(names.insert(name.clone()), "{name} is there twice");
        }
    }
    assert!(names.len() >= 25, "{}", names.len());
}

fn probe(probe: CheckProbe) -> CheckDefinition {
    CheckDefinition {
        id: "x".to_owned(),
        title: String::new(),
        rationale: String::new(),
        remediation: String::new(),
        severity: "low".to_owned(),
        references: Vec::new(),
        all: vec![probe],
    }
}

#[test]
fn a_check_that_is_wrong_says_so() {
    let root = Path::new("/nowhere");
    let facts = Facts::default();
    let wrong = probe(CheckProbe::Lines {
        path: "/x".to_owned(),
        matches: "(".to_owned(),
        expected: true,
        if_missing: false,
    });
    assert!(evaluate(&wrong, root, &facts).is_err());
    let wrong = probe(CheckProbe::Mode {
        path: "/x".to_owned(),
        forbidden: "9".to_owned(),
        owner: None,
    });
    assert!(evaluate(&wrong, root, &facts).is_err());
}

#[test]
fn settings_are_read_as_their_programs_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let text = "#PermitRootLogin no\nPermitRootLogin  prohibit-password # word\nMatch User x\n  PermitRootLogin yes\nX11Forwarding=yes\n";
    fs::write(folder.path().join("c"), text).unwrap();
    let value = |name, first| setting(folder.path(), "/c", name, first);
    assert_eq!(
        value("permitrootlogin", true).as_deref(),
        Some("prohibit-password")
    );
    assert_eq!(value("PermitRootLogin", false).as_deref(), Some("yes"));
    assert_eq!(value("X11Forwarding", true), None, "it stands in a block");
    assert_eq!(value("X11Forwarding", false).as_deref(), Some("yes"));
    let text = "Include d/*.conf\nPermitRootLogin no\n";
    fs::write(folder.path().join("c"), text).unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    fs::write(
        folder.path().join("d/a.conf"),
        "PermitRootLogin yes\nInclude a.conf\n",
    )
    .unwrap();
    let value = |name, first| setting(folder.path(), "/c", name, first);
    assert_eq!(value("PermitRootLogin", true).as_deref(), Some("yes"));
    assert_eq!(
        value("Port", true),
        None,
        "a file that names itself ends too"
    );
}
