use std::time::Instant;

use serde_json::json;
use tokio::time::sleep;

use super::*;

fn shell(script: &str) -> CommandLine {
    CommandLine {
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        variables: inherited_variables(&[]),
        timeout: Duration::from_secs(120),
        max_output_bytes: 1 << 20,
    }
}

async fn run(script: &str) -> Result<Payload, CommandError> {
    shell(script).run(&json!({"city": "Oslo"}), "key-1").await
}

#[tokio::test]
async fn an_answer_is_json_or_text() {
    for (script, expected) in [
        ("cat", json!({"city": "Oslo"})),
        ("echo ' [1, 2] '", json!([1, 2])),
        ("echo hello; echo you", json!({"text": "hello\nyou"})),
        ("true", json!({"text": ""})),
        // It never reads its input.
        ("exec <&-; echo 1", json!(1)),
        ("echo $SUPERSTEP_IDEMPOTENCY_KEY", json!({"text": "key-1"})),
        ("echo noise >&2; echo 2", json!(2)),
    ] {
        assert_eq!(run(script).await.unwrap().value(), &expected, "{script}");
    }
}

#[tokio::test]
async fn a_large_input_and_output_do_not_block_each_other() {
    let input = json!("x".repeat(500_000));
    assert_eq!(shell("cat").run(&input, "").await.unwrap().value(), &input);
    assert_eq!(shell("echo 1").run(&input, "").await.unwrap().value(), &json!(1));
}

#[tokio::test]
async fn what_fails_says_what_it_wrote_last() {
    let script = "i=0; while [ $i -lt 1000 ]; do echo line $i >&2; i=$((i+1)); done; exit 3";
    let failure = run(script).await.unwrap_err().into_failure(true);
    assert_eq!(failure.class, FailureClass::Permanent);
    let message = failure.message;
    assert!(message.contains("status: 3") && message.ends_with("line 999"), "{message}");
    assert!(message.len() < 2_300 && !message.contains("line 1\n"), "{message}");
    let ended = run("kill -9 $$").await.unwrap_err().to_string();
    assert!(ended.contains("signal: 9"), "{ended}");
    assert!(matches!(run(r"printf '\377\376'").await, Err(CommandError::NoText { .. })));
}

#[tokio::test]
async fn what_does_not_start_is_named() {
    let command = CommandLine { argv: vec!["no-such-program".to_owned()], ..shell("") };
    let error = command.run(&json!({}), "").await.unwrap_err().to_string();
    assert!(error.contains("no-such-program"), "{error}");
    let command = CommandLine { argv: Vec::new(), ..shell("") };
    assert!(matches!(command.run(&json!({}), "").await, Err(CommandError::Empty)));
}

#[tokio::test]
async fn no_shell_sees_the_arguments() {
    let argv = ["printf", "%s", "$(echo x); `y` | \"z\" *"].map(str::to_owned).to_vec();
    let answer = CommandLine { argv, ..shell("") }.run(&json!({}), "").await.unwrap();
    assert_eq!(answer.value(), &json!({"text": "$(echo x); `y` | \"z\" *"}));
}

#[tokio::test]
async fn only_named_variables_are_seen() {
    // `CARGO_MANIFEST_DIR` is set where tests run.
    let seen = |names: &[String]| {
        let command = CommandLine { variables: inherited_variables(names), ..shell("env") };
        async move { command.run(&json!({}), "").await.unwrap().value()["text"].as_str().unwrap().to_owned() }
    };
    assert!(!seen(&[]).await.contains("CARGO_MANIFEST_DIR="));
    let named = seen(&["CARGO_MANIFEST_DIR".to_owned(), "NO_SUCH_VARIABLE".to_owned()]).await;
    assert!(named.contains("CARGO_MANIFEST_DIR=") && named.contains("PATH="), "{named}");
}

#[tokio::test]
async fn too_much_output_ends_the_command() {
    let command = CommandLine { max_output_bytes: 1_000, ..shell("echo $$ >&2; exec yes") };
    let error = command.run(&json!({}), "").await.unwrap_err();
    assert!(matches!(error, CommandError::TooMuch { limit: 1_000, .. }), "{error}");
    let command = CommandLine { max_output_bytes: 4, ..shell("printf 1234") };
    assert_eq!(command.run(&json!({}), "").await.unwrap().value(), &json!(1234));
}

/// A script that leaves its number and those of two children in `$1` and hangs.
const HANGS: &str = "sleep 600 & echo $! >> pids; (trap '' TERM HUP; sleep 600) & echo $! >> pids; \
                     echo $$ >> pids; echo ready; wait";

/// Whether a process lives; a zombie counts.
fn exists(pid: &str) -> bool {
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::test_kill_process(pid).is_ok()
}

/// How many processes have left their number.
fn written(folder: &std::path::Path) -> usize {
    std::fs::read_to_string(folder.join("pids")).unwrap_or_default().lines().count()
}

async fn gone(folder: &std::path::Path, count: usize) {
    let pids = std::fs::read_to_string(folder.join("pids")).unwrap();
    let pids: Vec<&str> = pids.lines().collect();
    assert_eq!(pids.len(), count, "{pids:?}");
    let begun = Instant::now();
    while pids.iter().any(|pid| exists(pid)) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{pids:?} live on");
        sleep(Duration::from_millis(10)).await;
    }
}

fn hanging(folder: &std::path::Path) -> CommandLine {
    let script = format!("cd '{}'; {HANGS}", folder.display());
    shell(&script)
}

#[tokio::test]
async fn time_and_dropping_end_the_whole_group() {
    // On a busy machine the script may not have come to hang within the shorter times.
    for seconds in [2, 10, 60] {
        let folder = tempfile::tempdir().unwrap();
        let command = CommandLine { timeout: Duration::from_secs(seconds), ..hanging(folder.path()) };
        let error = command.run(&json!({}), "").await.unwrap_err();
        assert!(matches!(error, CommandError::TimedOut { .. }), "{error}");
        assert_eq!(error.into_failure(false).class, FailureClass::Permanent);
        if seconds == 60 || written(folder.path()) == 3 {
            gone(folder.path(), 3).await;
            break;
        }
    }

    let folder = tempfile::tempdir().unwrap();
    let command = hanging(folder.path());
    let running = tokio::spawn(async move { command.run(&json!({}), "").await });
    while written(folder.path()) < 3 {
        sleep(Duration::from_millis(10)).await;
    }
    running.abort();
    gone(folder.path(), 3).await;
}

#[tokio::test]
async fn what_outlives_the_command_is_ended_and_does_not_hold_it_up() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("cd '{}'; sleep 600 & echo $! > pids; echo 7", folder.path().display());
    assert_eq!(shell(&script).run(&json!({}), "").await.unwrap().value(), &json!(7));
    gone(folder.path(), 1).await;
}

#[tokio::test]
async fn a_process_that_left_the_group_is_waited_for_no_longer_than_a_moment() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "cd '{}'; setsid sh -c 'echo $$ > pids; exec sleep 600' & while [ ! -s pids ]; do sleep 0.01; done; echo 7",
        folder.path().display()
    );
    assert_eq!(shell(&script).run(&json!({}), "").await.unwrap().value(), &json!(7));
    let pid = std::fs::read_to_string(folder.path().join("pids")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
