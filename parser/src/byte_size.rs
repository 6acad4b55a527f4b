//! Sizes in bytes (dockerfile.md §13.3).

/// Reads `64m` and the like: a number, also with a fraction, and a binary unit `b`, `k`, `m`, `g`, `t` or `p`, as
/// `kb` and `kib`, too, in any letter case and perhaps after a blank.
pub fn parse_byte_size(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let shift = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit) {
        "" if unit != "ib" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') || fraction.len() > 15 {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let mut value = whole.checked_mul(1 << shift)?;
    if !fraction.is_empty() {
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        value += fraction.parse::<u128>().ok()? * (1 << shift) / scale;
    }
    u64::try_from(value).ok().filter(|value| i64::try_from(*value).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_binary() {
        for (text, size) in [
            ("0", 0),
            ("512", 512),
            ("1k", 1024),
            ("64m", 64 << 20),
            ("2GB", 2 << 30),
            ("1.5KiB", 1536),
            ("1 m", 1 << 20),
            ("32b", 32),
        ] {
            assert_eq!(parse_byte_size(text), Some(size), "{text}");
        }
        for bad in ["", "lots", "m", "1x", "1.2.3", "-1", "99999999999999999999", "9000p", "1ib", ".", "1  m"] {
            assert_eq!(parse_byte_size(bad), None, "{bad}");
        }
    }
}
