//! Applies the edits that diagnostics carry.

use crate::diagnostic::{Diagnostic, Edit};
use crate::parse::{ParseOptions, parse};
use crate::source::SourceText;
use crate::span::Span;

/// A text after edits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The whole file: byte-order mark, line ends and bytes that are not UTF-8 as they were.
    pub bytes: Vec<u8>,
    /// The positions, in the list that was given, of the diagnostics whose edits were made.
    pub applied: Vec<usize>,
}

/// Applies the edits of diagnostics to a text.
///
/// Of edits that overlap the first one is made; the others may be found again in the new text. An edit that would give
/// a text with more errors than before is not made.
pub fn fix(source: &SourceText, found: &[Diagnostic]) -> Fixed {
    let mut edits: Vec<(usize, &Edit)> =
        found.iter().enumerate().filter_map(|(at, one)| Some((at, one.fix.as_deref()?))).collect();
    edits.sort_by_key(|(_, edit)| (edit.span.start(), edit.span.end()));
    let mut chosen: Vec<(usize, &Edit)> = Vec::with_capacity(edits.len());
    for (at, edit) in edits {
        let is_apart = chosen.last().is_none_or(|(_, last)| {
            last.span.end() < edit.span.start() || (last.span.end() == edit.span.start() && !edit.span.is_empty())
        });
        // What is not UTF-8 could not be written back.
        let is_text = !source.has_invalid(edit.span);
        if is_apart && is_text && edit.span.end() <= source.text().len() {
            chosen.push((at, edit));
        }
    }
    let before = errors(&whole(source));
    let all = apply(source, chosen.iter().map(|(_, edit)| *edit));
    if errors(&all) <= before {
        return Fixed { bytes: all, applied: chosen.into_iter().map(|(at, _)| at).collect() };
    }
    // One of them does harm: leave out those that do so by themselves.
    let is_harmless = |edit: &Edit| errors(&apply(source, std::iter::once(edit))) <= before;
    chosen.retain(|(_, edit)| is_harmless(edit));
    let rest = apply(source, chosen.iter().map(|(_, edit)| *edit));
    if errors(&rest) <= before {
        return Fixed { bytes: rest, applied: chosen.into_iter().map(|(at, _)| at).collect() };
    }
    Fixed { bytes: whole(source), applied: Vec::new() }
}

fn whole(source: &SourceText) -> Vec<u8> {
    apply(source, std::iter::empty())
}

