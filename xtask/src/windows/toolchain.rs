//! Debian's compiler, a standard library for Windows made with it, and a Wine prefix. All of it lies in
//! `target/win` and is made once for each version of the compiler.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::packages;
use crate::run::{must, output, root, target_dir};

/// The target of everything here.
pub(super) const TRIPLE: &str = "x86_64-pc-windows-gnu";

/// Debian's packages, and a file that each one brings.
const PACKAGES: &[(&str, &str)] = &[
    ("rustc-web", RUSTC),
    ("cargo-web", CARGO),
    ("rust-web-src", "/usr/lib/rustlib/src/rust/library/std/Cargo.toml"),
    ("rust-web-clippy", "/usr/bin/cargo-clippy"),
    ("gcc-mingw-w64-x86-64", "/usr/bin/x86_64-w64-mingw32-gcc"),
    ("wine64", WINE),
    // Runs on this machine; the client under Wine talks to it.
    ("docker-registry", "/usr/bin/docker-registry"),
];

const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
const GCC: &str = "x86_64-w64-mingw32-gcc";
const WINE: &str = "/usr/lib/wine/wine64";
const WINE_SERVER: &str = "/usr/lib/wine/wineserver64";
/// The compiler's own libraries, which build scripts and procedural macros need.
const HOST_LIBRARIES: &str = "/usr/lib/rustlib/x86_64-unknown-linux-gnu";

/// Dependencies that are compiled for speed, since the tests would else spend their time in them. All others are not,
/// unlike in the workspace's profile: this run compiles everything a second time, and that is what takes long.
const FAST: &[&str] = &["*", "blake3", "crc32fast", "digest", "libbz2-rs-sys", "memchr", "sha2", "zlib-rs"];

