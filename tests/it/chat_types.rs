//! The types for TypeScript that are checked in are those of the database.

use dovetail::postgres::migrate::{Set, migrate};
use dovetail::typescript;

use crate::support::cluster::Cluster;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/types/database.ts");

/// `UPDATE_TYPES=1 cargo test --test it chat_types` writes the file anew.
#[tokio::test]
async fn the_types_that_are_checked_in_are_those_of_the_database() {
    let database = Cluster::shared().await.prepared().await;
    let sql = database.connect().await;
    migrate(&sql, Set::Embedded).await.unwrap();
    migrate(&sql, Set::Chat).await.unwrap();
    let types = typescript::types(&sql, "public").await.unwrap();
    if std::env::var_os("UPDATE_TYPES").is_some() {
        std::fs::write(FILE, &types).unwrap();
    }
    let checked_in = std::fs::read_to_string(FILE).unwrap();
    assert!(
        types == checked_in,
        "clients/types/database.ts is not that of sql/chat: UPDATE_TYPES=1 cargo test --test it chat_types"
    );
}

/// Views, enums, domains, arrays, keys of one row, names that have to be quoted.
#[tokio::test]
async fn types_of_other_schemas() {
    let database = Cluster::shared().await.prepared().await;
    let sql = database.connect().await;
    sql.batch_execute(
        "create schema shop;
         create type shop.size as enum ('s', 'm');
         create domain shop.price as numeric check (value > 0);
         create table shop.\"two words\" (id bigint generated always as identity primary key, size shop.size not null, prices shop.price[],
           price shop.price not null default 1, twice numeric generated always as (2) stored);
         create table shop.detail (id bigint primary key references shop.\"two words\" (id), note text);
         create view shop.small as select id, size from shop.\"two words\" where size = 's';
         create function shop.count(at_least integer, size shop.size default 's') returns setof shop.detail language sql as 'select * from shop.detail';
         create function shop.nothing() returns void language sql as '';",
    )
    .await
    .unwrap();
    let types = typescript::types(&sql, "shop").await.unwrap();
    for line in [
        "      \"two words\": {\n        Row: {\n          id: number\n          size: (\"s\" | \"m\")\n",
        "          id?: never\n          size: (\"s\" | \"m\")\n          prices?: unknown[] | null\n          price?: number\n          twice?: never\n",
        "{ foreignKeyName: \"detail_id_fkey\"; columns: [\"id\"]; isOneToOne: true; referencedRelation: \"two words\"; referencedColumns: [\"id\"] },",
        "    Views: {\n      small: {\n        Row: {\n          id: number | null\n",
        "        Args: {\n          at_least: number\n          size?: (\"s\" | \"m\") | null\n        }\n        Returns: (Database[\"shop\"][\"Tables\"][\"detail\"][\"Row\"])[]\n",
        "        Args: never\n        Returns: undefined\n",
        "      size: \"s\" | \"m\"\n",
    ] {
        assert!(types.contains(line), "{line}\nis missing in\n{types}");
    }
}
