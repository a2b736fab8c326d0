//! Key pairs for tests.
