//! Transcripts of runs under `testdata/`: a command, its input, a line `----`, and what the run
//! then does, up to an empty line. `REWRITE=1` writes what happens into the files.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what went wrong by stopping")]

mod driver;

use std::fmt::Write as _;
use std::path::Path;

use driver::Driver;

/// Runs one transcript; what it should say.
fn play(text: &str) -> String {
    let mut driver = Driver::default();
    let mut played = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        writeln!(played, "{line}").unwrap();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut input = String::new();
        for line in lines.by_ref().take_while(|line| *line != "----") {
            writeln!(input, "{line}").unwrap();
        }
        while lines.next_if(|line| !line.is_empty()).is_some() {}
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        write!(played, "{input}----\n{}", driver.command(&words[0], &words[1..], &input)).unwrap();
    }
    played
}

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let played = play(&text);
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(&path, played).unwrap();
        return;
    }
    for (number, (expected, actual)) in text.lines().zip(played.lines()).enumerate() {
        assert_eq!(expected, actual, "{name}:{}", number + 1);
    }
    assert_eq!(text.lines().count(), played.lines().count(), "{name}");
}

#[test]
fn every_transcript_is_played() {
    let mut names: Vec<String> = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        check(&name);
    }
}
