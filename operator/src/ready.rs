//! `superstep-operator ready`: whether an operator says that it is ready, which `helm test` asks.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take until it can be reached by one who has just begun to run, of whom the network has to hear.
const REACHED: Duration = Duration::from_secs(30);
/// How long nobody is asked for after an attempt.
const PAUSE: Duration = Duration::from_millis(500);
/// More than any answer has.
const ANSWER: u64 = 4_096;

/// Asks at `HOST:PORT`.
///
/// # Errors
/// Nobody answers there, or the answer is that it is not ready.
pub(crate) fn ask(address: &str) -> Result<String> {
    let mut stream = connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // In one piece: whoever has not read all of it when it hangs up takes its answer back.
    let question = format!("GET /readyz HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(question.as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER).read_to_string(&mut answer).with_context(|| format!("{address} gives no answer"))?;
    let (head, said) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split_whitespace().nth(1) != Some("200") {
        bail!("{address} is not ready: {}", said.trim());
    }
    Ok(said.trim().to_owned())
}

fn connect(address: &str) -> Result<TcpStream> {
    let begun = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Err(_) if begun.elapsed() < REACHED => sleep(PAUSE),
            connected => return connected.with_context(|| format!("nobody listens at {address}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn asked(answer: &'static str) -> Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let server = thread::spawn(move || -> std::io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut piece = [0; 256];
                let count = stream.read(&mut piece)?;
                assert!(count > 0, "{request:?}");
                request.extend_from_slice(&piece[..count]);
            }
            assert!(request.starts_with(b"GET /readyz "));
            stream.write_all(answer.as_bytes())
        });
        let told = ask(&address);
        server.join().map_err(|_| anyhow::anyhow!("the server has panicked"))??;
        told
    }

    #[test]
    fn an_operator_says_whether_it_is_ready() -> Result<()> {
        assert_eq!(asked("HTTP/1.0 200 OK\r\n\r\nok\n")?, "ok");
        let error = asked("HTTP/1.0 503 Service Unavailable\r\n\r\nobjects are being listed\n");
        assert!(error.is_err_and(|error| error.to_string().ends_with("objects are being listed")));
        Ok(())
    }
}
