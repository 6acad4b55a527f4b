//! Names of variables (dockerfile.md §8.2.1).

/// Gives the length in bytes of the name at the head of a text: a digit run, one special character, or letters,
/// digits and `_`; 0 when there is none.
pub(crate) fn name_length(chars: impl Iterator<Item = char>) -> usize {
    let mut length = 0;
    let mut is_number = false;
    for c in chars {
        if length == 0 {
            if matches!(c, '@' | '*' | '#' | '?' | '-' | '$' | '!') {
                return 1;
            }
            is_number = is_digit(c);
        }
        let belongs = is_digit(c) || (!is_number && (c.is_alphabetic() || c == '_'));
        if !belongs {
            break;
        }
        length += c.len_utf8();
    }
    length
}

/// Says whether the character is a decimal digit; the reference takes those of every script.
fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_where_the_reference_ends_them() {
        for (text, length) in [("A_1-x", 3), ("12a", 2), ("$x", 1), ("{", 0), ("", 0), ("é=", 2), ("-a", 1), ("_", 1)]
        {
            assert_eq!(name_length(text.chars()), length, "{text}");
        }
    }
}
