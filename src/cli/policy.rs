//! `doctor --as`: what somebody may do on a private topic, and which policies decide it.

use std::sync::Arc;

use anyhow::Context;
use dovetail::access::{Access, Failure as Denial, Rights, Settings, Subject};
use dovetail::auth::Claims;
use dovetail::config::Config;
use dovetail::doctor::policy::{Question, examine};
use serde_json::{Map, Value};

use super::{Failure, logging, runtime};

/// Whose rights are looked at; nobody's when nothing is given.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Claims of a token, as JSON: {"role": "authenticated", "sub": "..."}
    #[arg(long = "as", value_name = "CLAIMS", requires = "topic")]
    claims: Option<String>,
    /// Topic of a private channel, as in supabase.channel('...')
    #[arg(long, requires = "claims")]
    topic: Option<String>,
    /// Headers that policies see, as JSON: {"x-team": "7"}
    #[arg(long, value_name = "JSON", requires = "claims")]
    headers: Option<String>,
}

impl Args {
    /// What is asked, if anything.
    pub(super) fn question(&self) -> Result<Option<Subject>, Failure> {
        let (Some(claims), Some(topic)) = (&self.claims, &self.topic) else {
            return Ok(None);
        };
        let mut claims = object("--as", claims)?;
        // A token always has one; whoever tests a policy need not invent it.
        claims
            .entry("exp")
            .or_insert_with(|| (chrono::Utc::now().timestamp() + 3600).into());
        let claims = Claims::from_json(&Value::Object(claims).to_string())
            .map_err(|error| Failure::Usage(format!("--as: {error}")))?;
        let headers = match &self.headers {
            Some(headers) => Value::Object(object("--headers", headers)?).to_string(),
            None => "{}".to_owned(),
        };
        Ok(Some(Subject {
            topic: topic.strip_prefix("realtime:").unwrap_or(topic).into(),
            claims: Arc::new(claims),
            headers: headers.into(),
        }))
    }
}

fn object(flag: &str, text: &str) -> Result<Map<String, Value>, Failure> {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Failure::Usage(format!("{flag} must be a JSON object"))),
        Err(error) => Err(Failure::Usage(format!("{flag} is not JSON: {error}"))),
    }
}

pub(super) fn run(config: Config, subject: &Subject) -> Result<(), Failure> {
    logging::start(config.log_format, config.log_level, true);
    let options = config.database.context("no database is configured")?;
    println!("{}\n", options.target());
    println!(
        "role {} on topic {}\n",
        subject.claims.role,
        Value::from(&*subject.topic)
    );
    runtime()?.block_on(async {
        let access = Access::start(options.clone(), Settings::default());
        let read = access.read(subject, true).await;
        let write = access.write(subject).await;
        println!("         broadcast  presence");
        let mut evaluated = line("read", &read);
        evaluated &= line("write", &write);
        println!();
        let question = Question {
            claims: &subject.claims,
            topic: &subject.topic,
            headers: &subject.headers,
        };
        let examined = examine(&options, question).await;
        match examined {
            Ok(examined) => print!("{examined}"),
            Err(reason) => return Err(anyhow::anyhow!(reason).into()),
        }
        match evaluated {
            true => Ok(()),
            false => Err(Failure::Reported),
        }
    })
}

/// Prints the rights of one kind; whether they are known.
fn line(kind: &str, rights: &Result<Rights, Denial>) -> bool {
    let word = |right| if right { "yes" } else { "no" };
    match rights {
        Ok(rights) => println!(
            "{kind:<8} {:<10} {}",
            word(rights.broadcast),
            word(rights.presence)
        ),
        Err(failure) if failure.denies() => println!("{kind:<8} no         no        ({failure})"),
        Err(failure) => println!("{kind:<8} unknown    unknown   ({failure})"),
    }
    !matches!(rights, Err(failure) if !failure.denies())
}
