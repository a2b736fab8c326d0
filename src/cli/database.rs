//! `migrate` and `doctor`: one look at the database, then the end.

use anyhow::Context;
use dovetail::changes::explain_policies;
use dovetail::config::Config;
use dovetail::doctor::{self, KeysInfo, Severity};
use dovetail::postgres::migrate::{Report, Set, migrate as apply, remove};
use dovetail::postgres::{ConnectOptions, connect, partitions};
use dovetail::tenant::{Embedded, prepare_embedded};

use super::{Failure, logging, runtime};

/// Brings a database to the state the server needs. Returns what was done, line by line.
///
/// `embedded` also brings it to what the embedded Supabase surface stands on, `chat` to the messaging system.
pub(super) async fn prepare(
    options: &ConnectOptions,
    embedded: Option<Embedded>,
    chat: bool,
) -> anyhow::Result<Vec<String>> {
    let client = connect(options, "dovetail_migrate").await?;
    let mut done = Vec::new();
    for set in [Set::Supabase, Set::Realtime] {
        done.extend(lines(apply(&client, set).await?));
    }
    if let Some(embedded) = embedded {
        let notes = prepare_embedded(&client, embedded.password.as_ref()).await?;
        done.extend(notes.into_iter().map(|note| format!("note: {note}")));
    }
    if chat {
        done.extend(lines(apply(&client, Set::Chat).await?));
    }
    let partitions = partitions::maintain(&client, false).await?;
    let created = partitions.created.into_iter();
    done.extend(created.map(|name| format!("created partition {name}")));
    let warnings = partitions.warnings.into_iter();
    done.extend(warnings.map(|warning| format!("note: {warning}")));
    Ok(done)
}

fn lines(report: Report) -> impl Iterator<Item = String> {
    let applied = report.applied.into_iter();
    let notes = report.notes.into_iter();
    applied
        .map(|file| format!("applied {file}"))
        .chain(notes.map(|note| format!("note: {note}")))
}

/// Of `migrate`.
#[derive(clap::Args, Default)]
pub(super) struct MigrateArgs {
    /// Remove what is ours instead (event triggers, schema dovetail, unused slots) and leave what is the original's
    #[arg(long)]
    remove: bool,
}

pub(super) fn migrate(config: Config, args: &MigrateArgs) -> anyhow::Result<()> {
    logging::start(config.log_format, config.log_level, true);
    let surface = config.surface;
    // The flag --chat is that of the setting: who serves the messaging system wants its tables too.
    let chat = config.chat.enabled.unwrap_or(false);
    let options = config.database.context("no database is configured")?;
    if args.remove {
        let removed = runtime()?.block_on(async {
            let client = connect(&options, "dovetail_migrate").await?;
            anyhow::Ok(remove(&client).await?)
        })?;
        for what in removed {
            println!("removed {what}");
        }
        println!("{} has nothing of dovetail left", options.target());
        return Ok(());
    }
    let embedded = surface.parts.is_some_and(|parts| parts.any());
    let embedded = embedded.then_some(Embedded {
        password: surface.password,
    });
    let done = runtime()?.block_on(prepare(&options, embedded, chat))?;
    for line in &done {
        println!("{line}");
    }
    println!("{} is up to date", options.target());
    Ok(())
}

/// Nothing but the types goes to standard output.
pub(super) fn types(config: Config, schema: &str) -> anyhow::Result<()> {
    logging::start(config.log_format, config.log_level, true);
    let options = config.database.context("no database is configured")?;
    let types = runtime()?.block_on(async {
        let client = connect(&options, "dovetail_types").await?;
        anyhow::Ok(dovetail::typescript::types(&client, schema).await?)
    })?;
    print!("{types}");
    Ok(())
}

pub(super) fn doctor(config: Config) -> Result<(), Failure> {
    logging::start(config.log_format, config.log_level, true);
    let keys = config.client_keys();
    let verify = |token: &str| {
        let now = chrono::Utc::now().timestamp();
        match keys.verify(token, now) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    };
    let options = config
        .database
        .as_ref()
        .context("no database is configured")?;
    let info = KeysInfo {
        anon_key: config.anon_key.as_ref().map(|key| key.expose()),
        service_key: config.service_key.as_ref().map(|key| key.expose()),
        jwt_secret: config.api_jwt_secret.as_ref().map(|key| key.expose()),
        verify: &verify,
    };
    let report = runtime()?.block_on(doctor::run(options, info));
    println!("{}\n", options.target());
    for warning in &config.warnings {
        println!("warning  settings: {warning}");
    }
    for finding in &report.findings {
        let word = match finding.severity {
            Severity::Error => "error  ",
            Severity::Warning => "warning",
            Severity::Info => "note   ",
        };
        println!("{word}  {}: {}", finding.check, finding.problem);
        for line in finding.fix.iter().flat_map(|fix| fix.lines()) {
            println!("           {line}");
        }
    }
    if report.findings.is_empty() {
        println!("nothing is wrong");
    }
    match runtime()?.block_on(explain_policies(options, &config.publication)) {
        Ok(explained) => {
            for policy in explained {
                let name = format!("{:?} on {}", policy.policy, policy.table);
                match policy.asked_because {
                    None => println!("policy   {name}: decided in the server"),
                    Some(reason) => {
                        println!("policy   {name}: asked of the database, because {reason}");
                    }
                }
            }
        }
        Err(error) => println!("policies could not be read: {error}"),
    }
    match report.has_errors() {
        true => Err(Failure::Reported),
        false => Ok(()),
    }
}
