//! The program itself under Wine, beside the one for this machine: both must say and build the same.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};

use super::Report;
use super::toolchain::Toolchain;
use crate::run::{cargo, root, shown, succeeds, target_dir};

/// A folder of drive C whose name holds a blank.
const FOLDER: &str = "strake check";

/// Makes the times of an image those of the context, and `created` the same everywhere.
const EPOCH: &str = "1700000000";

/// Longer, with what stands before it, than the 260 characters of a path that Windows takes without `\\?\`.
const DEEP: &str = "a folder of many levels/each of them with a name that is quite long/so that the path of the file in it/has \
                    more characters than the two hundred and sixty/which programs of Windows can open in the usual way/and \
                    therefore needs the other spelling of paths";

/// Builds both programs and compares what they do.
pub(super) fn check(toolchain: &Toolchain, report: &mut Report) -> Result<()> {
    let built = succeeds(toolchain.cargo("build").args(["--quiet", "--package", "strake-cli"]))?
        && succeeds(&mut cargo(["build", "--quiet", "--package", "strake-cli"]))?;
    report.count("cargo build", built);
    if !built {
        return Ok(());
    }
    let pair = Pair::prepare(toolchain)?;
    let help_of_build = ["build", "--help"];
    for (name, arguments) in
        [("strake version", &["version"][..]), ("strake --help", &["--help"]), ("strake build --help", &help_of_build)]
    {
        let same = pair.says_the_same(arguments, arguments);
        note(report, name, same);
    }
    let dockerfile = root().join("testdata/demo/Dockerfile");
    let (here, there) = (dockerfile.display().to_string(), format!("Z:{}", dockerfile.display()).replace('/', "\\"));
    note(report, "strake debug parse", pair.says_the_same(&["debug", "parse", &here], &["debug", "parse", &there]));
    for platform in ["windows/amd64", "linux/amd64"] {
        let same = pair.builds_the_same(platform);
        note(report, &format!("an image of {platform}, byte for byte the same"), same);
    }
    fs::remove_dir_all(&pair.folder)?;
    Ok(())
}

fn note(report: &mut Report, name: &str, result: Result<()>) {
    if let Err(error) = &result {
        println!("{name}: {error:#}");
    }
    report.count(name, result.is_ok());
}

/// The two programs and a folder that both see.
struct Pair<'a> {
    toolchain: &'a Toolchain,
    folder: PathBuf,
}

impl<'a> Pair<'a> {
    fn prepare(toolchain: &'a Toolchain) -> Result<Self> {
        let folder = toolchain.drive_c().join(FOLDER);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let context = folder.join("a context");
        let deep = context.join("tree").join(DEEP);
        fs::create_dir_all(&deep)?;
        fs::write(deep.join("file.txt"), "deep\n")?;
        fs::write(context.join("app.txt"), "application\r\n")?;
        fs::write(context.join("large.bin"), vec![7; 3_000_000])?;
        fs::write(
            context.join("Dockerfile"),
            "FROM scratch\nCOPY app.txt large.bin /app/\nCOPY tree /Tree\nWORKDIR /work\n",
        )?;
        same_on_both_hosts(&context)?;
        Ok(Self { toolchain, folder })
    }

    fn here(&self) -> Command {
        let mut command = Command::new(target_dir().join("debug/strake"));
        command.env("STRAKE_ROOT", self.folder.join("store here")).env("SOURCE_DATE_EPOCH", EPOCH);
        command
    }

    fn there(&self) -> Command {
        let mut command = self.toolchain.wine(&self.toolchain.programs().join("strake.exe"));
        command.env("STRAKE_ROOT", format!("C:\\{FOLDER}\\store there")).env("SOURCE_DATE_EPOCH", EPOCH);
        command
    }

    fn says_the_same(&self, here: &[&str], there: &[&str]) -> Result<()> {
        // The help shows the variable's value.
        let here = text_of(self.here().args(here).env_remove("STRAKE_ROOT"))?;
        let there = text_of(self.there().args(there).env_remove("STRAKE_ROOT"))?;
        let there = there.replace("\r\n", "\n").replace("strake.exe", "strake");
        let differs = here.lines().zip(there.lines()).find(|(here, there)| here != there);
        ensure!(here == there, "they differ; the first line here and there: {differs:?}");
        ensure!(!here.is_empty(), "it says nothing");
        Ok(())
    }

    fn builds_the_same(&self, platform: &str) -> Result<()> {
        let build = ["build", "--progress", "plain", "--no-cache", "--platform", platform, "--output"];
        let output = self.folder.join("here.tar");
        let context = self.folder.join("a context");
        run(self.here().args(build).arg(format!("type=oci,dest={}", output.display())).arg(context))?;
        let dest = format!("type=oci,dest=C:\\{FOLDER}\\there.tar");
        run(self.there().args(build).arg(dest).arg(format!("C:\\{FOLDER}\\a context")))?;
        let (here, there) = (fs::read(&output)?, fs::read(self.folder.join("there.tar"))?);
        ensure!(!here.is_empty(), "the archive is empty");
        let differs = here.iter().zip(&there).position(|(here, there)| here != there);
        ensure!(
            here == there,
            "the archives have {} and {} bytes and differ from byte {} on",
            here.len(),
            there.len(),
            differs.unwrap_or(here.len().min(there.len()))
        );
        Ok(())
    }
}

/// Gives files what both hosts see in the same way: the mode that a Windows host gives every file, and a time that NTFS
/// can hold.
fn same_on_both_hosts(path: &Path) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            same_on_both_hosts(&entry?.path())?;
        }
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    File::open(path)?.set_modified(UNIX_EPOCH + Duration::new(1_600_000_000, 123_456_700))?;
    Ok(())
}

fn text_of(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8(run(command)?.stdout)?)
}

fn run(command: &mut Command) -> Result<Output> {
    let done = command.output().with_context(|| format!("cannot run {}", shown(command)))?;
    let log = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{} ended with {}:\n{log}", shown(command), done.status);
    Ok(done)
}
