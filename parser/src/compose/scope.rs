//! The arguments that conditions see.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::ast::{Condition, Escape, Instruction, InstructionKind, Stage, Word};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::expand::Expander;
use crate::suggest::suggest;

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Known(String),
    /// Declared, without a value.
    Unset,
    /// It has a value that is not known before the build.
    Unknowable,
    /// ENV sets it.
    Env,
    /// `RUN --env` sets it.
    Output,
}

type Values = BTreeMap<String, Value>;

/// The arguments that conditions see, as far as the file was read.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    given: &'a BTreeMap<String, String>,
    escape: Escape,
    platform: Values,
    globals: Values,
    /// Of the stage at hand; none above the first FROM.
    stage: Option<Values>,
    /// What the stages so far came to, by name.
    stages: BTreeMap<String, Values>,
    name: Option<String>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(
        given: &'a BTreeMap<String, String>,
        platform: &BTreeMap<String, String>,
        escape: Escape,
    ) -> Self {
        let value =
            |(name, value): (&String, &String)| (name.clone(), Value::Known(given.get(name).unwrap_or(value).clone()));
        let platform = platform.iter().map(value).collect();
        let (globals, stages) = (Values::new(), BTreeMap::new());
        Self { given, escape, platform, globals, stage: None, stages, name: None }
    }

    /// Takes in a FROM: the arguments of a base stage are inherited (dockerfile.md §9.3).
    pub(super) fn enter(&mut self, stage: &Stage) {
        if let (Some(name), Some(values)) = (self.name.take(), self.stage.take()) {
            self.stages.insert(name, values);
        }
        let base = self.expand(&stage.base, false).map(|text| text.to_lowercase()).unwrap_or_default();
        self.stage = Some(self.stages.get(&base).cloned().unwrap_or_default());
        self.name = stage.key();
    }

    /// Takes in what an instruction does to names.
    pub(super) fn note(&mut self, instruction: &Instruction) {
        match &instruction.kind {
            InstructionKind::Arg(items) => {
                for item in items {
                    let name = &item.name.value;
                    let value = self.declared(name, item.default.as_ref());
                    let values = self.stage.as_mut().unwrap_or(&mut self.globals);
                    if !matches!(values.get(name), Some(Value::Env | Value::Output)) {
                        values.insert(name.clone(), value);
                    }
                }
            }
            InstructionKind::Env(pairs) => {
                for (name, _) in &pairs.pairs {
                    if let Some(values) = &mut self.stage {
                        values.insert(name.raw.to_string(), Value::Env);
                    }
                }
            }
            InstructionKind::Run(run) => {
                if let (Some(env), Some(values)) = (&run.additions().env, &mut self.stage) {
                    values.insert(env.value.clone(), Value::Output);
                }
            }
            _ => {}
        }
    }

    /// Works out a condition.
    pub(super) fn evaluate(&self, condition: &Condition) -> Result<bool, Diagnostic> {
        let word = |word: &Word| {
            // A name without its sign would be a text that is never equal, or always set.
            if self.find(&word.raw).is_some() {
                let message = format!("a condition takes {} for a text, though an argument is called so", word.raw);
                let help = format!("write ${0} for its value, or \"{0}\" if the text is meant", word.raw);
                let made = Diagnostic::error(codes::CONDITION_NAME, message, word.span).with_help(help);
                return Err(made.with_fix(word.span, format!("${}", word.raw)));
            }
            self.expand(word, true)
        };
        Ok(match condition {
            Condition::IsSet(text) => {
                let is_set = !word(text)?.is_empty();
                if !text.raw.contains(['$', '"', '\'']) {
                    let message = format!("the condition {} holds always", text.raw);
                    let help = "a word holds when it is not empty, and false and 0 are not: name a variable, as in IF \
                                $DEBUG, or put a text that is meant in quotes";
                    return Err(Diagnostic::error(codes::CONDITION, message, text.span).with_help(help));
                }
                is_set
            }
            Condition::Equal(left, right) => word(left)? == word(right)?,
            Condition::NotEqual(left, right) => word(left)? != word(right)?,
        })
    }

    fn declared(&self, name: &str, default: Option<&Word>) -> Value {
        if let Some(given) = self.given.get(name) {
            return Value::Known(given.clone());
        }
        match default {
            Some(word) => self.expand(word, false).map_or(Value::Unknowable, Value::Known),
            None if self.stage.is_some() => self.find_global(name).cloned().unwrap_or(Value::Unset),
            None => self.platform.get(name).cloned().unwrap_or(Value::Unset),
        }
    }

    fn find(&self, name: &str) -> Option<&Value> {
        self.stage.as_ref().and_then(|values| values.get(name)).or_else(|| self.find_global(name))
    }

    fn find_global(&self, name: &str) -> Option<&Value> {
        self.globals.get(name).or_else(|| self.platform.get(name))
    }

    /// Expands a word over arguments; fails where it uses a name that has no value before the build. A name that nothing
    /// declares is one of these in a condition and in a stage, where the base image may set it.
    fn expand(&self, word: &Word, is_strict: bool) -> Result<String, Diagnostic> {
        let bad: RefCell<Option<(String, Option<Value>)>> = RefCell::new(None);
        let lookup = |name: &str| match self.find(name) {
            Some(Value::Known(value)) => Some(value.clone()),
            Some(Value::Unset) => None,
            other => {
                if other.is_some() || is_strict || self.stage.is_some() {
                    bad.borrow_mut().get_or_insert_with(|| (name.to_owned(), other.cloned()));
                }
                None
            }
        };
        let expanded = Expander::new(self.escape, &lookup).word(word);
        if let Some((name, why)) = bad.take() {
            return Err(self.unusable(&name, why.as_ref(), word));
        }
        Ok(expanded?.text)
    }

    fn unusable(&self, name: &str, why: Option<&Value>, word: &Word) -> Diagnostic {
        let (message, help) = match why {
            Some(Value::Env) => (
                format!("a condition cannot use {name}, which ENV sets"),
                "conditions are worked out before the build and know arguments only: give the ARG another name"
                    .to_owned(),
            ),
            Some(Value::Output) => (
                format!("a condition cannot use {name}, which RUN --env sets"),
                "conditions are worked out before the build: decide in the command of a RUN".to_owned(),
            ),
            Some(_) => (
                format!("a condition cannot use {name}: its default is not known before the build"),
                "let the default of the ARG use other arguments only".to_owned(),
            ),
            None => {
                let stage = self.stage.iter().flat_map(BTreeMap::keys);
                let known = stage.chain(self.globals.keys()).chain(self.platform.keys()).map(String::as_str);
                let near = suggest(name, known).map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
                (
                    format!("a condition uses {name}, which no ARG above declares{near}"),
                    format!("put ARG {name} above, or above the first FROM"),
                )
            }
        };
        Diagnostic::error(codes::CONDITION_NAME, message, word.span).with_help(help)
    }
}
