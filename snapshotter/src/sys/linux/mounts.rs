use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::mount::UnmountFlags;

/// Removes all mounts that lie below one of the folders or are overlays that use one, the deepest first.
pub(crate) fn unmount_below(folders: &[&Path]) -> io::Result<()> {
    let table = match std::fs::read("/proc/self/mountinfo") {
        Ok(table) => table,
        // Without a list there is nothing to go by; what is still mounted shows when its folder is deleted.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut targets: Vec<PathBuf> = table.split(|&b| b == b'\n').filter_map(|line| target(line, folders)).collect();
    // A later line lies above an earlier one with the same mount point, and deeper ones come later.
    targets.reverse();
    for path in targets {
        match rustix::mount::unmount(&path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            // INVAL: it went away with the one above it, or belongs to another namespace.
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
            Err(errno) => return Err(io::Error::other(format!("{}: {errno}", path.display()))),
        }
    }
    Ok(())
}

/// The mount point of a line of mountinfo (proc_pid_mountinfo(5)), if the mount concerns one of the folders.
fn target(line: &[u8], folders: &[&Path]) -> Option<PathBuf> {
    let fields: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
    let path = PathBuf::from(OsString::from_vec(unescape(fields.get(4)?)));
    let end = fields.iter().position(|field| *field == b"-")?;
    let kind = fields.get(end + 1)?;
    let options = unescape(fields.get(end + 3)?);
    let concerns = |folder: &&Path| path.starts_with(folder) || (*kind == b"overlay" && names_upper(&options, folder));
    folders.iter().any(concerns).then_some(path)
}

/// Tells whether the options of an overlay name an upper directory below a folder.
fn names_upper(options: &[u8], folder: &Path) -> bool {
    let upper = options.split(|&b| b == b',').find_map(|option| option.strip_prefix(b"upperdir="));
    upper.is_some_and(|upper| Path::new(std::ffi::OsStr::from_bytes(upper)).starts_with(folder))
}

/// Undoes `\040` and the like.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..3).filter(|digits| first == b'\\' && digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        let value = code.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        out.push(value.unwrap_or(first));
        rest = if value.is_some() { &tail[3..] } else { tail };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_a_folder_are_recognised() {
        let folder = Path::new("/s/uppers/a b");
        let find = |line: &str| target(line.as_bytes(), &[folder]);
        let line = r"36 35 0:31 / /s/uppers/a\040b/mnt rw shared:1 - tmpfs tmpfs rw";
        assert_eq!(find(line), Some(PathBuf::from("/s/uppers/a b/mnt")));
        let line = r"36 35 0:31 / /mnt rw - overlay overlay rw,lowerdir+=/x,upperdir=/s/uppers/a\040b/fs,workdir=/w";
        assert_eq!(find(line), Some(PathBuf::from("/mnt")));
        assert_eq!(find(r"36 35 0:31 / /s/uppers/ab rw - tmpfs tmpfs rw"), None);
        assert_eq!(find(r"36 35 0:31 / /mnt rw - overlay overlay rw,upperdir=/s/uppers/other/fs"), None);
        assert_eq!(find(""), None);
    }
}
