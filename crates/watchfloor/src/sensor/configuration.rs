//! Suricata's configuration, written from the sensor's settings.
//!
//! What the installed configuration says of protocols, decoders and limits stays in force, as
//! Debian and others tune it; inputs, outputs, rules and networks are the sensor's.
//!
//! # Source
//! Suricata User Guide 7.0, sections 10 (suricata.yaml) and 16 (EVE JSON output).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::rule_files::ACTIVE;
use super::settings::Settings;

/// Name of the written configuration and of the list of suppressions beside it.
const FILE: &str = "suricata.yaml";
pub(super) const THRESHOLD: &str = "threshold.config";
/// Where packages put theirs.
const INSTALLED: [&str; 2] = ["/etc/suricata", "/usr/local/etc/suricata"];

/// Where events go.
#[derive(Clone, Debug)]
pub(super) enum Output {
    /// Nowhere: rules are tested.
    Test,
    /// To a stream socket.
    Socket(PathBuf),
    /// To a file of the log folder.
    File,
}

/// Writes the configuration and returns its path.
pub(super) fn write(folder: &Path, settings: &Settings, output: &Output) -> Result<PathBuf> {
    let path = folder.join(FILE);
    let text = text(folder, settings, output)?;
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn installed(name: &str) -> Option<PathBuf> {
    INSTALLED
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
}

fn text(folder: &Path, settings: &Settings, output: &Output) -> Result<String> {
    let mut text =
        "%YAML 1.1\n---\n# Written by watchfloor sensor; change sensor.toml.\n".to_owned();
    if let Some(base) = installed(FILE) {
        let _ = writeln!(text, "include:\n  - {}", base.display());
    }
    for name in ["classification.config", "reference.config"] {
        if let Some(path) = installed(name) {
            let key = name.replace(
                ".config",
                if name.starts_with('c') {
                    "-file"
                } else {
                    "-config-file"
                },
            );
            let _ = writeln!(text, "{key}: {}", path.display());
        }
    }
    for net in &settings.home_net {
        let plain = net.trim_start_matches('!');
        let is_net =
            plain.parse::<ipnet::IpNet>().is_ok() || plain.parse::<std::net::IpAddr>().is_ok();
        if !is_net && plain != "any" {
            bail!("home_net: '{net}' is no address and no network");
        }
    }
    let home = settings.home_net.join(",");
    let _ = write!(
        text,
        "vars:\n  address-groups:\n    HOME_NET: \"[{home}]\"\n    EXTERNAL_NET: \"!$HOME_NET\"\n"
    );
    let servers = [
        "HTTP_SERVERS",
        "SMTP_SERVERS",
        "SQL_SERVERS",
        "DNS_SERVERS",
        "TELNET_SERVERS",
        "DC_SERVERS",
        "DNP3_SERVER",
        "DNP3_CLIENT",
        "MODBUS_CLIENT",
        "MODBUS_SERVER",
        "ENIP_CLIENT",
        "ENIP_SERVER",
    ];
    for server in servers {
        let _ = writeln!(text, "    {server}: \"$HOME_NET\"");
    }
    text += "    AIM_SERVERS: \"$EXTERNAL_NET\"\n";
    text += PORTS;
    let _ = write!(
        text,
        "default-rule-path: {folder}\nrule-files:\n  - {ACTIVE}\nthreshold-file: {folder}/{THRESHOLD}\n\
         stats:\n  enabled: yes\n  interval: 10\n",
        folder = folder.display()
    );
    interfaces(&mut text, settings)?;
    outputs(&mut text, settings, output);
    Ok(text)
}

const PORTS: &str = "  port-groups:\n    HTTP_PORTS: \"80\"\n    SHELLCODE_PORTS: \"!80\"\n    \
    ORACLE_PORTS: 1521\n    SSH_PORTS: 22\n    DNP3_PORTS: 20000\n    MODBUS_PORTS: 502\n    \
    FILE_DATA_PORTS: \"[$HTTP_PORTS,110,143]\"\n    FTP_PORTS: 21\n    GENEVE_PORTS: 6081\n    \
    VXLAN_PORTS: 4789\n    TEREDO_PORTS: 3544\n    SIP_PORTS: \"[5060, 5061]\"\n";

fn interfaces(text: &mut String, settings: &Settings) -> Result<()> {
    if settings.interfaces.is_empty() {
        return Ok(());
    }
    text.push_str("af-packet:\n");
    for (number, interface) in settings.interfaces.iter().enumerate() {
        let is_plain = |letter: char| {
            letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | ':' | '@')
        };
        if interface.is_empty() || !interface.chars().all(is_plain) {
            bail!("'{interface}' is no name of an interface");
        }
        let cluster = 99_usize.saturating_sub(number);
        let _ = write!(
            text,
            "  - interface: \"{interface}\"\n    cluster-id: {cluster}\n    cluster-type: cluster_flow\n    \
             defrag: yes\n"
        );
    }
    Ok(())
}

/// Alerts carry their packet and the record of their protocol; the flow's packets are kept
/// beside.
fn outputs(text: &mut String, settings: &Settings, output: &Output) {
    let (filetype, filename) = match output {
        Output::Test => {
            text.push_str("outputs: []\n");
            return;
        }
        Output::Socket(path) => ("unix_stream", path.display().to_string()),
        Output::File => ("regular", "eve.json".to_owned()),
    };
    let files = settings.packets_mib.div_ceil(64).max(1);
    let _ = write!(
        text,
        "outputs:\n  - eve-log:\n      enabled: yes\n      filetype: {filetype}\n      filename: {filename}\n      \
         community-id: true\n      types:\n        - alert:\n            payload: yes\n            payload-printable: no\n            \
         packet: yes\n            metadata: yes\n            tagged-packets: yes\n            http-body-printable: yes\n\
         {PLAIN_TYPES}        - stats:\n            totals: yes\n            threads: no\n            deltas: yes\n"
    );
    if settings.packets_mib > 0 {
        let _ = write!(
            text,
            "  - pcap-log:\n      enabled: yes\n      filename: alerts.pcap\n      limit: 64mb\n      \
             max-files: {files}\n      conditional: alerts\n"
        );
    }
}

const PLAIN_TYPES: &str = "        - anomaly\n        - http:\n            extended: yes\n        - dns\n        \
    - tls:\n            extended: yes\n        - files:\n            force-magic: no\n        - smtp:\n            \
    extended: yes\n        - ftp\n        - rdp\n        - nfs\n        - smb\n        - tftp\n        - ike\n        \
    - dcerpc\n        - krb5\n        - snmp\n        - rfb\n        - sip\n        - dhcp:\n            extended: yes\n        \
    - ssh\n        - mqtt\n        - http2\n        - pgsql\n        - quic\n        - flow\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_settings_cannot_change_the_rest() {
        let folder = Path::new("/tmp/sensor");
        let with = |interface: &str, net: &str| Settings {
            interfaces: vec![interface.to_owned()],
            home_net: vec![net.to_owned()],
            ..Settings::default()
        };
        let good = text(folder, &with("eth0", "10.0.0.0/8"), &Output::File).unwrap();
        assert!(
            good.contains("interface: \"eth0\"") && good.contains("HOME_NET: \"[10.0.0.0/8]\"")
        );
        assert!(text(folder, &with("eth0\"\nx: y", "10.0.0.0/8"), &Output::File).is_err());
        assert!(text(folder, &with("eth0", "10.0.0.0/8]\"\nx: y"), &Output::File).is_err());
    }
}
