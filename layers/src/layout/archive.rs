use std::collections::BTreeMap;
use std::io::{Read, Write};

use serde::Serialize;

use super::{INDEX_FILE, LAYOUT_FILE, Layout, blob_name, folders, index_file, layout_file};
use crate::image::write_json;
use crate::{Cancel, Digest, Error, Reference, Result};

/// One image of the file `manifest.json` of a docker archive (dockerfile.md §16.2).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// What a member of the archive consists of.
enum Content<'a> {
    Bytes(Vec<u8>),
    Blob(&'a Digest, u64),
}

/// Bytes copied between two questions whether to stop.
const CHUNK: u64 = 4 << 20;

impl Layout<'_> {
    /// Writes an OCI layout as a tar: members in order of their names, no times, no owners, so that equal images give equal
    /// bytes.
    pub fn write_tar(&self, out: &mut dyn Write, cancel: &Cancel) -> Result<()> {
        self.write_members(self.members()?, out, cancel)
    }

    /// Writes a docker archive: a layout with the file `manifest.json` of `docker load`. It holds images, not indexes.
    pub fn write_docker_archive(&self, out: &mut dyn Write, cancel: &Cancel) -> Result<()> {
        let mut images = Vec::new();
        for (image, manifest) in self.images.iter().zip(&self.manifests) {
            let Some(manifest) = manifest else {
                return Err(Error::Unsupported(
                    "a docker archive holds one platform only: build for one, leave attestations out, or use the output \
                     type=oci"
                        .to_owned(),
                ));
            };
            let tags: Vec<_> = image.names.iter().filter(|n| n.tag().is_some()).map(Reference::familiar).collect();
            images.push(DockerImage {
                config: blob_name(&manifest.config.digest),
                repo_tags: (!tags.is_empty()).then_some(tags),
                layers: manifest.layers.iter().map(|layer| blob_name(&layer.digest)).collect(),
            });
        }
        let mut members = self.members()?;
        members.insert("manifest.json".to_owned(), Content::Bytes(write_json(&images, "manifest.json")?));
        self.write_members(members, out, cancel)
    }

    fn members(&self) -> Result<BTreeMap<String, Content<'_>>> {
        let mut members: BTreeMap<_, _> =
            self.blobs.iter().map(|(digest, size)| (blob_name(digest), Content::Blob(digest, *size))).collect();
        members.insert(LAYOUT_FILE.to_owned(), Content::Bytes(layout_file()?));
        let index = index_file(self.index_entries())?;
        members.insert(INDEX_FILE.to_owned(), Content::Bytes(index.bytes.to_vec()));
        Ok(members)
    }

    fn write_members(
        &self,
        members: BTreeMap<String, Content<'_>>,
        out: &mut dyn Write,
        cancel: &Cancel,
    ) -> Result<()> {
        let failed = |error| Error::stream("writing an image archive", error);
        // `blobs` and `blobs/sha256` sort before all that lies in them, and before the other names.
        for folder in folders(self.blobs.keys()) {
            out.write_all(header(&format!("{folder}/"), tar::EntryType::Directory, 0)?.as_bytes()).map_err(failed)?;
        }
        for (name, content) in members {
            cancel.check()?;
            match content {
                Content::Bytes(bytes) => {
                    let head = header(&name, tar::EntryType::Regular, bytes.len() as u64)?;
                    out.write_all(head.as_bytes()).map_err(failed)?;
                    out.write_all(&bytes).map_err(failed)?;
                    pad(out, bytes.len() as u64).map_err(failed)?;
                }
                Content::Blob(digest, size) => {
                    out.write_all(header(&name, tar::EntryType::Regular, size)?.as_bytes()).map_err(failed)?;
                    self.copy_blob(digest, size, out, cancel)?;
                    pad(out, size).map_err(failed)?;
                }
            }
        }
        out.write_all(&[0; 1024]).map_err(failed)?;
        out.flush().map_err(failed)
    }

    /// Copies a blob of the store, which must still have its size.
    pub(super) fn copy_blob(&self, digest: &Digest, size: u64, out: &mut dyn Write, cancel: &Cancel) -> Result<()> {
        let mut blob = self.store.open_blob(digest)?;
        let what = format!("blob {digest}");
        let mut copied = 0;
        while copied <= size {
            cancel.check()?;
            // One byte more than promised tells a file that has grown.
            let most = CHUNK.min(size - copied + 1);
            let count = std::io::copy(&mut Read::by_ref(&mut blob).take(most), out);
            let count = count.map_err(|error| Error::stream(format!("copying {what}"), error))?;
            if count == 0 {
                break;
            }
            copied += count;
        }
        if copied != size {
            return Err(Error::SizeMismatch { what, expected: size, found: copied });
        }
        Ok(())
    }
}

/// A ustar header without times and owners. Sizes of 8 GiB and more take GNU's binary form, which all readers know.
fn header(name: &str, kind: tar::EntryType, size: u64) -> Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).map_err(|error| Error::Internal(format!("member {name}: {error}")))?;
    header.set_entry_type(kind);
    header.set_mode(if kind == tar::EntryType::Directory { 0o755 } else { 0o644 });
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    Ok(header)
}

/// Fills the last block of a member.
fn pad(out: &mut dyn Write, size: u64) -> std::io::Result<()> {
    const BLOCK: u64 = 512;
    let zeros = [0; 512];
    let count = usize::try_from((BLOCK - size % BLOCK) % BLOCK).unwrap_or_default();
    out.write_all(&zeros[..count])
}
