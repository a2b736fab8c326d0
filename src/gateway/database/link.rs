//! One connection: its session, its prepared statements, and what sets a scene for a caller.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Row, Statement};

use super::{Access, Error, Params};
use crate::gateway::caller::{Caller, Facts};
use crate::postgres::{ConnectOptions, connect_driven};

/// Statements one connection keeps prepared; the one that was not used for longest goes first.
const STATEMENTS: NonZeroUsize = match NonZeroUsize::new(256) {
    Some(number) => number,
    None => NonZeroUsize::MIN,
};

/// Sets everything a statement may read about the caller, for the transaction only; and that no plan of a statement is
/// kept. This one and [`UNLOCK`], which are the same for everybody and call nothing but volatile functions of Postgres
/// itself, have a plan that is kept: they run outside of that setting.
const SET_SCENE: &str = "select pg_catalog.set_config('role', $1, true), \
    pg_catalog.set_config('request.jwt.claims', $2, true), pg_catalog.set_config('request.method', $3, true), \
    pg_catalog.set_config('request.path', $4, true), pg_catalog.set_config('request.headers', $5, true), \
    pg_catalog.set_config('request.cookies', $6, true), pg_catalog.set_config('search_path', $7, true), \
    pg_catalog.set_config('plan_cache_mode', 'force_custom_plan', true)";

/// Takes back whatever a function may have done to the session. Not `DISCARD ALL`: it would also forget the prepared
/// statements. What was given at the start of the session stays.
///
/// That the role is taken back matters most: were a transaction not to begin, what follows it runs as the login, which
/// has no rights.
///
/// In one text with the word that ends the transaction, because Postgres answers each text with a write of its own. Where
/// that word fails the rest of the text is not run, so whoever ends a transaction and is told of an error ends it again.
macro_rules! and_reset {
    ($word:literal) => {
        concat!(
            $word,
            "; reset role; reset all; discard temp; discard sequences; close all; unlisten *"
        )
    };
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// Rolls back what failed.
    Commit,
    Rollback,
}

impl End {
    fn text(self) -> &'static str {
        match self {
            Self::Commit => and_reset!("commit"),
            Self::Rollback => and_reset!("rollback"),
        }
    }
}

/// The rest of it, prepared because it would have to be planned each time.
const UNLOCK: &str = "select pg_catalog.pg_advisory_unlock_all()";

/// Makes connections for the pool.
pub(super) struct Links {
    login: ConnectOptions,
    statement_timeout: String,
    generation: Arc<AtomicU64>,
}

impl Links {
    pub(super) fn new(
        login: ConnectOptions,
        statement_timeout: Duration,
        generation: Arc<AtomicU64>,
    ) -> Self {
        Self {
            generation,
            login,
            statement_timeout: statement_timeout.as_millis().to_string(),
        }
    }
}

impl Manager for Links {
    type Type = Link;
    type Error = crate::postgres::Error;

    async fn create(&self) -> Result<Link, Self::Error> {
        let settings = [
            ("statement_timeout", self.statement_timeout.as_str()),
            ("idle_in_transaction_session_timeout", "60s"),
            // The scene sets it to `force_custom_plan`.
            ("plan_cache_mode", "force_generic_plan"),
        ];
        let (client, driver) = connect_driven(&self.login, "dovetail_surface", &settings).await?;
        Ok(Link {
            client,
            driver,
            own: OnceCell::new(),
            current: Arc::clone(&self.generation),
            statements: Mutex::new(Kept {
                generation: 0,
                hasher: ahash::RandomState::new(),
                list: LruCache::with_hasher(STATEMENTS, ahash::RandomState::new()),
            }),
        })
    }

    async fn recycle(&self, link: &mut Link, _: &Metrics) -> RecycleResult<Self::Error> {
        match link.client.is_closed() {
            true => Err(RecycleError::message("closed")),
            false => Ok(()),
        }
    }
}

/// What a transaction is opened with.
pub(super) struct Scene<'a> {
    who: &'a Caller,
    facts: &'a Facts,
    begin: &'static str,
    search_path: &'a str,
}

impl<'a> Scene<'a> {
    pub(super) fn new(
        who: &'a Caller,
        facts: &'a Facts,
        access: Access,
        search_path: &'a str,
    ) -> Self {
        Self {
            who,
            facts,
            begin: match access {
                Access::Read => "begin isolation level read committed read only",
                Access::Write => "begin isolation level read committed read write",
            },
            search_path,
        }
    }

    pub(super) fn role(&self) -> &str {
        &self.who.role
    }
}

/// Statements of every transaction.
struct Own {
    set_scene: Statement,
    unlock: Statement,
}

