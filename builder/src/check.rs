//! Checking a Dockerfile without building it: findings instead of an image.

use std::path::PathBuf;
use std::sync::Arc;

use strake_layers::{ErrorKind, Platform, Reference};
use strake_parser::{CopySource, Diagnostic, Dockerfile, Edit, InstructionKind, Rule, SourceText, Span, Word};

use crate::build::{Composed, Phases, Text};
use crate::events::Event;
use crate::finding::Finding;
use crate::plan::{self, ImageSource, KnownImages, Plan, PlanOptions};
use crate::source::Sources;
use crate::{Error, Result};

/// What checks came to.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The Dockerfile, and the ignore file where something was found in it.
    pub files: Vec<CheckedFile>,
    /// What was found, by file and place; the verdict is not among them.
    pub findings: Vec<Finding>,
    /// What `error=true` says about warnings.
    pub verdict: Option<String>,
}

/// A file that was checked.
#[derive(Clone, Debug)]
pub struct CheckedFile {
    /// What findings call it.
    pub name: Arc<str>,
    /// Where it is on this host.
    pub path: Option<PathBuf>,
    /// Its text; that of the Dockerfile itself with its secrets, for whoever mends it.
    pub source: Arc<SourceText>,
}

impl Checked {
    /// Gives the edit of a finding for others to see: none where it would show a secret.
    pub fn shown_fix<'a>(&self, finding: &'a Finding) -> Option<&'a Edit> {
        let fix = finding.diagnostic.fix.as_ref()?;
        let file = self.files.iter().find(|file| file.name == finding.file)?;
        (file.source.slice(fix.span) == finding.source.slice(fix.span)).then_some(fix)
    }

    /// Says whether there can be no build, or whether warnings count as errors and there are some.
    pub fn is_failure(&self) -> bool {
        self.verdict.is_some() || self.has_errors()
    }

    /// Says whether the files have errors, whatever becomes of warnings.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|found| found.diagnostic.is_error())
    }
}

