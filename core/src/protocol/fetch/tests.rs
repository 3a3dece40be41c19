//! Sessions and what topics are called, and records that are taken in any pieces.

use super::*;

#[test]
fn epochs_go_round_without_asking_for_a_new_session() {
    assert_eq!((next_epoch(NEW_SESSION), next_epoch(1), next_epoch(i32::MAX)), (1, 2, 1));
    assert_eq!((next_epoch(NO_EPOCH), NO_EPOCH), (NO_EPOCH, -1));
}

#[test]
#[cfg_attr(feature = "one-version", ignore = "of versions that it does not speak")]
fn topics_are_the_same_by_what_the_version_calls_them() {
    let topic = |name, id| Topic { name, id: [id; 16] };
    for (version, by_name) in [(12, true), (13, false)] {
        let topic = |name, id| InVersion(version, topic(name, id));
        assert_eq!(topic(b"t", 1).is(&topic(b"t", 2)), by_name);
        assert_eq!(topic(b"t", 1).is(&topic(b"other", 1)), !by_name);
        assert!(topic(b"t", 1).is(&topic(b"t", 1)));
    }
}

/// A response of version 11 with 9 bytes of records and what is behind them: a second partition.
fn in_front_of_records() -> (ResponseReader, [u8; 9 + 42]) {
    let mut body = [0u8; 20 + 42];
    body[13] = 1;
    body[19] = 2;
    body[61] = 9;
    let mut reader = ResponseReader::new(11);
    let mut window = &body[..];
    for _ in 0..4 {
        assert!(matches!(reader.next(&mut window), Ok(Some(_))));
    }
    assert_eq!((window, reader.records_left()), (&[][..], 9));
    (reader, [0; 9 + 42])
}

#[test]
fn records_may_be_taken_in_any_pieces() {
    for taken in 0..=9u32 {
        for here in 0..=9usize {
            let (mut reader, rest) = in_front_of_records();
            reader.taken(taken);
            let mut window = &rest[taken as usize..];
            let mut part = &window[..here];
            let records = reader.take(&mut part);
            assert_eq!(records.len(), here.min(9 - taken as usize));
            assert_eq!(records.len() + part.len(), here);
            assert_eq!(reader.records_left() as usize, 9 - taken as usize - records.len());
            // The rest of them is passed over.
            window = &window[records.len()..];
            let next = reader.next(&mut window);
            assert!(matches!(next, Ok(Some(Item::Partition { index: 0, .. }))), "{next:?}");
            assert_eq!(window.len(), 12);
        }
    }
}

#[test]
fn more_than_there_are_cannot_be_taken() {
    let (mut reader, rest) = in_front_of_records();
    reader.taken(100);
    assert_eq!((reader.records_left(), reader.take(&mut &rest[..])), (0, &[][..]));
}
