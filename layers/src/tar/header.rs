//! Header blocks as Go's archive/tar writes them in its PAX form, which the reference uses for layers: ustar where
//! everything fits, else a PAX header before a ustar header that holds as much as fits.

use super::pax::{Records, format_time};
use crate::{DeviceNumber, Timestamp};

/// Bytes of a block (POSIX.1-2024, pax, "ustar Interchange Format").
pub(crate) const BLOCK: usize = 512;

/// What a header says.
#[derive(Clone, Debug)]
pub(crate) struct Header<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) link: &'a [u8],
    pub(crate) type_flag: u8,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    pub(crate) mtime: Timestamp,
    pub(crate) device: DeviceNumber,
    /// Further records: extended attributes and what only Windows has.
    pub(crate) records: Records,
}

impl Header<'_> {
    /// Appends the block or blocks. `None` where the number of a device does not fit, for which no record exists.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Option<()> {
        let split = if fits(self.name, 100) { Some((&b""[..], self.name)) } else { split_name(self.name) };
        let mut records = self.records.clone();
        let mut must_extend = !records.is_empty();
        if !fits(self.name, 100) {
            must_extend |= split.is_none();
            records.push("path", self.name);
        }
        if !fits(self.link, 100) {
            must_extend = true;
            records.push("linkpath", self.link);
        }
        for (name, value) in [("uid", self.uid), ("gid", self.gid)] {
            if !fits_octal(value.into(), 8) {
                must_extend = true;
                records.push(name, value.to_string());
            }
        }
        if !fits_octal(self.size, 12) {
            must_extend = true;
            records.push("size", self.size.to_string());
        }
        let seconds = u64::try_from(self.mtime.seconds).ok().filter(|&s| fits_octal(s, 12));
        if self.mtime.nanos != 0 || seconds.is_none() {
            must_extend = true;
            records.push("mtime", format_time(self.mtime));
        }
        let (prefix, name) = if must_extend { (&b""[..], self.name) } else { split.unwrap_or((b"", self.name)) };
        if must_extend {
            write_extended(out, self.name, &records.to_body());
        }
        let mut block = [0; BLOCK];
        put_text(&mut block[..100], name);
        put_octal(&mut block[100..108], self.mode.into())?;
        put_octal(&mut block[108..116], self.uid.into()).unwrap_or_else(|| zero_octal(&mut block[108..116]));
        put_octal(&mut block[116..124], self.gid.into()).unwrap_or_else(|| zero_octal(&mut block[116..124]));
        put_octal(&mut block[124..136], self.size).unwrap_or_else(|| zero_octal(&mut block[124..136]));
        put_octal(&mut block[136..148], seconds.unwrap_or(0))?;
        block[156] = self.type_flag;
        put_text(&mut block[157..257], self.link);
        put_octal(&mut block[329..337], self.device.major.into())?;
        put_octal(&mut block[337..345], self.device.minor.into())?;
        put_text(&mut block[345..500], prefix);
        finish_block(out, &mut block);
        Some(())
    }
}

/// Appends zeros up to the end of a block.
pub(crate) fn pad(out: &mut Vec<u8>, size: u64) {
    let rest = padding(size);
    out.resize(out.len() + rest, 0);
}

/// Bytes between the end of a content and the end of its last block.
pub(crate) fn padding(size: u64) -> usize {
    // Below 512.
    usize::try_from((BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64).unwrap_or(0)
}

fn write_extended(out: &mut Vec<u8>, name: &[u8], body: &[u8]) {
    // Go's path.Join(dir, "PaxHeaders.0", file); the name serves only readers that know no PAX.
    let cut = name.iter().rposition(|&b| b == b'/').map_or(0, |i| i + 1);
    let separator: &[u8] = if cut == name.len() { b"" } else { b"/" };
    let full = [&name[..cut], b"PaxHeaders.0", separator, &name[cut..]].concat();
    let mut text = ascii(full.strip_prefix(b"./").unwrap_or(&full));
    text.truncate(100);
    while text.last() == Some(&b'/') {
        text.pop();
    }
    let mut block = [0; BLOCK];
    block[..text.len()].copy_from_slice(&text);
    for field in [100..108, 108..116, 116..124, 136..148] {
        zero_octal(&mut block[field]);
    }
    put_octal(&mut block[124..136], body.len() as u64).unwrap_or_else(|| zero_octal(&mut block[124..136]));
    block[156] = b'x';
    finish_block(out, &mut block);
    out.extend_from_slice(body);
    pad(out, body.len() as u64);
}

fn finish_block(out: &mut Vec<u8>, block: &mut [u8; BLOCK]) {
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|&b| u64::from(b)).sum();
    // At most 512 * 255, which has six octal digits; a NUL and a space follow them.
    if put_octal(&mut block[148..155], sum).is_some() {
        block[154] = 0;
        out.extend_from_slice(block);
    }
}

