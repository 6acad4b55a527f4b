//! Where a program may be, and why it could not be executed (linux.md §1.8, "Exit").

#![cfg(target_os = "linux")]

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use super::mounts::text;
use super::sys::{self, Errno, Follow};
use crate::runner::{MountPoint, MountSource, Process};

/// PATH where the environment has none (linux.md §1.1).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The paths to try for a program, in this order: as it is where it names a directory, else in each one of PATH.
pub(super) fn candidates(program: &str, env: &[(String, String)]) -> Vec<CString> {
    if program.contains('/') {
        return vec![text(program)];
    }
    let path = env.iter().rev().find(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, value)| value);
    path.split(':').map(|dir| text(&format!("{}/{program}", if dir.is_empty() { "." } else { dir }))).collect()
}

/// Why a program could not be executed: the exit code a shell would give, and the words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Explained {
    pub(super) code: i32,
    pub(super) hint: String,
}

/// What to look at for the explanation.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    /// The program as it was named.
    pub(super) program: &'a str,
    /// The paths that were tried.
    pub(super) candidates: &'a [CString],
    /// The number of the one that the error belongs to.
    pub(super) number: usize,
    /// The kernel's answer.
    pub(super) errno: Errno,
    /// The root file system, where it can still be looked at.
    pub(super) root: Option<&'a OwnedFd>,
    /// The working directory, for relative paths.
    pub(super) cwd: &'a str,
}

/// Explains why a program could not be executed.
pub(super) fn explain(attempt: &Attempt<'_>) -> Explained {
    let Attempt { program, candidates, number, errno, .. } = attempt;
    if errno.0 == libc::ENOENT {
        // A file that is there but "not found" lacks its interpreter.
        let found = candidates.iter().find_map(|path| Some((path, head(attempt, path)?)));
        let hint = match found.map(|(path, head)| (path, interpreter(&head))) {
            Some((path, Some(interpreter))) => no_interpreter(&path.to_string_lossy(), &interpreter),
            _ if program.contains('/') => format!("{program} does not exist in the image"),
            _ => format!("{program} is in no directory of PATH in the image"),
        };
        return Explained { code: 127, hint };
    }
    let path = candidates.get(*number).map_or((*program).into(), |path| path.to_string_lossy());
    let head = candidates.get(*number).and_then(|path| head(attempt, path));
    let hint = match (errno.0, head) {
        (libc::ENOEXEC, Some(head)) => wrong_format(&path, &head),
        (libc::EACCES, _) => not_allowed(&path),
        _ => format!("{path} cannot be executed: {errno}"),
    };
    Explained { code: 126, hint }
}

/// Explains why a shell could not execute the program that its command begins with, where that is named by a path: the
/// shell itself says no more than "not found". `code` is what it ended with.
pub(super) fn explain_shell(process: &Process, code: i32, root: &OwnedFd) -> Option<String> {
    let [_, option, command] = process.argv.as_slice() else { return None };
    let program = command.split([' ', '\t', '\n']).find(|word| !word.is_empty())?;
    let is_plain = |sign: char| sign.is_alphanumeric() || "/._-+".contains(sign);
    let is_path = program.contains('/') && program.chars().all(is_plain);
    if !option.starts_with('-') || !option.ends_with('c') || !is_path {
        return None;
    }
    let mounted = process.mounts.iter().find(|mount| mount.target.to_string() == program);
    if let Some(MountSource::Bytes { bytes, .. }) = mounted.map(|mount| &mount.source) {
        let name = interpreter(bytes).filter(|name| code == 127 && is_missing(process, name, root))?;
        return Some(match name.strip_suffix('\r') {
            Some(_) => {
                "the here-document has the line ends of Windows: save the Dockerfile with LF line ends".to_owned()
            }
            None => format!(
                "the here-document asks for {name}, which does not exist in the image: install it in an earlier step"
            ),
        });
    }
    let cwd = process.cwd.to_string();
    let whole = whole(&cwd, &text(program));
    match code {
        127 => {
            let name = interpreter(&head_of(root, &whole)?).filter(|name| is_missing(process, name, root))?;
            Some(no_interpreter(program, &name))
        }
        126 => {
            let found = sys::own(sys::open_in_root(root.as_raw_fd(), &whole, libc::O_PATH, Follow::Inside).ok()?);
            (sys::mode(found.as_raw_fd()).ok()? & 0o111 == 0).then(|| not_allowed(program))
        }
        _ => None,
    }
}

/// Says whether an interpreter is neither in the root nor on one of the step's mounts.
fn is_missing(process: &Process, name: &str, root: &OwnedFd) -> bool {
    let is_mounted = |mount: &MountPoint| Path::new(name).starts_with(mount.target.to_string());
    let found = sys::open_in_root(root.as_raw_fd(), &text(name), libc::O_PATH, Follow::Inside);
    found.map(sys::own).is_err() && !process.mounts.iter().any(is_mounted)
}

fn no_interpreter(path: &str, name: &str) -> String {
    match name.strip_suffix('\r') {
        // A script edited on Windows asks for an interpreter whose name ends with a carriage return.
        Some(name) => format!(
            "{path} has the line ends of Windows: its first line asks for {name} with a carriage return behind it; save \
             the file with LF line ends"
        ),
        None => format!(
            "{path} exists, but its interpreter {name} does not: install it, or use a base image with the C library the \
             program was built for"
        ),
    }
}

fn not_allowed(path: &str) -> String {
    format!("{path} may not be executed by this user: see its permission bits, or it is a directory")
}

