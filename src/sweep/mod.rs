//! Grids of runs, each a process of its own: games × algorithms × torsos × seeds.

pub mod record;
