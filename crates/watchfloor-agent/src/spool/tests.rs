use super::*;

fn records(range: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    range
        .map(|one| format!("{one:0>100}").into_bytes())
        .collect()
}

fn position(value: u64) -> Positions {
    Positions::from([("file:a".to_owned(), Value::from(value))])
}

fn read_all(spool: &Spool) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut from = 1;
    while let Some(batch) = spool.read(from, 7, 1_000).unwrap() {
        assert_eq!(
            batch.lines.iter().filter(|byte| **byte == b'\n').count(),
            batch.count as usize
        );
        numbers.extend(batch.first..=batch.last());
        from = batch.last() + 1;
    }
    numbers
}

#[test]
fn records_are_read_only_once_they_are_durable_and_freed_once_stored() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), 1 << 20).unwrap();
    spool
        .append(Class::Kept, records(0..20), position(20))
        .unwrap();
    assert_eq!(read_all(&spool), Vec::<u64>::new());
    spool.sync().unwrap();
    assert_eq!(read_all(&spool), (1..=20).collect::<Vec<_>>());
    spool.free(spool.epoch() + 1, 20).unwrap();
    assert_eq!(spool.standing().records, 20, "another epoch frees nothing");
    spool.free(spool.epoch(), 5).unwrap();
    assert_eq!(read_all(&spool), (6..=20).collect::<Vec<_>>());
    spool.free(spool.epoch(), 20).unwrap();
    assert_eq!(spool.standing(), Standing::default());
}

#[test]
fn what_was_written_is_there_after_a_restart_and_the_torn_tail_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let epoch = {
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        spool
            .append(Class::Kept, records(0..3), position(3))
            .unwrap();
        spool
            .append(Class::Kept, records(3..6), position(6))
            .unwrap();
        spool.epoch()
    };
    let path = segment::path_of(folder.path(), 1);
    let length = fs::metadata(&path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(length - 1).unwrap();
    let spool = Spool::open(folder.path(), 1 << 20).unwrap();
    assert_eq!(spool.epoch(), epoch);
    assert_eq!(read_all(&spool), [1, 2, 3]);
    assert_eq!(spool.position("file:a"), Some(Value::from(3)));
    spool
        .append(Class::Kept, records(3..4), position(4))
        .unwrap();
    spool.sync().unwrap();
    assert_eq!(read_all(&spool), [1, 2, 3, 4]);
}

#[test]
fn positions_and_numbers_outlive_all_records() {
    let folder = tempfile::tempdir().unwrap();
    let epoch = {
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        for round in 0..30 {
            let positions = position(round);
            spool
                .append(Class::Kept, records(0..100), positions)
                .unwrap();
        }
        spool.sync().unwrap();
        spool.free(spool.epoch(), 3_000).unwrap();
        assert_eq!(spool.lock().segments.len(), 1);
        spool.epoch()
    };
    let spool = Spool::open(folder.path(), 1 << 20).unwrap();
    assert_eq!(spool.epoch(), epoch);
    assert_eq!(spool.position("file:a"), Some(Value::from(29)));
    spool
        .append(Class::Kept, records(0..1), position(30))
        .unwrap();
    spool.sync().unwrap();
    assert_eq!(read_all(&spool), [3_001]);
}

#[test]
fn where_there_is_no_room_files_wait_and_the_oldest_moments_go() {
    let folder = tempfile::tempdir().unwrap();
    let limit = 256 << 10;
    let spool = Spool::open(folder.path(), limit).unwrap();
    let append = |class| {
        spool
            .append(class, records(0..10), Positions::new())
            .unwrap()
    };
    for _ in 0..20 {
        append(Class::Kept);
        append(Class::Momentary);
    }
    let mut is_full = false;
    for _ in 0..500 {
        is_full |= append(Class::Kept) == Appended::Full;
    }
    assert!(is_full);
    for _ in 0..500 {
        assert_eq!(append(Class::Momentary), Appended::Written);
    }
    spool.sync().unwrap();
    let standing = spool.standing();
    assert!(standing.bytes <= limit, "{standing:?}");
    let dropped = standing.dropped["spool full"];
    let numbers = read_all(&spool);
    assert_eq!(numbers.len() as u64, standing.records);
    assert_eq!(numbers.len() as u64 + dropped, spool.lock().next - 1);

    let again = Spool::open(folder.path(), limit).unwrap();
    assert_eq!(again.standing().records, standing.records);
    assert_eq!(read_all(&again), numbers);
}

#[test]
fn damage_in_the_middle_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    {
        let spool = Spool::open(folder.path(), 256 << 10).unwrap();
        for _ in 0..100 {
            spool
                .append(Class::Kept, records(0..10), position(1))
                .unwrap();
        }
    }
    let first = segment_paths(folder.path()).unwrap().remove(0);
    let mut bytes = fs::read(&first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&first, bytes).unwrap();
    let spool = Spool::open(folder.path(), 256 << 10).unwrap();
    let lost = spool.standing().dropped["spool damaged"];
    assert!(lost > 0);
    assert_eq!(read_all(&spool).len() as u64 + lost, 1_000);
}
