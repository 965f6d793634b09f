//! Writes JSON piece by piece, without building a tree.

/// JSON that is being written.
#[derive(Debug, Default)]
pub(crate) struct Out {
    pub(crate) bytes: Vec<u8>,
}

impl Out {
    /// A text in quotes.
    pub(crate) fn text(&mut self, text: &str) {
        self.bytes.push(b'"');
        let mut from = 0;
        let raw = text.as_bytes();
        for (at, byte) in raw.iter().enumerate() {
            let escape: &[u8] = match byte {
                b'"' => b"\\\"",
                b'\\' => b"\\\\",
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                b'\t' => b"\\t",
                0..=0x1f => {
                    self.bytes
                        .extend_from_slice(raw.get(from..at).unwrap_or(&[]));
                    self.bytes
                        .extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                    from = at + 1;
                    continue;
                }
                _ => continue,
            };
            self.bytes
                .extend_from_slice(raw.get(from..at).unwrap_or(&[]));
            self.bytes.extend_from_slice(escape);
            from = at + 1;
        }
        self.bytes.extend_from_slice(raw.get(from..).unwrap_or(&[]));
        self.bytes.push(b'"');
    }

    /// What is JSON already.
    pub(crate) fn raw(&mut self, json: &str) {
        self.bytes.extend_from_slice(json.as_bytes());
    }

    /// The name of a member, with a comma before it unless it is the first.
    pub(crate) fn name(&mut self, name: &str) {
        if !matches!(self.bytes.last(), Some(b'{') | None) {
            self.bytes.push(b',');
        }
        self.text(name);
        self.bytes.push(b':');
    }

    /// A member that is a text.
    pub(crate) fn member(&mut self, name: &str, text: &str) {
        self.name(name);
        self.text(text);
    }

    /// Begins an object.
    pub(crate) fn open(&mut self) {
        self.bytes.push(b'{');
    }

    /// Ends an object.
    pub(crate) fn close(&mut self) {
        self.bytes.push(b'}');
    }
}

/// A time of nanoseconds since 1970 as RFC 3339; `None` for 0 and beyond the calendar.
pub(crate) fn nanos(time: u64) -> Option<String> {
    if time == 0 {
        return None;
    }
    let time = jiff::Timestamp::from_nanosecond(i128::from(time)).ok()?;
    Some(time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let mut out = Out::default();
        out.open();
        out.member("a\"b", "x\u{1}\\ü\n");
        out.member("c", "");
        out.close();
        assert_eq!(
            String::from_utf8(out.bytes).unwrap(),
            r#"{"a\"b":"x\u0001\\ü\n","c":""}"#
        );
    }
}
