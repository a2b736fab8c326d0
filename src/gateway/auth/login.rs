//! `POST /token`: by grant.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::ask::Ask;
use super::error::Refusal;
use super::limit::Kind;
use super::session::Method;
use super::user::User;
use super::{Service, password, refresh};
use crate::gateway::database::Access;

#[derive(Deserialize)]
struct Params {
    email: Option<String>,
    phone: Option<String>,
    password: Option<String>,
}

/// `POST /token`.
pub(super) async fn token(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let mut ask = Ask::from(request);
    let grant = ask.query("grant_type").unwrap_or_default();
    ask.limited(&service, Kind::Token)?;
    match grant.as_str() {
        "password" => with_password(&service, &mut ask).await,
        "refresh_token" => refresh::refresh(&service, &mut ask).await,
        "id_token" => Err(Refusal::bad(
            "provider_disabled",
            "Tokens of other providers are not accepted",
        )
        .hint("This server knows email and password, and anonymous users")),
        "pkce" => Err(Refusal::not_found(
            "flow_state_not_found",
            "invalid flow state, no valid flow state found",
        )
        .hint("This server begins no flow that ends with a code")),
        "web3" => Err(Refusal::unprocessable(
            "web3_provider_disabled",
            "Web3 provider is disabled",
        )),
        _ => Err(Refusal::bad(
            "invalid_credentials",
            "unsupported_grant_type",
        )),
    }
}

/// One answer, in one time, for everybody who is not who they say.
async fn with_password(service: &Service, ask: &mut Ask) -> Result<Response, Refusal> {
    let params: Params = ask.json().await?;
    let address = params.email.unwrap_or_default();
    let has_phone = params.phone.is_some_and(|phone| !phone.is_empty());
    let secret = params.password.unwrap_or_default();
    match (address.is_empty(), has_phone) {
        (false, true) => {
            return Err(Refusal::invalid(
                "Only an email address or phone number should be provided on login.",
            ));
        }
        (true, true) => {
            return Err(Refusal::unprocessable(
                "phone_provider_disabled",
                "Phone logins are disabled",
            ));
        }
        (true, false) => return Err(Refusal::invalid("missing email or phone")),
        (false, false) => {}
    }
    service.can_sign()?;
    let address = address.to_ascii_lowercase();
    // A second time where the hash was replaced in between, by another sign-in of the same user.
    for _ in 0..2 {
        let user = service.user_by_email(ask, &address).await?;
        let user = proven(service, user, &secret).await?;
        let begun = service.begin_session(ask, None, &user, Method::Password);
        if let Some((now, session)) = begun.await? {
            let hash = user.password.filter(|hash| password::is_outdated(hash));
            if let Some(hash) = hash {
                renew(service, ask, user.id, &hash, secret.clone()).await?;
            }
            let weak = password::weakness(&secret, service.settings().password_min);
            let weak =
                weak.map(|(message, reasons)| json!({ "message": message, "reasons": reasons }));
            return service.signed_in(ask, &now, &session, weak);
        }
    }
    Err(nobody())
}

fn nobody() -> Refusal {
    Refusal::bad("invalid_credentials", "Invalid login credentials")
}

/// The user, if the password is right and nothing else is against it.
async fn proven(service: &Service, user: Option<User>, secret: &str) -> Result<User, Refusal> {
    let hash = user.as_ref().and_then(|user| user.password.clone());
    let is_right = service.hasher.verify(secret.to_owned(), hash).await?;
    let user = user.filter(|_| is_right).ok_or_else(nobody)?;
    // Only who has proven to be the user learns of a ban, or that the address is not confirmed.
    if user.is_banned {
        return Err(Refusal::bad("user_banned", "User is banned"));
    }
    if !user.is_confirmed {
        return Err(
            Refusal::bad("email_not_confirmed", "Email not confirmed").hint(
                "This server sends no mail: a server with the service_role key confirms addresses (admin.updateUserById \
                 with email_confirm)",
            ),
        );
    }
    Ok(user)
}

/// Replaces a hash of another kind, so that in time the answer to a wrong password takes equally long for everybody.
async fn renew(
    service: &Service,
    ask: &Ask,
    id: Uuid,
    hash: &str,
    secret: String,
) -> Result<(), Refusal> {
    let sql =
        "update auth.users set encrypted_password = $3 where id = $1 and encrypted_password = $2";
    let new = service.hasher.hash(secret).await?;
    service
        .once(ask, Access::Write, sql, &[&id, &hash, &new])
        .await?;
    Ok(())
}
