//! Archives out and in, and archives of strangers.

use std::io::{Read, Write};
use std::sync::Arc;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::header::pad;
use super::pax::Records;
use super::*;
use crate::{
    Archive, ArchiveFormat, Cancel, ContentHash, ContentSource, DeviceNumber, Digest, Entry, EntryKind, Error,
    FileContent, ImagePath, Metadata, Result, Timestamp, WindowsMetadata,
};

fn path(text: &str) -> ImagePath {
    ImagePath::parse(text).unwrap()
}

fn meta(mode: u32) -> Metadata {
    Metadata { mode, mtime: Timestamp::from_seconds(1_700_000_000), ..Metadata::default() }
}

fn entry(name: &str, mode: u32, kind: EntryKind) -> Entry {
    Entry { path: path(name), meta: meta(mode), kind }
}

fn write(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    let summary = write_tar(entries, None, &mut out, &Cancel::new()).unwrap();
    assert_eq!(summary.size, out.len() as u64);
    out
}

fn index_with(tar: &[u8], whiteouts: WhiteoutNames, limits: Limits) -> Result<Vec<Entry>> {
    let dir = tempfile::tempdir().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(tar).unwrap();
    let archive = Arc::new(Archive::of_file("test archive", file, ArchiveFormat::Tar, dir.path(), limits));
    ArchiveReader { name: "test archive", whiteouts, limits, cancel: &Cancel::new() }.index(&archive)
}

fn index(tar: &[u8]) -> Result<Vec<Entry>> {
    index_with(tar, WhiteoutNames::Whiteouts, Limits::default())
}

/// One line for each entry, without what tests of structure do not look at.
fn shape(entries: &[Entry]) -> Vec<String> {
    let line = |e: &Entry| match &e.kind {
        EntryKind::Directory { opaque, implicit } => {
            let marks = [(*opaque, " opaque"), (*implicit, " implicit")];
            format!("d {}{}", e.path, marks.iter().filter(|m| m.0).map(|m| m.1).collect::<String>())
        }
        EntryKind::File(content) => {
            let mut bytes = Vec::new();
            content.copy_to(&mut bytes).unwrap();
            assert_eq!(content.hash, Some(ContentHash::of(&bytes)));
            format!("f {} {}", e.path, String::from_utf8_lossy(&bytes))
        }
        EntryKind::Symlink(target) => format!("l {} {}", e.path, String::from_utf8_lossy(target)),
        EntryKind::HardLink(target) => format!("h {} {target}", e.path),
        EntryKind::CharDevice(n) | EntryKind::BlockDevice(n) => format!("n {} {}:{}", e.path, n.major, n.minor),
        EntryKind::Fifo => format!("p {}", e.path),
        EntryKind::Whiteout => format!("w {}", e.path),
    };
    entries.iter().map(line).collect()
}

/// Makes archives with any content, also such as no honest writer makes.
#[derive(Default)]
struct Forge(Vec<u8>);

impl Forge {
    fn raw(mut self, flag: u8, name: &[u8], link: &[u8], data: &[u8]) -> Self {
        let mut header = ::tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(data.len() as u64);
        header.as_mut_bytes()[156] = flag;
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        pad(&mut self.0, data.len() as u64);
        self
    }

    fn file(self, name: &str, text: &str) -> Self {
        self.raw(b'0', name.as_bytes(), b"", text.as_bytes())
    }

    fn dir(self, name: &str) -> Self {
        self.raw(b'5', name.as_bytes(), b"", b"")
    }

    fn link(self, name: &str, target: &str) -> Self {
        self.raw(b'1', name.as_bytes(), target.as_bytes(), b"")
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.raw(b'2', name.as_bytes(), target.as_bytes(), b"")
    }

