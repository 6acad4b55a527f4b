//! `strake dockerfile format`: files in one form.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use strake::{ErrorKind, ParseOptions};

use super::FormatArgs;

/// Formats every file; one that cannot be formatted keeps none of the others from it.
pub(super) fn run(args: &FormatArgs) -> Result<ExitCode> {
    let is_written = args.write || args.check;
    if args.write && args.files.iter().any(|file| file == "-") {
        bail!("--write needs files: standard input cannot be written to");
    }
    if args.files.len() > 1 && !is_written {
        bail!("several files cannot go to standard output: add --write or --check");
    }
    let mut is_well = true;
    for file in &args.files {
        let (name, bytes) = super::read(file)?;
        let formatted = match strake::format(&bytes) {
            Ok(formatted) => formatted,
            Err(problems) => {
                let dockerfile = strake::parse(&bytes, &ParseOptions::default()).dockerfile;
                super::show(&name, &dockerfile, &problems);
                is_well = false;
                continue;
            }
        };
        if args.check {
            if formatted != bytes {
                crate::say(&format!("{file} is not formatted"))?;
                is_well = false;
            }
        } else if args.write {
            if formatted != bytes {
                write_back(file, &formatted)?;
            }
        } else {
            crate::say_all(&formatted)?;
        }
    }
    let failed = crate::exit::of_kind(ErrorKind::User);
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(failed) })
}

/// Puts the text in the file's place: the file that a link leads to, with its permissions, whole or not at all.
fn write_back(file: &str, bytes: &[u8]) -> Result<()> {
    let fail = || format!("cannot write {file}");
    let path = std::fs::canonicalize(file).with_context(fail)?;
    let permissions = std::fs::metadata(&path).with_context(fail)?.permissions();
    if permissions.readonly() {
        bail!("cannot write {file}: it is read-only");
    }
    let folder = path.parent().with_context(fail)?;
    let mut made = tempfile::NamedTempFile::new_in(folder).with_context(fail)?;
    made.write_all(bytes).with_context(fail)?;
    made.as_file().set_permissions(permissions).with_context(fail)?;
    made.persist(&path).with_context(fail)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(args: &[&str], folder: &std::path::Path, files: &[&str]) -> Result<ExitCode> {
        let files = files.iter().map(|file| folder.join(file).display().to_string()).collect();
        run(&FormatArgs { check: args.contains(&"check"), write: args.contains(&"write"), files })
    }

    #[test]
    fn written_files_keep_links_and_permissions() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a"), "from x\n").expect("a file");
        std::fs::write(folder.path().join("bad"), "FROM x\nRUNN\n").expect("a file");
        let failed = ExitCode::from(1);
        assert_eq!(format(&["check"], folder.path(), &["a"]).expect("runs"), failed);
        assert_eq!(format(&["write"], folder.path(), &["bad", "a"]).expect("runs"), failed);
        assert_eq!(std::fs::read(folder.path().join("a")).expect("a file"), b"FROM x\n");
        assert_eq!(std::fs::read(folder.path().join("bad")).expect("a file"), b"FROM x\nRUNN\n");
        assert_eq!(format(&["check"], folder.path(), &["a"]).expect("runs"), ExitCode::SUCCESS);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2, "no temporary file is left");
        let several = format(&[], folder.path(), &["a", "bad"]).expect_err("several files");
        assert!(several.to_string().contains("--write"), "{several}");
    }
}
