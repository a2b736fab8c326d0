//! What is wrong with the settings, all of it at once.

use std::fmt;

/// One wrong setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable's name.
    pub name: &'static str,
    /// What is wrong with it, to be read after the name. Never contains a secret.
    pub what: String,
    /// What to do about it, an order.
    pub fix: String,
}

/// Every wrong setting, in the order they were read. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => writeln!(formatter, "1 setting is wrong:")?,
            count => writeln!(formatter, "{count} settings are wrong:")?,
        }
        for problem in &self.0 {
            writeln!(formatter, "\n  {} {}", problem.name, problem.what)?;
            write!(formatter, "    fix: {}", problem.fix)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
