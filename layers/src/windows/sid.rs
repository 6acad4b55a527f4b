/// A security identifier, which names an account (\[MS-DTYP\] 2.4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sid {
    authority: u64,
    parts: Vec<u32>,
}

/// Most numbers after the authority (\[MS-DTYP\] 2.4.2.2).
const MOST_PARTS: usize = 15;

/// Two-letter names of accounts (\[MS-DTYP\] 2.5.1.1) with their authority and numbers.
const ALIASES: &[(&str, u64, &[u32])] = &[
    ("AN", 5, &[7]),
    ("AU", 5, &[11]),
    ("BA", 5, &[32, 544]),
    ("BG", 5, &[32, 546]),
    ("BU", 5, &[32, 545]),
    ("CG", 3, &[1]),
    ("CO", 3, &[0]),
    ("IU", 5, &[4]),
    ("LS", 5, &[19]),
    ("NS", 5, &[20]),
    ("NU", 5, &[2]),
    ("OW", 3, &[4]),
    ("PU", 5, &[32, 547]),
    ("SU", 5, &[6]),
    ("SY", 5, &[18]),
    ("WD", 1, &[0]),
];

impl Sid {
    /// Reads an account as `--chown` names it: one of the two that every container knows, or a literal `S-1-…`
    /// (windows.md §2.3). `None` for every other name, which only Windows can look up.
    pub fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("ContainerAdministrator") {
            return Some(Self::new(5, &[93, 2, 1]));
        }
        if text.eq_ignore_ascii_case("ContainerUser") {
            return Some(Self::new(5, &[93, 2, 2]));
        }
        Self::parse_literal(text)
    }

    /// Reads an account of a security descriptor's text: two letters or a literal.
    pub(super) fn parse_sddl(text: &str) -> Option<Self> {
        let alias = ALIASES.iter().find(|(name, ..)| text.eq_ignore_ascii_case(name));
        alias.map(|(_, authority, parts)| Self::new(*authority, parts)).or_else(|| Self::parse_literal(text))
    }

    fn parse_literal(text: &str) -> Option<Self> {
        let mut numbers = text.strip_prefix("S-1-").or_else(|| text.strip_prefix("s-1-"))?.split('-');
        let authority = decimal(numbers.next()?).filter(|authority| *authority < 1 << 48)?;
        let part = |number| decimal(number).and_then(|number| u32::try_from(number).ok());
        let parts = numbers.map(part).collect::<Option<Vec<u32>>>()?;
        (1..=MOST_PARTS).contains(&parts.len()).then_some(Self { authority, parts })
    }

    fn new(authority: u64, parts: &[u32]) -> Self {
        Self { authority, parts: parts.to_vec() }
    }

    /// The binary form (\[MS-DTYP\] 2.4.2.2).
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let count = u8::try_from(self.parts.len()).expect("at most fifteen parts, by its only constructors");
        let mut out = vec![1, count];
        out.extend_from_slice(&self.authority.to_be_bytes()[2..]);
        for part in &self.parts {
            out.extend_from_slice(&part.to_le_bytes());
        }
        out
    }
}

impl std::fmt::Display for Sid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "S-1-{}", self.authority)?;
        self.parts.iter().try_for_each(|part| write!(f, "-{part}"))
    }
}

/// Reads digits and nothing else.
fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_builtin_or_literal() {
        assert_eq!(Sid::parse("ContainerUser").map(|sid| sid.to_string()), Some("S-1-5-93-2-2".into()));
        assert_eq!(Sid::parse("S-1-5-93-2-1"), Sid::parse("containeradministrator"));
        let too_many = format!("S-1-5{}", "-1".repeat(16));
        for text in ["bob", "S-1", "S-1-x-1", "S-1-5", "S-2-5-1", "", "S-1-5-+1", "S-1-5-4294967296", "BA", &too_many] {
            assert_eq!(Sid::parse(text), None, "{text}");
        }
        assert!(Sid::parse(&format!("S-1-5{}", "-1".repeat(15))).is_some());
    }

    #[test]
    fn the_authority_is_big_endian_and_the_rest_is_not() {
        let sid = Sid::parse("S-1-5-32-544").unwrap();
        assert_eq!(sid.to_bytes(), [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0]);
        assert_eq!(Some(sid), Sid::parse_sddl("ba"));
    }
}
