//! Findings as SARIF 2.1.0 (OASIS, March 2020); numbers in comments are its sections.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use strake::{Checked, Finding, Rule, Severity, SourceText, Span};

/// Makes the log of one run.
pub(super) fn report(checked: &Checked) -> Result<Value> {
    let cwd = std::env::current_dir().context("cannot tell the current folder")?;
    let uri = |finding: &Finding| {
        let file = checked.files.iter().find(|file| file.name == finding.file);
        match file.and_then(|file| file.path.as_deref()) {
            Some(path) => uri_of(path, &cwd),
            None => escaped(&finding.file),
        }
    };
    let rules = rules(checked);
    let results: Vec<Value> = checked
        .findings
        .iter()
        .map(|finding| {
            let id = id(finding);
            let index = rules.iter().position(|rule| rule["id"] == id).unwrap_or(0);
            result(checked, finding, id, index, &uri(finding))
        })
        .collect();
    Ok(json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "strake", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            // 3.14.17
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    }))
}

/// The name of the rule, or the code of what no rule found.
fn id(finding: &Finding) -> &'static str {
    finding.diagnostic.rule.map_or(finding.diagnostic.code, Rule::name)
}

/// Every rule, and the other codes that occur (3.49).
fn rules(checked: &Checked) -> Vec<Value> {
    let mut rules: Vec<Value> = Rule::ALL
        .iter()
        .map(|rule| {
            let mut out = json!({
                "id": rule.name(),
                "shortDescription": {"text": rule.description()},
                "fullDescription": {"text": rule.explanation()},
                "help": {"text": format!("strake explain {}", rule.name())},
                "properties": {"code": rule.code()},
            });
            if let Some(url) = rule.url() {
                out["helpUri"] = url.into();
            }
            out
        })
        .collect();
    let others: BTreeSet<&str> =
        checked.findings.iter().filter(|one| one.diagnostic.rule.is_none()).map(|one| one.diagnostic.code).collect();
    for code in others {
        let page = strake::explain(code);
        rules.push(json!({
            "id": code,
            "shortDescription": {"text": page.map_or(code, |page| page.title)},
            "fullDescription": {"text": page.map_or(code, |page| page.text)},
        }));
    }
    rules
}

fn result(checked: &Checked, finding: &Finding, id: &str, index: usize, uri: &str) -> Value {
    let found = &finding.diagnostic;
    let level = match found.severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let text = match &found.help {
        Some(help) => format!("{}: {help}", found.message),
        None => found.message.clone(),
    };
    let place = |span| json!({"artifactLocation": {"uri": uri}, "region": region(&finding.source, span)});
    let mut out = json!({
        "ruleId": id,
        "ruleIndex": index,
        "level": level,
        "message": {"text": text},
        "locations": [{"physicalLocation": place(found.span)}],
    });
    if !found.labels.is_empty() {
        let labels = found.labels.iter();
        let related: Vec<Value> = labels
            .map(|label| json!({"physicalLocation": place(label.span), "message": {"text": label.message}}))
            .collect();
        out["relatedLocations"] = related.into();
    }
    if let Some(fix) = checked.shown_fix(finding) {
        let replacement = json!({
            "deletedRegion": region(&finding.source, fix.span),
            "insertedContent": {"text": with_line_ends(&finding.source, &fix.replacement)},
        });
        let change = json!({"artifactLocation": {"uri": uri}, "replacements": [replacement]});
        out["fixes"] = json!([{"description": {"text": "make the edit"}, "artifactChanges": [change]}]);
    }
    out
}

/// Lines and columns from 1; the end column is the one after the last character (3.30.8).
fn region(source: &SourceText, span: Span) -> Value {
    let (start, end) = (source.line_col(span.start()), source.line_col(span.end()));
    json!({"startLine": start.0, "startColumn": start.1, "endLine": end.0, "endColumn": end.1})
}

fn with_line_ends(source: &SourceText, text: &str) -> String {
    let has_returns = source.text().split_inclusive('\n').next().is_some_and(|line| line.ends_with("\r\n"));
    if has_returns { text.replace('\n', "\r\n") } else { text.to_owned() }
}

/// A path below the current folder as a relative reference, another one as a `file` URI (3.4.3; RFC 8089).
fn uri_of(path: &Path, cwd: &Path) -> String {
    let plain = |path: &Path| {
        let parts = path.components().filter(|part| !matches!(part, std::path::Component::CurDir));
        parts.collect::<std::path::PathBuf>().to_string_lossy().replace('\\', "/")
    };
    let path = plain(path);
    match path.strip_prefix(&plain(cwd)).and_then(|below| below.strip_prefix('/')) {
        Some(below) => escaped(below),
        None if path.starts_with('/') => format!("file://{}", escaped(&path)),
        None => format!("file:///{}", escaped(&path)),
    }
}

/// Percent-encodes what may not stand in a path (RFC 3986, section 3.3).
fn escaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_uris() {
        let cwd = Path::new("/home/me");
        assert_eq!(uri_of(Path::new("/home/me/./a b/Dockerfile"), cwd), "a%20b/Dockerfile");
        assert_eq!(uri_of(Path::new("/srv/ü"), cwd), "file:///srv/%C3%BC");
        assert_eq!(uri_of(Path::new("/home/mean/x"), cwd), "file:///home/mean/x");
    }
}
