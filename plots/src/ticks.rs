//! Positions and labels of axis ticks.

use crate::axis::{Range, Spread};
use crate::font::to_f64;

/// One tick.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub value: f64,
    pub label: String,
}

/// Returns round values in a range, about `most` of them and at most one more.
pub(crate) fn ticks(spread: Spread, range: Range, most: usize) -> Vec<Tick> {
    match spread {
        Spread::Linear => linear(range, most),
        Spread::Log => log(range, most),
    }
}

fn linear(range: Range, most: usize) -> Vec<Tick> {
    let step = step(range.span(), most.max(1));
    // The slack keeps a tick at either end of the range, where the quotient may round past it.
    let first = (range.low / step - 1e-9).ceil();
    let count = ((range.high / step + 1e-9).floor() - first).max(0.0);
    let values: Vec<f64> = (0..=most + 1)
        .map(to_f64)
        .take_while(|&k| k <= count)
        // Multiplied rather than added up, so that errors do not accumulate.
        .map(|k| (first + k) * step)
        .collect();
    let notation =
        Notation::of(values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs())), step);
    values.into_iter().map(|value| Tick { value, label: notation.write(value) }).collect()
}

/// Smallest of 1, 2, 5 times a power of ten that covers the span in at most `most` steps.
fn step(span: f64, most: usize) -> f64 {
    let least = span / to_f64(most);
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        // A little slack, lest rounding skip a step that just fits.
        .find(|&step| step >= least * 0.999)
        .unwrap_or(power)
}

fn log(range: Range, most: usize) -> Vec<Tick> {
    let first = (range.low.log10() - 1e-9).ceil();
    let last = (range.high.log10() + 1e-9).floor();
    if last - first < 1.0 {
        // One power of ten alone would not show the scale.
        let within = log_multiples(range);
        return if (2..=most).contains(&within.len()) { within } else { linear(range, most) };
    }

    let stride = ((last - first + 1.0) / to_f64(most.max(1))).ceil().max(1.0);
    let powers: Vec<f64> =
        (0..400).map(|k| first + to_f64(k) * stride).take_while(|&power| power <= last).collect();
    let plain = powers.iter().all(|power| (-3.0..=3.0).contains(power));
    let ticks = powers.into_iter().map(|power| {
        let label = if plain { plain_power(power) } else { format!("10{}", raised(power)) };
        Tick { value: 10f64.powf(power), label }
    });
    ticks.collect()
}

/// 1, 2, 5 times powers of ten, for ranges of less than two powers.
fn log_multiples(range: Range) -> Vec<Tick> {
    let low = range.low.log10().floor();
    let values = [0.0, 1.0, 2.0].map(|up| 10f64.powf(low + up));
    let values = values.into_iter().flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * power));
    let within = values.filter(|&value| range.contains(value));
    // Each label has a notation of its own: there is no common step.
    within.map(|value| Tick { value, label: Notation::of(value, value).write(value) }).collect()
}

/// Unlabelled ticks between the powers of ten, if each power has a label.
pub(crate) fn minor(spread: Spread, range: Range, major: &[Tick]) -> Vec<f64> {
    let mut pairs = major.windows(2);
    let tenfold = pairs.all(|pair| (pair[1].value / pair[0].value - 10.0).abs() < 1e-6);
    if spread == Spread::Linear || major.len() < 2 || !tenfold {
        return Vec::new();
    }

    // From one power below the first label: its multiples may lie within the range.
    let powers = std::iter::once(major[0].value / 10.0).chain(major.iter().map(|tick| tick.value));
    let values = powers.flat_map(|power| (2..10).map(move |factor| power * f64::from(factor)));
    values.filter(|&value| range.contains(value)).collect()
}

fn plain_power(power: f64) -> String {
    if power >= 0.0 {
        format!("{:.0}", 10f64.powf(power))
    } else {
        format!("{}", 10f64.powf(power))
    }
}

/// Number format shared by all labels of one axis.
#[derive(Clone, Copy, Debug)]
struct Notation {
    unit: f64,
    suffix: Suffix,
    decimals: usize,
}

