//! Topics, their members, and the outbox of one socket.
