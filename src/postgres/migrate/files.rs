//! The SQL files, in order. A file that has been released is never changed in a way that matters to a database that has
//! it already; a new file is added instead.

/// One file.
pub(super) struct File {
    /// Its number; unique within the set.
    pub(super) version: i32,
    /// Its name below `sql/`.
    pub(super) name: &'static str,
    /// Its text.
    pub(super) sql: &'static str,
    /// When it is to be run.
    pub(super) guard: Guard,
    /// A condition in SQL that is true as long as its effect is there. If somebody has dropped it, the file runs again.
    /// Reads the catalog only: name look-ups such as `to_regclass` fail without USAGE on the schema.
    pub(super) holds: &'static str,
}

/// When a file is to be run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    Always,
    /// Only where schema `realtime` is not yet in the state of the newest original server we know.
    Behind,
}

/// What must be there for schema `realtime` to count as built.
pub(super) const SCHEMA_IS_WHOLE: &str = "
    (select count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'realtime'
       and ((c.relname = 'messages' and c.relkind = 'p') or (c.relname = 'subscription' and c.relkind = 'r'))) = 2
    and (select count(distinct p.proname) from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
         where n.nspname = 'realtime' and p.proname in ('send', 'send_binary', 'broadcast_changes', 'topic')) = 4";

const NOTHING_TO_CHECK: &str = "true";

macro_rules! file {
    ($version:literal, $name:literal, $guard:ident, $holds:expr) => {
        File {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../../../sql/", $name)),
            guard: Guard::$guard,
            holds: $holds,
        }
    };
}

pub(super) const SUPABASE: &[File] = &[
    file!(
        1,
        "supabase/001_roles.sql",
        Always,
        "(select count(*) from pg_catalog.pg_roles
          where rolname in ('anon', 'authenticated', 'service_role', 'supabase_realtime_admin')) = 4"
    ),
    file!(
        2,
        "supabase/002_auth.sql",
        Always,
        "(select count(*) from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
          where n.nspname = 'auth' and p.pronargs = 0 and p.proname in ('uid', 'role', 'jwt', 'email')) = 4"
    ),
    file!(3, "supabase/003_public.sql", Always, NOTHING_TO_CHECK),
    file!(
        4,
        "supabase/004_publication.sql",
        Always,
        "exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime')"
    ),
];

pub(super) const EMBEDDED: &[File] = &[
    file!(
        1,
        "embedded/001_auth.sql",
        Always,
        "exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                 where n.nspname = 'auth' and c.relname = 'users')"
    ),
    file!(
        2,
        "embedded/002_storage.sql",
        Always,
        "exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                 where n.nspname = 'storage' and c.relname = 'objects' and c.relkind in ('r', 'p'))"
    ),
];

/// Somebody who drops a part of it drops all of it, and a database of an earlier state lacks what came last, a trigger:
/// every file can run again.
const CHAT_IS_WHOLE: &str = "
    (select count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'public' and c.relkind in ('r', 'p')
       and c.relname in ('conversations', 'conversation_participants', 'messages', 'profiles', 'chat_settings')) = 5
    and exists (select from pg_catalog.pg_trigger where tgname = 'broadcast_guest_presence')
    and exists (select from pg_catalog.pg_roles where rolname = 'chat_guest')";

/// Storage may come after the messaging system.
const ATTACHMENTS_HOLD: &str = "
    exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where n.nspname = 'chat' and c.relname = 'thumbnail_jobs')
    and ((select count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where n.nspname = 'storage' and c.relname in ('buckets', 'objects')) < 2
         or exists (select from pg_catalog.pg_policy p join pg_catalog.pg_class c on c.oid = p.polrelid
                    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                    where n.nspname = 'storage' and c.relname = 'objects'
                      and p.polname = 'chat: attachments of one''s conversations'))";

