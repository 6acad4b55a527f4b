//! What a run of the binary came to.

use std::process::Output;

use serde_json::Value;

/// What a run of the binary came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error: events as JSON lines, unless the test asked for another display, and the error.
    pub stderr: String,
}

impl Outcome {
    pub(crate) fn new(output: Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code(), stdout: output.stdout, stderr }
    }

    /// Asserts that the run ended with this code; gives itself back.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        self
    }

    /// Asserts that the run failed by an error of its own: not by a hang, a panic or a signal; gives itself back.
    #[track_caller]
    pub fn fails(self) -> Self {
        assert!(matches!(self.code, Some(1..=5)), "{:?}: {}", self.code, self.stderr);
        assert!(self.error().contains("error"), "{}", self.stderr);
        self
    }

    /// Standard error without the events: the error as people see it.
    pub fn error(&self) -> String {
        let lines = self.stderr.lines().filter(|line| !line.starts_with('{'));
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// Asserts that the error has all of these words in it.
    #[track_caller]
    pub fn says(&self, words: &[&str]) {
        for word in words {
            assert!(self.error().contains(word), "{word:?} is missing in: {}", self.error());
        }
    }

    /// The events of the build.
    pub fn events(&self) -> Vec<Value> {
        let lines = self.stderr.lines().filter(|line| line.starts_with('{'));
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// How the step whose name has this in it ended: `done`, `cached`, `failed`, `cancelled`.
    #[track_caller]
    pub fn step(&self, name: &str) -> String {
        let events = self.events();
        let known = |event: &&Value| event["event"] == "step" && event["name"].as_str().unwrap().contains(name);
        let Some(step) = events.iter().find(known) else { panic!("no step {name:?}: {}", self.stderr) };
        let ended = events.iter().find(|event| event["event"] == "finished" && event["id"] == step["id"]);
        ended.map_or_else(|| "not finished".to_owned(), |event| event["outcome"].as_str().unwrap().to_owned())
    }

    /// What the steps wrote.
    pub fn log(&self) -> String {
        let events = self.events();
        let written = events.iter().filter(|event| event["event"] == "output");
        written.map(|event| event["bytes"].as_str().unwrap()).collect()
    }

    /// The digest of the manifest of the first output.
    #[track_caller]
    pub fn digest(&self) -> String {
        let events = self.events();
        let exported =
            events.iter().filter(|event| event["event"] == "exported").find_map(|one| one["digest"].as_str());
        exported.unwrap_or_else(|| panic!("nothing with a digest was made: {}", self.stderr)).to_owned()
    }
}
