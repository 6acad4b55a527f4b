//! The plain Dockerfile that a composed file is equal to (docs/language-additions.md).

use crate::ast::{Dockerfile, Instruction, InstructionKind, ResetPart, Run, Stage};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::parse::Parsed;
use crate::span::{Span, Spanned};

/// A plain Dockerfile, and what there is to say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lowered {
    /// The text; any builder reads it.
    pub text: Vec<u8>,
    /// Errors about what no plain Dockerfile says: with one of them the text is not equal. Warnings about what was left
    /// out because it does not change what is built.
    pub diagnostics: Vec<Diagnostic>,
}

/// Writes a file that [`crate::compose`] has made plain without any addition to the language.
///
/// Lines keep their text and the comments right before them; other comments are left out.
pub fn lower(composed: &Parsed) -> Lowered {
    let tree = &composed.dockerfile;
    let mut lowering = Lowering { tree, lowered: Lowered::default() };
    lowering.directives();
    for instruction in tree.global_args.iter().chain(&tree.orphans) {
        lowering.instruction(instruction);
    }
    for stage in &tree.stages {
        lowering.stage(stage);
        for instruction in &stage.instructions {
            lowering.instruction(instruction);
        }
    }
    lowering.lowered
}

struct Lowering<'a> {
    tree: &'a Dockerfile,
    lowered: Lowered,
}

impl Lowering<'_> {
    /// Writes the directives that every builder knows, and a blank line that keeps a comment from becoming one.
    fn directives(&mut self) {
        let directives = &self.tree.directives;
        let mut spans: Vec<Span> = Vec::new();
        spans.extend(directives.syntax.iter().map(|value| value.span));
        spans.extend(directives.escape.iter().map(|value| value.span));
        spans.extend(directives.check.iter().map(|value| value.span));
        spans.sort_unstable();
        let lines = spans.iter().filter_map(|span| self.tree.source.line(self.tree.source.line_of(span.start())));
        for line in lines.filter(|line| line.trim_start().starts_with('#')) {
            self.lowered.text.extend_from_slice(line.as_bytes());
            self.lowered.text.push(b'\n');
        }
        if !self.lowered.text.is_empty() {
            self.lowered.text.push(b'\n');
        }
    }

    fn stage(&mut self, stage: &Stage) {
        if stage.index > 0 {
            self.lowered.text.push(b'\n');
        }
        self.docs(&stage.docs);
        for after in &stage.after {
            let text = self.tree.source.slice(after.span);
            let message = format!("{text} is left out: only few builders know it");
            let made = Diagnostic::warning(codes::ORDER_LEFT_OUT, message, after.span);
            self.lowered.diagnostics.push(made.with_help("what the stage makes is the same without it"));
        }
        let mut flags: Vec<Span> = stage.after.iter().map(|after| after.span).chain(stage.reset_flag).collect();
        flags.sort_unstable();
        self.text(stage.from_span, flags);
        let has = |part| stage.reset.iter().any(|item| item.value.part == part);
        let clears_both = has(ResetPart::Cmd) && has(ResetPart::Entrypoint);
        for item in &stage.reset {
            let line = match item.value.part {
                // ENTRYPOINT takes an inherited CMD away as well (dockerfile.md §13.12).
                ResetPart::Entrypoint if clears_both => "ENTRYPOINT []",
                ResetPart::Cmd => "CMD []",
                ResetPart::Workdir => "WORKDIR /",
                part => {
                    let help = match part {
                        ResetPart::Entrypoint => {
                            "ENTRYPOINT [] takes CMD away, too: write --reset=entrypoint,cmd and CMD below"
                        }
                        _ => "no instruction takes this back: build with strake, or start from another base",
                    };
                    self.refuse(format!("--reset={} has no equal in a plain Dockerfile", part.name()), item.span, help);
                    continue;
                }
            };
            self.lowered.text.extend_from_slice(line.as_bytes());
            self.lowered.text.push(b'\n');
        }
    }

    fn instruction(&mut self, instruction: &Instruction) {
        self.docs(&instruction.docs);
        match &instruction.kind {
            InstructionKind::Run(run) => self.run(instruction.span, run),
            InstructionKind::Include(_)
            | InstructionKind::If(_)
            | InstructionKind::Else(_)
            | InstructionKind::Endif => {
                let message = format!("{} was not worked out", instruction.keyword.value);
                self.refuse(message, instruction.span, "the file must be composed before it is lowered");
            }
            _ => self.text(instruction.span, None),
        }
    }

    fn run(&mut self, span: Span, run: &Run) {
        let additions = run.additions();
        if let Some(env) = &additions.env {
            let help = "a value that is known only when the step has run is beyond a plain Dockerfile: write it into a \
                        file, and read that in the steps that need it";
            self.refuse(format!("RUN --env={} has no equal in a plain Dockerfile", env.value), env.span, help);
        }
        for flag in &additions.limits {
            let text = self.tree.source.slice(*flag);
            let message = format!("{text} is left out: no other builder limits a step");
            let made = Diagnostic::warning(codes::LIMIT_LEFT_OUT, message, *flag);
            self.lowered.diagnostics.push(made.with_help("what the step makes is the same without it"));
        }
        let mut flags = additions.limits.clone();
        flags.sort_unstable();
        self.text(span, flags);
    }

    fn docs(&mut self, docs: &[Spanned<String>]) {
        if self.lowered.text.is_empty() && !docs.is_empty() {
            // At the very top a comment may be a directive.
            self.lowered.text.push(b'\n');
        }
        for doc in docs {
            self.lowered.text.extend_from_slice(b"# ");
            self.lowered.text.extend_from_slice(doc.value.as_bytes());
            self.lowered.text.push(b'\n');
        }
    }

    /// Writes the lines of an instruction without some of its flags.
    fn text(&mut self, span: Span, without: impl IntoIterator<Item = Span>) {
        let source = &self.tree.source;
        let mut at = span.start();
        for flag in without {
            self.lowered.text.extend_from_slice(&source.bytes(Span::new(at, flag.start())));
            let rest = source.slice(Span::new(flag.end(), span.end()));
            at = flag.end() + (rest.len() - rest.trim_start_matches([' ', '\t']).len());
        }
        self.lowered.text.extend_from_slice(&source.bytes(Span::new(at, span.end())));
        if !self.lowered.text.ends_with(b"\n") {
            self.lowered.text.push(b'\n');
        }
    }

    fn refuse(&mut self, message: String, span: Span, help: &str) {
        self.lowered.diagnostics.push(Diagnostic::error(codes::NO_PLAIN_EQUAL, message, span).with_help(help));
    }
}
