//! PAX extended headers (POSIX.1-2024, pax, "pax Extended Header"), in and out.

use crate::Timestamp;

/// Records of one extended header, in the order found. A later record of the same name wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Records(Vec<(Vec<u8>, Vec<u8>)>);

impl Records {
    /// Reads the body of an extended header. The error tells what is wrong with it.
    pub(crate) fn parse(mut body: &[u8]) -> Result<Self, String> {
        let mut records = Vec::new();
        while !body.is_empty() {
            // Some writers pad the last record with NULs.
            if body.iter().all(|&b| b == 0) {
                break;
            }
            let (record, rest) = split_record(body).ok_or("its extended header is damaged")?;
            let equals = record.iter().position(|&b| b == b'=').ok_or("a record of its extended header has no `=`")?;
            let (name, value) = (&record[..equals], &record[equals + 1..]);
            if name.is_empty() || name.contains(&0) {
                return Err("a record of its extended header has a bad name".into());
            }
            records.push((name.to_vec(), value.to_vec()));
            body = rest;
        }
        Ok(Self(records))
    }

    /// The last value of a record. An empty value takes earlier ones back (POSIX), so it counts as none.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let (_, value) = self.0.iter().rev().find(|(found, _)| found == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// All records in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&name[..], &value[..]))
    }

    /// Tells whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts the records of an earlier, more general header before these.
    pub(crate) fn put_before(&mut self, general: &Self) {
        self.0.splice(0..0, general.0.iter().cloned());
    }

    /// Adds a record.
    pub(crate) fn push(&mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.0.push((name.into(), value.into()));
    }

    /// The body of an extended header, records sorted by name as Go's archive/tar does.
    pub(crate) fn to_body(&self) -> Vec<u8> {
        let mut sorted: Vec<_> = self.0.iter().collect();
        sorted.sort();
        let mut body = Vec::new();
        for (name, value) in sorted {
            // The length counts itself, so its number of digits is found by trying.
            let rest = name.len() + value.len() + 3;
            let mut length = rest + rest.to_string().len();
            if length.to_string().len() > rest.to_string().len() {
                length += 1;
            }
            body.extend_from_slice(format!("{length} ").as_bytes());
            body.extend_from_slice(name);
            body.push(b'=');
            body.extend_from_slice(value);
            body.push(b'\n');
        }
        body
    }
}

/// Splits `LENGTH NAME=VALUE\n` off; gives what stands between the space and the newline.
fn split_record(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = body.iter().take(20).position(|&b| b == b' ')?;
    let digits = &body[..space];
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let record = body.get(space + 1..length)?;
    let record = record.strip_suffix(b"\n")?;
    Some((record, &body[length..]))
}

/// Reads a time: seconds, optionally a fraction; digits beyond the ninth are cut.
pub(crate) fn parse_time(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanos: u32 = format!("{:0<9}", &fraction[..fraction.len().min(9)]).parse().ok()?;
    Some(match (negative, nanos) {
        (false, _) => Timestamp { seconds, nanos },
        (true, 0) => Timestamp { seconds: -seconds, nanos: 0 },
        (true, _) => Timestamp { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
    })
}

/// Writes a time as Go does: zero-padded nanoseconds without trailing zeros, negative ones as sign and magnitude.
pub(crate) fn format_time(time: Timestamp) -> String {
    let Timestamp { seconds, nanos } = time;
    if nanos == 0 {
        return seconds.to_string();
    }
    let (sign, seconds, nanos) = if seconds < 0 {
        ("-", -(i128::from(seconds) + 1), 1_000_000_000 - nanos)
    } else {
        ("", seconds.into(), nanos)
    };
    let text = format!("{sign}{seconds}.{nanos:09}");
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let mut records = Records::default();
        records.push("path", "a".repeat(200));
        records.push("SCHILY.xattr.user.x", b"a=b\n\0\xff".to_vec());
        records.push("b", "");
        // Lengths around a power of ten, where the length's own digits count.
        for length in 90..100 {
            records.push(format!("n{length}"), "v".repeat(length - 8));
        }
        let back = Records::parse(&records.to_body()).unwrap();
        for (name, value) in records.iter() {
            assert_eq!(back.get(name).unwrap_or_default(), value);
        }
        assert_eq!(back.iter().count(), records.iter().count());
    }

    #[test]
    fn lengths_count_themselves() {
        let mut records = Records::default();
        records.push("mtime", "1.5");
        assert_eq!(records.to_body(), b"13 mtime=1.5\n");
        let mut records = Records::default();
        records.push("a", "b");
        assert_eq!(records.to_body(), b"6 a=b\n");
        let mut records = Records::default();
        records.push("abc", "def");
        assert_eq!(records.to_body(), b"11 abc=def\n");
    }

    #[test]
    fn damaged_records_are_refused() {
        for body in [
            "x",
            "5 a=b\n",
            "99 a=b\n",
            "6 a=bx",
            "6 abc\n",
            " a=b\n",
            "-6 a=b\n",
            "18446744073709551616 a=b\n",
            "5 =b\n",
        ] {
            assert!(Records::parse(body.as_bytes()).is_err(), "{body:?}");
        }
    }

    #[test]
    fn times_come_back() {
        let cases =
            [(0, 0, "0"), (5, 500_000_000, "5.5"), (5, 5, "5.000000005"), (-1, 500_000_000, "-0.5"), (-2, 0, "-2")];
        for (seconds, nanos, text) in cases {
            let time = Timestamp { seconds, nanos };
            assert_eq!(format_time(time), text);
            assert_eq!(parse_time(text.as_bytes()), Some(time));
        }
        assert_eq!(parse_time(b"1.1234567899"), Some(Timestamp { seconds: 1, nanos: 123_456_789 }));
        for bad in ["", "x", "1.x", ".5", "--1", "1e5", "99999999999999999999"] {
            assert_eq!(parse_time(bad.as_bytes()), None, "{bad}");
        }
    }
}
