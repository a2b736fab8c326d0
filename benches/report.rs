//! Writes what the benches found into `docs/performance.md`.
//!
//! `cargo bench --bench report` reads `bench/load/*.json` (of the bench `load`) and `criterion/**/new/estimates.json` (of the bench `micro`) in
//! cargo's target folder, and rewrites what stands between `<!-- table: NAME -->` and `<!-- end -->`. What was not measured is not in the
//! tables; a table of which nothing was measured stays as it was.

#![allow(clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The order of the table; others follow.
const ORDER: &[&str] = &[
    "fanout",
    "rooms",
    "latency",
    "idle",
    "connect",
    "rejoin",
    "changes_everything",
    "changes_owner",
    "changes_owner_scale",
    "changes_member",
    "changes_drop",
    "changes_latency",
    "dbcast",
    "rest",
    "presence",
    "presence_churn",
];

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let page = root.join("docs/performance.md");
    let mut text = fs::read_to_string(&page).expect("docs/performance.md");
    let results = results(&target.join("bench/load"));
    if !results.is_empty() {
        replace(
            &mut text,
            "targets",
            &format!("{}\n\n{}", circumstances(root, &results), targets(&results)),
        );
    }
    let mut cases = Vec::new();
    collect(&target.join("criterion"), &mut Vec::new(), &mut cases);
    if !cases.is_empty() {
        cases.sort_by(|one, other| one.0.cmp(&other.0));
        replace(&mut text, "micro", &micro(&cases));
    }
    fs::write(&page, text).expect("docs/performance.md can be written");
    println!(
        "{} scenarios and {} small benches are in {}",
        results.len(),
        cases.len(),
        page.display()
    );
}

/// Puts a table between its marks.
fn replace(text: &mut String, name: &str, table: &str) {
    let begin = format!("<!-- table: {name} -->\n");
    let from = text
        .find(&begin)
        .unwrap_or_else(|| panic!("docs/performance.md has no mark of the table {name}"))
        + begin.len();
    let length = text[from..]
        .find("<!-- end -->")
        .unwrap_or_else(|| panic!("the table {name} has no end"));
    text.replace_range(from..from + length, &format!("\n{}\n\n", table.trim_end()));
}

fn results(folder: &Path) -> Vec<Value> {
    let mut results: Vec<Value> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|entry| fs::read_to_string(entry.path()).expect("a result"))
        .map(|text| serde_json::from_str(&text).expect("a result is JSON"))
        .collect();
    let name = |result: &Value| result["name"].as_str().unwrap_or_default().to_owned();
    results.sort_by_key(|result| {
        let name = name(result);
        (
            ORDER
                .iter()
                .position(|known| *known == name)
                .unwrap_or(usize::MAX),
            name,
        )
    });
    results
}

/// When, of what and on what, in one line.
fn circumstances(root: &Path, results: &[Value]) -> String {
    let commit = Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .current_dir(root)
        .output();
    let commit = commit
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default();
    let loads: Vec<f64> = results
        .iter()
        .flat_map(|result| {
            [
                &result["load_average"]["before"],
                &result["load_average"]["after"],
            ]
        })
        .filter_map(Value::as_f64)
        .collect();
    let least = loads.iter().copied().fold(f64::INFINITY, f64::min);
    let most = loads.iter().copied().fold(0.0, f64::max);
    let given = match results.iter().all(|result| result["built_here"] == true) {
        true => "",
        false => "; the server was a binary built before and given by `--binary`",
    };
    format!(
        "{}, commit {commit}, {} cores, Postgres {}, load average of the machine {least:.1} to {most:.1}{given}.",
        chrono::Utc::now().format("%Y-%m-%d"),
        std::thread::available_parallelism().map_or(0, usize::from),
        results
            .iter()
            .find_map(|result| result["postgres"].as_str())
            .unwrap_or("?"),
    )
}

fn targets(results: &[Value]) -> String {
    let mut table = "| what | target | figure | ratio to target, or to floor | met | command |\n| --- | --- | --- | --- | --- | --- |\n".to_owned();
    for result in results {
        let command = result["command"].as_str().unwrap_or_default();
        for row in result["targets"].as_array().into_iter().flatten() {
            let word = |name: &str| row[name].as_str().unwrap_or_default();
            let number = |name: &str| row[name].as_f64().map(readable);
            let target = number("target")
                .map_or_else(String::new, |target| format!("{} {target}", word("word")));
            let ratio = match (
                number("ratio_to_target"),
                number("ratio_to_floor"),
                number("floor"),
            ) {
                (_, Some(ratio), Some(floor)) => format!("{ratio} of a floor of {floor}"),
                (Some(ratio), ..) => ratio,
                _ => String::new(),
            };
            let met = match row["met"].as_bool() {
                Some(true) => "yes",
                Some(false) => "**no**",
                None => "",
            };
            let figure = number("figure").unwrap_or_default();
            let _ = writeln!(
                table,
                "| {} | {target} | {figure} {} | {ratio} | {met} | `{command}` |",
                word("what"),
                word("unit")
            );
        }
        let verdict = &result["verdict"];
        if verdict["clean"] != true {
            let _ = writeln!(
                table,
                "| **{}: deliveries were not right** | nothing lost | {} lost, {} doubled, {} wrong; {} | | **no** | `{command}` |",
                result["name"].as_str().unwrap_or_default(),
                verdict["lost"],
                verdict["doubled"],
                verdict["wrong"],
                verdict["trouble"].to_string().replace('|', "/"),
            );
        }
    }
    let sum = |name: &str| {
        results
            .iter()
            .filter_map(|result| result["verdict"][name].as_u64())
            .sum::<u64>()
    };
    let _ = write!(
        table,
        "\nOf {} deliveries {} came, {} were lost, {} doubled, {} to the wrong socket.",
        grouped(sum("expected")),
        grouped(sum("received")),
        sum("lost"),
        sum("doubled"),
        sum("wrong")
    );
    table
}

/// All `new/estimates.json` below a folder: name of the bench, mean in nanoseconds.
fn collect(folder: &Path, names: &mut Vec<String>, cases: &mut Vec<(String, f64)>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    if let Ok(text) = fs::read_to_string(folder.join("new/estimates.json")) {
        let estimates: Value = serde_json::from_str(&text).expect("estimates are JSON");
        if let Some(mean) = estimates["mean"]["point_estimate"].as_f64() {
            cases.push((names.join("/"), mean));
        }
    }
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !["new", "base", "change", "report"].contains(&name.as_str()) {
            names.push(name);
            collect(&entry.path(), names, cases);
            names.pop();
        }
    }
}

fn micro(cases: &[(String, f64)]) -> String {
    let mut table = "| bench (`cargo bench --bench micro`) | mean |\n| --- | --- |\n".to_owned();
    for (name, nanos) in cases {
        let mean = match *nanos {
            1e6.. => format!("{} ms", readable(nanos / 1e6)),
            1e4.. => format!("{} µs", readable(nanos / 1e3)),
            _ => format!("{} ns", readable(*nanos)),
        };
        let _ = writeln!(table, "| {name} | {mean} |");
    }
    table
}

/// A number with three digits that count, or all before the point.
fn readable(number: f64) -> String {
    match number.abs() {
        1000.0.. => grouped(number.round() as u64),
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

/// Thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
