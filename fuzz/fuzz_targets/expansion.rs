//! Expansion takes any word and any here-doc, with values that hold what is special to it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strake_parser::{Escape, Expander, Span, Word};

/// The greatest size of an expanded word (edges.md 15).
const MAX_WORD: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let escape = if choice & 1 == 0 { Escape::Backslash } else { Escape::Backtick };
    // What stands before a NUL is the value of every variable with a name of an odd length.
    let (value, text) = match rest.iter().position(|byte| *byte == 0) {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (&b"v a*l\\ue"[..], rest),
    };
    let value = String::from_utf8_lossy(value).into_owned();
    let lookup = |name: &str| (name.len() % 2 == 1).then(|| value.clone());
    let expander = Expander::new(escape, &lookup);
    let word = Word { raw: String::from_utf8_lossy(text).into(), span: Span::default() };
    if let Ok(expanded) = expander.word(&word) {
        assert!(expanded.text.len() <= MAX_WORD);
        if !word.raw.contains(['$', '\'', '"', '\\', '`']) {
            assert_eq!(expanded.text, word.raw);
        }
    }
    if let Ok(words) = expander.words(&word) {
        assert!(words.iter().map(String::len).sum::<usize>() <= MAX_WORD);
    }
    if let Ok(body) = expander.heredoc(text, Span::default()) {
        assert!(body.len() <= MAX_WORD);
    }
});
