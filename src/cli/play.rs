//! `coordrl play`: a video of a full game.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use coordrl_agents::ActMode;
use coordrl_envs::EpisodeStats;

use super::eval::PolicyMode;
use super::settings::parse_count;
use crate::assemble::assets;
use crate::checkpoint;
use crate::config::RunConfig;
use crate::device::DeviceChoice;
use crate::evaluation::{Plan, policy_of};
use crate::exit_code::{BadRequest, ExitCode};
use crate::metrics::console::{print_result, say};
use crate::run_dir::{RunDir, replace_file};
use crate::training::identity;
use crate::video::Format;
use crate::video::film::{Film, Scene};
use crate::video::panel::Beside;
use crate::video::sheet::to_png;

const EXAMPLES: &str = "\
Examples:
  coordrl play runs/pong/a2c-conv/seed1-20260101-120000 --video pong.gif
  coordrl play runs/pong/a2c-conv/seed1-20260101-120000 --video pong.webp --panel --torso-view
  coordrl play runs/pong/a2c-conv/seed1-20260101-120000 --contact-sheet pong.png --game 3 --seed 7

The game is one of those that `coordrl eval` plays with the same seed. A video has the console's own
colours and resolution, or, with something beside the screen, each pixel enlarged.";

/// Make a video of a full game.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Play {
    /// Run folder
    run: PathBuf,
    /// Where the video goes: a name that ends in `.gif` or `.webp`
    #[arg(long, value_name = "FILE", required_unless_present = "contact_sheet")]
    video: Option<PathBuf>,
    /// Where a page with pictures of the game goes: a PNG file
    #[arg(long, value_name = "FILE")]
    contact_sheet: Option<PathBuf>,
    /// Draw beside the screen what the network sees, its value and its probabilities or Q-values
    #[arg(long)]
    panel: bool,
    /// Draw beside the screen what the first layer of the torso makes of it
    #[arg(long)]
    torso_view: bool,
    /// Pictures a second: 60, 30 or 15. Fewer show the brightest pixels of the frames left out
    #[arg(long, value_name = "N", default_value = "30", value_parser = parse_rate)]
    fps: usize,
    /// Which of the games of `coordrl eval`, counted from 1
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_count, allow_negative_numbers = true)]
    game: u64,
    /// End after so many emulator frames [default: when the game ends]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    frames: Option<u64>,
    /// How actions are chosen [default: sampled; of an Ape-X run: epsilon]
    #[arg(long, value_enum)]
    policy: Option<PolicyMode>,
    /// Everything random follows from this number; streams differ from those of training
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_count, allow_negative_numbers = true)]
    seed: u64,
    /// `last`, `best`, or a number of frames
    #[arg(long, value_name = "WHICH", default_value = "last")]
    checkpoint: String,
    /// auto, cpu or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
}

impl Play {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if self.game == 0 {
            return Err(BadRequest::error("`--game 0`: games are counted from 1"));
        }
        if self.frames == Some(0) {
            return Err(BadRequest::error("`--frames 0`: the least is 1"));
        }
        let format = self.video.as_deref().map(Format::of).transpose();
        let format = format.map_err(|error| BadRequest::error(format!("`--video`: {error}")))?;
        [&self.video, &self.contact_sheet].into_iter().flatten().try_for_each(|path| check_place(path))?;
        let run = RunDir::open_to_read(&self.run)?;
        let config: RunConfig = run.read_config()?;
        let mode = super::eval::mode_of(config.algo, self.policy, None)?;
        let entry = checkpoint::choose(&run.checkpoints_dir(), &self.checkpoint)?;
        let (_, weights) = checkpoint::read_weights(&entry, Some(&identity(&config)))?;
        let mut film = Film::new(format, self.fps, self.contact_sheet.is_some());
        let ended = self.shoot(&config, &weights, mode, &mut film)?;
        self.write(film)?;
        print_result(&told(&config, ended))?;
        Ok(ExitCode::Ok)
    }

    fn shoot(
        &self,
        config: &RunConfig,
        weights: &[(String, tch::Tensor)],
        mode: ActMode,
        film: &mut Film,
    ) -> anyhow::Result<Option<EpisodeStats>> {
        tch::set_num_threads(i32::try_from(config.torch_threads).unwrap_or(i32::MAX));
        let policy = policy_of(config, weights, self.device.resolve()?)?;
        let assets = assets(config.rom_dir.as_deref());
        let plan = Plan {
            game: &config.game,
            env: &config.env,
            assets: &assets,
            episodes: 1,
            mode,
            seed: self.seed,
        };
        let scene = Scene {
            number: self.game - 1,
            frame_limit: self.frames,
            beside: Beside { panel: self.panel, torso_view: self.torso_view },
        };
        film.shoot(&plan, &policy, scene)
    }

    fn write(&self, film: Film) -> anyhow::Result<()> {
        let put = |path: &Path, bytes: &[u8]| {
            replace_file(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
            say(&format!("{} ({} KiB)", path.display(), bytes.len().div_ceil(1024)));
            Ok::<_, anyhow::Error>(())
        };
        if let Some(path) = &self.contact_sheet {
            put(path, &to_png(&film.sheet()?)?)?;
        }
        if let Some(path) = &self.video {
            put(path, &film.finish()?)?;
        }
        Ok(())
    }
}

/// Whether a file can be written there: found out before the game is played.
fn check_place(path: &Path) -> anyhow::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if folder.is_dir() {
        return Ok(());
    }
    Err(BadRequest::error(format!(
        "cannot write `{}`: there is no folder `{}`",
        path.display(),
        folder.display()
    )))
}

fn told(config: &RunConfig, ended: Option<EpisodeStats>) -> String {
    match ended {
        Some(game) => format!(
            "{}: a full game of {} frames, return {}",
            config.game, game.episode_length_frames, game.episode_return
        ),
        None => format!("{}: the game was not over yet", config.game),
    }
}

fn parse_rate(typed: &str) -> Result<usize, String> {
    match typed {
        "60" => Ok(60),
        "30" => Ok(30),
        "15" => Ok(15),
        _ => Err("60, 30 or 15: the console shows 60 frames a second".to_owned()),
    }
}
