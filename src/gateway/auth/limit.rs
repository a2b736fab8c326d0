//! What is limited for each address.

use crate::limits::AddressLimiter;

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// New users with a password.
    SignUp,
    /// New users without anything.
    Anonymous,
    /// Sign-ins and refreshes.
    Token,
    /// Changes of the own user, which also say whether a password is the old one.
    User,
}

/// Counts by address and kind.
pub(super) type Limiter = AddressLimiter<Kind>;
