use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256, Sha512};

/// A digest algorithm (OCI image specification, descriptor.md, "Registered algorithms").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// `sha256`, the only one strake writes.
    Sha256,
    /// `sha512`, accepted on input.
    Sha512,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn size(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// The digest of a blob: `algorithm:hex`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    bytes: Box<[u8]>,
}

/// A text that is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a digest")]
pub struct DigestError(pub String);

impl Digest {
    /// The SHA-256 digest of `data`.
    pub fn of(data: &[u8]) -> Self {
        Self::from_sha256(Sha256::digest(data).into())
    }

    /// The digest of `data` by the given algorithm.
    pub fn of_with(algorithm: Algorithm, data: &[u8]) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::of(data),
            Algorithm::Sha512 => Self { algorithm, bytes: Sha512::digest(data).to_vec().into() },
        }
    }

    /// Makes a digest from the 32 bytes of a SHA-256.
    pub fn from_sha256(bytes: [u8; 32]) -> Self {
        Self { algorithm: Algorithm::Sha256, bytes: bytes.into() }
    }

    /// Makes a digest from the 64 bytes of a SHA-512.
    pub fn from_sha512(bytes: [u8; 64]) -> Self {
        Self { algorithm: Algorithm::Sha512, bytes: bytes.into() }
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The algorithm's registered name.
    pub fn algorithm_name(&self) -> &'static str {
        self.algorithm.name()
    }

    /// The hexadecimal part.
    pub fn hex(&self) -> String {
        HEXLOWER.encode(&self.bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let error = || DigestError(text.chars().take(200).collect());
        let (name, hex) = text.split_once(':').ok_or_else(error)?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return Err(error()),
        };
        if hex.len() != algorithm.size() * 2 {
            return Err(error());
        }
        // HEXLOWER refuses upper-case digits, as the specification does.
        let bytes = HEXLOWER.decode(hex.as_bytes()).map_err(|_| error())?;
        Ok(Self { algorithm, bytes: bytes.into() })
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! digest_new_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Digest);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

digest_new_type! {
    /// The digest of a layer's uncompressed tar (OCI image specification, config.md, "Layer DiffID").
    DiffId
}
digest_new_type! {
    /// The digest of a stack of layers (OCI image specification, config.md, "Layer ChainID").
    ChainId
}

impl ChainId {
    /// The chain ID of a layer put upon `parent` (`None`: the lowest layer).
    pub fn chain(parent: Option<&Self>, layer: &DiffId) -> Self {
        match parent {
            None => Self(layer.0.clone()),
            Some(parent) => Self(Digest::of(format!("{parent} {layer}").as_bytes())),
        }
    }
}

macro_rules! blake3_new_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The 64 hexadecimal digits.
            pub fn hex(&self) -> String {
                HEXLOWER.encode(&self.0)
            }

            /// Reads 64 lower-case hexadecimal digits.
            pub fn from_hex(hex: &str) -> Option<Self> {
                let bytes = HEXLOWER.decode(hex.as_bytes()).ok()?;
                Some(Self(bytes.try_into().ok()?))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.hex())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("not 64 hexadecimal digits"))
            }
        }
    };
}

blake3_new_type! {
    /// The BLAKE3 hash of a file's content. It never leaves the machine.
    ContentHash
}
blake3_new_type! {
    /// The identity of a layer for the cache and for materialised trees: of a blob a tagged hash of its diff ID,
    /// of everything else BLAKE3 of the canonical entries with their content hashes.
    LayerId
}

impl ContentHash {
    /// The hash of `data`.
    pub fn of(data: &[u8]) -> Self {
        Self(*blake3::hash(data).as_bytes())
    }
}

impl LayerId {
    /// The identity of a layer that exists as a blob: known from the image's config, without the blob.
    pub fn of_blob(diff_id: &DiffId) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"strake layer blob 1\0");
        hasher.update(diff_id.to_string().as_bytes());
        Self(*hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_round_trips_and_refuses_other_texts() {
        let digest = Digest::of(b"");
        assert_eq!(digest.to_string(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest.clone()));
        for bad in ["", "sha256:", "sha256:ABC", "md5:00", &digest.to_string().to_uppercase(), &format!("{digest}0")] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn chain_of_one_layer_is_its_diff_id() {
        let diff_id = DiffId(Digest::of(b"x"));
        let chain = ChainId::chain(None, &diff_id);
        assert_eq!(chain.0, diff_id.0);
        assert_ne!(ChainId::chain(Some(&chain), &diff_id).0, diff_id.0);
    }
}
