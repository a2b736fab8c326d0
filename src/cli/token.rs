//! `token`: mint a JWT.

use std::path::PathBuf;

use anyhow::Context;
use dovetail::auth::{ClaimValidators, Keys, mint};
use serde_json::{Map, Value};

use super::Failure;
use super::dev::keys;
use super::settings::Flags;

/// What the token says.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Database role of the bearer: anon, authenticated, service_role or one of yours
    #[arg(long, default_value = "authenticated")]
    role: String,
    /// Whom the token stands for, usually a user id; auth.uid() in policies
    #[arg(long)]
    sub: Option<String>,
    /// How long it is valid: 90s, 30m, 12h, 30d or 10y
    #[arg(long, default_value = "1h", value_parser = seconds)]
    expires_in: i64,
    /// Another claim; the value is JSON, or text if it is not. May be repeated
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Value)>,
}

pub(super) fn run(args: &Args, flags: &Flags) -> Result<(), Failure> {
    let now = chrono::Utc::now().timestamp();
    let secret = secret(flags)?;
    let token = mint(secret.as_bytes(), claims(args, now)?);
    // What the server would refuse must not leave this command as if it were good.
    Keys::new(Some(secret.as_bytes()), None, ClaimValidators::default())
        .verify(&token, now)
        .map_err(|error| Failure::Usage(format!("the token would be refused: {error}")))?;
    println!("{token}");
    Ok(())
}

fn secret(flags: &Flags) -> Result<String, Failure> {
    if flags.is_given("API_JWT_SECRET") {
        let given = flags.lookup("API_JWT_SECRET");
        let secret = given.ok().flatten();
        return secret.ok_or_else(|| Failure::Usage("API_JWT_SECRET is not valid UTF-8".into()));
    }
    let folder = PathBuf::from(flags.text("DOVETAIL_DATA").unwrap_or_default());
    match keys::load(&folder)? {
        Some(keys) => Ok(keys.jwt_secret),
        None => Err(Failure::Usage(format!(
            "there is no secret to sign with\n  fix: set API_JWT_SECRET, or run dovetail dev first \
             (it keeps its keys in {}, which --data changes)",
            folder.display()
        ))),
    }
}

fn claims(args: &Args, now: i64) -> Result<Map<String, Value>, Failure> {
    let mut claims = Map::new();
    for (name, value) in &args.claims {
        if ["role", "sub", "exp"].contains(&name.as_str()) {
            let flag = if name == "exp" { "expires-in" } else { name };
            let text = format!("--claim {name}=... is not possible, use --{flag}");
            return Err(Failure::Usage(text));
        }
        claims.insert(name.clone(), value.clone());
    }
    claims.insert("role".into(), args.role.clone().into());
    if let Some(sub) = &args.sub {
        claims.insert("sub".into(), sub.clone().into());
    }
    claims.entry("iat").or_insert_with(|| now.into());
    let exp = now
        .checked_add(args.expires_in)
        .context("--expires-in is too long")?;
    claims.insert("exp".into(), exp.into());
    Ok(claims)
}

/// `12h` as seconds. A bare number is seconds.
fn seconds(text: &str) -> Result<i64, String> {
    let (number, unit) = match text.find(|character: char| !character.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "y" => 365 * 86_400,
        _ => return Err("write a number and one of s, m, h, d, y, such as 12h".to_owned()),
    };
    number
        .parse::<i64>()
        .ok()
        .filter(|number| *number > 0)
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| "write a whole number above 0 before the unit, such as 12h".to_owned())
}

fn claim(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            let json = serde_json::from_str(value);
            Ok((name.to_owned(), json.unwrap_or_else(|_| value.into())))
        }
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, expected) in [
            ("90", 90),
            ("90s", 90),
            ("30m", 1800),
            ("12h", 43_200),
            ("2d", 172_800),
            ("10y", 315_360_000),
        ] {
            assert_eq!(seconds(text), Ok(expected));
        }
        for text in [
            "",
            "h",
            "0h",
            "-1h",
            "1w",
            "1.5h",
            "99999999999999999999y",
            "9223372036854775807y",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn claim_values_are_json_or_text() {
        for (text, value) in [
            ("a=1", serde_json::json!(1)),
            ("a=x", "x".into()),
            ("a=", "".into()),
            ("a={\"b\":[]}", serde_json::json!({"b": []})),
            ("a=b=c", "b=c".into()),
        ] {
            assert_eq!(claim(text), Ok(("a".to_owned(), value)));
        }
        assert!(claim("a").is_err());
        assert!(claim("=a").is_err());
    }
}
