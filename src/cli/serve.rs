//! `serve`: the server over a configured database.

use dovetail::config::Config;

use super::stop::Stop;
use super::{logging, open_files, runtime};

pub(super) fn run(config: Config) -> anyhow::Result<()> {
    logging::start(config.log_format, config.log_level, false);
    let open_files = open_files::raise(config.rlimit_nofile);
    tracing::debug!(?open_files, "limit of open files");
    runtime()?.block_on(async {
        let mut stop = Stop::listen()?;
        let shutdown = async {
            stop.requested().await;
            tracing::info!("stopping; a second signal stops at once");
            tokio::spawn(async move {
                stop.requested().await;
                std::process::exit(130);
            });
        };
        // The server itself logs where it listens.
        dovetail::app::run(config, shutdown, |_| {}).await
    })
}
