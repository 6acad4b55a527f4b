//! The examples of `docs/reference/dockerfile.md`: each is built, and gives what the page says.
//!
//! HTML comments before an example say what: `makes: PATH…` and `lacks: PATH…` (files of the result), `config: TEXT…`
//! (texts of the image config, each without blanks outside of quotes), `says: TEXT`, `fails: CODE TEXT`, `image: NAME`
//! (later examples build upon it), `needs: git`.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "what a test cannot read or serve fails it")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use strake_tests::{Build, Host, Image, Outcome, Tar, needs_program, needs_root};

/// An example with its comments.
struct Example {
    line: usize,
    notes: Vec<(String, String)>,
    text: String,
}

impl Example {
    fn note(&self, name: &str) -> Option<&str> {
        self.notes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn comment(&self, start: &str) -> Option<&str> {
        self.text.lines().find_map(|line| line.strip_prefix(start))
    }
}

fn examples() -> Vec<Example> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/dockerfile.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mut all = Vec::new();
    let mut notes = Vec::new();
    let mut text: Option<(usize, String)> = None;
    for (number, line) in page.lines().enumerate() {
        if let Some((at, body)) = &mut text {
            if line == "```" {
                all.push(Example { line: *at, notes: std::mem::take(&mut notes), text: std::mem::take(body) });
                text = None;
            } else {
                body.push_str(line);
                body.push('\n');
            }
        } else if line == "```dockerfile" {
            text = Some((number + 2, String::new()));
        } else if let Some(note) = line.strip_prefix("<!-- ") {
            let note = note.strip_suffix(" -->").unwrap();
            let (key, value) = note.split_once(": ").unwrap();
            notes.push((key.to_owned(), value.to_owned()));
        } else if !line.is_empty() {
            assert!(notes.is_empty(), "line {}: a note stands before no example", number + 1);
        }
    }
    all
}

fn archive() -> Vec<u8> {
    Tar::new().file("app", b"program").finish()
}

/// Writes the context that the page speaks of.
fn write_context(host: &Host, folder: &str) {
    for name in ["app.py", "notes.txt", "conf/app.toml", "conf/dev/app.toml", "src/main.c", "src/lib/util.c"] {
        host.write(&format!("{folder}/{name}"), format!("the file {name}"));
    }
    host.write(&format!("{folder}/app.tar"), archive());
}

/// Writes what `files.example.com` has: files, and a repository as a plain web server gives it. Tells whether there is
/// a git to make that with.
fn write_site(host: &Host) -> bool {
    host.write("site/app.py", "downloaded");
    host.write("site/app.tar", archive());
    host.write("site/hello", "hello");
    if needs_program("the example of a repository", "git").is_none() {
        return false;
    }
    host.write("repository/src/main.c", "the file src/main.c");
    // The commit has a fixed id, as nothing in it depends on when and where it is made.
    let script = "git init -q -b main . && git add . && git commit -q -m first && git tag v1.0 && \
                  git clone -q --bare . ../site/app.git && git -C ../site/app.git update-server-info";
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(host.path("repository"));
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "a").env(format!("GIT_{who}_EMAIL"), "a@example.com");
        command.env(format!("GIT_{who}_DATE"), "@1700000000 +0000");
    }
    assert!(command.status().unwrap().success());
    true
}

/// Answers what is asked of `files.example.com`, as a proxy of http; gives its address.
fn serve_files(site: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let site = site.clone();
            std::thread::spawn(move || answer(stream, &site));
        }
    });
    address
}

fn answer(mut stream: TcpStream, site: &Path) -> std::io::Result<()> {
    let mut first = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let address = first.split_whitespace().nth(1).unwrap_or_default();
    let path = address.strip_prefix("http://files.example.com/").and_then(|path| path.split('?').next());
    let Some(Ok(body)) = path.map(|path| std::fs::read(site.join(path))) else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    };
    let time = if first.contains(".tar") { "last-modified: Tue, 14 Nov 2023 22:13:20 GMT\r\n" } else { "" };
    write!(stream, "HTTP/1.1 200 OK\r\n{time}content-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    if first.starts_with("HEAD") { Ok(()) } else { stream.write_all(&body) }
}

/// Prepares the build of an example in a context of its own.
fn build<'a>(host: &'a Host, proxy: &str, example: &Example, images: &[String]) -> Build<'a> {
    let folder = format!("line-{}", example.line);
    write_context(host, &folder);
    host.write(&format!("{folder}/Dockerfile"), &example.text);
    if let Some(rules) = example.comment("# .dockerignore: ") {
        host.write(&format!("{folder}/.dockerignore"), rules.replace(' ', "\n"));
    }
    let flags = example.comment("# strake build ").and_then(|flags| flags.strip_suffix('.')).unwrap_or_default();
    let mut build = host.strake(&["build", &format!("../{folder}"), "--progress", "plain"]).args(flags);
    build = build.args("--build-context alpine=oci-layout://../base").env("http_proxy", proxy);
    for image in images {
        build = build.arg("--build-context").arg(format!("{image}=oci-layout://../{image}"));
    }
    if !example.text.contains("SOURCE_DATE_EPOCH") {
        // Images that are compared must not tell the time of day.
        build = build.env("SOURCE_DATE_EPOCH", "1700000000");
    }
    // Paths in flags are those of the context.
    let place = host.path(&folder);
    build.with(|command| {
        command.current_dir(place);
    })
}

