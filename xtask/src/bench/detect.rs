//! `cargo xtask bench detect`: our engine beside rsigma-eval and a bare sonic-rs parse, on the
//! same events and rules, in one run. The programs measured stand in `bench/detect`, a workspace
//! of its own, because peers must not be part of normal builds.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell;

/// The kinds of stream.
const STREAMS: [&str; 3] = ["evtx", "mixed", "otrf"];
/// Copies of the EVTX files that make a folder large enough to be timed.
const COPIES: usize = 12;

/// Where things are.
struct Bench {
    program: PathBuf,
    corpus: PathBuf,
    rules: PathBuf,
    content: PathBuf,
    work: PathBuf,
    rounds: &'static str,
}

pub(crate) fn run(is_quick: bool) -> Result<()> {
    let corpus = shell::root().join("../shared/corpus");
    if !corpus.join("sigma-rules").is_dir() {
        bail!("the corpus is not there: {}", corpus.display());
    }
    let target = shell::target().join("bench-detect");
    let bench = Bench {
        program: target.join("release/watchfloor-bench-detect"),
        rules: corpus.join("sigma-rules"),
        corpus,
        content: shell::root().join("content"),
        work: target.join("data"),
        rounds: if is_quick { "1" } else { "3" },
    };
    shell::step("build the bench in release", || {
        // rsigma-eval names a newer compiler than it needs.
        let mut cargo = shell::cargo();
        cargo.args(["build", "--release", "--ignore-rust-version"]);
        cargo.current_dir(shell::root().join("bench/detect"));
        shell::run(cargo.env("CARGO_TARGET_DIR", &target))
    })?;
    shell::step("make the streams", || bench.prepare(is_quick))?;
    bench.compare_hits()?;
    bench.streams()?;
    bench.load()?;
    bench.folder()?;
    bench.correlations()?;
    bench.indicators()
}

impl Bench {
    fn measure(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = shell::command(&self.program.to_string_lossy(), ".");
        let text = shell::output(command.args(arguments))?;
        let line = text.lines().last().unwrap_or_default();
        serde_json::from_str(line).with_context(|| format!("the bench printed '{line}'"))
    }

    fn engine(&self, engine: &str, input: &str, rounds: &str) -> Result<Value> {
        let (rules, content) = (path(&self.rules), path(&self.content));
        self.measure(&[engine, input, &rules, &content, rounds])
    }

    fn prepare(&self, is_quick: bool) -> Result<()> {
        let events = if is_quick { "20000" } else { "60000" };
        let demo = path(&shell::root().join("demo"));
        let (corpus, out) = (path(&self.corpus), path(&self.work));
        let mut command = shell::command(&self.program.to_string_lossy(), ".");
        shell::run(command.args(["prepare", events, &corpus, &demo, &out]))?;
        self.copy_evtx()
    }

    /// The corpus has few EVTX files: copies of them make a folder worth timing.
    fn copy_evtx(&self) -> Result<()> {
        let mut files = Vec::new();
        for folder in ["sigma-regression", "evtx-to-mitre"] {
            gather(&self.corpus.join(folder), &mut files)?;
        }
        let folder = self.work.join("evtx");
        std::fs::create_dir_all(&folder)?;
        for copy in 0..COPIES {
            for (number, file) in files.iter().enumerate() {
                let to = folder.join(format!("{copy}-{number}.evtx"));
                if !to.exists() {
                    std::fs::copy(file, to)?;
                }
            }
        }
        Ok(())
    }

    fn stream(&self, name: &str) -> String {
        path(&self.work.join(format!("{name}.ndjson")))
    }

    fn compare_hits(&self) -> Result<()> {
        println!("\nFindings as pairs of event and rule, ours and rsigma-eval's:\n");
        println!("| stream | ours | rsigma-eval | different |\n|---|---|---|---|");
        for name in STREAMS {
            let hits = self.engine("hits", &self.stream(name), "1")?;
            let (ours, theirs) = (&hits["ours"], &hits["theirs"]);
            println!("| {name} | {ours} | {theirs} | {} |", hits["different"]);
        }
        Ok(())
    }

