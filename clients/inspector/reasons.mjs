// Every way in which the server says no, or tells of a change, and what it means (protocol.md §1.4, §1.7, §3.11,
// §3.15, §3.16, §4, §5.1, §6.1). The first entry of a kind whose pattern fits is the explanation.
//
// `show` names what can be copied: read, write (policies), publish (a table), doctor (a command).

const newToken = 'Paste a fresh token and send it to the channels, or connect again.'
const keys = 'Compare the secret or key set that signs your tokens (JWT_SECRET of the stack, the auth service) with API_JWT_SECRET and API_JWT_JWKS of this server.'
const askOperator = 'Look into the server’s log, or ask who runs it; /metrics and dovetail doctor tell more.'

/** Answers to the request that should have become a WebSocket: `status` and the text of the body. */
const connect = [
  { status: 0, title: 'No answer', means: 'The browser could not reach the server, or was not allowed to read its answer: wrong host or port, the server is not running, a certificate is not trusted, an https page may not open ws://, or the server is another origin.', todo: ['Check the URL. Open it in a tab of its own to see whether anything answers.', 'From another origin the reason cannot be read: open the inspector of that server itself (its /inspector).'] },
  { status: 400, match: /header|upgrade/i, title: 'The server accepts the token, the WebSocket was not upgraded', means: 'Asked without an upgrade, the server finds nothing wrong with host, version and token. Something between here and there does not pass WebSockets on, or the server stopped for a moment.', todo: ['Try again.', 'Let the proxy pass Upgrade and Connection on (nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade").'] },
  { status: 400, title: 'Not a WebSocket request', means: 'The server got a request that is not a GET, or whose headers are not those of a WebSocket.', todo: ['Check what the proxy in between makes of the request.'] },
  { status: 403, match: /disabled for this tenant/i, title: 'The tenant is suspended', means: 'Somebody suspended this tenant through the tenant API. Nobody can connect.', todo: ['Unsuspend it: POST /api/tenants/{id}/unsuspend with an API token.'] },
  { status: 403, title: 'Protocol version refused', means: 'vsn must be 1.0.x or 2.0.x, written in full.', todo: ['Connect with vsn=2.0.0. If you did, the answer comes from a proxy or gateway in between.'] },
  { status: 404, match: /tenant not found/i, title: 'No such tenant', means: 'The tenant is taken from the host, up to its first dot, and the server has none of that name.', todo: ['Use the host of the tenant, or run with TENANT_FROM_HOST=false so that any host is the one tenant.'] },
  { status: 404, title: 'Nothing there', means: 'Something answers at this address, but there is no socket at this path.', todo: ['Take /socket/websocket at the server itself, /realtime/v1/websocket behind the gateway.'] },
  { status: 401, match: /API key is missing/, title: 'No token', means: 'The connection needs a token and none was sent.', todo: ['Paste the anon key or a user’s access token.'] },
  { status: 401, match: /not a valid JWT/, title: 'Not a JWT', means: 'The token is not three parts of base64url divided by dots. Keys that begin with sb_ are exchanged by the gateway, not by this server.', todo: ['Copy the whole token; paste the JWT rather than an sb_ key.'] },
  { status: 401, match: /key ID \(kid\)/, title: 'Unknown signing key', means: 'The token names the key that signed it (kid), and the server has no such key. Usually the auth service got new keys.', todo: [keys] },
  { status: 401, match: /generate JWT signer/, title: 'No key for this algorithm', means: 'The server has no key that fits the algorithm (alg) of the token.', todo: [keys] },
  { status: 401, match: /JWT signature/, title: 'Wrong signature', means: 'The token was signed with another secret than the server’s, or was changed.', todo: [keys] },
  { status: 401, match: /expired/i, title: 'Token expired', means: 'Its exp has passed.', todo: ['Paste a fresh token.', 'If it is fresh, compare the clocks.'] },
  { status: 401, match: /`role` and `exp`/, title: 'Claims missing', means: 'A token must have role (a role of the database) and exp (seconds since 1970).', todo: ['Sign it with both claims.'] },
  { status: 401, title: 'Token refused', means: 'The server, or a gateway before it, does not accept the token.', todo: ['Behind a gateway, also its own keys have to fit (ANON_KEY).', keys] },
  { status: 414, title: 'URL too long', means: 'Path and query have more than 8,000 bytes: the token is too big.', todo: ['Put less into the token.'] },
  { status: 429, match: /connected users/i, title: 'Too many users', means: 'As many sockets with channels as allowed are connected.', todo: ['Raise TENANT_MAX_CONCURRENT_USERS (max_concurrent_users of the tenant).'] },
  { status: 429, match: /joins per second/i, title: 'Too many joins', means: 'Clients join faster than allowed, averaged over a minute.', todo: ['Wait a moment. Raise TENANT_MAX_JOINS_PER_SECOND (max_joins_per_second of the tenant).'] },
  { status: 429, title: 'Too many requests', means: 'A limit is reached, here or at a gateway.', todo: ['Wait a moment and try again.'] },
  { status: 431, title: 'Headers too large', means: 'A header value is longer than MAX_HEADER_LENGTH (4096), or there are more than 100. Often cookies of the same host.', todo: ['Remove cookies of this host, or raise MAX_HEADER_LENGTH.'] },
  { status: 500, match: /Error connecting to Realtime|Internal Server Error/, title: 'Unacceptable claims', means: 'The token is signed correctly or not even JSON inside, but a claim has a value the server cannot take: exp or iat is not a number, or a claim differs from JWT_CLAIM_VALIDATORS (iss, aud).', todo: ['Compare the decoded claims with JWT_CLAIM_VALIDATORS.'] },
  { status: 502, title: 'Bad gateway', means: 'The gateway could not reach the server behind it.', todo: ['Is the realtime service running and healthy?'] },
  { status: 503, title: 'Unavailable', means: 'The server, or the gateway before it, does not serve at the moment.', todo: ['Wait and try again.'] },
  { status: 504, title: 'Gateway timeout', means: 'The server behind the gateway did not answer in time.', todo: ['Is the realtime service running and healthy?'] },
  { status: 200, title: 'Not the server', means: 'An ordinary page answers at this address.', todo: ['Check host, port and path.'] },
]

