/// A point in time: seconds since 1970-01-01T00:00:00Z and nanoseconds within the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Whole seconds, rounded down; negative before 1970.
    pub seconds: i64,
    /// Nanoseconds after `seconds`, below 1,000,000,000.
    pub nanos: u32,
}

impl Timestamp {
    /// Makes a time from whole seconds since 1970.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { seconds, nanos: 0 }
    }

    /// The time in RFC 3339 in UTC, as image documents have it: `2009-02-13T23:31:30.5Z`. Years that RFC 3339 does not have are
    /// put to the nearest that it has.
    pub fn to_rfc3339(self) -> String {
        // From the year 0000 on to the last second that jiff knows, 9999-12-30T22:00:00Z.
        let seconds = self.seconds.clamp(-62_167_219_200, jiff::Timestamp::MAX.as_second() - 1);
        let nanos = i32::try_from(self.nanos).unwrap_or_default();
        jiff::Timestamp::new(seconds, nanos).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
    }

    /// Reads a time in RFC 3339, with any offset.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let time: jiff::Timestamp = text.parse().ok()?;
        // Nanoseconds have the sign of the whole; here they count upwards.
        let total = time.as_nanosecond();
        let seconds = i64::try_from(total.div_euclid(1_000_000_000)).ok()?;
        let nanos = u32::try_from(total.rem_euclid(1_000_000_000)).ok()?;
        Some(Self { seconds, nanos })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_round_trips() {
        for (seconds, nanos, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (1_234_567_890, 500_000_000, "2009-02-13T23:31:30.5Z"),
            (1_234_567_890, 1, "2009-02-13T23:31:30.000000001Z"),
            (-1, 250_000_000, "1969-12-31T23:59:59.25Z"),
            (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
            (253_402_207_199, 0, "9999-12-30T21:59:59Z"),
        ] {
            let time = Timestamp { seconds, nanos };
            assert_eq!(time.to_rfc3339(), text);
            assert_eq!(Timestamp::parse_rfc3339(text), Some(time), "{text}");
        }
        assert_eq!(Timestamp::parse_rfc3339("2009-02-14T00:31:30+01:00"), Some(Timestamp::from_seconds(1_234_567_890)));
        assert_eq!(Timestamp::from_seconds(i64::MAX).to_rfc3339(), "9999-12-30T21:59:59Z");
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
    }
}
