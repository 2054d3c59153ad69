//! The inputs of the settings besides the file: environment and flags.

use std::path::PathBuf;

/// A setting given on the command line, as in `--set api.region=uk`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The path of the setting.
    pub path: String,
    /// The value of the setting.
    pub value: String,
}

impl std::str::FromStr for Flag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (path, value) = text.split_once('=').ok_or("write SETTING=VALUE, as in api.region=uk")?;
        Ok(Self { path: path.trim().to_owned(), value: value.to_owned() })
    }
}

/// The inputs of the settings besides the file.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The environment variables.
    pub environment: Vec<(String, String)>,
    /// The flags.
    pub flags: Vec<Flag>,
    /// The folder of the system's zone database, if the system may have one.
    pub zoneinfo: Option<PathBuf>,
}

impl Surroundings {
    /// Returns an environment variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}
