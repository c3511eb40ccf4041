//! `coordrl study`: the experiments of the CoordConv paper beside Atari.

mod all;
pub(super) mod settings;

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use coordrl_studies::{Split, Task, find_task, tasks};

use self::settings::StudySettingFlags;
use crate::exit_code::{BadRequest, ExitCode};
use crate::metrics::console::{describe_secs, print_result, shell_quote, status};
use crate::run::launch::Destination;
use crate::run::run_dir::{RunDir, RunDirError};
use crate::run::train_loop::RunOutcome;
use crate::run::trainable::Trainable;
use crate::study::launch::{self, StudyRun};
use crate::study::{StudyResult, StudyRunConfig, dump, resolve};
use crate::text::table::table;

const EXAMPLES: &str = "\
Examples:
  coordrl study classify
  coordrl study render --layer conv --split quadrant --epochs 200
  coordrl study regress --split quadrant --seed 3 --set study.learning_rate=0.005 --json
  coordrl study classify --split quadrant --set study.coordinate_amplitude=0.125
  coordrl study classify --resume runs/studies/classify-uniform/coordconv/seed1-20260101-120000
  coordrl study classify --dump not-so-clevr
  coordrl study detect --layer conv --preset paper
  coordrl study detect --set study.detect.second_stage=true
  coordrl study gan --preset released
  coordrl study vae --layer conv
  coordrl study imagenet --data /data/imagenet --preset paper --device cuda:0
  coordrl study lsun --data /data/bedrooms --layer conv";

/// The experiments of the CoordConv paper beside Atari.
#[derive(Debug)]
pub enum Study {
    /// One task.
    One(&'static Task, Box<Flags>),
    /// Every task.
    All(Box<all::All>),
}

const ALL_ABOUT: &str =
    "Run all but the longest tasks: one table beside the paper's numbers, and figures";

/// One subcommand per task in the registry, and `all`.
impl Subcommand for Study {
    fn augment_subcommands(mut command: Command) -> Command {
        for task in tasks() {
            let of_task = Flags::augment_args(Command::new(task.name));
            command = command.subcommand(of_task.about(task.summary).after_help(EXAMPLES));
        }
        command.subcommand(all::All::augment_args(Command::new("all")).about(ALL_ABOUT))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        name == "all" || find_task(name).is_ok()
    }
}

impl FromArgMatches for Study {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some(("all", flags)) => Ok(Self::All(Box::new(all::All::from_arg_matches(flags)?))),
            Some((name, flags)) => {
                let task = find_task(name)
                    .map_err(|error| clap::Error::raw(ErrorKind::InvalidSubcommand, error))?;
                Ok(Self::One(task, Box::new(Flags::from_arg_matches(flags)?)))
            }
            None => Err(clap::Error::new(ErrorKind::MissingSubcommand)),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Flags of a single task.
#[derive(Debug, Args)]
pub struct Flags {
    #[command(flatten)]
    settings: StudySettingFlags,
    /// Folder of all runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs_dir: PathBuf,
    /// Name of the run's folder [default: seed and time]
    #[arg(long)]
    name: Option<String>,
    /// Initial weights: a safetensors file or a run; `imagenet` takes torchvision's names, and a plain
    /// network for one with the layer under study
    #[arg(long, value_name = "FILE|RUN", conflicts_with = "resume")]
    init_from: Option<PathBuf>,
    /// Resume this run from its last checkpoint
    #[arg(long, value_name = "RUN", conflicts_with = "name")]
    resume: Option<PathBuf>,
    /// Write the data set to this folder instead of training: squares as PNG and safetensors, or what
    /// the program draws, as a folder for --data
    #[arg(long, value_name = "DIR")]
    dump: Option<PathBuf>,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
    /// Stop with a checkpoint when stdin closes, for programs that start runs
    #[arg(long, hide = true)]
    stop_when_stdin_closes: bool,
}

impl Study {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::One(task, flags) => flags.run(task),
            Self::All(all) => all.run(),
        }
    }
}

#[cfg(test)]
impl Study {
    /// Returns the settings of a single study's command line.
    fn settings(&self) -> anyhow::Result<StudyRunConfig> {
        match self {
            Self::One(task, flags) => flags.settings.of_new(task, &flags.runs_dir),
            Self::All(_) => anyhow::bail!("not a single study"),
        }
    }
}

