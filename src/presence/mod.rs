//! Who is where.
pub mod state;