/// Tells whether a text stands in a header as it is.
fn fits(text: &[u8], room: usize) -> bool {
    text.len() <= room && text.iter().all(|&b| b != 0 && b.is_ascii())
}

fn fits_octal(value: u64, field: usize) -> bool {
    value >> ((field - 1) * 3) == 0
}

/// Splits a long name into prefix and name, as late as possible.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.iter().any(|b| !b.is_ascii()) {
        return None;
    }
    let end = if name.len() > 156 { 156 } else { name.len() - usize::from(name.ends_with(b"/")) };
    let slash = name[..end].iter().rposition(|&b| b == b'/').filter(|&i| i > 0)?;
    let rest = name.len() - slash - 1;
    (rest > 0 && rest <= 100 && slash <= 155).then(|| (&name[..slash], &name[slash + 1..]))
}

fn ascii(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|&b| b != 0 && b.is_ascii()).collect()
}

/// Writes as much of a text as fits.
fn put_text(field: &mut [u8], text: &[u8]) {
    let text = ascii(text);
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
    if text.len() > field.len() && field.last() == Some(&b'/') {
        // A cut name must not look like a directory's to readers that know no PAX.
        let kept = field.iter().rposition(|&b| b != b'/').map_or(0, |i| i + 1);
        field[kept] = 0;
    }
}

fn put_octal(field: &mut [u8], value: u64) -> Option<()> {
    if !fits_octal(value, field.len()) {
        return None;
    }
    let digits = field.len() - 1;
    let text = format!("{value:0digits$o}");
    field[..digits].copy_from_slice(text.as_bytes());
    Some(())
}

fn zero_octal(field: &mut [u8]) {
    let digits = field.len() - 1;
    field[..digits].fill(b'0');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &[u8]) -> Header<'_> {
        Header {
            name,
            link: b"",
            type_flag: b'0',
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: Timestamp::from_seconds(0),
            device: DeviceNumber { major: 0, minor: 0 },
            records: Records::default(),
        }
    }

    fn written(header: &Header<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        header.write(&mut out).unwrap();
        assert_eq!(out.len() % BLOCK, 0);
        out
    }

    #[test]
    fn extended_headers_come_only_when_needed() {
        let long = [vec![b'a'; 120], vec![b'/'], vec![b'b'; 100]].concat();
        assert_eq!(written(&header(b"a")).len(), BLOCK);
        assert_eq!(written(&header(&long)).len(), BLOCK, "ustar prefix");
        let needing = [
            Header { name: &[b'a'; 101], ..header(b"") },
            Header { name: "ä".as_bytes(), ..header(b"") },
            Header { link: &[b'a'; 101], ..header(b"a") },
            Header { uid: 0o10_000_000, ..header(b"a") },
            Header { gid: u32::MAX, ..header(b"a") },
            Header { size: 1 << 33, ..header(b"a") },
            Header { mtime: Timestamp { seconds: 1, nanos: 1 }, ..header(b"a") },
            Header { mtime: Timestamp::from_seconds(-1), ..header(b"a") },
        ];
        for header in needing {
            let out = written(&header);
            assert_eq!((out.len(), out[156]), (3 * BLOCK, b'x'), "{header:?}");
        }
        let fitting = [
            Header { uid: 0o7_777_777, ..header(b"a") },
            Header { size: (1 << 33) - 1, ..header(b"a") },
            Header { mtime: Timestamp::from_seconds((1 << 33) - 1), ..header(b"a") },
        ];
        for header in fitting {
            assert_eq!(written(&header).len(), BLOCK, "{header:?}");
        }
    }

    #[test]
    fn names_split_as_go_does() {
        let text = |a: usize, b: usize| [vec![b'a'; a], vec![b'/'], vec![b'b'; b]].concat();
        assert!(split_name(&text(155, 100)).is_some_and(|(p, n)| p.len() == 155 && n.len() == 100));
        assert!(split_name(&text(156, 100)).is_none());
        assert!(split_name(&text(50, 101)).is_none());
        let directory = [text(50, 60), vec![b'/']].concat();
        assert!(split_name(&directory).is_some_and(|(p, n)| p.len() == 50 && n.len() == 61));
    }

    #[test]
    fn a_device_number_that_does_not_fit_is_refused() {
        let device = Header { type_flag: b'c', device: DeviceNumber { major: 1 << 21, minor: 0 }, ..header(b"a") };
        assert!(device.write(&mut Vec::new()).is_none());
    }
}
