//! Workers of the messaging system that have nothing to do ask nothing.

use crate::chat_guest_support::World;
use crate::support::eventually;

/// When each worker's connection last began a statement.
const LAST: &str = "select coalesce(string_agg(application_name || ' ' || query_start, ',' order by pid), '') \
                    from pg_stat_activity where datname = current_database() and application_name like 'dovetail_chat%'";

#[tokio::test]
async fn an_idle_messaging_system_runs_no_statements() {
    let world = World::new(&[]).await;
    let sql = world.surface.database.connect().await;
    // Whatever they do at their beginning ends; a worker that asks again and again never does.
    eventually("two looks with the same last statements", || async {
        let before: String = sql.query_one(LAST, &[]).await.unwrap().get(0);
        for _ in 0..500 {
            sql.batch_execute("select 1").await.unwrap();
        }
        let after: String = sql.query_one(LAST, &[]).await.unwrap().get(0);
        let are_there =
            before.contains("dovetail_chat_presence") && before.contains("dovetail_chat ");
        (are_there && before == after).then_some(())
    })
    .await;
}
