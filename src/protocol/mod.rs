//! Phoenix messages and their two serializers (protocol.md §2).
