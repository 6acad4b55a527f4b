//! Collects problems of planning and judges build checks (dockerfile.md §18).

use strake_parser::{CheckSettings, Diagnostic, Dockerfile, Rule, Severity, Span};

use super::codes;
use super::options::PlanOptions;

/// Problems found so far, and which build checks are wanted.
#[derive(Debug, Default)]
pub(super) struct Lints {
    found: Vec<Diagnostic>,
    settings: CheckSettings,
    current: Option<CheckSettings>,
    errors: usize,
    warnings: usize,
}

/// How much was found at some time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    found: usize,
    errors: usize,
    warnings: usize,
}

/// Gives the settings of the build checks, and what is wrong with them; `BUILDKIT_DOCKERFILE_CHECK` wins over the
/// directive (dockerfile.md §9.7).
pub(super) fn settings(dockerfile: &Dockerfile, options: &PlanOptions) -> (CheckSettings, Option<String>) {
    let (own, problem) = match options.build_args.get("BUILDKIT_DOCKERFILE_CHECK") {
        None => (dockerfile.directives.check_settings.clone(), None),
        Some(text) => match CheckSettings::parse(text) {
            Ok(settings) => (settings, None),
            Err(error) => (CheckSettings::default(), Some(error.message)),
        },
    };
    (own.merged(&options.checks), problem)
}

/// So many errors and so many warnings are kept; nobody reads more.
const LIMIT: usize = 1_000;

/// Puts problems into file order, each once; the verdict comes after what it is passed on.
pub(crate) fn in_file_order(mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let is_verdict = |found: &Diagnostic| found.code == codes::LINT;
    found.sort_by(|a, b| (is_verdict(a), a.span, &a.message).cmp(&(is_verdict(b), b.span, &b.message)));
    found.dedup();
    found
}

impl Lints {
    /// Starts with the parser's findings.
    pub(super) fn new(dockerfile: &Dockerfile, parsed: &[Diagnostic], options: &PlanOptions) -> Self {
        let (settings, problem) = settings(dockerfile, options);
        let mut made = Self { settings, ..Self::default() };
        for diagnostic in parsed {
            if diagnostic.rule.is_none_or(|rule| made.settings.enables(rule)) {
                made.push(diagnostic.clone());
            }
        }
        if let Some(problem) = problem {
            let message = format!("build argument BUILDKIT_DOCKERFILE_CHECK: {problem}");
            let help = "the options are skip=RULES|all, experimental=RULES|all and error=true|false, joined by ;";
            made.push(Diagnostic::error(codes::CHECK, message, Span::default()).with_help(help));
        }
        made
    }

    /// Runs the checks that need no more than the tree, for the stages that are needed.
    pub(super) fn check_tree(&mut self, dockerfile: &Dockerfile, needed: &[bool], options: &PlanOptions) {
        let is_needed = |index: usize| needed.get(index).copied().unwrap_or(false);
        // What a named context stands for is no image of that name.
        let is_named = |found: &Diagnostic| {
            matches!(found.rule, Some(Rule::LatestTag | Rule::UnpinnedBaseImage))
                && options.context(dockerfile.source.slice(found.span)).is_some()
        };
        for found in strake_parser::lint::check(dockerfile, &self.settings, &is_needed) {
            if !is_named(&found) {
                self.push(found);
            }
        }
    }

    /// Gives the settings in force.
    pub(super) fn settings(&self) -> &CheckSettings {
        self.current.as_ref().unwrap_or(&self.settings)
    }

    /// Applies the settings that stand right before an instruction, until the next call.
    pub(super) fn enter(&mut self, overrides: Option<&CheckSettings>) {
        self.current = overrides.map(|overrides| self.settings.merged(overrides));
    }

    /// Reports that there is no stage, unless the parser did.
    pub(super) fn no_stages(&mut self) {
        if !self.has_errors() {
            self.push(Diagnostic::error(codes::BASE_BLANK, "dockerfile contains no stages to build", Span::default()));
        }
    }

    /// Adds a problem.
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        let count = if diagnostic.is_error() { &mut self.errors } else { &mut self.warnings };
        *count += 1;
        if *count <= LIMIT {
            self.found.push(diagnostic);
        }
    }

    /// Marks what was found so far, for [`Self::go_back`].
    pub(super) fn mark(&self) -> Mark {
        Mark { found: self.found.len(), errors: self.errors, warnings: self.warnings }
    }

    /// Takes back what was found since a mark, but for what is kept.
    pub(super) fn go_back(&mut self, to: Mark, is_kept: impl Fn(&Diagnostic) -> bool) {
        let since = self.found.split_off(to.found.min(self.found.len()));
        (self.errors, self.warnings) = (to.errors, to.warnings);
        for found in since.into_iter().filter(is_kept) {
            self.push(found);
        }
    }

    /// Takes back the warnings of a rule within an instruction: what is known of the base image excuses them.
    pub(super) fn withdraw(&mut self, rule: Rule, within: Span) {
        self.found.retain(|found| {
            found.rule != Some(rule) || found.span.start() < within.start() || found.span.end() > within.end()
        });
    }

    /// Adds the warning of a build check, if it is wanted here.
    pub(super) fn lint(&mut self, rule: Rule, message: impl Into<String>, span: Span, help: &str) {
        self.lint_with(Diagnostic::lint(rule, message, span).with_help(help));
    }

    /// Adds the finding of a build check, if it is wanted here.
    pub(super) fn lint_with(&mut self, found: Diagnostic) {
        if found.rule.is_some_and(|rule| self.current.as_ref().unwrap_or(&self.settings).enables(rule)) {
            self.push(found);
        }
    }

    /// Adds the warning of a build check that belongs to no line.
    pub(super) fn lint_file(&mut self, rule: Rule, message: impl Into<String>, help: impl Into<String>) {
        if self.settings.enables(rule) {
            self.push(Diagnostic::lint(rule, message, Span::default()).with_help(help));
        }
    }

    /// Says whether there can be no build.
    pub(super) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Gives all problems in file order.
    pub(super) fn into_found(self) -> Vec<Diagnostic> {
        in_file_order(self.found)
    }

    /// Passes the verdict: with `error=true` a warning of a build check is an error (dockerfile.md §18).
    pub(super) fn judge(&mut self) {
        if !self.settings.error {
            return;
        }
        let is_broken = |found: &&Diagnostic| found.severity == Severity::Warning && found.rule.is_some();
        let mut rules: Vec<_> =
            self.found.iter().filter(is_broken).filter_map(|found| found.rule).map(Rule::name).collect();
        rules.sort_unstable();
        rules.dedup();
        if rules.is_empty() {
            return;
        }
        let message = format!("lint violation found for rules: {}", rules.join(", "));
        let help = "mend them, or leave rules out with # check=skip=RULE; error=true makes them errors";
        self.push(Diagnostic::error(codes::LINT, message, Span::default()).with_help(help));
    }
}
