//! Commands of action steps.
//!
//! # Source
//! CACAO 2.0, section 5.

use serde_json::Value;

/// What language a command is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CommandKind {
    /// A person does it.
    Manual,
    /// A request to an HTTP API.
    HttpApi,
    /// An OpenC2 command over HTTP.
    Openc2Http,
    /// One of the closed list of actions; a word of ours in the open vocabulary.
    Watchfloor,
    /// A line for the Bourne-again shell: never run, shown to a person.
    Bash,
    /// An ability of Caldera.
    CalderaCmd,
    /// A query for Elastic.
    Elastic,
    /// A notebook.
    Jupyter,
    /// A hunt in Kestrel.
    Kestrel,
    /// A line for PowerShell: never run, shown to a person.
    Powershell,
    /// A Sigma rule.
    Sigma,
    /// A line for a remote shell: never run, shown to a person.
    Ssh,
    /// A YARA rule.
    Yara,
    /// A word that the vocabulary does not know.
    Other,
}

impl CommandKind {
    /// The kind of a word of `command-type-ov`.
    pub fn parse(word: &str) -> Self {
        match word {
            "manual" => Self::Manual,
            "http-api" => Self::HttpApi,
            "openc2-http" => Self::Openc2Http,
            "watchfloor-action" => Self::Watchfloor,
            "bash" => Self::Bash,
            "caldera-cmd" => Self::CalderaCmd,
            "elastic" => Self::Elastic,
            "jupyter" => Self::Jupyter,
            "kestrel" => Self::Kestrel,
            "powershell" => Self::Powershell,
            "sigma" => Self::Sigma,
            "ssh" => Self::Ssh,
            "yara" => Self::Yara,
            _ => Self::Other,
        }
    }
}

/// A command.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Its language.
    pub kind: CommandKind,
    /// The word that says so.
    pub word: String,
    /// What it is for.
    pub description: String,
    /// The command itself, decoded where it was base64.
    pub text: String,
    /// The whole object.
    pub raw: Value,
}

/// Decodes base64 of RFC 4648, section 4; line breaks are skipped.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    for byte in text.bytes().filter(|b| !b.is_ascii_whitespace()) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => continue,
            _ => return None,
        };
        buffer = (buffer << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((buffer >> bits) as u8);
            buffer &= (1 << bits) - 1;
        }
    }
    Some(out)
}

/// Text that was given plainly or in base64, by the names of the two properties.
pub(crate) fn plain_or_base64(object: &Value, plain: &str, encoded: &str) -> Option<String> {
    if let Some(text) = object.get(plain).and_then(Value::as_str) {
        return Some(text.to_owned());
    }
    let bytes = from_base64(object.get(encoded)?.as_str()?)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64() {
        assert_eq!(from_base64("aGVsbG8=").unwrap(), b"hello");
        assert_eq!(from_base64("aGVs\nbG8").unwrap(), b"hello");
        assert!(from_base64("a*").is_none());
    }
}
