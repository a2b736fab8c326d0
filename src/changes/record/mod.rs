//! Rendering of a tuple as JSON (postgres.md §2.15).
