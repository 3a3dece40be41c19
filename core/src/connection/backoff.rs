//! Exponential backoff with jitter (KIP-580).

/// Milliseconds to wait after `failures` in a row (one or more): `base` doubled each time, at most `max`, give or take
/// 20 %.
#[inline(never)]
pub(crate) fn backoff_millis(base: u32, max: u32, failures: u8, random: u32) -> u32 {
    let doublings = u32::from(failures.saturating_sub(1)).min(20);
    let exact = (u64::from(base) << doublings).min(u64::from(max));
    let jitter = 80 + u64::from(random % 41);
    u32::try_from(exact * jitter / 100).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::backoff_millis;

    #[test]
    fn grows_by_two_up_to_the_maximum_within_a_fifth() {
        for random in [0, 1, 20, 40, u32::MAX] {
            for (failures, exact) in [(0, 100), (1, 100), (2, 200), (4, 800), (5, 1000), (255, 1000)] {
                let millis = backoff_millis(100, 1000, failures, random);
                assert!((exact * 8 / 10..=exact * 12 / 10).contains(&millis), "{failures} {random}: {millis}");
            }
        }
        assert_eq!(backoff_millis(u32::MAX, u32::MAX, 255, 40), u32::MAX);
    }
}