#[derive(Clone, Copy, Debug)]
enum Suffix {
    Word(&'static str),
    Power(f64),
}

impl Notation {
    /// Chooses the format for values up to `largest`, `step` apart.
    fn of(largest: f64, step: f64) -> Self {
        let (unit, suffix) = match largest {
            large if large >= 1e13 => by_power(large),
            large if large >= 1e9 => (1e9, Suffix::Word("G")),
            large if large >= 1e6 => (1e6, Suffix::Word("M")),
            large if large >= 1e4 => (1e3, Suffix::Word("k")),
            small if small > 0.0 && small < 1e-3 => by_power(small),
            _ => (1.0, Suffix::Word("")),
        };
        Self { unit, suffix, decimals: decimals(step / unit) }
    }

    fn write(self, value: f64) -> String {
        let digits = format!("{:.*}", self.decimals, value / self.unit);
        // Rounded to nothing: zero has neither sign nor unit.
        if digits.trim_start_matches('-').chars().all(|digit| matches!(digit, '0' | '.')) {
            return "0".to_owned();
        }
        let digits = digits.replace('-', "−");
        match self.suffix {
            Suffix::Word(word) => format!("{digits}{word}"),
            Suffix::Power(power) => format!("{digits}×10{}", raised(power)),
        }
    }
}

fn by_power(value: f64) -> (f64, Suffix) {
    let power = value.log10().floor();
    (10f64.powf(power), Suffix::Power(power))
}

/// Decimal places needed to distinguish neighbouring ticks.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 12")]
fn decimals(step: f64) -> usize {
    // The logarithm of a power of ten may fall just below a whole number.
    (-(step.log10() + 1e-9).floor()).clamp(0.0, 12.0) as usize
}

fn raised(power: f64) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let plain = format!("{power:.0}");
    let digits = plain.chars().map(|digit| digit.to_digit(10));
    // The only character that is no digit is the minus sign.
    digits.map(|digit| digit.map_or('⁻', |digit| DIGITS[digit as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(spread: Spread, low: f64, high: f64, most: usize) -> Vec<String> {
        ticks(spread, Range { low, high }, most).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        assert_eq!(
            labels(Spread::Linear, -0.05, 1.05, 6),
            ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labels(Spread::Linear, -12.0, 11.0, 5), ["−10", "−5", "0", "5", "10"]);
        assert_eq!(labels(Spread::Linear, 0.0, 4.1e6, 5), ["0", "1M", "2M", "3M", "4M"]);
        assert_eq!(labels(Spread::Linear, 0.0, 25_000.0, 3), ["0", "10k", "20k"]);
        assert_eq!(
            labels(Spread::Linear, 0.0, 4.5e-5, 5),
            ["0", "1×10⁻⁵", "2×10⁻⁵", "3×10⁻⁵", "4×10⁻⁵"]
        );
    }

    #[test]
    fn log_ticks_are_powers_of_ten() {
        assert_eq!(labels(Spread::Log, 0.5, 2000.0, 6), ["1", "10", "100", "1000"]);
        assert_eq!(labels(Spread::Log, 0.5, 2e6, 4), ["10⁰", "10²", "10⁴", "10⁶"]);
        assert_eq!(labels(Spread::Log, 0.01, 1.0, 6), ["0.01", "0.1", "1"]);
        assert_eq!(labels(Spread::Log, 1.5, 30.0, 6), ["2", "5", "10", "20"]);
        assert_eq!(labels(Spread::Log, 11.0, 13.0, 3), ["11", "12", "13"]);
    }

    #[test]
    fn minor_ticks_lie_between_powers() {
        let range = Range { low: 8.0, high: 120.0 };
        let major = ticks(Spread::Log, range, 6);
        assert_eq!(minor(Spread::Log, range, &major).len(), 2 + 8);
        assert!(minor(Spread::Linear, range, &major).is_empty());
    }

    #[test]
    fn never_more_ticks_than_asked_for() {
        for most in 1..9 {
            for high in [0.37, 1.0, 9.99, 123.0, 7e7] {
                assert!(
                    labels(Spread::Linear, -0.3, high, most).len() <= most + 1,
                    "{most} {high}"
                );
            }
        }
    }
}
