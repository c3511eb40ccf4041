//! Environments.
use gymnasium_rs as _; use pyo3 as _;
