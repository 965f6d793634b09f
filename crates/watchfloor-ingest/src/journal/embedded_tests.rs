use bytes::Bytes;
use jiff::Timestamp;
use watchfloor_event::Format;

use super::*;

fn record(text: &str, key: u128) -> NewRecord {
    NewRecord {
        source: Arc::from("test"),
        format: Format::Text,
        context: None,
        received_at: Timestamp::UNIX_EPOCH,
        idempotency_key: key,
        bytes: Bytes::copy_from_slice(text.as_bytes()),
    }
}

fn small() -> JournalOptions {
    JournalOptions {
        segment_bytes: 256,
        pending_bytes_max: 1 << 20,
        released_segments_kept: 1,
    }
}

fn texts(reader: &mut EmbeddedReader) -> Vec<String> {
    let records = reader.read(1000).unwrap();
    records
        .iter()
        .map(|record| String::from_utf8_lossy(&record.bytes).into_owned())
        .collect()
}

#[tokio::test]
async fn what_is_acknowledged_is_read_back_in_order_also_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut reader) = Embedded::open(folder.path(), small(), 0).unwrap();
    let mut expected = Vec::new();
    for number in 0..40 {
        let text = format!("record {number}");
        journal.append(vec![record(&text, 0)]).await.unwrap();
        expected.push(text);
    }
    assert_eq!(texts(&mut reader), expected);
    assert_eq!(texts(&mut reader), Vec::<String>::new());
    drop((journal, reader));

    let (journal, mut reader) = Embedded::open(folder.path(), small(), 15).unwrap();
    assert_eq!(texts(&mut reader), expected[15..]);
    journal.append(vec![record("later", 0)]).await.unwrap();
    let later = reader.read(10).unwrap();
    assert_eq!(later[0].position, 40);
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_a_key_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (journal, _reader) =
            Embedded::open(folder.path(), JournalOptions::standard(), 0).unwrap();
        journal
            .append(vec![record("a", 11), record("b", 12)])
            .await
            .unwrap();
    }
    let segment = segment::list(folder.path()).unwrap().pop().unwrap();
    let mut bytes = std::fs::read(&segment.path).unwrap();
    bytes.extend_from_slice(&[40, 0, 0, 0, 1, 2, 3]);
    std::fs::write(&segment.path, &bytes).unwrap();

    let (journal, mut reader) =
        Embedded::open(folder.path(), JournalOptions::standard(), 0).unwrap();
    let appended = journal
        .append(vec![record("b", 12), record("c", 13)])
        .await
        .unwrap();
    assert_eq!(
        appended,
        Appended {
            accepted: 2,
            repeated: 1
        }
    );
    assert_eq!(texts(&mut reader), ["a", "b", "c"]);
}

#[tokio::test]
async fn released_segments_go_and_positions_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut reader) = Embedded::open(folder.path(), small(), 0).unwrap();
    for number in 0..60 {
        journal
            .append(vec![record(&format!("record {number}"), 0)])
            .await
            .unwrap();
    }
    assert_eq!(texts(&mut reader).len(), 60);
    let before = segment::list(folder.path()).unwrap().len();
    journal.release(60);
    let after = segment::list(folder.path()).unwrap().len();
    assert!(after < before && after <= 2, "{before} then {after}");
    drop((journal, reader));

    for segment in segment::list(folder.path()).unwrap() {
        std::fs::remove_file(segment.path).unwrap();
    }
    let (journal, mut reader) = Embedded::open(folder.path(), small(), 60).unwrap();
    journal.append(vec![record("on", 0)]).await.unwrap();
    assert_eq!(reader.read(10).unwrap()[0].position, 60);
}

#[tokio::test]
async fn a_full_journal_refuses_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let options = JournalOptions {
        pending_bytes_max: 300,
        ..small()
    };
    let (journal, _reader) = Embedded::open(folder.path(), options, 0).unwrap();
    let mut refused = None;
    for number in 0..100 {
        if let Err(error) = journal
            .append(vec![record(&format!("record {number}"), 0)])
            .await
        {
            refused = Some(error);
            break;
        }
    }
    assert!(matches!(refused, Some(AppendError::Full { .. })));
    journal.release(journal.stats().next_position);
    journal.append(vec![record("again", 0)]).await.unwrap();
}
