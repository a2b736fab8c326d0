//! The schema of `postgres.md` 1.1 to 1.7 as a fresh database gets it.

use dovetail::postgres::{connect, partitions};

use crate::sql_fixture::{column, fresh, one};

#[tokio::test]
async fn g001_to_g003_schema_realtime_has_its_owner_and_grants() {
    let (_server, client) = fresh().await;
    let owner = "select nspowner::regrole from pg_namespace where nspname = 'realtime'";
    assert_eq!(one(&client, owner).await, "supabase_admin");
    let acl = "select a.grantee::regrole || ' ' || a.privilege_type || case when a.is_grantable then ' grantable' else '' end
               from pg_namespace, aclexplode(nspacl) a
               where nspname = 'realtime' and a.grantee <> nspowner order by 1";
    assert_eq!(
        column(&client, acl).await,
        [
            "anon USAGE",
            "authenticated USAGE",
            "postgres USAGE grantable",
            "service_role USAGE",
            "supabase_realtime_admin CREATE grantable",
            "supabase_realtime_admin USAGE grantable",
        ]
    );
    let defaults = "select d.defaclobjtype::text || ' ' || a.grantee::regrole
                    from pg_default_acl d, aclexplode(d.defaclacl) a
                    where d.defaclrole = 'supabase_admin'::regrole and d.defaclnamespace = 'realtime'::regnamespace
                      and a.grantee <> d.defaclrole
                    group by 1 order by 1";
    assert_eq!(
        column(&client, defaults).await,
        [
            "S dashboard_user",
            "S postgres",
            "f dashboard_user",
            "f postgres",
            "r dashboard_user",
            "r postgres"
        ]
    );
}

#[tokio::test]
async fn g004_to_g006_types_have_their_labels_and_fields_in_order() {
    let (_server, client) = fresh().await;
    let labels = |name: &str| {
        format!(
            "select string_agg(enumlabel, ' ' order by enumsortorder) from pg_enum where enumtypid = 'realtime.{name}'::regtype"
        )
    };
    assert_eq!(
        one(&client, &labels("action")).await,
        "INSERT UPDATE DELETE TRUNCATE ERROR"
    );
    assert_eq!(
        one(&client, &labels("equality_op")).await,
        "eq neq lt lte gt gte in like ilike is match imatch isdistinct"
    );
    let fields = |name: &str| {
        format!(
            "select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum)
             from pg_attribute where attrelid = 'realtime.{name}'::regclass and attnum > 0 and not attisdropped"
        )
    };
    assert_eq!(
        one(&client, &fields("user_defined_filter")).await,
        "column_name text, op realtime.equality_op, value text, negate boolean"
    );
    assert_eq!(
        one(&client, &fields("wal_column")).await,
        "name text, type_name text, type_oid oid, value jsonb, is_pkey boolean, is_selectable boolean"
    );
    assert_eq!(
        one(&client, &fields("wal_rls")).await,
        "wal jsonb, is_rls_enabled boolean, subscription_ids uuid[], errors text[]"
    );
    let strangers = "select typname from pg_type where typnamespace = 'realtime'::regnamespace
                     and typtype in ('e', 'c') and typrelid not in (select oid from pg_class where relkind in ('r', 'p', 'i'))
                     and typowner <> 'supabase_realtime_admin'::regrole";
    assert!(column(&client, strangers).await.is_empty());
}

const COLUMNS: &str = "
    select string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then '!' else '' end
                      || coalesce(' ' || pg_get_expr(d.adbin, d.adrelid), ''), ', ' order by a.attnum)
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attnum > 0 and not a.attisdropped and a.attrelid = ";

const GRANTS: &str = "
    select a.grantee::regrole || ' ' || string_agg(a.privilege_type, ' ' order by a.privilege_type)
    from pg_class c, aclexplode(c.relacl) a where a.grantee <> c.relowner and c.oid = ";

