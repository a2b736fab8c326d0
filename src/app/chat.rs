//! From the settings to the messaging system.

use crate::chat::Workers;
use crate::config::Config;
use crate::tenants::Directory;

/// Its workers; none when it is not wanted, or many databases are.
pub(super) fn workers(config: &Config, directory: &Directory) -> Option<Workers> {
    let tenant = directory.only()?;
    if !config.chat.enabled.unwrap_or(false) {
        return None;
    }
    let database = config.database.as_ref()?;
    Some(Workers::start(&config.chat, database, &tenant.presence))
}
