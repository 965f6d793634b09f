//! Words: what a text is cut into, and whether a text holds some.
//!
//! A word is a longest run of letters and digits in lower case. Four numbers with dots between
//! them are a word more, since addresses are looked for and their parts are everywhere. Behind
//! the backslash of an escape such as `\n` a word may begin one letter later as well: raw lines
//! of JSON hold escapes, and hunters do not search for `nInvoke`.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Shorter words are everywhere.
const MIN_BYTES: usize = 3;
/// Shorter numbers are everywhere.
const MIN_DIGITS: usize = 5;

/// Hashes the words of a text that filters know. The text is in lower case.
pub(super) fn each_word(text: &str, found: &mut impl FnMut(u64)) {
    let mut addresses = Addresses::default();
    let bytes = text.as_bytes();
    let mut start = None;
    for (at, char) in text.char_indices().chain([(text.len(), ' ')]) {
        match (char.is_alphanumeric(), start) {
            (true, None) => start = Some(at),
            (false, Some(first)) => {
                let word = &text[first..at];
                take(word, found);
                let is_escaped = first > 0 && bytes[first - 1] == b'\\';
                if let Some(skipped) = is_escaped.then(|| escape_len(word)).flatten() {
                    take(&word[skipped..], found);
                }
                addresses.take(bytes, first, at, found);
                start = None;
            }
            _ => {}
        }
    }
}

/// How many bytes at the beginning of a word may belong to the backslash before it.
fn escape_len(word: &str) -> Option<usize> {
    match word.as_bytes() {
        [b'n' | b'r' | b't' | b'b' | b'f', ..] => Some(1),
        [b'u', hex @ ..] if hex.len() >= 4 && hex[..4].iter().all(u8::is_ascii_hexdigit) => Some(5),
        _ => None,
    }
}

fn take(word: &str, found: &mut impl FnMut(u64)) {
    let is_number = || word.bytes().all(|byte| byte.is_ascii_digit());
    if word.len() >= MIN_BYTES && (word.len() >= MIN_DIGITS || !is_number()) {
        found(hash(word.as_bytes()));
    }
}

/// The last numbers of at most three digits that have single dots between them.
#[derive(Default)]
struct Addresses {
    starts: [usize; 4],
    count: usize,
    end: usize,
}

impl Addresses {
    fn take(&mut self, bytes: &[u8], first: usize, end: usize, found: &mut impl FnMut(u64)) {
        let is_number = end - first <= 3 && bytes[first..end].iter().all(u8::is_ascii_digit);
        if !is_number {
            self.count = 0;
            return;
        }
        let follows = self.count > 0 && first == self.end + 1 && bytes[self.end] == b'.';
        if !follows {
            self.count = 0;
        }
        self.starts.rotate_left(1);
        self.starts[3] = first;
        self.count += 1;
        self.end = end;
        if self.count >= 4 {
            found(hash(&bytes[self.starts[0]..end]));
        }
    }
}

/// A hash that stays the same over versions and machines, since files hold it: FNV-1a, its bits
/// mixed at the end as by `MurmurHash3`.
fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

/// Whether a text holds another as words: what stands before and behind it is no letter or
/// digit, or an escape. Both are in lower case.
fn holds(text: &str, words: &str) -> bool {
    let is_word = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
    let (first, last) = (words.chars().next(), words.chars().next_back());
    let mut from = 0;
    while let Some(at) = text[from..].find(words).map(|at| at + from) {
        let before = &text[..at];
        let begins = !is_word(first) || !is_word(before.chars().next_back()) || is_escape(before);
        let ends = !is_word(last) || !is_word(text[at + words.len()..].chars().next());
        if begins && ends {
            return true;
        }
        from = at + first.map_or(1, char::len_utf8);
    }
    words.is_empty()
}

/// Whether a text ends with an escape that may have a word behind it.
fn is_escape(text: &str) -> bool {
    let bytes = text.as_bytes();
    let short = matches!(bytes, [.., b'\\', b'n' | b'r' | b't' | b'b' | b'f']);
    let long = bytes.len() >= 6 && {
        let (head, hex) = bytes[bytes.len() - 6..].split_at(2);
        head == b"\\u" && hex.iter().all(u8::is_ascii_hexdigit)
    };
    short || long
}

