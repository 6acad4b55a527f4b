use super::ImageConfig;

impl ImageConfig {
    /// The value of an environment variable; the last of several. On Windows images the case of the name does not
    /// matter (windows.md §4.3).
    pub fn env(&self, name: &str) -> Option<&str> {
        let windows = self.is_windows();
        self.config.env.iter().rev().find_map(|line| {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            same_name(key, name, windows).then_some(value)
        })
    }

    /// Sets an environment variable: in the place where it already stands, else as the last. On Windows images the first
    /// spelling of the name is kept (windows.md §4.3).
    pub fn set_env(&mut self, name: &str, value: &str) {
        let windows = self.is_windows();
        let mut done = false;
        self.config.env.retain_mut(|line| {
            let key = line.split_once('=').map_or(line.as_str(), |(key, _)| key);
            if !same_name(key, name, windows) {
                return true;
            }
            if done {
                return false;
            }
            *line = format!("{key}={value}");
            done = true;
            true
        });
        if !done {
            self.config.env.push(format!("{name}={value}"));
        }
    }

    /// Takes an environment variable away.
    pub fn unset_env(&mut self, name: &str) {
        let windows = self.is_windows();
        let keeps =
            |line: &String| !same_name(line.split_once('=').map_or(line.as_str(), |(key, _)| key), name, windows);
        self.config.env.retain(keeps);
    }

    /// Tells whether it is the configuration of a Windows image.
    pub fn is_windows(&self) -> bool {
        self.os.eq_ignore_ascii_case("windows")
    }
}

fn same_name(a: &str, b: &str, ignore_case: bool) -> bool {
    a == b || (ignore_case && a.to_lowercase() == b.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Platform;

    #[test]
    fn variable_is_replaced_where_it_stands() {
        let mut config = ImageConfig::scratch(&Platform::new("linux", "amd64"));
        config.config.env = ["PATH=/bin", "A=1", "path=x", "A=2", "EMPTY"].map(String::from).to_vec();
        assert_eq!(config.env("A"), Some("2"));
        config.set_env("A", "a=b");
        config.set_env("Z", "");
        assert_eq!(config.config.env, ["PATH=/bin", "A=a=b", "path=x", "EMPTY", "Z="]);
        assert_eq!((config.env("A"), config.env("EMPTY"), config.env("B")), (Some("a=b"), Some(""), None));
        config.unset_env("PATH");
        assert_eq!(config.env("PATH"), None);
    }

    #[test]
    fn windows_variables_ignore_case_and_keep_the_first_spelling() {
        let mut config = ImageConfig::scratch(&Platform::new("windows", "amd64"));
        config.set_env("Path", r"C:\a");
        config.set_env("PATH", r"C:\b");
        assert_eq!(config.config.env, [r"Path=C:\b"]);
        assert_eq!(config.env("path"), Some(r"C:\b"));
    }
}
