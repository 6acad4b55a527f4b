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
    Symbolic(Vec<Command>),
}

/// One step of a symbolic mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Set(u32),
    Clear(u32),
    /// For directories, and for files that somebody could execute before.
    SetExecute(u32),
    /// Takes the bits of a class, given as a shift (6 user, 3 group, 0 others), to the classes of `who`.
    Copy {
        from: u32,
        who: u32,
        operator: Operator,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Remove,
    Set,
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
        symbolic(text).map(|commands| Self { parts: Parts::Symbolic(commands) }).ok_or_else(fail)
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
        let commands = match &self.parts {
            Parts::Octal(value) => return (mode & !ALL) | value,
            Parts::Symbolic(commands) => commands,
        };
        let is_executed = is_dir || mode & 0o111 != 0;
        commands.iter().fold(mode, |mode, command| match *command {
            Command::Set(bits) => mode | bits,
            Command::Clear(bits) => mode & !bits,
            Command::SetExecute(bits) if is_executed => mode | bits,
            Command::SetExecute(_) => mode,
            Command::Copy { from, who, operator } => {
                let bits = mode >> from & 0o7;
                let classes = [6, 3, 0].into_iter().filter(|shift| who >> shift & 0o4 != 0);
                classes.fold(mode, |mode, shift| match operator {
                    Operator::Add => mode | bits << shift,
                    Operator::Remove => mode & !(bits << shift),
                    Operator::Set => mode & !(0o7 << shift) | bits << shift,
                })
            }
        })
    }
}

/// Reads clauses of `[augo]*` and operators with their letters.
///
/// The meaning is that of setmode(3) of the BSDs, which the reference has, too: `u=` and `g=` clear the set-id bits of
/// directories as well, a copy leaves them alone, and only `t` touches the sticky bit.
fn symbolic(text: &str) -> Option<Vec<Command>> {
    let mut out = Vec::new();
    for clause in text.split(',') {
        let first = clause.find(|c| !"augo".contains(c))?;
        let (classes, mut rest) = clause.split_at(first);
        let who = classes.chars().fold(0, |who, class| {
            who | match class {
                'u' => 0o4700,
                'g' => 0o2070,
                'o' => 0o0007,
                _ => 0o6777,
            }
        });
        while let Some(sign) = rest.chars().next() {
            let operator = match sign {
                '+' => Operator::Add,
                '-' => Operator::Remove,
                '=' => Operator::Set,
                _ => return None,
            };
            let end = rest[1..].find(|c| !"rwxXstugo".contains(c)).map_or(rest.len(), |end| end + 1);
            read_letters(who, operator, &rest[1..end], &mut out);
            rest = &rest[end..];
        }
    }
    Some(out)
}

/// Reads what follows an operator; `who` is nothing where no class is named.
fn read_letters(mut who: u32, operator: Operator, letters: &str, out: &mut Vec<Command>) {
    let limit = |who: u32, bits: u32| if who == 0 { bits } else { bits & who };
    let change = |who: u32, bits: u32, out: &mut Vec<Command>| {
        if operator == Operator::Set {
            out.push(Command::Clear(if who == 0 { 0o6777 } else { who }));
        }
        let is_removal = operator == Operator::Remove;
        out.push(if is_removal { Command::Clear(limit(who, bits)) } else { Command::Set(limit(who, bits)) });
    };
    let (mut bits, mut execute, mut is_copied) = (0, 0, false);
    for letter in letters.chars() {
        let is_others_only = who != 0 && who & !0o7 == 0;
        match letter {
            'r' => bits |= 0o444,
            'w' => bits |= 0o222,
            'X' if operator != Operator::Remove => execute = 0o111,
            'x' | 'X' => bits |= 0o111,
            's' if !is_others_only => bits |= 0o6000,
            't' if !is_others_only => {
                who |= 0o1000;
                bits |= 0o1000;
            }
            's' | 't' => {}
            class => {
                if bits != 0 {
                    change(who, std::mem::take(&mut bits), out);
                }
                if execute != 0 {
                    out.push(Command::SetExecute(limit(who, std::mem::take(&mut execute))));
                }
                let from = match class {
                    'u' => 6,
                    'g' => 3,
                    _ => 0,
                };
                out.push(Command::Copy { from, who: if who == 0 { 0o777 } else { who }, operator });
                is_copied = true;
            }
        }
    }
    if bits != 0 || operator == Operator::Set && !is_copied {
        change(who, bits, out);
    }
    if execute != 0 {
        out.push(Command::SetExecute(limit(who, execute)));
    }
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
            ("=rw", 0o7777, 0o1666),
            ("g=u", 0o6750, 0o6770),
            ("o+t", 0o755, 0o755),
            ("=t", 0o755, 0o1755),
            ("u=g,g=o", 0o6754, 0o6544),
            ("+ug", 0o640, 0o666),
            ("g=ru", 0o700, 0o770),
            ("a=s", 0o755, 0o6000),
            ("o=", 0o1777, 0o1770),
        ] {
            assert_eq!(file(mode, old), new, "{mode} of {old:o}");
        }
        assert_eq!(dir("a=rX", 0o700), 0o555);
        assert_eq!(dir("u=rwX,go=rX", 0o3777), 0o1755);
        assert_eq!(dir("g-w", 0o2775), 0o2755);
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        for bad in ["", "999", "10000", "x", "u", "u+z", "u+x,", "rwx", "0x1", "7 7", "u+xa", "8"] {
            assert!(ModeChange::parse(bad).is_err(), "{bad}");
        }
        let error = ModeChange::parse("999").unwrap_err().to_string();
        assert_eq!(error, "invalid chmod parameter: '999'. it should be octal string and between 0 and 07777");
    }
}
