//! Matching of wildcard patterns, for file names ([`crate::glob`]) and ignore files ([`crate::ignore`]).
//!
//! Patterns become tokens; matching follows every possibility at once and visits each pair of token and offset once,
//! so that its time is bounded by their product whatever the pattern.

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// These bytes.
    Literal(Vec<u8>),
    /// One character but `/`.
    One,
    /// Any run without `/`.
    Run,
    /// Nothing, or any run without a newline that ends in `/`; always followed by [`Token::DirsBody`].
    Dirs,
    /// The run of [`Token::Dirs`].
    DirsBody,
    /// Any run without a newline.
    All,
    /// One character of a set.
    Set(Set),
}

/// A set of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set {
    ranges: Vec<(char, char)>,
    is_negated: bool,
}

impl Set {
    fn contains(&self, c: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != self.is_negated
    }
}

/// Whose patterns they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Those of Go's `filepath.Match`: `**` is two stars.
    Match,
    /// Those of `COPY --parents`: `**` is any number of directories.
    Parents,
    /// Those of ignore files: as [`Dialect::Parents`], but they are regular expressions to the reference, so that a
    /// backslash before a letter has the meaning it has there.
    Ignore,
}

/// A pattern whose sets or escapes are malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct Wildcard {
    tokens: Vec<Token>,
    /// The fewest bytes that a match has.
    min_length: usize,
}

impl Wildcard {
    pub(crate) fn parse(pattern: &[u8], dialect: Dialect) -> Result<Self, Malformed> {
        let tokens = tokenize(pattern, dialect)?;
        let min_length = tokens.iter().map(|token| match token {
            Token::Literal(bytes) => bytes.len(),
            Token::One | Token::Set(_) => 1,
            _ => 0,
        });
        Ok(Self { min_length: min_length.sum(), tokens })
    }

    /// Says whether the whole path matches.
    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        if self.min_length > path.len() {
            return false;
        }
        if let Some(Token::Literal(head)) = self.tokens.first()
            && !path.starts_with(head)
        {
            return false;
        }
        if let Some(Token::Literal(tail)) = self.tokens.last()
            && !path.ends_with(tail)
        {
            return false;
        }
        self.search(path)
    }

    fn search(&self, path: &[u8]) -> bool {
        let width = path.len() + 1;
        let mut seen = vec![0_u64; (self.tokens.len() * width).div_ceil(64)];
        let mut open = vec![(0, 0)];
        while let Some((index, at)) = open.pop() {
            let Some(token) = self.tokens.get(index) else {
                if at == path.len() {
                    return true;
                }
                continue;
            };
            let cell = index * width + at;
            let (word, bit) = (cell / 64, 1_u64 << (cell % 64));
            if seen[word] & bit != 0 {
                continue;
            }
            seen[word] |= bit;
            let next = decode(path, at);
            match token {
                Token::Literal(bytes) => {
                    if path[at..].starts_with(bytes) {
                        open.push((index + 1, at + bytes.len()));
                    }
                }
                Token::One => open.extend(next.filter(|(c, _)| *c != '/').map(|(_, end)| (index + 1, end))),
                Token::Set(set) => open.extend(next.filter(|(c, _)| set.contains(*c)).map(|(_, end)| (index + 1, end))),
                Token::Run => {
                    open.extend(next.filter(|(c, _)| *c != '/').map(|(_, end)| (index, end)));
                    open.push((index + 1, at));
                }
                Token::All => {
                    open.extend(next.filter(|(c, _)| *c != '\n').map(|(_, end)| (index, end)));
                    open.push((index + 1, at));
                }
                Token::Dirs => open.extend([(index + 1, at), (index + 2, at)]),
                Token::DirsBody => {
                    let Some((c, end)) = next else { continue };
                    if c != '\n' {
                        open.push((index, end));
                    }
                    if c == '/' {
                        open.push((index + 1, end));
                    }
                }
            }
        }
        false
    }
}