pub(super) const CHAT: &[File] = &[
    file!(1, "chat/001_ground.sql", Always, CHAT_IS_WHOLE),
    file!(2, "chat/002_settings.sql", Always, CHAT_IS_WHOLE),
    file!(3, "chat/003_tables.sql", Always, CHAT_IS_WHOLE),
    file!(4, "chat/004_more_tables.sql", Always, CHAT_IS_WHOLE),
    file!(5, "chat/005_who.sql", Always, CHAT_IS_WHOLE),
    file!(6, "chat/006_policies.sql", Always, CHAT_IS_WHOLE),
    file!(7, "chat/007_message_rules.sql", Always, CHAT_IS_WHOLE),
    file!(8, "chat/008_broadcasts.sql", Always, CHAT_IS_WHOLE),
    file!(9, "chat/009_reading.sql", Always, CHAT_IS_WHOLE),
    file!(10, "chat/010_writing.sql", Always, CHAT_IS_WHOLE),
    file!(11, "chat/011_membership.sql", Always, CHAT_IS_WHOLE),
    file!(12, "chat/012_choices.sql", Always, CHAT_IS_WHOLE),
    file!(13, "chat/013_search.sql", Always, CHAT_IS_WHOLE),
    file!(14, "chat/014_guests.sql", Always, CHAT_IS_WHOLE),
    file!(15, "chat/015_notifications.sql", Always, CHAT_IS_WHOLE),
    file!(16, "chat/016_attachments.sql", Always, ATTACHMENTS_HOLD),
    file!(17, "chat/017_presence.sql", Always, CHAT_IS_WHOLE),
    file!(18, "chat/018_rights.sql", Always, CHAT_IS_WHOLE),
    file!(19, "chat/019_profiles.sql", Always, CHAT_IS_WHOLE),
    file!(20, "chat/020_publication.sql", Always, CHAT_IS_WHOLE),
];

pub(super) const REALTIME: &[File] = &[
    file!(1, "realtime/001_schema.sql", Behind, SCHEMA_IS_WHOLE),
    file!(2, "realtime/002_types.sql", Behind, SCHEMA_IS_WHOLE),
    file!(3, "realtime/003_messages.sql", Behind, SCHEMA_IS_WHOLE),
    file!(4, "realtime/004_functions.sql", Behind, SCHEMA_IS_WHOLE),
    file!(5, "realtime/005_subscription.sql", Behind, SCHEMA_IS_WHOLE),
    file!(6, "realtime/006_changes.sql", Behind, SCHEMA_IS_WHOLE),
    file!(7, "realtime/007_function_rights.sql", Behind, SCHEMA_IS_WHOLE),
    file!(
        8,
        "realtime/008_publication.sql",
        Always,
        "exists (select from pg_catalog.pg_publication
                 where pubname = 'supabase_realtime_messages_publication' and puballtables)
         or exists (select from pg_catalog.pg_publication_rel r
                    join pg_catalog.pg_publication p on p.oid = r.prpubid
                    join pg_catalog.pg_class c on c.oid = r.prrelid
                    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                    where p.pubname = 'supabase_realtime_messages_publication'
                      and n.nspname = 'realtime' and c.relname = 'messages')"
    ),
    file!(9, "realtime/009_versions.sql", Behind, SCHEMA_IS_WHOLE),
    file!(
        10,
        "realtime/010_signals.sql",
        Always,
        "(select count(*) from pg_catalog.pg_event_trigger where evtname in ('dovetail_ddl', 'dovetail_drop')) = 2
         or not (select rolsuper from pg_catalog.pg_roles where rolname = current_user)"
    ),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn every_file_below_sql_is_listed_once_under_its_own_number() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
        for (folder, files) in [
            ("supabase", SUPABASE),
            ("realtime", REALTIME),
            ("embedded", EMBEDDED),
            ("chat", CHAT),
        ] {
            let mut there: Vec<String> = std::fs::read_dir(root.join(folder))
                .unwrap()
                .map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap()))
                .collect();
            there.sort();
            let listed: Vec<&str> = files.iter().map(|file| file.name).collect();
            assert_eq!(listed, there);
            for file in files {
                let number = &file.name[folder.len() + 1..folder.len() + 4];
                assert_eq!(
                    number.parse::<i32>().unwrap(),
                    file.version,
                    "{}",
                    file.name
                );
            }
        }
    }
}
