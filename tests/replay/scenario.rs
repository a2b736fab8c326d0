//! One run of one recorded conversation: connects, sends, and compares what comes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::Ground;
use crate::compare::{Bindings, Verdict, pair_up, same, text_matches};
use crate::fill::{Filler, hex, query, slow};
use crate::frames::{describe, lane, same_item, wanted};
use crate::json::Json;
use crate::support::http::{self, Request, Response};
use crate::support::socket::{Failure, Item, Socket, Target};

/// A scenario as it stands in its file.
pub struct Scenario {
    /// File name without `.json`.
    pub name: String,
    pub json: Json,
}

impl Scenario {
    /// Scenarios with the same lock never run at the same time: those that say so, and the serializer variants of one.
    pub fn lock(&self) -> String {
        // A scenario with a tenant of its own meets nobody: the recorded server's tenants shared a slot, ours do not. Yet
        // each decodes the log of the whole cluster, and too many at a time make the others wait.
        if self.json.get("tenant_settings").is_some() {
            let number: usize = self.name.bytes().map(usize::from).sum();
            return format!("tenant {}", number % 3);
        }
        if let Some(lock) = self.json.get("lock").and_then(Json::text) {
            return lock.to_owned();
        }
        let bare = self.name.split_once('-').map_or("", |(_, bare)| bare);
        let bare = bare.strip_suffix("-v1").unwrap_or(bare);
        bare.strip_suffix("-v2").unwrap_or(bare).to_owned()
    }

    /// Milliseconds that it takes at least, as far as it says so: the longest are started first.
    pub fn length(&self) -> u64 {
        let of = |value: &Json, key: &str| value.get(key).and_then(Json::int).unwrap_or(0);
        let steps = self.json.get("steps").map_or(&[][..], Json::items);
        let time = |step: &Json| {
            let expected = step.get("expect").map_or(&[][..], Json::items);
            let latest = expected.iter().map(|item| of(item, "after_ms")).max();
            let refused = step.get("refused").or_else(|| step.get("response"));
            latest.unwrap_or(0)
                + of(step, "quiet_ms")
                + of(step, "wait_ms")
                + refused.map_or(0, |answer| of(answer, "after_ms"))
        };
        steps.iter().map(time).sum()
    }

    /// Plays it; the error says at which step what differed.
    pub async fn play(&self, ground: &Ground) -> Verdict {
        let (tenant, host) = match self.json.get("tenant_settings") {
            Some(settings) => {
                let name = field(settings, "external_id").unwrap_or_default();
                let tenant = format!("{name}-{}", uuid::Uuid::new_v4().simple());
                let host = format!("{tenant}.{}", crate::DOMAIN);
                (tenant, host)
            }
            None => (crate::TENANT.to_owned(), crate::host()),
        };
        let mut run = Run {
            scenario: self,
            ground,
            tenant: tenant.into(),
            host,
            sockets: BTreeMap::new(),
            bound: Bindings::new(),
            acted: Instant::now(),
            database: ground.database.connect().await,
        };
        let played = match run.create_tenant().await {
            Ok(()) => run.play().await,
            Err(error) => Err(error),
        };
        for socket in run.sockets.values() {
            socket.terminate();
        }
        let cleaned = run.run_all("teardown_sql").await;
        let deleted = run.delete_tenant().await;
        played.and(cleaned).and(deleted)
    }
}

struct Run<'a> {
    scenario: &'a Scenario,
    ground: &'a Ground,
    /// The tenant it runs on, and the host that names it.
    tenant: Arc<str>,
    host: String,
    sockets: BTreeMap<String, Socket>,
    bound: Bindings,
    /// When the last thing was done that is not a comparison of frames.
    acted: Instant,
    database: Client,
}

fn field<'a>(step: &'a Json, name: &str) -> Option<&'a str> {
    step.get(name).and_then(Json::text)
}

