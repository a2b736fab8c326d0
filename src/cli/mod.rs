//! The command line: which command, with which settings, and how it ends.
//!
//! Everything a command prints for its user goes to standard output; complaints go to standard error.
//! Exit status: 0 done, 1 it did not work, 2 the command line or the settings are wrong.

mod database;
mod dev;
mod logging;
mod open_files;
mod policy;
mod serve;
mod settings;
mod stop;
mod token;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use dovetail::config::{Config, Problems, Purpose, env_example};

use settings::Flags;

/// A drop-in replacement for the Supabase Realtime server.
///
/// Without a command: `serve` when a database is configured, else `dev`.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a database that is configured by DATABASE_URL or DB_*
    #[command(alias = "start")]
    Serve,
    /// Try it out: starts a Postgres of its own, makes keys, and listens on this machine only
    Dev(dev::Args),
    /// Bring the database up to date and exit
    Migrate(database::MigrateArgs),
    /// Print a token signed with API_JWT_SECRET, or with the secret of `dovetail dev`
    Token(token::Args),
    /// Look for what keeps changes, broadcasts or logins from working, and say what to run; with --as and --topic,
    /// say what these claims may do on that topic and which policies decide it
    Doctor(policy::Args),
    /// What the Supabase CLI runs once in the original's image, with an expression of the original's language: the
    /// database is brought up to date, whatever the expression says (G-252)
    #[command(hide = true)]
    Eval {
        #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
        expression: Vec<String>,
    },
    /// Print the types of a schema for TypeScript, as `createClient<Database>()` of supabase-js takes them
    Types {
        /// The schema
        #[arg(long, default_value = "public")]
        schema: String,
    },
    /// Print every setting with its default, as a file of environment variables
    Settings,
}

/// Why a command ended without success.
enum Failure {
    /// The command line or the settings are wrong; the text says all of it.
    Usage(String),
    /// Something did not work.
    Error(anyhow::Error),
    /// The problem is already printed.
    Reported,
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Usage(problems.to_string())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Error(error)
    }
}

/// Parses the command line, runs the command, and says how it ended.
pub(crate) fn run() -> ExitCode {
    match dispatch(Cli::parse_from(arguments())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => {
            eprintln!("{text}");
            ExitCode::from(2)
        }
        Err(Failure::Error(error)) => {
            eprintln!("error: {}", in_words(&error));
            ExitCode::FAILURE
        }
        Err(Failure::Reported) => ExitCode::FAILURE,
    }
}

/// The command line. Who runs the image gives the path of the original's program as the first argument of the entry
/// point, which is this program already.
fn arguments() -> impl Iterator<Item = OsString> {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_else(|| "dovetail".into());
    let mut rest = arguments.peekable();
    rest.next_if(|first| first == "/app/bin/realtime" || first == "/app/bin/server");
    std::iter::once(program).chain(rest)
}

/// The error and its causes, without what was already said: many errors repeat their cause.
fn in_words(error: &anyhow::Error) -> String {
    let mut words = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !words.contains(&cause) {
            words.push_str(": ");
            words.push_str(&cause);
        }
    }
    words
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    let flags = cli.flags;
    let command = match cli.command {
        Some(command) => command,
        // The image's entry point runs without arguments and without a database it must say so,
        // not start one that is lost with the container.
        None if flags.names_a_database() || dev::in_image() => Command::Serve,
        None => Command::Dev(dev::Args::default()),
    };
    match command {
        Command::Serve => serve::run(config(&flags, Purpose::Serve)?)?,
        Command::Dev(args) => dev::run(&flags, &args)?,
        Command::Doctor(args) => {
            let config = config(&flags, Purpose::Database)?;
            return match args.question()? {
                Some(question) => policy::run(config, &question),
                None => database::doctor(config),
            };
        }
        Command::Migrate(args) => database::migrate(config(&flags, Purpose::Database)?, &args)?,
        Command::Eval { .. } => {
            let args = database::MigrateArgs::default();
            database::migrate(config(&flags, Purpose::Database)?, &args)?;
        }
        Command::Token(args) => return token::run(&args, &flags),
        Command::Types { schema } => {
            database::types(config(&flags, Purpose::Database)?, &schema)?;
        }
        Command::Settings => print!("{}", env_example()),
    }
    Ok(())
}

fn config(flags: &Flags, purpose: Purpose) -> Result<Config, Problems> {
    let now = chrono::Utc::now().timestamp();
    Config::read(&|name| flags.lookup(name), purpose, now)
}

/// The runtime of a command. Worker threads: one per core, or `TOKIO_WORKER_THREADS`.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("could not start the threads of the server")
}
