//! Where a line break stands between words: blanks there can be changed without a change of meaning.
//!
//! The text may be a command for a Unix shell, words of the language or JSON. Who reads it is not modelled; where the
//! readers may see something quoted, the answer is no.

/// What the text is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    Single,
    Double,
    /// `$(…)` in double quotes, with the depth of parentheses.
    Command(usize),
    /// `` `…` ``, in double quotes or not.
    Backticks {
        in_double: bool,
    },
    /// `${…}` outside of quotes, with the depth of braces.
    Braces(usize),
    /// What is beyond this reader.
    Unknown,
}

/// Says of each offset, ascending, whether a break between words is there: outside of all quoting, with a blank before
/// or behind it that is none of a word.
pub(super) fn free_joints(text: &str, joints: &[usize]) -> Vec<bool> {
    let bytes = text.as_bytes();
    let mut reader = Reader { inside: Inside::Nothing, is_escaped: false, after_blank: false, odd: [false; 2] };
    let mut at = 0;
    let judge = |joint: &usize| {
        while at < (*joint).min(bytes.len()) {
            reader.read(bytes[at], bytes.get(at + 1).copied());
            at += 1;
        }
        reader.is_between_words(bytes.get(at).copied())
    };
    joints.iter().map(judge).collect()
}

struct Reader {
    inside: Inside,
    /// Whether the next byte is escaped.
    is_escaped: bool,
    /// Whether the last byte was a blank that separates.
    after_blank: bool,
    /// Whether the number of each kind of quote so far is odd: then somebody may take what follows for quoted.
    odd: [bool; 2],
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

impl Reader {
    fn is_between_words(&self, next: Option<u8>) -> bool {
        let is_outside = self.inside == Inside::Nothing && !self.is_escaped && self.odd == [false; 2];
        is_outside && (self.after_blank || next.is_some_and(is_blank))
    }

    fn read(&mut self, byte: u8, next: Option<u8>) {
        match byte {
            b'\'' => self.odd[0] ^= true,
            b'"' => self.odd[1] ^= true,
            _ => {}
        }
        let was_escaped = std::mem::take(&mut self.is_escaped);
        self.after_blank = is_blank(byte) && !was_escaped;
        if was_escaped {
            return;
        }
        if byte == b'\\' && self.inside != Inside::Single {
            self.is_escaped = true;
            return;
        }
        let is_quote = matches!(byte, b'\'' | b'"');
        self.inside = match (self.inside, byte) {
            (Inside::Nothing, b'\'') => Inside::Single,
            (Inside::Nothing, b'"') => Inside::Double,
            (Inside::Nothing, b'`') => Inside::Backticks { in_double: false },
            // `$'…'` has escapes of its own.
            (Inside::Nothing, b'$') if next == Some(b'\'') => Inside::Unknown,
            (Inside::Nothing, b'$') if next == Some(b'{') => Inside::Braces(0),
            (Inside::Single, b'\'') | (Inside::Double, b'"') => Inside::Nothing,
            (Inside::Double, b'$') if next == Some(b'(') => Inside::Command(0),
            (Inside::Double, b'`') => Inside::Backticks { in_double: true },
            (Inside::Command(_) | Inside::Backticks { .. } | Inside::Braces(_), _) if is_quote => Inside::Unknown,
            (Inside::Command(_), b'`') => Inside::Unknown,
            (Inside::Command(depth), b'(') => Inside::Command(depth + 1),
            (Inside::Command(0 | 1), b')') => Inside::Double,
            (Inside::Command(depth), b')') => Inside::Command(depth - 1),
            (Inside::Backticks { in_double: true }, b'`') => Inside::Double,
            (Inside::Backticks { in_double: false }, b'`') => Inside::Nothing,
            (Inside::Braces(depth), b'{') => Inside::Braces(depth + 1),
            (Inside::Braces(0 | 1), b'}') => Inside::Nothing,
            (Inside::Braces(depth), b'}') => Inside::Braces(depth - 1),
            (inside, _) => inside,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The joints are where `|` stands.
    fn free(marked: &str) -> Vec<bool> {
        let mut text = String::new();
        let mut joints = Vec::new();
        for part in marked.split('|') {
            text.push_str(part);
            joints.push(text.len());
        }
        joints.pop();
        free_joints(&text, &joints)
    }

    #[test]
    fn only_breaks_between_words_are_free() {
        assert_eq!(free("a | b| c |d|e"), [true, true, true, false]);
        assert_eq!(free("a \"b | c\" | 'd | e' | f"), [false, true, false, true]);
        assert_eq!(free(r#"a\ |b \" | c \" | d"#), [false, false, true]);
        assert_eq!(free("x=\"$(uname -m | cut -b 1)\" | y"), [false, true]);
        assert_eq!(free("x=\"$(echo \"a | b\")\" | y"), [false, false]);
        assert_eq!(free("${a:-b | ${c}} | `a | b` | it's | b"), [false, true, false, true, false]);
        assert_eq!(free("$'a\\' | ' | b"), [false, false]);
    }
}