/** Close codes of the WebSocket. */
const close = [
  { code: 1000, title: 'Closed: idle', means: 'The server closes a socket from which nothing came for 60 s. Here heartbeats are sent every 25 s; browsers slow them down in tabs in the background or when the computer sleeps.', todo: ['Connect again.'] },
  { code: 1001, title: 'Closed: joins over the limit, or the tenant is gone', means: 'A join failed because too many joins a second were made, or because the tenant was deleted. All channels of the socket end with it.', todo: ['Wait a moment and connect again; raise TENANT_MAX_JOINS_PER_SECOND.'] },
  { code: 1002, title: 'Closed: protocol violation', means: 'A frame was not as WebSocket demands.', todo: ['A proxy in between changes frames. Connect without it.'] },
  { code: 1005, title: 'Closed', means: 'The other side closed without a code.', todo: [] },
  { code: 1006, title: 'Connection lost', means: 'The connection ended without a goodbye: the network, a proxy’s timeout, or the server’s process.', todo: ['Connect again. If it happens regularly after the same time, it is a proxy’s timeout.'] },
  { code: 1009, title: 'Closed: frame too big', means: 'A frame or message had more than 5,000,000 bytes.', todo: ['Send less at once.'] },
  { code: 1011, title: 'Closed: error in the server', means: 'The task of this socket failed.', todo: ['Please report it, with the server’s log.'] },
  { code: 1012, title: 'Closed: server restarts', means: 'The server shuts down or starts anew, or settings of the tenant changed and all its clients shall come back.', todo: ['Connect again.'] },
  { code: 1013, title: 'Closed: too slow', means: 'More than OUTBOX_MAX_BYTES (8 MiB) waited for this client, which did not read fast enough.', todo: ['Join fewer topics, or filter Postgres Changes.'] },
]

