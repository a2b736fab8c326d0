//! What the login role may do, and the roles it takes on behalf of clients.

use tokio_postgres::Client;

use super::report::{Finding, Found, Severity};

pub(super) async fn check(client: &Client) -> Found {
    let mut found = Vec::new();
    let me = client
        .query_one(
            "select quote_ident(current_user), rolsuper,
                    rolreplication or exists (select from pg_roles r where r.rolname = 'rds_replication' and pg_has_role(r.oid, 'member'))
             from pg_roles where rolname = current_user",
            &[],
        )
        .await?;
    let (login, superuser, replication): (String, bool, bool) = (me.get(0), me.get(1), me.get(2));
    if !superuser && !replication {
        found.push(Finding::new(
            Severity::Error,
            "replication",
            format!(
                "the login {login} has no REPLICATION attribute, so that it cannot stream changes"
            ),
            format!("alter role {login} replication"),
        ));
    }
    // Since 16 membership and the right to become somebody are two things.
    let become_it = if client
        .query_one(
            "select current_setting('server_version_num')::int >= 160000",
            &[],
        )
        .await?
        .get(0)
    {
        "set"
    } else {
        "member"
    };
    let roles = client
        .query(
            &format!(
                "select w.name, r.oid is not null, coalesce(pg_has_role(r.oid, '{become_it}'), false), coalesce(r.rolbypassrls or r.rolsuper, false)
                 from (values ('anon'), ('authenticated'), ('service_role')) w (name)
                 left join pg_roles r on r.rolname = w.name"
            ),
            &[],
        )
        .await?;
    for row in &roles {
        let (role, exists, settable, bypass): (String, bool, bool, bool) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        if !exists {
            found.push(Finding::new(
                Severity::Error,
                "roles",
                format!("role {role} does not exist: clients with that role get nothing"),
                "dovetail migrate".to_owned(),
            ));
            continue;
        }
        if !settable {
            found.push(Finding::new(
                Severity::Error,
                "roles",
                format!("the login {login} cannot become {role}, so that no policy can be checked for it"),
                format!("grant {role} to {login}"),
            ));
        }
        if role == "service_role" && !bypass {
            found.push(Finding::new(
                Severity::Warning,
                "roles",
                "service_role does not bypass row level security: trusted clients see only what policies give them",
                "alter role service_role bypassrls".to_owned(),
            ));
        }
        if role != "service_role" && bypass {
            found.push(Finding::new(
                Severity::Error,
                "roles",
                format!("{role} bypasses row level security: every client sees every row"),
                format!("alter role {role} nosuperuser nobypassrls"),
            ));
        }
    }
    Ok(found)
}
