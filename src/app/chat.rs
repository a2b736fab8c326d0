//! From the settings to the messaging system.

use crate::chat::Chat;
use crate::config::Config;
use crate::tenants::Directory;

/// Its workers; none when it is not wanted, or many databases are.
pub(super) fn start(config: &Config, directory: &Directory) -> Option<Chat> {
    let tenant = directory.only()?;
    if !config.chat.enabled.unwrap_or(false) {
        return None;
    }
    let database = config.database.as_ref()?;
    Some(Chat::start(&config.chat, database, &tenant.presence))
}