fn wrong_format(path: &str, head: &[u8]) -> String {
    match elf(head) {
        Some(elf) if elf.machine != std::env::consts::ARCH => format!(
            "{path} is a program for {}, but this machine is {}: give the base image with `--platform`, or install an \
             emulator (qemu-user-static with binfmt_misc)",
            elf.machine,
            std::env::consts::ARCH
        ),
        Some(_) => format!("{path} is damaged, or made for another system"),
        None if head.is_empty() => format!("{path} is an empty file"),
        None => format!("{path} is neither a program nor a script: a script starts with a line such as `#!/bin/sh`"),
    }
}

/// The first bytes of a file of the root; `None` where it is no file or cannot be looked at.
fn head(attempt: &Attempt<'_>, path: &CString) -> Option<Vec<u8>> {
    head_of(attempt.root?, &whole(attempt.cwd, path))
}

/// A path as it counts from the root.
fn whole(cwd: &str, path: &CString) -> CString {
    match path.to_bytes().first() {
        Some(b'/') => path.clone(),
        _ => text(&format!("{cwd}/{}", path.to_string_lossy())),
    }
}

fn head_of(root: &OwnedFd, whole: &CString) -> Option<Vec<u8>> {
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let found = sys::own(sys::open_in_root(root.as_raw_fd(), whole, libc::O_PATH, Follow::Inside).ok()?);
    if sys::file_type(found.as_raw_fd()).ok()? != libc::S_IFREG {
        return None;
    }
    let fd = sys::own(sys::open_in_root(root.as_raw_fd(), whole, flags, Follow::Inside).ok()?);
    let mut head = Vec::new();
    File::from(fd).take(4096).read_to_end(&mut head).ok()?;
    Some(head)
}

/// The interpreter that a script or a dynamic program names.
fn interpreter(head: &[u8]) -> Option<String> {
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next()?;
        let text = String::from_utf8_lossy(line);
        return text.split([' ', '\t']).find(|word| !word.is_empty()).map(str::to_owned);
    }
    elf(head)?.interpreter
}

/// What an ELF header tells (System V ABI, "ELF Header", "Program Header").
#[derive(Debug, PartialEq, Eq)]
struct Elf {
    machine: String,
    interpreter: Option<String>,
}

fn elf(head: &[u8]) -> Option<Elf> {
    let wide = match head.strip_prefix(b"\x7fELF")?.first()? {
        1 => false,
        2 => true,
        _ => return None,
    };
    let big = *head.get(5)? == 2;
    let number = |at: usize, size: usize| -> Option<usize> {
        let bytes = head.get(at..at.checked_add(size)?)?;
        let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let value = if big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) };
        usize::try_from(value).ok()
    };
    let machine = machine_name(number(18, 2)?, wide, big);
    let (table, entry, count) = if wide {
        (number(32, 8)?, number(54, 2)?, number(56, 2)?)
    } else {
        (number(28, 4)?, number(42, 2)?, number(44, 2)?)
    };
    let interpreter = (0..count.min(64)).find_map(|index| {
        let at = table.checked_add(index.checked_mul(entry)?)?;
        // PT_INTERP
        if number(at, 4)? != 3 {
            return None;
        }
        let (offset, size) =
            if wide { (number(at + 8, 8)?, number(at + 32, 8)?) } else { (number(at + 4, 4)?, number(at + 16, 4)?) };
        let bytes = head.get(offset..offset.checked_add(size)?)?;
        Some(String::from_utf8_lossy(bytes.strip_suffix(b"\0").unwrap_or(bytes)).into_owned())
    });
    Some(Elf { machine, interpreter })
}

/// `e_machine` (elf.h), by the names Rust has for machines.
fn machine_name(machine: usize, wide: bool, big: bool) -> String {
    match machine {
        3 => "x86".to_owned(),
        8 => format!("mips{}{}", if wide { "64" } else { "" }, if big { "" } else { "el" }),
        20 => "powerpc".to_owned(),
        21 => "powerpc64".to_owned(),
        22 => "s390x".to_owned(),
        40 => "arm".to_owned(),
        62 => "x86_64".to_owned(),
        183 => "aarch64".to_owned(),
        243 => format!("riscv{}", if wide { "64" } else { "32" }),
        258 => format!("loongarch{}", if wide { "64" } else { "32" }),
        other => format!("machine number {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(machine: u8, interpreter: &str) -> Vec<u8> {
        let mut head = vec![0; 64];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[18] = machine;
        head[32] = 64;
        head[54] = 56;
        head[56] = 1;
        let mut entry = vec![0; 56];
        entry[0] = 3;
        entry[8] = 120;
        entry[32] = u8::try_from(interpreter.len() + 1).expect("short");
        head.extend(entry);
        head.extend(interpreter.as_bytes());
        head.push(0);
        head
    }

    #[test]
    fn headers_name_machine_and_interpreter() {
        let head = program(183, "/lib/ld-linux-aarch64.so.1");
        let expected = Elf { machine: "aarch64".into(), interpreter: Some("/lib/ld-linux-aarch64.so.1".into()) };
        assert_eq!(elf(&head), Some(expected));
        for length in 0..head.len() {
            drop(elf(&head[..length]));
        }
        assert_eq!(interpreter(b"#! /usr/bin/env python\n"), Some("/usr/bin/env".into()));
        assert_eq!(interpreter(b"#!/bin/sh\r\n"), Some("/bin/sh\r".into()));
    }

    #[test]
    fn programs_are_looked_for_in_path() {
        let env = [("PATH".to_owned(), "/a::/b".to_owned())];
        assert_eq!(candidates("x", &env), [text("/a/x"), text("./x"), text("/b/x")]);
        assert_eq!(candidates("./x", &env), [text("./x")]);
        assert_eq!(candidates("x", &[]).len(), 6);
    }
}
