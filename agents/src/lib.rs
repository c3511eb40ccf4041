//! Learning.
use tch as _;
