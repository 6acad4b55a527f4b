//! Keeps the values of secrets out of what steps write (edges.md 17).

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD};

/// What stands in for a secret.
const MASK: &[u8] = b"****";

/// Shorter values are not masked: they would hide half of every log.
const SHORTEST: usize = 8;

/// The texts to hide: each secret as it is, in base64 and URL-encoded.
#[derive(Clone, Default)]
pub(crate) struct Masks {
    /// Longest first, so that a text never hides behind a part of itself.
    needles: Vec<Box<[u8]>>,
}

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Masks({})", self.needles.len())
    }
}

impl Masks {
    /// Makes the masks of these values.
    pub(crate) fn new<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut needles = Vec::new();
        for value in values {
            // Files end in a line end that nobody prints with the value.
            let trimmed = value.trim_ascii_end();
            for form in [value, trimmed] {
                if form.len() < SHORTEST {
                    continue;
                }
                needles.push(form.to_vec());
                needles.extend(base64_forms(form));
                needles.push(url_encoded(form));
            }
        }
        needles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        needles.dedup();
        Self { needles: needles.into_iter().map(Vec::into_boxed_slice).collect() }
    }

    /// Masks a whole text.
    pub(crate) fn apply(&self, text: &[u8]) -> Vec<u8> {
        let mut stream = MaskedStream::new(self.clone());
        let mut out = stream.push(text);
        out.extend(stream.finish());
        out
    }
}

/// Base64 of a value inside a longer text depends on where it begins: the three alignments, without the characters
/// that its neighbours share.
fn base64_forms(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![BASE64.encode(value).into_bytes(), BASE64URL_NOPAD.encode(value).into_bytes()];
    forms.push(BASE64_NOPAD.encode(value).into_bytes());
    for skip in 1..3 {
        let whole = &value[skip..];
        let whole = &whole[..whole.len() - whole.len() % 3];
        if whole.len() >= SHORTEST {
            forms.push(BASE64.encode(whole).into_bytes());
        }
    }
    forms
}

fn url_encoded(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(*byte);
        } else {
            out.extend(format!("%{byte:02X}").bytes());
        }
    }
    out
}

/// Masks a stream, also where a secret spans two pieces.
#[derive(Debug)]
pub(crate) struct MaskedStream {
    masks: Masks,
    held: Vec<u8>,
}

impl MaskedStream {
    /// Starts a stream.
    pub(crate) fn new(masks: Masks) -> Self {
        Self { masks, held: Vec::new() }
    }

    /// Takes bytes and gives what may be shown. Held back is only what may be the start of a secret.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.masks.needles.is_empty() {
            return bytes.to_vec();
        }
        self.held.extend_from_slice(bytes);
        let mut out = Vec::with_capacity(self.held.len());
        let mut at = 0;
        while at < self.held.len() {
            let rest = &self.held[at..];
            if let Some(needle) = self.masks.needles.iter().find(|needle| rest.starts_with(needle)) {
                out.extend_from_slice(MASK);
                at += needle.len();
            } else if self.masks.needles.iter().any(|needle| needle.len() > rest.len() && needle.starts_with(rest)) {
                break;
            } else {
                out.push(self.held[at]);
                at += 1;
            }
        }
        self.held.drain(..at);
        out
    }

    /// Ends the stream: what was held back was no secret.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secret: &str, pieces: &[&str]) -> String {
        let mut stream = MaskedStream::new(Masks::new([secret.as_bytes()]));
        let mut out: Vec<u8> = pieces.iter().flat_map(|piece| stream.push(piece.as_bytes())).collect();
        out.extend(stream.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_secret_across_pieces_is_masked() {
        assert_eq!(masked("hunter2hunter2", &["token hunter2", "hunter2 end"]), "token **** end");
        assert_eq!(masked("hunter2hunter2", &["hunter2", "x"]), "hunter2x");
    }

    #[test]
    fn encoded_forms_are_masked() {
        assert_eq!(masked("p@ss word!", &["cEBzcyB3b3JkIQ=="]), "****");
        assert_eq!(masked("p@ss word!", &["p%40ss%20word%21"]), "****");
        let inside = data_encoding::BASE64.encode(b"x:supersecretvalue:y");
        assert!(masked("supersecretvalue", &[&inside]).contains("****"));
    }

    #[test]
    fn short_values_and_line_ends() {
        assert_eq!(masked("abc", &["abc"]), "abc");
        assert_eq!(masked("longsecret\n", &["a longsecret b"]), "a **** b");
    }
}