impl Phases<'_> {
    /// Makes all checks, for every platform that is asked for.
    pub(crate) async fn check(self) -> Result<Checked> {
        let sources = self.sources();
        let load = self.report.step("[internal] load build definition", sources.read_dockerfile());
        let (name, bytes) = load.await?;
        let path = sources.host_path(&name);
        let text = Text::parse(&name, &bytes, &self.request.build_args);
        let mut findings = self.find(&text, &sources).await?;
        let verdict = findings.iter().position(|one| one.diagnostic.code == plan::VERDICT);
        let verdict = verdict.map(|at| findings.remove(at).diagnostic.message);
        let source = Arc::new(text.parsed.dockerfile.source.clone());
        let mut files = vec![CheckedFile { name: name.as_str().into(), path, source }];
        for one in &findings {
            // An included file.
            if files.iter().all(|file| file.name != one.file) {
                let (name, source) = (Arc::clone(&one.file), Arc::clone(&one.source));
                files.push(CheckedFile { path: sources.host_path(&name), name, source });
            }
        }
        if let Some((file, finding)) = self.check_ignore_file(&text, &sources, &name).await? {
            files.push(file);
            findings.push(finding);
        }
        Ok(Checked { files, findings, verdict })
    }

    async fn find(&self, text: &Text, sources: &Sources) -> Result<Vec<Finding>> {
        let platforms: Vec<Option<Platform>> = match self.request.platforms.as_slice() {
            [] => vec![None],
            some => some.iter().cloned().map(Some).collect(),
        };
        let mut known = KnownImages::default();
        let files = sources.included_files().await?;
        let mut all: Vec<(Span, Finding)> = Vec::new();
        let mut missing: Vec<Diagnostic> = Vec::new();
        for platform in platforms {
            let mut options = PlanOptions::from_request(&self.request, platform, Platform::host())?;
            options.ignore = sources.ignore_rules();
            let text = text.compose(&options, &files);
            let found = self.find_for_one(&text, &mut options, &mut known, &mut missing).await?;
            for mut found in found.into_iter().chain(missing.drain(..)) {
                tell_digest(&text.parsed.dockerfile.source, &known, &mut found);
                let (span, found) = (found.span, text.found_in.finding(found));
                let is_same = |other: &Finding| other.file == found.file && other.diagnostic == found.diagnostic;
                if !all.iter().any(|(_, other)| is_same(other)) {
                    all.push((span, found));
                }
            }
        }
        all.sort_by_key(|(span, _)| *span);
        Ok(all.into_iter().map(|(_, found)| found).collect())
    }

    async fn find_for_one(
        &self,
        text: &Composed,
        options: &mut PlanOptions,
        known: &mut KnownImages,
        missing: &mut Vec<Diagnostic>,
    ) -> Result<Vec<Diagnostic>> {
        loop {
            let wanted = match plan::plan(&text.parsed, options, known) {
                Ok(Plan::Ready(planned)) => return Ok(planned.warnings),
                Ok(Plan::NeedImages(wanted)) => wanted,
                Err(problems) => return Ok(problems),
            };
            self.cancel.check()?;
            match self.resolver.resolve_all(&wanted, self.request.pull, &self.report).await {
                Ok(found) => known.extend(found),
                Err(failed) => {
                    let images = failed.diagnostics();
                    let error = failed.locate(|diagnostic| text.found_in.finding(diagnostic));
                    options.without_images = true;
                    if error.is_cancelled() {
                        return Err(error);
                    }
                    // An image that does not exist is a mistake in the file like any other.
                    if error.kind() == ErrorKind::User {
                        missing.extend(images);
                    } else if self.request.checks.extras && is_only_unreachable(&error) {
                        let message = format!("checks that need the base images are left out: {error}");
                        self.report.send(Event::Warning { id: None, message });
                    } else {
                        let found = plan::find_without_images(&text.parsed, options, known);
                        if !found.iter().any(Diagnostic::is_error) {
                            return Err(error);
                        }
                        missing.extend(images);
                    }
                }
            }
        }
    }

    /// Checks what the ignore file does in the build context.
    async fn check_ignore_file(
        &self,
        text: &Text,
        sources: &Sources,
        dockerfile: &str,
    ) -> Result<Option<(CheckedFile, Finding)>> {
        let options = PlanOptions::from_request(&self.request, None, Platform::host())?;
        let settings = plan::check_settings(&text.parsed, &options);
        let (all, nothing) = (Rule::IgnoreFileMatchesAll, Rule::IgnoreFileMatchesNothing);
        if !settings.enables(all) && !settings.enables(nothing) {
            return Ok(None);
        }
        let Some((ignore, seen)) = sources.ignoring(dockerfile).await? else { return Ok(None) };
        let found = if !seen.has_files {
            return Ok(None);
        } else if !seen.leaves && settings.enables(all) && copies_from_context(&text.parsed.dockerfile) {
            let message =
                format!("{} leaves out all of the build context, and the Dockerfile copies from it", ignore.name);
            let help = "take back what is needed with !PATTERN lines at the end";
            Diagnostic::lint(all, message, Span::default()).with_help(help)
        } else if !seen.leaves_out
            && settings.enables(nothing)
            && let Some(missed) = seen.missed
        {
            // What is not there yet, or not any more, may be left out for later.
            let message = format!("no pattern of {} matches anything in the build context", ignore.name);
            let missed = missed.to_string();
            let missed = missed.trim_start_matches('/');
            let name = missed.rsplit('/').next().unwrap_or_default();
            let help =
                format!("{missed} stays: patterns are relative to the context, and **/{name} matches at any depth");
            Diagnostic::lint(nothing, message, Span::default()).with_help(help).as_note()
        } else {
            return Ok(None);
        };
        let source = Arc::new(SourceText::new(&*ignore.text));
        let line = ignore.rules.rules().first().map_or(1, |rule| rule.line);
        let mut diagnostic = found;
        let place = source.line_span(line).unwrap_or_default();
        diagnostic.span = Span::new(place.start(), place.start() + source.line(line).unwrap_or_default().len());
        let name: Arc<str> = ignore.name.as_str().into();
        let path = sources.host_path(&ignore.name);
        let file = CheckedFile { name: Arc::clone(&name), path, source: Arc::clone(&source) };
        Ok(Some((file, Finding { file: name, source, line, diagnostic, notes: Vec::new() })))
    }
}

/// Puts the digest that a tag has now into the remedy; pinning itself is left to people, who must renew it, too.
fn tell_digest(source: &SourceText, known: &KnownImages, found: &mut Diagnostic) {
    if found.rule != Some(Rule::UnpinnedBaseImage) {
        return;
    }
    let base = source.slice(found.span);
    let Ok(reference) = Reference::parse(base) else { return };
    let wanted = ImageSource::Registry(reference);
    // The digest of one platform's manifest would be wrong for the others.
    let index = known.iter().find(|(key, _)| key.source == wanted).and_then(|(_, image)| image.index.as_ref());
    if let Some(index) = index {
        found.help = Some(format!("write {base}@{index} to build from the same image each time"));
    }
}

/// Says whether an error only tells that a registry cannot be asked now.
pub(crate) fn is_only_unreachable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Network | ErrorKind::Denied)
}

/// Says whether a Dockerfile reads files of the build context.
fn copies_from_context(dockerfile: &Dockerfile) -> bool {
    let is_path = |word: &Word| !word.raw.contains("://") && !word.raw.starts_with("git@");
    let has_path =
        |sources: &[CopySource]| sources.iter().any(|source| matches!(source, CopySource::Word(word) if is_path(word)));
    dockerfile.stages.iter().flat_map(|stage| &stage.instructions).any(|instruction| match &instruction.kind {
        InstructionKind::Copy(copy) => copy.from.is_none() && has_path(&copy.sources),
        InstructionKind::Add(add) => has_path(&add.copy.sources),
        InstructionKind::Run(run) => run
            .mounts
            .iter()
            .any(|mount| mount.from().is_none() && mount.option("type").is_none_or(|kind| kind.raw == "bind")),
        _ => false,
    })
}
