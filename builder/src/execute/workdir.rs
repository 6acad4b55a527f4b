//! WORKDIR: the directories that are missing (dockerfile.md §13.6).

use std::sync::Arc;

use strake_layers::{Layer, Rootfs, Timestamp};

use super::copy::{CopyError, Directories, make_directories};
use super::{Made, StepWork, codes, foreign};
use crate::Result;
use crate::plan::graph::WorkdirOp;

/// Carries out a WORKDIR.
pub(super) async fn workdir(work: &StepWork<'_>, op: &WorkdirOp) -> Result<Made> {
    let base = work.session.rootfs(&work.below.layers).await?;
    foreign::judge(work).await?;
    let copied = entries(op, &base, work.session.clock.epoch, work.step.span);
    let copied = copied.map_err(|error| super::copy::step::located(work, error))?;
    let layer = Arc::new(Layer::from_plan(copied.entries)?);
    // The same directories are the same result, whatever changed below (dockerfile.md §21, D-40).
    super::copy::step::keep(work, "WORKDIR", layer, copied.warnings, false)
}

/// The layer of a WORKDIR: directories that are missing, made for the current user.
pub(super) fn entries(
    op: &WorkdirOp,
    base: &Rootfs,
    epoch: Option<Timestamp>,
    span: strake_parser::Span,
) -> Result<super::copy::Copied, CopyError> {
    let wanted = Directories {
        path: &op.path,
        user: &op.user,
        is_windows: op.platform.os == "windows",
        epoch,
        span,
        code: codes::WORKDIR,
    };
    make_directories(base, &wanted)
}

#[cfg(test)]
mod tests {
    use strake_layers::{Entry, ImagePath, Metadata, Platform};
    use strake_parser::Span;

    use super::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::clean(text).expect("a path")
    }

    fn base() -> Rootfs {
        let directory = |at: &str, mode| Entry::directory(path(at), Metadata { mode, ..Metadata::default() });
        let link = Entry {
            path: path("var"),
            meta: Metadata { mode: 0o777, ..Metadata::default() },
            kind: strake_layers::EntryKind::Symlink(b"/real/var".as_slice().into()),
        };
        let passwd = b"root:x:0:0::/:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n".to_vec();
        let file = Entry::inline_file(path("etc/passwd"), Metadata { mode: 0o644, ..Metadata::default() }, passwd);
        let mut entries =
            vec![directory("etc", 0o755), file, directory("real", 0o711), directory("real/var", 0o700), link];
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Rootfs::new(vec![entries.into()])
    }

    fn run(at: &str, user: &str) -> Result<Vec<String>, String> {
        let platform = Platform {
            architecture: "amd64".into(),
            os: "linux".into(),
            os_version: None,
            os_features: Vec::new(),
            variant: None,
        };
        let op = WorkdirOp { path: at.into(), user: user.into(), platform };
        match entries(&op, &base(), Some(Timestamp::from_seconds(7)), Span::default()) {
            Ok(made) => Ok(made
                .entries
                .iter()
                .map(|e| format!("{} {:o} {}:{} {}", e.path, e.meta.mode, e.meta.uid, e.meta.gid, e.meta.mtime.seconds))
                .collect()),
            Err(CopyError::Located(found)) => Err(found[0].message.clone()),
            Err(CopyError::Other(error)) => Err(error.to_string()),
        }
    }

    #[test]
    fn missing_directories_are_made_for_the_user() {
        let made = run("/srv/app", "app").expect("made");
        assert_eq!(made, ["/srv 755 1000:1001 7", "/srv/app 755 1000:1001 7"]);
        assert_eq!(run("/srv", "").expect("made"), ["/srv 755 0:0 7"]);
        assert_eq!(run("/srv", "5:6").expect("made"), ["/srv 755 5:6 7"]);
    }

    #[test]
    fn links_are_followed_and_parents_keep_their_attributes() {
        let made = run("/var/lib", "app").expect("made");
        assert_eq!(made, ["/real 711 0:0 0", "/real/var 700 0:0 0", "/real/var/lib 755 1000:1001 7"]);
    }

    #[test]
    fn a_directory_that_is_there_gives_an_empty_layer() {
        assert_eq!(run("/real/var", "app").expect("nothing to do"), Vec::<String>::new());
        assert_eq!(run("/", "app").expect("nothing to do"), Vec::<String>::new());
    }

    #[test]
    fn a_file_in_the_way_is_an_error_that_names_it() {
        let error = run("/etc/passwd/x", "").expect_err("a file");
        assert!(error.contains("/etc/passwd"), "{error}");
    }
}
