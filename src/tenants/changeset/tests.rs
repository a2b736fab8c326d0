use super::*;

const DEFAULTS: NewTenant = NewTenant {
    max_concurrent_users: 200,
    max_channels_per_client: 100,
    max_joins_per_second: 100,
    max_events_per_second: 100,
    max_bytes_per_second: 100_000,
};

fn body(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn errors(value: Value, existing: usize) -> Value {
    let errors = check(&body(value), existing, &DEFAULTS).err().unwrap();
    errors.to_json()["errors"].clone()
}

fn change(value: Value) -> Change {
    check(&body(value), 1, &DEFAULTS).ok().unwrap()
}

fn settings() -> Value {
    json!({
        "db_host": "db", "db_port": "5432", "db_name": "postgres", "db_user": "u", "db_password": "p",
        "region": "us-east-1",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut settings = settings();
    settings[name] = value;
    json!({ "extensions": [{ "type": "postgres_cdc_rls", "settings": settings }] })
}

/// Transcript 953.
#[test]
fn bodies_are_refused_in_the_originals_words() {
    assert_eq!(
        errors(json!({ "max_concurrent_users": "many" }), 1),
        json!({ "max_concurrent_users": ["is invalid"] })
    );
    assert_eq!(
        errors(json!({ "private_only": "maybe", "jwt_jwks": "x" }), 1),
        json!({ "jwt_jwks": ["is invalid"], "private_only": ["is invalid"] })
    );
    let incomplete =
        json!({ "extensions": [{ "type": "postgres_cdc_rls", "settings": { "db_host": "x" } }] });
    let missing = json!({ "settings": [
        "db_password can't be blank", "db_user can't be blank", "db_name can't be blank",
        "db_port can't be blank", "region can't be blank",
    ]});
    assert_eq!(
        errors(incomplete.clone(), 1),
        json!({ "extensions": [{}, missing] })
    );
    assert_eq!(errors(incomplete, 0), json!({ "extensions": [missing] }));
    assert_eq!(
        errors(json!({ "broadcast_adapter": "nope" }), 1),
        json!({ "broadcast_adapter": ["is invalid"] })
    );
    let refused = external_id(&body(json!({ "name": "no id" })))
        .err()
        .unwrap();
    assert_eq!(
        refused.to_json(),
        json!({ "errors": { "external_id": ["can't be blank"] } })
    );
}

#[test]
fn values_are_cast_as_the_original_casts_them() {
    let change = change(json!({
        "max_concurrent_users": "7", "max_joins_per_second": 0, "private_only": "1", "suspend": "false",
        "name": "n", "unknown_field": 1, "external_id": "other", "inserted_at": "now", "id": "x",
        "jwt_jwks": { "keys": [] }, "broadcast_adapter": "phoenix", "feature_flags": { "a": true },
    }));
    assert_eq!(change.column("max_concurrent_users"), Some(&json!(7)));
    assert_eq!(change.column("max_joins_per_second"), Some(&json!(0)));
    assert_eq!(change.column("private_only"), Some(&json!(true)));
    assert_eq!(change.column("suspend"), Some(&json!(false)));
    assert_eq!(change.columns.len(), 8, "nothing else is written");
    assert_eq!((change.jwt_secret, change.extensions), (None, None));
    for (field, value) in [
        ("max_events_per_second", json!(1.5)),
        ("max_events_per_second", json!("1x")),
        ("max_events_per_second", json!(-1)),
        ("max_events_per_second", json!(4_000_000_000_u64)),
        ("max_events_per_second", json!(true)),
        ("name", json!(5)),
        ("suspend", json!(1)),
        ("presence_enabled", json!("TRUE")),
        ("jwt_secret", json!(["s"])),
        ("jwt_jwks", json!([])),
        ("feature_flags", json!("x")),
        ("broadcast_adapter", json!(1)),
        ("extensions", json!({})),
        ("extensions", json!(["x"])),
        ("extensions", Value::Null),
    ] {
        let refused = errors(json!({ field: value }), 1);
        assert_eq!(refused, json!({ field: ["is invalid"] }));
    }
}

#[test]
fn null_and_blank_are_the_default() {
    let change = change(json!({
        "max_concurrent_users": null, "client_presence_window_ms": "", "private_only": null,
        "max_payload_size_in_kb": " ", "feature_flags": null, "jwt_secret": "", "jwt_jwks": null,
    }));
    assert_eq!(change.column("max_concurrent_users"), Some(&json!(200)));
    assert_eq!(
        change.column("client_presence_window_ms"),
        Some(&Value::Null)
    );
    assert_eq!(change.column("private_only"), Some(&json!(false)));
    assert_eq!(change.column("max_payload_size_in_kb"), Some(&json!(3000)));
    assert_eq!(change.column("feature_flags"), Some(&json!({})));
    assert_eq!(change.jwt_secret, Some(None));
}

#[test]
fn settings_have_defaults_aliases_and_room_for_more() {
    let mut settings = settings();
    settings["poll_interval_ms"] = json!(5);
    settings["postgres_changes_pool"] = json!(9);
    settings["mine"] = json!({ "deep": [1] });
    let change = change(json!({ "extensions": [{ "type": "postgres", "settings": settings }] }));
    let written = &change.extensions.unwrap()[0];
    assert_eq!(written["poll_interval_ms"], 5);
    assert_eq!(written["poll_max_changes"], 100);
    assert_eq!(written["publication"], "supabase_realtime");
    assert_eq!(written["subcriber_pool_size"], 9);
    assert!(!written.contains_key("postgres_changes_pool"));
    assert_eq!(written["mine"], json!({ "deep": [1] }));
    assert_eq!(written["db_password"], "p", "plain until it is stored");
}

#[test]
fn settings_of_the_wrong_kind_are_named() {
    for (body, expected) in [
        (with("db_port", json!(5432)), "db_port is invalid"),
        (with("db_port", json!("65536")), "db_port is invalid"),
        (with("db_port", json!("")), "db_port is invalid"),
        (with("db_host", json!("")), "db_host can't be blank"),
        (with("db_user", Value::Null), "db_user can't be blank"),
        (with("region", json!(1)), "region is invalid"),
    ] {
        let expected = json!({ "extensions": [{ "settings": [expected] }] });
        assert_eq!(errors(body, 0), expected);
    }
    assert!(check(&body(with("db_password", json!(""))), 0, &DEFAULTS).is_ok());
    for (entry, expected) in [
        (
            json!({ "settings": settings() }),
            json!({ "type": ["can't be blank"] }),
        ),
        (
            json!({ "type": "other", "settings": settings() }),
            json!({ "type": ["is invalid"] }),
        ),
        (
            json!({ "type": "postgres" }),
            json!({ "settings": ["can't be blank"] }),
        ),
        (
            json!({ "type": "postgres", "settings": [] }),
            json!({ "settings": ["is invalid"] }),
        ),
    ] {
        let refused = errors(json!({ "extensions": [entry] }), 0);
        assert_eq!(refused, json!({ "extensions": [expected] }));
    }
    let one = json!({ "type": "postgres", "settings": settings() });
    assert_eq!(
        errors(json!({ "extensions": [one, one] }), 0),
        json!({ "extensions": [{}, { "tenant_external_id": ["has already been taken"] }] })
    );
    assert_eq!(
        errors(json!({ "extensions": [] }), 1),
        json!({ "extensions": ["can't be blank"] })
    );
}

#[test]
fn a_new_tenant_needs_a_database_and_keys_and_gets_the_configured_limits() {
    let mut given = with("mine", json!(1));
    given["name"] = json!("other name");
    let new = |given: &Value| {
        let change = check(&body(given.clone()), 0, &DEFAULTS).ok().unwrap();
        change.into_new("acme", &DEFAULTS).map_err(|e| e.to_json())
    };
    assert_eq!(
        new(&json!({})).err().unwrap()["errors"]["extensions"],
        json!([BLANK])
    );
    assert_eq!(
        new(&given).err().unwrap(),
        json!({ "errors": { "jwt_secret": ["either jwt_secret or jwt_jwks must be provided"] } })
    );
    given["jwt_secret"] = json!("s");
    given["max_events_per_second"] = json!(5);
    let change = new(&given).ok().unwrap();
    assert_eq!(change.column("name"), Some(&json!("acme")));
    assert_eq!(change.column("max_events_per_second"), Some(&json!(5)));
    assert_eq!(change.column("max_joins_per_second"), Some(&json!(100)));
    assert_eq!(change.column("max_bytes_per_second"), Some(&json!(100_000)));
    let names: Vec<_> = change.columns.iter().map(|(name, _)| name).collect();
    let unique: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(names.len(), unique.len());
}
