//! Integration tests, through the front door: real server, real Postgres, real clients.
