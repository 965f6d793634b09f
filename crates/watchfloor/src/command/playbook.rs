//! `watchfloor playbook`: checking and rehearsing documents here, and looking after those of a
//! server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::Value;
use watchfloor_casework::playbook::{
    Fault, Gravity, Playbook, Rehearsed, RehearsedStep, check, missing_inputs, read, rehearse,
};

use crate::Outcome;
use crate::cli::{PlaybookCommand, RemoteArgs};
use crate::command::{block_on, visible};
use crate::content;

/// Runs the command.
pub(crate) fn run(command: &PlaybookCommand) -> Result<Outcome> {
    match command {
        PlaybookCommand::Validate { paths } => validate(paths),
        PlaybookCommand::Run {
            playbook,
            dry,
            input,
            incident,
            remote,
        } => {
            let inputs = pairs(input)?;
            match (dry, Path::new(playbook).is_file(), &remote.url) {
                (true, true, None) => dry_run(Path::new(playbook), &inputs),
                (true, _, Some(_)) => {
                    block_on(remote_rehearsal(remote, playbook, inputs, incident.clone()))
                }
                (false, _, Some(_)) => {
                    block_on(remote_run(remote, playbook, inputs, incident.clone()))
                }
                (true, false, None) => {
                    bail!("{playbook} is no file; name one, or a server with --url")
                }
                (false, _, None) => bail!(
                    "a run needs a server: name it with --url, or add --dry to rehearse a file here"
                ),
            }
        }
        PlaybookCommand::List { remote } => block_on(list(remote)),
        PlaybookCommand::Import { paths, remote } => block_on(import(remote, paths)),
        PlaybookCommand::Export {
            playbook,
            output,
            remote,
        } => block_on(export(remote, playbook, output.as_deref())),
    }
}

fn pairs(list: &[String]) -> Result<BTreeMap<String, String>> {
    list.iter()
        .map(|text| {
            let (name, value) = text
                .split_once('=')
                .with_context(|| format!("--input {text}: write NAME=VALUE"))?;
            let name = if name.starts_with("__") {
                name.to_owned()
            } else {
                format!("__{name}__")
            };
            Ok((name, value.to_owned()))
        })
        .collect()
}

/// A case beside a playbook: what a run with some inputs would do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    inputs: BTreeMap<String, String>,
    /// Actions that it does for certain, as `kind` or `kind target`.
    #[serde(default)]
    does: Vec<String>,
    /// Actions that it may do.
    #[serde(default)]
    may: Vec<String>,
    /// Actions that it does not do.
    #[serde(default)]
    does_not: Vec<String>,
}

fn files(paths: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    if paths.is_empty() {
        let built_in = content::embedded("playbooks/").into_iter();
        return Ok(built_in
            .map(|file| (file.path, file.text.into_bytes()))
            .collect());
    }
    for path in paths {
        let mut list = vec![path.clone()];
        if path.is_dir() {
            let entries = std::fs::read_dir(path)
                .with_context(|| format!("cannot read the folder {}", path.display()))?;
            list = entries.flatten().map(|entry| entry.path()).collect();
            list.retain(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "json")
            });
            list.sort();
        }
        for path in list {
            let bytes =
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            found.push((path.to_string_lossy().into_owned(), bytes));
        }
    }
    Ok(found)
}

fn read_and_check(bytes: &[u8]) -> (Option<Playbook>, Vec<Fault>) {
    let (playbook, mut faults) = read(bytes);
    faults.extend(playbook.as_ref().map(check).unwrap_or_default());
    (playbook, faults)
}

fn validate(paths: &[PathBuf]) -> Result<Outcome> {
    let files = files(paths)?;
    let cases_of = |name: &str| {
        let wanted = name
            .strip_suffix(".json")
            .map(|stem| format!("{stem}.cases.json"))?;
        if let Some((_, bytes)) = files.iter().find(|(name, _)| *name == wanted) {
            return Some((wanted, bytes.clone()));
        }
        let bytes = std::fs::read(&wanted).ok()?;
        Some((wanted, bytes))
    };
    let (mut read, mut failed, mut cases) = (0, 0, 0);
    for (name, bytes) in files
        .iter()
        .filter(|(name, _)| !name.ends_with(".cases.json"))
    {
        read += 1;
        let (playbook, faults) = read_and_check(bytes);
        for fault in &faults {
            println!("{name}: {}", visible(&fault.to_string()));
        }
        let mut is_bad =
            playbook.is_none() || faults.iter().any(|fault| fault.gravity == Gravity::Error);
        if let (Some(playbook), Some((path, bytes))) = (&playbook, cases_of(name)) {
            let list: Vec<Case> =
                serde_json::from_slice(&bytes).with_context(|| format!("{path} holds no cases"))?;
            for case in list {
                cases += 1;
                for trouble in try_case(playbook, &case) {
                    println!("{path}: case '{}': {trouble}", case.name);
                    is_bad = true;
                }
            }
        }
        failed += i32::from(is_bad);
    }
    println!("{read} playbooks, {cases} cases, {failed} with errors");
    Ok(if failed == 0 {
        Outcome::Done
    } else {
        Outcome::Found
    })
}

