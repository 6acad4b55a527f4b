use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::document::{parse_json, write_json};
use crate::descriptor::null_is_default;
use crate::{DiffId, Error, Platform, Result};

/// The configuration of an image (dockerfile.md §15.1; OCI image specification, config.md).
///
/// Members that strake does not know are kept byte for byte at the top level and dropped below it, as the reference does.
#[derive(Clone, Debug, Default)]
pub struct ImageConfig {
    /// When the image was made, in RFC 3339.
    pub created: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// CPU architecture in Go's names.
    pub architecture: String,
    /// Operating system in Go's names.
    pub os: String,
    /// Version of the operating system.
    pub os_version: Option<String>,
    /// Features that the operating system must have.
    pub os_features: Vec<String>,
    /// CPU variant.
    pub variant: Option<String>,
    /// How containers of the image are started.
    pub config: ContainerConfig,
    /// The digests of the layers' tars, lowest first.
    pub diff_ids: Vec<DiffId>,
    /// How the image came about, first step first.
    pub history: Vec<History>,
    extra: BTreeMap<String, Box<RawValue>>,
}

/// How containers of an image are started (config.md, "config", and Docker's additions).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "an object", rename_all = "PascalCase", default)]
pub struct ContainerConfig {
    /// User, as text: `name`, `uid`, each with an optional `:group`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Ports, as `80/tcp`.
    #[serde(with = "set_as_map", skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_ports: BTreeSet<String>,
    /// Environment, as `NAME=value`, in order.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The program and its first arguments.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Further arguments, or the program where there is no entry point.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// Paths that are volumes.
    #[serde(with = "set_as_map", skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    /// Working directory.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Labels.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The signal that ends a container.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// Windows: the first element of `cmd` or `entrypoint` is a command line (windows.md §5.4).
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub args_escaped: bool,
    /// How to tell whether a container is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Instructions for images that are built upon this one.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    /// Seconds to wait for a container to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// The shell of later shell-form instructions.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
}

/// How to tell whether a container is well (dockerfile.md §13.14). Durations are nanoseconds; 0 means the runtime's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "an object", rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", argument…]` or `["CMD-SHELL", text]`; empty to inherit.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Time between two checks.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// Time a check may take.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// Time after the start during which failures do not count.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Time between two checks during the start period.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// Failures in a row that make a container unwell.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_zero")]
    pub retries: i64,
}

/// One step of an image's history (config.md, "history").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "an object", default)]
pub struct History {
    /// When the step was taken, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The instruction.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Who took it.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// The tool that took it.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// The step made no layer.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub empty_layer: bool,
}

/// The member `rootfs`.
#[derive(Serialize, Deserialize)]
#[serde(expecting = "an object")]
struct RootFs {
    #[serde(rename = "type", default = "layers")]
    kind: String,
    #[serde(default, deserialize_with = "null_is_default")]
    diff_ids: Vec<DiffId>,
}

fn layers() -> String {
    "layers".to_owned()
}