#[tokio::test]
async fn g008_to_g013_messages_has_its_columns_key_check_index_and_grants() {
    let (_server, client) = fresh().await;
    assert_eq!(
        one(&client, &format!("{COLUMNS} 'realtime.messages'::regclass")).await,
        "topic text!, extension text!, payload jsonb, event text, private boolean false, \
         updated_at timestamp without time zone! now(), inserted_at timestamp without time zone! now(), \
         id uuid! gen_random_uuid(), binary_payload bytea"
    );
    assert_eq!(
        one(
            &client,
            "select pg_get_partkeydef('realtime.messages'::regclass)"
        )
        .await,
        "RANGE (inserted_at)"
    );
    assert_eq!(
        column(
            &client,
            "select conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
                         where conrelid = 'realtime.messages'::regclass order by 1"
        )
        .await,
        [
            "messages_payload_exclusive CHECK (((payload IS NULL) OR (binary_payload IS NULL))) NOT VALID",
            "messages_pkey PRIMARY KEY (id, inserted_at)",
        ]
    );
    assert_eq!(
        one(
            &client,
            "select pg_get_indexdef('realtime.messages_inserted_at_topic_index'::regclass)"
        )
        .await,
        "CREATE INDEX messages_inserted_at_topic_index ON ONLY realtime.messages USING btree (inserted_at DESC, topic) \
         WHERE ((extension = 'broadcast'::text) AND (private IS TRUE))"
    );
    assert_eq!(
        one(
            &client,
            "select (relrowsecurity, relforcerowsecurity, relowner::regrole, relreplident,
                      (select count(*) from pg_policy where polrelid = c.oid))
                      from pg_class c where oid = 'realtime.messages'::regclass"
        )
        .await,
        "(t,f,supabase_realtime_admin,d,0)"
    );
    assert_eq!(
        column(
            &client,
            &format!("{GRANTS} 'realtime.messages'::regclass group by a.grantee order by 1")
        )
        .await,
        [
            "anon INSERT SELECT UPDATE",
            "authenticated INSERT SELECT UPDATE",
            "dashboard_user DELETE INSERT REFERENCES SELECT TRIGGER TRUNCATE UPDATE",
            "postgres DELETE INSERT REFERENCES SELECT TRIGGER TRUNCATE UPDATE",
            "service_role INSERT SELECT UPDATE",
        ]
    );
    let both = client
        .batch_execute("insert into realtime.messages (topic, extension, payload, binary_payload) values ('t', 'broadcast', '{}', 'x')")
        .await
        .unwrap_err();
    assert_eq!(
        both.as_db_error().unwrap().constraint(),
        Some("messages_payload_exclusive")
    );
}