/// What does not go as a case says.
fn try_case(playbook: &Playbook, case: &Case) -> Vec<String> {
    let missing = missing_inputs(playbook, &case.inputs);
    if !missing.is_empty() {
        return vec![format!("it gives no value for {}", missing.join(", "))];
    }
    let steps = rehearse(playbook, &case.inputs, &[]);
    let of = |certain: Option<bool>| -> Vec<String> {
        let steps = steps.iter();
        let steps = steps.filter(|step| certain.is_none_or(|one| step.is_certain == one));
        steps.flat_map(actions_of).collect()
    };
    let (certain, all) = (of(Some(true)), of(None));
    let has = |list: &[String], wanted: &str| {
        list.iter()
            .any(|one| one == wanted || one.split(' ').next() == Some(wanted))
    };
    let mut troubles = Vec::new();
    for wanted in case.does.iter().filter(|wanted| !has(&certain, wanted)) {
        troubles.push(format!(
            "'{wanted}' is not done for certain; done are: {}",
            certain.join(", ")
        ));
    }
    for wanted in case.may.iter().filter(|wanted| !has(&all, wanted)) {
        troubles.push(format!(
            "'{wanted}' may not be done; may be done: {}",
            all.join(", ")
        ));
    }
    for unwanted in case.does_not.iter().filter(|unwanted| has(&all, unwanted)) {
        troubles.push(format!("'{unwanted}' would be done"));
    }
    troubles
}

fn actions_of(step: &RehearsedStep) -> Vec<String> {
    let actions = step.does.iter().filter_map(|piece| match piece {
        Rehearsed::Action {
            kind, arguments, ..
        } => {
            let target = arguments.get(kind.target_argument());
            let target = target.map(|value| value.shown()).unwrap_or_default();
            Some(format!("{kind} {target}"))
        }
        Rehearsed::Person { .. } => None,
    });
    actions.collect()
}

fn dry_run(path: &Path, inputs: &BTreeMap<String, String>) -> Result<Outcome> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (playbook, faults) = read_and_check(&bytes);
    for fault in &faults {
        eprintln!("{}", visible(&fault.to_string()));
    }
    let playbook = playbook.with_context(|| format!("{} is no playbook", path.display()))?;
    let missing = missing_inputs(&playbook, inputs);
    if !missing.is_empty() {
        eprintln!(
            "needs values first: {}; give them with --input NAME=VALUE",
            missing.join(", ")
        );
    }
    for step in rehearse(&playbook, inputs, &[]) {
        let mark = if step.is_certain { " " } else { "?" };
        println!(
            "{mark} {} [{}] {}",
            visible(&step.name),
            step.kind,
            visible(&step.detail)
        );
        for piece in &step.does {
            let text = match piece {
                Rehearsed::Person { text, why } => {
                    let why = why
                        .as_ref()
                        .map_or(String::new(), |why| format!(" ({why})"));
                    format!("a person: {}{why}", text.replace('\n', " / "))
                }
                Rehearsed::Action {
                    kind,
                    arguments,
                    time_limit_s,
                    unknown,
                    ..
                } => {
                    let shown: Vec<String> = arguments
                        .iter()
                        .map(|(name, value)| format!("{name}={}", value.shown()))
                        .collect();
                    let limit =
                        time_limit_s.map_or(String::new(), |s| format!(", undone after {s} s"));
                    let unknown = unknown
                        .as_ref()
                        .map_or(String::new(), |why| format!(" ({why})"));
                    format!("{}: {}{limit}{unknown}", kind.in_words(), shown.join(" "))
                }
            };
            println!("    {}", visible(&text));
        }
    }
    let is_bad = faults.iter().any(|fault| fault.gravity == Gravity::Error);
    Ok(if is_bad || !missing.is_empty() {
        Outcome::Found
    } else {
        Outcome::Done
    })
}