/** Why the server refuses a topic: joins (§4). */
const join = [
  { match: /^Unauthorized:/, title: 'No policy lets you in', means: 'The channel is private. To join, a policy FOR SELECT on realtime.messages must be true for this role and these claims, for extension broadcast or presence. None is, or one raised an error (then the server’s log says RlsPolicyError). With replay, broadcast must be readable.', todo: ['Add a policy like the one below, made for this topic and role; or join without “private”.', 'See which policy decided with dovetail doctor.'], show: ['read', 'doctor'] },
  { match: /^TopicNameRequired:/, title: 'The topic has no name', means: '“realtime:” must be followed by something.', todo: ['Write a topic name.'] },
  { match: /^unmatched topic/, title: 'Not a joined topic', means: 'Only topics that begin with realtime: can be joined, and messages are taken only on topics that this socket has joined at the moment.', todo: ['Join the topic first.'] },
  { match: /^RealtimeRestarting:/, title: 'Server is restarting', means: 'The server was told to stop.', todo: ['Connect again in a moment.'] },
  { match: /^TenantNotFound:/, title: 'Tenant is gone', means: 'The tenant was deleted after this socket connected.', todo: [askOperator] },
  { match: /^PrivateOnly:/, title: 'Public channels are switched off', means: 'The tenant allows private channels only (private_only).', todo: ['Tick “private”, and have a policy on realtime.messages like the one below.'], show: ['read'] },
  { match: /^ConnectionRateLimitReached:/, title: 'Too many users', means: 'As many sockets with channels as allowed are connected.', todo: ['Raise TENANT_MAX_CONCURRENT_USERS (max_concurrent_users of the tenant).'] },
  { match: /^ClientJoinRateLimitReached:/, title: 'Too many joins', means: 'Clients join faster than allowed, averaged over a minute. The server closes the socket.', todo: ['Wait and connect again; raise TENANT_MAX_JOINS_PER_SECOND.'] },
  { match: /^ChannelRateLimitReached:/, title: 'Too many channels', means: 'This socket has as many channels as allowed; joins still being refused count too.', todo: ['Leave some, or raise TENANT_MAX_CHANNELS_PER_CLIENT (max_channels_per_client of the tenant).'] },
  { match: /^InvalidJWT(Token|Expiration): Token has expired/, title: 'Token expired', means: 'The token of the connection, or the one given with the join, has passed its exp. The socket stays open; its first token is never replaced.', todo: [newToken] },
  { match: /^InvalidJWT(Token|Expiration): Fields/, title: 'Claims missing', means: 'A token must have role and exp.', todo: ['Sign it with both claims.'] },
  { match: /^InvalidJWT(Token|Expiration):/, title: 'Expiry not usable', means: 'exp passed while the join was being checked.', todo: [newToken] },
  { match: /^MalformedJWT:/, title: 'Not a JWT', means: 'The token of the join is not three parts of base64url.', todo: ['Copy the whole token.'] },
  { match: /^JwtSignatureError:/, title: 'Wrong signature', means: 'The token was signed with another secret than the server’s, or was changed.', todo: [keys] },
  { match: /^JwtSignerError:/, title: 'No key for this token', means: 'The server has no key that fits the kid or alg of the token.', todo: [keys] },
  { match: /^Unknown Error on Channel/, title: 'Unacceptable claims', means: 'A claim has a value the server cannot take: iat is not a number, or iss or aud differ from JWT_CLAIM_VALIDATORS.', todo: ['Compare the decoded claims with JWT_CLAIM_VALIDATORS.'] },
  { match: /^UnknownErrorOnChannel:/, title: 'The join was not understood', means: 'The payload of the join has a part of the wrong shape, or something unexpected happened.', todo: ['Compare the join frame with the documentation.', askOperator] },
  { match: /^UnableToConnectToProject:/, title: 'Database unreachable', means: 'The server cannot reach the tenant’s database. Public channels need it too in the original.', todo: ['Is the database up? Check DB_HOST and its kin with dovetail doctor.'] },
  { match: /^InitializingProjectConnection:/, title: 'Database connection is starting', means: 'The server is just connecting to the tenant’s database.', todo: ['Join again in a few seconds.'] },
  { match: /^DatabaseLackOfConnections:/, title: 'Database is full', means: 'The database has too few free connections.', todo: ['Raise max_connections of Postgres, or close other clients.'] },
  { match: /^DatabaseConnectionRateLimitReached:/, title: 'Database keeps failing', means: 'Several attempts to connect to the database failed within seconds; the server waits before the next.', todo: ['Check the database and its credentials.'] },
  { match: /^RealtimeDisabledForTenant:/, title: 'The tenant is suspended', means: 'Somebody suspended this tenant through the tenant API.', todo: ['Unsuspend it: POST /api/tenants/{id}/unsuspend with an API token.'] },
  { match: /^TimeoutOnRpcCall:|^ErrorOnRpcCall:/, title: 'Another node did not answer', means: 'A call to another node of the cluster failed.', todo: ['Join again.', askOperator] },
  { match: /^IncreaseConnectionPool:/, title: 'Database connections are busy', means: 'Policies could not be asked in time because all connections of the server’s pool were busy.', todo: ['Join again; raise the pool size (db_pool of the tenant), make policies cheaper.'] },
  { match: /^QueryCanceled:/, title: 'A policy took too long', means: 'The database cancelled the question whether you may join: a policy on realtime.messages is slow.', todo: ['Make the policies cheaper: index what they look up, wrap functions as (select auth.uid()).'], show: ['doctor'] },
  { match: /^MissingPartition:/, title: 'No partition for today', means: 'realtime.messages has no partition for the present, so policies cannot be asked.', todo: ['dovetail doctor says what to run; the server makes partitions ahead by itself when it may.'] },
  { match: /^Realtime was unable to connect to the project database/, title: 'Policies could not be asked', means: 'The database did not answer the question whether you may join.', todo: [askOperator], show: ['doctor'] },
  { match: /^UnableToReplayMessages: Replay is not allowed/, title: 'Replay needs a private channel', means: 'Only private channels can replay stored messages.', todo: ['Tick “private”, or leave the replay fields empty.'] },
  { match: /^UnableToReplayMessages: Replay params/, title: 'Replay settings not valid', means: 'since must be a whole number of milliseconds since 1970, limit a whole number from 1 to 25.', todo: ['Correct the replay fields.'] },
  { match: /^UnableToReplayMessages:/, title: 'Replay failed', means: 'The stored messages could not be read within 5 s.', todo: ['Join again without replay.', askOperator] },
  { match: /^MusterJoinError:/, title: 'Cluster not ready', means: 'The nodes of the cluster could not agree on this channel in time.', todo: ['Join again.'] },
  { match: /^no answer/, title: 'No answer', means: 'The server did not answer within 12 s.', todo: ['Look whether heartbeats are answered in the list of frames; if not, the connection is dead: connect again.'] },
]

