//! Agents whose process goes away in the middle.

use std::sync::atomic::AtomicBool;

use futures::future::BoxFuture;
use superstep_engine::Failure;
use tokio::sync::Notify;

use super::*;
use crate::programs::tests::given::{scripted, tools, weather};
use crate::tool::{Tool, ToolRequest, ToolSignature};

/// A tool that does not end while it hangs.
struct Booking {
    signature: ToolSignature,
    is_idempotent: bool,
    hangs: AtomicBool,
    began: Notify,
    keys: Mutex<Vec<String>>,
}

impl Booking {
    fn new(is_idempotent: bool) -> Arc<Self> {
        let parameters = Arc::new(json!({"type": "object"}));
        let signature = ToolSignature { name: "book".to_owned(), description: String::new(), parameters };
        Arc::new(Self {
            signature,
            is_idempotent,
            hangs: AtomicBool::new(true),
            began: Notify::new(),
            keys: Mutex::default(),
        })
    }
}

impl Tool for Booking {
    fn signature(&self) -> &ToolSignature {
        &self.signature
    }

    fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    fn call(&self, request: ToolRequest) -> BoxFuture<'static, Result<Payload, Failure>> {
        self.keys.lock().unwrap().push(request.idempotency_key);
        self.began.notify_one();
        if self.hangs.load(Ordering::SeqCst) {
            return futures::future::pending().boxed();
        }
        futures::future::ready(Ok(Payload::from(json!("booked")))).boxed()
    }
}

const BOTH: &str = "both";

fn spec() -> Value {
    let model = json!({"name": "small", "modelServerRef": {"name": "small"}});
    let agent = json!({"model": "small", "tools": ["weather", "book"]});
    json!({
        "entry": [BOTH],
        "models": [model],
        "tools": [
            {"name": "weather", "custom": {"name": "weather"}},
            {"name": "book", "custom": {"name": "book"}},
        ],
        "vertices": [{"name": BOTH, "agent": agent}],
    })
}

fn both(weather: &Arc<crate::programs::tests::given::ClosureTool>, book: &Arc<Booking>) -> Programs {
    let calls = json!([{"name": "weather", "arguments": {"city": "Rome"}}, {"name": "book"}]);
    let script = json!({"rules": [{"turn": 1, "calls": calls}, {"last": "booked", "answer": "done"}]});
    let mut all = tools([Arc::clone(weather)]);
    all.insert("book", [Arc::clone(book) as Arc<dyn Tool>]).unwrap();
    scripted(script).with_tools(all)
}

#[tokio::test]
async fn a_tool_in_flight_at_a_crash_is_called_again_or_asked_about() {
    for is_idempotent in [true, false] {
        let (weather, book) = (weather(), Booking::new(is_idempotent));
        let (store, name) = (Store::memory(), "test".parse().unwrap());
        let heard = Arc::new(Heard::default());
        let run = Run::create(setup(both(&weather, &book), &heard), &store, new_run(spec())).unwrap();
        let handle = run.handle();
        let gone = async {
            book.began.notified().await;
            // The other tool ends at once, and its outcome is recorded meanwhile, behind that of the model.
            let ended = |record: &&Record| matches!(record, Record::CallEnded { .. });
            while store.read_only(&name).unwrap().records.iter().filter(ended).count() < 2 {
                tokio::task::yield_now().await;
            }
            handle.detach();
        };
        assert_eq!(tokio::join!(run.drive(), gone).0.unwrap(), None);

        book.hangs.store(false, Ordering::SeqCst);
        let stays = Setup { leave_when_paused: false, ..setup(both(&weather, &book), &heard) };
        let run = Run::resume(stays, &store, &name).unwrap();
        let handle = run.handle();
        let answering = async {
            if is_idempotent {
                return;
            }
            while asked(&heard).is_empty() {
                tokio::task::yield_now().await;
            }
            let (activation, ask) = asked(&heard).remove(0);
            assert_eq!(ask["unknownCall"], json!("tool book"));
            handle.answer(activation, Payload::from(json!({"result": "booked by hand"}))).await.unwrap();
        };
        let end = tokio::join!(run.drive(), answering).0.unwrap().unwrap();
        assert_eq!(end.outputs.value(), &json!({BOTH: {"text": "done"}}));
        assert_eq!(weather.arguments().len(), 1, "a call that had ended was made again");
        let keys = book.keys.lock().unwrap();
        assert_eq!(keys.len(), if is_idempotent { 2 } else { 1 });
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "the key has changed");
    }
}