/// One call of a server's API.
async fn call(
    remote: &RemoteArgs,
    method: reqwest::Method,
    path: &str,
    body: Option<Vec<u8>>,
) -> Result<Value> {
    let url = remote
        .url
        .as_deref()
        .unwrap_or("http://127.0.0.1:8787")
        .trim_end_matches('/');
    let token = std::env::var("WATCHFLOOR_TOKEN")
        .context("WATCHFLOOR_TOKEN is not set: make a token with `watchfloor admin token`")?;
    let client = reqwest::Client::builder()
        .build()
        .context("no HTTP client")?;
    let mut request = client
        .request(method, format!("{url}/api/v1{path}"))
        .bearer_auth(token.trim());
    if let Some(body) = body {
        request = request
            .header("content-type", "application/json")
            .body(body);
    }
    let response = request
        .send()
        .await
        .with_context(|| format!("no answer from {url}; is the server running?"))?;
    let status = response.status();
    let bytes = response.bytes().await.context("the answer broke off")?;
    let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if !status.is_success() {
        let detail = value["detail"].as_str().unwrap_or("no reason was given");
        return Err(anyhow!(
            "the server refused ({status}): {}",
            visible(detail)
        ));
    }
    Ok(value)
}

fn body(value: &Value) -> Option<Vec<u8>> {
    Some(value.to_string().into_bytes())
}

async fn list(remote: &RemoteArgs) -> Result<Outcome> {
    let found = call(remote, reqwest::Method::GET, "/playbooks", None).await?;
    for row in found["items"].as_array().into_iter().flatten() {
        let text = |name: &str| visible(row[name].as_str().unwrap_or_default());
        let state = if row["is_runnable"] == true {
            ""
        } else {
            " (draft with errors)"
        };
        println!("{}  {}{state}", text("id"), text("name"));
    }
    Ok(Outcome::Done)
}

async fn import(remote: &RemoteArgs, paths: &[PathBuf]) -> Result<Outcome> {
    let mut is_bad = false;
    for (name, bytes) in files(paths)? {
        if name.ends_with(".cases.json") {
            continue;
        }
        let saved = call(remote, reqwest::Method::POST, "/playbooks", Some(bytes)).await;
        let saved = saved.with_context(|| format!("{name} was not imported"))?;
        println!(
            "{}  {}",
            visible(saved["id"].as_str().unwrap_or_default()),
            visible(saved["name"].as_str().unwrap_or_default())
        );
        for fault in saved["faults"].as_array().into_iter().flatten() {
            let text = |name: &str| fault[name].as_str().unwrap_or_default().to_owned();
            eprintln!(
                "{name}: {}",
                visible(&format!(
                    "{}: {}: {} ({})",
                    text("gravity"),
                    text("place"),
                    text("message"),
                    text("mend")
                ))
            );
            is_bad |= text("gravity") == "error";
        }
    }
    Ok(if is_bad {
        Outcome::Found
    } else {
        Outcome::Done
    })
}

async fn export(remote: &RemoteArgs, playbook: &str, output: Option<&Path>) -> Result<Outcome> {
    let path = format!("/playbooks/{playbook}/export");
    let document = call(remote, reqwest::Method::GET, &path, None).await?;
    let text = format!("{}\n", serde_json::to_string_pretty(&document)?);
    match output {
        Some(output) => std::fs::write(output, text)
            .with_context(|| format!("cannot write {}", output.display()))?,
        None => print!("{text}"),
    }
    Ok(Outcome::Done)
}

async fn remote_rehearsal(
    remote: &RemoteArgs,
    playbook: &str,
    inputs: BTreeMap<String, String>,
    incident: Option<String>,
) -> Result<Outcome> {
    let mut request = serde_json::json!({ "inputs": inputs, "incident_id": incident });
    match std::fs::read(playbook) {
        Ok(bytes) => {
            request["document"] =
                serde_json::from_slice(&bytes).with_context(|| format!("{playbook} is no JSON"))?;
        }
        Err(_) => request["playbook_id"] = playbook.into(),
    }
    let found = call(
        remote,
        reqwest::Method::POST,
        "/playbooks/rehearsal",
        body(&request),
    )
    .await?;
    println!(
        "{}",
        visible(&serde_json::to_string_pretty(&found)?).replace("\\u{a}", "\n")
    );
    let is_whole = found["missing"].as_array().is_none_or(Vec::is_empty);
    Ok(if is_whole {
        Outcome::Done
    } else {
        Outcome::Found
    })
}

async fn remote_run(
    remote: &RemoteArgs,
    playbook: &str,
    inputs: BTreeMap<String, String>,
    incident: Option<String>,
) -> Result<Outcome> {
    let request =
        serde_json::json!({ "playbook_id": playbook, "inputs": inputs, "incident_id": incident });
    let run = call(
        remote,
        reqwest::Method::POST,
        "/playbook-runs",
        body(&request),
    )
    .await?;
    println!(
        "{} {}",
        visible(run["id"].as_str().unwrap_or_default()),
        visible(run["status"].as_str().unwrap_or_default())
    );
    Ok(Outcome::Done)
}