/** `system` messages (§3.15, §3.11, §3.12, §3.16); the last are those of Postgres Changes. */
const system = [
  { match: /^Replication connection established/, good: true, title: 'Broadcast from the database is live', means: 'Messages written by SQL arrive from now on.', todo: [] },
  { match: /^Replication connection was not established/, title: 'Broadcast from the database is not live', means: 'The replication of realtime.messages did not start within a minute. The channel is closed.', todo: ['dovetail doctor tells about wal_level, slots and publications.'] },
  { match: /^Too many messages per second/, title: 'Too many messages', means: 'The tenant’s messages a second, averaged over a minute, are over the limit. The channel is closed.', todo: ['Send less, or raise TENANT_MAX_EVENTS_PER_SECOND (max_events_per_second of the tenant). Then join again.'] },
  { match: /^Too many presence messages per second/, title: 'Too many presence messages', means: 'The tenant’s presence messages a second are over the limit. The channel is closed.', todo: ['Track less often, or raise TENANT_MAX_PRESENCE_EVENTS_PER_SECOND. Then join again.'] },
  { match: /^Client presence rate limit exceeded/, title: 'You track too often', means: 'One channel may call track and untrack 5 times in 30 s. The channel is closed.', todo: ['Join again; raise CLIENT_PRESENCE_MAX_CALLS or shorten CLIENT_PRESENCE_WINDOW_MS.'] },
  { match: /^Track message size exceeded/, title: 'Presence payload too large', means: 'The tracked payload is larger than MAX_PAYLOAD_SIZE_IN_KB. The channel is closed.', todo: ['Track less, and join again.'] },
  { match: /^Server requested disconnect/, title: 'The server sends everybody away', means: 'Keys or settings of the tenant changed, or somebody reloaded it. The socket is closed with 1012; clients shall come back.', todo: ['Connect again.'] },
  { match: /^Subscribed to PostgreSQL/, good: true, title: 'Subscribed to Postgres Changes', means: 'Rows committed from now on arrive, as far as filter and policies allow.', todo: [] },
  { match: /^Token has expired/, title: 'Token expired', means: 'The token of this channel passed its exp. The channel is closed; the socket stays.', todo: ['Send a fresh token to the channels before the old one expires. Now: paste one, connect again.'] },
  { match: /^The token provided is not a valid JWT/, title: 'Not a JWT', means: 'The token sent to refresh the channel is not a JWT. The channel is closed.', todo: [newToken] },
  { match: /^The token provided is not acceptable/, title: 'Unacceptable claims', means: 'A claim of the new token has a value the server cannot take. The channel is closed.', todo: ['Compare the decoded claims with JWT_CLAIM_VALIDATORS.'] },
  { match: /^Fields `role` and `exp`/, title: 'Claims missing', means: 'The new token has no role or no exp. The channel is closed.', todo: [newToken] },
  { match: /^Failed to generate JWT signer|^:error_generating_signer/, title: 'No key for this token', means: 'The server has no key that fits the kid or alg of the new token. The channel is closed.', todo: [keys] },
  { match: /^:signature_error/, title: 'Wrong signature', means: 'The new token was signed with another secret. The channel is closed.', todo: [keys] },
  { match: /^You do not have permissions to read/, title: 'The new token may not read', means: 'No policy FOR SELECT on realtime.messages is true for the new token, or one raised an error. The channel is closed.', todo: ['Add a policy like the one below.'], show: ['read', 'doctor'] },
  { match: /^You no longer have permission to read/, title: 'Permission was withdrawn', means: 'A policy that let you read this topic does so no longer: its definition, the data it looks at, or your claims changed. The channel is closed.', todo: ['See which policy decided with dovetail doctor.'], show: ['read', 'doctor'] },
  { match: /^Realtime was unable to connect to the project database/, title: 'Database unreachable', means: 'Policies could not be asked again. The channel is closed.', todo: ['Join again when the database is back.', askOperator] },
  { match: /^Query was cancelled/, title: 'A policy took too long', means: 'The database cancelled the question whether you may stay. The channel is closed.', todo: ['Make the policies cheaper, and join again.'], show: ['doctor'] },
  { match: /^Node request timeout|^RPC call error/, title: 'Another node did not answer', means: 'A call within the cluster failed. The channel is closed.', todo: ['Join again.'] },
  { match: /^:(initializing|increase_connection_pool|tenant_db_too_many_connections|connect_rate_limit_reached|tenant_suspended)/, title: 'The server could not check the token', means: 'Its connection to the tenant’s database is starting, full or suspended. The channel is closed.', todo: ['Join again in a moment.', askOperator] },
  { match: /^Error parsing `filter` params/, title: 'Filter not understood', means: 'A filter is column=operator.value, several divided by commas; operators: eq neq lt lte gt gte in like ilike is match imatch isdistinct, each also after not. The list of in is in parentheses: id=in.(1,2). Nothing of this channel is subscribed.', todo: ['Correct the filter and join again.'] },
  { match: /^Error parsing `select` params/, title: 'Column list not understood', means: 'select must be a list of column names.', todo: ['Write names divided by commas and join again.'] },
  { match: /^Column selection is not supported for wildcard/, title: 'Columns need a table', means: 'Columns can be chosen only for one table with its schema, not with *.', todo: ['Name schema and table, or leave the columns empty.'] },
  { match: /^No subscription params provided/, title: 'No table', means: 'A subscription needs a schema or a table; with a filter both.', todo: ['Fill in schema and table.'] },
  { match: /^Unable to subscribe to changes with given parameters\. Please check Realtime is enabled/, title: 'Table is not published', means: 'No table of the publication supabase_realtime fits schema and table. Either there is no such table, or it was not added to the publication, or your role may not read it.', todo: ['Run the SQL below, then join again.'], show: ['publish'] },
  { match: /^Unable to subscribe to changes with given parameters\. An exception/, title: 'The database refuses the subscription', means: 'The end of the message says why: usually a column that does not exist or may not be read, or a value that does not fit its type.', todo: ['Correct the filter or the columns; grant select to the role.'], show: ['publish'] },
  { match: /^No rows of .* can be delivered: role/, title: 'The role may not read the table', means: 'The subscription stands, but nothing can arrive: the role has no SELECT on the table.', todo: ['Run the grant at the end of the message.'] },
  { match: /^No rows of .* can be delivered: row level security/, title: 'No policy shows a row', means: 'The subscription stands, but nothing can arrive: row level security is enabled on the table and lets this role see nothing.', todo: ['Create a policy FOR SELECT on the table for this role, and grant usage on its schema.'] },
  { match: /^Changes of the database cannot be received|^The connection to the database was lost/, title: 'Changes do not arrive at the moment', means: 'The server lost the stream of changes. It tries again by itself and says “Subscribed to PostgreSQL” when it is back.', todo: ['Wait, or see what dovetail doctor says.'] },
  { match: /^Changes may have been missed/, title: 'There may be a gap', means: 'While the stream was away, rows changed that nobody can tell you of any more.', todo: ['Read the rows again.', 'SLOT_DURABLE=true keeps the slot over such times.'] },
  { match: /^A change was too large to be read/, title: 'A change was left out', means: 'One change was too large for the server.', todo: ['Read the row again.'] },
  { match: /^The database could not be asked/, title: 'The database could not be asked', means: 'The subscription could not be checked; the server tries again every 5 to 10 s.', todo: ['Wait, or see what dovetail doctor says.'] },
  { match: /^\{:error, "Too many database timeouts"\}/, title: 'Database too slow', means: 'The subscription timed out; the server tries again every 5 to 10 s.', todo: ['Wait.', askOperator] },
]