impl Flags {
    fn run(&self, task: &'static Task) -> anyhow::Result<ExitCode> {
        if let Some(dir) = &self.dump {
            return dump_data(task, dir);
        }

        match &self.resume {
            Some(path) => self.resume(task, path),
            None => self.start(task),
        }
    }

    fn start(&self, task: &'static Task) -> anyhow::Result<ExitCode> {
        let config = self.settings.of_new(task, &self.runs_dir)?;
        let group = launch::group(&self.runs_dir, &config);
        let to = Destination { group, name: self.name.clone() };
        self.train(launch::new_run(config, &to, self.init_from.as_deref())?)
    }

    fn resume(&self, task: &'static Task, path: &Path) -> anyhow::Result<ExitCode> {
        let run = RunDir::open_to_train(path)?;
        let old: StudyRunConfig = run.read_config()?;
        if old.task != task {
            let found = old.task.name.to_owned();
            let wanted = task.name.to_owned();
            return Err(RunDirError::OtherGame { path: path.to_owned(), found, wanted }.into());
        }

        let config = resolve(self.settings.layers_over_run(&old, path)?.finish()?)?;
        launch::check_resume(&old, &config)?;
        let loaded = launch::load(&run, &config)?;
        let subject = &loaded.built.subject;
        if subject.is_done(&loaded.progress) {
            status!("nothing to do: {} is done; a larger `--epochs` extends it", path.display());
            return self.report(subject.result(run.path(), &loaded.progress));
        }

        self.train(launch::resume(run, loaded)?)
    }

    fn train(&self, mut run: StudyRun) -> anyhow::Result<ExitCode> {
        if self.stop_when_stdin_closes {
            run.stop_flag().follow_stdin();
        }

        let outcome = run.train()?;
        if outcome == RunOutcome::Interrupted {
            let task = run.subject().study().task();
            let updates = run.progress().updates;
            let folder = shell_quote(run.dir().path());
            status!(
                "stopped at {updates} updates; continue with: coordrl study {task} --resume {folder}"
            );
            return Ok(ExitCode::Interrupted);
        }

        self.report(run.subject().result(run.dir().path(), run.progress()))
    }

    fn report(&self, result: Option<StudyResult>) -> anyhow::Result<ExitCode> {
        if let Some(result) = result {
            let text = match self.json {
                true => serde_json::to_string(&result)?,
                false => as_table(&result),
            };
            print_result(&text)?;
        }
        Ok(ExitCode::Ok)
    }
}

/// Writes the data of the task to a folder.
fn dump_data(task: &'static Task, dir: &Path) -> anyhow::Result<ExitCode> {
    let of_centres = task.splits.iter().all(|split| Split::OF_CENTRES.contains(split));
    let written = match task.drawn {
        Some(drawn) => dump::write_drawn(drawn, dir).map(|count| format!("{count} pictures")),
        None if of_centres => dump::write(dir).map(|()| "3136 squares, both splits".to_owned()),
        None => {
            let names: Vec<&str> = tasks()
                .iter()
                .filter(|task| task.drawn.is_some() || task.splits == Split::OF_CENTRES)
                .map(|task| task.name)
                .collect();
            let text = format!(
                "`--dump` writes the data sets of {}; `{task}` has another",
                names.join(", ")
            );
            return Err(BadRequest::error(text));
        }
    };
    // A full disk is not the user's mistake; a folder that cannot be written usually is.
    let written = written.map_err(|error| match error.cause.kind() {
        std::io::ErrorKind::StorageFull => anyhow::Error::new(error),
        _ => BadRequest::error(format!("`--dump {}`: {error}", dir.display())),
    })?;
    print_result(&format!("{}: {written}", dir.display()))?;
    Ok(ExitCode::Ok)
}

fn as_table(result: &StudyResult) -> String {
    let mut header: Vec<String> = ["parameters", "epochs", "time"].map(String::from).into();
    let mut cells = vec![
        result.parameters.to_string(),
        result.epochs.to_string(),
        describe_secs(result.seconds),
    ];
    if find_task(&result.task).is_ok_and(|task| task.mark.is_some()) {
        header.push("mark held".to_owned());
        cells.push(if result.held { "yes" } else { "no" }.to_owned());
    }
    for (name, value) in &result.measures {
        header.push(name.replace('_', " "));
        cells.push(value.as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.4}")));
    }

    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    format!("{}\n{}", result.run.display(), table(&header, &[cells]))
}