#[tokio::test]
async fn g020_g021_subscription_has_its_columns_checks_indexes_trigger_and_grants() {
    let (_server, client) = fresh().await;
    assert_eq!(
        one(
            &client,
            &format!("{COLUMNS} 'realtime.subscription'::regclass")
        )
        .await,
        "id bigint!, subscription_id uuid!, entity regclass!, \
         filters realtime.user_defined_filter[]! '{}'::realtime.user_defined_filter[], claims jsonb!, \
         claims_role regrole! realtime.to_regrole((claims ->> 'role'::text)), \
         created_at timestamp without time zone! timezone('utc'::text, now()), action_filter text '*'::text, selected_columns text[]"
    );
    assert_eq!(
        column(&client, "select (attname, attidentity, attgenerated) from pg_attribute
                         where attrelid = 'realtime.subscription'::regclass and (attidentity <> '' or attgenerated <> '') order by attnum").await,
        ["(id,a,\"\")", "(claims_role,\"\",s)"]
    );
    assert_eq!(
        one(
            &client,
            "select pg_get_serial_sequence('realtime.subscription', 'id')"
        )
        .await,
        "realtime.subscription_id_seq"
    );
    assert_eq!(
        column(&client, "select indexdef from pg_indexes where schemaname = 'realtime' and tablename = 'subscription' order by indexname").await,
        [
            "CREATE INDEX ix_realtime_subscription_entity ON realtime.subscription USING btree (entity)",
            "CREATE UNIQUE INDEX pk_subscription ON realtime.subscription USING btree (id)",
            "CREATE UNIQUE INDEX subscription_subscription_id_entity_filters_action_filter_selec ON realtime.subscription \
             USING btree (subscription_id, entity, filters, action_filter, COALESCE(selected_columns, '{}'::text[]))",
        ]
    );
    assert_eq!(
        one(&client, "select pg_get_triggerdef(oid) from pg_trigger where tgrelid = 'realtime.subscription'::regclass").await,
        "CREATE TRIGGER tr_check_filters BEFORE INSERT OR UPDATE ON realtime.subscription FOR EACH ROW EXECUTE FUNCTION realtime.subscription_check_filters()"
    );
    assert_eq!(
        column(
            &client,
            &format!("{GRANTS} 'realtime.subscription'::regclass group by a.grantee order by 1")
        )
        .await,
        [
            "anon SELECT",
            "authenticated SELECT",
            "dashboard_user DELETE INSERT REFERENCES SELECT TRIGGER TRUNCATE UPDATE",
            "postgres DELETE INSERT REFERENCES SELECT TRIGGER TRUNCATE UPDATE",
            "service_role SELECT",
        ]
    );
    assert_eq!(
        column(
            &client,
            &format!(
                "{GRANTS} 'realtime.subscription_id_seq'::regclass group by a.grantee order by 1"
            )
        )
        .await,
        [
            "anon USAGE",
            "authenticated USAGE",
            "dashboard_user SELECT UPDATE USAGE",
            "postgres SELECT UPDATE USAGE",
            "service_role USAGE",
        ]
    );
    let bad = client
        .batch_execute("insert into realtime.subscription (subscription_id, entity, claims, action_filter)
                        values (gen_random_uuid(), 'realtime.messages', '{\"role\": \"anon\"}', 'TRUNCATE')")
        .await
        .unwrap_err();
    assert_eq!(
        bad.as_db_error().unwrap().constraint(),
        Some("subscription_action_filter_check")
    );
}

#[tokio::test]
async fn g022_g023_only_the_versions_of_the_original_are_recorded_all_of_them() {
    let (_server, client) = fresh().await;
    assert_eq!(
        one(
            &client,
            "select (count(*), min(version), max(version)) from realtime.schema_migrations"
        )
        .await,
        "(81,20211116024918,20260709120000)"
    );
    assert_eq!(
        one(&client, "select relowner::regrole from pg_class where oid = 'realtime.schema_migrations'::regclass").await,
        "supabase_admin"
    );
    assert_eq!(
        one(&client, "select count(*) from dovetail.migrations").await,
        "14"
    );
}

#[tokio::test]
async fn g024_functions_have_their_signatures_volatility_and_security() {
    let (_server, client) = fresh().await;
    let functions = "
        select p.proname || '(' || pg_get_function_arguments(p.oid) || ') ' || pg_get_function_result(p.oid) || ' ' || l.lanname
               || ' ' || p.provolatile::text || case when p.proisstrict then ' strict' else '' end
               || coalesce(' ' || p.proconfig::text, '') || case when p.prosecdef then ' definer' else '' end
               || case when p.proowner = 'supabase_realtime_admin'::regrole then '' else ' foreign' end
        from pg_proc p join pg_language l on l.oid = p.prolang
        where p.pronamespace = 'realtime'::regnamespace order by p.proname collate \"C\", p.pronargs";
    assert_eq!(
        column(&client, functions).await,
        [
            "apply_rls(wal jsonb, max_record_bytes integer DEFAULT (1024 * 1024)) SETOF realtime.wal_rls plpgsql v",
            "broadcast_changes(topic_name text, event_name text, operation text, table_name text, table_schema text, new record, old record, level text DEFAULT 'ROW'::text) void plpgsql v",
            "build_prepared_statement_sql(prepared_statement_name text, entity regclass, columns realtime.wal_column[]) text sql v",
            "cast(val text, type_ regtype) jsonb plpgsql i",
            "check_equality_op(op realtime.equality_op, type_ regtype, val_1 text, val_2 text) boolean plpgsql i",
            "check_equality_op(op realtime.equality_op, type_ regtype, val_1 text, val_2 text, negate boolean) boolean plpgsql s",
            "is_visible_through_filters(columns realtime.wal_column[], filters realtime.user_defined_filter[]) boolean sql s",
            "list_changes(publication name, slot_name name, max_changes integer, max_record_bytes integer) TABLE(wal jsonb, is_rls_enabled boolean, subscription_ids uuid[], errors text[], slot_changes_count bigint) sql v {log_min_messages=fatal}",
            "quote_wal2json(entity regclass) text sql i strict",
            "send(payload jsonb, event text, topic text, private boolean DEFAULT true) void plpgsql v",
            "send_binary(payload bytea, event text, topic text, private boolean DEFAULT true) void plpgsql v",
            "subscription_check_filters() trigger plpgsql v",
            "to_regrole(role_name text) regrole sql i",
            "topic() text sql s",
            "wal2json_escape_identifier(name text) text sql i strict",
        ]
    );
}

#[tokio::test]
async fn g025_functions_have_their_execute_grants() {
    let (_server, client) = fresh().await;
    let grants = "
        select g.grantees || ': ' || string_agg(p.proname || '/' || p.pronargs, ' ' order by p.proname collate \"C\", p.pronargs)
        from pg_proc p
        join lateral (select string_agg(case when a.grantee = 0 then 'public' else a.grantee::regrole::text end, ' '
                                        order by a.grantee = 0, a.grantee::regrole::text) as grantees
                      from aclexplode(p.proacl) a where a.grantee <> p.proowner) g on true
        where p.pronamespace = 'realtime'::regnamespace
        group by g.grantees order by 1";
    assert_eq!(
        column(&client, grants).await,
        [
            "anon authenticated dashboard_user postgres service_role public: apply_rls/2 build_prepared_statement_sql/3 cast/2 \
             check_equality_op/4 check_equality_op/5 is_visible_through_filters/2 quote_wal2json/1 subscription_check_filters/0 to_regrole/1",
            "dashboard_user postgres public: broadcast_changes/8 list_changes/4 send/4 send_binary/4 topic/0 wal2json_escape_identifier/1",
        ]
    );
}

#[tokio::test]
async fn g046_g047_publications_exist_with_their_content() {
    let (_server, client) = fresh().await;
    assert_eq!(
        column(&client, "select (p.pubname, p.puballtables, p.pubviaroot, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate,
                         (select array_agg(prrelid::regclass) from pg_publication_rel where prpubid = p.oid))
                         from pg_publication p order by p.pubname").await,
        [
            "(supabase_realtime,f,f,t,t,t,t,)",
            "(supabase_realtime_messages_publication,f,f,t,t,t,t,{realtime.messages})",
        ]
    );
}

#[tokio::test]
async fn g014_to_g019_partitions_of_five_days_exist_and_old_ones_go() {
    let (_server, client) = fresh().await;
    let children = "select inhrelid::regclass from pg_inherits where inhparent = 'realtime.messages'::regclass order by 1::text";
    let wanted = "select 'realtime.messages_' || to_char((now() at time zone 'utc')::date + d, 'YYYY_MM_DD') from generate_series(-1, 3) d order by 1";
    assert_eq!(
        column(&client, children).await,
        column(&client, wanted).await
    );
    let today = "'realtime.messages_' || to_char(now() at time zone 'utc', 'YYYY_MM_DD')";
    assert_eq!(
        one(&client, &format!("select (relowner::regrole, relrowsecurity,
                pg_get_expr(relpartbound, oid) = format('FOR VALUES FROM (%L) TO (%L)',
                  (now() at time zone 'utc')::date::timestamp, (now() at time zone 'utc')::date::timestamp + interval '1 day'),
                has_table_privilege('anon', oid, 'select'), has_table_privilege('service_role', oid, 'insert'))
                from pg_class where oid = ({today})::regclass")).await,
        "(supabase_realtime_admin,f,t,f,f)"
    );
    assert_eq!(
        one(
            &client,
            &format!("select count(*) from pg_index where indrelid = ({today})::regclass")
        )
        .await,
        "2"
    );
    let again = partitions::maintain(&client, true).await.unwrap();
    assert_eq!(again, partitions::Maintained::default());

    // The boundary: three days before 72 hours ago's date is kept, one more day is not.
    client
        .batch_execute(
            "do $$ declare d date; begin
               foreach d in array array[(now() at time zone 'utc' - interval '72 hours')::date, (now() at time zone 'utc' - interval '72 hours')::date - 1, date '2020-02-29'] loop
                 execute format('create table realtime.%I partition of realtime.messages for values from (%L) to (%L)', 'messages_' || to_char(d, 'YYYY_MM_DD'), d, d + 1);
               end loop;
             end $$",
        )
        .await
        .unwrap();
    let kept = partitions::maintain(&client, false).await.unwrap();
    assert!(kept.dropped.is_empty());
    let report = partitions::maintain(&client, true).await.unwrap();
    let days = column(&client, "select 'messages_' || to_char((now() at time zone 'utc' - interval '72 hours')::date - 1, 'YYYY_MM_DD')").await;
    assert_eq!(
        report.dropped,
        ["messages_2020_02_29".to_owned(), days[0].clone()]
    );
    assert!(report.warnings.is_empty(), "{report:?}");

    let error = client
        .batch_execute("insert into realtime.messages (topic, extension, inserted_at) values ('t', 'broadcast', '2020-01-01')")
        .await
        .unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "23514");
    assert_eq!(
        error.message(),
        "no partition of relation \"messages\" found for row"
    );
}

#[tokio::test]
async fn g016_partitions_made_by_two_at_once_and_beside_a_reader_that_does_not_end() {
    let (options, client) = fresh().await;
    let other = connect(&options, "realtime_test").await.unwrap();
    let reader = connect(&options, "realtime_test").await.unwrap();
    client
        .batch_execute("do $$ declare t regclass; begin for t in select inhrelid from pg_inherits where inhparent = 'realtime.messages'::regclass loop execute 'drop table ' || t; end loop; end $$")
        .await
        .unwrap();
    reader
        .batch_execute("begin; select count(*) from realtime.messages")
        .await
        .unwrap();
    let (one, two) = tokio::join!(
        partitions::maintain(&client, true),
        partitions::maintain(&other, true)
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(
        one.warnings.is_empty() && two.warnings.is_empty(),
        "{one:?} {two:?}"
    );
    assert_eq!(
        column(
            &client,
            "select count(*) from pg_inherits where inhparent = 'realtime.messages'::regclass"
        )
        .await,
        ["5"]
    );
}