/** Error replies to what was sent on a joined channel (§5.1, §6.1); the text is `event: reason`. */
const reply = [
  { match: /^broadcast: payload_size_exceeded/, title: 'Message too large', means: 'The payload is larger than MAX_PAYLOAD_SIZE_IN_KB (3,000 kB). Nobody received it.', todo: ['Send less at once.'] },
  { match: /^presence: Presence track payload must be a map/, title: 'Not an object', means: 'What is tracked must be a JSON object.', todo: ['Track { … }.'] },
  { match: /^presence: $/, title: 'Presence refused', means: 'On a private channel: no policy FOR INSERT on realtime.messages lets this role track here, or it could not be asked. Otherwise: the event was not track or untrack.', todo: ['Add a policy like the one below.'], show: ['write', 'doctor'] },
  { match: /^broadcast: no answer/, title: 'No acknowledgement', means: 'The channel asked for acknowledgements (ack) and none came. On a private channel that is how the server says no: no policy FOR INSERT on realtime.messages lets this role send here, or it could not be asked.', todo: ['Add a policy like the one below.'], show: ['write', 'doctor'] },
  { match: /: unmatched topic/, title: 'Not joined', means: 'The server does not have this channel any more.', todo: ['Join again.'] },
]

/** The end of a channel (§3.8). */
const channel = [
  { match: /^phx_close/, title: 'Channel closed', means: 'The server ended this channel in an orderly way. The message before it says why.', todo: ['Join again.'] },
  { match: /^phx_error/, title: 'Channel lost', means: 'The server lost this channel. Clients join again by themselves.', todo: ['Join again.', 'If it happens again, please report it with the server’s log.'] },
  { match: /^leave not answered/, title: 'Left', means: 'The server did not confirm the leave.', todo: [] },
]

/** All tables, by the kind of message. */
export const REASONS = { connect, close, join, system, reply, channel }
