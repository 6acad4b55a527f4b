//! Which foreign architectures this host runs (linux.md §1.9).

#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;

use strake_layers::Platform;

use crate::{Error, Result};

/// Where the kernel tells its registered interpreters.
const REGISTRY: &str = "/proc/sys/fs/binfmt_misc";

/// An architecture: its name in Go, `e_machine` (elf.h), whether it is 64-bit, and qemu's name for it.
struct Machine {
    go: &'static str,
    elf: u16,
    wide: bool,
    big: bool,
    qemu: &'static str,
}

const MACHINES: [Machine; 9] = [
    Machine { go: "amd64", elf: 62, wide: true, big: false, qemu: "x86_64" },
    Machine { go: "386", elf: 3, wide: false, big: false, qemu: "i386" },
    Machine { go: "arm64", elf: 183, wide: true, big: false, qemu: "aarch64" },
    Machine { go: "arm", elf: 40, wide: false, big: false, qemu: "arm" },
    Machine { go: "riscv64", elf: 243, wide: true, big: false, qemu: "riscv64" },
    Machine { go: "ppc64le", elf: 21, wide: true, big: false, qemu: "ppc64le" },
    Machine { go: "s390x", elf: 22, wide: true, big: true, qemu: "s390x" },
    Machine { go: "mips64le", elf: 8, wide: true, big: false, qemu: "mips64el" },
    Machine { go: "loong64", elf: 258, wide: true, big: false, qemu: "loongarch64" },
];

/// The host's architecture in Go's names.
fn native() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

/// Tells whether programs of a platform run here; the error says what is missing.
pub(super) fn supports(platform: &Platform) -> Result<()> {
    supports_with(platform, native(), &entries())
}

/// All architectures that run here, the host's own first.
pub(super) fn architectures() -> Vec<String> {
    let entries = entries();
    let native = native();
    let runs = |go: &str| {
        let platform = Platform {
            architecture: go.to_owned(),
            os: "linux".to_owned(),
            os_version: None,
            os_features: Vec::new(),
            variant: None,
        };
        go != native && supports_with(&platform, native, &entries).is_ok()
    };
    let others = MACHINES.iter().map(|machine| machine.go).filter(|go| runs(go));
    std::iter::once(native).chain(others).map(str::to_owned).collect()
}

fn supports_with(platform: &Platform, native: &str, entries: &[Entry]) -> Result<()> {
    let wanted = platform.architecture.as_str();
    // The kernel itself runs the 32-bit programs of both (CONFIG_IA32_EMULATION, CONFIG_COMPAT).
    if wanted == native || matches!((native, wanted), ("amd64", "386") | ("arm64", "arm")) {
        return Ok(());
    }
    let Some(machine) = MACHINES.iter().find(|machine| machine.go == wanted) else {
        return Err(Error::environment(format!("a RUN for linux/{wanted} cannot run on this {native} machine"))
            .with_help("build on a machine of that architecture"));
    };
    let header = machine.header();
    let found: Vec<_> = entries.iter().filter(|entry| entry.matches(&header)).collect();
    if found.iter().any(|entry| entry.is_fixed()) {
        return Ok(());
    }
    let package = format!(
        "install an emulator for {} (`apt-get install qemu-user-static binfmt-support`, or `docker run --privileged \
         --rm tonistiigi/binfmt --install {wanted}`), or build on a machine of that architecture",
        machine.qemu
    );
    let error = match found.first() {
        Some(entry) => format!(
            "a RUN for linux/{wanted} needs an emulator that works inside an image, but {} is registered without flag F",
            entry.interpreter
        ),
        None => format!("a RUN for linux/{wanted} needs an emulator on this {native} machine, and none is registered"),
    };
    Err(Error::environment(error).with_help(package))
}

impl Machine {
    /// The start of an ELF header of a program for it.
    fn header(&self) -> [u8; 20] {
        let mut header = [0; 20];
        let (class, data) = (if self.wide { 2 } else { 1 }, if self.big { 2 } else { 1 });
        header[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, data, 1]);
        let bytes = |number: u16| if self.big { number.to_be_bytes() } else { number.to_le_bytes() };
        // ET_EXEC
        header[16..18].copy_from_slice(&bytes(2));
        header[18..20].copy_from_slice(&bytes(self.elf));
        header
    }
}

