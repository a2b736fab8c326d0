//! `dev`: a private Postgres, random keys, everything on this machine only.
//!
//! Keeps its database, keys and the mark that the sample table was made in one folder. Refuses to run
//! beside a configured database: whoever set one meant it.

pub(super) mod keys;
mod welcome;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use dovetail::config::{Config, Parts, Purpose, Secret, StorageBackend};
use dovetail::postgres::connect;
use dovetail::postgres::embedded::{Embedded, Options};
use dovetail::tenant;
use tracing::level_filters::LevelFilter;

use super::settings::Flags;
use super::stop::Stop;
use super::{Failure, database, logging, open_files, runtime};
use keys::DevKeys;

/// The logins of the embedded surface get a password at each start.
const FORGET_PASSWORDS: &str = "do $$ declare name text; begin \
    for name in select rolname from pg_catalog.pg_roles where rolname in ('authenticator', 'supabase_auth_admin') \
    loop execute format('alter role %I password null', name); end loop; end $$";

/// How many ports above the usual one are tried when it is taken.
const NEXT_PORTS: u16 = 100;

/// Whether this is our container image, where a database would be lost with the container.
pub(super) fn in_image() -> bool {
    std::env::var_os("DOVETAIL_IN_CONTAINER").is_some_and(|value| !value.is_empty())
}

/// Of `dev`.
#[derive(clap::Args, Default)]
pub(super) struct Args {
    /// Fill the chat with three organisations, twelve people and their conversations; once
    #[arg(long)]
    demo: bool,
}

pub(super) fn run(flags: &Flags, args: &Args) -> Result<(), Failure> {
    refuse(flags)?;
    let mut config = super::config(flags, Purpose::Any)?;
    if !flags.is_given("LOG_LEVEL") {
        // What is printed should be what a person who tries it out wants to see.
        config.log_level = LevelFilter::WARN;
    }
    logging::start(config.log_format, config.log_level, false);
    open_files::raise(config.rlimit_nofile);
    config.listen = listen(&config, flags.is_given("PORT"));
    let folder = folder(flags)?;
    let keys = match &config.api_jwt_secret {
        Some(secret) => DevKeys::signed_with(secret.expose().to_owned()),
        None => keys::load_or_create(&folder)?,
    };
    config.api_jwt_secret = Some(Secret::new(&keys.jwt_secret));
    config
        .metrics_jwt_secret
        .get_or_insert_with(|| Secret::new(&keys.jwt_secret));
    surface(&mut config, flags, &folder)?;
    chat(&mut config, &folder, args)?;
    config.anon_key = Some(Secret::new(&keys.anon_key));
    let options = Options {
        bin_dir: flags.text("PG_BIN_DIR").map(PathBuf::from),
        ..Options::default()
    };
    runtime()?.block_on(serve(config, &keys, &folder, options, args))?;
    Ok(())
}

/// Everything is served unless said otherwise, and users need no mail that nobody would send.
fn surface(config: &mut Config, flags: &Flags, folder: &Path) -> anyhow::Result<()> {
    let surface = &mut config.surface;
    surface.parts.get_or_insert(Parts::EMBEDDED);
    surface.auth.autoconfirm |= !flags.is_given("GOTRUE_MAILER_AUTOCONFIRM");
    surface.auth.anonymous |= !flags.is_given("GOTRUE_EXTERNAL_ANONYMOUS_USERS_ENABLED");
    if !flags.is_given("FILE_STORAGE_BACKEND_PATH")
        && let StorageBackend::File(path) = &mut surface.storage.backend
    {
        *path = folder.join("storage");
    }
    // Nobody else needs to know it, and the database is this program's own.
    surface.password = Some(Secret::new(keys::random()?));
    Ok(())
}

/// The messaging system runs unless said otherwise, with a key for push messages that is kept.
fn chat(config: &mut Config, folder: &Path, args: &Args) -> anyhow::Result<()> {
    let chat = &mut config.chat;
    chat.demo = args.demo;
    if *chat.enabled.get_or_insert(true) && chat.vapid_private_key.is_none() {
        chat.vapid_private_key = Some(Secret::new(keys::vapid(folder)?));
        chat.vapid_subject
            .get_or_insert_with(|| "mailto:dev@example.com".to_owned());
    }
    Ok(())
}

