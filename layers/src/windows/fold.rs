/// Folds the case of a name or path in the simple way (windows.md §2.1): character by character, as NTFS does with its
/// table of upper-case letters, so that `ß` stays what it is. Bytes that are no text become U+FFFD.
pub fn fold_case(name: &[u8]) -> String {
    let fold = |c: char| {
        let mut upper = c.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(single), None) => single,
            _ => c,
        }
    };
    String::from_utf8_lossy(name).chars().map(fold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_keeps_the_number_of_letters() {
        assert_eq!(fold_case(b"Files/App"), fold_case(b"FILES/aPP"));
        assert_eq!(fold_case("Ärger".as_bytes()), fold_case("äRGER".as_bytes()));
        assert_ne!(fold_case("Straße".as_bytes()), fold_case(b"STRASSE"));
    }
}
