//! Connectors against small servers on loopback: what they send, and what becomes of servers that
//! fail, hang or lead elsewhere.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use watchfloor_model::{
    ActionFailure, ActionId, ActionKind, ActionOutcome, ActionRequest, ArgumentValue, Connector,
    ConnectorId, ConnectorKind, OpenConnector, TenantId,
};

/// A server that answers each request as a function says, and keeps what it was sent.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

fn serve(address: &str, answer: impl Fn(&str, &str) -> String + Send + 'static) -> Server {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Some((head, body)) = request(&stream) {
                kept.lock().unwrap().push((head.clone(), body.clone()));
                let _ = (&stream).write_all(answer(&head, &body).as_bytes());
            }
        }
    });
    Server { port, seen }
}

fn request(stream: &TcpStream) -> Option<(String, String)> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_lowercase();
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![
        0;
        length
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0)
    ];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8_lossy(&body).into_owned()))
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn open(kind: ConnectorKind, settings: Value, secrets: &[(&str, &str)]) -> OpenConnector {
    let connector = Connector {
        id: ConnectorId::numbered(1),
        name: "Gate".to_owned(),
        kind,
        serves: ActionKind::ALL
            .iter()
            .copied()
            .filter(|action| kind.may_serve(*action))
            .collect(),
        settings: settings.to_string(),
        secrets: Vec::new(),
        is_enabled: true,
        changed_by: String::new(),
        changed_at: jiff::Timestamp::UNIX_EPOCH,
        version: 1,
    };
    watchfloor_respond::check(kind, &connector.settings, &connector.serves).unwrap();
    let secrets = secrets
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    OpenConnector {
        connector,
        secrets: secrets.collect(),
    }
}

fn action(kind: ActionKind, arguments: &[(&str, &str)]) -> ActionRequest {
    let arguments: BTreeMap<_, _> = arguments
        .iter()
        .map(|(name, value)| ((*name).to_owned(), ArgumentValue::One((*value).to_owned())))
        .collect();
    ActionRequest {
        tenant: TenantId::main(),
        id: ActionId::numbered(7),
        idempotency_key: "wf-act-7-0123".to_owned(),
        kind,
        target: arguments
            .get(kind.target_argument())
            .map(ArgumentValue::shown)
            .unwrap_or_default(),
        arguments,
        reason: "ransomware".to_owned(),
        incident_id: None,
        expires_at: None,
        redone: 0,
    }
}

fn perform(open: &OpenConnector, request: &ActionRequest) -> Result<ActionOutcome, ActionFailure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(watchfloor_respond::perform(open, request))
}

