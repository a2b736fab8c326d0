//! The mergeable set behind presence.
