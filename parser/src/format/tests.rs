use super::format;

fn formatted(text: &str) -> String {
    let once = format(text.as_bytes()).unwrap();
    assert_eq!(format(&once).unwrap(), once, "a second time changes nothing");
    String::from_utf8(once).unwrap()
}

#[track_caller]
fn assert_kept(text: &str) {
    assert_eq!(formatted(text), text);
}

#[test]
fn keywords_are_upper_case_and_begin_the_line() {
    assert_eq!(
        formatted("  from a  as b\n\trun\t x\nhealthcheck --retries=1 cmd y\nHealthcheck none\n"),
        "FROM a  AS b\nRUN x\nHEALTHCHECK --retries=1 CMD y\nHEALTHCHECK NONE\n"
    );
    assert_eq!(formatted("FROM a\nru\\\nn x\n"), "FROM a\nRU\\\nN x\n");
    assert_eq!(formatted("FROM a\nRUN  \\\n x\n"), "FROM a\nRUN \\\n    x\n");
    // The text of a trigger is in the image.
    assert_eq!(formatted("FROM a\nonbuild  run  x  \n"), "FROM a\nONBUILD run  x  \n");
}

#[test]
fn one_blank_line_stands_between_stages_and_more_nowhere() {
    assert_eq!(
        formatted("\n\nARG A\nFROM a\n\n\nRUN x\n# last\n\n# next\nFROM b\nFROM c\n\n\n"),
        "ARG A\nFROM a\n\nRUN x\n# last\n\n# next\nFROM b\n\nFROM c\n"
    );
    assert_eq!(formatted("FROM a\n# next\nFROM b"), "FROM a\n\n# next\nFROM b\n");
    assert_kept("FROM a\n# last\n\nFROM b\n");
}

#[test]
fn stages_in_blocks_stay_with_their_block() {
    let head = "# strake: features=if\n";
    assert_eq!(
        formatted(&format!("{head}from a\nif $B\n# b\nfrom b\nelse if $C\nfrom c\nelse\n# d\nfrom d\nendif\nfrom e\n")),
        format!("{head}FROM a\n\nIF $B\n# b\nFROM b\nELSE IF $C\nFROM c\nELSE\n# d\nFROM d\nENDIF\n\nFROM e\n")
    );
    assert_kept(&format!("{head}IF $B\nFROM a\nELSE\n\nFROM b\nENDIF\nRUN x\n"));
    assert_kept(&format!("{head}FROM a\n# one\n\nIF $A == if\n\nFROM b\nENDIF\n"));
}

#[test]
fn continued_lines_are_indented_and_keep_their_structure() {
    assert_eq!(
        formatted("FROM a\nRUN x && \\\ny \\\n\tz \\ \n  # why\n\n\n  && w\n"),
        "FROM a\nRUN x && \\\n    y \\\n        z \\\n      # why\n\n      && w\n"
    );
    assert_eq!(formatted("FROM a\nENV A=1 \\\n  B=2\n"), "FROM a\nENV A=1 \\\n    B=2\n");
    assert_eq!(formatted("FROM a\nCMD [\"a\", \\\n\"b\"]\n"), "FROM a\nCMD [\"a\", \\\n    \"b\"]\n");
    assert_eq!(formatted("FROM a\nRUN x; \\\n\t\\\n\ty\n"), "FROM a\nRUN x; \\\n    \\\n    y\n");
}

#[test]
fn blanks_with_a_meaning_stay() {
    assert_kept("FROM a\nRUN echo \"a \\\n  b\"\n");
    assert_kept("FROM a\nRUN ec\\\nho a\n");
    assert_kept("FROM a\nENV A one \\\n  two\n");
    assert_kept("FROM a\nWORKDIR /a\\\n b\n");
    assert_kept("FROM a\nRUN <<EOF cat \\\n -\n  a \nEOF\n");
    assert_kept("# escape=`\nFROM a\nRUN x `\n  y\n");
    assert_kept("FROM a\nSHELL [\"cmd\", \"/c\"]\nRUN x \\\n  y\n");
    assert_eq!(formatted("FROM a\nRUN a\\\\ \n"), "FROM a\nRUN a\\\\\n");
    assert_kept("FROM a\nRUN a\\\r \nRUN b\n");
}

#[test]
fn comments_and_directives_keep_their_role() {
    assert_kept("#  syntax = docker/dockerfile:1 \n# escape=\\\n\n# strake: features=x\nFROM a\n");
    assert_eq!(formatted("\n\n  # escape=`  \nFROM a\n"), "\n# escape=`\nFROM a\n");
    assert_kept(" #!/x\n# syntax=docker/dockerfile:1\nFROM a\n");
    assert_eq!(formatted("FROM a\nRUN x \\\n# end"), "FROM a\nRUN x \\\n    # end\n");
}

#[test]
fn bytes_and_line_ends_stay() {
    assert_eq!(
        formatted("from a\r\nrun x \\\n y\r\nRUN <<E\nb \r\nE"),
        "FROM a\r\nRUN x \\\r\n    y\r\nRUN <<E\r\nb \r\nE\r\n"
    );
    assert_eq!(format(b"\xef\xbb\xbffrom a\nrun \xff \n").unwrap(), b"\xef\xbb\xbfFROM a\nRUN \xff\n");
    assert_eq!(formatted("FROM a\n\\\n# end\n\\"), "FROM a\n# end\n");
}

#[test]
fn a_file_with_errors_is_refused() {
    let problems = format(b"FROM a\nRUNN x\n").unwrap_err();
    assert!(problems.iter().any(|found| found.message.contains("RUNN")));
}