fn not_done(result: Result<ActionOutcome, ActionFailure>, part: &str, may_retry: bool) {
    match result {
        Err(ActionFailure::NotDone {
            reason,
            may_retry: retry,
        }) => {
            assert!(reason.contains(part), "{reason}");
            assert_eq!(retry, may_retry, "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

fn unknown(result: Result<ActionOutcome, ActionFailure>, part: &str) {
    match result {
        Err(ActionFailure::Unknown { reason }) => assert!(reason.contains(part), "{reason}"),
        other => panic!("{other:?}"),
    }
}

const LOOPBACK: &[&str] = &["127.0.0.1/32"];

#[test]
fn a_web_hook_gets_the_whole_action_signed_and_with_its_key() {
    let server = serve("127.0.0.1", |_, _| answer("202 Accepted", "{\"job\":1}"));
    let url = format!("http://127.0.0.1:{}/hook", server.port);
    let gate = open(
        ConnectorKind::Webhook,
        json!({ "url": url, "allowed_networks": LOOPBACK }),
        &[("signing_key", "k"), ("authorization", "Bearer t")],
    );
    let outcome = perform(
        &gate,
        &action(ActionKind::IsolateHost, &[("host", "ws-042")]),
    )
    .unwrap();
    assert!(outcome.evidence["status"].starts_with("202"));
    let (head, body) = server.seen.lock().unwrap()[0].clone();
    let head = head.to_lowercase();
    assert!(
        head.contains("idempotency-key: wf-act-7-0123") && head.contains("authorization: bearer t"),
        "{head}"
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"k");
    let signature = hex::encode(ring::hmac::sign(&key, body.as_bytes()));
    assert!(head.contains(&format!("x-watchfloor-signature: sha256={signature}")));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&body["action"], &body["arguments"]["host"]),
        (&json!("isolate_host"), &json!("ws-042"))
    );
}

#[test]
fn servers_that_fail_are_named() {
    let server = serve("127.0.0.1", |_, _| {
        answer("500 Internal Server Error", "the disk is full")
    });
    let url = format!("http://127.0.0.1:{}/", server.port);
    let gate = open(
        ConnectorKind::Webhook,
        json!({ "url": url, "allowed_networks": LOOPBACK }),
        &[],
    );
    let hook = action(ActionKind::CallWebhook, &[("text", "x")]);
    not_done(
        perform(&gate, &hook),
        "500 Internal Server Error: the disk is full",
        true,
    );
    let server = serve("127.0.0.1", |_, _| answer("403 Forbidden", "no"));
    let gate = open(
        ConnectorKind::Webhook,
        json!({ "url": format!("http://127.0.0.1:{}/", server.port), "allowed_networks": LOOPBACK }),
        &[],
    );
    not_done(perform(&gate, &hook), "403 Forbidden", false);
    // A target that is gone was certainly not reached.
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let gate = open(
        ConnectorKind::Webhook,
        json!({ "url": format!("http://127.0.0.1:{gone}/"), "allowed_networks": LOOPBACK }),
        &[],
    );
    not_done(perform(&gate, &hook), "cannot connect", true);
    let gate = open(
        ConnectorKind::Webhook,
        json!({ "url": "http://no-such-name.invalid/" }),
        &[],
    );
    not_done(
        perform(&gate, &hook),
        "no-such-name.invalid has no address",
        false,
    );
    // One that breaks off, or never answers, may have done it.
    let server = serve("127.0.0.1", |_, _| String::new());
    let gate = open(
        ConnectorKind::Webhook,
        json!({ "url": format!("http://127.0.0.1:{}/", server.port), "allowed_networks": LOOPBACK }),
        &[],
    );
    unknown(perform(&gate, &hook), "broke after the request was sent");
    let server = serve("127.0.0.1", |_, _| {
        std::thread::sleep(Duration::from_secs(5));
        String::new()
    });
    let gate = open(
        ConnectorKind::Webhook,
        json!({ "url": format!("http://127.0.0.1:{}/", server.port), "allowed_networks": LOOPBACK, "timeout_s": 1 }),
        &[],
    );
    let start = Instant::now();
    unknown(perform(&gate, &hook), "no answer within 1 s");
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[test]
fn internal_addresses_are_not_reached_by_url_name_or_redirect() {
    let inside = serve("127.0.0.2", |_, _| answer("200 OK", "secret"));
    let hook = action(ActionKind::CallWebhook, &[("text", "x")]);
    let to = |url: String, networks: &[&str]| {
        open(
            ConnectorKind::Webhook,
            json!({ "url": url, "allowed_networks": networks }),
            &[],
        )
    };
    let direct = format!("http://127.0.0.2:{}/", inside.port);
    not_done(
        perform(&to(direct.clone(), &[]), &hook),
        "internal address",
        false,
    );
    not_done(
        perform(&to(direct.clone(), LOOPBACK), &hook),
        "127.0.0.2 is an internal address",
        false,
    );
    not_done(
        perform(
            &to(format!("http://localhost:{}/", inside.port), &[]),
            &hook,
        ),
        "internal address",
        false,
    );
    for status in [
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let target = direct.clone();
        let outer = serve("127.0.0.1", move |_, _| {
            format!(
                "HTTP/1.1 {status}\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        });
        let result = perform(
            &to(format!("http://127.0.0.1:{}/", outer.port), LOOPBACK),
            &hook,
        );
        not_done(result, "redirects", false);
    }
    // The same place under another path is followed, with method and body.
    let outer = serve("127.0.0.1", |head, body| {
        match head.starts_with("POST /new ") && body.contains("call_webhook") {
        true => answer("200 OK", "ok"),
        false => "HTTP/1.1 308 Permanent Redirect\r\nLocation: /new\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
    }
    });
    perform(
        &to(format!("http://127.0.0.1:{}/", outer.port), LOOPBACK),
        &hook,
    )
    .unwrap();
    assert_eq!(inside.seen.lock().unwrap().len(), 0, "nothing reached it");
}

#[test]
fn a_request_stays_below_the_url_of_its_connector() {
    let server = serve("127.0.0.1", |_, _| answer("200 OK", "[]"));
    let base = format!("http://127.0.0.1:{}/api", server.port);
    let api = open(
        ConnectorKind::Http,
        json!({ "base_url": base, "allowed_networks": LOOPBACK }),
        &[("authorization", "Bearer t")],
    );
    let call = |url: &str| action(ActionKind::HttpRequest, &[("method", "GET"), ("url", url)]);
    let outcome = perform(&api, &call(&format!("{base}/hosts"))).unwrap();
    assert_eq!(outcome.evidence["output"], "[]");
    for url in [
        format!("http://127.0.0.1:{}/other", server.port),
        format!("{base}x/hosts"),
        format!("{base}/../admin"),
        format!("http://127.0.0.1:{}@evil.example/api/", server.port),
        "http://evil.example/api/".to_owned(),
    ] {
        not_done(perform(&api, &call(&url)), "does not lie below", false);
        assert!(
            !watchfloor_respond::covers(&api.connector, &call(&url)),
            "{url}"
        );
    }
    assert_eq!(server.seen.lock().unwrap().len(), 1);
}

/// A mail server that says a list of lines, one per command.
fn mail_server(lines: &'static [&'static str], hangs: bool) -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if hangs {
                std::thread::sleep(Duration::from_secs(5));
                continue;
            }
            let mut reader = BufReader::new(&stream);
            let mut is_data = false;
            let _ = (&stream).write_all(b"220 mail.example ready\r\n");
            let mut index = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
                kept.lock().unwrap().push_str(&line);
                let ends = line == ".\r\n";
                if is_data && !ends {
                    line.clear();
                    continue;
                }
                is_data = line.starts_with("DATA");
                line.clear();
                let says = lines.get(index).copied().unwrap_or("250 ok");
                index += 1;
                if (&stream)
                    .write_all(format!("{says}\r\n").as_bytes())
                    .is_err()
                {
                    break;
                }
            }
        }
    });
    (port, seen)
}

