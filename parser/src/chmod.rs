//! Modes of `--chmod`: octal, or symbolic as in chmod(1) (dockerfile.md §13.5).

/// The bits that a mode may hold.
const ALL: u32 = 0o7777;

/// A change of permission bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeChange {
    parts: Parts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Parts {
    Octal(u32),
    Symbolic(Vec<Clause>),
}

/// One operator with what is before and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Clause {
    who: Who,
    operator: Operator,
    bits: Bits,
}

/// Which of user, group and others; none named means all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Who {
    user: bool,
    group: bool,
    other: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Remove,
    Set,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bits {
    /// The bits of another class, as a shift: 6 user, 3 group, 0 others.
    CopyOf(u32),
    /// Letters of `rwxXst`.
    Letters { rwx: u32, conditional_execute: bool, set_id: bool, sticky: bool },
}

/// A mode that cannot be read; its text is ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeError {
    text: String,
}

impl std::fmt::Display for ModeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = &self.text;
        // A text of digits was meant to be octal; the reference's wording.
        write!(f, "invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777")?;
        if text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            f.write_str(", or symbolic as in u=rwX,go-w")?;
        }
        Ok(())
    }
}

impl std::error::Error for ModeError {}

impl ModeChange {
    /// Reads a mode.
    pub fn parse(text: &str) -> Result<Self, ModeError> {
        let fail = || ModeError { text: text.to_owned() };
        let is_octal = text.starts_with(|c: char| c.is_ascii_digit());
        if is_octal {
            let value = u32::from_str_radix(text, 8).ok().filter(|value| *value <= ALL);
            return value.map(|value| Self { parts: Parts::Octal(value) }).ok_or_else(fail);
        }
        let mut clauses = Vec::new();
        for part in text.split(',') {
            parse_part(part, &mut clauses).ok_or_else(fail)?;
        }
        Ok(Self { parts: Parts::Symbolic(clauses) })
    }

    /// Gives the mode when it is octal and so does not depend on the old one.
    pub fn octal(&self) -> Option<u32> {
        match self.parts {
            Parts::Octal(mode) => Some(mode),
            Parts::Symbolic(_) => None,
        }
    }

    /// Gives the permission bits that a file with the bits `mode` gets; bits above 07777 are kept.
    pub fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        let clauses = match &self.parts {
            Parts::Octal(value) => return (mode & !ALL) | value,
            Parts::Symbolic(clauses) => clauses,
        };
        clauses.iter().fold(mode, |mode, clause| clause.apply(mode, is_dir))
    }
}

impl Clause {
    fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        let mut bits = 0;
        let mut mask = 0;
        let classes = [(self.who.user, 6, 0o4000), (self.who.group, 3, 0o2000), (self.who.other, 0, 0)];
        for (is_named, shift, set_bit) in classes {
            if !is_named {
                continue;
            }
            mask |= 0o7 << shift | set_bit;
            match self.bits {
                Bits::CopyOf(from) => bits |= (mode >> from & 0o7) << shift,
                Bits::Letters { rwx, conditional_execute, set_id, .. } => {
                    let execute = u32::from(conditional_execute && (is_dir || mode & 0o111 != 0));
                    bits |= (rwx | execute) << shift;
                    if set_id {
                        bits |= set_bit;
                    }
                }
            }
        }
        if self.who.other && self.who.user && self.who.group {
            mask |= 0o1000;
        }
        if let Bits::Letters { sticky: true, .. } = self.bits {
            bits |= 0o1000;
        }
        match self.operator {
            Operator::Add => mode | bits,
            Operator::Remove => mode & !bits,
            // As chmod(1) does: set-id bits of a directory go only when they are named.
            Operator::Set if is_dir => mode & !(mask & !0o6000) | bits,
            Operator::Set => mode & !mask | bits,
        }
    }
}

