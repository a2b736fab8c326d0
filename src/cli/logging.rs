//! How log lines look and which are written.
//!
//! Only our own lines go below warnings: the Postgres driver logs statements with their parameters
//! at debug, and those hold claims and rows (postgres.md §6.8 rule 2).

use std::fmt;
use std::io::IsTerminal;

use dovetail::config::LogFormat;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Sets up logging for the process. `to_stderr` for commands whose output is something else.
pub(super) fn start(format: LogFormat, level: LevelFilter, to_stderr: bool) {
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("dovetail", level);
    let writer = tracing_subscriber::fmt::writer::BoxMakeWriter::new(move || {
        let out: Box<dyn std::io::Write> = match to_stderr {
            true => Box::new(std::io::stderr()),
            false => Box::new(std::io::stdout()),
        };
        out
    });
    // Colour codes would keep a log pipeline from parsing the line.
    let is_terminal = match to_stderr {
        true => std::io::stderr().is_terminal(),
        false => std::io::stdout().is_terminal(),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(is_terminal);
    let registry = tracing_subscriber::registry().with(targets);
    // Fails only when there is a subscriber already, which is then as good.
    let _ = match format {
        LogFormat::Pretty => registry.with(lines.event_format(Pretty)).try_init(),
        LogFormat::Json => registry
            .with(lines.json().flatten_event(true).with_current_span(false))
            .try_init(),
    };
}

/// `HH:MM:SS.mmm [level] message key=value`, the lines a Supabase stack's log pipeline parses.
struct Pretty;

impl<S, N> FormatEvent<S, N> for Pretty
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let time = chrono::Utc::now().format("%H:%M:%S%.3f");
        write!(writer, "{time} [{level}] ")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_has_the_form_log_pipelines_parse() {
        let lines = Lines::default();
        let to = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || to.clone())
            .event_format(Pretty);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::warn!(attempt = 2, "slot is in use");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let (time, rest) = text.split_at(12);
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '9' } else { c })
            .collect();
        assert_eq!(shape, "99:99:99.999");
        assert_eq!(rest, " [warning] slot is in use attempt=2\n");
    }
}