#[test]
fn mail_is_sent_once_and_a_server_that_hangs_is_named() {
    let mail = |port: u16| {
        open(
            ConnectorKind::Smtp,
            json!({ "host": "127.0.0.1", "port": port, "security": "none", "from": "Watchfloor <soc@corp.example>", "allowed_networks": LOOPBACK, "timeout_s": 1 }),
            &[],
        )
    };
    let request = action(
        ActionKind::SendEmail,
        &[
            ("to", "lead@corp.example"),
            ("subject", "Isolated: wörk"),
            ("text", "ws-042 is isolated.\n.\nBcc: nobody@evil.example"),
        ],
    );
    let (port, seen) = mail_server(
        &[
            "250 mail.example",
            "250 ok",
            "250 ok",
            "354 go on",
            "250 taken as 42",
        ],
        false,
    );
    let outcome = perform(&mail(port), &request).unwrap();
    assert!(
        outcome.evidence["output"].contains("taken as 42"),
        "{outcome:?}"
    );
    let seen = seen.lock().unwrap().clone();
    assert!(
        seen.contains("Message-ID: <wf-act-7-0123@corp.example>"),
        "{seen}"
    );
    assert_eq!(seen.matches("RCPT TO").count(), 1, "{seen}");
    let (port, _) = mail_server(&["250 mail.example", "250 ok", "550 no such user"], false);
    not_done(perform(&mail(port), &request), "no such user", false);
    let (port, _) = mail_server(&["250 mail.example", "451 later"], false);
    not_done(perform(&mail(port), &request), "just now", true);
    let (port, _) = mail_server(&[], true);
    let start = Instant::now();
    let hung = perform(&mail(port), &request);
    assert!(start.elapsed() < Duration::from_secs(4));
    assert!(
        hung.unwrap_err()
            .to_string()
            .contains(&format!("127.0.0.1:{port}"))
    );
}

