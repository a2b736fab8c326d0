//! From the host of a request to its tenant (protocol.md §1.3).

use std::sync::Arc;

use crate::tenant::Tenant;

/// See the module.
pub struct Directory {
    tenant: Arc<Tenant>,
    by_host: bool,
}

/// No tenant answers to this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTenant {
    /// There is none of that name.
    Unknown,
}

impl Directory {
    /// One tenant, whatever the host, or `by_host` only under its own name.
    pub fn single(tenant: Arc<Tenant>, by_host: bool) -> Self {
        Self { tenant, by_host }
    }

    /// The tenant of a request; `host` is the value of its `Host` header.
    ///
    /// # Errors
    /// [`NoTenant`].
    pub async fn resolve(&self, host: Option<&str>) -> Result<Arc<Tenant>, NoTenant> {
        if !self.by_host || host.and_then(label).as_deref() == Some(&*self.tenant.external_id) {
            Ok(Arc::clone(&self.tenant))
        } else {
            Err(NoTenant::Unknown)
        }
    }

    /// The tenant of this external id.
    ///
    /// # Errors
    /// [`NoTenant`].
    pub async fn find(&self, external_id: &str) -> Result<Arc<Tenant>, NoTenant> {
        if external_id == &*self.tenant.external_id {
            Ok(Arc::clone(&self.tenant))
        } else {
            Err(NoTenant::Unknown)
        }
    }

    /// The tenants that are being served.
    pub fn served(&self) -> Vec<Arc<Tenant>> {
        vec![Arc::clone(&self.tenant)]
    }
}

/// The host up to its first dot, without port, in lower case.
fn label(host: &str) -> Option<String> {
    let host = match host.parse::<std::net::SocketAddr>() {
        Ok(address) => address.ip().to_string(),
        Err(_) => host.split(':').next().unwrap_or(host).to_owned(),
    };
    host.split('.').next().map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenant_is_the_first_label_of_the_host() {
        for (host, expected) in [
            ("realtime-dev.supabase-realtime:4000", "realtime-dev"),
            ("ABC.supabase.co", "abc"),
            ("localhost", "localhost"),
            ("127.0.0.1:4000", "127"),
        ] {
            assert_eq!(label(host).as_deref(), Some(expected), "{host}");
        }
    }
}
