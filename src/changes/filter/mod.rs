//! Filter grammar and evaluation (postgres.md §2.3, §2.10).
