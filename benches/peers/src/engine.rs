//! Which engine, in which version.

/// The versions that are built.
const LOCK: &str = include_str!("../Cargo.lock");

/// An engine that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Its crate.
    pub name: &'static str,
    /// Its licence, as an SPDX expression.
    pub licence: &'static str,
}

impl Engine {
    /// Ironbook itself.
    pub const IRONBOOK: Self = Self { name: "ironbook", licence: "MIT OR Apache-2.0" };

    /// The version that is built; none for what is no crate of a registry.
    pub fn version(&self) -> Option<&'static str> {
        let (_, after) = LOCK.split_once(&format!("\nname = \"{}\"\nversion = \"", self.name))?;
        after.split('"').next()
    }

    /// Name and version for people.
    pub fn title(&self) -> String {
        match self.version() {
            Some(version) => format!("{} {version}", self.name),
            None => self.name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_that_are_locked() {
        let version = |name| Engine { name, licence: "" }.version();
        assert!(version("lobster").is_some_and(|version| version.starts_with("0.")));
        assert_eq!(version("lobste"), None);
        assert_eq!(Engine::IRONBOOK.title(), "ironbook");
    }
}