/// Reads `[ugoa]*` and one or more operators with their bits.
fn parse_part(part: &str, out: &mut Vec<Clause>) -> Option<()> {
    let operators = ['+', '-', '='];
    let first = part.find(operators)?;
    let (who, mut rest) = part.split_at(first);
    let who = parse_who(who)?;
    while !rest.is_empty() {
        let operator = match rest.as_bytes().first()? {
            b'+' => Operator::Add,
            b'-' => Operator::Remove,
            _ => Operator::Set,
        };
        let after = rest.get(1..)?;
        let end = after.find(operators).unwrap_or(after.len());
        let (letters, next) = after.split_at(end);
        out.push(Clause { who, operator, bits: parse_bits(letters)? });
        rest = next;
    }
    Some(())
}

fn parse_who(text: &str) -> Option<Who> {
    let mut who = Who::default();
    for c in text.chars() {
        match c {
            'u' => who.user = true,
            'g' => who.group = true,
            'o' => who.other = true,
            'a' => who = Who { user: true, group: true, other: true },
            _ => return None,
        }
    }
    if text.is_empty() {
        who = Who { user: true, group: true, other: true };
    }
    Some(who)
}

fn parse_bits(text: &str) -> Option<Bits> {
    match text {
        "u" => return Some(Bits::CopyOf(6)),
        "g" => return Some(Bits::CopyOf(3)),
        "o" => return Some(Bits::CopyOf(0)),
        _ => {}
    }
    let (mut rwx, mut conditional_execute, mut set_id, mut sticky) = (0, false, false, false);
    for c in text.chars() {
        match c {
            'r' => rwx |= 4,
            'w' => rwx |= 2,
            'x' => rwx |= 1,
            'X' => conditional_execute = true,
            's' => set_id = true,
            't' => sticky = true,
            _ => return None,
        }
    }
    Some(Bits::Letters { rwx, conditional_execute, set_id, sticky })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(mode: &str, old: u32) -> u32 {
        ModeChange::parse(mode).unwrap().apply(old, false)
    }

    fn dir(mode: &str, old: u32) -> u32 {
        ModeChange::parse(mode).unwrap().apply(old, true)
    }

    #[test]
    fn octal_modes_replace_the_bits() {
        assert_eq!(file("640", 0o755), 0o640);
        assert_eq!(file("0", 0o755), 0);
        assert_eq!(file("07777", 0o100_644), 0o107_777);
        assert_eq!(ModeChange::parse("755").unwrap().octal(), Some(0o755));
        assert_eq!(ModeChange::parse("a+x").unwrap().octal(), None);
    }

    #[test]
    fn symbolic_modes_change_the_bits() {
        for (mode, old, new) in [
            ("u+x", 0o644, 0o744),
            ("a-w", 0o777, 0o555),
            ("+x", 0o644, 0o755),
            ("go=", 0o777, 0o700),
            ("u=rwx,go=rx", 0, 0o755),
            ("g=u", 0o740, 0o770),
            ("o+g", 0o750, 0o755),
            ("u+s", 0o755, 0o4755),
            ("g+s", 0o755, 0o2755),
            ("+t", 0o777, 0o1777),
            ("a=rX", 0o644, 0o444),
            ("a=rX", 0o744, 0o555),
            ("u=rw+x-r", 0o000, 0o300),
            ("=rw", 0o7777, 0o666),
            ("o=", 0o1777, 0o1770),
        ] {
            assert_eq!(file(mode, old), new, "{mode} of {old:o}");
        }
        assert_eq!(dir("a=rX", 0o700), 0o555);
        assert_eq!(dir("u=rwx", 0o4755), 0o4755);
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        for bad in ["", "999", "10000", "x", "u", "u+z", "u+x,", "rwx", "0x1", "+ug", "7 7", "8"] {
            assert!(ModeChange::parse(bad).is_err(), "{bad}");
        }
        let error = ModeChange::parse("999").unwrap_err().to_string();
        assert_eq!(error, "invalid chmod parameter: '999'. it should be octal string and between 0 and 07777");
    }
}
