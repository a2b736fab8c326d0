//! What arrives of a change, without row level security.

use serde_json::json;

use super::changes_support::{World, claims, table};

#[tokio::test]
async fn insert_update_and_delete_arrive_in_order_with_the_original_shape() {
    let world = World::new("create table public.t (id int primary key, v text)").await;
    let mut a = world.join(&claims("anon", ""), table("t")).await;
    world
        .run("insert into t values (1, 'x'); update t set v = 'y'; delete from t")
        .await;
    let insert = a.change().await;
    assert_eq!(insert["record"], json!({"id": 1, "v": "x"}));
    assert_eq!(insert["type"], "INSERT");
    assert_eq!(insert["errors"], json!(null));
    assert!(insert.get("old_record").is_none());
    let update = a.change().await;
    assert_eq!(update["record"], json!({"id": 1, "v": "y"}));
    assert_eq!(update["old_record"], json!({"id": 1}));
    assert_eq!(update["commit_timestamp"], insert["commit_timestamp"]);
    let delete = a.change().await;
    assert_eq!(delete["old_record"], json!({"id": 1}));
    assert!(delete.get("record").is_none());
    assert_eq!(
        delete["columns"],
        json!([{"name": "id", "type": "int4"}, {"name": "v", "type": "text"}])
    );
}