/// Gives the character at an offset and where it ends; a byte that is not UTF-8 stands as U+FFFD.
fn decode(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    let first = *bytes.get(at)?;
    if first.is_ascii() {
        return Some((char::from(first), at + 1));
    }
    for length in 2..=4 {
        let slice = bytes.get(at..at + length);
        if let Some(c) = slice.and_then(|slice| std::str::from_utf8(slice).ok()).and_then(|text| text.chars().next()) {
            return Some((c, at + length));
        }
    }
    Some((char::REPLACEMENT_CHARACTER, at + 1))
}

fn tokenize(pattern: &[u8], dialect: Dialect) -> Result<Vec<Token>, Malformed> {
    let mut tokens = Vec::new();
    let mut literal = Vec::new();
    let mut at = 0;
    while let Some(byte) = pattern.get(at).copied() {
        at += 1;
        if !matches!(byte, b'*' | b'?' | b'[' | b'\\') {
            literal.push(byte);
            continue;
        }
        if byte == b'\\' {
            let (escaped, end) = decode(pattern, at).ok_or(Malformed)?;
            if dialect == Dialect::Ignore && escaped.is_ascii_alphanumeric() {
                flush(&mut literal, &mut tokens);
                tokens.push(regex_escape(escaped)?);
                at = end;
                continue;
            }
            literal.extend_from_slice(&pattern[at..end]);
            at = end;
            continue;
        }
        flush(&mut literal, &mut tokens);
        match byte {
            b'?' => tokens.push(Token::One),
            b'[' => {
                let (set, end) = parse_set(pattern, at)?;
                tokens.push(Token::Set(set));
                at = end;
            }
            _ if dialect != Dialect::Match && pattern.get(at) == Some(&b'*') => {
                at += 1;
                if pattern.get(at) == Some(&b'/') {
                    at += 1;
                }
                if at == pattern.len() {
                    tokens.push(Token::All);
                } else if tokens.last() != Some(&Token::DirsBody) {
                    tokens.extend([Token::Dirs, Token::DirsBody]);
                }
            }
            _ => {
                if tokens.last() != Some(&Token::Run) {
                    tokens.push(Token::Run);
                }
            }
        }
    }
    flush(&mut literal, &mut tokens);
    Ok(tokens)
}

/// What a backslash and a letter mean to the reference's ignore files (Go's regexp/syntax: classes and control
/// characters). The rarer ones (`\b`, `\x41`, `\pL`) are refused, as are those that it refuses.
fn regex_escape(letter: char) -> Result<Token, Malformed> {
    let ranges: &[(char, char)] = match letter.to_ascii_lowercase() {
        'd' => &[('0', '9')],
        'w' => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        's' => &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')],
        _ => &[],
    };
    if !ranges.is_empty() {
        return Ok(Token::Set(Set { ranges: ranges.to_vec(), is_negated: letter.is_ascii_uppercase() }));
    }
    let byte = match letter {
        'a' => 0x07,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        _ => return Err(Malformed),
    };
    Ok(Token::Literal(vec![byte]))
}

fn flush(literal: &mut Vec<u8>, tokens: &mut Vec<Token>) {
    if !literal.is_empty() {
        tokens.push(Token::Literal(std::mem::take(literal)));
    }
}

/// Reads a set after its `[`, with the grammar of Go's `filepath.Match`: never empty, `-` and `]` only escaped.
fn parse_set(pattern: &[u8], start: usize) -> Result<(Set, usize), Malformed> {
    let mut set = Set::default();
    let mut at = start;
    if pattern.get(at) == Some(&b'^') {
        set.is_negated = true;
        at += 1;
    }
    loop {
        if pattern.get(at) == Some(&b']') && !set.ranges.is_empty() {
            return Ok((set, at + 1));
        }
        let (low, end) = set_member(pattern, at)?;
        at = end;
        let mut high = low;
        if pattern.get(at) == Some(&b'-') {
            (high, at) = set_member(pattern, at + 1)?;
        }
        if high < low {
            return Err(Malformed);
        }
        set.ranges.push((low, high));
    }
}

fn set_member(pattern: &[u8], at: usize) -> Result<(char, usize), Malformed> {
    match pattern.get(at) {
        None | Some(b'-' | b']') => Err(Malformed),
        Some(b'\\') => decode(pattern, at + 1).ok_or(Malformed),
        Some(_) => decode(pattern, at).ok_or(Malformed),
    }
}
