use super::*;

fn crypt() -> Crypt {
    Crypt::new(
        Some(b"supabaserealtime"),
        Some(b"12345678901234567890123456789012"),
        false,
    )
    .unwrap()
}

/// A row with nothing but what every version of the original has.
fn bare(settings: Value) -> TenantRecord {
    serde_json::from_value(json!({
        "id": "f3c0a2a2-0000-4000-8000-000000000001",
        "external_id": "realtime-dev",
        "jwt_secret": "sWBpZNdjggEPTQVlI52Zfw==",
        "extensions": [{ "type": "postgres_cdc_rls", "settings": settings }],
    }))
    .unwrap()
}

/// Values of the original, one of them written with the other cipher.
fn place() -> Value {
    json!({
        "db_host": "QhixI0o7PYIABziLUL4f0A==",
        "db_port": "+enMDFi1J/3IrrquHHwUmA==",
        "db_name": "g1:AAECAwQFBgcICQoLhUBooliRKsv1PcCCWuNtRig7FG4Sef8Z",
        "db_user": "uxbEq/zz8DXVD53TOI1zmw==",
        "db_password": "Tza64ZmuiPJ3dvLf5raOPw==",
    })
}

#[test]
fn what_is_missing_has_its_default() {
    let record = bare(place());
    assert!(!record.suspend() && !record.private_only() && !record.presence_enabled());
    let limits = &record.limits;
    assert_eq!(limits.max_concurrent_users(), 200);
    assert_eq!(limits.max_joins_per_second(), 500);
    assert_eq!(limits.max_presence_events_per_second(), 1000);
    assert_eq!(limits.max_payload_size_in_kb(), 3000);
    assert_eq!(limits.client_presence_window_ms(), None);
    let database = record.database(&crypt()).unwrap();
    assert_eq!(database.publication, "supabase_realtime");
    assert_eq!(database.slot_name, "supabase_realtime_replication_slot");
    assert_eq!(database.max_record_bytes, 1_048_576);
    assert_eq!(database.pool, 1);
    assert_eq!(database.connect.tls, TlsMode::Require);
}

#[test]
fn the_database_is_decrypted_from_both_forms() {
    let connect = bare(place()).database(&crypt()).unwrap().connect;
    assert_eq!(connect.host, "db");
    assert_eq!(connect.port, 5432);
    assert_eq!(connect.dbname, "postgres");
    assert_eq!(connect.user, "supabase_admin");
    assert_eq!(connect.password.as_deref(), Some(""));
}

#[test]
fn ssl_is_off_only_when_it_says_false() {
    for (given, tls) in [
        (json!(false), TlsMode::Disable),
        (json!(true), TlsMode::Require),
        (json!("false"), TlsMode::Require),
        (Value::Null, TlsMode::Require),
    ] {
        let mut settings = place();
        settings["ssl_enforced"] = given;
        let database = bare(settings).database(&crypt()).unwrap();
        assert_eq!(database.connect.tls, tls);
    }
}

#[test]
fn the_old_name_of_the_extension_is_the_same_thing() {
    let mut record = bare(place());
    record.extensions[0].kind = Some("postgres".to_owned());
    assert!(record.database(&crypt()).is_ok());
    record.extensions[0].kind = Some("other".to_owned());
    assert_eq!(
        record.database(&crypt()).unwrap_err(),
        RecordError::NoDatabase
    );
}

#[test]
fn what_cannot_be_used_is_named() {
    for name in SECRETS {
        let mut settings = place();
        settings[name] = json!(5432);
        assert_eq!(
            bare(settings).database(&crypt()).unwrap_err(),
            RecordError::Missing(name)
        );
        let mut settings = place();
        settings[name] = json!("plain");
        assert_eq!(
            bare(settings).database(&crypt()).unwrap_err(),
            RecordError::Secret(name, CryptError::Undecryptable("DB_ENC_KEY"))
        );
    }
    let mut settings = place();
    settings["db_port"] = settings["db_host"].clone();
    assert_eq!(
        bare(settings).database(&crypt()).unwrap_err(),
        RecordError::Port
    );
}

#[test]
fn names_and_numbers_that_cannot_be_meant_are_defaults() {
    let mut settings = place();
    settings["publication"] = json!("p".repeat(64));
    settings["slot_name"] = json!(7);
    settings["db_pool"] = json!(0);
    settings["poll_max_record_bytes"] = json!(-1);
    let database = bare(settings).database(&crypt()).unwrap();
    assert_eq!(database.publication, "supabase_realtime");
    assert_eq!(database.slot_name, "supabase_realtime_replication_slot");
    assert_eq!(database.pool, 1);
    assert_eq!(database.max_record_bytes, 1_048_576);
}

#[test]
fn the_api_shows_exactly_the_documented_keys_and_no_secret() {
    let mut settings = place();
    settings["mine"] = json!({ "a": 1 });
    let mut row = json!({
        "id": "f3c0a2a2-0000-4000-8000-000000000001", "external_id": "a", "name": "b",
        "jwt_secret": "secret", "jwt_jwks": { "keys": [] }, "suspend": true, "private_only": true,
        "max_concurrent_users": 7, "inserted_at": "2026-08-19T00:22:40", "a_new_column": 1,
    });
    row["extensions"] = json!([{
        "id": "f3c0a2a2-0000-4000-8000-000000000002", "type": "postgres_cdc_rls", "settings": settings,
        "tenant_external_id": "a", "inserted_at": "2026-08-19T00:22:41", "updated_at": "2026-08-19T00:22:42",
    }]);
    let record: TenantRecord = serde_json::from_value(row).unwrap();
    settings.as_object_mut().unwrap().remove("db_password");
    assert_eq!(
        record.to_api(),
        json!({
            "id": "f3c0a2a2-0000-4000-8000-000000000001", "external_id": "a", "name": "b",
            "max_concurrent_users": 7, "max_channels_per_client": 100, "max_events_per_second": 100,
            "max_joins_per_second": 500, "max_client_presence_events_per_window": null,
            "client_presence_window_ms": null, "private_only": true, "presence_enabled": false,
            "inserted_at": "2026-08-19T00:22:40",
            "extensions": [{
                "type": "postgres_cdc_rls", "inserted_at": "2026-08-19T00:22:41",
                "updated_at": "2026-08-19T00:22:42", "settings": settings,
            }],
        })
    );
}

#[test]
fn nothing_secret_is_printed() {
    let record = bare(place());
    let database = record.database(&crypt()).unwrap();
    let text = format!("{record:?} {database:?} {:?}", crypt());
    for secret in ["sWBpZ", "Tza64", "supabaserealtime"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn only_the_place_is_encrypted_and_the_rest_kept() {
    let plain = json!({
        "db_host": "db", "db_port": "5432", "db_name": "postgres", "db_user": "supabase_admin",
        "db_password": "", "region": "us-east-1", "mine": [1],
    });
    let stored = encrypted(plain.as_object().unwrap().clone(), &crypt()).unwrap();
    assert_eq!(stored["db_host"], place()["db_host"]);
    assert_eq!(stored["db_password"], place()["db_password"]);
    assert_eq!(stored["region"], "us-east-1");
    assert_eq!(stored["mine"], json!([1]));
}