#[test]
fn one_action_is_one_ticket_however_often_it_is_begun() {
    type Case = (
        ConnectorKind,
        Value,
        &'static str,
        &'static str,
        &'static str,
        &'static str,
    );
    let cases: [Case; 3] = [
        (
            ConnectorKind::Jira,
            json!({ "project": "SOC" }),
            "{\"issues\":[]}",
            "{\"issues\":[{\"key\":\"SOC-1\"}]}",
            "{\"key\":\"SOC-1\"}",
            "SOC-1",
        ),
        (
            ConnectorKind::Servicenow,
            json!({}),
            "{\"result\":[]}",
            "{\"result\":[{\"number\":\"INC1\"}]}",
            "{\"result\":{\"number\":\"INC1\"}}",
            "INC1",
        ),
        (
            ConnectorKind::Github,
            json!({ "repository": "corp/soc" }),
            "[]",
            "[{\"number\":5,\"html_url\":\"http://x/5\"}]",
            "{\"number\":5,\"html_url\":\"http://x/5\"}",
            "#5",
        ),
    ];
    for (kind, mut settings, none, one, made, ticket) in cases {
        let is_made = Arc::new(Mutex::new(0));
        let count = Arc::clone(&is_made);
        let server = serve("127.0.0.1", move |head, body| {
            let mut made_now = count.lock().unwrap();
            if head.starts_with("POST") {
                assert!(body.contains("wf-act-7-0123"), "{body}");
                *made_now += 1;
                return answer("201 Created", made);
            }
            assert!(head.contains("wf-act-7-0123"), "{head}");
            answer("200 OK", if *made_now > 0 { one } else { none })
        });
        settings["url"] = json!(format!("http://127.0.0.1:{}", server.port));
        settings["allowed_networks"] = json!(LOOPBACK);
        let desk = open(kind, settings, &[]);
        assert!(watchfloor_respond::is_repeatable(
            &desk.connector,
            ActionKind::OpenTicket
        ));
        let request = action(
            ActionKind::OpenTicket,
            &[("subject", "Ransomware"), ("text", "Restore it.")],
        );
        for _ in 0..2 {
            let outcome = perform(&desk, &request).unwrap();
            assert_eq!(outcome.evidence["ticket"], ticket, "{kind}");
        }
        assert_eq!(*is_made.lock().unwrap(), 1, "{kind}");
    }
}

#[test]
fn messages_show_text_as_text() {
    for kind in [ConnectorKind::Slack, ConnectorKind::Teams] {
        let server = serve("127.0.0.1", |_, _| answer("200 OK", "ok"));
        let url = format!("http://127.0.0.1:{}/services/T/B/secret", server.port);
        let channel = open(
            kind,
            json!({ "allowed_networks": LOOPBACK }),
            &[("url", &url)],
        );
        let outcome = perform(
            &channel,
            &action(
                ActionKind::SendMessage,
                &[("text", "<!channel> & <http://evil.example|click>")],
            ),
        )
        .unwrap();
        assert!(
            !format!("{outcome:?}").contains("secret"),
            "the URL is a secret"
        );
        let body = server.seen.lock().unwrap()[0].1.clone();
        let body: Value = serde_json::from_str(&body).unwrap();
        match kind {
            ConnectorKind::Slack => assert_eq!(
                body["text"],
                "&lt;!channel&gt; &amp; &lt;http://evil.example|click&gt;"
            ),
            _ => assert_eq!(
                body["attachments"][0]["content"]["body"][0]["type"],
                "TextBlock"
            ),
        }
    }
    let none = open(ConnectorKind::Slack, json!({}), &[]);
    not_done(
        perform(&none, &action(ActionKind::SendMessage, &[("text", "x")])),
        "no secret 'url'",
        false,
    );
}

