//! Numbers for readers.

/// Formats a score or a difference of scores with about three digits.
pub fn score(value: f64) -> String {
    // The limits are those at which rounding adds a digit: 99.95 is shown as `100.0`.
    let digits = match value.abs() {
        size if size >= 999.5 => 0,
        size if size >= 99.95 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    // A small negative number must not be shown as `-0.00`.
    let is_zero = text.trim_start_matches('-').chars().all(|letter| matches!(letter, '0' | '.'));
    if is_zero { text.trim_start_matches('-').to_owned() } else { text }
}

/// Returns `1 run` or `2 runs`.
pub fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// Formats emulator frames: `40 000`, `1.25 million`.
pub fn frames(value: f64) -> String {
    if value >= 1e6 {
        let text = format!("{:.2}", value / 1e6);
        return format!("{} million", text.trim_end_matches('0').trim_end_matches('.'));
    }
    grouped(value)
}

/// Formats a whole number in groups of three digits, or a dash if it is not finite.
pub fn grouped(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }

    let digits = format!("{value:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }

    format!("{sign}{text}")
}

/// Formats hours of training in a suitable unit.
pub fn duration(hours: f64) -> String {
    match hours {
        hours if !hours.is_finite() => "-".to_owned(),
        hours if hours < 1.0 / 60.0 => format!("{:.0} s", hours * 3600.0),
        hours if hours < 1.0 => format!("{:.1} min", hours * 60.0),
        hours => format!("{hours:.1} h"),
    }
}

/// Formats a probability; small ones are not rounded to zero.
pub fn probability(p: f64) -> String {
    // The logarithm of 0 is infinite, hence the limit.
    let first_digit = -p.log10().floor().max(-12.0) as usize;
    let digits = if p < 0.0095 { first_digit.max(4) } else { 2 };
    format!("{p:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([-0.001, 0.5, 99.96, 1234.5].map(score), ["0.00", "0.50", "100.0", "1234"]);
        assert_eq!(
            [0.0, 400.0, 40_000.0, 1e6, 1.25e6].map(frames),
            ["0", "400", "40 000", "1 million", "1.25 million"]
        );
        assert_eq!(
            [0.5 / 60.0, 0.5, 2.0, f64::NAN].map(duration),
            ["30 s", "30.0 min", "2.0 h", "-"]
        );
        assert_eq!([0.0079, 0.1, 1.0].map(probability), ["0.0079", "0.10", "1.00"]);
        assert_eq!([1.0 / 100_001.0, 0.0].map(probability), ["0.000010", "0.000000000000"]);
        assert_eq!(grouped(-1_234_567.0), "-1 234 567");
    }
}
