//! Tables and columns of other products, so that published queries run as they are.

/// Tables with what their rows are in the search bar's language, and what they hold.
pub const TABLES: &[(&str, &str, &str)] = &[
    ("events", "", "every event"),
    ("findings", "class:detection_finding", "what rules found"),
    (
        "DeviceProcessEvents",
        "class:process_activity",
        "processes (Microsoft Defender)",
    ),
    (
        "DeviceNetworkEvents",
        "class:network_activity",
        "connections (Microsoft Defender)",
    ),
    (
        "DeviceFileEvents",
        "class:file_activity",
        "files (Microsoft Defender)",
    ),
    (
        "DeviceRegistryEvents",
        "class:(registry_key_activity registry_value_activity 201001 201002)",
        "registry (Microsoft Defender)",
    ),
    (
        "DeviceLogonEvents",
        "class:authentication",
        "log-ons (Microsoft Defender)",
    ),
    (
        "DeviceImageLoadEvents",
        "class:module_activity",
        "loaded libraries (Microsoft Defender)",
    ),
    (
        "DeviceEvents",
        "",
        "further events of machines (Microsoft Defender)",
    ),
    (
        "IdentityLogonEvents",
        "class:authentication",
        "log-ons (Microsoft Defender)",
    ),
    ("SigninLogs", "class:authentication", "sign-ins (Entra ID)"),
    (
        "AADNonInteractiveUserSignInLogs",
        "class:authentication",
        "sign-ins (Entra ID)",
    ),
    (
        "EmailEvents",
        "class:email_activity",
        "mail (Microsoft Defender)",
    ),
    ("DnsEvents", "class:dns_activity", "DNS"),
    (
        "SecurityEvent",
        "metadata.log_name:Security",
        "Windows Security",
    ),
    ("WindowsEvent", "product:*windows*", "Windows"),
    (
        "Event",
        "product:(*windows* *sysmon*)",
        "Windows and Sysmon",
    ),
    ("Sysmon", "product:*sysmon*", "Sysmon"),
    (
        "Syslog",
        "product:(*linux* *ssh* *sudo* *syslog*)",
        "Linux and Unix",
    ),
    (
        "CommonSecurityLog",
        "class:(network_activity http_activity)",
        "firewalls and proxies",
    ),
    ("W3CIISLog", "class:http_activity", "web servers"),
    ("AzureActivity", "product:*azure*", "Azure"),
    ("AuditLogs", "product:(*entra* *azure*)", "Entra ID audit"),
    ("OfficeActivity", "product:*365*", "Microsoft 365"),
    ("CloudAppEvents", "class:api_activity", "cloud applications"),
    ("AWSCloudTrail", "product:*cloudtrail*", "AWS CloudTrail"),
    ("SecurityAlert", "class:detection_finding", "alerts"),
    (
        "imProcessCreate",
        "class:process_activity",
        "processes (ASIM)",
    ),
    (
        "imNetworkSession",
        "class:network_activity",
        "connections (ASIM)",
    ),
    ("imDns", "class:dns_activity", "DNS (ASIM)"),
    ("imWebSession", "class:http_activity", "web (ASIM)"),
    ("imAuthentication", "class:authentication", "log-ons (ASIM)"),
    ("imFileEvent", "class:file_activity", "files (ASIM)"),
];

