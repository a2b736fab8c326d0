//! The flags of all settings, made from the table, and where a value comes from.

use std::collections::HashMap;

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgMatches, Command, FromArgMatches};
use dovetail::config::{Group, NotUnicode, SETTINGS, Setting, Shape, environment};

/// The settings given as flags. A flag wins over the variable of the same name.
#[derive(Default)]
pub(super) struct Flags {
    given: HashMap<&'static str, String>,
}

impl Flags {
    /// The raw value of a setting.
    pub(super) fn lookup(&self, name: &str) -> Result<Option<String>, NotUnicode> {
        match self.given.get(name) {
            Some(value) => Ok(Some(value.clone())),
            None => environment(name),
        }
    }

    /// The value of a setting that is not part of the configuration, or the table's default.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let given = self.lookup(name).ok().flatten();
        let default = || {
            let setting = SETTINGS.iter().find(|setting| setting.name == name)?;
            Some(setting.default.to_owned())
        };
        given
            .filter(|value| !value.is_empty())
            .or_else(default)
            .filter(|value| !value.is_empty())
    }

    /// Whether a setting is given, by flag or variable, and not empty.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.lookup(name)
            .map_or(true, |value| value.is_some_and(|value| !value.is_empty()))
    }

    /// Names of the settings that say there is a database: `DATABASE_URL` or any `DB_*`, also those
    /// of the original that mean nothing here.
    pub(super) fn database_settings(&self) -> Vec<String> {
        let is_one = |name: &str| name == "DATABASE_URL" || name.starts_with("DB_");
        let variables = std::env::vars_os()
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(name, _)| name.into_string().ok());
        let flags = self.given.keys().map(|name| (*name).to_owned());
        let mut names: Vec<String> = variables.chain(flags).filter(|name| is_one(name)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether there is any of those.
    pub(super) fn names_a_database(&self) -> bool {
        !self.database_settings().is_empty()
    }
}

fn arg(setting: &'static Setting) -> Arg {
    let note = match setting.default {
        "" => format!("[env: {}]", setting.name),
        default => format!("[env: {}] [default: {default}]", setting.name),
    };
    let arg = Arg::new(setting.name)
        .long(setting.flag())
        .value_name(setting.shape.placeholder())
        .help(format!("{} {note}", setting.help))
        .help_heading(setting.group.title())
        .global(true)
        .hide_short_help(setting.group != Group::Development);
    match setting.shape {
        // `--slot-durable` alone means true; the equals sign keeps it from eating the next word.
        Shape::Bool => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        _ => arg.value_parser(NonEmptyStringValueParser::new()),
    }
}

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        SETTINGS
            .iter()
            .fold(command, |command, setting| command.arg(arg(setting)))
            .after_help("Every setting is a flag and an environment variable; --help lists them all.")
            .after_long_help(
                "Every setting is a flag and an environment variable. Flags win. Wrong settings are \
                 all listed at once.",
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in SETTINGS {
            if let Some(value) = matches.get_one::<String>(setting.name) {
                self.given.insert(setting.name, value.clone());
            }
        }
        Ok(())
    }
}
