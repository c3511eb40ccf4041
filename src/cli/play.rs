//! `coordrl play`: records a video of a full game.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use coordrl_agents::ActMode;
use tempfile::NamedTempFile;

use super::rules::{Rules, remarks};
use crate::config::assets;
use crate::config::{RunConfig, parse_count};
use crate::eval::evaluation::{EvalPlan, policy_of};
use crate::eval::video::Format;
use crate::eval::video::game::Ending;
use crate::eval::video::panel::SidePanel;
use crate::eval::video::recorder::{RecordSpec, VideoRecorder};
use crate::eval::video::sheet::to_png;
use crate::exit_code::{BadRequest, ExitCode};
use crate::game::training::identity;
use crate::metrics::console::{print_result, status};
use crate::run::checkpoint;
use crate::run::run_dir::RunDir;
use crate::stop_flag::StopFlag;
use crate::text::names;
use coordrl_agents::device::DeviceChoice;

/// Maximum GIF frame rate: a delay is a whole number of hundredths of a second, at least two.
const MOST_GIF_FPS: usize = 50;

const EXAMPLES: &str = "\
Examples:
  coordrl play runs/pong/a2c-conv/seed1-20260101-120000 --video pong.gif
  coordrl play runs/pong/a2c-conv/seed1-20260101-120000 --video pong.webp --panel --torso-view
  coordrl play runs/pong/a2c-conv/seed1-20260101-120000 --contact-sheet pong.png --game 3 --seed 7

Each game is the one that `coordrl eval` plays under the same number, seed and rules.
A video has the console's own colours and resolution; with a panel beside the screen, pixels are
enlarged. The run is not modified.";

/// Record a video of a full game.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Play {
    /// Run folder
    run: PathBuf,
    /// Output video: a file name ending in `.gif` or `.webp`
    #[arg(long, value_name = "FILE", required_unless_present = "contact_sheet")]
    video: Option<PathBuf>,
    /// Output contact sheet of the game: a PNG file
    #[arg(long, value_name = "FILE")]
    contact_sheet: Option<PathBuf>,
    /// Draw the network's input, value, and probabilities or Q-values beside the screen
    #[arg(long)]
    panel: bool,
    /// Draw the feature maps of the torso's first layer beside the screen
    #[arg(long)]
    torso_view: bool,
    /// Frame rate: 60, 30 or 15. Lower rates show the per-pixel maximum of the merged frames
    #[arg(long, value_name = "N", default_value = "30", value_parser = parse_rate)]
    fps: usize,
    /// Number of the game, as played by `coordrl eval`, counted from 1
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_count, allow_negative_numbers = true)]
    game: u64,
    /// Maximum length in emulator frames [default: until the game ends]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    frames: Option<u64>,
    /// Random seed; its streams are separate from those of training
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_count, allow_negative_numbers = true)]
    seed: u64,
    /// `last`, `best` or a frame count
    #[arg(long, value_name = "WHICH", default_value = "last")]
    checkpoint: String,
    /// auto, cpu or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    #[command(flatten)]
    rules: Rules,
}

impl Play {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if self.game == 0 {
            return Err(BadRequest::error("`--game 0`: games are counted from 1"));
        }

        if self.frames == Some(0) {
            return Err(BadRequest::error("`--frames 0`: the least is 1"));
        }

        let format = self.format()?;
        let mut outputs = self.open_outputs()?;
        let run = RunDir::open_to_read(&self.run)?;
        let config: RunConfig = run.read_config()?;
        let mode = self.rules.mode(config.algorithm())?;
        let env = self.rules.apply(&config.env)?;
        for remark in remarks(&config, &env, mode, self.game)? {
            status!("remark: {remark}");
        }

        let config = RunConfig { env, ..config };
        let entry = checkpoint::choose(&run.checkpoints_dir(), &self.checkpoint)?;
        let (_, weights) = checkpoint::read_weights(&entry, Some(&identity(&config)))?;
        let mut recorder = VideoRecorder::new(format, self.fps, self.contact_sheet.is_some());
        let ending = self.record(&config, &weights, mode, &mut recorder)?;
        if let Some(sheet) = outputs.contact_sheet.take() {
            sheet.write(&to_png(&recorder.sheet()?)?)?;
        }

        if let Some(video) = outputs.video.take() {
            video.write(&recorder.finish()?)?;
        }

