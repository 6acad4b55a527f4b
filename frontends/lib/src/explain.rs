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
    /// A Dockerfile with the problem, and the same one mended. Lines such as `# strake build --target app .` say how it
    /// is built, and `# context:` what files there are. None where no text can show it.
    pub example: Option<Example>,
}

/// A Dockerfile with a problem, and the same one mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// The wrong one.
    pub wrong: &'static str,
    /// The right one.
    pub right: &'static str,
}

/// The examples: each begins with `=== CODE`, and a line `---` stands between the wrong and the right one.
static EXAMPLES: &str = include_str!("explain/examples.txt");

fn example(code: &str) -> Option<Example> {
    EXAMPLES.split("=== ").find_map(|part| {
        let (name, text) = part.split_once('\n')?;
        let (wrong, right) = text.split_once("---\n").filter(|_| name.trim_end() == code)?;
        Some(Example { wrong, right })
    })
}

impl From<&'static CodeEntry> for Explanation {
    fn from(entry: &'static CodeEntry) -> Self {
        Self { code: entry.code, title: entry.title, text: entry.explanation, example: example(entry.code) }
    }
}

/// The page of a code (`E0101`) or of a build check by its name, in any letter case.
pub fn explain(code: &str) -> Option<Explanation> {
    let is_it = |page: &Explanation| [page.code, page.title].iter().any(|name| name.eq_ignore_ascii_case(code));
    explanations().into_iter().find(is_it)
}

fn rule_page(rule: strake_parser::Rule) -> Explanation {
    Explanation { code: rule.code(), title: rule.name(), text: rule.explanation(), example: example(rule.code()) }
}

/// Every page: the errors and warnings by code, then the build checks.
pub fn explanations() -> Vec<Explanation> {
    let builder = strake_builder::code_tables();
    let entries = strake_parser::codes::TABLE.iter().chain(builder.into_iter().flatten());
    let mut pages: Vec<Explanation> = entries.map(Explanation::from).collect();
    pages.sort_by_key(|page| (page.code.get(1..), page.code));
    let mut checks: Vec<Explanation> = strake_parser::Rule::ALL.iter().map(|rule| rule_page(*rule)).collect();
    checks.sort_by_key(|page| page.code);
    pages.append(&mut checks);
    pages
}