/// What an example came to, against what the page says.
fn check(host: &Host, example: &Example, outcome: &Outcome, out: &str) -> Result<(), String> {
    if let Some(words) = example.note("fails") {
        let (code, text) = words.split_once(' ').unwrap_or((words, ""));
        let is_so =
            outcome.code == Some(1) && outcome.stderr.contains(&format!("[{code}")) && outcome.stderr.contains(text);
        return if is_so { Ok(()) } else { Err(format!("does not fail with {words}")) };
    }
    if outcome.code != Some(0) {
        return Err("fails".to_owned());
    }
    match example.note("says") {
        Some(text) if !outcome.stderr.contains(text) => return Err(format!("does not say {text}")),
        Some(_) => {}
        None if outcome.stderr.contains("warning[") => return Err("warns".to_owned()),
        None => {}
    }
    let exists = |name: &str| host.path(out).join("files").join(name).symlink_metadata().is_ok();
    // Of several words a name with blanks is the whole.
    let made = example.note("makes").unwrap_or_default();
    if !exists(made) && !made.split(' ').all(exists) {
        return Err(format!("does not make {made}"));
    }
    if let Some(name) = example.note("lacks").into_iter().flat_map(|names| names.split(' ')).find(|name| exists(name)) {
        return Err(format!("makes {name}"));
    }
    let config = Image::open(&host.path(out).join("image")).config_text;
    for part in example.note("config").into_iter().flat_map(parts) {
        if !config.contains(&part) {
            return Err(format!("has no {part} in its config: {config}"));
        }
    }
    Ok(())
}

/// Splits a text at blanks that stand outside of double quotes.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut is_quoted = false;
    for c in text.chars() {
        is_quoted ^= c == '"';
        match parts.last_mut() {
            Some(part) if c != ' ' || is_quoted => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    parts
}

/// Builds an example again, with a byte-order mark and CRLF line ends; the image must be the same.
fn check_line_ends(host: &Host, proxy: &str, example: &Example, known: &[String], out: &str) -> Result<(), String> {
    let crlf = format!("\u{feff}{}", example.text.replace('\n', "\r\n"));
    let build = build(host, proxy, example, known);
    host.write(&format!("line-{}/Dockerfile", example.line), crlf);
    let output = format!("type=oci,dest=../{out}/crlf,tar=false,compression=uncompressed");
    let outcome = build.arg("-o").arg(output).run();
    if outcome.code != Some(0) {
        return Err(format!("fails with CRLF: {}", outcome.stderr));
    }
    let config = |name: &str| Image::open(&host.path(out).join(name)).config_text;
    let is_equal = config("image") == config("crlf");
    if is_equal { Ok(()) } else { Err(format!("differs with CRLF: {} {}", config("image"), config("crlf"))) }
}

#[test]
fn examples_of_the_reference_do_what_it_says() {
    if !needs_root("the examples of the reference") {
        return;
    }
    let host = Host::with_base();
    let has_git = write_site(&host);
    let proxy = serve_files(host.path("site"));
    let mut images: Vec<String> = Vec::new();
    let mut wrong = Vec::new();
    let examples = examples();
    assert!(examples.len() > 30, "{}", examples.len());
    for example in &examples {
        if example.note("needs") == Some("git") && !has_git {
            continue;
        }
        let out = format!("out-{}", example.line);
        let image = match example.note("image") {
            Some(name) => {
                images.push(name.to_owned());
                name.to_owned()
            }
            None => format!("{out}/image"),
        };
        let known = if example.note("image").is_some() { &[][..] } else { &images[..] };
        let build = build(&host, &proxy, example, known)
            .arg("-o")
            .arg(format!("type=oci,dest=../{image},tar=false,compression=uncompressed"));
        let outcome = match example.note("image") {
            Some(_) => build.run(),
            None => build.arg("-o").arg(format!("type=local,dest=../{out}/files")).run(),
        };
        let found = match example.note("image") {
            Some(_) if outcome.code == Some(0) => Ok(()),
            _ => check(&host, example, &outcome, &out),
        };
        // Bodies of here-documents keep their line ends, and a kept `.git` has times in it.
        let is_plain =
            ["fails", "image", "needs"].iter().all(|name| example.note(name).is_none()) && !example.text.contains("<<");
        let found = match found {
            Ok(()) if is_plain => check_line_ends(&host, &proxy, example, known, &out),
            found => found,
        };
        if let Err(problem) = found {
            wrong.push(format!("line {}: {problem}\n{}{}", example.line, example.text, outcome.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
