use strake_parser::codes::CodeEntry;

/// What is to be said about a code.
#[derive(Clone, Copy, Debug)]
pub struct Explanation {
    /// The code.
    pub code: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// What it means and what to do.
    pub text: &'static str,
}

impl From<&'static CodeEntry> for Explanation {
    fn from(entry: &'static CodeEntry) -> Self {
        Self { code: entry.code, title: entry.title, text: entry.explanation }
    }
}

/// The page of a code (`E0101`) or of a build check by its name.
pub fn explain(code: &str) -> Option<Explanation> {
    let tables = strake_builder::code_tables();
    let entry = tables.iter().flat_map(|table| table.iter()).find(|entry| entry.code.eq_ignore_ascii_case(code));
    if let Some(entry) = entry {
        return Some(entry.into());
    }
    let rule = strake_parser::Rule::from_name(code).or_else(|| strake_parser::Rule::from_code(code));
    if let Some(rule) = rule {
        return Some(Explanation { code: rule.code(), title: rule.name(), text: rule.explanation() });
    }
    strake_parser::codes::find(&code.to_uppercase()).map(Explanation::from)
}
