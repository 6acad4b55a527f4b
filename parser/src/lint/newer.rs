//! Features that came after the version of the language that the file asks for (dockerfile.md §26).

use super::Findings;
use crate::ast::{Copy, CopySource, Dockerfile, Instruction, InstructionKind, Run};
use crate::check::CheckSettings;
use crate::chmod::ModeChange;
use crate::diagnostic::Diagnostic;
use crate::mount::Mount;
use crate::rule::Rule;
use crate::source::SourceText;
use crate::span::{Span, Spanned};
use crate::syntax::Frontend;

/// When a feature came: the minor version of `docker/dockerfile:1` in which it is stable, and the one whose `labs` line
/// had it first (the release notes of the reference's frontend).
#[derive(Clone, Copy)]
struct Since {
    stable: Option<u32>,
    labs: u32,
}

impl Since {
    const fn stable(minor: u32) -> Self {
        Self { stable: Some(minor), labs: minor }
    }

    const fn labs(labs: u32, stable: u32) -> Self {
        Self { stable: Some(stable), labs }
    }

    fn minor(self, is_labs: bool) -> Option<u32> {
        if is_labs { Some(self.labs) } else { self.stable }
    }

    /// The version to ask for: the stable one where there is one.
    fn wanted(self, is_labs: bool) -> (u32, bool) {
        self.minor(is_labs).map_or((self.labs, true), |minor| (minor, is_labs))
    }
}

const CHECK_DIRECTIVE: Since = Since::stable(8);
const MOUNT: Since = Since::stable(2);
const NETWORK: Since = Since::stable(3);
const SECURITY: Since = Since::labs(0, 20);
const DEVICE: Since = Since { stable: None, labs: 14 };
const SECRET_ENV: Since = Since::stable(10);
const HEREDOC: Since = Since::labs(3, 4);
const LINK: Since = Since::stable(4);
const CHMOD: Since = Since::stable(2);
const SYMBOLIC_CHMOD: Since = Since::stable(14);
const EXCLUDE: Since = Since::labs(7, 19);
const PARENTS: Since = Since::labs(7, 20);
const KEEP_GIT_DIR: Since = Since::stable(1);
const CHECKSUM: Since = Since::labs(5, 6);
const UNPACK: Since = Since::stable(17);
const TRIGGER_FROM: Since = Since::stable(11);

/// A feature in use.
struct Use<'a> {
    what: &'static str,
    since: Since,
    span: Span,
    overrides: Option<&'a CheckSettings>,
}

pub(super) fn check(dockerfile: &Dockerfile, findings: &mut Findings<'_>) {
    let Some(syntax) = &dockerfile.directives.syntax else { return };
    let Frontend::BuiltIn { version: Some((1, given)), is_labs } = Frontend::parse(&syntax.value) else { return };
    let mut uses = Uses { source: &dockerfile.source, overrides: None, found: Vec::new() };
    if let Some(check) = &dockerfile.directives.check {
        uses.add("the directive check", CHECK_DIRECTIVE, check.span);
    }
    for instruction in dockerfile.stages.iter().flat_map(|stage| &stage.instructions) {
        uses.overrides = instruction.check_overrides.as_deref();
        uses.instruction(instruction, false);
    }
    let is_newer = |used: &Use<'_>| used.since.minor(is_labs).is_none_or(|minor| minor > given);
    let is_wanted = |used: &Use<'_>| findings.wants(used.overrides, Rule::FeatureNewerThanSyntax);
    let newer: Vec<_> = uses.found.into_iter().filter(|used| is_newer(used) && is_wanted(used)).collect();
    let tag =
        |(minor, is_labs): (u32, bool)| format!("docker/dockerfile:1.{minor}{}", if is_labs { "-labs" } else { "" });
    let all = newer.iter().map(|used| used.since.wanted(is_labs));
    let wanted = tag(all.fold((0, is_labs), |(most, labs), (minor, also)| (most.max(minor), labs || also)));
    for (at, used) in newer.iter().enumerate() {
        let message = format!("{} needs {}", used.what, tag(used.since.wanted(is_labs)));
        let mut made = Diagnostic::lint(Rule::FeatureNewerThanSyntax, message, used.span)
            .with_label(syntax.span, "other builders read the file with this version")
            .with_help(format!("write # syntax={wanted}, or leave the feature out"));
        // One edit serves all.
        if at == 0
            && let Some(span) = reference(syntax)
        {
            made = made.with_fix(span, wanted.clone());
        }
        findings.add(used.overrides, made);
    }
}

