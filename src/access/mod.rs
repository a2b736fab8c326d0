//! Who may read and write a topic.
