//! Durations as Go reads them (dockerfile.md §13.14).

/// The units with their nanoseconds; the two signs for micro are U+00B5 and U+03BC.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads `1m30s` and the like, in nanoseconds; the error is worded as Go words it.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let whole = take_digits(&mut rest);
        let mut fraction = "";
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            fraction = take_digits(&mut rest);
        }
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = &rest[..end];
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("time: unknown unit {unit:?} in duration {text:?}"));
        };
        rest = &rest[end..];
        total += read_amount(whole, fraction, *scale).ok_or_else(invalid)?;
        if total > i128::from(i64::MAX) {
            return Err(invalid());
        }
    }
    i64::try_from(if is_negative { -total } else { total }).map_err(|_| invalid())
}

fn take_digits<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    *rest = after;
    digits
}

/// Computes `whole.fraction` times `scale`; digits of the fraction beyond nanoseconds are dropped.
fn read_amount(whole: &str, fraction: &str, scale: u64) -> Option<i128> {
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut amount = i128::from(whole) * i128::from(scale);
    let mut place = i128::from(scale);
    let mut numerator = 0;
    let mut denominator = 1;
    for digit in fraction.bytes().take(15) {
        numerator = numerator * 10 + i128::from(digit - b'0');
        denominator *= 10;
    }
    place = place * numerator / denominator;
    amount += place;
    Some(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        assert_eq!(parse_duration("1m30s"), Ok(90_000_000_000));
        assert_eq!(parse_duration("1.5h"), Ok(5_400_000_000_000));
        assert_eq!(parse_duration(".5ms"), Ok(500_000));
        assert_eq!(parse_duration("-2us"), Ok(-2_000));
        assert_eq!(parse_duration("0"), Ok(0));
        assert_eq!(parse_duration("30").unwrap_err(), "time: missing unit in duration \"30\"");
        assert_eq!(parse_duration("3d").unwrap_err(), "time: unknown unit \"d\" in duration \"3d\"");
        for bad in ["", "-", ".s", "s", "99999999999999999999h", "9223372036854775808ns", "3000000h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
