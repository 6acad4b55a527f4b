//! Cleaning of slash paths.

/// Cleans a path as Go's `path.Clean` does: no `.`, no `x/..`, no doubled slash, `.` for the empty path.
pub(crate) fn clean_path(path: &str) -> String {
    let bytes = clean_bytes(path.as_bytes());
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Cleans a path of bytes.
pub(crate) fn clean_bytes(path: &[u8]) -> Vec<u8> {
    let is_rooted = path.first() == Some(&b'/');
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match parts.last() {
                Some(last) if *last != b".." => {
                    parts.pop();
                }
                _ if is_rooted => {}
                _ => parts.push(part),
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    match (is_rooted, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_cleans_them() {
        for (path, clean) in [
            ("", "."),
            (".", "."),
            ("/", "/"),
            ("//", "/"),
            ("./a", "a"),
            ("a//b/", "a/b"),
            ("a/../b", "b"),
            ("../a", "../a"),
            ("a/../../b", "../b"),
            ("/../a", "/a"),
            ("a/./b", "a/b"),
            ("a/..", "."),
            ("../..", "../.."),
        ] {
            assert_eq!(clean_path(path), clean, "{path}");
        }
    }
}
