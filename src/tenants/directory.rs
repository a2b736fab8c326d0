//! From the host of a request to its tenant (protocol.md §1.3).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::many::Many;
use crate::tenant::Tenant;

/// See the module.
pub struct Directory {
    source: Source,
}

enum Source {
    /// The tenant of the environment; `by_host`: only under its own name.
    One { tenant: Arc<Tenant>, by_host: bool },
    /// Those of the metadata.
    Many(Arc<Many>),
}

/// No tenant answers to this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTenant {
    /// There is none of that name.
    Unknown,
    /// There may be one, but its row cannot be read now.
    Unavailable,
}

impl Directory {
    /// One tenant, whatever the host, or `by_host` only under its own name.
    pub fn single(tenant: Arc<Tenant>, by_host: bool) -> Self {
        Self {
            source: Source::One { tenant, by_host },
        }
    }

    /// The tenants of the metadata, each under its own name.
    pub fn many(many: Arc<Many>) -> Self {
        Self {
            source: Source::Many(many),
        }
    }

    /// The tenants of the metadata, to manage them; none when there is one of the environment.
    pub fn managed(&self) -> Option<&Arc<Many>> {
        match &self.source {
            Source::One { .. } => None,
            Source::Many(many) => Some(many),
        }
    }

    /// The tenant of the environment; none when they are those of the metadata.
    pub fn only(&self) -> Option<&Arc<Tenant>> {
        match &self.source {
            Source::One { tenant, .. } => Some(tenant),
            Source::Many(_) => None,
        }
    }

    /// The tenant of a request; `host` is the value of its `Host` header.
    ///
    /// # Errors
    /// [`NoTenant`].
    pub async fn resolve(&self, host: Option<&str>) -> Result<Arc<Tenant>, NoTenant> {
        match &self.source {
            Source::One {
                tenant,
                by_host: false,
            } => Ok(Arc::clone(tenant)),
            Source::One { tenant, .. } => match host.and_then(label) {
                Some(name) if *name == *tenant.external_id => Ok(Arc::clone(tenant)),
                _ => Err(NoTenant::Unknown),
            },
            Source::Many(many) => match host.and_then(label) {
                Some(name) => many.resolve(&name).await,
                None => Err(NoTenant::Unknown),
            },
        }
    }

    /// The tenant of this external id.
    ///
    /// # Errors
    /// [`NoTenant`].
    pub async fn find(&self, external_id: &str) -> Result<Arc<Tenant>, NoTenant> {
        match &self.source {
            Source::One { tenant, .. } if external_id == &*tenant.external_id => {
                Ok(Arc::clone(tenant))
            }
            Source::One { .. } => Err(NoTenant::Unknown),
            Source::Many(many) => many.find(external_id).await,
        }
    }

    /// The tenants that are being served.
    pub fn served(&self) -> Vec<Arc<Tenant>> {
        match &self.source {
            Source::One { tenant, .. } => vec![Arc::clone(tenant)],
            Source::Many(many) => many.served(),
        }
    }

    /// Whether everything can be served: the one tenant's stream is live, or the metadata have been prepared. Of many
    /// tenants, one whose database is away does not make the server unready for the others.
    pub fn is_ready(&self) -> bool {
        match &self.source {
            Source::One { tenant, .. } => tenant.opened().is_none_or(|backend| backend.live()),
            Source::Many(many) => many.ready.load(Ordering::Relaxed),
        }
    }
}

/// The host up to its first dot, without port, in lower case. None when no host can begin like this, so that forged
/// ones are never looked up.
fn label(host: &str) -> Option<String> {
    if host.len() > 255 {
        return None;
    }
    let host = match host.parse::<std::net::SocketAddr>() {
        Ok(address) => address.ip().to_string(),
        Err(_) => host.split(':').next().unwrap_or(host).to_owned(),
    };
    let label = host.split('.').next()?.to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (!label.is_empty() && label.bytes().all(plain)).then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenant_is_the_first_label_of_the_host() {
        for (host, expected) in [
            ("realtime-dev.supabase-realtime:4000", Some("realtime-dev")),
            ("ABC.supabase.co", Some("abc")),
            ("localhost", Some("localhost")),
            ("127.0.0.1:4000", Some("127")),
            ("my_tenant.example", Some("my_tenant")),
            ("", None),
            (".example", None),
            (":4000", None),
            ("a'; drop table tenants; --.example", None),
            ("a/b.example", None),
            ("a%00.example", None),
            ("tenänt.example", None),
            ("[::1]:4000", None),
        ] {
            assert_eq!(label(host).as_deref(), expected, "{host}");
        }
        assert_eq!(label(&"a".repeat(256)), None);
    }
}
