//! Values that look like secrets.

use super::{Findings, sounds_secret};
use crate::ast::{Dockerfile, Escape, Instruction, InstructionKind, Word};
use crate::diagnostic::Diagnostic;
use crate::rule::Rule;
use crate::source::SourceText;
use crate::span::Span;
use crate::words::{split_at_equals, split_quoted};

/// How well-known tokens begin, what follows at least, and what they are; from the documentation of who makes them.
const PREFIXES: &[(&str, usize, &str)] = &[
    ("ghp_", 36, "a GitHub token"),
    ("gho_", 36, "a GitHub token"),
    ("ghu_", 36, "a GitHub token"),
    ("ghs_", 36, "a GitHub token"),
    ("ghr_", 36, "a GitHub token"),
    ("github_pat_", 22, "a GitHub token"),
    ("glpat-", 20, "a GitLab token"),
    ("AKIA", 16, "an AWS access key"),
    ("ASIA", 16, "an AWS access key"),
    ("xoxb-", 20, "a Slack token"),
    ("xoxp-", 20, "a Slack token"),
    ("xapp-", 20, "a Slack token"),
    ("sk_live_", 16, "a Stripe key"),
    ("rk_live_", 16, "a Stripe key"),
    ("AIza", 35, "a Google API key"),
    ("npm_", 36, "an npm token"),
    ("pypi-AgE", 50, "a PyPI token"),
    ("hf_", 34, "a Hugging Face token"),
    ("dckr_pat_", 20, "a Docker token"),
    ("sk-ant-", 24, "an Anthropic key"),
    ("sk-proj-", 24, "an OpenAI key"),
];

/// Words in names whose values are random and public.
const PUBLIC: &[&str] = &[
    "SHA",
    "SHA1",
    "SHA256",
    "SHA512",
    "MD5",
    "SUM",
    "CHECKSUM",
    "SHASUM",
    "DIGEST",
    "HASH",
    "INTEGRITY",
    "COMMIT",
    "REV",
    "REVISION",
    "REF",
    "FINGERPRINT",
    "GPG",
    "PUBLIC",
    "PUBKEY",
    "VERSION",
    "URL",
    "PATH",
    "ID",
    "UUID",
    "ETAG",
];

/// The shortest value that is judged by its randomness.
const SHORTEST: usize = 24;

/// Bits of entropy a character; random base64 of 24 characters has about 4.2, words and names less than 4.
const RANDOM: f64 = 4.1;

pub(super) fn check(instruction: &Instruction, findings: &mut Findings<'_>) {
    let mut look = |keyword: &str, name: &str, value: &Word| {
        let Some(what) = secret(name, &value.raw) else { return };
        let message = format!("the value of {keyword} {name} looks like {what}");
        let help = "make it invalid, and pass the new one to the RUN that needs it with --mount=type=secret,id=NAME";
        let made = Diagnostic::lint(Rule::SecretLikeValue, message, value.span).with_help(help);
        findings.add(instruction.check_overrides.as_deref(), made);
    };
    each_value(instruction, &mut look);
}

fn each_value(instruction: &Instruction, look: &mut dyn FnMut(&str, &str, &Word)) {
    match &instruction.kind {
        InstructionKind::Arg(items) => {
            for item in items {
                if let Some(value) = &item.default {
                    look("ARG", &item.name.value, value);
                }
            }
        }
        InstructionKind::Env(pairs) => pairs.pairs.iter().for_each(|(name, value)| look("ENV", &name.raw, value)),
        InstructionKind::Onbuild(onbuild) => each_value(&onbuild.instruction, look),
        _ => {}
    }
}

/// Gives where values of ARG and ENV stand that no message may show: those that look like secrets, and those of names
/// that sound so. What only names a variable is none.
pub fn secret_values(dockerfile: &Dockerfile) -> Vec<Span> {
    let mut found = Vec::new();
    let mut look = |_: &str, name: &str, value: &Word| {
        let text = value.raw.trim_matches(['"', '\'']);
        let is_hidden = !text.is_empty() && !text.starts_with('$');
        if is_hidden && (sounds_secret(name) || secret(name, &value.raw).is_some()) {
            // In `ENV NAME = VALUE` the sign belongs to the value, but messages speak of what is behind it.
            let sign = value.raw.len() - value.raw.trim_start_matches(['=', ' ', '\t']).len();
            let start = if value.raw.starts_with('=') { value.span.start() + sign } else { value.span.start() };
            found.push(Span::new(start, value.span.end()));
        }
    };
    let inside = dockerfile.stages.iter().flat_map(|stage| &stage.instructions);
    for instruction in dockerfile.global_args.iter().chain(&dockerfile.orphans).chain(inside) {
        match &instruction.kind {
            InstructionKind::Unknown(unread) => each_likely_value(&dockerfile.source, unread.span, &mut look),
            _ => each_value(instruction, &mut look),
        }
    }
    found
}