/// `has_word(text, words)`: whether a text holds words; letter case does not count.
pub(crate) fn has_word() -> ScalarUDF {
    ScalarUDF::from(HasWord {
        signature: Signature::any(2, Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct HasWord {
    signature: Signature,
}

impl ScalarUDFImpl for HasWord {
    fn name(&self) -> &str {
        "has_word"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> datafusion::error::Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(
        &self,
        args: ScalarFunctionArgs,
    ) -> datafusion::error::Result<ColumnarValue> {
        let [texts, ColumnarValue::Scalar(ScalarValue::Utf8(Some(words)))] = args.args.as_slice()
        else {
            return Err(DataFusionError::Execution(
                "has_word takes a column and a text".to_owned(),
            ));
        };
        let texts = cast(&texts.to_array(args.number_rows)?, &DataType::Utf8View)?;
        let search = Search::new(words);
        let texts = texts.as_string_view();
        let found: BooleanArray = texts
            .iter()
            .map(|text| text.map(|text| search.is_in(text)))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}

/// Words made ready to be looked for in many texts.
struct Search {
    words: String,
    /// Finds the words in any letter case; only then is it looked at what stands around them.
    first: Option<regex::Regex>,
}

impl Search {
    fn new(words: &str) -> Self {
        let escaped = regex::escape(words);
        let first = regex::RegexBuilder::new(&escaped)
            .case_insensitive(true)
            .build();
        Self {
            words: words.to_lowercase(),
            first: first.ok(),
        }
    }

    fn is_in(&self, text: &str) -> bool {
        // Lower case of other letters may have more letters, which the expression cannot know.
        let may_be = self.words.is_empty()
            || !text.is_ascii()
            || self.first.as_ref().is_none_or(|first| first.is_match(text));
        may_be && holds(&text.to_lowercase(), &self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<u64> {
        let mut words = Vec::new();
        each_word(&text.to_lowercase(), &mut |word| words.push(word));
        words
    }

    #[test]
    fn whatever_holds_words_has_their_hashes() {
        let texts = [
            r#"{"cmd":"powershell.exe -enc AAAA\r\nInvoke-Mimikatz\tnow","ip":"10.1.2.30"}"#,
            "Failed password for root from 203.0.113.9 port 22 ssh2 1.203.0.113.9.7",
            r"C:\temp\new\Run.exe CORP\Bob \u0041lice straße İstanbul — dash—dash",
            "a-a-a 2001:db8::1 d41d8cd98f00b204e9800998ecf8427e",
        ];
        let asked = [
            "Invoke-Mimikatz",
            "now",
            "temp",
            "emp",
            "run.exe",
            "corp\\bob",
            "203.0.113.9",
            "10.1.2.30",
            "10.1.2.3",
            "a-a",
            "lice",
            "straße",
            "istanbul",
            "dash",
            "2001:db8::1",
            "D41D8CD98F00B204E9800998ECF8427E",
            "password for",
            "assword",
            "0.113.9",
            "",
        ];
        let mut held = 0;
        for text in texts {
            let known = words(text);
            for ask in asked {
                if Search::new(ask).is_in(text) {
                    held += 1;
                    assert!(
                        words(ask).iter().all(|word| known.contains(word)),
                        "{ask} in {text}"
                    );
                }
            }
        }
        assert!(held >= 20, "{held}");
    }

    #[test]
    fn words_end_where_letters_and_digits_end() {
        let is_in = |words: &str, text: &str| Search::new(words).is_in(text);
        assert!(is_in("mimikatz", "Invoke-Mimikatz.ps1"));
        assert!(!is_in("mimikatz", "mimikatzen"));
        assert!(!is_in("10.1.2.3", "10.1.2.30"));
        assert!(is_in("10.1.2.3", "10.1.2.3:443"));
        assert!(is_in("invoke", r#""\r\nInvoke""#));
        assert!(is_in("aa", "aaa aa"));
        assert!(!is_in("aa", "aaa"));
        assert!(is_in("-enc", "powershell -ENC"));
    }

    #[test]
    fn hashes_stay_as_files_hold_them() {
        assert_eq!(hash(b"watchfloor"), hash(b"watchfloor"));
        assert_eq!(words("10.1.2.3").len(), 1);
        assert_eq!(words("12 1234 ab").len(), 0);
    }
}
