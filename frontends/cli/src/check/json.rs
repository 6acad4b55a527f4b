//! Findings as the reference's JSON (dockerfile.md §19): `warnings`, `sources`, `buildError`.

use serde_json::{Map, Value, json};
use strake::{Checked, CheckedFile, Dockerfile, Finding, Location, ParseOptions, Span};

use crate::{base64, call};

/// Makes the document; with `more`, members that the reference does not have are added, and findings of no rule.
pub(super) fn report(checked: &Checked, more: bool) -> Value {
    let trees: Vec<Dockerfile> = checked
        .files
        .iter()
        .map(|file| strake::parse(file.source.text().as_bytes(), &ParseOptions::default()).dockerfile)
        .collect();
    let place = |finding: &Finding| {
        let index = checked.files.iter().position(|file| file.name == finding.file).unwrap_or(0);
        location(index, trees.get(index), finding)
    };
    let warnings: Vec<Value> = checked
        .findings
        .iter()
        .filter(|one| !one.diagnostic.is_error() && (more || one.diagnostic.rule.is_some()))
        .map(|one| warning(checked, one, place(one), more))
        .collect();
    let source = |(file, tree): (&CheckedFile, &Dockerfile)| {
        let text = file.source.masked(&strake::secret_values(tree));
        json!({"filename": &*file.name, "language": "Dockerfile", "data": base64::encode(text.text().as_bytes())})
    };
    let sources: Vec<Value> = checked.files.iter().zip(&trees).map(source).collect();
    let mut out = Map::new();
    out.insert("warnings".to_owned(), warnings.into());
    out.insert("sources".to_owned(), sources.into());
    let error = checked.findings.iter().find(|one| one.diagnostic.is_error());
    if let Some(error) = error {
        out.insert("buildError".to_owned(), json!({"message": &error.diagnostic.message, "location": place(error)}));
    } else if let Some(verdict) = &checked.verdict {
        out.insert("buildError".to_owned(), json!({"message": verdict}));
    }
    if more {
        let errors = checked.findings.iter().filter(|one| one.diagnostic.is_error());
        let errors: Vec<Value> = errors.map(|one| warning(checked, one, place(one), true)).collect();
        out.insert("errors".to_owned(), errors.into());
    }
    Value::Object(out)
}

fn warning(checked: &Checked, finding: &Finding, location: Value, more: bool) -> Value {
    let found = &finding.diagnostic;
    let mut out = Map::new();
    out.insert("ruleName".to_owned(), found.rule.map_or(found.code, strake::Rule::name).into());
    if let Some(rule) = found.rule {
        out.insert("description".to_owned(), rule.description().into());
        if let Some(url) = rule.url() {
            out.insert("url".to_owned(), url.into());
        }
    }
    out.insert("detail".to_owned(), found.message.as_str().into());
    out.insert("location".to_owned(), location);
    if more {
        out.insert("code".to_owned(), found.code.into());
        out.insert("severity".to_owned(), found.severity.name().into());
        out.insert("region".to_owned(), region(finding, found.span));
        if let Some(help) = &found.help {
            out.insert("help".to_owned(), help.as_str().into());
        }
        if let Some(fix) = checked.shown_fix(finding) {
            let edit = json!({"region": region(finding, fix.span), "replacement": fix.replacement});
            out.insert("fix".to_owned(), edit);
        }
    }
    Value::Object(out)
}

/// Lines and columns from 1; columns count characters and the end is the one after.
fn region(finding: &Finding, span: Span) -> Value {
    let (start, end) = (finding.source.line_col(span.start()), finding.source.line_col(span.end()));
    json!({"start": {"line": start.0, "column": start.1}, "end": {"line": end.0, "column": end.1}})
}

/// The lines of the whole instruction, as the reference gives them.
fn location(file: usize, tree: Option<&Dockerfile>, finding: &Finding) -> Value {
    let lines = tree.map(|tree| tree.lines_of(finding.diagnostic.span));
    let (first, last) = lines.map_or((finding.line, finding.line), |lines| (lines.first(), lines.last()));
    call::location(Location { file, first, last })
}
