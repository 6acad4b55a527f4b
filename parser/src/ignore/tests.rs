use super::*;

fn ignored(file: &str, path: &str) -> bool {
    IgnoreRules::parse(file.as_bytes()).unwrap().decide(path).ignored
}

#[test]
fn verified_set_holds() {
    let file = "*\n!a\n!bb\na/b\n!a/b/*.md\n/top.md\n!top.txt\n";
    for kept in ["a/x.txt", "a/b/z.md", "bb", "top.txt", "a"] {
        assert!(!ignored(file, kept), "{kept}");
    }
    for dropped in ["a/b/y.txt", "top.md", "README.md", ".hidden"] {
        assert!(ignored(file, dropped), "{dropped}");
    }
}

#[test]
fn pattern_pieces_match_as_documented() {
    for (pattern, path, wanted) in [
        ("a", "a", true),
        ("a", "a/b", true),
        ("a", "b/a", false),
        ("/a", "a", true),
        ("a/", "a/b", true),
        ("*.log", "x.log", true),
        ("*.log", "d/x.log", false),
        ("?.c", "é.c", true),
        ("?", "/", false),
        ("**/*.log", "x.log", true),
        ("**/*.log", "a/b/x.log", true),
        ("**foo", "barfoo", true),
        ("**/foo", "foo", true),
        ("**/foo", "barfoo", false),
        ("**/foo", "a/foo/b", true),
        ("a/**", "a", false),
        ("a/**", "a/b/c", true),
        ("a**", "ab/c", true),
        ("a/**/z", "a/z", true),
        ("\\.x", ".x", true),
        ("\\*", "*", true),
        ("\\d", "d", false),
        ("\\d\\w", "1_", true),
        ("\\D", "1", false),
        ("\\a", "a", false),
        ("a/**/z", "a/b/c/z", true),
        ("a/**/z", "a/bz", false),
        ("a/*/**", "a/b/c", true),
        ("a/*/**", "a/b", false),
        ("**", "x/y", true),
        ("**/**", "x/y", true),
        ("a**b", "ab", true),
        ("a**b", "ax/b", true),
        ("a**b", "axb", false),
        ("[a-c].txt", "b.txt", true),
        ("[^a-c].txt", "b.txt", false),
        ("[!a]", "!", true),
        ("[!a]", "b", false),
        ("\\#x", "#x", true),
        ("\\!x", "!x", true),
        ("star\\*", "star*", true),
        ("star\\*", "starlet", false),
        ("./one", "one", true),
        ("sub/../two", "two", true),
        ("sub//four", "sub/four", true),
        ("../five", "five", false),
        ("/../six", "six", true),
        (".", "a", false),
        ("/", "a", false),
        ("  back \t ", "back", true),
        ("two words", "two words", true),
        ("# x", "# x", false),
        (" # x", "# x", true),
        ("A", "a", false),
        ("**/", "a/b", true),
    ] {
        assert_eq!(ignored(pattern, path), wanted, "{pattern:?} {path:?}");
    }
}

#[test]
fn byte_order_mark_and_line_ends_are_dropped() {
    assert!(ignored("\u{feff}a\r\nb\r\n", "a"));
    assert!(ignored("\u{feff}a\r\nb\r\n", "b"));
}

#[test]
fn decisions_name_the_last_rule() {
    let rules = IgnoreRules::parse(b"# c\n*.md\n\n! README*.md\nREADME-secret.md\n").unwrap();
    assert_eq!(rules.decide("x.md").rule, Some((2, "*.md".to_owned())));
    assert_eq!(rules.decide("README.md"), Decision { ignored: false, rule: Some((4, "! README*.md".to_owned())) });
    assert_eq!(rules.decide("README-secret.md").rule.map(|rule| rule.0), Some(5));
    assert_eq!(rules.decide("a"), Decision::default());
}

#[test]
fn errors_name_line_and_pattern() {
    let error = IgnoreRules::parse(b"fine\nbad[a-\n").unwrap_err();
    assert_eq!(error.line, 2);
    assert!(error.to_string().contains("syntax error in pattern \"bad[a-\""), "{error}");
    let error = IgnoreRules::parse(b"!\n").unwrap_err();
    assert!(error.to_string().contains("illegal exclusion pattern: \"!\""), "{error}");
    assert!(IgnoreRules::parse(b"! \n").is_err());
    assert!(IgnoreRules::parse(b"a\\").is_err());
}

#[test]
fn excluded_directories_are_read_only_where_needed() {
    let rules = IgnoreRules::parse(b"vendor\nbuild\n!vendor/lib/keep.c\n!**/x/*.md\n").unwrap();
    assert!(!rules.may_prune_dir("vendor"));
    assert!(!rules.may_prune_dir("build"));
    let rules = IgnoreRules::parse(b"*\n!vendor/lib/keep.c\n!*.md\n!src/*/a").unwrap();
    assert!(!rules.may_prune_dir("vendor"));
    assert!(!rules.may_prune_dir("vendor/lib"));
    assert!(rules.may_prune_dir("vendor/doc"));
    assert!(rules.may_prune_dir("build"));
    assert!(!rules.may_prune_dir("src/x"));
    assert!(rules.may_prune_dir("src/x/a"));
}

#[test]
fn a_mark_behind_the_first_slash_makes_an_exception() {
    assert!(!ignored("*\n/!keep\n", "keep"));
    assert!(!ignored("*\n./!keep\n", "keep"));
    assert!(ignored("*\n./!keep\n", "other"));
    let error = IgnoreRules::parse(b"/!\n").unwrap_err();
    assert!(error.message.contains("illegal exclusion pattern"), "{}", error.message);
}

#[test]
fn a_class_in_an_exception_keeps_folders_readable() {
    // Found by fuzzing: `\D` matches any sign that is no digit, so the folder's name is no hint.
    let rules = IgnoreRules::parse(b"*\n!\\D/*\n").unwrap();
    assert!(!rules.may_prune_dir("a"));
    assert!(!rules.decide("a/b").ignored);
    assert!(rules.decide("1/b").ignored);
}

#[test]
fn exclude_patterns_are_plain() {
    let rules = IgnoreRules::from_patterns(["./x", "#y", "/z", "sub/"]).unwrap();
    assert!(rules.decide("x").ignored && rules.decide("#y").ignored && rules.decide("sub/a").ignored);
    assert!(!rules.decide("z").ignored);
    assert!(IgnoreRules::from_patterns(["!"]).is_err());
}

#[test]
fn windows_hosts_separate_by_backslash() {
    let rules = IgnoreRules::parse_for_windows_host(b"a\\b\n").unwrap();
    assert!(rules.decide("a/b").ignored);
}

#[test]
fn names_need_not_be_utf8() {
    let rules = IgnoreRules::parse(b"*.log\n?x\n").unwrap();
    assert!(rules.decide(b"\xff.log").ignored);
    assert!(rules.decide(b"\xffx").ignored);
}

#[test]
fn backslash_before_a_letter_without_meaning_is_refused() {
    for pattern in ["\\x", "obj\\z64", "a\\"] {
        let error = IgnoreRules::parse(pattern.as_bytes()).unwrap_err();
        assert!(error.message.contains("separated by /"), "{pattern}: {}", error.message);
    }
}
