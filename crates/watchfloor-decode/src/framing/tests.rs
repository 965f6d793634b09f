use std::io::{Cursor, Read, Write};
use std::ops::ControlFlow;

use watchfloor_event::Format;

use super::*;

fn read(name: &str, bytes: &[u8]) -> (Vec<String>, Result<Report, FramingError>) {
    let mut records = Vec::new();
    let report = read_records(Cursor::new(bytes), name, None, &mut |record| {
        records.push(String::from_utf8_lossy(record.bytes).into_owned());
        ControlFlow::Continue(())
    });
    (records, report)
}

fn check(name: &str, bytes: &[u8], expected: &[&str]) {
    let (records, report) = read(name, bytes);
    assert_eq!(records, expected, "{name}");
    assert_eq!(report.expect("readable").records, expected.len() as u64);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).expect("memory");
    packer.finish().expect("memory")
}

#[test]
fn lines_and_values_are_cut() {
    check("a.log", b"one\r\n\ntwo\nthree", &["one", "two", "three"]);
    check(
        "a.json",
        b"{\"a\":1}\n{\"a\":2}\n",
        &["{\"a\":1}", "{\"a\":2}"],
    );
    check(
        "a.json",
        b"[ {\"a\":[1]}, {\"a\":\"]\"} ]",
        &["{\"a\":[1]}", "{\"a\":\"]\"}"],
    );
    check(
        "a.json",
        b"{\n \"a\": 1\n}\n{\n \"a\": 2\n}\n",
        &["{\n \"a\": 1\n}", "{\n \"a\": 2\n}"],
    );
    check("a.json", b"{\"a\":1}{\"a\":2}", &["{\"a\":1}", "{\"a\":2}"]);
    check("a.json.gz", &gzip(b"{\"a\":1}\n"), &["{\"a\":1}"]);
    check("empty", b"", &[]);
}

#[test]
fn windows_xml_is_cut_by_element() {
    let text = b"<?xml version='1.0'?>\n<Events>\n<Event xmlns='x'><System>\n<EventID>1</EventID></System>\n</Event><Event><EventData/></Event>\n</Events>";
    check(
        "a.xml",
        text,
        &[
            "<Event xmlns='x'><System>\n<EventID>1</EventID></System>\n</Event>",
            "<Event><EventData/></Event>",
        ],
    );
    let (records, report) = read("a.xml", b"<Event><System>");
    assert_eq!(records.len(), 1);
    assert_eq!(report.expect("readable").problems.len(), 1);
}

#[test]
fn zeek_lines_carry_their_header() {
    let text = b"#separator \\x09\n#path\tconn\n#fields\tts\tuid\n1\tC1\n#close\n#fields\tts\n2\n";
    let mut seen = Vec::new();
    read_records(Cursor::new(text), "conn.log", None, &mut |record| {
        assert_eq!(record.format, Format::ZeekTsv);
        seen.push((
            record.bytes.to_vec(),
            record.context.map(|text| text.lines().count()),
        ));
        ControlFlow::Continue(())
    })
    .expect("readable");
    assert_eq!(
        seen,
        [(b"1\tC1".to_vec(), Some(3)), (b"2".to_vec(), Some(2))]
    );
}

#[test]
fn journal_entries_hold_binary_fields() {
    let mut text = b"__CURSOR=a\nMESSAGE\n".to_vec();
    text.extend_from_slice(&3_u64.to_le_bytes());
    text.extend_from_slice(b"x\ny\n_PID=1\n\n__CURSOR=b\nMESSAGE=z\n\n");
    let (records, report) = read("j.export", &text);
    assert_eq!(records.len(), 2, "{records:?}");
    assert!(records[0].ends_with("x\ny\n_PID=1\n"));
    assert_eq!(report.expect("readable").problems, []);
    let (_, report) = read("j.export", &text[..24]);
    assert_eq!(report.expect("readable").problems.len(), 1);
}

#[test]
fn a_line_of_50_mib_is_cut_and_the_next_is_whole() {
    let long = Cursor::new(vec![b'x'; 50 << 20]).chain(Cursor::new(b"\nnext\n".to_vec()));
    let mut seen = Vec::new();
    let report = read_records(long, "a.log", None, &mut |record| {
        seen.push((record.bytes.len(), record.is_cut));
        ControlFlow::Continue(())
    })
    .expect("readable");
    assert_eq!(seen, [(crate::MAX_RECORD_BYTES, true), (4, false)]);
    assert_eq!(report.cut, 1);
}

#[test]
fn a_gzip_bomb_is_refused() {
    let bomb = gzip(&vec![b'\n'; 128 << 20]);
    let (_, report) = read("bomb.gz", &bomb);
    assert!(matches!(report, Err(FramingError::GzipBomb)), "{report:?}");
    let nested = gzip(&gzip(&gzip(&gzip(b"x"))));
    assert!(matches!(
        read("n.gz", &nested).1,
        Err(FramingError::GzipBomb)
    ));
}

#[test]
fn broken_files_give_reasons() {
    let (records, report) = read("a.evtx", b"ElfFile\0short");
    assert!(records.is_empty());
    assert_eq!(report.expect("readable").problems.len(), 1);
    let mut evtx = b"ElfFile\0".to_vec();
    evtx.resize(4096, 0);
    evtx.extend_from_slice(b"ElfChnk\0garbage");
    let (records, report) = read("a.evtx", &evtx);
    assert!(records.is_empty());
    assert!(!report.expect("readable").problems.is_empty());
    let mut cut = gzip(b"one\ntwo\nthree\n");
    cut.truncate(cut.len() - 9);
    assert!(matches!(
        read("a.gz", &cut).1,
        Err(FramingError::Read { .. })
    ));
    let (records, report) = read("a.json", b"[{\"a\":1},{\"a\":");
    assert_eq!(records.len(), 2);
    assert_eq!(report.expect("readable").problems.len(), 1);
    let wrong = read_records(
        Cursor::new(b"text"),
        "x",
        Some(FileFormat::Evtx),
        &mut |_| ControlFlow::Continue(()),
    );
    assert!(matches!(wrong, Err(FramingError::NotEvtx { .. })));
}

#[test]
fn the_receiver_can_stop() {
    let report = read_records(Cursor::new(b"a\nb\nc\n"), "a.log", None, &mut |_| {
        ControlFlow::Break(())
    })
    .expect("readable");
    assert_eq!((report.records, report.is_stopped), (1, true));
}
