//! `--output` and the flags that stand for one.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use strake::{Compression, ImageOptions, Output};

use crate::fields::{key_value, split_csv};

/// Reads one `--output`: `type=…,key=value,…`, a folder, or `-`.
pub(crate) fn parse(text: &str, cwd: &Path) -> Result<Output> {
    let fields = split_csv(text).with_context(|| format!("--output {text}"))?;
    if let [only] = fields.as_slice()
        && !only.contains('=')
    {
        return Ok(match only.as_str() {
            "" => bail!("--output needs a value: a folder, `-`, or type=oci,dest=FILE"),
            "-" => Output::Tar { dest: None },
            folder => Output::Local { dest: cwd.join(folder) },
        });
    }
    let mut spec = Spec::default();
    for field in &fields {
        spec.field(field).with_context(|| format!("--output {text}"))?;
    }
    spec.finish(cwd).with_context(|| format!("--output {text}"))
}

#[derive(Default)]
struct Spec {
    kind: String,
    dest: Option<String>,
    tar: Option<bool>,
    push: bool,
    compression: Option<String>,
    level: Option<i32>,
    options: ImageOptions,
}

impl Spec {
    fn field(&mut self, field: &str) -> Result<()> {
        let Some((key, value)) = key_value(field) else {
            bail!("{field:?} is not KEY=VALUE");
        };
        match key.as_str() {
            "type" => self.kind = value.to_owned(),
            "dest" => self.dest = Some(value.to_owned()),
            "tar" => self.tar = Some(boolean(&key, value)?),
            "push" => self.push = boolean(&key, value)?,
            "name" => self.options.names.extend(value.split(',').map(|name| name.trim().to_owned())),
            "compression" => self.compression = Some(value.to_owned()),
            "compression-level" => {
                self.level = Some(value.parse().with_context(|| format!("compression-level={value} is not a number"))?);
            }
            "force-compression" => self.options.force_compression = boolean(&key, value)?,
            "oci-mediatypes" => self.options.docker_media_types = !boolean(&key, value)?,
            "rewrite-timestamp" => self.options.rewrite_timestamp = Some(boolean(&key, value)?),
            _ => match annotation_key(field) {
                Some((name, value)) => self.options.annotations.push((name, value)),
                None => bail!(
                    "unknown key {key:?}: known are type, dest, tar, push, name, compression, compression-level, \
                     force-compression, oci-mediatypes, rewrite-timestamp and annotation.KEY"
                ),
            },
        }
        Ok(())
    }

    fn finish(mut self, cwd: &Path) -> Result<Output> {
        self.options.compression = compression(self.compression.as_deref(), self.level)?;
        let dest: Option<PathBuf> = self.dest.as_deref().filter(|dest| *dest != "-").map(|dest| cwd.join(dest));
        let needs_dest = |what: &str| anyhow::anyhow!("type={what} needs dest=PATH");
        Ok(match self.kind.as_str() {
            "oci" => {
                let tar = self.tar.unwrap_or(true);
                if !tar && dest.is_none() {
                    bail!("type=oci,tar=false needs dest=FOLDER");
                }
                Output::Oci { dest, tar, options: self.options }
            }
            "docker" if self.tar == Some(false) => bail!("type=docker,tar=false is not supported: leave tar out"),
            "docker" => Output::Docker { dest, options: self.options },
            "local" => Output::Local { dest: dest.ok_or_else(|| needs_dest("local"))? },
            "tar" => Output::Tar { dest },
            "image" | "registry" => Output::Image {
                names: std::mem::take(&mut self.options.names),
                push: self.push || self.kind == "registry",
                options: self.options,
            },
            "cacheonly" => Output::CacheOnly,
            "" => bail!("type= is missing: oci, docker, local, tar, image, registry or cacheonly"),
            other => bail!("unknown type {other:?}: oci, docker, local, tar, image, registry or cacheonly"),
        })
    }
}

/// The key and value of `annotation…=…`, with the key in the form that `--annotation` has.
fn annotation_key(field: &str) -> Option<(String, String)> {
    let (key, value) = field.split_once('=')?;
    let rest = key.strip_prefix("annotation")?;
    if let Some(name) = rest.strip_prefix('.') {
        return Some((name.to_owned(), value.to_owned()));
    }
    let (place, name) = rest.strip_prefix('-').or_else(|| rest.starts_with('[').then_some(rest))?.split_once('.')?;
    Some((format!("{place}:{name}"), value.to_owned()))
}

fn compression(name: Option<&str>, level: Option<i32>) -> Result<Compression> {
    let checked = |low: i32, high: i32, default: i32| match level {
        Some(level) if !(low..=high).contains(&level) => bail!("compression-level={level} is not in {low}..{high}"),
        Some(level) => Ok(level),
        None => Ok(default),
    };
    Ok(match name {
        None if level.is_none() => Compression::default(),
        None | Some("gzip") => Compression::Gzip(u32::try_from(checked(0, 9, 4)?)?),
        Some("zstd") => Compression::Zstd(checked(0, 22, 3)?),
        Some("uncompressed") => Compression::Uncompressed,
        Some("estargz") => bail!("compression=estargz is not supported yet: use gzip or zstd"),
        Some(other) => bail!("unknown compression {other:?}: gzip, zstd or uncompressed"),
    })
}

fn boolean(key: &str, value: &str) -> Result<bool> {
    strake::parse_bool(value).with_context(|| format!("{key}={value} is neither true nor false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Output> {
        parse(text, Path::new("/w"))
    }

    #[test]
    fn short_forms() {
        assert_eq!(read("out").unwrap(), Output::Local { dest: "/w/out".into() });
        assert_eq!(read("-").unwrap(), Output::Tar { dest: None });
    }

    #[test]
    fn oci_with_compression_and_annotations() {
        let Output::Oci { dest, tar, options } =
            read("type=oci,dest=a.tar,compression=zstd,compression-level=9,annotation.k=v,annotation-index.i=j")
                .unwrap()
        else {
            panic!("not an oci output");
        };
        assert_eq!((dest, tar), (Some("/w/a.tar".into()), true));
        assert_eq!(options.compression, Compression::Zstd(9));
        assert_eq!(options.annotations, [("k".into(), "v".into()), ("index:i".into(), "j".into())]);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("type=oic", "oic"),
            ("dest=a", "type="),
            ("type=oci,foo=1", "foo"),
            ("type=local", "dest"),
            ("type=oci,compression=lz4", "lz4"),
            ("type=oci,compression-level=10", "0..9"),
            ("type=image,push=maybe", "maybe"),
        ] {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
