//! Finds the Postgres programs of this machine, and says how to get them when there are none.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Error;

/// Oldest major version the server works with (pgoutput messages and binary values need 14).
const OLDEST: u32 = 14;

/// Folders below which each version has a folder of its own, and what follows the version.
const VERSIONED: &[(&str, &str)] = &[
    ("/usr/lib/postgresql", "bin"),
    ("/usr/lib64/postgresql", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "bin"),
    ("/usr", "bin"),
    ("/usr/libexec", ""),
    ("/Applications/Postgres.app/Contents/Versions", "bin"),
];

/// Folders with one version.
const SINGLE: &[&str] = &["/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin"];

/// One installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// The installation to use: the first of the order in which they are searched, or, for existing data, the first of the
/// same major version.
pub(super) fn find(explicit: Option<&Path>, data_major: Option<u32>) -> Result<Binaries, Error> {
    let candidates: Vec<PathBuf> = match explicit {
        Some(dir) => vec![dir.to_owned()],
        None => candidates(),
    };
    let mut found: Vec<Binaries> = Vec::new();
    for dir in candidates {
        if found.iter().any(|known| known.dir == dir) {
            continue;
        }
        if let Some(major) = major_of(&dir) {
            let usable = major >= OLDEST && data_major.is_none_or(|wanted| wanted == major);
            let binaries = Binaries { dir, major };
            if usable {
                return Ok(binaries);
            }
            found.push(binaries);
        }
    }
    Err(nothing(explicit, data_major, &found))
}

fn nothing(explicit: Option<&Path>, data_major: Option<u32>, found: &[Binaries]) -> Error {
    let list = found
        .iter()
        .map(|known| format!("{} in {}", known.major, known.dir.display()))
        .collect::<Vec<_>>()
        .join(", ");
    match (data_major, explicit) {
        (Some(data), _) if !found.is_empty() => Error::Version { data, found: list },
        (_, Some(dir)) => Error::NoBinaries(format!(
            "there are no usable Postgres programs (postgres and initdb, version {OLDEST} or later) in {}; unset PG_BIN_DIR or point it at the right folder",
            dir.display()
        )),
        _ if found.is_empty() => Error::NoBinaries(format!(
            "no Postgres programs found on this machine. {}",
            install_hint(&std::fs::read_to_string("/etc/os-release").unwrap_or_default())
        )),
        _ => Error::NoBinaries(format!(
            "Postgres {OLDEST} or later is needed, found only {list}. {}",
            install_hint(&std::fs::read_to_string("/etc/os-release").unwrap_or_default())
        )),
    }
}

fn candidates() -> Vec<PathBuf> {
    let mut list = Vec::new();
    if let Some(dir) = std::env::var_os("PG_BIN_DIR").filter(|dir| !dir.is_empty()) {
        list.push(PathBuf::from(dir));
    }
    if let Some(path) = std::env::var_os("PATH") {
        list.extend(std::env::split_paths(&path));
    }
    for (root, tail) in VERSIONED {
        let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(root)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let version = version_in(entry.file_name().to_str()?)?;
                Some((version, entry.path().join(tail)))
            })
            .collect();
        versions.sort_by(|one, other| other.cmp(one));
        list.extend(versions.into_iter().map(|(_, path)| path));
    }
    list.extend(SINGLE.iter().map(PathBuf::from));
    list
}

/// The version in the name of a folder: `15`, `postgresql@16`, `postgresql15`, `pgsql-17`.
fn version_in(name: &str) -> Option<u32> {
    let digits = name
        .strip_prefix("postgresql")
        .map(|rest| rest.trim_start_matches(['@', '-']))
        .or_else(|| name.strip_prefix("pgsql-"))
        .unwrap_or(name);
    digits.split('.').next()?.parse().ok()
}

fn major_of(dir: &Path) -> Option<u32> {
    if !dir.join("initdb").is_file() || !dir.join("postgres").is_file() {
        return None;
    }
    let output = Command::new(dir.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// `postgres (PostgreSQL) 15.8 (Debian 15.8-0)` is 15.
fn parse_version(text: &str) -> Option<u32> {
    let number = text
        .split_whitespace()
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    let digits: String = number
        .chars()
        .take_while(|letter| letter.is_ascii_digit())
        .collect();
    digits.parse().ok()
}

/// The command that installs Postgres on the system `os_release` describes.
fn install_hint(os_release: &str) -> String {
    let field = |name: &str| {
        os_release
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(|value| value.trim_matches('"').to_lowercase())
            .unwrap_or_default()
    };
    let family = format!("{} {}", field("ID"), field("ID_LIKE"));
    let is = |names: &[&str]| family.split_whitespace().any(|word| names.contains(&word));
    let command = if is(&["debian", "ubuntu"]) {
        "sudo apt-get install postgresql"
    } else if is(&["alpine"]) {
        "apk add postgresql"
    } else if is(&["fedora", "rhel", "centos", "amzn"]) {
        "sudo dnf install postgresql-server postgresql-contrib"
    } else if is(&["arch"]) {
        "sudo pacman -S postgresql"
    } else if is(&["suse", "opensuse"]) {
        "sudo zypper install postgresql-server"
    } else if cfg!(target_os = "macos") {
        "brew install postgresql@17"
    } else {
        return "Install the Postgres server with the package manager of your system, or set PG_BIN_DIR to the folder of postgres and initdb, or use a database that runs elsewhere: set DATABASE_URL".to_owned();
    };
    format!(
        "Install them with: {command} (or set PG_BIN_DIR to their folder, or set DATABASE_URL to use a database that runs elsewhere)"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn versions_are_read_from_programs_and_folders() {
        assert_eq!(
            parse_version("postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)"),
            Some(15)
        );
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_version("nonsense"), None);
        assert_eq!(version_in("postgresql@16"), Some(16));
        assert_eq!(version_in("postgresql15"), Some(15));
        assert_eq!(version_in("pgsql-17"), Some(17));
        assert_eq!(version_in("9.6"), Some(9));
        assert_eq!(version_in("share"), None);
    }

    #[test]
    fn the_install_command_is_that_of_the_system() {
        assert!(install_hint("ID=debian\n").contains("apt-get install"));
        assert!(install_hint("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n").contains("apt-get"));
        assert!(install_hint("ID=alpine\n").contains("apk add"));
        assert!(install_hint("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n").contains("dnf"));
        assert!(install_hint("").contains("PG_BIN_DIR"));
    }

    #[test]
    fn an_empty_folder_of_programs_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let error = find(Some(dir.path()), None).unwrap_err().to_string();
        assert!(error.contains(dir.path().to_str().unwrap()), "{error}");
    }

    #[test]
    fn data_of_another_major_version_is_refused_with_both_versions() {
        let here = find(None, None).unwrap();
        let error = find(None, Some(9)).unwrap_err().to_string();
        assert!(error.contains("Postgres 9"), "{error}");
        assert!(error.contains(&here.major.to_string()), "{error}");
    }
}
