//! Patterns of `${name#pattern}` and its kin (dockerfile.md §8.2.5).

use regex::{Regex, RegexBuilder};

use super::MAX_WORD;

/// The greatest size of a compiled pattern in bytes.
const MAX_COMPILED: usize = 4 << 20;

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// Any run without a newline.
    Any,
    /// One character but a newline.
    One,
    /// That character.
    Literal(char),
}

/// A pattern of literals, `*` and `?`.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    tokens: Vec<Token>,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Any,
                '?' => Token::One,
                // Before a brace or slash the escape only keeps it from ending the pattern.
                '\\' if matches!(chars.peek(), Some('}' | '/')) => continue,
                '\\' => match chars.next() {
                    Some(next @ ('*' | '?' | '\\')) => Token::Literal(next),
                    Some(next) => return Err(format!("invalid escape '\\{next}'")),
                    None => return Err("invalid escape '\\' at the end".to_owned()),
                },
                c => Token::Literal(c),
            });
        }
        Ok(Self { tokens })
    }

    /// Drops the longest or shortest prefix that matches.
    pub(super) fn trim_prefix(&self, value: &str, is_greedy: bool) -> Result<String, String> {
        let regex = compile(self.tokens.iter(), is_greedy, true)?;
        Ok(regex.find(value).map_or(value, |found| &value[found.end()..]).to_owned())
    }

    /// Drops the longest or shortest suffix that matches; both are turned round, as a search goes left to right.
    pub(super) fn trim_suffix(&self, value: &str, is_greedy: bool) -> Result<String, String> {
        let regex = compile(self.tokens.iter().rev(), is_greedy, true)?;
        let turned: String = value.chars().rev().collect();
        let Some(found) = regex.find(&turned) else { return Ok(value.to_owned()) };
        Ok(value[..value.len() - found.end()].to_owned())
    }

    /// Replaces the first match or all; none when the result is too large.
    ///
    /// For all, the replacement is a template in which `$0` is the match, as in the reference.
    pub(super) fn replace(&self, value: &str, replacement: &str, all: bool) -> Result<Option<String>, String> {
        let regex = compile(self.tokens.iter(), true, false)?;
        let mut out = String::new();
        let mut from = 0;
        for captures in regex.captures_iter(value) {
            let Some(found) = captures.get(0) else { break };
            out.push_str(&value[from..found.start()]);
            if all {
                captures.expand(replacement, &mut out);
            } else {
                out.push_str(replacement);
            }
            from = found.end();
            if out.len() > MAX_WORD {
                return Ok(None);
            }
            if !all {
                break;
            }
        }
        out.push_str(&value[from..]);
        Ok((out.len() <= MAX_WORD).then_some(out))
    }
}

fn compile<'a>(tokens: impl Iterator<Item = &'a Token>, is_greedy: bool, is_anchored: bool) -> Result<Regex, String> {
    let mut source = String::new();
    if is_anchored {
        source.push('^');
    }
    for token in tokens {
        match token {
            Token::Any if is_greedy => source.push_str(".*"),
            Token::Any => source.push_str(".*?"),
            Token::One => source.push('.'),
            Token::Literal(c) => source.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    RegexBuilder::new(&source)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .build()
        .map_err(|_| "the pattern is too large".to_owned())
}