/// Looks at what may be the values of an instruction that cannot be read: behind `NAME=`, `NAME =` or `NAME`.
fn each_likely_value(source: &SourceText, span: Span, look: &mut dyn FnMut(&str, &str, &Word)) {
    let text = source.slice(span);
    let mut name = "";
    for range in split_quoted(text, 0..text.len(), Escape::Backslash) {
        let word = &text[range.clone()];
        let (before, value) = split_at_equals(word).unwrap_or(("", word));
        if !before.is_empty() {
            name = before;
        }
        if !value.is_empty() {
            let span = Span::new(span.start() + range.end - value.len(), span.start() + range.end);
            look("ENV", name, &Word { raw: value.into(), span });
            name = value;
        }
    }
}

/// Says what a value looks like, if it looks like a secret.
fn secret(name: &str, raw: &str) -> Option<&'static str> {
    let value = raw.trim_matches(['"', '\'']);
    if value.contains("-----BEGIN") && value.contains("PRIVATE KEY") {
        return Some("a private key");
    }
    if value.contains('$') {
        return None;
    }
    let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let known = PREFIXES.iter().find(|(start, least, _)| {
        value.strip_prefix(start).is_some_and(|rest| rest.len() >= *least && rest.chars().all(is_token))
    });
    if let Some((_, _, what)) = known.filter(|_| !is_example(value)) {
        return Some(what);
    }
    if is_web_token(value) {
        return Some("a JSON web token");
    }
    if has_password(value) {
        return Some("an address with a password");
    }
    // The name is reported already.
    (!sounds_secret(name) && !sounds_public(name) && is_random(value)).then_some("a secret: it is random")
}

fn is_example(value: &str) -> bool {
    let lower = value.to_lowercase();
    ["example", "xxxx", "0000", "1234567890"].iter().any(|word| lower.contains(word))
}

fn sounds_public(name: &str) -> bool {
    name.split(['_', '-', '.']).any(|word| PUBLIC.iter().any(|known| known.eq_ignore_ascii_case(word)))
}

/// Says whether it has the three parts of a JWS, the first of which begins with `{"` (RFC 7515, section 3.1).
fn is_web_token(value: &str) -> bool {
    let parts: Vec<&str> = value.split('.').collect();
    let is_part =
        |part: &&str| part.len() > 10 && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    parts.len() == 3 && value.starts_with("eyJ") && parts.iter().all(is_part)
}

/// Says whether it is `scheme://user:password@host` (RFC 3986, section 3.2.1) with a password that is no placeholder.
fn has_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else { return false };
    let Some((_, password)) = user.split_once(':') else { return false };
    let lower = password.to_lowercase();
    let is_placeholder =
        ["password", "pass", "secret", "changeme", "postgres", "root", "guest", "user", "test", "example"]
            .iter()
            .any(|word| lower.starts_with(word));
    password.len() >= 8 && !is_placeholder && !lower.contains(['<', '{', '*'])
}

fn is_random(value: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
    let has = |class: fn(&u8) -> bool| value.bytes().filter(class).count() >= 3;
    let is_mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    // Words joined by signs are names and paths.
    let signs = value.bytes().filter(|byte| matches!(byte, b'/' | b'-' | b'_' | b'+')).count();
    value.len() >= SHORTEST
        && value.bytes().all(is_base64)
        && !value.starts_with('/')
        && is_mixed
        && signs * 12 <= value.len()
        && spelt(value) * 5 < value.len() * 2
        && switches(value) * 4 >= value.len()
        && entropy(value.as_bytes()) >= RANDOM
}

/// Counts the letters that stand in runs of four or more of one case, as in words.
fn spelt(value: &str) -> usize {
    let class = |byte: &u8| (byte.is_ascii_uppercase(), byte.is_ascii_lowercase());
    let runs = value.as_bytes().chunk_by(|a, b| class(a) == class(b));
    runs.filter(|run| run.len() >= 4 && run[0].is_ascii_alphabetic()).map(<[u8]>::len).sum()
}

/// Counts the places where upper case, lower case and digits follow each other; names of many words have few.
fn switches(value: &str) -> usize {
    let class = |byte: u8| (byte.is_ascii_uppercase(), byte.is_ascii_lowercase(), byte.is_ascii_digit());
    value.as_bytes().windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count()
}

/// Gives the entropy of a text in bits a byte (Shannon 1948).
fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text {
        counts[usize::from(*byte)] += 1;
    }
    let total = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / total);
    shares.map(|share| -share * share.log2()).sum()
}