/// Variables of the cargo that runs this task, which must not steer the other one.
const FOREIGN: &[&str] = &[
    "CARGO",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "LD_LIBRARY_PATH",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

/// What is needed to compile for Windows and to run the result.
#[derive(Debug)]
pub(super) struct Toolchain {
    /// `target/win`.
    folder: PathBuf,
    /// Holds the standard library of the target.
    sysroot: PathBuf,
}

impl Toolchain {
    /// Installs the packages that are missing.
    pub(super) fn install() -> Result<()> {
        packages::install(PACKAGES)
    }

    /// Makes what is missing; the packages are there.
    pub(super) fn prepare() -> Result<Self> {
        let folder = target_dir().join("win");
        fs::create_dir_all(&folder)?;
        // From `rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)`; the package's revision matters, too.
        let version = output(Command::new("dpkg-query").args(["-W", "-f=${Version}", "rustc-web"]))?;
        ensure!(!version.is_empty(), "dpkg-query tells no version of rustc-web");
        let key: String =
            version.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        let toolchain = Self { sysroot: folder.join(format!("sysroot-{key}")), folder };
        toolchain.make_std().context("the standard library for Windows could not be made")?;
        toolchain.make_prefix().context("Wine could not be set up")?;
        Ok(toolchain)
    }

    /// A command of Debian's cargo for the target.
    pub(super) fn cargo(&self, task: &str) -> Command {
        let mut command = self.plain_cargo();
        let flags = format!("--sysroot {}", self.sysroot.display());
        command.args([task, "--target", TRIPLE]);
        for name in FAST {
            let level = if *name == "*" { 0 } else { 2 };
            command.args(["--config", &format!("profile.dev.package.\"{name}\".opt-level={level}")]);
        }
        command.env("RUSTDOC", "/usr/bin/rustdoc").env("CARGO_TARGET_DIR", self.folder.join("target"));
        command.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTFLAGS", &flags);
        command.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTDOCFLAGS", &flags);
        command.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", WINE);
        // Snapshots stand in the sources; under Wine no cargo can be asked for the workspace.
        command.env("INSTA_WORKSPACE_ROOT", root()).env("INSTA_UPDATE", "no");
        self.set_wine(&mut command);
        command
    }

    /// A program of Windows as a command, which ends in any case.
    pub(super) fn wine(&self, program: &Path) -> Command {
        let mut command = Command::new("timeout");
        self.set_wine(&mut command);
        command.args(["300", WINE]).arg(program);
        command
    }

    /// The folder that is drive C.
    pub(super) fn drive_c(&self) -> PathBuf {
        self.prefix().join("drive_c")
    }

    /// Where cargo puts programs of the dev profile.
    pub(super) fn programs(&self) -> PathBuf {
        self.folder.join("target").join(TRIPLE).join("debug")
    }

    /// Ends the Wine of this prefix, which would outlive the task.
    pub(super) fn stop_wine(&self) -> Result<()> {
        let mut command = Command::new(WINE_SERVER);
        self.set_wine(&mut command);
        // It fails where no server runs.
        command.arg("-k").status().with_context(|| format!("cannot run {WINE_SERVER}"))?;
        Ok(())
    }

    fn prefix(&self) -> PathBuf {
        self.folder.join("wine")
    }

    fn set_wine(&self, command: &mut Command) {
        command.env("WINEPREFIX", self.prefix()).env("WINEARCH", "win64").env("WINEDEBUG", "-all");
        command.env("WINEDLLOVERRIDES", "mscoree,mshtml,winemenubuilder.exe=").env_remove("DISPLAY");
    }

    fn plain_cargo(&self) -> Command {
        let mut command = Command::new(CARGO);
        for name in FOREIGN {
            command.env_remove(name);
        }
        // Cargo finds `cargo-clippy` and `clippy-driver` there.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(PathBuf::from("/usr/bin")).chain(std::env::split_paths(&path));
        if let Ok(path) = std::env::join_paths(folders) {
            command.env("PATH", path);
        }
        command.env("RUSTC", RUSTC).env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", GCC);
        command
    }

    /// Builds the standard library: no rustup target is at hand where only Debian is.
    fn make_std(&self) -> Result<()> {
        if self.sysroot.is_dir() {
            return Ok(());
        }
        for old in fs::read_dir(&self.folder)? {
            let old = old?;
            if old.file_name().to_string_lossy().starts_with("sysroot-") {
                fs::remove_dir_all(old.path())?;
            }
        }
        let project = self.folder.join("std");
        fs::create_dir_all(project.join("src"))?;
        fs::write(project.join("src/main.rs"), "fn main() {}\n")?;
        let manifest =
            "[package]\nname = \"std-for-windows\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n";
        fs::write(project.join("Cargo.toml"), manifest)?;
        let mut command = self.plain_cargo();
        command.current_dir(&project).env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", project.join("target"));
        command.args(["build", "--quiet", "--release", "--target", TRIPLE]);
        command.args(["-Z", "build-std=std,panic_unwind,panic_abort,test,proc_macro"]);
        must(&mut command)?;

        // Filled beside its place and then moved there, so that a sysroot that is there is whole.
        let unfinished = self.folder.join("sysroot.tmp");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        let rustlib = unfinished.join("lib/rustlib");
        let libraries = rustlib.join(TRIPLE).join("lib");
        fs::create_dir_all(&libraries)?;
        std::os::unix::fs::symlink(HOST_LIBRARIES, rustlib.join("x86_64-unknown-linux-gnu"))?;
        for made in fs::read_dir(project.join("target").join(TRIPLE).join("release/deps"))? {
            let made = made?.path();
            if let Some(name) = made.file_name().filter(|_| made.extension().is_some_and(|end| end == "rlib")) {
                fs::copy(&made, libraries.join(name))?;
            }
        }
        fs::rename(&unfinished, &self.sysroot)?;
        fs::remove_dir_all(&project)?;
        Ok(())
    }

    fn make_prefix(&self) -> Result<()> {
        let library = self.drive_c().join("windows/system32/bcryptprimitives.dll");
        if library.exists() {
            return Ok(());
        }
        let mut command = Command::new(WINE);
        self.set_wine(&mut command);
        must(command.args(["wineboot", "-i"]))?;
        let unfinished = self.folder.join("bcryptprimitives.dll");
        let source = root().join("xtask/windows/bcryptprimitives.c");
        must(Command::new(GCC).args(["-O2", "-shared", "-o"]).arg(&unfinished).arg(source).arg("-ladvapi32"))?;
        fs::rename(&unfinished, &library)?;
        Ok(())
    }
}