/// The search path of `FROM scratch` and of images that set none (dockerfile.md §10.9).
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl ImageConfig {
    /// The configuration that `FROM scratch` begins with (dockerfile.md §10.9).
    pub fn scratch(platform: &Platform) -> Self {
        let mut config = Self::default();
        config.set_platform(platform);
        config.config.working_dir = "/".to_owned();
        if !platform.is_windows() {
            config.config.env.push(DEFAULT_PATH.to_owned());
        }
        config
    }

    /// Reads a configuration. `what` names the document in errors.
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self> {
        let mut members: BTreeMap<String, Box<RawValue>> = parse_json(bytes, what)?;
        let mut reader = Members { members: &mut members, what };
        let rootfs: Option<RootFs> = reader.take("rootfs")?;
        let rootfs = rootfs.unwrap_or(RootFs { kind: layers(), diff_ids: Vec::new() });
        if rootfs.kind != "layers" {
            let problem = format!("its rootfs is of the type {:?}, only \"layers\" is known", rootfs.kind);
            return Err(Error::BadDocument { what: what.to_owned(), problem });
        }
        Ok(Self {
            created: reader.take("created")?,
            author: reader.take("author")?,
            architecture: reader.take("architecture")?.unwrap_or_default(),
            os: reader.take("os")?.unwrap_or_default(),
            os_version: reader.take("os.version")?,
            os_features: reader.take("os.features")?.unwrap_or_default(),
            variant: reader.take("variant")?,
            config: reader.take("config")?.unwrap_or_default(),
            diff_ids: rootfs.diff_ids,
            history: reader.take("history")?.unwrap_or_default(),
            extra: members,
        })
    }

    /// Writes the configuration: members in alphabetical order, as the reference does; what is empty is left out.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        write_json(self, "an image configuration")
    }

    /// The platform the image says to be for.
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
            variant: self.variant.clone(),
        }
        .normalized()
    }

    /// Makes the image say to be for a platform. Version and features of the operating system, where the platform names
    /// none, stay those of the base (dockerfile.md §15.2).
    pub fn set_platform(&mut self, platform: &Platform) {
        self.architecture.clone_from(&platform.architecture);
        self.os.clone_from(&platform.os);
        self.variant.clone_from(&platform.variant);
        if platform.os_version.is_some() {
            self.os_version.clone_from(&platform.os_version);
        }
        if !platform.os_features.is_empty() {
            self.os_features.clone_from(&platform.os_features);
        }
    }

    /// The names of the top-level members that strake does not know, in order.
    pub fn unknown_members(&self) -> impl Iterator<Item = &str> {
        self.extra.keys().map(String::as_str)
    }
}

/// Takes known members out of a document.
struct Members<'a> {
    members: &'a mut BTreeMap<String, Box<RawValue>>,
    what: &'a str,
}

impl Members<'_> {
    /// The member `name`; `None` where it is absent or `null`.
    fn take<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>> {
        let Some(raw) = self.members.remove(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map_err(|error| Error::BadDocument {
            what: self.what.to_owned(),
            problem: format!("member {name:?}: {error}"),
        })
    }
}

impl Serialize for ImageConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        let mut members: BTreeMap<&str, Box<RawValue>> = BTreeMap::new();
        for (name, value) in &self.extra {
            members.insert(name, value.clone());
        }
        let raw = |value: serde_json::Result<Box<RawValue>>| value.map_err(S::Error::custom);
        members.insert("architecture", raw(serde_json::value::to_raw_value(&self.architecture))?);
        members.insert("os", raw(serde_json::value::to_raw_value(&self.os))?);
        members.insert("config", raw(serde_json::value::to_raw_value(&self.config))?);
        let texts = [
            ("created", &self.created),
            ("author", &self.author),
            ("os.version", &self.os_version),
            ("variant", &self.variant),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                members.insert(name, raw(serde_json::value::to_raw_value(value))?);
            }
        }
        if !self.os_features.is_empty() {
            members.insert("os.features", raw(serde_json::value::to_raw_value(&self.os_features))?);
        }
        if !self.history.is_empty() {
            members.insert("history", raw(serde_json::value::to_raw_value(&self.history))?);
        }
        let rootfs = RootFs { kind: layers(), diff_ids: self.diff_ids.clone() };
        members.insert("rootfs", raw(serde_json::value::to_raw_value(&rootfs))?);
        members.serialize(serializer)
    }
}