/// Columns of other products by what they are here.
const COLUMNS: &[(&str, &[&str])] = &[
    ("DeviceName", &["device.hostname"]),
    ("Computer", &["device.hostname"]),
    ("HostName", &["device.hostname"]),
    ("DvcHostname", &["device.hostname"]),
    (
        "FileName",
        &["file.name", "process.file.name", "module.file.path"],
    ),
    (
        "FolderPath",
        &["file.path", "process.file.path", "module.file.path"],
    ),
    ("SHA256", &["process.file.hashes", "file.hashes"]),
    ("SHA1", &["process.file.hashes", "file.hashes"]),
    ("MD5", &["process.file.hashes", "file.hashes"]),
    ("FileSize", &["file.size"]),
    ("ProcessCommandLine", &["process.cmd_line"]),
    ("CommandLine", &["process.cmd_line"]),
    ("NewProcessName", &["process.file.path"]),
    ("Process", &["process.file.name"]),
    ("ProcessName", &["process.file.path"]),
    ("ProcessId", &["process.pid"]),
    (
        "InitiatingProcessFileName",
        &["actor.process.file.name", "process.file.name"],
    ),
    (
        "InitiatingProcessFolderPath",
        &["actor.process.file.path", "process.file.path"],
    ),
    (
        "InitiatingProcessCommandLine",
        &["actor.process.cmd_line", "process.cmd_line"],
    ),
    ("InitiatingProcessId", &["actor.process.pid", "process.pid"]),
    (
        "InitiatingProcessAccountName",
        &["actor.user.name", "process.user.name"],
    ),
    ("InitiatingProcessAccountDomain", &["actor.user.domain"]),
    ("ParentProcessName", &["actor.process.file.path"]),
    (
        "AccountName",
        &["user.name", "actor.user.name", "process.user.name"],
    ),
    ("AccountDomain", &["user.domain", "actor.user.domain"]),
    ("AccountSid", &["user.uid", "actor.user.uid"]),
    ("Account", &["user.name", "actor.user.name"]),
    ("TargetAccount", &["user.name"]),
    ("SubjectAccount", &["actor.user.name"]),
    (
        "UserPrincipalName",
        &[
            "actor.user.email_addr",
            "user.email_addr",
            "actor.user.name",
            "user.name",
        ],
    ),
    ("UserId", &["actor.user.uid", "actor.user.name"]),
    ("UserName", &["user.name", "actor.user.name"]),
    ("UserIdentityUserName", &["actor.user.name"]),
    ("UserIdentityArn", &["actor.user.uid"]),
    ("IPAddress", &["src_endpoint.ip"]),
    ("IpAddress", &["src_endpoint.ip"]),
    ("ClientIP", &["src_endpoint.ip"]),
    ("SourceIP", &["src_endpoint.ip"]),
    ("SourceIpAddress", &["src_endpoint.ip"]),
    ("SrcIpAddr", &["src_endpoint.ip"]),
    ("LocalIP", &["src_endpoint.ip"]),
    ("LocalPort", &["src_endpoint.port"]),
    ("SourcePort", &["src_endpoint.port"]),
    ("SrcPortNumber", &["src_endpoint.port"]),
    ("RemoteIP", &["dst_endpoint.ip", "src_endpoint.ip"]),
    ("RemotePort", &["dst_endpoint.port"]),
    (
        "RemoteUrl",
        &[
            "http_request.url.url_string",
            "dst_endpoint.hostname",
            "query.hostname",
        ],
    ),
    ("RemoteDeviceName", &["src_endpoint.hostname"]),
    ("DestinationIP", &["dst_endpoint.ip"]),
    ("DstIpAddr", &["dst_endpoint.ip"]),
    ("DestinationPort", &["dst_endpoint.port"]),
    ("DstPortNumber", &["dst_endpoint.port"]),
    ("DestinationHostName", &["dst_endpoint.hostname"]),
    ("Protocol", &["connection_info.protocol_name"]),
    ("SentBytes", &["traffic.bytes_out"]),
    ("SrcBytes", &["traffic.bytes_out"]),
    ("ReceivedBytes", &["traffic.bytes_in"]),
    ("DstBytes", &["traffic.bytes_in"]),
    ("DnsQuery", &["query.hostname"]),
    ("DnsQueryTypeName", &["query.type"]),
    ("DnsResponseName", &["answers"]),
    ("RequestURL", &["http_request.url.url_string"]),
    ("Url", &["http_request.url.url_string"]),
    ("HttpUserAgent", &["http_request.user_agent"]),
    ("UserAgent", &["http_request.user_agent"]),
    ("csMethod", &["http_request.http_method"]),
    ("csUriStem", &["http_request.url.path"]),
    ("csUserAgent", &["http_request.user_agent"]),
    ("cIP", &["src_endpoint.ip"]),
    ("scStatus", &["http_response.code"]),
    ("RegistryKey", &["reg_key.path"]),
    ("RegistryValueName", &["reg_value.name"]),
    ("RegistryValueData", &["reg_value.data"]),
    ("LogonType", &["logon_type"]),
    ("EventID", &["metadata.event_code"]),
    ("EventLog", &["metadata.log_name"]),
    ("Channel", &["metadata.log_name"]),
    ("SyslogMessage", &["message"]),
    ("EventData", &["raw"]),
    ("EventName", &["api.operation"]),
    ("OperationName", &["api.operation"]),
    ("Operation", &["api.operation"]),
    ("EventSource", &["api.service.name"]),
    ("AWSRegion", &["cloud.region"]),
    ("ErrorCode", &["api.response.error"]),
    ("SenderFromAddress", &["email.from"]),
    ("RecipientEmailAddress", &["email.to"]),
    ("Subject", &["email.subject"]),
    ("AlertName", &["finding_info.title"]),
    ("Type", &["product"]),
];

/// Columns that hold the time.
const TIMES: [&str; 8] = [
    "time",
    "TimeGenerated",
    "Timestamp",
    "_time",
    "@timestamp",
    "EventTime",
    "EventStartTime",
    "EventCreationTime",
];

/// What a table's rows are, in the search bar's language.
pub fn table_filter(name: &str) -> Option<&'static str> {
    let found = TABLES
        .iter()
        .find(|(table, _, _)| table.eq_ignore_ascii_case(name));
    found.map(|(_, filter, _)| *filter)
}

/// What a column of another product is here, the first that has a value; none where the name
/// is not theirs. `time` is the time of the event.
pub fn column_aliases(name: &str) -> &'static [&'static str] {
    if TIMES.iter().any(|time| time.eq_ignore_ascii_case(name)) {
        return &["time"];
    }
    COLUMNS
        .iter()
        .find(|(column, _)| *column == name)
        .map_or(&[], |(_, paths)| paths)
}

/// Whether a name is that of a table: a known one, or one written as tables of other products
/// are, in camel case or with `_CL` at its end.
pub(super) fn is_table_name(name: &str) -> bool {
    let humps = name
        .bytes()
        .zip(name.bytes().skip(1))
        .filter(|(one, next)| one.is_ascii_lowercase() && next.is_ascii_uppercase())
        .count();
    table_filter(name).is_some()
        || name.ends_with("_CL")
        || (humps > 0 && name.starts_with(|first: char| first.is_ascii_uppercase()))
}
