//! What a step with `RUN --env` writes, as the value of a variable.

use std::sync::Arc;

use crate::execute::Masks;

/// The longest value in bytes. Linux starts no program with a variable of 128 KiB or more (`MAX_ARG_STRLEN`,
/// linux/binfmts.h), and every container of the image would carry it.
pub(super) const LONGEST: usize = 64 << 10;

/// The standard output of a step, up to a bound.
#[derive(Debug, Default)]
pub(super) struct Written {
    bytes: Vec<u8>,
    /// How much there was in all.
    total: u64,
}

/// Why output cannot be a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error("the command wrote {0} bytes to standard output, and a variable holds at most {LONGEST}")]
    TooLong(u64),
    #[error("the command wrote a NUL byte to standard output, which no variable can hold")]
    Nul,
    #[error("the command wrote bytes to standard output that are not UTF-8, from byte {0} on")]
    NotText(usize),
    #[error("the command wrote a secret of the build to standard output, and the variable would put it into the image")]
    Secret,
}

impl Unfit {
    /// What to do about it.
    pub(super) fn help(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "write the value alone and everything else to standard error (>&2), or use a file",
            Self::Nul | Self::NotText(_) => "encode what is not text, as base64 does, or use a file",
            Self::Secret => "write what is not secret alone, or read the secret in the steps that need it",
        }
    }
}

impl Written {
    /// Takes a piece in.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.total = self.total.saturating_add(piece.len() as u64);
        // One more shows what is too long.
        let room = (LONGEST + 1).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }

    /// The text without the line ends at its end.
    pub(super) fn value(&self, masks: &Masks) -> Result<Arc<str>, Unfit> {
        if self.bytes.len() > LONGEST {
            return Err(Unfit::TooLong(self.total));
        }
        let mut text = std::str::from_utf8(&self.bytes).map_err(|error| Unfit::NotText(error.valid_up_to()))?;
        while let Some(rest) = text.strip_suffix('\n') {
            text = rest.strip_suffix('\r').unwrap_or(rest);
        }
        if text.contains('\0') {
            return Err(Unfit::Nul);
        }
        if masks.apply(text.as_bytes()) != text.as_bytes() {
            return Err(Unfit::Secret);
        }
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(pieces: &[&[u8]]) -> Result<String, Unfit> {
        let mut written = Written::default();
        for piece in pieces {
            written.push(piece);
        }
        written.value(&Masks::new([&b"hunter2hunter2"[..]])).map(|text| text.to_string())
    }

    #[test]
    fn line_ends_at_the_end_are_left_out() {
        assert_eq!(value(&[b"a\nb", b" \n\r\n\n"]).as_deref(), Ok("a\nb "));
        assert_eq!(value(&[]).as_deref(), Ok(""));
        assert_eq!(value(&[b"\n"]).as_deref(), Ok(""));
        assert_eq!(value(&[b"a\r"]).as_deref(), Ok("a\r"));
    }

    #[test]
    fn what_no_variable_holds_is_told_apart() {
        assert_eq!(value(&[b"a\0b"]), Err(Unfit::Nul));
        assert_eq!(value(&[b"a\xc3", b"("]), Err(Unfit::NotText(1)));
        assert_eq!(value(&["\u{e9}".as_bytes()]).as_deref(), Ok("\u{e9}"));
        assert_eq!(value(&[b"x hunter2", b"hunter2"]), Err(Unfit::Secret));
        let most = vec![b'a'; LONGEST];
        assert_eq!(value(&[&most]).map(|text| text.len()), Ok(LONGEST));
        assert_eq!(value(&[&most, b"b", &most]), Err(Unfit::TooLong(2 * LONGEST as u64 + 1)));
    }
}
