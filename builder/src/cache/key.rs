use data_encoding::HEXLOWER;
use strake_layers::LayerId;

/// Changes when the meaning of a key does: results of older versions are never served to newer ones.
const SCHEMA: &str = "strake step 1";

/// A component's text longer than this is kept in records as its hash.
const SHOWN: usize = 120;

/// The key of a step and the components it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StepKey {
    /// The hash that results are kept under.
    pub(crate) hash: [u8; 32],
    /// Name and value of each component, long and secret values as hashes.
    pub(crate) parts: Vec<(String, String)>,
}

/// Collects the components of a key, in a fixed order.
#[derive(Debug)]
pub(crate) struct KeyBuilder {
    hasher: blake3::Hasher,
    parts: Vec<(String, String)>,
}

impl KeyBuilder {
    /// Starts the key of a kind of step: `RUN`.
    pub(crate) fn new(kind: &str) -> Self {
        let mut made = Self { hasher: blake3::Hasher::new(), parts: Vec::new() };
        made.feed(SCHEMA.as_bytes());
        made.feed(kind.as_bytes());
        made
    }

    /// Adds a component whose value may be shown.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: impl AsRef<str>) -> &mut Self {
        let value = value.as_ref();
        let shown = if value.len() > SHOWN { hash_text(value.as_bytes()) } else { value.to_owned() };
        self.push(name.into(), value.as_bytes(), shown)
    }

    /// Adds a component whose value is kept as a hash only.
    pub(crate) fn add_hidden(&mut self, name: impl Into<String>, value: impl AsRef<[u8]>) -> &mut Self {
        let value = value.as_ref();
        self.push(name.into(), value, hash_text(value))
    }

    /// Adds the layers of a root file system.
    pub(crate) fn add_layers(
        &mut self,
        name: impl Into<String>,
        layers: impl IntoIterator<Item = LayerId>,
    ) -> &mut Self {
        let mut hasher = blake3::Hasher::new();
        for layer in layers {
            hasher.update(&layer.0);
        }
        let id = hasher.finalize();
        self.push(name.into(), id.as_bytes(), HEXLOWER.encode(&id.as_bytes()[..16]))
    }

    /// Ends the key.
    pub(crate) fn finish(self) -> StepKey {
        StepKey { hash: *self.hasher.finalize().as_bytes(), parts: self.parts }
    }

    fn push(&mut self, name: String, value: &[u8], shown: String) -> &mut Self {
        self.feed(name.as_bytes());
        self.feed(value);
        self.parts.push((name, shown));
        self
    }

    /// Length first, so that no two lists of components give the same bytes.
    fn feed(&mut self, bytes: &[u8]) {
        self.hasher.update(&(bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
    }
}

fn hash_text(bytes: &[u8]) -> String {
    format!("#{}", HEXLOWER.encode(&blake3::hash(bytes).as_bytes()[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: &[(&str, &str)]) -> [u8; 32] {
        let mut builder = KeyBuilder::new("RUN");
        for (name, value) in parts {
            builder.add(*name, value);
        }
        builder.finish().hash
    }

    #[test]
    fn components_do_not_run_into_each_other() {
        assert_ne!(key(&[("a", "bc")]), key(&[("ab", "c")]));
        assert_ne!(key(&[("a", "b"), ("c", "d")]), key(&[("a", "bcd")]));
        assert_eq!(key(&[("a", "b")]), key(&[("a", "b")]));
    }

    #[test]
    fn hidden_values_are_not_kept() {
        let mut builder = KeyBuilder::new("RUN");
        builder.add_hidden("env TOKEN", "hunter2hunter2");
        let key = builder.finish();
        assert!(!format!("{key:?}").contains("hunter2"));
    }
}
