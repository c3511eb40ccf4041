//! coordrl
