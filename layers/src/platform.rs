use serde::{Deserialize, Serialize};

/// A target platform (OCI image specification, image-index.md, "platform").
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// CPU architecture in Go's names: `amd64`, `arm64`.
    pub architecture: String,
    /// Operating system in Go's names: `linux`, `windows`.
    pub os: String,
    /// Version of the operating system; Windows only in practice.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features that the operating system must have.
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// CPU variant: `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}
