//! Truth values as Go reads them.

/// Reads a truth value with the spellings of Go's `strconv.ParseBool`, which the reference uses for mounts and checks.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