/// Makes edits that are in order and apart from each other.
fn apply<'a>(source: &SourceText, edits: impl Iterator<Item = &'a Edit>) -> Vec<u8> {
    let text = source.text();
    let mut out = if source.has_bom() { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
    let has_returns = text.split_inclusive('\n').next().is_some_and(|line| line.ends_with("\r\n"));
    let mut from = 0;
    for edit in edits {
        out.extend_from_slice(&source.bytes(Span::new(from, edit.span.start())));
        let replacement = edit.replacement.replace("\r\n", "\n");
        let replacement = if has_returns { replacement.replace('\n', "\r\n") } else { replacement };
        out.extend_from_slice(replacement.as_bytes());
        from = edit.span.end();
    }
    out.extend_from_slice(&source.bytes(Span::new(from, text.len())));
    out
}

fn errors(bytes: &[u8]) -> usize {
    parse(bytes, &ParseOptions::default()).diagnostics.iter().filter(|one| one.is_error()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::CheckSettings;
    use crate::lint;

    fn findings(bytes: &[u8]) -> (SourceText, Vec<Diagnostic>) {
        let parsed = parse(bytes, &ParseOptions::default());
        assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
        let checks = CheckSettings { extras: true, ..CheckSettings::default() };
        let found = lint::check(&parsed.dockerfile, &checks, &|_| true);
        (parsed.dockerfile.source, found)
    }

    /// Fixes until nothing is left to be fixed.
    fn fixed(text: impl AsRef<[u8]>) -> String {
        let mut bytes = text.as_ref().to_vec();
        for _ in 0..10 {
            let (source, found) = findings(&bytes);
            let after = fix(&source, &found);
            if after.applied.is_empty() {
                assert_eq!(after.bytes, bytes);
                return String::from_utf8_lossy(&bytes).into_owned();
            }
            bytes = after.bytes;
        }
        panic!("never done: {}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn every_kind_of_edit_mends_what_it_is_for() {
        for (before, after) in [
            ("FROM a:1 AS Base\n", "FROM a:1 AS base\n"),
            ("FROM a:1 as b\n", "FROM a:1 AS b\n"),
            ("from a:1 AS B\n", "from a:1 as b\n"),
            ("FROM a:1\nrun x\nCMD [\"x\"]\n", "FROM a:1\nRUN x\nCMD [\"x\"]\n"),
            ("FROM a:1\nRUN a \\\n\n b \\\n # c\n\n\n d\n", "FROM a:1\nRUN a \\\n b \\\n # c\n d\n"),
            ("FROM a:1\nRUN cat \\\n\n <<EOF\nx\n\ny\nEOF\n", "FROM a:1\nRUN cat \\\n <<EOF\nx\n\ny\nEOF\n"),
            (
                "FROM a:1\nMAINTAINER Ann <a@b.c>\n",
                "FROM a:1\nLABEL org.opencontainers.image.authors=\"Ann <a@b.c>\"\n",
            ),
            ("FROM a:1\nENV A b\nLABEL c d  e\n", "FROM a:1\nENV A=b\nLABEL c=\"d  e\"\n"),
            ("FROM a:1\nCOPY x C:\\\nUSER x\n", "FROM a:1\nCOPY x C:/\nUSER x\n"),
            (
                "FROM a:1\nRUN apt-get -y install -U x\n",
                "FROM a:1\nRUN apt-get -y install -U x && rm -rf /var/lib/apt/lists/*\n",
            ),
            (
                "FROM a:1\nRUN apt update \\\n    && apt install x\n",
                "FROM a:1\nRUN apt update \\\n    && apt install x \\\n    && rm -rf /var/lib/apt/lists/*\n",
            ),
            (
                "# escape=`\r\nFROM a:1\r\nRUN apt update `\r\n  && apt install x\r\n",
                "# escape=`\r\nFROM a:1\r\nRUN apt update `\r\n  && apt install x `\r\n  && rm -rf /var/lib/apt/lists/*\r\n",
            ),
            (
                "FROM a:1\nRUN <<E\nset -e\napt-get update\napt-get install x\nE\n",
                "FROM a:1\nRUN <<E\nset -e\napt-get update\napt-get install x\nrm -rf /var/lib/apt/lists/*\nE\n",
            ),
            ("FROM a:1\nRUN apk add x && apk add y\n", "FROM a:1\nRUN apk add --no-cache x && apk add --no-cache y\n"),
            ("ARG A\nARG B=1\nFROM a:$B\nARG C=2\n", "ARG B=1\nFROM a:$B\n"),
            ("FROM a:1\nCOPY --chmod=0777 a b /c/\n", "FROM a:1\nCOPY --chmod=0775 a b /c/\n"),
            (
                "FROM a:1 AS Base\nARG TARGETSTAGE\nENV S=$TARGETSTAGE\n",
                "FROM a:1 AS base\nARG TARGETSTAGE\nENV S=$TARGETSTAGE\n",
            ),
            ("FROM a:1\nADD --chmod=666 a /c\n", "FROM a:1\nADD --chmod=664 a /c\n"),
        ] {
            assert_eq!(fixed(before), after);
        }
    }

    #[test]
    fn what_is_not_sure_is_left_alone() {
        for text in [
            "FROM a:1\nMAINTAINER \"Ann\"\n",
            "FROM a:1\nENV A \"b c\"\n",
            "FROM a:1\nRUN apt-get update && apt-get install x || true\n",
            "FROM a:1\nRUN sudo apt-get update && sudo apt-get install x\n",
            "FROM a:1\nRUN <<E\napt-get update\napt-get install x\nE\n",
            "FROM a:1\nCOPY --chmod=777 a /b\nUSER 1000\nRUN touch /b\n",
            "FROM a:1\nRUN apt-get update && apt-get install x # && x\n",
            "FROM a:1\nRUN apt-get update && apt-get install x;\n",
            "FROM a:1\nRUN apk update && apk add x\n",
            "FROM a:1\nRUN sh -c \"apk add x\"\n",
            "# what\nFROM a:1\n# A is\nARG A\n",
            "FROM a:1\nARG VERSION=1\nLABEL v=$VERSOIN\n",
            "FROM a:1\nCOPY --chmod=a+w a /c\n",
        ] {
            assert_eq!(fixed(text), text);
        }
    }

    #[test]
    fn marks_and_bytes_that_are_not_text_stay() {
        let (source, found) = findings(b"\xef\xbb\xbf# \xff\r\nFROM a:1 AS B\r\nLABEL x \xfe\r\n");
        let after = fix(&source, &found);
        assert_eq!(after.applied.len(), 1);
        assert_eq!(after.bytes, b"\xef\xbb\xbf# \xff\r\nFROM a:1 AS b\r\nLABEL x \xfe\r\n");
    }

    #[test]
    fn edits_that_overlap_or_do_harm_are_not_made() {
        let source = SourceText::new(b"FROM a\nUSER x\n");
        let at = |start, end, text: &str| {
            Diagnostic::lint(crate::Rule::UnusedArg, "", Span::new(start, end)).with_fix(Span::new(start, end), text)
        };
        let after = fix(&source, &[at(5, 6, "b"), at(5, 6, "c"), at(7, 11, "UZER"), at(12, 13, "y")]);
        assert_eq!(String::from_utf8_lossy(&after.bytes), "FROM b\nUSER y\n");
        assert_eq!(after.applied, [0, 3]);
    }
}