        print_result(&told(&config, ending))?;
        Ok(ExitCode::Ok)
    }

    fn format(&self) -> anyhow::Result<Option<Format>> {
        let format = self.video.as_deref().map(Format::of).transpose();
        let format = format.map_err(|error| BadRequest::error(format!("`--video`: {error}")))?;
        if format == Some(Format::Gif) && self.fps > MOST_GIF_FPS {
            let text = "`--fps 60`: a GIF shows 50 pictures a second at most; 30 works, or a name in `.webp`";
            return Err(BadRequest::error(text));
        }
        Ok(format)
    }

    /// Opens the requested outputs, so that an unwritable path fails before the game is played.
    fn open_outputs(&self) -> anyhow::Result<Outputs> {
        if let Some(sheet) = &self.contact_sheet
            && sheet.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("png"))
        {
            let text =
                format!("`--contact-sheet {}`: its name must end in `.png`", sheet.display());
            return Err(BadRequest::error(text));
        }

        Ok(Outputs {
            video: VideoOutput::open_named("--video", self.video.as_deref())?,
            contact_sheet: VideoOutput::open_named(
                "--contact-sheet",
                self.contact_sheet.as_deref(),
            )?,
        })
    }

    fn record(
        &self,
        config: &RunConfig,
        weights: &[(String, tch::Tensor)],
        mode: ActMode,
        recorder: &mut VideoRecorder,
    ) -> anyhow::Result<Ending> {
        // As in training: another number of threads changes the last bits of the outputs.
        tch::set_num_threads(i32::try_from(config.torch_threads).unwrap_or(i32::MAX));
        let policy = policy_of(config, weights, self.device.resolve()?)?;
        let assets = assets(config.rom_dir.as_deref());
        let plan = EvalPlan {
            game: &config.game,
            env: &config.env,
            assets: &assets,
            episodes: 1,
            mode,
            seed: self.seed,
            first_game: 0,
            max_frames: None,
        };

        let spec = RecordSpec {
            number: self.game - 1,
            frame_limit: self.frames,
            beside: SidePanel { panel: self.panel, torso_view: self.torso_view },
        };

        // Nothing raises this flag, so Ctrl-C ends the command at once.
        recorder.record(&plan, &policy, spec, &StopFlag::default())
    }
}

/// Output files.
struct Outputs {
    video: Option<VideoOutput>,
    contact_sheet: Option<VideoOutput>,
}

/// Output file, written under a temporary name next to its final path.
struct VideoOutput {
    path: PathBuf,
    temporary: NamedTempFile,
}

impl VideoOutput {
    /// Opens the output of a flag; `None` if the flag is absent.
    fn open_named(flag: &str, path: Option<&Path>) -> anyhow::Result<Option<Self>> {
        let Some(path) = path else { return Ok(None) };
        names::check_path(flag, path)?;
        Self::open(path).map(Some)
    }

    fn open(path: &Path) -> anyhow::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let refuse =
            |why: String| BadRequest::error(format!("cannot write `{}`: {why}", path.display()));
        if !folder.is_dir() {
            return Err(refuse(format!("there is no folder `{}`", folder.display())));
        }

        if path.is_dir() {
            return Err(refuse("it is a folder".to_owned()));
        }

        // Temporary files are private by default; a video gets the usual permissions, subject to
        // umask.
        let usual = Permissions::from_mode(0o666);
        let temporary = tempfile::Builder::new().permissions(usual).tempfile_in(folder);
        let temporary = temporary.map_err(|error| refuse(error.to_string()))?;
        Ok(Self { path: path.to_owned(), temporary })
    }

    /// Writes the file and renames it into place, so that it is never partial.
    fn write(mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.path.display();
        self.temporary.write_all(bytes).with_context(|| format!("cannot write {path}"))?;
        // Flush before renaming: a crash must not leave an empty file under the final name.
        self.temporary.as_file().sync_all().with_context(|| format!("cannot write {path}"))?;
        // Up to here, an earlier file of this name is untouched.
        self.temporary.persist(&self.path).with_context(|| format!("cannot write {path}"))?;
        status!("{path} ({} KiB)", bytes.len().div_ceil(1024));
        Ok(())
    }
}

fn told(config: &RunConfig, ending: Ending) -> String {
    match ending {
        Ending::Game(game) => format!(
            "{}: a full game of {} frames, return {}",
            config.game, game.episode_length_frames, game.episode_return
        ),
        Ending::Limit | Ending::Stopped => format!("{}: the game was not over yet", config.game),
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
