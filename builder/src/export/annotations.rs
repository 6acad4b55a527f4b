//! Annotations and the documents they go to (dockerfile.md §16.4).

use std::collections::BTreeMap;

use strake_layers::Platform;

use crate::{Error, Result};

/// A document that can be annotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The manifest.
    Manifest,
    /// The descriptor of the manifest.
    ManifestDescriptor,
    /// The index.
    Index,
    /// The descriptor of the index.
    IndexDescriptor,
}

/// One annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Annotation {
    place: Place,
    platform: Option<Platform>,
    key: String,
    value: String,
}

/// All annotations of an output.
#[derive(Clone, Debug, Default)]
pub(crate) struct Annotations(Vec<Annotation>);

impl Annotations {
    /// Reads pairs of `[type[,type]][[platform]]:key` (or `key`) and value.
    pub(crate) fn parse<'a>(pairs: impl IntoIterator<Item = &'a (String, String)>) -> Result<Self> {
        let mut all = Vec::new();
        for (name, value) in pairs {
            let (places, platform, key) = split(name)?;
            for place in places {
                all.push(Annotation { place, platform: platform.clone(), key: key.to_owned(), value: value.clone() });
            }
        }
        Ok(Self(all))
    }

    /// Tells whether some belong to an index.
    pub(crate) fn need_index(&self) -> bool {
        self.0.iter().any(|one| matches!(one.place, Place::Index | Place::IndexDescriptor))
    }

    /// Those of a place, of all platforms and of this one.
    pub(crate) fn of(&self, place: Place, platform: Option<&Platform>) -> BTreeMap<String, String> {
        let fits =
            |one: &&Annotation| one.place == place && (one.platform.is_none() || one.platform.as_ref() == platform);
        self.0.iter().filter(fits).map(|one| (one.key.clone(), one.value.clone())).collect()
    }
}

/// Places, platform and key of a name. A colon belongs to the key unless known types stand before it.
fn split(name: &str) -> Result<(Vec<Place>, Option<Platform>, &str)> {
    let plain = Ok((vec![Place::Manifest], None, name));
    let Some((before, key)) = name.split_once(':') else { return plain };
    let (types, platform) = match before.split_once('[') {
        Some((types, rest)) => match rest.strip_suffix(']') {
            Some(platform) => (types, Some(platform)),
            None => return plain,
        },
        None => (before, None),
    };
    let mut places = Vec::new();
    for kind in types.split(',') {
        places.push(match kind {
            "" if platform.is_some() => Place::Manifest,
            "manifest" => Place::Manifest,
            "manifest-descriptor" => Place::ManifestDescriptor,
            "index" => Place::Index,
            "index-descriptor" => Place::IndexDescriptor,
            _ if platform.is_none() && places.is_empty() => return plain,
            _ => {
                return Err(Error::user(format!("annotation {name:?}: unknown type {kind:?}"))
                    .with_help("the types are manifest, manifest-descriptor, index and index-descriptor"));
            }
        });
    }
    if key.is_empty() {
        return Err(Error::user(format!("annotation {name:?} has no key")));
    }
    let platform = platform
        .map(|text| {
            text.parse::<Platform>().map_err(|error| {
                Error::user(format!("annotation {name:?}: {error}"))
                    .with_help("write [TYPE[OS/ARCHITECTURE]:]KEY=VALUE, as in manifest[linux/arm64]:KEY=VALUE")
            })
        })
        .transpose()?;
    Ok((places, platform, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> Annotations {
        Annotations::parse(&[(name.to_owned(), "v".to_owned())]).unwrap()
    }

    #[test]
    fn types_platforms_and_plain_keys() {
        assert_eq!(read("org.x:y").of(Place::Manifest, None).keys().collect::<Vec<_>>(), ["org.x:y"]);
        let both = read("index,manifest:k");
        assert!(both.need_index());
        assert_eq!(both.of(Place::Manifest, None).len(), 1);
        let arm: Platform = "linux/arm64".parse().unwrap();
        let one = read("manifest[linux/arm64]:k");
        assert!(one.of(Place::Manifest, None).is_empty());
        assert_eq!(one.of(Place::Manifest, Some(&arm)).len(), 1);
        let bad = Annotations::parse(&[("manifest,indx:k".to_owned(), "v".to_owned())]).unwrap_err();
        assert!(bad.to_string().contains("indx"));
    }
}
