//! Errors and findings as text, with the source excerpt.

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use strake::{Error, ErrorKind, Finding, Severity};

use crate::harmless::harmless;

/// Longer lines of an error are cut in the middle (edges.md 15).
const LONGEST_LINE: usize = 4096;

/// A finding as rustc would show it: code, message, place, excerpt, help.
pub fn finding(finding: &Finding, colour: bool) -> String {
    let found = &finding.diagnostic;
    let level = match found.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let message = shortened(&found.message);
    let text = finding.source.text();
    let code = found.rule.map_or_else(|| found.code.to_owned(), |rule| format!("{} {}", found.code, rule.name()));
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    if found.span.is_empty() && (found.span.start() == 0 || found.span.start() >= text.trim_end().len()) {
        // The command line or the file as a whole: no line of it is wrong.
        let mut group = level.primary_title(&message).id(&code).element(Origin::path(&*finding.file));
        if let Some(help) = &found.help {
            group = group.element(Level::HELP.message(help));
        }
        return renderer.render(&[group]) + "\n";
    }
    let lines = shown_lines(found, text);
    let first = finding.source.line_of(lines.start);
    let mut snippet = Snippet::source(&text[lines.clone()]).line_start(first).path(&*finding.file).fold(true);
    let clamp = |span: strake::Span| {
        let start = span.start().min(text.len());
        start - lines.start..span.end().clamp(start, text.len()) - lines.start
    };
    snippet = snippet.annotation(AnnotationKind::Primary.span(clamp(found.span)));
    for label in &found.labels {
        snippet = snippet.annotation(AnnotationKind::Context.span(clamp(label.span)).label(label.message.as_str()));
    }
    let mut group = level.primary_title(&message).id(&code).element(snippet);
    let (line, _) = finding.source.line_col(found.span.start());
    let begins = format!("the instruction begins at {}:{}", finding.file, finding.line);
    if finding.line < line {
        group = group.element(Level::NOTE.message(&begins));
    }
    for note in &finding.notes {
        group = group.element(Level::NOTE.message(note));
    }
    if let Some(help) = &found.help {
        group = group.element(Level::HELP.message(help));
    }
    let mut out = renderer.render(&[group]);
    out.push('\n');
    out
}

/// Gives the whole lines from the first place that a finding shows to the last: the rest of a long file costs time.
fn shown_lines(found: &strake::Diagnostic, text: &str) -> std::ops::Range<usize> {
    let spans = || found.labels.iter().map(|label| label.span).chain([found.span]);
    let start = spans().map(strake::Span::start).min().unwrap_or_default().min(text.len());
    let end = spans().map(strake::Span::end).max().unwrap_or_default().clamp(start, text.len());
    let before = text.as_bytes()[..start].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let after = text.as_bytes()[end..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| end + at + 1);
    before..after
}

/// Everything about an error: findings with excerpts, warnings among them, the log's end of a failed RUN, causes, help.
pub fn error(error: &Error, colour: bool) -> String {
    match error {
        Error::Dockerfile(findings) => findings.iter().map(|one| finding(one, colour)).collect(),
        Error::Step { finding: place, step, source } => step_error(place, step, source.as_deref(), colour),
        other => other_error(other),
    }
}

fn step_error(place: &Finding, step: &str, source: Option<&Error>, colour: bool) -> String {
    let mut lines = Vec::new();
    if let Some(Error::Run { tail, .. }) = source
        && !tail.is_empty()
    {
        lines.push(format!("------\n > {step}:"));
        lines.extend(tail.iter().map(|line| shortened(&harmless(line.as_bytes()))));
        lines.push("------".to_owned());
    }
    lines.push(finding(place, colour).trim_end().to_owned());
    if place.diagnostic.help.is_none()
        && let Some(help) = source.and_then(Error::help)
    {
        lines.push(format!("help: {help}"));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn other_error(error: &Error) -> String {
    if error.is_cancelled() {
        return "error: the build was stopped\n".to_owned();
    }
    let mut lines = vec![format!("error: {}", shortened(&error.to_string()))];
    let mut cause = std::error::Error::source(error);
    while let Some(below) = cause {
        // A message that already ends in its cause needs it no second time.
        if !error.to_string().contains(&below.to_string()) {
            lines.push(format!("  caused by: {}", shortened(&below.to_string())));
        }
        cause = below.source();
    }
    if let Some(help) = error.help() {
        lines.push(format!("help: {help}"));
    }
    if error.kind() == ErrorKind::Internal {
        lines.push("help: this is a bug of strake: please report it with the Dockerfile and this output".to_owned());
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The page about a code: what it means, and an example with its remedy.
pub fn page(page: &strake::Explanation) -> String {
    let mut out = format!("{}: {}\n\n{}\n", page.code, page.title, page.text);
    if let Some(example) = &page.example {
        for (title, text) in [("Wrong:", example.wrong), ("Right:", example.right)] {
            out.extend(["\n", title, "\n\n"]);
            for line in text.lines() {
                out.push_str(if line.is_empty() { "" } else { "    " });
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out.pop();
    out
}

/// Cuts a long line in the middle.
fn shortened(line: &str) -> String {
    if line.len() <= LONGEST_LINE {
        return line.to_owned();
    }
    let floor = |mut at: usize| {
        while !line.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let head = floor(LONGEST_LINE / 2);
    let tail = floor(line.len() - LONGEST_LINE / 2);
    format!("{} … ({} bytes) … {}", &line[..head], tail - head, &line[tail..])
}
