//! ADD of archives.

use super::*;

/// Writes a ustar archive: name, type, mode, owner, link target or content.
fn tar(bench: &Bench, name: &str, members: &[(&str, char, u32, u32, &str)]) {
    let mut out: Vec<u8> = Vec::new();
    for (path, kind, mode, uid, text) in members {
        let content = if *kind == '0' { text.as_bytes() } else { b"" };
        let mut header = [0_u8; 512];
        let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
        put(0, path.as_bytes());
        put(100, format!("{mode:07o}").as_bytes());
        put(108, format!("{uid:07o}").as_bytes());
        put(116, format!("{uid:07o}").as_bytes());
        put(124, format!("{:011o}", content.len()).as_bytes());
        put(136, format!("{:011o}", 1_234_567_890).as_bytes());
        put(148, b"        ");
        put(156, &[u8::try_from(*kind).expect("ascii")]);
        if *kind != '0' {
            put(157, text.as_bytes());
        }
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    std::fs::write(bench.path().join(name), out).expect("written");
}

const FILE: char = '0';
const HARD: char = '1';
const LINK: char = '2';
const DIR: char = '5';
const FIFO: char = '6';

#[test]
fn archives_are_known_by_content_and_bring_owners_and_modes() {
    let mut bench = Bench::new(&["fake.tar"]);
    let members = [
        ("./", DIR, 0o750, 9, ""),
        ("./d/", DIR, 0o711, 5, ""),
        ("d/f", FILE, 0o4755, 7, "f\n"),
        ("/etc/b", FILE, 0o600, 0, "b\n"),
        ("c/./d//e", FILE, 0o644, 0, "e\n"),
        ("l", LINK, 0o777, 3, "/etc/passwd"),
        ("pipe", FIFO, 0o622, 33, ""),
        ("../../escaped", FILE, 0o644, 0, "x\n"),
    ];
    tar(&bench, "notes.txt", &members);
    bench.run("ADD notes.txt fake.tar dest/");
    assert_eq!(
        bench.tree(),
        [
            "/dest d755",
            "/dest/c d755",
            "/dest/c/d d755",
            "/dest/c/d/e f644 e",
            "/dest/d d711 5:5",
            "/dest/d/f f4755 7:7 f",
            "/dest/escaped f644 x",
            "/dest/etc d755",
            "/dest/etc/b f600 b",
            "/dest/fake.tar f644 fake.tar",
            "/dest/l l 3:3 -> /etc/passwd",
            "/dest/pipe p622 33:33",
        ]
    );
    bench.run("ADD --chown=8 --chmod=600 notes.txt /o").run("ADD --unpack=false notes.txt /packed");
    let below = bench.below("/o");
    assert_eq!(below[0], "/o d755 8:8");
    assert!(below.contains(&"/o/d/f f4755 8:8 f".to_owned()), "{below:?}");
    assert_eq!(bench.below("/packed").len(), 1);
    assert_eq!(bench.warnings.len(), 1);
}

#[test]
fn an_archive_goes_over_what_is_there() {
    let old = vec![
        directory("t", 0o755),
        file("t/same", 0o644, "old"),
        directory("t/sub", 0o755),
        file("t/sub/keep", 0o644, "keep"),
        directory("t/dir", 0o755),
        file("t/dir/inner", 0o644, "inner"),
        file("t/file", 0o644, "file"),
        file("t/target", 0o644, "target"),
        link("t/link", "target"),
        file("t/gone", 0o644, "gone"),
    ];
    let mut bench = Bench::new(&[]).with_root(old);
    let members = [
        ("same", FILE, 0o600, 5, "new\n"),
        ("sub", DIR, 0o700, 6, ""),
        ("sub/added", FILE, 0o644, 0, "added\n"),
        ("dir", FILE, 0o644, 0, "now a file\n"),
        ("file", DIR, 0o711, 0, ""),
        ("file/in", FILE, 0o644, 0, "in\n"),
        ("link", FILE, 0o644, 0, "new link\n"),
        (".wh.gone", FILE, 0o644, 0, ""),
    ];
    tar(&bench, "new.tar", &members);
    bench.run("ADD new.tar /t");
    assert_eq!(
        bench.tree(),
        [
            "/t d755",
            "/t/dir f644 now a file",
            "/t/file d711",
            "/t/file/in f644 in",
            "/t/link f644 new link",
            "/t/same f600 5:5 new",
            "/t/sub d700 6:6",
            "/t/sub/added f644 added",
            "/t/sub/keep f644 keep",
            "/t/target f644 target",
        ]
    );
    assert!(bench.last().contains(&"/t/gone gone".to_owned()), "{:?}", bench.last());
}

#[test]
fn links_lead_nowhere_but_below_the_destination() {
    let mut bench = Bench::new(&[]).with_root(base());
    tar(&bench, "below.tar", &[("abs/new", FILE, 0o644, 0, "n\n"), ("lib/added", FILE, 0o644, 0, "l\n")]);
    bench.run("ADD below.tar /");
    assert_eq!(bench.below("/opt/real/new"), ["/opt/real/new f644 n"]);
    assert_eq!(bench.below("/usr/lib/added"), ["/usr/lib/added f644 l"]);
    let inner = [
        ("etc", DIR, 0o755, 0, ""),
        ("out", LINK, 0o777, 0, "/etc"),
        ("out/one", FILE, 0o644, 0, "1\n"),
        ("up", LINK, 0o777, 0, "../../../etc"),
        ("up/two", FILE, 0o644, 0, "2\n"),
    ];
    tar(&bench, "inner.tar", &inner);
    bench.run("ADD inner.tar /dest/");
    assert_eq!(
        bench.below("/dest"),
        [
            "/dest d755",
            "/dest/etc d755",
            "/dest/etc/one f644 1",
            "/dest/etc/two f644 2",
            "/dest/out l -> /etc",
            "/dest/up l -> ../../../etc",
        ]
    );
    tar(&bench, "trap.tar", &[("out", LINK, 0o777, 0, "/usr"), ("out/planted", FILE, 0o644, 0, "p\n")]);
    assert!(bench.fail("ADD trap.tar /new/").contains("out/planted"));
    tar(&bench, "steal.tar", &[("steal", HARD, 0o644, 0, "../../etc/passwd")]);
    assert!(bench.fail("ADD steal.tar /new/").contains("steal"));
    tar(&bench, "dir.tar", &[("abs", DIR, 0o700, 0, ""), ("abs/new", FILE, 0o644, 0, "n\n")]);
    bench.run("ADD dir.tar /");
    assert_eq!(bench.below("/abs"), ["/abs d700", "/abs/new f644 n"]);
}

#[test]
fn names_of_one_file_take_the_attributes_of_the_last() {
    let mut bench = Bench::new(&[]);
    let members = [
        ("real", FILE, 0o640, 0, "r\n"),
        ("sub", DIR, 0o755, 0, ""),
        ("sub/hard", HARD, 0o644, 0, "real"),
        ("file", FILE, 0o755, 0, "first\n"),
        ("file", FILE, 0o600, 0, "second\n"),
    ];
    tar(&bench, "links.tar", &members);
    bench.run("ADD links.tar /in/");
    assert_eq!(
        bench.tree(),
        ["/in d755", "/in/file f600 second", "/in/real f644 r", "/in/sub d755", "/in/sub/hard h644 = /in/real"]
    );
}

#[test]
fn what_is_no_archive_is_copied() {
    let mut bench = Bench::new(&["text.tar.gz", "tree/pack.tar"]);
    tar(&bench, "none.tar", &[]);
    std::fs::write(bench.path().join("empty.tar"), b"").expect("written");
    bench.run("ADD text.tar.gz none.tar empty.tar /out/");
    assert_eq!(bench.tree().len(), 4, "{:?}", bench.tree());
    tar(&bench, "tree/pack.tar", &[("inner", FILE, 0o644, 0, "i\n")]);
    bench.run("ADD tree /tree/").run("ADD tree/*.tar /glob/");
    assert_eq!(bench.below("/tree").len(), 2);
    assert_eq!(bench.below("/glob"), ["/glob d755", "/glob/inner f644 i"]);
    bench.run("COPY tree/pack.tar /file");
    assert!(bench.fail("ADD tree/pack.tar /file").contains("/file"));
}
