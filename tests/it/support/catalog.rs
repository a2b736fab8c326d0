//! Everything a database holds besides users' rows, as text to compare: objects with owners, grants, definitions.

use std::collections::BTreeMap;

use tokio_postgres::Client;

/// Name of an object to its definition. Object ids are a part, so that a drop and create shows.
pub type Catalog = BTreeMap<String, String>;

/// One row an object: name, definition.
const OBJECTS: &str = "
with ours as (select oid, nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema')
select 'schema ' || n.nspname, format('%s owner %s acl %s', n.oid, n.nspowner::regrole, n.nspacl)
  from pg_namespace n join ours using (oid)
union all
select 'relation ' || c.oid::regclass,
       format('%s kind %s owner %s acl %s rls %s/%s persistence %s replident %s options %s bound %s sequence %s',
              c.oid, c.relkind, c.relowner::regrole, c.relacl, c.relrowsecurity, c.relforcerowsecurity,
              c.relpersistence, c.relreplident, c.reloptions, pg_get_expr(c.relpartbound, c.oid),
              (select (s.start_value, s.increment_by, s.max_value) from pg_sequences s
               where s.schemaname = n.nspname and s.sequencename = c.relname))
  from pg_class c join ours n on n.oid = c.relnamespace
union all
select format('column %s.%I', a.attrelid::regclass, a.attname),
       format('%s %s notnull %s default %s identity %s generated %s acl %s', a.attnum,
              format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
              a.attidentity, a.attgenerated, a.attacl)
  from pg_attribute a join pg_class c on c.oid = a.attrelid join ours n on n.oid = c.relnamespace
  left join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
  where a.attnum > 0 and not a.attisdropped
union all
select format('constraint %s on %s', conname, case when conrelid <> 0 then conrelid::regclass::text end),
       format('%s %s %s', k.oid, convalidated, pg_get_constraintdef(k.oid))
  from pg_constraint k join ours n on n.oid = k.connamespace
union all
select 'index ' || i.indexrelid::regclass, i.indexrelid || ' ' || pg_get_indexdef(i.indexrelid)
  from pg_index i join pg_class c on c.oid = i.indexrelid join ours n on n.oid = c.relnamespace
union all
select format('trigger %s on %s', t.tgname, t.tgrelid::regclass), t.tgenabled::text || ' ' || pg_get_triggerdef(t.oid)
  from pg_trigger t where not t.tgisinternal
union all
select 'function ' || p.oid::regprocedure,
       format('%s owner %s acl %s %s %s body %s', p.oid, p.proowner::regrole, p.proacl, p.provolatile, p.proconfig,
              md5(pg_get_functiondef(p.oid)))
  from pg_proc p join ours n on n.oid = p.pronamespace where p.prokind in ('f', 'p')
union all
select 'type ' || t.oid::regtype,
       format('%s owner %s acl %s labels %s', t.oid, t.typowner::regrole, t.typacl,
              (select string_agg(enumlabel, ',' order by enumsortorder) from pg_enum where enumtypid = t.oid))
  from pg_type t join ours n on n.oid = t.typnamespace where t.typtype in ('e', 'c', 'd')
union all
select format('policy %I on %s', p.polname, p.polrelid::regclass),
       format('%s %s %s %s using %s check %s', p.oid, p.polpermissive, p.polcmd, p.polroles::regrole[],
              pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
  from pg_policy p
union all
select 'publication ' || p.pubname, p::text || (select coalesce(string_agg(format('%s %s %s', r.prrelid::regclass,
         pg_get_expr(r.prqual, r.prrelid), r.prattrs), ', ' order by r.prrelid), '')
         from pg_publication_rel r where r.prpubid = p.oid)
  from pg_publication p
union all
select 'role ' || rolname, format('%s %s %s %s %s %s %s %s config %s member of %s', oid, rolsuper, rolinherit,
         rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconfig,
         (select string_agg(roleid::regrole::text, ',' order by roleid) from pg_auth_members where member = r.oid))
  from pg_roles r where rolname !~ '^pg_'
union all
select 'event trigger ' || evtname, format('%s %s %s', evtevent, evtenabled, evtfoid::regprocedure) from pg_event_trigger
union all
select format('default acl %s %s %s', defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype), defaclacl::text
  from pg_default_acl
union all
select format('setting %s %s', setdatabase, setrole), setconfig::text from pg_db_role_setting
union all
select 'extension ' || extname, extversion from pg_extension
union all
select 'slot ' || slot_name, format('%s %s temporary %s', plugin, database, temporary) from pg_replication_slots";

/// Tables of the original whose rows are its state.
const STATE: [&str; 6] = [
    "realtime.schema_migrations",
    "realtime.subscription",
    "_realtime.schema_migrations",
    "_realtime.tenants",
    "_realtime.extensions",
    "_realtime.feature_flags",
];

/// What is there now.
pub async fn catalog(client: &Client) -> Catalog {
    // Names in full, whatever the session's path.
    client
        .batch_execute("set search_path = pg_catalog")
        .await
        .expect("a search path");
    let mut found = Catalog::new();
    let mut add = |name: String, text: String| {
        let before = found.insert(name.clone(), text);
        assert!(before.is_none(), "two objects named {name}");
    };
    for row in client.query(OBJECTS, &[]).await.expect("the catalog") {
        add(
            row.get(0),
            row.get::<_, Option<String>>(1).unwrap_or_default(),
        );
    }
    for table in STATE {
        let sql = format!("select t::text from {table} t order by 1");
        for row in client.query(&sql, &[]).await.expect("its rows") {
            add(
                format!("row of {table} {}", row.get::<_, &str>(0)),
                String::new(),
            );
        }
    }
    found
}

/// What is different: `+` new, `-` gone, `~` changed.
pub fn differences(before: &Catalog, after: &Catalog) -> Vec<String> {
    let mut list = Vec::new();
    for (name, text) in before {
        match after.get(name) {
            None => list.push(format!("- {name}")),
            Some(now) if now != text => list.push(format!("~ {name}: {text} -> {now}")),
            Some(_) => {}
        }
    }
    let new = after.keys().filter(|name| !before.contains_key(*name));
    list.extend(new.map(|name| format!("+ {name}")));
    list
}
