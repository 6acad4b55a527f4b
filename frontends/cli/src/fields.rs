//! Small texts of the command line: comma lists of `key=value`, sizes, durations.

use anyhow::{Result, bail};

/// Splits one CSV record as docker does: fields may be quoted (`"a,b"`, quotes doubled inside).
pub(crate) fn split_csv(text: &str) -> Result<Vec<String>> {
    let mut fields = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        let mut field = String::new();
        if chars.peek() == Some(&'"') {
            chars.next();
            loop {
                match chars.next() {
                    Some('"') if chars.peek() == Some(&'"') => field.push(chars.next().unwrap_or('"')),
                    Some('"') => break,
                    Some(c) => field.push(c),
                    None => bail!("a quote is not closed in {text:?}"),
                }
            }
            match chars.next() {
                None | Some(',') => {}
                Some(c) => bail!("{c:?} after a closing quote in {text:?}"),
            }
            fields.push(field);
            if chars.peek().is_none() {
                return Ok(fields);
            }
            continue;
        }
        loop {
            match chars.next() {
                None => {
                    fields.push(field);
                    return Ok(fields);
                }
                Some(',') => break,
                Some(c) => field.push(c),
            }
        }
        fields.push(field);
    }
}

/// Splits `key=value`; the key in lower case.
pub(crate) fn key_value(field: &str) -> Option<(String, &str)> {
    let (key, value) = field.split_once('=')?;
    Some((key.trim().to_lowercase(), value))
}

/// Reads a size in bytes with the suffixes b, k, m, g, t (powers of 1024), also `kb`, `kib`.
pub(crate) fn size(text: &str) -> Result<u64> {
    let lower = text.trim().to_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, suffix) = lower.split_at(digits);
    let power = match suffix.trim().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => bail!("{text:?} is not a size: write a number and b, k, m, g or t, e.g. 128m"),
    };
    let unit = 1024_u64.pow(power);
    let whole = if let Ok(whole) = number.parse::<u64>() {
        whole.checked_mul(unit)
    } else {
        number.parse::<f64>().ok().and_then(|n| scaled(n, unit))
    };
    whole.ok_or_else(|| anyhow::anyhow!("{text:?} is not a size: write a number and b, k, m, g or t, e.g. 128m"))
}

/// A fraction of a unit as whole bytes.
fn scaled(number: f64, unit: u64) -> Option<u64> {
    let thousandths = (number * 1000.0).round();
    if !(0.0..1e12).contains(&thousandths) {
        return None;
    }
    let thousandths: u64 = format!("{thousandths:.0}").parse().ok()?;
    Some(u64::try_from(u128::from(thousandths) * u128::from(unit) / 1000).unwrap_or(u64::MAX))
}

/// Reads a duration in seconds: `72h`, `30m`, `1h30m`, `10s`.
pub(crate) fn seconds(text: &str) -> Result<u64> {
    let bad = || anyhow::anyhow!("{text:?} is not a duration: write e.g. 72h, 30m or 10s");
    let mut total = 0_u64;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        let unit = match rest.as_bytes()[digits] {
            b'd' => 86_400,
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return Err(bad()),
        };
        total = number.checked_mul(unit).and_then(|n| total.checked_add(n)).ok_or_else(bad)?;
        rest = &rest[digits + 1..];
    }
    if text.trim().is_empty() { Err(bad()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_fields_may_be_quoted() {
        assert_eq!(split_csv(r#"a=1,"b=2,3",c"#).unwrap(), ["a=1", "b=2,3", "c"]);
        assert_eq!(split_csv(r#""a""b""#).unwrap(), [r#"a"b"#]);
        assert!(split_csv(r#""a"#).is_err());
    }

    #[test]
    fn sizes_have_binary_suffixes() {
        assert_eq!(size("64").unwrap(), 64);
        assert_eq!(size("128m").unwrap(), 128 << 20);
        assert_eq!(size("1.5GiB").unwrap(), 3 << 29);
        for bad in ["", "m", "1x", "-1", "1e99g"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_add_up() {
        assert_eq!(seconds("1h30m").unwrap(), 5400);
        assert!(seconds("5").is_err());
        assert!(seconds("").is_err());
    }
}
