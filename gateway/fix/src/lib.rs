//! gateway/fix