/// Go's `map[string]struct{}`: the keys of an object whose values are `{}`.
mod set_as_map {
    use super::{BTreeMap, BTreeSet, Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(set: &BTreeSet<String>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(set.iter().map(|key| (key, serde_json::Map::new())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
        let map = Option::<BTreeMap<String, serde::de::IgnoredAny>>::deserialize(deserializer)?;
        Ok(map.unwrap_or_default().into_keys().collect())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> ImageConfig {
        ImageConfig::parse(json.as_bytes(), "config").expect("valid")
    }

    fn write(config: &ImageConfig) -> String {
        String::from_utf8(config.to_json().expect("valid")).expect("UTF-8")
    }

    #[test]
    fn all_members_survive_a_round_trip() {
        let json = concat!(
            r#"{"architecture":"arm","author":"me","config":{"User":"app:www","ExposedPorts":{"53/udp":{},"80/tcp":{}},"#,
            r#""Env":["PATH=/bin","E=<&>"],"Entrypoint":["/bin/sh"],"Cmd":["-c","x"],"Volumes":{"/a&b":{}},"#,
            r#""WorkingDir":"/w","Labels":{"größe":"5 < 6","z":""},"StopSignal":"SIGINT","ArgsEscaped":true,"#,
            r#""Healthcheck":{"Test":["CMD","t"],"Interval":5000000000,"Retries":2},"OnBuild":["RUN x"],"#,
            r#""StopTimeout":7,"Shell":["/bin/bash","-c"]},"created":"2009-02-13T23:31:30.5+02:00","#,
            r#""history":[{"created":"2009-02-13T23:31:30Z","created_by":"RUN x","author":"a","comment":"c","#,
            r#""empty_layer":true}],"os":"linux","os.features":["f"],"os.version":"1.2","#,
            r#""rootfs":{"type":"layers","diff_ids":["sha256:"#,
            r#"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},"variant":"v7"}"#
        );
        assert_eq!(write(&parse(json)), json);
        assert_eq!(parse(json).platform().to_string(), "linux(1.2+f)/arm/v7");
    }

    #[test]
    fn unknown_members_are_kept_byte_for_byte_at_the_top_only() {
        let json = concat!(
            r#"{"architecture":"amd64","config":{"Hostname":"h","User":"u"},"#,
            r#""container":"\u0061 b","moby.x":{"b": 1.50,"a":[ ]},"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#
        );
        let config = parse(json);
        assert_eq!(config.unknown_members().collect::<Vec<_>>(), ["container", "moby.x"]);
        assert_eq!(write(&config), json.replace(r#""Hostname":"h","#, ""));
    }

    #[test]
    fn null_and_absent_are_empty() {
        let config = parse(
            r#"{"config":{"Env":null,"Volumes":null,"Labels":null,"Healthcheck":null,"Cmd":null,"User":null},
                "history":null,"rootfs":null,"created":null}"#,
        );
        assert_eq!(config.config, ContainerConfig::default());
        assert!(config.history.is_empty() && config.diff_ids.is_empty() && config.created.is_none());
        assert_eq!(parse("{}").architecture, "");
    }

    #[test]
    fn errors_name_document_and_member() {
        let said = [
            "[]",
            r#"{"config":{"Env":5}}"#,
            r#"{"rootfs":{"type":"layers","diff_ids":["x"]}}"#,
            r#"{"rootfs":{"type":"other"}}"#,
            r#"{"history":[{"created_by":[]}]}"#,
        ]
        .map(|json| ImageConfig::parse(json.as_bytes(), "the config of x").expect_err(json).to_string());
        insta::assert_snapshot!(said.join("\n"), @r#"
        the config of x is not valid: invalid type: sequence, expected a map at line 1 column 0
        the config of x is not valid: member "config": invalid type: integer `5`, expected a sequence at line 1 column 8
        the config of x is not valid: member "rootfs": "x" is not a digest at line 1 column 33
        the config of x is not valid: its rootfs is of the type "other", only "layers" is known
        the config of x is not valid: member "history": invalid type: sequence, expected a string at line 1 column 15
        "#);
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(300), "]".repeat(300));
        assert!(ImageConfig::parse(deep.as_bytes(), "c").is_err());
    }

    #[test]
    fn scratch_has_a_path_but_on_windows() {
        let json = write(&ImageConfig::scratch(&Platform::new("linux", "amd64")));
        assert_eq!(
            json,
            concat!(
                r#"{"architecture":"amd64","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"#,
                r#""WorkingDir":"/"},"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#
            )
        );
        let config = ImageConfig::scratch(&"windows(10.0.20348.1)/amd64".parse().expect("valid"));
        assert_eq!((config.config.env.len(), config.os_version.as_deref()), (0, Some("10.0.20348.1")));
    }
}
