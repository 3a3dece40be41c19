//! Figures as one reads them.

/// Three digits that matter, or the whole number.
pub(crate) fn short(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 100.0 => 0,
        middle if middle >= 10.0 => 1,
        one if one >= 1.0 => 2,
        _ => 3,
    };
    number(Some(value), digits)
}

/// With so many digits, and commas between thousands; a dash for what is not known.
pub(crate) fn number(value: Option<f64>, digits: usize) -> String {
    let Some(value) = value else { return "-".into() };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.find('.').map_or((&*text, ""), |point| text.split_at(point));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::{number, short};

    #[test]
    fn thousands_are_grouped_and_what_is_not_known_is_a_dash() {
        assert_eq!(number(Some(1234567.5), 1), "1,234,567.5");
        assert_eq!(number(Some(123.0), 0), "123");
        assert_eq!(number(None, 0), "-");
        let shorts = [0.0714, 4.567, 45.67, 4567.0].map(short);
        assert_eq!(shorts, ["0.071", "4.57", "45.7", "4,567"]);
    }
}
