//! What a scenario found: targets beside figures, the verdict on deliveries, and the file it all goes to.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::Run;
use super::check::Verdict;
use super::process::load_average;

/// What a figure should be.
#[derive(Clone, Copy)]
pub enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// Stated, without a target.
    None,
}

/// One row of the table of targets.
struct Row {
    what: String,
    target: Target,
    figure: f64,
    unit: &'static str,
    /// Figure through floor, where the target is not that ratio itself.
    floor: Option<f64>,
}

/// What a scenario found.
pub struct Outcome {
    name: &'static str,
    rows: Vec<Row>,
    figures: Map<String, Value>,
    pub verdict: Verdict,
    load_before: f64,
}

impl Outcome {
    /// Nothing yet.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            rows: Vec::new(),
            figures: Map::new(),
            verdict: Verdict::default(),
            load_before: load_average(),
        }
    }

    /// A figure that is a row of the table of targets.
    pub fn row(&mut self, what: &str, target: Target, figure: f64, unit: &'static str) {
        self.row_beside(what, target, figure, unit, None);
    }

    /// The same beside a floor of the same run and unit.
    pub fn row_beside(
        &mut self,
        what: &str,
        target: Target,
        figure: f64,
        unit: &'static str,
        floor: Option<f64>,
    ) {
        self.rows.push(Row {
            what: what.to_owned(),
            target,
            figure,
            unit,
            floor,
        });
    }

    /// Any other figure.
    pub fn figure(&mut self, name: &str, value: impl Into<Value>) {
        let value = match value.into() {
            Value::Number(number) => json!(number.as_f64().map(rounded)),
            value => value,
        };
        self.figures.insert(name.to_owned(), value);
    }

    /// Adds the verdict on one run.
    pub fn judge(&mut self, verdict: &Verdict) {
        self.verdict.add(verdict);
    }

    /// Prints it and writes its file. True when nothing was lost, doubled or delivered to the wrong socket.
    pub fn finish(self, seconds: f64, run: &Run) -> bool {
        let mut rows = Vec::new();
        for row in &self.rows {
            let (word, limit, met) = match row.target {
                Target::AtLeast(limit) => ("at least", Some(limit), Some(row.figure >= limit)),
                Target::AtMost(limit) => ("at most", Some(limit), Some(row.figure <= limit)),
                Target::None => ("", None, None),
            };
            let ratio = row.floor.map(|floor| row.figure / floor);
            println!(
                "  {:62} {:>12} {:24} {}{}",
                row.what,
                plain(row.figure),
                row.unit,
                limit.map_or(String::new(), |limit| format!("({word} {})", plain(limit))),
                match met {
                    Some(false) => "  MISSED",
                    _ => "",
                }
            );
            rows.push(json!({
                "what": row.what, "word": word, "target": limit, "figure": rounded(row.figure), "unit": row.unit,
                "floor": row.floor.map(rounded), "ratio_to_floor": ratio.map(rounded),
                "ratio_to_target": limit.map(|limit| rounded(row.figure / limit)), "met": met,
            }));
        }
        for (name, value) in &self.figures {
            println!("  {name:62} {value}");
        }
        let clean = self.verdict.clean();
        let Verdict {
            expected,
            received,
            lost,
            doubled,
            wrong,
            ref trouble,
        } = self.verdict;
        match clean {
            true => println!(
                "  {received} of {expected} delivered, none doubled, none to the wrong socket"
            ),
            false => println!(
                "  !!! NOT RIGHT: {received} of {expected} delivered, {lost} lost, {doubled} doubled, {wrong} to the wrong socket\n  !!! {}",
                trouble.join("\n  !!! ")
            ),
        }
        let flag = if run.quick { " --quick" } else { "" };
        let file = json!({
            "name": self.name, "command": format!("cargo bench --bench load --{flag} {}", self.name), "quick": run.quick, "built_here": run.built_here, "postgres": run.postgres.get(),
            "targets": rows, "figures": self.figures, "verdict": self.verdict.json(), "seconds": rounded(seconds),
            "load_average": { "before": self.load_before, "after": load_average() },
        });
        let folder = target_folder().join("bench/load");
        std::fs::create_dir_all(&folder).expect("a folder for results");
        let text = serde_json::to_string_pretty(&file).expect("json");
        std::fs::write(folder.join(format!("{}.json", self.name)), text + "\n")
            .expect("a file for results");
        clean
    }
}

/// Where cargo builds.
pub fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    )
}

/// Four digits that count: noise is in the third.
pub fn rounded(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return 0.0;
    }
    let scale = 10f64.powf(3.0 - number.abs().log10().floor());
    (number * scale).round() / scale
}

/// For reading.
pub fn plain(number: f64) -> String {
    match number.abs() {
        1000.0.. => format!("{number:.0}"),
        100.0.. => format!("{number:.1}"),
        10.0.. => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}
