//! Directives that stand too late to be any (dockerfile.md §2.1).

use super::Findings;
use crate::ast::{Dockerfile, Escape};
use crate::diagnostic::Diagnostic;
use crate::rule::Rule;
use crate::syntax::split_directive;

pub(super) fn check(dockerfile: &Dockerfile, findings: &mut Findings<'_>) {
    let source = &dockerfile.source;
    // The directives of an included file are for who opens it alone.
    let end = source.included().first().map_or(usize::MAX, |first| first.start);
    let counts = dockerfile.directives.syntax.as_ref().map(|syntax| syntax.span);
    // One that is given twice at the top is an error of its own.
    let at_top = (1..).take_while(|line| source.line(*line).and_then(directive).is_some()).last().unwrap_or(0);
    for span in dockerfile.comments.iter().filter(|span| span.start() < end) {
        let Some((name, value)) = directive(source.slice(*span)) else { continue };
        if source.line_of(span.start()) <= at_top {
            continue;
        }
        let made = if name.eq_ignore_ascii_case("escape") {
            let other = match dockerfile.directives.escape() {
                Escape::Backslash => "`",
                Escape::Backtick => "\\",
            };
            if value != other {
                continue;
            }
            let message = format!("this line does not make {value} the escape character");
            Diagnostic::lint(Rule::LateDirective, message, *span)
        } else if name.eq_ignore_ascii_case("syntax")
            && !value.contains(char::is_whitespace)
            && counts.is_none_or(|counts| !counts.overlaps(*span))
        {
            Diagnostic::lint(Rule::LateDirective, "this line chooses no syntax", *span).as_note()
        } else {
            continue;
        };
        let help =
            "move it to the first line: directives count before all other comments, blank lines and instructions";
        findings.add(None, made.with_help(help));
    }
}

/// Reads a comment as a directive of a known name.
fn directive(line: &str) -> Option<(&str, &str)> {
    let is_known = |name: &str| ["syntax", "escape", "check"].iter().any(|known| known.eq_ignore_ascii_case(name));
    let parts = split_directive(line.trim().strip_prefix('#')?.trim_start())?;
    is_known(parts.0).then_some(parts)
}
