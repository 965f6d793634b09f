//! The names of values that a sender gives by place alone: Fluent Bit's `StringInserts`.
//!
//! # Source
//! Manifests of Microsoft-Windows-Security-Auditing and of the Service Control Manager, as
//! "Windows security audit events" lists them.

use watchfloor_event::ValueKind;

use crate::sink::Sink;

const SUBJECT: &[&str] = &[
    "SubjectUserSid",
    "SubjectUserName",
    "SubjectDomainName",
    "SubjectLogonId",
];

/// By event number: what stands before the subject, whether there is one, what stands behind it.
type Places = (&'static [&'static str], bool, &'static [&'static str]);

const SYSTEM: &[(&[&str], Places)] = &[
    (&["7036"], (&["param1", "param2"], false, &[])),
    (
        &["7045"],
        (
            &[
                "ServiceName",
                "ImagePath",
                "ServiceType",
                "StartType",
                "AccountName",
            ],
            false,
            &[],
        ),
    ),
];

const SECURITY: &[(&[&str], Places)] = &[
    (
        &["4624"],
        (
            &[],
            true,
            &[
                "TargetUserSid",
                "TargetUserName",
                "TargetDomainName",
                "TargetLogonId",
                "LogonType",
                "LogonProcessName",
                "AuthenticationPackageName",
                "WorkstationName",
                "LogonGuid",
                "TransmittedServices",
                "LmPackageName",
                "KeyLength",
                "ProcessId",
                "ProcessName",
                "IpAddress",
                "IpPort",
            ],
        ),
    ),
    (
        &["4625"],
        (
            &[],
            true,
            &[
                "TargetUserSid",
                "TargetUserName",
                "TargetDomainName",
                "Status",
                "FailureReason",
                "SubStatus",
                "LogonType",
                "LogonProcessName",
                "AuthenticationPackageName",
                "WorkstationName",
                "TransmittedServices",
                "LmPackageName",
                "KeyLength",
                "ProcessId",
                "ProcessName",
                "IpAddress",
                "IpPort",
            ],
        ),
    ),
    (
        &["4634", "4647"],
        (
            &[
                "TargetUserSid",
                "TargetUserName",
                "TargetDomainName",
                "TargetLogonId",
                "LogonType",
            ],
            false,
            &[],
        ),
    ),
    (
        &["4648"],
        (
            &[],
            true,
            &[
                "LogonGuid",
                "TargetUserName",
                "TargetDomainName",
                "TargetLogonGuid",
                "TargetServerName",
                "TargetInfo",
                "ProcessId",
                "ProcessName",
                "IpAddress",
                "IpPort",
            ],
        ),
    ),
    (&["4672"], (&[], true, &["PrivilegeList"])),
    (
        &["4688"],
        (
            &[],
            true,
            &[
                "NewProcessId",
                "NewProcessName",
                "TokenElevationType",
                "ProcessId",
                "CommandLine",
                "TargetUserSid",
                "TargetUserName",
                "TargetDomainName",
                "TargetLogonId",
                "ParentProcessName",
                "MandatoryLabel",
            ],
        ),
    ),
    (
        &["4689"],
        (&[], true, &["Status", "ProcessId", "ProcessName"]),
    ),
    (
        &["4698", "4699", "4700", "4701", "4702"],
        (&[], true, &["TaskName", "TaskContent"]),
    ),
    (
        &[
            "4720", "4722", "4723", "4724", "4725", "4726", "4740", "4767",
        ],
        (
            &["TargetUserName", "TargetDomainName", "TargetSid"],
            true,
            &["PrivilegeList"],
        ),
    ),
    (
        &["4728", "4729", "4732", "4733", "4756", "4757"],
        (
            &[
                "MemberName",
                "MemberSid",
                "TargetUserName",
                "TargetDomainName",
                "TargetSid",
            ],
            true,
            &["PrivilegeList"],
        ),
    ),
    (
        &["4768"],
        (
            &[
                "TargetUserName",
                "TargetDomainName",
                "TargetSid",
                "ServiceName",
                "ServiceSid",
                "TicketOptions",
                "Status",
                "TicketEncryptionType",
                "PreAuthType",
                "IpAddress",
                "IpPort",
            ],
            false,
            &[],
        ),
    ),
    (
        &["4769"],
        (
            &[
                "TargetUserName",
                "TargetDomainName",
                "ServiceName",
                "ServiceSid",
                "TicketOptions",
                "TicketEncryptionType",
                "IpAddress",
                "IpPort",
                "Status",
                "LogonGuid",
            ],
            false,
            &[],
        ),
    ),
    (
        &["4771"],
        (
            &[
                "TargetUserName",
                "TargetSid",
                "ServiceName",
                "TicketOptions",
                "Status",
                "PreAuthType",
                "IpAddress",
                "IpPort",
            ],
            false,
            &[],
        ),
    ),
    (
        &["4776"],
        (
            &["PackageName", "TargetUserName", "Workstation", "Status"],
            false,
            &[],
        ),
    ),
    (
        &["5140"],
        (
            &[],
            true,
            &[
                "ObjectType",
                "IpAddress",
                "IpPort",
                "ShareName",
                "ShareLocalPath",
                "AccessMask",
                "AccessList",
            ],
        ),
    ),
];

/// Adds fields by their names, for events whose order of values is known.
pub(super) fn name(sink: &mut Sink<'_>) {
    let Some(list) = sink.get("StringInserts") else {
        return;
    };
    if list.kind != ValueKind::List {
        return;
    }
    let values = list.elements();
    let is = |name: &str, text: &str| sink.get(name).is_some_and(|value| value.text == text);
    let Some(id) = sink.get("EventID") else {
        return;
    };
    let table = if is("Channel", "Security") {
        SECURITY
    } else if is("Channel", "System") {
        SYSTEM
    } else {
        return;
    };
    let found = table.iter().find(|(ids, _)| ids.contains(&id.text));
    let Some((_, (before, has_subject, behind))) = found else {
        return;
    };
    let subject: &[&str] = if *has_subject { SUBJECT } else { &[] };
    let names = before.iter().chain(subject).chain(*behind);
    for (name, (kind, text)) in names.zip(&values) {
        if *kind != ValueKind::Null && !text.is_empty() && sink.get(name).is_none() {
            sink.scalar(name, text);
        }
    }
}
