//! HTTP doors: health, ping, metrics.
