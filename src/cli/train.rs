//! `coordrl train`: starts, resumes or forks a run.

use std::path::{Path, PathBuf};

use clap::{Args, Parser};

use super::settings::{SettingFlags, note_rules_left_out};
use crate::config::{self, Layered, Layers, Origin, RunConfig};
use crate::eval::evaluation::{Evaluation, EvaluationSummary};
use crate::exit_code::{BadRequest, ExitCode};
use crate::fleet::LinkAddress;
use crate::game::launch::{self, GameRun, Start};
use crate::game::progress::Progress;
use crate::game::resume_rules::{check_fork, check_resume, how_to_extend};
use crate::game::training::{GameTraining, identity};
use crate::metrics::console::{describe_secs, print_result, shell_quote, status};
use crate::metrics::recorder::Recorder;
use crate::run::checkpoint::{self, Checkpoint};
use crate::run::launch::Destination;
use crate::run::run_dir::RunDir;
use crate::run::train_loop::RunOutcome;

const EXAMPLES: &str = "\
Examples:
  coordrl train pong --torso coordconv --seed 3
  coordrl train breakout --frames 4e6 --set a2c.optimizer.learning_rate=1e-3
  coordrl train --resume runs/pong/a2c-coordconv/seed3-20260101-120000";

/// Train an agent on a game, or continue a run.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Train {
    /// `catch` or an Atari game; `coordrl games` lists them
    game: Option<String>,
    #[command(flatten)]
    settings: SettingFlags,
    /// Folder of all runs [default: runs; a fork goes beside its original run]
    #[arg(long, help_heading = "Run", value_name = "DIR")]
    runs_dir: Option<PathBuf>,
    /// Name of the run's folder [default: seed and time]
    #[arg(long, help_heading = "Run")]
    name: Option<String>,
    /// Initial weights: a safetensors file or a run
    #[arg(long, help_heading = "Run", value_name = "FILE|RUN", conflicts_with = "resume")]
    init_from: Option<PathBuf>,
    /// Resume this run from its last checkpoint
    #[arg(long, help_heading = "Run", value_name = "RUN")]
    resume: Option<PathBuf>,
    /// Resume from this checkpoint instead of the last: a frame count or `best`
    #[arg(long, help_heading = "Run", value_name = "FRAMES", requires = "resume")]
    checkpoint: Option<String>,
    /// With --resume: start a new run from the checkpoint, so that settings may change; it is
    /// created beside the original run, or in --runs-dir
    #[arg(long, help_heading = "Run", requires = "resume")]
    fork: bool,
    /// Take experience also from `coordrl actor` on other machines, over a Redis (6.2 or later, or
    /// Valkey): a URL, `env` (the URL is in COORDRL_LINK) or @FILE. `ps` shows a URL: give one with
    /// a password by `env` or @FILE. Ape-X only
    #[arg(long, help_heading = "Run", value_name = "URL")]
    link: Option<String>,
    /// Stop with a checkpoint when stdin closes, for programs that start runs
    #[arg(long, hide = true)]
    stop_when_stdin_closes: bool,
}

/// Parser for the arguments of `coordrl train` alone.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Arguments {
    #[command(flatten)]
    train: Train,
}

/// Returns the resolved settings that `coordrl train` would use for these arguments.
pub fn settings_of(arguments: &[String], runs_dir: &Path) -> anyhow::Result<Layered<RunConfig>> {
    let parsed = Arguments::try_parse_from(arguments);
    let Train { game, settings, .. } = parsed
        .map_err(|error| BadRequest::error(error.to_string().trim_start_matches("error: ")))?
        .train;
    let mut layered = settings.layer(game.as_deref(), runs_dir)?.layered;
    layered.config = config::resolve(&layered)?;
    Ok(layered)
}

