//! AWS in process.
