//! The command line.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)
)]

mod cli;

fn main() -> std::process::ExitCode {
    // Before anything else: whoever opens a TLS connection takes the process-wide provider. It can
    // only fail when there is one already, and then there is nothing to do.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    cli::run()
}