    fn records(self, flag: u8, records: &[(&str, &str)]) -> Self {
        let mut all = Records::default();
        for (name, value) in records {
            all.push(*name, *value);
        }
        self.raw(flag, b"pax", b"", &all.to_body())
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn all_kinds() -> Vec<Entry> {
    let mut file = Entry::inline_file(path("etc/passwd"), meta(0o644), &b"root:x:0:0\n"[..]);
    file.meta.xattrs.insert(b"security.capability"[..].into(), b"\x01\0\0\x02\0=\n"[..].into());
    let mut old = Entry::inline_file(path("etc/old"), meta(0o4755), &b""[..]);
    old.meta.mtime = Timestamp::from_seconds(-2);
    old.meta.uid = 3_000_000;
    let directory = |opaque| EntryKind::Directory { opaque, implicit: false };
    let device = DeviceNumber { major: 10, minor: 200 };
    let mut entries = vec![
        entry("", 0o755, directory(false)),
        entry("dev", 0o755, directory(true)),
        entry("dev/net", 0o600, EntryKind::CharDevice(device)),
        entry("dev/sda", 0o660, EntryKind::BlockDevice(DeviceNumber { major: 8, minor: 0 })),
        entry("etc", 0o755, directory(false)),
        entry("etc/gone", 0, EntryKind::Whiteout),
        old,
        file,
        entry("etc/passwd-", 0o644, EntryKind::HardLink(path("etc/passwd"))),
        entry("lib", 0o777, EntryKind::Symlink(b"usr/lib"[..].into())),
        entry("run", 0o1777, EntryKind::Directory { opaque: false, implicit: false }),
        entry("run/pipe", 0o600, EntryKind::Fifo),
        Entry::inline_file(path(&format!("z/{}", "ä".repeat(60))), meta(0o644), &b"x"[..]),
    ];
    entries[5].meta = Metadata::default();
    entries[8].meta = entries[7].meta.clone();
    entries.insert(12, entry("z", 0o755, directory(false)));
    entries
}

#[test]
fn all_kinds_come_back() {
    let entries = all_kinds();
    let back = index(&write(&entries)).unwrap();
    assert_eq!(shape(&back), shape(&entries));
    for (a, b) in entries.iter().zip(&back) {
        assert_eq!(a.meta, b.meta, "{}", a.path);
    }
}

/// The bytes are a promise (architecture.md, decision 6): other bytes are other digests of every image.
#[test]
fn bytes_are_pinned() {
    assert_eq!(
        Digest::of(&write(&all_kinds())).hex(),
        "7045e0034e6c5462ad1896d9f42ac453648d312ee8a5fe7d1ea9386e9c4a2552"
    );
    let small = write(&[entry("d", 0o755, EntryKind::Directory { opaque: false, implicit: false })]);
    let mut expected = b"d/".to_vec();
    expected.resize(100, 0);
    expected.extend_from_slice(b"0000755\x000000000\x000000000\x0000000000000\x0014524770400\x00007472\0 5");
    expected.resize(257, 0);
    expected.extend_from_slice(b"ustar\x0000");
    expected.resize(329, 0);
    expected.extend_from_slice(b"0000000\x000000000\0");
    expected.resize(512 + 1024, 0);
    assert_eq!(String::from_utf8_lossy(&small), String::from_utf8_lossy(&expected));
}

#[test]
fn the_tar_crate_reads_the_same() {
    let tar = write(&all_kinds());
    let mut archive = ::tar::Archive::new(&tar[..]);
    let names: Vec<_> =
        archive.entries().unwrap().map(|e| String::from_utf8_lossy(&e.unwrap().path_bytes()).into_owned()).collect();
    assert_eq!(names[..4], ["./", "dev/", "dev/.wh..wh..opq", "dev/net"]);
    assert_eq!(names.len(), 15);
}

#[test]
fn linux_layers_have_whole_seconds() {
    let mut file = Entry::inline_file(path("f"), meta(0o644), &b"x"[..]);
    file.meta.mtime = Timestamp { seconds: -2, nanos: 500_000_000 };
    let mut out = Vec::new();
    write_tar(&[file], None, &mut out, &Cancel::new()).unwrap();
    assert_eq!(index(&out).unwrap()[0].meta.mtime, Timestamp::from_seconds(-2));
}

#[test]
fn implicit_directories_are_not_written_and_times_are_clamped() {
    let mut entries = vec![
        entry("a", 0o755, EntryKind::Directory { opaque: false, implicit: true }),
        Entry::inline_file(path("a/f"), meta(0o644), &b"x"[..]),
    ];
    entries[1].meta.mtime = Timestamp { seconds: 100, nanos: 7 };
    let mut windows = WindowsMetadata::default();
    windows.records.insert("MSWINDOWS.fileattr".into(), b"32".to_vec());
    windows.records.insert("atime".into(), b"99.5".to_vec());
    entries[1].meta.windows = Some(Box::new(windows));
    let mut out = Vec::new();
    write_tar(&entries, Some(Timestamp::from_seconds(50)), &mut out, &Cancel::new()).unwrap();
    let back = index(&out).unwrap();
    assert_eq!(shape(&back), ["d /a implicit", "f /a/f x"]);
    assert_eq!(back[1].meta.mtime, Timestamp::from_seconds(50));
    let windows = back[1].meta.windows.as_ref().unwrap();
    assert_eq!(windows.records["atime"], b"50");
    assert_eq!(windows.records["MSWINDOWS.fileattr"], b"32");
}

#[test]
fn a_link_that_sorts_before_its_file_is_written_as_the_file() {
    let file = Entry::inline_file(path("m"), meta(0o644), &b"x"[..]);
    let link = |name| entry(name, 0o644, EntryKind::HardLink(path("m")));
    let back = index(&write(&[link("a"), link("b"), file, link("z")])).unwrap();
    assert_eq!(shape(&back), ["f /a x", "h /b /a", "h /m /a", "h /z /a"]);
    let foreign = [link("a")];
    assert_eq!(shape(&index(&write(&foreign)).unwrap()), ["h /a /m"]);
}

#[test]
fn bytes_that_are_not_the_entrys_fail_by_name() {
    let mut wrong = Entry::inline_file(path("a/b"), meta(0o644), &b"hello"[..]);
    let EntryKind::File(content) = &mut wrong.kind else { panic!("no file") };
    content.hash = Some(ContentHash::of(b"Hello"));
    let write = |entry: &Entry| write_tar(std::slice::from_ref(entry), None, &mut Vec::new(), &Cancel::new());
    assert_snapshot!(write(&wrong).unwrap_err(), @"the content of /a/b is not what it was when the layer was made");
    let said = [4, 6].map(|size| {
        let EntryKind::File(content) = &mut wrong.kind else { panic!("no file") };
        *content = FileContent { size, hash: None, source: ContentSource::Inline(b"hello"[..].into()) };
        write(&wrong).unwrap_err().to_string()
    });
    assert_snapshot!(said.join("\n"), @r"
    /a/b changed while it was read: build again when nothing writes to it
    /a/b changed while it was read: build again when nothing writes to it
    ");
}

#[test]
fn what_no_layer_can_hold_is_refused() {
    let mut attribute = entry("e", 0o644, EntryKind::Fifo);
    attribute.meta.xattrs.insert(b"user.a=b"[..].into(), b"c"[..].into());
    let refused = [
        Entry::inline_file(path("a/.wh.b"), meta(0o644), &b""[..]),
        entry(".wh.d", 0o755, EntryKind::Directory { opaque: false, implicit: false }),
        entry("c", 0o600, EntryKind::CharDevice(DeviceNumber { major: 1, minor: u32::MAX })),
        attribute,
    ];
    let said = refused.map(|entry| write_tar(&[entry], None, &mut Vec::new(), &Cancel::new()).unwrap_err().to_string());
    assert_snapshot!(said.join("\n"), @r#"
    /a/.wh.b cannot be part of an image: names that begin with `.wh.` mean deleted files in layers; rename it
    /.wh.d cannot be part of an image: names that begin with `.wh.` mean deleted files in layers; rename it
    the device number of /c is too large for an image layer
    /e has an extended attribute "user.a=b", which no layer can hold: its name has a `=` or a NUL byte
    "#);
}

#[test]
fn whiteouts_are_understood_in_layers_only() {
    let tar = Forge::default()
        .file("a/.wh.gone", "")
        .file("a/.wh..wh..opq", "")
        .file(".wh..wh.plnk/1.2", "")
        .file(".wh..wh.aufs", "")
        .dir("b/")
        .file(".wh.b", "")
        .file(".wh.c", "")
        .file("c", "new")
        .file(".wh.d", "")
        .file("d/f", "x")
        .end();
    let layer = ["d /a opaque implicit", "w /a/gone", "d /b opaque", "f /c new", "d /d opaque", "f /d/f x"];
    assert_eq!(shape(&index(&tar).unwrap()), layer);
    let plain = index_with(&tar, WhiteoutNames::Plain, Limits::default()).unwrap();
    assert!(shape(&plain).contains(&"f /a/.wh.gone ".to_owned()));
}

#[test]
fn the_last_of_duplicates_wins() {
    let tar = Forge::default()
        .file("a", "1")
        .link("b", "a")
        .link("c", "./b")
        .file("a", "2")
        .dir("d")
        .file("d/x", "x")
        .file("d/.wh.y", "")
        .file("d", "now a file")
        .file("e", "file")
        .dir("e")
        .file("e/x", "x")
        .link("self", "self2")
        .file("f", "f")
        .link("f", "f")
        .end();
    let expected = ["f /a 2", "f /b 1", "h /c /b", "f /d now a file", "d /e", "f /e/x x", "f /f f", "h /self /self2"];
    assert_eq!(shape(&index(&tar).unwrap()), expected);
}

#[test]
fn parents_that_are_links_are_followed_inside_the_archive() {
    let tar = Forge::default()
        .dir("usr/lib")
        .symlink("lib", "usr/lib")
        .symlink("up", "/../../usr/./lib/../lib")
        .file("lib/a", "a")
        .link("lib/b", "up/a")
        .file("up/.wh.c", "")
        .end();
    let expected = [
        "l /lib usr/lib",
        "l /up /../../usr/./lib/../lib",
        "d /usr implicit",
        "d /usr/lib",
        "f /usr/lib/a a",
        "h /usr/lib/b /usr/lib/a",
        "w /usr/lib/c",
    ];
    assert_eq!(shape(&index(&tar).unwrap()), expected);
}

#[test]
fn names_are_cleaned() {
    let tar = Forge::default().dir("./").file("/a", "1").file("./b//c", "2").raw(0, b"old/", b"", b"").end();
    assert_eq!(shape(&index(&tar).unwrap()), ["d /", "f /a 1", "d /b implicit", "f /b/c 2", "d /old"]);
}

#[test]
fn hostile_archives_are_refused_by_name() {
    let long = "x".repeat(256);
    let deep = "y/".repeat(2100);
    let cases = [
        Forge::default().file("../x", ""),
        Forge::default().file("a/../../x", ""),
        Forge::default().link("a", "../x"),
        Forge::default().link("a", "/"),
        Forge::default().link("a", "a"),
        Forge::default().dir("d").link("a", "d"),
        Forge::default().file(".wh..", ""),
        Forge::default().file(".wh.", ""),
        Forge::default().file("x/.wh...", ""),
        Forge::default().file("", "x"),
        Forge::default().file("/", "x"),
        Forge::default().symlink("a", "b").symlink("b", "a").file("a/x", ""),
        Forge::default().symlink("a", "a/a/a/a").file("a/x", ""),
        Forge::default().file("a", "").file("a/x", ""),
        Forge::default().raw(b'2', b"a", b"", b""),
        Forge::default().raw(b'Q', b"a", b"", b""),
        Forge::default().records(b'x', &[("path", "a\0b")]).file("a", ""),
        Forge::default().records(b'x', &[("path", &long)]).file("a", ""),
        Forge::default().records(b'x', &[("path", &deep)]).file("a", ""),
        Forge::default().records(b'x', &[("size", "-1")]).file("a", ""),
        Forge::default().records(b'x', &[("size", "1e3")]).file("a", ""),
        Forge::default().records(b'x', &[("uid", "4294967296")]).file("a", ""),
        Forge::default().records(b'x', &[("mtime", "yesterday")]).file("a", ""),
        Forge::default().records(b'x', &[("mtime", "1")]).records(b'x', &[]).file("a", ""),
        Forge::default().records(b'x', &[("mtime", "1")]),
        Forge::default().records(b'g', &[("path", "b")]).file("a", ""),
        Forge::default().raw(b'x', b"p", b"", b"99 a=b\n").file("a", ""),
        Forge::default().raw(b'x', b"p", b"", &vec![b'x'; 2 << 20]).file("a", ""),
        Forge::default().raw(b'L', b"p", b"", &vec![b'x'; 1 << 20]).file("a", ""),
        Forge::default().records(b'x', &[("GNU.sparse.size", "9"), ("GNU.sparse.map", "0,1,0,1")]).file("a", "xx"),
        Forge::default().records(b'x', &[("GNU.sparse.size", "9"), ("GNU.sparse.map", "0,9")]).file("a", "xx"),
        Forge::default().records(b'x', &[("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "9")]).file("a", ""),
    ];
    let said = cases.map(|forge| {
        let error = index(&forge.end()).unwrap_err();
        assert!(matches!(error, Error::BadArchive { .. }), "{error}");
        error.to_string().replace(&long, "LONG").replace(&"y/".repeat(150), "DEEP")
    });
    assert_snapshot!(said.join("\n"), @r#"
    test archive: entry "../x": the path has a `..` component
    test archive: entry "a/../../x": the path has a `..` component
    test archive: entry "a": it links to a bad path: the path has a `..` component
    test archive: entry "a": it links to the root
    test archive: entry "/a": it is a hard link to itself
    test archive: entry "/a": it is a hard link to a directory
    test archive: entry ".wh..": it is a whiteout without a name
    test archive: entry ".wh.": it is a whiteout without a name
    test archive: entry "x/.wh...": it is a whiteout without a name
    test archive: only a folder can be the root
    test archive: entry "/": only a folder can be the root
    test archive: entry "/a/x": its parent is a loop of links
    test archive: entry "/a/x": its parent is a loop of links
    test archive: entry "/a/x": its parent /a is not a directory
    test archive: entry "a": its link target is empty, too long or holds a NUL byte
    test archive: entry "a": its type 'Q' is not known
    test archive: entry "a\0b": the path holds a NUL byte
    test archive: entry "LONG": a name in the path is longer than 255 bytes
    test archive: entry "DEEP": the path is longer than 4096 bytes
    test archive: entry "a": its size is damaged
    test archive: entry "a": its size is damaged
    test archive: entry "a": its owner is damaged or out of range
    test archive: entry "a": its time is damaged
    test archive: entry "pax": two headers of the same type describe one entry
    test archive: the archive ends after a header that describes a further entry
    test archive: entry "pax": a global header sets "path" for all entries, which is refused
    test archive: entry "p": its extended header is damaged
    test archive: entry "p": its extended header has 2097152 bytes, the limit is 1048576
    test archive: entry "p": its extended header has 1048576 bytes, the limit is 65536
    test archive: entry "a": its sparse map is out of order
    test archive: entry "a": its sparse map does not fit its data
    test archive: entry "a": its sparse map is damaged
    "#);
}

#[test]
fn sizes_that_lie_cost_nothing() {
    let huge = Forge::default().records(b'x', &[("size", "18446744073709551615")]).file("a", "x").end();
    assert_snapshot!(index(&huge).unwrap_err(), @"the unpacked size of test archive exceeds the limit of 17179869184 bytes");
    let large = Forge::default().records(b'x', &[("size", "1073741824")]).file("a", "x").end();
    assert_snapshot!(index(&large).unwrap_err(), @"test archive: the archive is cut off");
    let limits = Limits { entries: 2, ..Limits::default() };
    let three = Forge::default().file("a", "").file("b", "").file("c", "").end();
    assert_snapshot!(index_with(&three, WhiteoutNames::Whiteouts, limits).unwrap_err(), @"the number of entries of test archive exceeds the limit of 2");
    // A size at a type that has no data is not data (as in Go), so nothing can hide there.
    let hidden = Forge::default().dir("d").file("x", "").end();
    let mut header = ::tar::Header::new_ustar();
    header.as_mut_bytes().copy_from_slice(&hidden[..512]);
    header.set_size(512);
    header.set_cksum();
    let hidden = [header.as_bytes(), &hidden[512..]].concat();
    assert_eq!(shape(&index(&hidden).unwrap()), ["d /d", "f /x "]);
}

#[test]
fn cut_and_damaged_archives_are_errors() {
    let tar = Forge::default().file("a", "hello").file("b", "").end();
    let mut said = Vec::new();
    for cut in [1, 511, 513, 600, 1023, 1025] {
        said.push(format!("{cut}: {}", index(&tar[..cut]).unwrap_err()));
    }
    assert_snapshot!(said.join("\n"), @r"
    1: test archive: the archive is cut off
    511: test archive: the archive is cut off
    513: test archive: the archive is cut off
    600: test archive: the archive is cut off
    1023: test archive: the archive is cut off
    1025: test archive: the archive is cut off
    ");
    // Go and GNU tar accept an archive without its end mark.
    assert_eq!(shape(&index(&tar[..1536]).unwrap()), ["f /a hello", "f /b "]);
    let mut damaged = tar.clone();
    damaged[1030] ^= 1;
    assert_snapshot!(index(&damaged).unwrap_err(), @"test archive: there is no header at offset 1024: it is damaged or no tar archive");
    let mut gap = tar[..1024].to_vec();
    gap.extend_from_slice(&[0; 512]);
    gap.extend_from_slice(&tar[1024..]);
    assert_snapshot!(index(&gap).unwrap_err(), @"test archive: one block of zeros stands where the end has two");
    assert_eq!(index(&[]).unwrap().len(), 0);
}

#[test]
fn overlay_attributes_are_dropped_and_globals_applied() {
    let tar = Forge::default()
        .records(b'g', &[("comment", "a commit"), ("mtime", "77.5"), ("uid", "5")])
        .records(
            b'x',
            &[
                ("SCHILY.xattr.trusted.overlay.redirect", "/etc"),
                ("SCHILY.xattr.user.overlay.opaque", "y"),
                ("SCHILY.xattr.user.k", "v"),
                ("uid", "6"),
            ],
        )
        .file("a", "")
        .file("b", "")
        .end();
    let entries = index(&tar).unwrap();
    assert_eq!(entries[0].meta.xattrs.keys().map(|k| &k[..]).collect::<Vec<_>>(), [b"user.k"]);
    assert_eq!((entries[0].meta.uid, entries[1].meta.uid), (6, 5));
    assert_eq!(entries[1].meta.mtime, Timestamp { seconds: 77, nanos: 500_000_000 });
}

#[test]
fn long_gnu_names_and_sparse_files_come_out_right() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(120));
    let terminated = format!("{long}\0");
    let sparse =
        [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "s1"), ("GNU.sparse.realsize", "9")];
    let mut data = b"2\n1\n2\n6\n1\n".to_vec();
    data.resize(512, 0);
    data.extend_from_slice(b"abc");
    let tar = Forge::default()
        .raw(b'L', b"././@LongLink", b"", terminated.as_bytes())
        .raw(b'K', b"././@LongLink", b"", terminated.as_bytes())
        .raw(b'2', b"cut", b"cut", b"")
        .records(b'x', &sparse)
        .raw(b'0', b"GNUSparseFile.1/s1", b"", &data)
        .records(b'x', &[("GNU.sparse.size", "5"), ("GNU.sparse.map", "1,2,5,0"), ("GNU.sparse.name", "s0")])
        .file("x", "ab")
        .file("z", "after")
        .end();
    let entries = index(&tar).unwrap();
    let shapes = shape(&entries);
    assert_eq!(shapes[1], format!("l /{long} /{long}").replace(" /", " ").replacen(" ", " /", 1));
    assert_eq!(shapes[2..], ["f /s0 \0ab\0\0", "f /s1 \0ab\0\0\0c\0\0", "f /z after"]);
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{1,3}", "[a-b/]{1,9}", Just("n".repeat(101)), Just("p/".repeat(80) + "q"), "[ä\\-\\.x]{1,4}"]
}

fn any_kind() -> impl Strategy<Value = EntryKind> {
    let file = proptest::collection::vec(any::<u8>(), 0..1500).prop_map(|bytes| {
        let hash = Some(ContentHash::of(&bytes));
        EntryKind::File(FileContent { size: bytes.len() as u64, hash, source: ContentSource::Inline(bytes.into()) })
    });
    prop_oneof![
        4 => file,
        2 => any::<bool>().prop_map(|opaque| EntryKind::Directory { opaque, implicit: false }),
        1 => "[a-z/.]{1,150}".prop_map(|t| EntryKind::Symlink(t.into_bytes().into())),
        1 => (0..1_u32 << 21, 0..1_u32 << 21).prop_map(|(major, minor)| EntryKind::BlockDevice(DeviceNumber { major, minor })),
        1 => Just(EntryKind::Fifo),
        1 => Just(EntryKind::Whiteout),
    ]
}

fn any_meta() -> impl Strategy<Value = Metadata> {
    let time = -5_000_000_000_i64..20_000_000_000;
    let xattrs =
        proptest::collection::btree_map("user\\.[a-z]{1,8}", proptest::collection::vec(any::<u8>(), 1..9), 0..2);
    (0..0o10000_u32, any::<u32>(), any::<u32>(), time, xattrs).prop_map(|(mode, uid, gid, seconds, xattrs)| {
        let xattrs = xattrs.into_iter().map(|(k, v)| (k.into_bytes().into(), v.into())).collect();
        Metadata { mode, uid, gid, mtime: Timestamp::from_seconds(seconds), xattrs, windows: None }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn written_layers_come_back(raw in proptest::collection::vec((any_name(), any_meta(), any_kind()), 0..20)) {
        // Entries of one layer: one for each path, nothing below what is no directory, no marker names.
        let mut entries: Vec<Entry> = Vec::new();
        for (name, meta, kind) in raw {
            let Ok(path) = ImagePath::parse(&name) else { continue };
            let clash = entries.iter().any(|e| e.path.starts_with(&path) || path.starts_with(&e.path) && !e.is_directory());
            if !path.is_root() && !clash {
                let meta = if matches!(kind, EntryKind::Whiteout) { Metadata::default() } else { meta };
                entries.push(Entry { path, meta, kind });
            }
        }
        let entries = crate::canonical::sort(entries).unwrap();
        let back = index(&write(&entries)).unwrap();
        let listed: Vec<_> = back.iter().filter(|e| !matches!(e.kind, EntryKind::Directory { implicit: true, .. })).collect();
        prop_assert_eq!(listed.len(), entries.len());
        for (a, b) in entries.iter().zip(&listed) {
            prop_assert_eq!(&a.path, &b.path);
            prop_assert_eq!(&a.meta, &b.meta);
            prop_assert_eq!(shape(std::slice::from_ref(a)), shape(std::slice::from_ref(b)));
        }
        // A second trip gives the same bytes.
        prop_assert_eq!(write(&back), write(&entries));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(noise in proptest::collection::vec((0..4096_usize, any::<u8>()), 0..12)) {
        let mut tar = write(&all_kinds());
        for (at, value) in noise {
            let at = at % tar.len();
            tar[at] = value;
            // With a right checksum, or nothing behind the header would be reached.
            let start = at / 512 * 512;
            let header: &mut [u8] = &mut tar[start..start + 512];
            if &header[257..262] == b"ustar" {
                let mut fixed = ::tar::Header::new_old();
                fixed.as_mut_bytes().copy_from_slice(header);
                fixed.set_cksum();
                header.copy_from_slice(fixed.as_bytes());
            }
        }
        if let Ok(entries) = index(&tar) {
            for entry in &entries {
                if let EntryKind::File(content) = &entry.kind {
                    content.open().unwrap().read_to_end(&mut Vec::new()).unwrap();
                }
            }
        }
    }
}