/// Where the directive names an image by tag alone, as it is written.
fn reference(syntax: &Spanned<String>) -> Option<Span> {
    let reference = syntax.value.split(' ').next()?;
    let is_plain = reference.starts_with("docker/dockerfile:") && !reference.contains('@');
    is_plain.then(|| Span::new(syntax.span.start(), syntax.span.start() + reference.len()))
}

struct Uses<'a> {
    source: &'a SourceText,
    overrides: Option<&'a CheckSettings>,
    found: Vec<Use<'a>>,
}

impl<'a> Uses<'a> {
    fn add(&mut self, what: &'static str, since: Since, span: Span) {
        self.found.push(Use { what, since, span, overrides: self.overrides });
    }

    /// Adds a flag, whose name begins the text; one that stands nowhere as written is shown at the keyword.
    fn flag(&mut self, what: &'static str, since: Since, instruction: &Instruction) {
        let name = what.split(' ').next().unwrap_or(what);
        let at = self.source.slice(instruction.span).find(name).map(|at| instruction.span.start() + at);
        self.add(what, since, at.map_or(instruction.keyword.span, |at| Span::new(at, at + name.len())));
    }

    fn instruction(&mut self, instruction: &'a Instruction, is_trigger: bool) {
        match &instruction.kind {
            InstructionKind::Run(run) => self.run(instruction, run, is_trigger),
            InstructionKind::Copy(copy) => {
                self.copy(instruction, copy, is_trigger);
                // Only strake has it for ADD.
                if copy.parents {
                    self.flag("--parents", PARENTS, instruction);
                }
            }
            InstructionKind::Add(add) => {
                self.copy(instruction, &add.copy, is_trigger);
                if add.keep_git_dir.is_some() {
                    self.flag("--keep-git-dir", KEEP_GIT_DIR, instruction);
                }
                if add.checksum.is_some() {
                    self.flag("--checksum", CHECKSUM, instruction);
                }
                if add.unpack.is_some() {
                    self.flag("--unpack", UNPACK, instruction);
                }
            }
            InstructionKind::Onbuild(onbuild) => self.instruction(&onbuild.instruction, true),
            _ => {}
        }
    }

    fn run(&mut self, instruction: &Instruction, run: &Run, is_trigger: bool) {
        if is_trigger && run.mounts.iter().any(|mount| mount.option("from").is_some()) {
            self.flag("--mount with from in a trigger", TRIGGER_FROM, instruction);
        } else if !run.mounts.is_empty() {
            self.flag("--mount", MOUNT, instruction);
        }
        let has_env = |mount: &&Mount| {
            mount.option("env").is_some() && mount.option("type").is_some_and(|kind| kind.raw == "secret")
        };
        if let Some(mount) = run.mounts.iter().find(has_env) {
            self.add("a secret as variable", SECRET_ENV, mount.span);
        }
        if run.network.is_some() {
            self.flag("--network", NETWORK, instruction);
        }
        if run.security.is_some() {
            self.flag("--security", SECURITY, instruction);
        }
        if let Some(device) = run.devices.first() {
            self.add("--device", DEVICE, device.span);
        }
        if let Some(heredoc) = run.heredocs.first() {
            self.add("a here-document", HEREDOC, heredoc.word.span);
        }
    }

    fn copy(&mut self, instruction: &Instruction, copy: &Copy, is_trigger: bool) {
        if is_trigger && copy.from.is_some() {
            self.flag("--from in a trigger", TRIGGER_FROM, instruction);
        }
        if let Some(mode) = &copy.chmod {
            let is_symbolic = ModeChange::parse(&mode.raw).is_ok_and(|mode| mode.octal().is_none());
            let (what, since) =
                if is_symbolic { ("--chmod with a symbolic mode", SYMBOLIC_CHMOD) } else { ("--chmod", CHMOD) };
            self.flag(what, since, instruction);
        }
        if copy.link {
            self.flag("--link", LINK, instruction);
        }
        if !copy.exclude.is_empty() {
            self.flag("--exclude", EXCLUDE, instruction);
        }
        let heredoc = copy.sources.iter().find_map(|source| match source {
            CopySource::Heredoc(heredoc) => Some(heredoc),
            CopySource::Word(_) => None,
        });
        if let Some(heredoc) = heredoc {
            self.add("a here-document", HEREDOC, heredoc.word.span);
        }
    }
}
