//! `coordrl games`: lists the games.

use clap::Args;
use coordrl_envs::{GameKind, games};

use crate::exit_code::ExitCode;
use crate::metrics::console::print_result;
use crate::text::table::table;

const EXAMPLES: &str = "\
Examples:
  coordrl games
  coordrl games --json
  coordrl train ms_pacman";

/// List the games.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Games {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

impl Games {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let text = if self.json { serde_json::to_string(games())? } else { as_table() };
        print_result(&text)?;
        Ok(ExitCode::Ok)
    }
}

fn as_table() -> String {
    let rows: Vec<Vec<String>> = games()
        .iter()
        .map(|game| {
            let kind = match game.kind {
                GameKind::Atari => "atari",
                GameKind::Toy => "built in",
            };
            vec![game.name.to_owned(), kind.to_owned(), game.num_actions.to_string()]
        })
        .collect();
    table(&["game", "kind", "actions"], &rows)
}
