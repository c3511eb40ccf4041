//! Intervals and names for readers.

use coordrl_stats::Interval;

use crate::text::numbers::score;

/// Maximum length of a name in a figure.
const LONGEST_NAME: usize = 26;

/// Formats an interval, or a dash if there is none.
pub fn span(span: Option<Interval>) -> String {
    span.map_or_else(
        || "-".to_owned(),
        |span| format!("[{}, {}]", score(span.low), score(span.high)),
    )
}

/// Shortens a name for a figure by cutting its middle.
pub fn shortened(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    let half = LONGEST_NAME / 2 - 1;
    let head = &letters[..half];
    let tail = &letters[letters.len() - half..];
    head.iter().chain(&['…']).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_two_ends_and_long_names_no_middle() {
        assert_eq!(span(Some(Interval { low: -1.0, high: 2.0 })), "[-1.00, 2.00]");
        assert_eq!(span(None), "-");
        assert_eq!(shortened("coordconv-all-r (Ape-X)"), "coordconv-all-r (Ape-X)");
        assert_eq!(shortened(&"ab".repeat(20)), format!("{}…{}", "ab".repeat(6), "ab".repeat(6)));
    }
}
