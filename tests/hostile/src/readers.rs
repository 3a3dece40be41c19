//! The decoders alone: whatever they are given, they say the same however it arrives, and end.

use demitasse_core::protocol::{ApiKey, versions};
use demitasse_core::wire::{ReadError, Skip, Step, Steps};
use demitasse_oracle_tests::fetched::read_fetch;
use demitasse_oracle_tests::{AnyReader, read, read_bytewise, read_whole};

/// The first byte chooses the version, the rest is the body.
pub(crate) fn read_response(key: ApiKey, data: &[u8]) {
    let Some((version, body)) = version_and_body(key, data) else { return };
    let reader = AnyReader::new(key, version);
    let whole = read_whole(reader, body);
    // Not without end on the strength of a count alone.
    assert!(whole.items.len() <= body.len());
    let bytewise = read_bytewise(reader, body);
    let pieces = read(reader, body, |_, there| there + 1 + there % 7);
    for other in [bytewise, pieces] {
        assert_eq!((&whole.items, whole.end), (&other.items, other.end));
    }
}

fn version_and_body(key: ApiKey, data: &[u8]) -> Option<(i16, &[u8])> {
    let (&choice, body) = data.split_first()?;
    let (first, last) = versions(key);
    Some((first + i16::from(choice) % (last - first + 1), body))
}

/// Whoever takes the records of a Fetch response, and however they come, gets the same of it as who takes none.
pub(crate) fn take_records(data: &[u8]) {
    let Some((version, body)) = version_and_body(ApiKey::Fetch, data) else { return };
    let whole = read_whole(AnyReader::new(ApiKey::Fetch, version), body);
    let taken = read_fetch(version, body, body.len().max(1), false);
    assert_eq!((&whole.items, whole.end), (&taken.items, taken.end));
    for (step, aside) in [(1, false), (1, true), (9, false), (9, true)] {
        assert_eq!(read_fetch(version, body, step, aside), taken);
    }
}

const STEPS: [Step; 6] = [Step::Tags, Step::String, Step::I32Array, Step::One, Step::Two, Step::Four];

/// The first byte chooses the encoding and how many steps there are, those after it the steps.
pub(crate) fn skip(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let (steps, body) = rest.split_at(usize::from(choice >> 1 & 7).min(rest.len()));
    let steps: Vec<Step> = steps.iter().map(|&step| STEPS[usize::from(step) % STEPS.len()]).collect();
    let plan = Skip::plan(choice & 1 == 1, Steps::new(&steps));
    let (mut whole, mut window) = (plan, body);
    let result = whole.feed(&mut window);
    assert_eq!(whole.is_done(), result.is_ok());

    let (mut skip, mut at, mut there) = (plan, 0, 0);
    let bytewise = loop {
        let mut window = &body[at..there];
        let result = skip.feed(&mut window);
        at = there - window.len();
        let kept = if result == Err(ReadError::Incomplete) { window.len() } else { 0 };
        assert!(kept < 10, "{kept} bytes are kept of what nobody wants");
        match result {
            Err(ReadError::Incomplete) if there < body.len() => there += 1,
            result => break result,
        }
    };
    assert_eq!((bytewise, skip.is_done()), (result, whole.is_done()));
    assert!(result.is_err() || at == body.len() - window.len());
}