fn refuse(flags: &Flags) -> Result<(), Failure> {
    let set = flags.database_settings();
    if !set.is_empty() {
        return Err(Failure::Usage(format!(
            "dovetail dev starts a database of its own, but {} {} set\n  fix: run dovetail serve to \
             use that database, or unset {}",
            set.join(", "),
            if set.len() == 1 { "is" } else { "are" },
            if set.len() == 1 { "it" } else { "them" },
        )));
    }
    if in_image() {
        return Err(Failure::Usage(
            "dovetail dev does not run in the container image: its database would be lost with the \
             container\n  fix: set DATABASE_URL or DB_HOST, DB_PASSWORD, ... and run dovetail serve"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Loopback only, whatever `HOST` says. A port that was asked for is the only one tried.
fn listen(config: &Config, port_is_given: bool) -> Vec<SocketAddr> {
    let first = config.listen.first().map_or(4000, SocketAddr::port);
    let last = match port_is_given {
        true => first,
        false => first.saturating_add(NEXT_PORTS),
    };
    (first..=last)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .collect()
}

/// The folder everything is kept in, absolute, made when it is not there. It hides itself from git.
fn folder(flags: &Flags) -> anyhow::Result<PathBuf> {
    let folder = PathBuf::from(flags.text("DOVETAIL_DATA").unwrap_or_default());
    let made = || {
        std::fs::create_dir_all(&folder)?;
        let ignore = folder.join(".gitignore");
        if !ignore.exists() {
            std::fs::write(ignore, "*\n")?;
        }
        folder.canonicalize()
    };
    made().with_context(|| format!("could not use the folder {}", folder.display()))
}

async fn serve(
    mut config: Config,
    keys: &DevKeys,
    folder: &Path,
    options: Options,
    args: &Args,
) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let data = folder.join("postgres");
    let embedded = tokio::select! {
        started = Embedded::start(&data, options) => started?,
        () = stop.requested() => return Ok(()),
    };
    config.database = Some(embedded.connect_options());
    let prepared = tokio::select! {
        prepared = prepare(&embedded, &config, folder, args) => prepared.map(|()| true),
        () = stop.requested() => Ok(false),
    };
    let served = match prepared {
        Ok(true) => run_app(config, keys, folder, &embedded, &mut stop).await,
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    println!("stopping");
    let stopped = embedded.stop().await;
    served?;
    stopped.context("the database did not stop cleanly")
}

async fn run_app(
    config: Config,
    keys: &DevKeys,
    folder: &Path,
    embedded: &Embedded,
    stop: &mut Stop,
) -> anyhow::Result<()> {
    let connect = embedded.connect_options();
    let parts = config.surface.parts.unwrap_or_default();
    dovetail::app::run(config, stop.requested(), |address| {
        let text = welcome::text(address, keys, &connect, folder, parts);
        println!("{text}");
    })
    .await
}

/// All SQL, and once in the life of the folder the sample table: a table that was dropped stays so.
async fn prepare(
    embedded: &Embedded,
    config: &Config,
    folder: &Path,
    args: &Args,
) -> anyhow::Result<()> {
    let options = embedded.connect_options();
    let surface = config.surface.parts.is_some_and(|parts| parts.any());
    let chat = surface && (config.chat.enabled.unwrap_or_default() || args.demo);
    let needed = surface.then(|| tenant::Embedded {
        password: config.surface.password.clone(),
    });
    if surface {
        // A start before this one gave them another.
        let client = connect(&options, "dovetail_dev").await?;
        client.batch_execute(FORGET_PASSWORDS).await?;
    }
    for line in database::prepare(&options, needed, chat).await? {
        tracing::debug!("{line}");
    }
    if args.demo {
        anyhow::ensure!(
            chat,
            "--demo needs the chat and the embedded surface: unset CHAT and SURFACE"
        );
        connect(&options, "dovetail_dev")
            .await?
            .batch_execute(include_str!("demo.sql"))
            .await
            .context("could not make the demo")?;
    }
    let mark = folder.join("sample-made");
    if mark.exists() {
        return Ok(());
    }
    connect(&options, "dovetail_dev")
        .await?
        .batch_execute(include_str!("sample.sql"))
        .await
        .context("could not create the sample table")?;
    std::fs::write(&mark, "").with_context(|| format!("could not write {}", mark.display()))
}
