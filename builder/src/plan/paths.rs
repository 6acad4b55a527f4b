//! Paths that a Dockerfile gives for places in the image (dockerfile.md §13.6, §22; windows.md §5.2).

/// Names that Windows keeps for devices, whatever extension follows (windows.md §5.2).
const DEVICES: &[&str] = &["con", "prn", "aux", "nul", "conin$", "conout$"];

/// Brings a directory into the form of the image config: an absolute one as it is written, as the reference keeps it
/// (conformance case `config-workdir-as-written`), a relative one joined and clean, none as the current one; on Windows
/// clean in any case, with backslashes and without drive.
pub(super) fn directory(is_windows: bool, current: &str, path: &str) -> Result<String, String> {
    let path = if path.is_empty() { current } else { path };
    if !is_windows && path.starts_with('/') {
        return Ok(path.to_owned());
    }
    let joined = absolute(is_windows, current, path)?;
    Ok(if is_windows { joined.replace('/', "\\") } else { joined })
}

/// Makes a path absolute and clean, with slashes and without drive.
pub(super) fn absolute(is_windows: bool, current: &str, path: &str) -> Result<String, String> {
    if !is_windows {
        return Ok(clean(current, path));
    }
    let path = strip_drive(path)?;
    let current = strip_drive(if current.is_empty() { "/" } else { current })?;
    let made = clean(&current, &path);
    check_names(&made)?;
    Ok(made)
}

/// Brings a destination of COPY or ADD into the form that copying reads: as written for Linux; for Windows with
/// slashes and without drive, a final separator kept.
pub(super) fn destination(is_windows: bool, path: &str) -> Result<String, String> {
    if !is_windows {
        return Ok(path.to_owned());
    }
    let made = strip_drive(path)?;
    check_names(&made)?;
    Ok(made)
}

/// Brings a source path of COPY or ADD into slashes where the stage is a Windows one.
pub(super) fn source(is_windows: bool, path: &str) -> Result<String, String> {
    if is_windows { strip_drive(path) } else { Ok(path.to_owned()) }
}

/// Checks a path of VOLUME or a mount target on Windows, where another drive is possible.
pub(super) fn check_volume(is_windows: bool, path: &str) -> Result<(), String> {
    let is_other_drive = path.as_bytes().get(1) == Some(&b':') && !path.starts_with(['c', 'C']);
    if !is_windows || is_other_drive {
        return Ok(());
    }
    let made = strip_drive(path)?;
    check_names(&made)
}

/// Cleans `path` below `current`; `..` stays at the root.
fn clean(current: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let start = if path.starts_with('/') { "" } else { current };
    for part in start.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Turns backslashes into slashes and takes the drive `C:` away.
fn strip_drive(path: &str) -> Result<String, String> {
    let made = path.replace('\\', "/");
    if made.starts_with("//") {
        return Err(format!("UNC paths are not supported: {path}"));
    }
    let Some((drive, rest)) = made.split_once(':').filter(|(drive, _)| is_drive(drive)) else { return Ok(made) };
    if rest.is_empty() || rest == "." {
        return Err(format!(
            "No relative path specified in {path:?}: add a trailing backslash for the root of the drive"
        ));
    }
    if !drive.eq_ignore_ascii_case("c") {
        return Err(format!("The specified path is not on the system drive (C:): {path}"));
    }
    Ok(rest.to_owned())
}

fn is_drive(text: &str) -> bool {
    text.len() == 1 && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Refuses what Windows cannot store (windows.md §5.2, rule 7).
fn check_names(path: &str) -> Result<(), String> {
    for part in path.split('/').filter(|part| !matches!(*part, "" | "." | "..")) {
        if let Some(sign) = part.chars().find(|c| "<>:\"|?*".contains(*c) || u32::from(*c) < 32) {
            return Err(format!("{part:?} in {path:?} holds {sign:?}, which Windows allows in no name"));
        }
        if part.ends_with(['.', ' ']) {
            return Err(format!("{part:?} in {path:?} ends with a dot or a blank, which Windows drops"));
        }
        let stem = part.split('.').next().unwrap_or(part).trim_end().to_lowercase();
        let numbered = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
        let is_port = numbered.is_some_and(|rest| rest.chars().count() == 1 && "123456789¹²³".contains(rest));
        if is_port || DEVICES.contains(&stem.as_str()) {
            return Err(format!("{part:?} in {path:?} is the name of a device of Windows"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_directories_are_absolute_and_relative_ones_clean() {
        for (current, path, expected) in [
            ("/", "a", "/a"),
            ("/a/b", "../c/./d//", "/a/c/d"),
            ("/a", "/x/", "/x/"),
            ("/x//", "y/", "/x/y"),
            ("", "x", "/x"),
            ("/a", "../../..", "/"),
            ("/a", "C:\\x", "/a/C:\\x"),
        ] {
            assert_eq!(directory(false, current, path), Ok(expected.to_owned()), "{current} + {path}");
        }
    }

    #[test]
    fn windows_directories_take_backslashes_and_lose_the_drive() {
        for (current, path, expected) in [
            ("", "a", "\\a"),
            ("", "\\foo", "\\foo"),
            ("C:\\base", "c:/foo", "\\foo"),
            ("\\foo", "bar", "\\foo\\bar"),
            ("\\foo\\bar", "\\bar", "\\bar"),
            ("\\base", "C:sub\\x", "\\base\\sub\\x"),
            ("\\one\\two", "..\\four", "\\one\\four"),
            ("C:\\foo", "C:\\", "\\"),
        ] {
            assert_eq!(directory(true, current, path), Ok(expected.to_owned()), "{current} + {path}");
        }
    }

    #[test]
    fn windows_refuses_what_it_cannot_hold() {
        for (path, word) in [
            ("C:", "No relative path specified"),
            ("D:\\data", "not on the system drive"),
            ("\\\\server\\share", "UNC"),
            ("a\\nul.txt", "device"),
            ("com1", "device"),
            ("x?", "allows in no name"),
            ("dir.\\x", "dot or a blank"),
        ] {
            let problem = destination(true, path).expect_err(path);
            assert!(problem.contains(word), "{path}: {problem}");
        }
        assert_eq!(destination(true, "C:\\app\\"), Ok("/app/".to_owned()));
        assert_eq!(destination(true, "common\\company"), Ok("common/company".to_owned()));
        assert!(check_volume(true, "D:\\").is_ok());
    }
}