/// A registered interpreter (Documentation/admin-guide/binfmt-misc.rst).
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    interpreter: String,
    flags: String,
    offset: usize,
    magic: Vec<u8>,
    mask: Vec<u8>,
}

impl Entry {
    /// Whether the kernel opened the interpreter when it was registered, so that it works in any root.
    fn is_fixed(&self) -> bool {
        self.flags.contains('F')
    }

    fn matches(&self, header: &[u8]) -> bool {
        !self.magic.is_empty()
            && self.magic.iter().enumerate().all(|(at, wanted)| {
                let mask = self.mask.get(at).copied().unwrap_or(0xff);
                header.get(self.offset + at).is_some_and(|byte| byte & mask == wanted & mask)
            })
    }

    /// Reads an entry as the kernel shows it; `None` where it is disabled or not by magic.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != "enabled" {
            return None;
        }
        let mut entry = Self::default();
        for line in lines {
            match line.split_once(' ')? {
                ("interpreter", path) => entry.interpreter = path.to_owned(),
                ("flags:", flags) => entry.flags = flags.to_owned(),
                ("offset", offset) => entry.offset = offset.parse().ok().filter(|offset| *offset < 4096)?,
                ("magic", magic) => entry.magic = data_encoding::HEXLOWER.decode(magic.as_bytes()).ok()?,
                ("mask", mask) => entry.mask = data_encoding::HEXLOWER.decode(mask.as_bytes()).ok()?,
                _ => return None,
            }
        }
        Some(entry)
    }
}

fn entries() -> Vec<Entry> {
    let Ok(folder) = fs::read_dir(Path::new(REGISTRY)) else { return Vec::new() };
    let names = folder.flatten().filter(|entry| !matches!(entry.file_name().to_str(), Some("register" | "status")));
    names.filter_map(|entry| Entry::parse(&fs::read_to_string(entry.path()).ok()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AARCH64: &str = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: OCF\noffset 0\n\
                           magic 7f454c460201010000000000000000000200b700\n\
                           mask ffffffffffffff00fffffffffffffffffeffffff\n";

    fn platform(architecture: &str) -> Platform {
        Platform {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            os_version: None,
            os_features: Vec::new(),
            variant: None,
        }
    }

    fn said(error: &Error) -> String {
        format!("{error}\nhelp: {}", error.help().unwrap_or_default())
    }

    #[test]
    fn a_fixed_interpreter_serves_its_machine_only() {
        let entries = [Entry::parse(AARCH64).expect("entry")];
        assert!(supports_with(&platform("arm64"), "amd64", &entries).is_ok());
        let error = supports_with(&platform("riscv64"), "amd64", &entries).expect_err("no emulator");
        insta::assert_snapshot!(said(&error), @r"
        a RUN for linux/riscv64 needs an emulator on this amd64 machine, and none is registered
        help: install an emulator for riscv64 (`apt-get install qemu-user-static binfmt-support`, or `docker run --privileged --rm tonistiigi/binfmt --install riscv64`), or build on a machine of that architecture
        ");
    }

    #[test]
    fn an_interpreter_without_flag_f_is_named() {
        let entries = [Entry::parse(&AARCH64.replace("OCF", "OC")).expect("entry")];
        let error = supports_with(&platform("arm64"), "amd64", &entries).expect_err("not fixed");
        insta::assert_snapshot!(said(&error), @r"
        a RUN for linux/arm64 needs an emulator that works inside an image, but /usr/bin/qemu-aarch64-static is registered without flag F
        help: install an emulator for aarch64 (`apt-get install qemu-user-static binfmt-support`, or `docker run --privileged --rm tonistiigi/binfmt --install arm64`), or build on a machine of that architecture
        ");
        assert_eq!(Entry::parse(&AARCH64.replace("enabled", "disabled")), None);
    }

    #[test]
    fn a_machine_without_any_emulator_is_named() {
        let error = supports_with(&platform("vax"), "amd64", &[]).expect_err("not known");
        insta::assert_snapshot!(said(&error), @r"
        a RUN for linux/vax cannot run on this amd64 machine
        help: build on a machine of that architecture
        ");
    }

    #[test]
    fn the_kernels_own_32_bit_programs_run() {
        assert!(supports_with(&platform("386"), "amd64", &[]).is_ok());
        assert!(supports_with(&platform("arm"), "arm64", &[]).is_ok());
    }
}
