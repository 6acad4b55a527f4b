//! `strake check --fix`.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use strake::{BuildRequest, Checked, Diagnostic, SourceText};

use super::check;
use crate::call::Asker;

/// Edits that overlap need a round each; more than these no file of people has.
const ROUNDS: usize = 20;

/// Checks and mends until there is nothing left to mend; gives what is left, and a line about each edit.
pub(super) fn run(asker: &Asker, request: &BuildRequest) -> Result<(Checked, Vec<String>)> {
    let mut made = Vec::new();
    for _ in 0..ROUNDS {
        let checked = check(asker, request)?;
        let Some(file) = checked.files.first() else { return Ok((checked, made)) };
        let Some(path) = &file.path else {
            bail!("--fix needs a Dockerfile in a folder of this machine: name it by --file");
        };
        if checked.has_errors() {
            crate::complain(&format!("warning: {} has errors and is left as it is\n", path.display()));
            return Ok((checked, made));
        }
        let own = checked.findings.iter().filter(|one| one.file == file.name).map(|one| one.diagnostic.clone());
        let found: Vec<Diagnostic> = own.collect();
        let fixed = strake::fix(&file.source, &found);
        if fixed.applied.is_empty() {
            return Ok((checked, made));
        }
        replace(path, &file.source, &fixed.bytes)?;
        for one in fixed.applied.iter().filter_map(|at| found.get(*at)) {
            let line = file.source.line_of(one.span.start());
            let name = one.rule.map_or(one.code, strake::Rule::name);
            made.push(format!("fixed {}:{line}: {name}: {}", file.name, one.message));
        }
    }
    Ok((check(asker, request)?, made))
}

/// Writes the file beside its place and renames it there (edges.md 4); a link to it stays a link, and its mode stays.
fn replace(path: &Path, before: &SourceText, bytes: &[u8]) -> Result<()> {
    let fail = || format!("cannot write {}", path.display());
    let real = std::fs::canonicalize(path).with_context(fail)?;
    let current = std::fs::read(&real).with_context(fail)?;
    if SourceText::new(&current) != *before {
        bail!("{} was changed while it was checked: run the command again", path.display());
    }
    let folder = real.parent().context("a file is in a folder")?;
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(fail)?;
    file.write_all(bytes).with_context(fail)?;
    let permissions = std::fs::metadata(&real).with_context(fail)?.permissions();
    file.as_file().set_permissions(permissions).with_context(fail)?;
    file.as_file().sync_all().with_context(fail)?;
    file.persist(&real).with_context(fail)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_meanwhile_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("Dockerfile");
        std::fs::write(&path, "FROM b\n").expect("written");
        assert!(replace(&path, &SourceText::new(b"FROM a\n"), b"FROM c\n").is_err());
        replace(&path, &SourceText::new(b"FROM b\n"), b"FROM c\n").expect("replaced");
        assert_eq!(std::fs::read(&path).expect("readable"), b"FROM c\n");
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 1);
    }
}