/// See the module.
pub(super) struct Link {
    pub(super) client: Client,
    driver: JoinHandle<()>,
    own: OnceCell<Own>,
    current: Arc<AtomicU64>,
    statements: Mutex<Kept>,
}

/// Prepared statements of one generation of the schema.
struct Kept {
    generation: u64,
    hasher: ahash::RandomState,
    /// By the hash of role and text, so that asking copies neither.
    list: LruCache<u64, Prepared, ahash::RandomState>,
}

struct Prepared {
    role: String,
    sql: String,
    statement: Statement,
}

impl Kept {
    fn get(&mut self, role: &str, sql: &str) -> Option<Statement> {
        let found = self.list.get(&self.hasher.hash_one((role, sql)))?;
        // Another pair may have the same hash.
        (found.role == role && found.sql == sql).then(|| found.statement.clone())
    }

    fn put(&mut self, role: &str, sql: &str, statement: Statement) {
        let prepared = Prepared {
            role: role.to_owned(),
            sql: sql.to_owned(),
            statement,
        };
        let hash = self.hasher.hash_one((role, sql));
        self.list.put(hash, prepared);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Closes the socket at once, whatever was not answered yet.
        self.driver.abort();
    }
}

impl Link {
    /// Opens a transaction under the scene's role.
    pub(super) async fn begin(&self, scene: &Scene<'_>) -> Result<(), Error> {
        let own = self.own().await?;
        let (begun, set) = tokio::join!(
            biased;
            self.client.batch_execute(scene.begin),
            self.set(&own.set_scene, scene),
        );
        begun?;
        set
    }

    /// A whole transaction at once; the last word is commit, which rolls back what failed.
    pub(super) async fn once(
        &self,
        scene: &Scene<'_>,
        statement: &Statement,
        params: &Params<'_>,
    ) -> Result<Vec<Row>, Error> {
        let own = self.own().await?;
        let (begun, set, rows, ended) = tokio::join!(
            biased;
            self.client.batch_execute(scene.begin),
            self.set(&own.set_scene, scene),
            self.client.query(statement, params),
            self.end(End::Commit),
        );
        begun?;
        set?;
        let rows = rows?;
        ended?;
        Ok(rows)
    }

    /// Ends a transaction and takes back what it left in the session.
    ///
    /// # Errors
    /// The session is not clean: a commit that fails (a deferred constraint) leaves it as it is. After a rollback that
    /// fails the connection is unfit for anybody.
    pub(super) async fn end(&self, end: End) -> Result<(), Error> {
        let own = self.own().await?;
        let (ended, unlocked) = tokio::join!(
            biased;
            self.client.batch_execute(end.text()),
            self.client.query(&own.unlock, &[]),
        );
        ended?;
        unlocked?;
        Ok(())
    }

    async fn own(&self) -> Result<&Own, Error> {
        let prepare = || async {
            Ok::<_, Error>(Own {
                set_scene: self.client.prepare(SET_SCENE).await?,
                unlock: self.client.prepare(UNLOCK).await?,
            })
        };
        self.own.get_or_try_init(prepare).await
    }

    async fn set(&self, statement: &Statement, scene: &Scene<'_>) -> Result<(), Error> {
        let method = scene.facts.method.as_str();
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 7] = [
            &&*scene.who.role,
            &&*scene.who.claims_json,
            &method,
            &scene.facts.path,
            &scene.facts.headers_json,
            &scene.facts.cookies_json,
            &scene.search_path,
        ];
        let set = self.client.query(statement, &params).await;
        set.map(drop).map_err(Error::Role)
    }

    /// The statement if it is prepared for the role, and nothing has changed since.
    pub(super) fn known(&self, role: &str, sql: &str) -> Option<Statement> {
        let current = self.current.load(Ordering::Acquire);
        let mut kept = self.statements.lock();
        if kept.generation != current {
            kept.list.clear();
            kept.generation = current;
            self.client.clear_type_cache();
        }
        kept.get(role, sql)
    }

    /// The statement, prepared now if it is not; in a transaction under that role.
    pub(super) async fn statement(&self, role: &str, sql: &str) -> Result<Statement, Error> {
        if let Some(known) = self.known(role, sql) {
            return Ok(known);
        }
        let before = self.current.load(Ordering::Acquire);
        let statement = self.client.prepare(sql).await?;
        let mut kept = self.statements.lock();
        // What changed while it was prepared may have changed it.
        if kept.generation == before {
            kept.put(role, sql, statement.clone());
        }
        drop(kept);
        Ok(statement)
    }

    /// Forgets a statement that Postgres does not take any more, and with it what may be as old.
    pub(super) fn forget_all(&self) {
        self.statements.lock().list.clear();
        // Types are looked up once for each connection, and the number of one that was made anew is another.
        self.client.clear_type_cache();
    }
}
