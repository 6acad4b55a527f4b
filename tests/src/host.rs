//! A place to build in.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use crate::{Image, Layout, Outcome};

/// Longer than any run of these tests takes on a machine that does much else.
const HANG: Duration = Duration::from_secs(240);

/// The binary under test.
///
/// Cargo tells a test only of the binaries of its own package, so this one is looked up beside the test's own, and
/// built once where it is missing.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("STRAKE_BINARY") {
            return PathBuf::from(path);
        }
        // TARGET/PROFILE/deps/TEST
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().and_then(Path::parent).unwrap();
        let binary = profile.join(format!("strake{}", std::env::consts::EXE_SUFFIX));
        if !binary.exists() {
            let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            cargo.args(["build", "--quiet", "--package", "strake-cli", "--target-dir"]).arg(profile.parent().unwrap());
            if profile.ends_with("release") {
                cargo.arg("--release");
            }
            assert!(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
        }
        binary
    })
}

/// A temporary folder with a store, an image `base` to build upon, contexts and outputs.
#[derive(Debug)]
pub struct Host {
    dir: tempfile::TempDir,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// Makes an empty place.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("strake-test-").tempdir().unwrap();
        fs::create_dir(dir.path().join("tmp")).unwrap();
        Self { dir }
    }

    /// Makes a place whose builds find the image `base`: a shell on nothing else.
    pub fn with_base() -> Self {
        let host = Self::new();
        Layout::busybox().write(&host.path("base"));
        host
    }

    /// A path in the place.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, with the folders above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// The text of a file.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        String::from_utf8_lossy(&fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
            .into_owned()
    }

    /// A run of the binary with these arguments, in the place's store.
    pub fn strake(&self, arguments: &[&str]) -> Build<'_> {
        let mut command = Command::new(binary());
        command.current_dir(self.dir.path()).args(arguments).stdin(Stdio::null());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.dir.path()).env("TMPDIR", self.path("tmp")).env("STRAKE_ROOT", self.path("store"));
        Build { host: self, command, stdin: None }
    }

    /// A build of the context in a folder of the place, with events on standard error.
    pub fn build(&self, context: &str) -> Build<'_> {
        let build = self.strake(&["build", context, "--progress", "json"]);
        if self.path("base").exists() { build.arg("--build-context").arg("base=oci-layout://base") } else { build }
    }

    /// Writes a Dockerfile into a folder and prepares its build.
    pub fn dockerfile(&self, folder: &str, text: &str) -> Build<'_> {
        self.write(&format!("{folder}/Dockerfile"), text);
        self.build(folder)
    }

    /// What an undisturbed store has in the folder of this name.
    pub fn left_in(&self, folder: &str) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// The mounts of this machine that lie in the place.
    pub fn mounts(&self) -> Vec<String> {
        let place = self.dir.path().display().to_string();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        mounts.lines().filter(|line| line.contains(&place)).map(str::to_owned).collect()
    }

    /// The files below a folder that have these bytes in them.
    pub fn holding(&self, folder: &str, bytes: &[u8]) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.path(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    let content = fs::read(entry.path()).unwrap();
                    if content.windows(bytes.len()).any(|window| window == bytes) {
                        found.push(entry.path());
                    }
                }
            }
        }
        found
    }
}

/// A run of the binary that is being put together.
#[derive(Debug)]
pub struct Build<'a> {
    host: &'a Host,
    command: Command,
    stdin: Option<Vec<u8>>,
}

impl Build<'_> {
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds the words of a text as arguments.
    #[must_use]
    pub fn args(mut self, words: &str) -> Self {
        self.command.args(words.split_whitespace());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Gives it this on standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// The command, for what only some tests need.
    pub fn command(mut self) -> Command {
        std::mem::replace(&mut self.command, Command::new(""))
    }

    /// Changes the command, for what only some tests need.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Command)) -> Self {
        change(&mut self.command);
        self
    }

    /// Runs it to its end; one that hangs is killed, and then has no exit code.
    pub fn run(mut self) -> Outcome {
        let input = self.stdin.take();
        if input.is_some() {
            self.command.stdin(Stdio::piped());
        }
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let id = child.id().to_string();
        let pipe = child.stdin.take();
        let writer = std::thread::spawn(move || {
            if let (Some(mut pipe), Some(input)) = (pipe, input) {
                let _ignored = pipe.write_all(&input);
            }
        });
        let (ended, wait) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let output = child.wait_with_output();
            let _ignored = ended.send(());
            output
        });
        if wait.recv_timeout(HANG).is_err() {
            let _ignored = Command::new("kill").args(["-9", &id]).status();
        }
        let output = reader.join().unwrap().unwrap();
        writer.join().unwrap();
        Outcome::new(output)
    }

    /// Runs it and asserts that it succeeds.
    #[track_caller]
    pub fn ok(self) -> Outcome {
        self.run().expect(0)
    }

    /// Builds an image whose layers are not compressed, and reads it.
    #[track_caller]
    pub fn image(self) -> (Outcome, Image) {
        let folder = self.host.path("image");
        let _ignored = fs::remove_dir_all(&folder);
        let output = format!("type=oci,dest={},tar=false,compression=uncompressed", folder.display());
        let outcome = self.arg("-o").arg(output).ok();
        (outcome, Image::open(&folder))
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        let mut child = self.command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Running { child, stderr, seen: String::new() }
    }
}

/// A run under way.
#[derive(Debug)]
pub struct Running {
    /// Its process.
    pub child: Child,
    stderr: BufReader<ChildStderr>,
    seen: String,
}

impl Running {
    /// Reads its events until one has this in it.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        loop {
            let mut line = String::new();
            assert!(self.stderr.read_line(&mut line).unwrap() > 0, "{text:?} never came: {}", self.seen);
            self.seen.push_str(&line);
            if line.contains(text) {
                return;
            }
        }
    }

    /// Waits for its end.
    pub fn end(mut self) -> Outcome {
        let mut rest = Vec::new();
        self.stderr.read_to_end(&mut rest).unwrap();
        let status = self.child.wait().unwrap();
        let stderr = [self.seen.into_bytes(), rest].concat();
        Outcome::new(Output { status, stdout: Vec::new(), stderr })
    }
}
