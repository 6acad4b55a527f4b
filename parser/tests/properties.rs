//! Properties that hold for every input.

use proptest::prelude::*;
use regex::Regex;
use strake_parser::ignore::{IgnoreRules, IgnoreState};
use strake_parser::{
    CheckSettings, Escape, Expander, InstructionKind, ParseOptions, Parsed, Span, Word, fix, lint, parse, parse_onbuild,
};

/// Every span of a tree, found in its debug form, so that none is forgotten.
fn spans(parsed: &Parsed) -> Vec<Span> {
    let text = format!(
        "{:?}{:?}{:?}{:?}",
        parsed.dockerfile.stages, parsed.dockerfile.global_args, parsed.dockerfile.comments, parsed.diagnostics
    );
    let text = text + &format!("{:?}{:?}", parsed.dockerfile.orphans, parsed.dockerfile.directives);
    let pattern = Regex::new(r"Span \{ start: (\d+), end: (\d+) \}").expect("the test data is well-formed");
    pattern
        .captures_iter(&text)
        .map(|found| {
            let number = |at: usize| found[at].parse().expect("the test data is well-formed");
            Span::new(number(1), number(2))
        })
        .collect()
}

fn check_spans(parsed: &Parsed) {
    let text = parsed.dockerfile.source.text();
    for span in spans(parsed) {
        assert!(span.start() <= span.end() && span.end() <= text.len(), "{span:?} of {}", text.len());
        assert!(text.is_char_boundary(span.start()) && text.is_char_boundary(span.end()), "{span:?} in {text:?}");
    }
}

fn resolve_all(parsed: &Parsed) {
    let lookup = |name: &str| name.len().is_multiple_of(2).then(|| name.to_owned());
    for instruction in parsed.dockerfile.stages.iter().flat_map(|stage| &stage.instructions) {
        let expander = Expander::new(Escape::Backslash, &lookup);
        if let InstructionKind::Run(run) = &instruction.kind {
            run.heredoc_shape();
            for mount in &run.mounts {
                drop(mount.resolve(&expander));
            }
        }
        drop(
            expander
                .word(&Word { raw: instruction.original(&parsed.dockerfile.source).into(), span: instruction.span }),
        );
    }
    drop(lint::check(
        &parsed.dockerfile,
        &CheckSettings::parse("experimental=all").expect("the test data is well-formed"),
        &|_| true,
    ));
    check_fixes(parsed);
}

/// Edits end, never add an error, and have nothing left to do at the end.
fn check_fixes(parsed: &Parsed) {
    let errors = |parsed: &Parsed| parsed.diagnostics.iter().filter(|one| one.is_error()).count();
    let checks = CheckSettings { extras: true, ..CheckSettings::default() };
    let mut current = parsed.clone();
    for _ in 0..200 {
        let found = lint::check(&current.dockerfile, &checks, &|_| true);
        let fixed = fix(&current.dockerfile.source, &found);
        let next = parse(&fixed.bytes, &ParseOptions::default());
        assert!(errors(&next) <= errors(&parse(parsed.dockerfile.source.text().as_bytes(), &ParseOptions::default())));
        if fixed.applied.is_empty() {
            return;
        }
        current = next;
    }
    panic!("never done: {:?}", parsed.dockerfile.source.text());
}

/// Text made of the pieces that mean something.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "FROM",
        "FROM a AS b",
        "RUN",
        "COPY",
        "ADD",
        "ENV",
        "ARG",
        "CMD",
        "ONBUILD",
        "HEALTHCHECK",
        "SHELL",
        "LABEL",
        "EXPOSE",
        "VOLUME",
        "USER",
        "# syntax=x",
        "# escape=`",
        "# check=skip=all",
        "#",
        "\n",
        "\n",
        "\n",
        "\r\n",
        " ",
        " ",
        "\t",
        "\\",
        "\\\n",
        "`",
        "`\n",
        "<<",
        "<<EOF",
        "EOF",
        "\nEOF\n",
        "<<-'E F'",
        "[",
        "]",
        "[\"a\", \"b\"]",
        "\"",
        "'",
        "$",
        "${",
        "${A:-",
        "}",
        "=",
        "a=b",
        "--",
        "--mount=",
        "type=cache,target=/x",
        "--from=",
        "--chmod",
        "é",
        "\u{a0}",
        "\u{2028}",
        "x",
        "/",
        ",",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn parsing_arbitrary_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let parsed = parse(&bytes, &ParseOptions::default());
        check_spans(&parsed);
        resolve_all(&parsed);
    }

    #[test]
    fn parsing_likely_text_never_panics(text in pieces()) {
        let parsed = parse(text.as_bytes(), &ParseOptions::default());
        check_spans(&parsed);
        resolve_all(&parsed);
        check_spans(&parse_onbuild(&text, Escape::Backtick));
    }

    #[test]
    fn latin_1_text_keeps_its_bytes(text in pieces(), at in any::<prop::sample::Index>(), byte in 128_u8..) {
        let mut bytes = text.into_bytes();
        bytes.insert(at.index(bytes.len() + 1), byte);
        let parsed = parse(&bytes, &ParseOptions::default());
        check_spans(&parsed);
        let source = &parsed.dockerfile.source;
        prop_assert_eq!(source.bytes(Span::new(0, source.text().len())).into_owned(), bytes);
    }

    #[test]
    fn expansion_never_panics(text in pieces(), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let lookup = |name: &str| (name.len() % 2 == 1).then(|| "v a*l\\ue".to_owned());
        for escape in [Escape::Backslash, Escape::Backtick] {
            let expander = Expander::new(escape, &lookup);
            let word = Word { raw: text.as_str().into(), span: Span::default() };
            drop(expander.word(&word));
            drop(expander.words(&word));
            drop(expander.heredoc(&bytes, Span::default()));
        }
    }

    #[test]
    fn expansion_patterns_never_panic(pattern in r"[ab*?\\./%#]{0,8}", value in "[ab*/\n]{0,8}") {
        let lookup = |name: &str| (name == "V").then(|| value.clone());
        let expander = Expander::new(Escape::Backslash, &lookup);
        for raw in [format!("${{V#{pattern}}}"), format!("${{V%%{pattern}}}"), format!("${{V/{pattern}/x}}"), format!("${{V//{pattern}/$A}}")] {
            drop(expander.word(&Word { raw: raw.into(), span: Span::default() }));
        }
    }

    #[test]
    fn plain_words_expand_to_themselves(text in "[a-zA-Z0-9_./:é -]{0,30}") {
        let expander = Expander::new(Escape::Backslash, &|_| None);
        let word = Word { raw: text.as_str().into(), span: Span::default() };
        prop_assert_eq!(expander.word(&word).unwrap().text, text);
    }
}

