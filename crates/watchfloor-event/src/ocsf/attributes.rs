//! The promoted attributes: OCSF paths that have a typed column of their own in the lake,
//! with the names that other schemas use for them.

/// How the lake stores an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttributeType {
    /// UTF-8 text.
    Text,
    /// A signed 64-bit whole number.
    Integer,
}

/// One promoted attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// OCSF path from the event's root.
    pub path: &'static str,
    /// How it is stored.
    pub kind: AttributeType,
    /// Names in the Elastic Common Schema, most usual first.
    pub ecs: &'static [&'static str],
    /// Names in the Sigma taxonomy, most usual first.
    pub sigma: &'static [&'static str],
    /// What it holds.
    pub about: &'static str,
}

macro_rules! attributes {
    ($($path:literal $kind:ident [$($ecs:literal)*] [$($sigma:literal)*] $about:literal;)*) => {
        /// Every promoted attribute; the order is that of the lake's columns and only grows
        /// at the end.
        pub const PROMOTED: &[Attribute] = &[$(Attribute {
            path: $path,
            kind: AttributeType::$kind,
            ecs: &[$($ecs),*],
            sigma: &[$($sigma),*],
            about: $about,
        }),*];
    };
}

attributes! {
    "message" Text ["message"] [] "what the record says, for a person";
    "status" Text ["event.outcome"] [] "outcome as the source words it";
    "status_code" Text ["error.code"] ["Status"] "outcome code as the source gives it";
    "status_detail" Text ["event.reason"] [] "why it ended so";
    "device.hostname" Text ["host.name" "host.hostname"] ["Computer" "ComputerName" "hostname"] "machine that saw the event";
    "device.ip" Text ["host.ip"] [] "address of that machine";
    "device.name" Text ["observer.name"] [] "name of the sensor or appliance";
    "metadata.log_name" Text ["winlog.channel" "event.dataset"] ["Channel"] "log or channel of the product";
    "metadata.log_provider" Text ["winlog.provider_name" "event.provider"] ["Provider_Name"] "program that wrote the record";
    "metadata.event_code" Text ["event.code" "winlog.event_id"] ["EventID"] "the product's own number or name for this kind of event";
    "metadata.uid" Text ["event.id" "winlog.record_id"] ["EventRecordID"] "the product's own id of the record";
    "metadata.correlation_uid" Text ["network.community_id" "trace.id"] [] "id shared by records of one action";
    "actor.user.name" Text ["user.name"] ["SubjectUserName"] "who acted";
    "actor.user.domain" Text ["user.domain"] ["SubjectDomainName"] "domain of who acted";
    "actor.user.uid" Text ["user.id"] ["SubjectUserSid"] "id of who acted";
    "actor.user.type" Text ["user.roles"] [] "kind of account that acted";
    "actor.user.account.uid" Text ["cloud.account.id"] [] "cloud account of who acted";
    "actor.user.email_addr" Text ["user.email"] [] "e-mail address of who acted";
    "actor.session.uid" Text ["winlog.logon.id"] ["LogonId" "SubjectLogonId"] "session in which it was done";
    "actor.process.file.path" Text ["process.parent.executable"] ["ParentImage" "SourceImage"] "program that acted";
    "actor.process.file.name" Text ["process.parent.name"] [] "name of the program that acted";
    "actor.process.cmd_line" Text ["process.parent.command_line"] ["ParentCommandLine"] "its command line";
    "actor.process.pid" Integer ["process.parent.pid"] ["ParentProcessId" "SourceProcessId"] "its process id";
    "actor.process.uid" Text ["process.parent.entity_id"] ["ParentProcessGuid" "SourceProcessGUID"] "its id over time";
    "actor.process.user.name" Text [] ["ParentUser"] "whose process it was";
    "process.file.path" Text ["process.executable"] ["Image" "NewProcessName"] "program that was started or touched";
    "process.file.name" Text ["process.name"] [] "its name";
    "process.file.internal_name" Text ["process.pe.original_file_name"] ["OriginalFileName"] "name compiled into the program";
    "process.file.desc" Text ["process.pe.description"] ["Description"] "description compiled into the program";
    "process.file.product" Text ["process.pe.product"] ["Product"] "product compiled into the program";
    "process.file.company_name" Text ["process.pe.company"] ["Company"] "company compiled into the program";
    "process.file.hashes" Text ["process.hash.sha256"] ["Hashes"] "hashes of the program";
    "process.cmd_line" Text ["process.command_line" "process.args"] ["CommandLine" "ProcessCommandLine"] "command line";
    "process.working_directory" Text ["process.working_directory"] ["CurrentDirectory"] "working folder";
    "process.pid" Integer ["process.pid"] ["ProcessId" "NewProcessId"] "process id";
    "process.uid" Text ["process.entity_id"] ["ProcessGuid"] "id of the process over time";
    "process.integrity" Text ["winlog.event_data.IntegrityLevel"] ["IntegrityLevel"] "integrity level";
    "process.user.name" Text ["process.user.name"] ["User"] "whose process it is";
    "process.user.uid" Text ["process.user.id"] [] "id of that user";
    "process.session.uid" Text [] ["LogonGuid"] "log-on session of the process";
    "process.exit_code" Text ["process.exit_code"] [] "exit code";
    "user.name" Text ["user.target.name" "user.changes.name"] ["TargetUserName"] "account that was acted upon or logged on";
    "user.domain" Text ["user.target.domain"] ["TargetDomainName"] "its domain";
    "user.uid" Text ["user.target.id"] ["TargetSid" "TargetUserSid"] "its id";
    "user.email_addr" Text ["user.target.email"] [] "its e-mail address";
    "group.name" Text ["group.name"] [] "group that was changed";
    "session.uid" Text [] ["TargetLogonId"] "session that was opened or closed";
    "logon_type" Text ["winlog.logon.type"] ["LogonType"] "kind of log-on";
    "auth_protocol" Text ["winlog.event_data.AuthenticationPackageName"] ["AuthenticationPackageName"] "how the account proved itself";
    "logon_process.name" Text ["winlog.event_data.LogonProcessName"] ["LogonProcessName"] "log-on process";
    "src_endpoint.ip" Text ["source.ip" "client.ip"] ["src_ip" "SourceIp" "IpAddress" "c-ip" "id.orig_h"] "address of the side that started";
    "src_endpoint.port" Integer ["source.port" "client.port"] ["src_port" "SourcePort" "IpPort" "id.orig_p"] "port of the side that started";
    "src_endpoint.hostname" Text ["source.domain" "client.domain"] ["SourceHostname" "WorkstationName" "src_host"] "name of the side that started";
    "src_endpoint.mac" Text ["source.mac"] [] "hardware address of the side that started";
    "src_endpoint.location.country" Text ["source.geo.country_iso_code"] [] "country of the side that started";
    "dst_endpoint.ip" Text ["destination.ip" "server.ip"] ["dst_ip" "DestinationIp" "s-ip" "id.resp_h"] "address of the side that answered";
    "dst_endpoint.port" Integer ["destination.port" "server.port"] ["dst_port" "DestinationPort" "s-port" "id.resp_p"] "port of the side that answered";
    "dst_endpoint.hostname" Text ["destination.domain" "server.domain"] ["DestinationHostname" "dst_host" "cs-host" "r-dns"] "name of the side that answered";
    "dst_endpoint.svc_name" Text ["network.protocol"] ["service"] "service that answered";
    "dst_endpoint.mac" Text ["destination.mac"] [] "hardware address of the side that answered";
    "connection_info.protocol_name" Text ["network.transport"] ["Protocol" "proto"] "transport protocol";
    "connection_info.direction" Text ["network.direction"] ["Initiated"] "inbound, outbound or lateral";
    "connection_info.uid" Text [] ["uid" "flow_id"] "id of the connection";
    "traffic.bytes_out" Integer ["source.bytes"] ["orig_bytes" "cs-bytes"] "bytes from the side that started";
    "traffic.bytes_in" Integer ["destination.bytes"] ["resp_bytes" "sc-bytes"] "bytes from the side that answered";
    "traffic.packets_out" Integer ["source.packets"] ["orig_pkts"] "packets from the side that started";
    "traffic.packets_in" Integer ["destination.packets"] ["resp_pkts"] "packets from the side that answered";
    "duration" Integer ["event.duration"] ["duration"] "duration in milliseconds";
    "app_name" Text ["network.application"] [] "application protocol or program";
    "query.hostname" Text ["dns.question.name"] ["QueryName" "query"] "name asked for";
    "query.type" Text ["dns.question.type"] ["record_type" "qtype_name"] "record type asked for";
    "answers" Text ["dns.answers.data"] ["QueryResults" "answers"] "answers";
    "rcode" Text ["dns.response_code"] ["QueryStatus" "rcode_name"] "DNS response code";
    "http_request.http_method" Text ["http.request.method"] ["cs-method"] "HTTP method";
    "http_request.url.url_string" Text ["url.full" "url.original"] ["c-uri"] "whole URL";
    "http_request.url.hostname" Text ["url.domain"] [] "host part of the URL";
    "http_request.url.path" Text ["url.path"] ["cs-uri-stem"] "path part of the URL";
    "http_request.url.query_string" Text ["url.query"] ["cs-uri-query" "c-uri-query"] "query part of the URL";
    "http_request.user_agent" Text ["user_agent.original"] ["c-useragent" "cs-user-agent"] "user agent";
    "http_request.referrer" Text ["http.request.referrer"] ["cs-referer" "cs-referrer"] "referrer";
    "http_request.version" Text ["http.version"] ["cs-version"] "HTTP version";
    "http_request.x_forwarded_for" Text [] [] "addresses named by proxies";
    "http_response.code" Integer ["http.response.status_code"] ["sc-status"] "HTTP status";
    "http_response.length" Integer ["http.response.bytes"] [] "length of the answer in bytes";
    "tls.version" Text ["tls.version"] [] "TLS version";
    "tls.sni" Text ["tls.client.server_name"] [] "server name asked for";
    "tls.ja3_hash.value" Text ["tls.client.ja3"] ["ja3"] "JA3 of the client";
    "tls.ja3s_hash.value" Text ["tls.server.ja3s"] ["ja3s"] "JA3S of the server";
    "tls.certificate.subject" Text ["tls.server.subject"] [] "subject of the certificate";
    "tls.certificate.issuer" Text ["tls.server.issuer"] [] "issuer of the certificate";
    "file.path" Text ["file.path"] ["TargetFilename" "ObjectName"] "file that was touched";
    "file.name" Text ["file.name"] [] "its name";
    "file.hashes" Text ["file.hash.sha256"] [] "its hashes";
    "file.size" Integer ["file.size"] [] "its size in bytes";
    "file.mime_type" Text ["file.mime_type"] [] "its type";
    "module.file.path" Text ["dll.path"] ["ImageLoaded"] "library or driver that was loaded";
    "module.file.signature" Text ["dll.code_signature.subject_name"] ["Signature"] "who signed it";
    "driver.file.path" Text [] [] "driver that was loaded";
    "reg_key.path" Text ["registry.path" "registry.key"] ["TargetObject"] "registry key";
    "reg_value.name" Text ["registry.value"] [] "registry value";
    "reg_value.data" Text ["registry.data.strings"] ["Details"] "its data";
    "win_service.name" Text ["service.name"] ["ServiceName"] "Windows service";
    "win_service.cmd_line" Text [] ["ImagePath" "ServiceFileName"] "what the service runs";
    "job.name" Text [] ["TaskName"] "scheduled job";
    "job.cmd_line" Text [] ["TaskContent"] "what it runs";
    "script.script_content" Text ["powershell.file.script_block_text"] ["ScriptBlockText"] "script text";
    "pipe.name" Text [] ["PipeName"] "named pipe";
    "share.name" Text [] ["ShareName"] "network share";
    "requested_permissions" Text [] ["GrantedAccess" "AccessMask"] "rights asked for";
    "call_trace" Text [] ["CallTrace"] "call stack of the access";
    "api.operation" Text ["event.action"] ["eventName" "OperationName" "operationName"] "operation that was called";
    "api.service.name" Text ["cloud.service.name"] ["eventSource"] "service that was called";
    "api.response.error" Text ["error.message"] ["errorCode"] "error of the call";
    "api.request.uid" Text [] ["requestID"] "id of the call";
    "cloud.provider" Text ["cloud.provider"] [] "cloud provider";
    "cloud.region" Text ["cloud.region"] ["awsRegion"] "region";
    "cloud.account.uid" Text ["cloud.account.id"] ["recipientAccountId"] "cloud account";
    "resource.name" Text ["related.resource"] [] "resource that was acted upon";
    "resource.type" Text [] [] "kind of the resource";
    "rule.name" Text ["rule.name"] ["alert.signature" "signature"] "rule of the tool that alerted";
    "rule.uid" Text ["rule.id"] ["alert.signature_id"] "id of that rule";
    "rule.category" Text ["rule.category"] ["alert.category"] "class of that rule";
    "disposition" Text ["event.action"] ["action"] "what the control did: allowed, blocked";
    "email.from" Text ["email.from.address"] [] "sender";
    "email.to" Text ["email.to.address"] [] "receivers";
    "email.subject" Text ["email.subject"] [] "subject";
    "package.name" Text ["package.name"] [] "software package";
    "package.version" Text ["package.version"] [] "its version";
    "container.name" Text ["container.name"] [] "container";
    "container.image.name" Text ["container.image.name"] [] "its image";
    "finding_info.uid" Text [] [] "id of the finding";
    "finding_info.title" Text [] [] "title of the finding";
    "finding_info.analytic.uid" Text [] [] "rule of the finding";
    "finding_info.analytic.version" Text [] [] "version of that rule";
    "finding_info.related_events" Text [] [] "events of the finding, as a JSON list of ids";
    "finding_info.evidence" Text [] [] "why the rule fired and who took part, as JSON";
    "finding_info.attacks" Text [] [] "ATT&CK tactics and techniques, as JSON";
    "enrichments" Text [] [] "what was added from elsewhere, with where it came from, as a JSON list";
    "src_endpoint.location.city" Text ["source.geo.city_name"] [] "city of the side that started";
    "dst_endpoint.location.country" Text ["destination.geo.country_iso_code"] [] "country of the side that answered";
    "dst_endpoint.location.city" Text ["destination.geo.city_name"] [] "city of the side that answered";
    "src_endpoint.autonomous_system.number" Integer ["source.as.number"] [] "autonomous system of the side that started";
    "src_endpoint.autonomous_system.name" Text ["source.as.organization.name"] [] "who runs it";
    "dst_endpoint.autonomous_system.number" Integer ["destination.as.number"] [] "autonomous system of the side that answered";
    "dst_endpoint.autonomous_system.name" Text ["destination.as.organization.name"] [] "who runs it";
    "vulnerabilities.cve.uid" Text ["vulnerability.id"] [] "number of the vulnerability";
    "vulnerabilities.title" Text ["vulnerability.description"] [] "what the vulnerability is called";
    "vulnerabilities.severity" Text ["vulnerability.severity"] [] "how grave the source calls it";
    "vulnerabilities.is_exploit_available" Text [] [] "whether it is known to be exploited";
    "vulnerabilities.affected_packages.name" Text [] [] "software that has it";
    "vulnerabilities.affected_packages.version" Text [] [] "version of that software";
    "vulnerabilities.affected_packages.fixed_in_version" Text [] [] "version without it";
}

/// The attribute of an OCSF path.
pub fn promoted(path: &str) -> Option<&'static Attribute> {
    PROMOTED.iter().find(|attribute| attribute.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_unique() {
        let mut paths: Vec<_> = PROMOTED.iter().map(|attribute| attribute.path).collect();
        let all = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), all);
    }
}
