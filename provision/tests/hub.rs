//! A hub on this machine that has one file, and can be told to misbehave.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How one request is answered. When all plans are used up, the file is served.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Plan {
    /// The file, or the range of it that is asked for.
    Serve,
    /// So many bytes of it, and then the connection is closed.
    Cut(usize),
    /// This status, and no file.
    Refuse(u16),
}

/// The hub; it ends with the process.
pub(crate) struct FakeHub {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl FakeHub {
    /// Begins to answer requests, one at a time and in the order of `plans`.
    pub(crate) fn start(file: Vec<u8>, plans: &[Plan]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, mut plans) = (Arc::clone(&requests), Vec::from(plans).into_iter());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = head(&stream);
                seen.lock().unwrap().push(request.clone());
                // A client that goes away is what some tests are about.
                drop(answer(&mut stream, &request, &file, plans.next().unwrap_or(Plan::Serve)));
            }
        });
        Self { address, requests }
    }

    /// What `HF_ENDPOINT` is to be.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The requests so far, in small letters: request line and headers.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn head(stream: &TcpStream) -> String {
    let lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    lines.map(|line| line.to_lowercase() + "\n").collect()
}

fn answer(stream: &mut TcpStream, request: &str, file: &[u8], plan: Plan) -> std::io::Result<()> {
    let tag = format!("\"{}\"", file.len());
    let field = |name: &str| request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let first =
        field("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    // A range of another file than the one that is here is not given.
    let first = first.filter(|_| field("if-range").is_none_or(|asked| asked == tag)).unwrap_or(0);
    let body = &file[first..];
    let (sent, length) = match plan {
        Plan::Refuse(status) => {
            return write!(stream, "HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
        Plan::Cut(bytes) => (bytes.min(body.len()), body.len()),
        Plan::Serve => (body.len(), body.len()),
    };
    let status = if first > 0 { "206 Partial Content" } else { "200 OK" };
    write!(stream, "HTTP/1.1 {status}\r\netag: {tag}\r\ncontent-length: {length}\r\nconnection: close\r\n")?;
    if first > 0 {
        write!(stream, "content-range: bytes {first}-{}/{}\r\n", file.len() - 1, file.len())?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(&body[..sent])
}