fn millis(step: &Json, name: &str) -> Option<Duration> {
    step.get(name)
        .and_then(Json::int)
        .map(Duration::from_millis)
}

fn list(items: &[(Instant, Item)]) -> String {
    let texts: Vec<String> = items.iter().map(|(_, i)| describe(i).to_string()).collect();
    let text = texts.join(" ");
    text.chars().take(1500).collect()
}

impl<'a> Run<'a> {
    fn filler(&self) -> Filler<'a> {
        static NOTHING: Json = Json::Null;
        Filler {
            tokens: self.scenario.json.get("tokens").unwrap_or(&NOTHING),
            tenant: Arc::clone(&self.tenant),
            database: Some(&self.ground.database),
        }
    }

    /// Makes the tenant that the scenario asks for.
    async fn create_tenant(&self) -> Verdict {
        let Some(settings) = self.scenario.json.get("tenant_settings") else {
            return Ok(());
        };
        let mut fields: Vec<(String, Json)> = settings.members().to_vec();
        fields.retain(|(name, _)| name != "external_id");
        let more = Json::parse(
            r#"{"name":"<tenant>","jwt_secret":"<jwt_secret>","extensions":[{"type":"postgres_cdc_rls","settings":{
                "db_host":"<db:host>","db_port":"<db:port>","db_name":"<db:name>","db_user":"<db:user>",
                "db_password":"<db:password>","region":"us-east-1","poll_interval_ms":100,
                "poll_max_record_bytes":1048576,"ssl_enforced":false}}]}"#,
        )
        .map_err(|err| err.to_string())?;
        fields.extend(self.filler().json(&more).members().iter().cloned());
        let body = format!(r#"{{"tenant":{}}}"#, Json::Object(fields));
        let answer = self.manage("PUT", Some(body)).await?;
        match answer.status {
            201 => Ok(()),
            status => Err(format!("the tenant: {status} {}", answer.text())),
        }
    }

    async fn delete_tenant(&self) -> Verdict {
        if self.scenario.json.get("tenant_settings").is_none() {
            return Ok(());
        }
        match self.manage("DELETE", None).await?.status {
            204 => Ok(()),
            status => Err(format!("deleting the tenant: {status}")),
        }
    }

    async fn manage(&self, method: &str, body: Option<String>) -> Result<Response, String> {
        let mut request = Request::get("localhost", &format!("/api/tenants/{}", self.tenant));
        request.method = method.to_owned();
        let bearer = format!("Bearer {}", crate::support::token::service());
        request.headers.push(("Authorization".into(), bearer));
        request.body = body.map(String::into_bytes);
        http::exchange(("127.0.0.1", self.ground.server.port()), &request)
            .await
            .map_err(|err| format!("no answer: {err}"))
    }

    async fn play(&mut self) -> Verdict {
        self.run_all("setup_sql").await?;
        self.settle().await?;
        let scenario = self.scenario;
        let connections = scenario
            .json
            .get("connections")
            .map_or(&[][..], Json::items);
        for connection in connections {
            if field(connection, "open") != Some("later")
                && let Some(answer) = self.open(connection).await?
            {
                return Err(format!("refused: {} {}", answer.status, answer.text()));
            }
        }
        let steps = scenario.json.get("steps").map_or(&[][..], Json::items);
        for (n, step) in steps.iter().enumerate() {
            let last = n + 1 == steps.len();
            let verdict = if step.get("expect").is_some() {
                self.expect(step, last).await
            } else if step.get("expect_until").is_some() {
                self.expect_until(step, last).await
            } else {
                self.acted = Instant::now();
                self.act(step, connections).await
            };
            let note = field(step, "note").map(|note| format!(" ({note})"));
            verdict.map_err(|err| format!("step {}{}: {err}", n + 1, note.unwrap_or_default()))?;
        }
        Ok(())
    }

    /// Waits until messages of `setup_sql` have passed through the server: a member who joins before that hears them.
    async fn settle(&self) -> Verdict {
        let setup = self
            .scenario
            .json
            .get("setup_sql")
            .map_or(&[][..], Json::items);
        let stores = |sql: &str| sql.contains("insert into realtime.messages");
        if !setup.iter().filter_map(Json::text).any(stores) {
            return Ok(());
        }
        let topic = format!("settled_{}", uuid::Uuid::new_v4().simple());
        let target = Target {
            address: "127.0.0.1".into(),
            port: self.ground.server.port(),
            host: self.host.clone(),
            path: format!(
                "/socket/websocket?vsn=2.0.0&apikey={}",
                crate::support::token::anon()
            ),
            headers: Vec::new(),
        };
        let Ok(socket) = Socket::connect(&target).await else {
            return Err("no connection to wait on".into());
        };
        let deadline = Instant::now() + Duration::from_secs(20).mul_f64(slow());
        socket.text(format!(
            r#"["1","1","realtime:{topic}","phx_join",{{"config":{{}}}}]"#
        ));
        // The reply, then the message that was sent after everything else.
        let joined = socket.holds(1, deadline).await;
        self.sql(&format!(
            "select realtime.send('{{}}', 'settled', '{topic}', false)"
        ))
        .await?;
        let settled = socket.holds(2, deadline).await;
        socket.terminate();
        match joined && settled {
            true => Ok(()),
            false => Err("what was set up did not pass through the server".into()),
        }
    }

    async fn run_all(&self, key: &str) -> Verdict {
        let statements = self.scenario.json.get(key).map_or(&[][..], Json::items);
        for statement in statements.iter().filter_map(Json::text) {
            self.sql(statement).await?;
        }
        Ok(())
    }

    /// Changes of policies can deadlock with the server's own questions: tried again.
    async fn sql(&self, statement: &str) -> Verdict {
        let mut tries = 0;
        loop {
            let Err(err) = self.database.batch_execute(statement).await else {
                return Ok(());
            };
            tries += 1;
            if err.code() != Some(&SqlState::T_R_DEADLOCK_DETECTED) || tries == 5 {
                return Err(format!("{statement}: {err:?}"));
            }
            tokio::time::sleep(Duration::from_millis(100 * tries)).await;
        }
    }

    /// Opens a connection; `Some` is the answer of a server that refused.
    async fn open(&mut self, connection: &Json) -> Result<Option<Response>, String> {
        let filler = self.filler();
        let mut parameters = Vec::new();
        if let Some(token) = field(connection, "token") {
            parameters.push(format!("apikey={}", query(&filler.token(token))));
        }
        let serializer = self.scenario.json.get("serializer");
        if let Some(vsn) = connection.get("vsn").or(serializer).and_then(Json::text) {
            parameters.push(format!("vsn={}", query(vsn)));
        }
        for (name, value) in connection.get("params").map_or(&[][..], Json::members) {
            let value = filler.text(value.text().unwrap_or_default());
            parameters.push(format!("{}={}", query(name), query(&value)));
        }
        let headers = connection.get("headers").map_or(&[][..], Json::members);
        let target = Target {
            address: "127.0.0.1".into(),
            port: self.ground.server.port(),
            host: field(connection, "host").unwrap_or(&self.host).into(),
            path: format!("/socket/websocket?{}", parameters.join("&")),
            headers: headers
                .iter()
                .map(|(name, value)| {
                    let value = filler.text(value.text().unwrap_or_default());
                    (name.clone(), value)
                })
                .collect(),
        };
        let name = field(connection, "name").ok_or("a connection without name")?;
        match Socket::connect(&target).await {
            Ok(socket) => {
                self.sockets.insert(name.to_owned(), socket);
                Ok(None)
            }
            Err(Failure::Refused(answer)) => Ok(Some(answer)),
            Err(Failure::Io(err)) => Err(format!("no connection: {err}")),
        }
    }

    fn socket(&self, name: &str) -> Result<&Socket, String> {
        let found = self.sockets.get(name);
        found.ok_or_else(|| format!("no connection {name}"))
    }

    /// Every kind of step that is not an expectation of frames.
    async fn act(&mut self, step: &Json, connections: &[Json]) -> Verdict {
        if let Some(frame) = step.get("send") {
            let times = step.get("times").and_then(Json::int).unwrap_or(1);
            for _ in 0..times {
                self.send(field(step, "at").unwrap_or_default(), frame)?;
            }
        } else if let Some(statement) = field(step, "sql") {
            self.sql(&self.filler().text(statement)).await?;
        } else if let Some(request) = step.get("http") {
            for _ in 0..step.get("times").and_then(Json::int).unwrap_or(1) {
                let answer = self.request(request).await?;
                if let Some(expected) = step.get("response") {
                    self.compare_response(expected, &answer)?;
                }
            }
        } else if let Some(name) = field(step, "connect") {
            let connection = connections.iter().find(|c| field(c, "name") == Some(name));
            let connection = connection.ok_or_else(|| format!("no connection {name}"))?;
            match (self.open(connection).await?, step.get("refused")) {
                (Some(answer), Some(expected)) => self.compare_response(expected, &answer)?,
                (Some(answer), None) => {
                    return Err(format!("refused: {} {}", answer.status, answer.text()));
                }
                (None, Some(_)) => return Err("accepted, a refusal was expected".into()),
                (None, None) => {}
            }
        } else if let Some(name) = field(step, "discard") {
            let wait = millis(step, "wait_ms").unwrap_or(Duration::from_millis(500));
            tokio::time::sleep(wait).await;
            self.socket(name)?.take(usize::MAX);
        } else if let Some(name) = field(step, "disconnect") {
            // What comes after our own close is not part of the conversation any more.
            let socket = self.sockets.remove(name).ok_or("no such connection")?;
            socket.close(1000);
            tokio::spawn(async move {
                socket
                    .holds(usize::MAX, Instant::now() + Duration::from_secs(5))
                    .await;
            });
        } else if let Some(name) = field(step, "terminate") {
            self.sockets.remove(name).ok_or("no such connection")?;
        } else if let Some(name) = field(step, "close") {
            let code = step.get("code").and_then(Json::int).unwrap_or(1000);
            let code = u16::try_from(code).map_err(|err| err.to_string())?;
            self.socket(name)?.close(code);
        } else if let Some(wait) = millis(step, "wait_ms") {
            tokio::time::sleep(wait).await;
        } else {
            return Err(format!("unknown step {step}"));
        }
        Ok(())
    }

    fn send(&self, at: &str, frame: &Json) -> Verdict {
        let socket = self.socket(at)?;
        if let Some(digits) = field(frame, "binary_hex") {
            let mut bytes = hex(digits);
            if let Some(more) = frame.get("then_repeat") {
                let byte = hex(field(more, "byte").unwrap_or_default());
                let count = more.get("count").and_then(Json::int).unwrap_or(0);
                for _ in 0..count {
                    bytes.extend_from_slice(&byte);
                }
            }
            socket.binary(bytes);
        } else if let Some(text) = field(frame, "raw_text") {
            socket.text(self.filler().text(text));
        } else if let Some(digits) = field(frame, "ping_hex") {
            socket.ping(hex(digits));
        } else {
            socket.text(self.filler().json(frame).to_string());
        }
        Ok(())
    }

    async fn request(&self, request: &Json) -> Result<Response, String> {
        let filler = self.filler();
        let host = field(request, "host").map(|host| filler.text(host));
        let mut headers = vec![
            ("Host".to_owned(), host.unwrap_or_else(|| self.host.clone())),
            ("Connection".to_owned(), "close".to_owned()),
        ];
        for (name, value) in request.get("headers").map_or(&[][..], Json::members) {
            headers.push((name.clone(), filler.text(value.text().unwrap_or_default())));
        }
        let mut body = None;
        if let Some(json) = request.get("json") {
            if !headers.iter().any(|(name, _)| name == "content-type") {
                headers.push(("content-type".into(), "application/json".into()));
            }
            body = Some(filler.json(json).to_string().into_bytes());
        } else if let Some(text) = field(request, "text") {
            body = Some(filler.text(text).into_bytes());
        } else if let Some(digits) = field(request, "hex") {
            body = Some(hex(digits));
        }
        let request = Request {
            method: field(request, "method").unwrap_or("GET").into(),
            path: filler.text(field(request, "path").unwrap_or("/")),
            headers,
            body,
        };
        http::exchange(("127.0.0.1", self.ground.server.port()), &request)
            .await
            .map_err(|err| format!("no answer: {err}"))
    }

    fn compare_response(&mut self, expected: &Json, got: &Response) -> Verdict {
        let filler = self.filler();
        let status = expected.get("status").and_then(Json::int);
        if status != Some(u64::from(got.status)) {
            return Err(format!(
                "status: expected {status:?}, got {} {}",
                got.status,
                got.text()
            ));
        }
        for (name, value) in expected.get("headers").map_or(&[][..], Json::members) {
            let have = got.header(name);
            let fits = match (value.text(), have) {
                (None, None) => true,
                (Some(want), Some(have)) => text_matches(&filler.text(want), have, &mut self.bound),
                _ => false,
            };
            if !fits {
                return Err(format!("header {name}: expected {value}, got {have:?}"));
            }
        }
        if let Some(json) = expected.get("json") {
            let have = Json::parse(&got.text());
            let have = have.map_err(|err| format!("body is not JSON ({err}): {}", got.text()))?;
            same(&filler.json(json), &have, &mut self.bound, "body")?;
        } else if let Some(body) = field(expected, "body")
            && !text_matches(&filler.text(body), &got.text(), &mut self.bound)
        {
            return Err(format!("body: expected {body:?}, got {:?}", got.text()));
        }
        Ok(())
    }

    /// Exactly these items, then silence.
    async fn expect(&mut self, step: &Json, last: bool) -> Verdict {
        let expected = step.get("expect").map_or(&[][..], Json::items);
        let slowest = expected
            .iter()
            .filter_map(|item| millis(item, "after_ms"))
            .max();
        let patience = millis(step, "timeout_ms")
            .unwrap_or(slowest.unwrap_or_default() * 2 + Duration::from_secs(5));
        let deadline = Instant::now() + patience.mul_f64(slow());
        let mut by_socket: Vec<(&str, Vec<&Json>)> = Vec::new();
        for item in expected {
            let at = field(item, "at").unwrap_or_default();
            match by_socket.iter_mut().find(|(name, _)| *name == at) {
                Some((_, items)) => items.push(item),
                None => by_socket.push((at, vec![item])),
            }
        }
        for (at, wanted_here) in by_socket {
            let socket = self.socket(at)?;
            socket.holds(wanted_here.len(), deadline).await;
            let items = socket.take(wanted_here.len());
            if items.len() < wanted_here.len() {
                return Err(format!(
                    "at {at}: {} of {} arrived in time: {}; still expected {}",
                    items.len(),
                    wanted_here.len(),
                    list(&items),
                    wanted_here[items.len()]
                ));
            }
            let unordered = step.get("unordered") == Some(&Json::Bool(true));
            let compared = if unordered {
                self.in_any_order(&wanted_here, &items)
            } else {
                let strict = step.get("strict") == Some(&Json::Bool(true));
                self.in_order(&wanted_here, &items, strict)
            };
            compared.map_err(|err| format!("at {at}: {err}"))?;
        }
        self.quiet(step, last).await
    }

    fn in_any_order(&mut self, expected: &[&Json], items: &[(Instant, Item)]) -> Verdict {
        let fits = pair_up(
            expected.len(),
            items.len(),
            &mut self.bound,
            &mut |want, got, bound| same_item(expected[want], &items[got].1, bound).is_ok(),
        );
        if fits {
            return Ok(());
        }
        let expected: Vec<String> = expected.iter().map(|e| wanted(e).to_string()).collect();
        Err(format!(
            "no pairing in any order of\n      {}\n    with\n      {}",
            expected.join("\n      "),
            list(items)
        ))
    }

    /// The order holds within each topic, or with `strict` for the whole connection.
    fn in_order(&mut self, expected: &[&Json], items: &[(Instant, Item)], strict: bool) -> Verdict {
        let lane = |value: &Json| if strict { Json::Null } else { lane(value) };
        let mut rest: Vec<(Json, &(Instant, Item))> = items
            .iter()
            .map(|item| (lane(&describe(&item.1)), item))
            .collect();
        for (n, want) in expected.iter().enumerate() {
            let track = lane(want);
            let Some(at) = rest.iter().position(|(have, _)| *have == track) else {
                let got = list(items);
                return Err(format!("item {}: {want} is missing; got {got}", n + 1));
            };
            let (_, (time, item)) = rest.remove(at);
            same_item(want, item, &mut self.bound)
                .map_err(|err| format!("item {}: {err}\n      got {}", n + 1, describe(item)))?;
            let after = time.saturating_duration_since(self.acted);
            if let Some(earliest) = millis(want, "not_before_ms")
                && after < earliest
            {
                return Err(format!(
                    "item {} came after {after:?}, not {earliest:?}",
                    n + 1
                ));
            }
        }
        Ok(())
    }

    /// After the expected items nothing more may come for a while.
    async fn quiet(&self, step: &Json, last: bool) -> Verdict {
        let wait = millis(step, "quiet_ms").unwrap_or(Duration::from_millis(100));
        tokio::time::sleep(wait).await;
        if step.get("then_more").is_some() {
            return Ok(());
        }
        for (at, socket) in &self.sockets {
            let unread = socket.unread();
            let unwanted = unread.iter().find(|item| {
                // A socket without channels may be swept by the recorded server at any time.
                !last || !matches!(item, Item::Close { code: 1006, .. })
            });
            if unwanted.is_some() {
                let all: Vec<String> = unread.iter().map(|i| describe(i).to_string()).collect();
                return Err(format!("at {at}: unexpected {}", all.join(" ")));
            }
        }
        Ok(())
    }

    /// Reads until the wanted item; what comes before must be allowed.
    async fn expect_until(&mut self, step: &Json, last: bool) -> Verdict {
        let want = step.get("expect_until").ok_or("nothing wanted")?;
        let at = field(want, "at").unwrap_or_default();
        let allowed = want.get("allow").map_or(&[][..], Json::items);
        let patience = millis(step, "timeout_ms").unwrap_or(Duration::from_secs(10));
        let deadline = Instant::now() + patience.mul_f64(slow());
        for n in 0.. {
            let socket = self.socket(at)?;
            if !socket.holds(1, deadline).await {
                return Err(format!(
                    "at {at}: {} did not arrive ({n} allowed did)",
                    wanted(want)
                ));
            }
            let items = socket.take(1);
            let Some((_, item)) = items.first() else {
                continue;
            };
            let mut trial = self.bound.clone();
            if same_item(want, item, &mut trial).is_ok() {
                self.bound = trial;
                break;
            }
            let known = allowed
                .iter()
                .any(|allow| same_item(allow, item, &mut self.bound.clone()).is_ok());
            if !known {
                return Err(format!(
                    "at {at}: neither wanted nor allowed: {}",
                    describe(item)
                ));
            }
        }
        self.quiet(step, last).await
    }
}
