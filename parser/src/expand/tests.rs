use super::*;

fn lookup(name: &str) -> Option<String> {
    let value = match name {
        "V" => "foobarbaz",
        "E" => "",
        "A" => "1",
        "X" => "value.tar.gz",
        "W" => "two words",
        "N" => "a\nb",
        "P" => "*",
        "B" => r"c:\dir\file",
        _ => return None,
    };
    Some(value.to_owned())
}

fn word(raw: &str) -> Word {
    Word { raw: raw.into(), span: Span::new(0, raw.len()) }
}

fn expand(raw: &str) -> String {
    Expander::new(Escape::Backslash, &lookup).word(&word(raw)).map_or_else(|error| error.message, |done| done.text)
}

#[test]
fn measured_table_holds() {
    for (raw, wanted) in [
        ("${V#f*b}", "arbaz"),
        ("${V##f*b}", "az"),
        ("${V%b*}", "foobar"),
        ("${V%%b*}", "foo"),
        ("${V/ba/fo}", "fooforbaz"),
        ("${V//ba/fo}", "fooforfoz"),
        ("${U:-d}", "d"),
        ("${U-d}", "d"),
        ("${U:+s}", ""),
        ("${E-x}", ""),
        ("${E:-x}", "x"),
        (r"\$V", "$V"),
        ("'$V'", "$V"),
        (r#""\"q\"""#, "\"q\""),
        (r"a\ b", "a b"),
        (r"c:\x", "c:x"),
        ("$$", ""),
        ("$1", ""),
        ("$", "$"),
        ("$(x)", "$(x)"),
        (r"${V/b/\/}", r"foo\/arbaz"),
    ] {
        assert_eq!(expand(raw), wanted, "{raw}");
    }
}

#[test]
fn quotes_and_escapes_are_removed() {
    for (raw, wanted) in [
        (r#""a b"'c d'"#, "a bc d"),
        (r#""\x\\\$V""#, r"\x\$V"),
        (r#"'a\'b"#, r"a\b"),
        (r"ab\", "ab"),
        ("${A}x$A-y", "1x1-y"),
        ("\"$W\"", "two words"),
        ("${W}", "two words"),
        ("é$A", "é1"),
        ("$é", ""),
        ("", ""),
    ] {
        assert_eq!(expand(raw), wanted, "{raw}");
    }
}

#[test]
fn defaults_nest() {
    for (raw, wanted) in [
        ("${U:-a ${A}}", "a 1"),
        ("${U:-${E:-${A}}}", "1"),
        (r#"${U:-"}"}"#, "}"),
        (r"${U:-\}}", "}"),
        ("${A:+yes}", "yes"),
        ("${E+yes}", "yes"),
        ("${E:+yes}", ""),
        ("${A:?no}", "1"),
        ("${E?no}", ""),
    ] {
        assert_eq!(expand(raw), wanted, "{raw}");
    }
}

#[test]
fn patterns_match_as_in_the_reference() {
    for (raw, wanted) in [
        ("${X%.*}", "value.tar"),
        ("${X%%.*}", "value"),
        ("${X#*.}", "tar.gz"),
        ("${X##*.}", "gz"),
        ("${X/a/A}", "vAlue.tar.gz"),
        ("${X//a/A}", "vAlue.tAr.gz"),
        ("${V/*/x}", "x"),
        ("${V/?/x}", "xoobarbaz"),
        ("${V//[/x}", "foobarbaz"),
        // No pattern stands in each gap, as an empty regular expression does.
        ("${V///x}", "xfxoxoxbxaxrxbxaxzx"),
        ("${V/$U/x}", "xfoobarbaz"),
        ("${U//$U/x}", "x"),
        ("${V//x}", "failed to process \"${V//x}\": syntax error: missing '/' in ${}"),
        (r"${P#\*}", ""),
        (r"${P#\?}", "*"),
        (r"${N#*b}", "a\nb"),
        (r"${B//\\//}", "c:/dir/file"),
        (r"${B##*\\}", "file"),
        (r"${V#\a}", r#"failed to process "${V#\\a}": invalid pattern (\a) in substitution: invalid escape '\a'"#),
        ("${U#x}", ""),
        ("${U/a/b}", ""),
    ] {
        assert_eq!(expand(raw), wanted, "{raw}");
    }
}

#[test]
fn errors_say_what_is_wrong() {
    for (raw, reason) in [
        ("\"x", "unexpected end of statement while looking for matching double-quote"),
        ("'x", "unexpected end of statement while looking for matching single-quote"),
        ("${", "syntax error: missing '}'"),
        ("${V", "syntax error: missing '}'"),
        ("${V:-x", "syntax error: missing '}'"),
        ("${V:-\"x}", "syntax error: missing '}'"),
        ("${{V}", "syntax error: bad substitution"),
        ("${}", "syntax error: bad substitution"),
        ("${V^}", "unsupported modifier (^) in substitution"),
        ("${V:#x}", "unsupported modifier (:#) in substitution"),
        ("${V:é}", "unsupported modifier (:é) in substitution"),
        ("${U:?}", "U: is not allowed to be unset"),
        ("${U?need U}", "U: need U"),
        ("${E:?}", "E: is not allowed to be empty"),
    ] {
        assert_eq!(expand(raw), format!("failed to process {raw:?}: {reason}"), "{raw}");
    }
}

#[test]
fn words_are_split_after_expansion() {
    let expander = Expander::new(Escape::Backslash, &lookup);
    let words = |raw| expander.words(&word(raw)).unwrap();
    assert_eq!(words("$W x"), ["two", "words", "x"]);
    assert_eq!(words("\"$W\" x"), ["two words", "x"]);
    assert_eq!(words("a'b c'd"), ["ab cd"]);
    assert_eq!(words("$E \"\" $U"), [""; 0]);
    assert_eq!(words("80\u{a0}81"), ["80", "81"]);
}

#[test]
fn heredoc_bodies_keep_quotes_and_bytes() {
    let expander = Expander::new(Escape::Backtick, &lookup);
    let body = |text: &[u8]| expander.heredoc(text, Span::default()).unwrap();
    assert_eq!(body(b"'$A' \"$A\" \\$A \\\\ \\x `$A $(ls) ${U:-'d'}"), b"'1' \"1\" $A \\ x `1 $(ls) 'd'");
    assert_eq!(body(b"\xff$A\xfe"), b"\xff1\xfe");
    assert_eq!(body(b"$A,${X}y,$X-y,[$U],[$E]\n"), b"1,value.tar.gzy,value.tar.gz-y,[],[]\n");
}

#[test]
fn backtick_is_an_escape_when_asked_for() {
    let expander = Expander::new(Escape::Backtick, &lookup);
    assert_eq!(expander.word(&word(r"c:\dir`$A\x")).unwrap().text, r"c:\dir$A\x");
    assert_eq!(expander.word(&word("\"`\"x\\\"")).unwrap().text, "\"x\\");
}

#[test]
fn names_are_collected_once() {
    let expander = Expander::new(Escape::Backslash, &lookup);
    let done = expander.word(&word("$A$U${A}${U:-$MISSING}")).unwrap();
    assert_eq!(done.names.used, ["A"]);
    assert_eq!(done.names.unset, ["U", "MISSING"]);
    expander.words(&word("$E")).unwrap();
    assert_eq!(expander.names().used, ["A", "E"]);
}

#[test]
fn odd_replacements_are_warned_of() {
    let expander = Expander::new(Escape::Backslash, &lookup);
    assert_eq!(expander.word(&word(r"${V//b/\$1}")).unwrap().warnings.len(), 1);
    assert_eq!(expander.word(&word("${V//b/c}")).unwrap().warnings.len(), 0);
}

#[test]
fn growth_is_bounded() {
    let big = "x".repeat(600_000);
    let lookup = move |name: &str| (name == "BIG").then(|| big.clone());
    let expander = Expander::new(Escape::Backslash, &lookup);
    let error = expander.word(&word("$BIG$BIG")).unwrap_err();
    assert_eq!(error.code, codes::EXPANSION_TOO_LARGE);
    let error = expander.word(&word("${BIG//x/xxxxxxxxxx}")).unwrap_err();
    assert_eq!(error.code, codes::EXPANSION_TOO_LARGE);
    let mut count = 0;
    while expander.word(&word("$BIG")).is_ok() {
        count += 1;
    }
    assert_eq!(count, MAX_INSTRUCTION / 600_000);
    let deep = "${U:-".repeat(5_000);
    assert!(expander.word(&word(&deep)).is_err());
    let error = expander.word(&word(&format!("{}\"", "y".repeat(100_000)))).unwrap_err();
    assert!(error.message.len() < 4 << 10, "{}", error.message.len());
}
