//! Nobody gets what row level security hides from them.
