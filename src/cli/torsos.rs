//! `coordrl torsos`: lists the torsos.

use clap::Args;
use coordrl_agents::nn::torsos;
use serde_json::{Value, json};

use crate::exit_code::ExitCode;
use crate::metrics::console::print_result;
use crate::text::table::table;

const EXAMPLES: &str = "\
Examples:
  coordrl torsos
  coordrl torsos --json
  coordrl train breakout --torso coordconv";

/// List the torsos.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Torsos {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

impl Torsos {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let text = match self.json {
            true => serde_json::to_string(&as_json())?,
            false => as_table(),
        };
        print_result(&text)?;
        Ok(ExitCode::Ok)
    }
}

fn as_json() -> Vec<Value> {
    let list = torsos().iter();
    list.map(|torso| json!({ "name": torso.name, "summary": torso.summary })).collect()
}

fn as_table() -> String {
    let rows = torsos().iter().map(|torso| vec![torso.name.to_owned(), torso.summary.to_owned()]);
    table(&["torso", "summary"], &rows.collect::<Vec<_>>())
}
