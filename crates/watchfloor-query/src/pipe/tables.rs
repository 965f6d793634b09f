//! Tables and columns of other products, so that published queries run as they are.

/// Tables with what their rows are in the search bar's language, and what they hold.
pub const TABLES: &[(&str, &str, &str)] = &[
    ("events", "", "every event"),
    ("findings", "class:detection_finding", "what rules found"),
    (
        "DeviceProcessEvents",
        "class:process_activity activity_id:1",
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
        "-class:(network_activity file_activity registry_key_activity registry_value_activity 201001 201002 authentication module_activity)",
        "further events of machines (Microsoft Defender)",
    ),
    (
        "IdentityLogonEvents",
        "class:authentication",
        "log-ons (Microsoft Defender)",
    ),
    (
        "IdentityDirectoryEvents",
        "class:(account_change group_management entity_management)",
        "changes of accounts (Microsoft Defender)",
    ),
    (
        "IdentityQueryEvents",
        NOTHING,
        "queries of directories (Microsoft Defender)",
    ),
    (
        "SigninLogs",
        "class:authentication kind:(azure/* m365/* okta/* onelogin/* gcp/*)",
        "sign-ins (Entra ID)",
    ),
    (
        "AADNonInteractiveUserSignInLogs",
        "kind:azure/signin",
        "sign-ins (Entra ID)",
    ),
    (
        "AADServicePrincipalSignInLogs",
        "kind:azure/signin",
        "sign-ins of programs (Entra ID)",
    ),
    (
        "AADManagedIdentitySignInLogs",
        "kind:azure/signin",
        "sign-ins of programs (Entra ID)",
    ),
    (
        "AADSignInEventsBeta",
        "kind:azure/signin",
        "sign-ins (Entra ID)",
    ),
    (
        "AADSpnSignInEventsBeta",
        "kind:azure/signin",
        "sign-ins of programs (Entra ID)",
    ),
    ("AADUserRiskEvents", "kind:azure/risk", "risks (Entra ID)"),
    ("AADRiskyUsers", "kind:azure/risk", "risks (Entra ID)"),
    (
        "EmailEvents",
        "class:email_activity",
        "mail (Microsoft Defender)",
    ),
    (
        "EmailUrlInfo",
        NOTHING,
        "links in mail (Microsoft Defender)",
    ),
    (
        "EmailAttachmentInfo",
        NOTHING,
        "attachments of mail (Microsoft Defender)",
    ),
    (
        "EmailPostDeliveryEvents",
        NOTHING,
        "mail after delivery (Microsoft Defender)",
    ),
    (
        "UrlClickEvents",
        NOTHING,
        "clicks on links (Microsoft Defender)",
    ),
    ("DnsEvents", "class:dns_activity", "DNS"),
    (
        "SecurityEvent",
        "metadata.log_name:Security",
        "Windows Security",
    ),
    ("WindowsEvent", "kind:windows/*", "every event of Windows"),
    ("Event", "kind:windows/*", "every event of Windows"),
    ("Sysmon", "product:*sysmon*", "Sysmon"),
    ("WindowsFirewall", NOTHING, "Windows firewall"),
    (
        "Syslog",
        "product:(*linux* *ssh* *sudo* *syslog* cron su systemd shadow-utils)",
        "Linux and Unix",
    ),
    ("LinuxAuditLog", "product:\"linux audit\"", "Linux audit"),
    (
        "CommonSecurityLog",
        "class:(network_activity http_activity) -kind:windows/* -kind:web/*",
        "firewalls and proxies",
    ),
    ("VMConnection", "class:network_activity", "connections"),
    (
        "AzureNetworkAnalytics_CL",
        "class:network_activity",
        "connections (Azure)",
    ),
    ("W3CIISLog", "class:http_activity", "web servers"),
    ("AzureActivity", "kind:azure/activity", "Azure"),
    ("AzureDiagnostics", "product:*azure*", "Azure"),
    ("StorageBlobLogs", NOTHING, "files (Azure)"),
    ("KeyVaultData", NOTHING, "keys (Azure)"),
    (
        "AuditLogs",
        "kind:(azure/audit azure/pim)",
        "Entra ID audit",
    ),
    ("OfficeActivity", "product:(*365* *m365*)", "Microsoft 365"),
    ("CloudAppEvents", "class:api_activity", "cloud applications"),
    ("McasShadowItReporting", NOTHING, "cloud applications"),
    (
        "AWSCloudTrail",
        "product:(*cloudtrail* aws)",
        "AWS CloudTrail",
    ),
    ("AWSGuardDuty", "product:*guardduty*", "AWS GuardDuty"),
    ("AWSVPCFlow", NOTHING, "connections (AWS)"),
    ("GCPAuditLogs", "product:*gcp*", "Google Cloud"),
    ("GCP_IAM_CL", "product:*gcp*", "Google Cloud"),
    (
        "GWorkspaceActivityReports",
        "kind:gcp/workspace*",
        "Google Workspace",
    ),
    (
        "GoogleWorkspaceReports",
        "kind:gcp/workspace*",
        "Google Workspace",
    ),
    ("Okta_CL", "product:*okta*", "Okta"),
    ("OktaV2_CL", "product:*okta*", "Okta"),
    ("OktaSSO", "product:*okta*", "Okta"),
    ("OneLogin_CL", "product:*onelogin*", "OneLogin"),
    ("GitHubAudit", "product:*github*", "GitHub"),
    ("GitHubAuditLogPolling_CL", "product:*github*", "GitHub"),
    ("BitbucketAudit", "product:*bitbucket*", "Bitbucket"),
    ("KubeEvents", "product:*kubernetes*", "Kubernetes"),
    ("AKSAudit", "product:*kubernetes*", "Kubernetes"),
    ("AKSAuditAdmin", "product:*kubernetes*", "Kubernetes"),
    ("ContainerLog", "product:*kubernetes*", "containers"),
    ("ContainerLogV2", "product:*kubernetes*", "containers"),
    ("NGINXHTTPServer", "product:*nginx*", "nginx"),
    ("ApacheHTTPServer", "product:*apache*", "Apache"),
    ("Corelight_CL", "product:*zeek*", "Zeek"),
    ("CiscoASA", "product:*cisco*", "Cisco ASA"),
    ("SecurityAlert", "class:detection_finding", "alerts"),
    (
        "SecurityIncident",
        "class:detection_finding",
        "incidents, as their alerts",
    ),
    (
        "AlertInfo",
        "class:detection_finding",
        "alerts (Microsoft Defender)",
    ),
    (
        "AlertEvidence",
        "class:detection_finding",
        "evidence of alerts (Microsoft Defender)",
    ),
    ("DeviceInfo", NOTHING, "machines (Microsoft Defender)"),
    (
        "DeviceNetworkInfo",
        NOTHING,
        "machines (Microsoft Defender)",
    ),
    (
        "DeviceFileCertificateInfo",
        NOTHING,
        "signatures (Microsoft Defender)",
    ),
    (
        "DeviceTvmSoftwareInventory",
        NOTHING,
        "programs (Microsoft Defender)",
    ),
    (
        "DeviceTvmSoftwareVulnerabilities",
        NOTHING,
        "weaknesses (Microsoft Defender)",
    ),
    (
        "DeviceTvmSecureConfigurationAssessment",
        NOTHING,
        "settings (Microsoft Defender)",
    ),
    ("IdentityInfo", NOTHING, "people"),
    ("BehaviorAnalytics", NOTHING, "behavior of people"),
    ("UserPeerAnalytics", NOTHING, "behavior of people"),
    ("UserAccessAnalytics", NOTHING, "behavior of people"),
    ("Anomalies", NOTHING, "anomalies"),
    ("ThreatIntelligenceIndicator", NOTHING, "indicators"),
    ("ThreatIntelIndicators", NOTHING, "indicators"),
    ("ThreatIntelObjects", NOTHING, "intelligence"),
    ("Watchlist", NOTHING, "lists"),
    ("Heartbeat", NOTHING, "agents"),
    ("Usage", NOTHING, "volumes"),
    ("Operation", NOTHING, "agents"),
    ("Perf", NOTHING, "counters"),
    ("Update", NOTHING, "updates"),
    ("Alert", NOTHING, "alerts of agents"),
    ("ConfigurationChange", NOTHING, "changes"),
    ("LAQueryLogs", NOTHING, "queries"),
    ("SentinelAudit", NOTHING, "audit"),
    ("SentinelHealth", NOTHING, "health"),
    ("SecurityBaseline", NOTHING, "settings"),
    ("SecurityRecommendation", NOTHING, "settings"),
    ("ProtectionStatus", NOTHING, "protection"),
    ("AppServiceHTTPLogs", NOTHING, "web (Azure)"),
    ("InformationProtectionLogs_CL", NOTHING, "labels"),
    ("Dynamics365Activity", NOTHING, "Dynamics 365"),
    ("ProjectActivity", NOTHING, "projects"),
    ("PowerBIActivity", NOTHING, "Power BI"),
    ("ADFSSignInLogs", NOTHING, "sign-ins (AD FS)"),
    (
        "imProcessCreate",
        "class:process_activity activity_id:1",
        "processes (ASIM)",
    ),
    (
        "imProcessCreation",
        "class:process_activity activity_id:1",
        "processes (ASIM)",
    ),
    (
        "imProcessTerminate",
        "class:process_activity activity_id:2",
        "processes (ASIM)",
    ),
    (
        "imProcess",
        "class:process_activity activity_id:(1 2)",
        "processes (ASIM)",
    ),
    (
        "imProcessEvent",
        "class:process_activity activity_id:(1 2)",
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
    ("imRegistry", "class:(201001 201002)", "registry (ASIM)"),
    (
        "imRegistryEvent",
        "class:(201001 201002)",
        "registry (ASIM)",
    ),
    (
        "imUserManagement",
        "class:(account_change group_management)",
        "accounts (ASIM)",
    ),
    (
        "imAuditEvent",
        "class:(api_activity entity_management)",
        "audit (ASIM)",
    ),
    ("imAlertEvent", "class:detection_finding", "alerts (ASIM)"),
    ("imDhcpEvent", "class:dhcp_activity", "DHCP (ASIM)"),
];

/// A table that other products have and the lake has no events of: no rows, and no error.
const NOTHING: &str = "kind:\"no such kind\"";

/// Columns that a table has another meaning for than others.
const OF_TABLES: &[(&str, &str, &[&str])] = &[
    (
        "Syslog",
        "ProcessName",
        &["metadata.log_provider", "app_name", "process.name"],
    ),
    ("Syslog", "ProcessID", &["syslog.procid", "process.pid"]),
    ("Syslog", "Facility", &["syslog.facility", "facility"]),
    ("Syslog", "SeverityLevel", &["syslog.severity", "severity"]),
    ("Syslog", "HostIP", &["device.ip", "src_endpoint.ip"]),
    ("DnsEvents", "Name", &["query.hostname"]),
    ("DnsEvents", "QueryType", &["query.type"]),
    ("DnsEvents", "IPAddresses", &["answers"]),
    ("DnsEvents", "ResultCode", &["rcode"]),
    ("DnsEvents", "SubType", &["api.operation"]),
    ("SecurityAlert", "Entities", &["finding_info.evidence"]),
    ("SecurityAlert", "Tactics", &["finding_info.attacks"]),
    ("SecurityAlert", "Techniques", &["finding_info.attacks"]),
    ("SecurityAlert", "ProductName", &["product"]),
    ("SecurityAlert", "ProviderName", &["product"]),
    ("SecurityAlert", "SystemAlertId", &["finding_info.uid"]),
    ("SecurityAlert", "DisplayName", &["finding_info.title"]),
    ("SecurityAlert", "Description", &["message"]),
    ("SecurityIncident", "Title", &["finding_info.title"]),
    ("SecurityIncident", "IncidentName", &["finding_info.uid"]),
    ("AlertInfo", "Title", &["finding_info.title"]),
    ("AlertInfo", "AlertId", &["finding_info.uid"]),
    ("AlertEvidence", "AlertId", &["finding_info.uid"]),
    ("AlertEvidence", "Title", &["finding_info.title"]),
    (
        "W3CIISLog",
        "csHost",
        &["http_request.url.hostname", "dst_endpoint.hostname"],
    ),
    ("AuditLogs", "Identity", &["actor.user.name"]),
    ("AuditLogs", "Result", &["status", "result"]),
    (
        "OfficeActivity",
        "OfficeWorkload",
        &["Workload", "api.service.name"],
    ),
    ("OfficeActivity", "Client_IPAddress", &["src_endpoint.ip"]),
    (
        "AzureActivity",
        "Caller",
        &["actor.user.email_addr", "actor.user.name"],
    ),
    ("AzureActivity", "CallerIpAddress", &["src_endpoint.ip"]),
    ("AzureActivity", "OperationNameValue", &["api.operation"]),
    (
        "AzureActivity",
        "ActivityStatusValue",
        &["status_code", "status"],
    ),
    ("AzureActivity", "ResourceId", &["resource.name"]),
    (
        "DeviceImageLoadEvents",
        "FileName",
        &["module.file.name", "module.file.path"],
    ),
    ("DeviceImageLoadEvents", "FolderPath", &["module.file.path"]),
    ("DeviceFileEvents", "FileName", &["file.name"]),
    ("DeviceFileEvents", "FolderPath", &["file.path"]),
    ("DeviceProcessEvents", "FileName", &["process.file.name"]),
    ("DeviceProcessEvents", "FolderPath", &["process.file.path"]),
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
    ("AlertName", &["finding_info.title", "rule.name"]),
    ("Type", &["product"]),
    ("ResultType", &["status_code"]),
    ("ResultDescription", &["status_detail"]),
    ("ResultSignature", &["status"]),
    ("AppDisplayName", &["app_name"]),
    ("Application", &["app_name"]),
    ("Location", &["src_endpoint.location.country"]),
    ("Country", &["src_endpoint.location.country"]),
    ("SrcGeoCountry", &["src_endpoint.location.country"]),
    ("ClientAppUsed", &["clientAppUsed"]),
    ("UserDisplayName", &["actor.user.name", "user.name"]),
    ("CorrelationId", &["metadata.correlation_uid"]),
    ("ReportId", &["id"]),
    ("DeviceId", &["device.uid", "device.hostname"]),
    ("DeviceAction", &["disposition", "status"]),
    ("DeviceVendor", &["product"]),
    ("DeviceProduct", &["product"]),
    ("DeviceEventClassID", &["metadata.event_code"]),
    ("Activity", &["message", "api.operation"]),
    ("SourceUserName", &["actor.user.name", "user.name"]),
    ("DestinationUserName", &["user.name"]),
    ("SourceHostName", &["src_endpoint.hostname"]),
    (
        "ApplicationProtocol",
        &["dst_endpoint.svc_name", "app_name"],
    ),
    ("RequestClientApplication", &["http_request.user_agent"]),
    ("RequestMethod", &["http_request.http_method"]),
    ("HttpRequestMethod", &["http_request.http_method"]),
    ("csUriQuery", &["http_request.url.query_string"]),
    ("csReferer", &["http_request.referrer"]),
    ("csUserName", &["actor.user.name", "user.name"]),
    ("scSubStatus", &["sc-substatus"]),
    ("sIP", &["dst_endpoint.ip"]),
    ("sPort", &["dst_endpoint.port"]),
    ("Query", &["query.hostname"]),
    ("DnsResponseCodeName", &["rcode"]),
    ("EventResultDetails", &["rcode", "status_detail", "status"]),
    ("Dvc", &["device.hostname"]),
    ("DvcIpAddr", &["device.ip"]),
    ("SrcHostname", &["src_endpoint.hostname"]),
    ("DstHostname", &["dst_endpoint.hostname"]),
    ("NetworkProtocol", &["connection_info.protocol_name"]),
    ("NetworkDirection", &["connection_info.direction"]),
    ("DvcAction", &["disposition"]),
    ("ActorUsername", &["actor.user.name", "process.user.name"]),
    ("TargetUsername", &["user.name", "process.user.name"]),
    (
        "User",
        &["process.user.name", "user.name", "actor.user.name"],
    ),
    ("ActingProcessName", &["actor.process.file.path"]),
    ("ActingProcessFileName", &["actor.process.file.path"]),
    ("TargetProcessFilePath", &["process.file.path"]),
    ("TargetProcessFileName", &["process.file.name"]),
    ("DvcHostName", &["device.hostname"]),
    ("EventVendor", &["product"]),
    ("EventProduct", &["product"]),
    ("AccountType", &["actor.user.type"]),
    ("ActingProcessCommandLine", &["actor.process.cmd_line"]),
    ("TargetProcessName", &["process.file.path"]),
    ("TargetProcessCommandLine", &["process.cmd_line"]),
    ("TargetProcessId", &["process.pid"]),
    ("ActingProcessId", &["actor.process.pid"]),
    ("TargetFilePath", &["file.path"]),
    ("TargetFileName", &["file.name"]),
    (
        "InitiatingProcessParentFileName",
        &["actor.process.parent_process.file.name"],
    ),
    ("InitiatingProcessSHA256", &["actor.process.file.hashes"]),
    (
        "ProcessVersionInfoOriginalFileName",
        &["process.file.internal_name"],
    ),
    ("ProcessVersionInfoProductName", &["process.file.product"]),
    (
        "ProcessVersionInfoCompanyName",
        &["process.file.company_name"],
    ),
    ("ProcessVersionInfoFileDescription", &["process.file.desc"]),
    ("ProcessIntegrityLevel", &["process.integrity"]),
    ("ProcessTokenElevation", &["TokenElevationType"]),
    ("AccountUpn", &["user.email_addr", "actor.user.email_addr"]),
    ("AccountUPN", &["user.email_addr", "actor.user.email_addr"]),
    ("TenantId", &["cloud.account.uid"]),
    (
        "UserIdentityAccountId",
        &["actor.user.account.uid", "cloud.account.uid"],
    ),
    ("UserIdentityType", &["actor.user.type"]),
    ("RecipientAccountId", &["cloud.account.uid"]),
    ("AwsEventId", &["metadata.uid"]),
    ("EventTypeName", &["metadata.event_code"]),
    ("ErrorMessage", &["api.response.message", "errorMessage"]),
    ("RenderedDescription", &["message"]),
    ("ParameterXml", &["raw"]),
    ("Source", &["metadata.log_provider"]),
    ("EventSourceName", &["metadata.log_provider"]),
    ("LogonProcessName", &["logon_process.name"]),
    ("WorkstationName", &["src_endpoint.hostname"]),
    ("Workstation", &["src_endpoint.hostname"]),
    ("ObjectName", &["file.path"]),
    ("NetworkMessageId", &["email.uid", "metadata.uid"]),
    ("RawData", &["raw"]),
    ("_ResourceId", &["resource.name"]),
    ("Resource", &["resource.name"]),
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
/// is not theirs. `time` is the time of the event. A table may have a meaning of its own for it.
pub fn column_aliases(table: &str, name: &str) -> &'static [&'static str] {
    if TIMES.iter().any(|time| time.eq_ignore_ascii_case(name)) {
        return &["time"];
    }
    let own = OF_TABLES
        .iter()
        .find(|(of, column, _)| *column == name && of.eq_ignore_ascii_case(table));
    if let Some((_, _, paths)) = own {
        return paths;
    }
    COLUMNS
        .iter()
        .find(|(column, _)| *column == name)
        .map_or(&[], |(_, paths)| paths)
}

/// Whether a name is that of a table: a known one, or one written as tables of other products
/// are, with letters of both cases or with `_CL` at its end.
pub(super) fn is_table_name(name: &str) -> bool {
    table_filter(name).is_some() || name.ends_with("_CL") || is_camel(name)
}

/// Whether a small letter is followed by a capital one, or a capital one stands within.
pub(super) fn is_camel(name: &str) -> bool {
    let bytes = name.as_bytes();
    let has_small = bytes.iter().any(u8::is_ascii_lowercase);
    let capitals = bytes
        .iter()
        .skip(1)
        .filter(|next| next.is_ascii_uppercase());
    has_small && capitals.count() > 0
}

/// Functions of other products that give rows, as their names begin.
pub(super) fn is_function_of_rows(name: &str) -> bool {
    let begins = ["_Im_", "_ASim_", "ASim", "_GetWatchlist", "_Get"];
    let begins_small = ["im", "vim"];
    begins.iter().any(|prefix| name.starts_with(prefix))
        || begins_small.iter().any(|prefix| {
            name.strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_uppercase()))
        })
}
