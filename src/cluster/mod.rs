//! What leaves and enters this node.