impl Train {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match &self.resume {
            Some(path) if self.fork => self.start_fork(path),
            Some(path) => self.start_resume(path),
            None => self.start_new(),
        }
    }

    fn start_new(&self) -> anyhow::Result<ExitCode> {
        let settings = self.settings.layer(self.game.as_deref(), self.runs_dir())?;
        if settings.layered.origin_of("game") == Origin::Default {
            return Err(BadRequest::error(
                "which game? as in `coordrl train pong` (`coordrl games` lists all)",
            ));
        }

        let config = config::resolve(&settings.layered)?;
        note_rules_left_out(&settings.layered.config.game, &config.env);
        let start = Start {
            preset: settings.preset,
            init_from: self.init_from.clone(),
            fork: None,
            link: self.link()?,
        };
        let to = self.destination(launch::group(self.runs_dir(), &config));
        self.train(launch::new_run(config, &to, start)?)
    }

    fn start_resume(&self, path: &Path) -> anyhow::Result<ExitCode> {
        if self.name.is_some() {
            return Err(BadRequest::error(
                "`--name` names a new run; with `--resume` it needs `--fork`",
            ));
        }

        // Locked before anything is read: another process might just be writing a checkpoint.
        let run = RunDir::open_to_train(path)?;
        let (old, layered) = self.settings_over_run(&run)?;
        let checkpoint = self.read_checkpoint(&run, &old)?;
        check_resume(&old, &layered, checkpoint.progress.frames)?;
        refuse_to_lose_checkpoints(&run, checkpoint.progress.frames)?;
        let done = checkpoint.progress.frames >= layered.config.frames;
        Recorder::check(&run, &checkpoint.progress.written, launch::CHOOSE_EARLIER)?;
        if done && !GameTraining::lacks_its_end(&run, &layered.config, checkpoint.progress.frames) {
            status!(
                "nothing to do: {} is at {} of {} frames; {}",
                path.display(),
                checkpoint.progress.frames,
                layered.config.frames,
                how_to_extend(&layered.config)
            );
            return Ok(ExitCode::Ok);
        }

        self.train(launch::resume(run, layered.config, checkpoint, self.link()?.as_ref())?)
    }

    fn start_fork(&self, path: &Path) -> anyhow::Result<ExitCode> {
        // Not locked: a fork only reads, and may start from a run that is still training.
        let run = RunDir::open_to_read(path)?;
        let (old, layered) = self.settings_over_run(&run)?;
        let checkpoint = self.read_checkpoint(&run, &old)?;
        check_fork(&old, &layered.config)?;
        let done = checkpoint.progress.frames;
        if done >= layered.config.frames {
            let text = format!(
                "nothing to train: the checkpoint stands at {done} of {} frames; give a larger `--frames`",
                layered.config.frames
            );
            return Err(BadRequest::error(text));
        }

        let from = checkpoint::folder_of(&run.checkpoints_dir(), done);
        let start = Start {
            fork: Some((from, launch::fork_progress(checkpoint))),
            link: self.link()?,
            ..Start::default()
        };
        let group = match &self.runs_dir {
            Some(runs_dir) => launch::group(runs_dir, &layered.config),
            None => run.parent()?,
        };

        self.train(launch::new_run(layered.config, &self.destination(group), start)?)
    }

    /// Returns the run's own settings, and those settings with the flags applied.
    fn settings_over_run(&self, run: &RunDir) -> anyhow::Result<(RunConfig, Layered<RunConfig>)> {
        if self.settings.names_preset_or_file() {
            return Err(BadRequest::error(
                "a run brings its own settings: leave out `--preset` and `--config`",
            ));
        }

        let old: RunConfig = run.read_config()?;
        if let Some(game) = &self.game {
            let wanted = coordrl_envs::find_game(game).map_or(game.as_str(), |info| info.name);
            run.expect_game(&old.game, wanted)?;
        }

        let mut layers = Layers::default();
        layers.add_config(&old, &Origin::Run(run.path().to_owned()));
        self.settings.layer_over_run(&mut layers, None)?;
        let mut layered = layers.finish()?;
        layered.config = config::resolve(&layered)?;
        Ok((old, layered))
    }

    fn read_checkpoint(
        &self,
        run: &RunDir,
        config: &RunConfig,
    ) -> anyhow::Result<Checkpoint<Progress>> {
        let dir = run.checkpoints_dir();
        let whose = identity(config);
        Ok(match self.checkpoint.as_deref() {
            None | Some("last") => checkpoint::read_newest(&dir, &whose)?,
            Some(wanted) => checkpoint::read(&checkpoint::choose(&dir, wanted)?.path, &whose)?,
        })
    }

    fn train(&self, run: GameRun) -> anyhow::Result<ExitCode> {
        if self.stop_when_stdin_closes {
            run.stop_flag().follow_stdin();
        }
        train(run, self.link()?.as_ref())
    }

    fn link(&self) -> anyhow::Result<Option<LinkAddress>> {
        self.link.as_deref().map(LinkAddress::of_flag).transpose()
    }

    fn runs_dir(&self) -> &Path {
        self.runs_dir.as_deref().unwrap_or(Path::new("runs"))
    }

    fn destination(&self, group: PathBuf) -> Destination {
        Destination { group, name: self.name.clone() }
    }
}

/// Refuses to resume from an earlier checkpoint, which would overwrite the later ones.
fn refuse_to_lose_checkpoints(run: &RunDir, from: u64) -> anyhow::Result<()> {
    let later = checkpoint::valid_after(&run.checkpoints_dir(), from);
    if later.is_empty() {
        return Ok(());
    }
    let later: Vec<String> = later.iter().map(|entry| entry.position.to_string()).collect();
    Err(BadRequest::error(format!(
        "going on from {from} frames would remove the checkpoints at {} and the metrics since; \
         add `--fork` to start a new run from there",
        later.join(", ")
    )))
}

/// Describes the score of the finished agent and the number of games behind it.
fn describe_evaluation(evaluation: &Evaluation) -> String {
    let EvaluationSummary { mean_return, episodes, .. } = evaluation.summary;
    let cut = match evaluation.games_cut.len() {
        0 => String::new(),
        cut => format!(", {cut} of them cut at `evaluation.final_max_frames`"),
    };
    format!("evaluated: mean return {mean_return:.2} over {episodes} games{cut}")
}

fn train(mut run: GameRun, link: Option<&LinkAddress>) -> anyhow::Result<ExitCode> {
    let outcome = run.train()?;
    let folder = run.dir().path().display();
    let progress = run.progress();
    let games = &progress.games;
    if outcome == RunOutcome::Interrupted {
        status!(
            "stopped at {} frames; continue with: coordrl train --resume {}{}",
            progress.frames,
            shell_quote(run.dir().path()),
            link.map(|link| format!(" --link {link}")).unwrap_or_default()
        );
        return Ok(ExitCode::Interrupted);
    }

    let result = match games.mean_return() {
        None => "no full game has ended".to_owned(),
        Some(mean) => {
            format!(
                "mean return of the last {} of {} full games: {mean:.2}",
                games.len(),
                games.total()
            )
        }
    };

    let result = match run.subject().final_evaluation() {
        None => result,
        Some(evaluation) => format!("{}; {result}", describe_evaluation(evaluation)),
    };

    let time = describe_secs(progress.wall_secs);
    print_result(&format!("{folder}: {} frames in {time}; {result}", progress.frames))?;
    Ok(ExitCode::Ok)
}