    fn streams(&self) -> Result<()> {
        println!("\nProcessor time per event on one thread, in microseconds:\n");
        println!(
            "| stream | ours | rsigma-eval | times | sonic-rs | share | ours, evaluation | \
             rsigma-eval, evaluation | times | two threads against one |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
        for name in STREAMS {
            let input = self.stream(name);
            let cost = |engine: &str| -> Result<f64> {
                Ok(microseconds(&self.engine(engine, &input, self.rounds)?))
            };
            let (ours, peer) = (cost("ours")?, cost("rsigma")?);
            let (ours_eval, peer_eval) = (cost("ours-eval")?, cost("rsigma-eval")?);
            let sonic = cost("sonic")?;
            let wall = |engine: &str| -> Result<f64> {
                let report = self.engine(engine, &input, self.rounds)?;
                Ok(report["seconds"].as_f64().unwrap_or(f64::NAN))
            };
            let two = wall("ours")? / wall("ours-two")?;
            println!(
                "| {name} | {ours:.1} | {peer:.1} | {:.1} | {sonic:.1} | {:.0} % | {ours_eval:.1} | \
                 {peer_eval:.1} | {:.1} | {two:.1} |",
                peer / ours,
                100.0 * sonic / ours,
                peer_eval / ours_eval,
            );
        }
        Ok(())
    }

    fn load(&self) -> Result<()> {
        println!("\nLoading all rules:\n\n| engine | rules | seconds | MiB |\n|---|---|---|---|");
        for engine in ["ours", "rsigma"] {
            let report = self.engine("load", engine, "1")?;
            let (rules, memory) = (&report["rules"], &report["memory_mib"]);
            let seconds = report["seconds"].as_f64().unwrap_or(f64::NAN);
            println!("| {engine} | {rules} | {seconds:.2} | {memory} |");
        }
        Ok(())
    }

    fn folder(&self) -> Result<()> {
        println!("\nA folder of EVTX files to findings, one thread:\n");
        println!(
            "| engine | files | MiB | events | seconds | peak MiB |\n|---|---|---|---|---|---|"
        );
        let folder = path(&self.work.join("evtx"));
        let (rules, content) = (path(&self.rules), path(&self.content));
        for engine in ["ours", "rsigma", "evtx"] {
            let arguments = ["folder", engine, &folder, &rules, &content, self.rounds];
            let report = self.measure(&arguments)?;
            let mib = report["bytes"].as_f64().unwrap_or(f64::NAN) / 1_048_576.0;
            let seconds = report["cpu_seconds"].as_f64().unwrap_or(f64::NAN);
            println!(
                "| {engine} | {} | {mib:.0} | {} | {seconds:.2} | {} |",
                report["files"], report["events"], report["memory_mib"],
            );
        }
        Ok(())
    }
}

impl Bench {
    fn correlations(&self) -> Result<()> {
        println!("\n1,000 correlations, one thread:\n");
        println!(
            "| run | events | events/s | groups | bytes of state | gave way |\n|---|---|---|---|---|---|"
        );
        for what in ["rules", "late", "shared"] {
            let report = self.measure(&["correlate", what, self.rounds])?;
            let rate = report["events_per_second"].as_f64().unwrap_or(f64::NAN);
            println!(
                "| {what} | {} | {rate:.0} | {} | {} | {} |",
                report["events"], report["groups"], report["bytes"], report["groups_dropped"],
            );
        }
        let groups = self.measure(&["correlate", "groups", "1"])?;
        println!("\nA million groups: {groups}");
        Ok(())
    }

    fn indicators(&self) -> Result<()> {
        println!("\nTen million indicators on every event:\n");
        println!(
            "| stream | cost, fastest | cost, median | set, MB | µs an event, all values new |"
        );
        println!("|---|---|---|---|---|");
        for name in STREAMS {
            let report = self.engine("indicators", &self.stream(name), self.rounds)?;
            let number = |key: &str| report[key].as_f64().unwrap_or(f64::NAN);
            println!(
                "| {name} | {:.1} % | {:.1} % | {:.0} | {:.1} |",
                100.0 * number("cost_of_fastest"),
                100.0 * number("cost_median"),
                number("set_bytes") / 1e6,
                number("look_up_us_per_event_all_values_new"),
            );
        }
        Ok(())
    }
}

fn microseconds(report: &Value) -> f64 {
    let number = |key: &str| report[key].as_f64().unwrap_or(f64::NAN);
    1e6 * number("cpu_seconds") / number("events")
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn gather(folder: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| path(folder))? {
        let found = entry?.path();
        if found.is_dir() {
            gather(&found, into)?;
        } else if found.extension().is_some_and(|end| end == "evtx") {
            into.push(found);
        }
    }
    Ok(())
}