/// Programs that write down their arguments, one per line.
#[cfg(unix)]
#[test]
fn no_argument_ever_reaches_a_shell() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let marker = folder.path().join("owned");
    // `printf '%s\n'` of coreutils prints its arguments as they are.
    let settings = json!({ "programs": [
        { "name": "block", "path": "/usr/bin/printf", "serves": ["quarantine_file", "disable_user"], "arguments": ["%s\\n", "--", "{path}", "{user}"] },
        { "name": "print", "path": "/usr/bin/printf", "arguments": ["[%s]\\n", "{arguments}"] },
    ]});
    let program = open(ConnectorKind::Program, settings, &[]);
    let touch = format!("touch {}", marker.display());
    let hostile = [
        format!("$({touch})"),
        format!("`{touch}`"),
        format!("; {touch} ;"),
        format!("| {touch}"),
        format!("&& {touch}"),
        "a b  c".to_owned(),
        "* ? ~".to_owned(),
        "'\"\\".to_owned(),
        "-rf".to_owned(),
        "%n%s".to_owned(),
        "${IFS}".to_owned(),
        "line\nbreak".to_owned(),
        String::new(),
    ];
    for text in &hostile {
        let mut request = action(ActionKind::RunProgram, &[("program", "print")]);
        request.arguments.insert(
            "arguments".to_owned(),
            ArgumentValue::Many(vec![text.clone(), "second".to_owned()]),
        );
        let outcome = perform(&program, &request).unwrap();
        assert_eq!(
            outcome.evidence["output"],
            format!("[{text}]\n[second]\n"),
            "{text:?}"
        );
        let mut request = action(ActionKind::QuarantineFile, &[("host", "ws-1")]);
        request.arguments.insert(
            "path".to_owned(),
            ArgumentValue::One(format!("/tmp/{text}")),
        );
        let outcome = perform(&program, &request).unwrap();
        assert!(
            outcome.evidence["output"].contains(&format!("/tmp/{text}\n")),
            "{text:?}: {outcome:?}"
        );
    }
    assert!(!marker.exists() && !out.exists());
    let not_allowed = action(ActionKind::RunProgram, &[("program", "rm")]);
    not_done(
        perform(&program, &not_allowed),
        "'rm' is not allowed",
        false,
    );
}

#[cfg(unix)]
#[test]
fn programs_end_in_time_and_say_how() {
    let settings = |path: &str, arguments: &[&str]| json!({ "timeout_s": 1, "programs": [{ "name": "p", "path": path, "arguments": arguments }] });
    let run = action(ActionKind::RunProgram, &[("program", "p")]);
    let start = Instant::now();
    unknown(
        perform(
            &open(
                ConnectorKind::Program,
                settings("/usr/bin/sleep", &["30"]),
                &[],
            ),
            &run,
        ),
        "not over within 1 s",
    );
    assert!(start.elapsed() < Duration::from_secs(5));
    not_done(
        perform(
            &open(ConnectorKind::Program, settings("/usr/bin/false", &[]), &[]),
            &run,
        ),
        "exit status: 1",
        true,
    );
    not_done(
        perform(
            &open(ConnectorKind::Program, settings("/nowhere/x", &[]), &[]),
            &run,
        ),
        "cannot be started",
        true,
    );
    let outcome = perform(
        &open(ConnectorKind::Program, settings("/usr/bin/yes", &[]), &[]),
        &run,
    );
    unknown(outcome, "not over");
}

#[test]
fn settings_that_do_not_do_are_refused_with_what_would() {
    for (kind, settings, part) in [
        (
            ConnectorKind::Webhook,
            json!({ "url": "ftp://x/" }),
            "no http or https URL",
        ),
        (
            ConnectorKind::Webhook,
            json!({ "url": "https://u:p@x/" }),
            "give them as a secret",
        ),
        (
            ConnectorKind::Webhook,
            json!({ "url": "https://x/", "urll": 1 }),
            "'urll' is not known",
        ),
        (
            ConnectorKind::Webhook,
            json!({ "url": "https://x/", "timeout_s": 0 }),
            "from 1 to 120",
        ),
        (
            ConnectorKind::Webhook,
            json!({ "url": "https://x/", "allowed_networks": ["home"] }),
            "no network such as",
        ),
        (
            ConnectorKind::Smtp,
            json!({ "host": "x", "from": "nobody" }),
            "from",
        ),
        (
            ConnectorKind::Program,
            json!({ "programs": [{ "name": "x", "path": "/bin/sh" }] }),
            "is a shell",
        ),
        (
            ConnectorKind::Program,
            json!({ "programs": [{ "name": "x", "path": "fw" }] }),
            "not absolute",
        ),
        (
            ConnectorKind::Program,
            json!({ "programs": [{ "name": "x", "path": "/x", "arguments": ["--ip={address}"] }] }),
            "a place is a whole argument",
        ),
        (
            ConnectorKind::Program,
            json!({ "programs": [] }),
            "at least one",
        ),
    ] {
        let error = watchfloor_respond::check(kind, &settings.to_string(), &[]).unwrap_err();
        assert!(error.contains(part), "{settings}: {error}");
    }
    let error = watchfloor_respond::check(ConnectorKind::Slack, "{}", &[ActionKind::IsolateHost])
        .unwrap_err();
    assert!(error.contains("cannot isolate host"), "{error}");
}