/// The rules as the reference writes them: a regular expression for each pattern, every parent looked at anew.
struct Oracle(Vec<(bool, Regex)>);

impl Oracle {
    fn new(lines: &[String]) -> Self {
        let rules = lines.iter().map(|line| {
            let (is_exception, pattern) = match line.strip_prefix('!') {
                Some(pattern) => (true, pattern),
                None => (false, line.as_str()),
            };
            (is_exception, Regex::new(&expression(pattern)).expect("the test data is well-formed"))
        });
        Self(rules.collect())
    }

    /// Walks down from the top as the transfer of a build context does.
    fn ignores(&self, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let mut parent = vec![false; self.0.len()];
        let mut ignored = false;
        for end in ends {
            let mut matched = vec![false; self.0.len()];
            ignored = false;
            for (index, (is_exception, regex)) in self.0.iter().enumerate() {
                matched[index] = parent[index] || (*is_exception == ignored && regex.is_match(&path[..end]));
                if matched[index] {
                    ignored = !is_exception;
                }
            }
            parent = matched;
        }
        ignored
    }
}

fn expression(pattern: &str) -> String {
    let is_plain = |text: &str| !text.contains(['*', '?', '[']);
    if let Some(rest) = pattern.strip_prefix("**").filter(|rest| is_plain(rest)) {
        let quoted = regex::escape(rest);
        return match rest.strip_prefix('/') {
            Some(rest) => format!(r"(?s)(?:^{}|{quoted})\z", regex::escape(rest)),
            None => format!(r"(?s){quoted}\z"),
        };
    }
    if let Some(head) = pattern.strip_suffix("**").filter(|head| is_plain(head)) {
        return format!("^{}", regex::escape(head));
    }
    let mut out = "^".to_owned();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**") {
            rest = after.strip_prefix('/').unwrap_or(after);
            out.push_str(if rest.is_empty() { ".*" } else { "(.*/)?" });
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    out.push('$');
    out
}

fn pattern() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec!["a", "b", "ab", "*", "**", "?", "a*", "*b", "**b", "a**", "a**b"]);
    (any::<bool>(), prop::collection::vec(piece, 1..4))
        .prop_map(|(is_exception, pieces)| format!("{}{}", if is_exception { "!" } else { "" }, pieces.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn ignore_rules_agree_with_the_slow_oracle(
        lines in prop::collection::vec(pattern(), 1..5),
        paths in prop::collection::vec("(a|b|ab|ba)(/(a|b|ab|bb)){0,3}", 1..12),
    ) {
        let rules = IgnoreRules::parse(lines.join("\n").as_bytes()).unwrap();
        let oracle = Oracle::new(&lines);
        for path in &paths {
            prop_assert_eq!(rules.decide(path).ignored, oracle.ignores(path), "{:?} {}", lines, path);
        }
    }

    #[test]
    fn walking_down_decides_as_from_the_root(
        lines in prop::collection::vec(pattern(), 1..5),
        path in "(a|b|ab)(/(a|b|ab)){0,3}",
    ) {
        let rules = IgnoreRules::parse(lines.join("\n").as_bytes()).unwrap();
        let mut state = IgnoreState::default();
        let mut pruned = false;
        for (at, _) in path.match_indices('/') {
            let (decision, below) = rules.enter(&state, &path[..at]);
            pruned |= decision.ignored && rules.may_prune_dir(&path[..at]);
            state = below;
        }
        let decision = rules.decide_below(&state, &path);
        prop_assert_eq!(&decision, &rules.decide(&path));
        prop_assert!(!pruned || decision.ignored, "{:?} {}", lines, path);
    }

    #[test]
    fn ignore_files_of_any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), path in prop::collection::vec(any::<u8>(), 0..20)) {
        if let Ok(rules) = IgnoreRules::parse(&bytes) {
            drop(rules.decide(&path));
            rules.may_prune_dir(&path);
        }
    }
}
