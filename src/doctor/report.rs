//! What was found, and its text.

use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The server cannot do its work.
    Error,
    /// Something will not work for somebody.
    Warning,
    /// Good to know.
    Info,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Stable short name of the check, for example `wal-level`.
    pub check: &'static str,
    /// What is wrong, in one line.
    pub problem: String,
    /// What to run or set, when there is one answer.
    pub fix: Option<String>,
}

/// Everything found. Its [`fmt::Display`] is the text for a terminal: a line for each problem, one for what to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Worst first.
    pub findings: Vec<Finding>,
}

/// What the checks of one kind found.
pub(super) type Found = Result<Vec<Finding>, tokio_postgres::Error>;

impl Finding {
    pub(super) fn new(
        severity: Severity,
        check: &'static str,
        problem: impl Into<String>,
        fix: impl Into<Option<String>>,
    ) -> Self {
        Self {
            severity,
            check,
            problem: problem.into(),
            fix: fix.into(),
        }
    }
}

impl Report {
    /// Whether the exit code must not be 0.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    pub(super) fn error(&mut self, check: &'static str, problem: String, fix: Option<String>) {
        self.findings
            .push(Finding::new(Severity::Error, check, problem, fix));
    }

    pub(super) fn check(&mut self, name: &'static str, found: Found) {
        match found {
            Ok(findings) => self.findings.extend(findings),
            Err(error) => {
                let reason = match error.as_db_error() {
                    Some(db) => format!("{} ({})", db.message(), db.code().code()),
                    None => error.to_string(),
                };
                self.findings.push(Finding::new(
                    Severity::Warning,
                    name,
                    format!("the checks of this kind could not be made: {reason}"),
                    None,
                ));
            }
        }
    }

    pub(super) fn sorted(mut self) -> Self {
        self.findings.sort_by_key(|finding| finding.severity);
        self
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let word = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Info => "info",
            };
            writeln!(f, "{word:<8} {}: {}", finding.check, finding.problem)?;
            if let Some(fix) = &finding.fix {
                writeln!(f, "         run: {fix}")?;
            }
        }
        let count = |severity| {
            self.findings
                .iter()
                .filter(|finding| finding.severity == severity)
                .count()
        };
        match (count(Severity::Error), count(Severity::Warning)) {
            (0, 0) => writeln!(f, "everything that was checked is in order"),
            (errors, warnings) => writeln!(f, "{errors} error(s), {warnings} warning(s)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_a_line_for_each_problem_and_one_for_what_to_run_worst_first() {
        let report = Report {
            findings: vec![
                Finding::new(Severity::Info, "a", "good to know", None),
                Finding::new(Severity::Error, "b", "broken", "fix it".to_owned()),
            ],
        }
        .sorted();
        assert_eq!(
            report.to_string(),
            "error    b: broken\n         run: fix it\ninfo     a: good to know\n1 error(s), 0 warning(s)\n"
        );
        assert!(report.has_errors());
        assert!(!Report::default().has_errors());
        assert!(Report::default().to_string().contains("in order"));
    }
}
