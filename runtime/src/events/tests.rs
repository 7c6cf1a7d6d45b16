use futures::{FutureExt as _, StreamExt as _};
use superstep_engine::FrameId;

use super::mailbox::ROOM;
use super::*;

fn activation(vertex: &str) -> ActivationId {
    let vertex = vertex.into();
    ActivationId { frame: FrameId::ROOT, vertex, incarnation: 0, superstep: 1, element: None }
}

fn text(vertex: &str, text: &str) -> RunEvent {
    RunEvent::Text { activation: activation(vertex), text: text.to_owned() }
}

fn drain(events: RunEvents) -> Vec<RunEvent> {
    events.collect().now_or_never().expect("the hub is closed")
}

#[test]
fn events_come_in_order_and_pieces_of_a_text_together() {
    let hub = Hub::default();
    hub.notice(&Notice::Paused);
    let events = hub.events();
    hub.text(&activation("a"), "one ");
    hub.text(&activation("a"), "two");
    hub.text(&activation("b"), "three");
    hub.notice(&Notice::Paused);
    hub.text(&activation("b"), "four");
    hub.durable(7);
    hub.close();
    let expected =
        [text("a", "one two"), text("b", "three"), RunEvent::Notice(Notice::Paused), text("b", "four")];
    assert_eq!(drain(events), expected);
    assert_eq!(drain(hub.events()), [], "whoever comes after the end hears that it is over");
}

#[test]
fn texts_are_dropped_with_a_mark_before_any_notice() {
    let hub = Hub::default();
    let events = hub.events();
    let long = "x".repeat(1_000);
    for _ in 0..2 * ROOM {
        hub.text(&activation("a"), &long);
    }
    for _ in 0..ROOM + 5 {
        hub.notice(&Notice::Paused);
    }
    hub.text(&activation("a"), "lost too");
    hub.close();
    let told = drain(events);
    let lost = 2 * ROOM as u64 * 1_000;
    assert_eq!(told[0], RunEvent::Missed { notices: 0, bytes: lost });
    assert_eq!(told.iter().filter(|event| **event == RunEvent::Notice(Notice::Paused)).count(), ROOM);
    assert_eq!(told[ROOM + 1..], [RunEvent::Missed { notices: 5, bytes: 8 }]);
}

#[test]
fn what_was_dropped_on_the_way_is_told_with_what_is_dropped_here() {
    let hub = Hub::default();
    let events = hub.events();
    hub.text(&activation("a"), "x");
    hub.missed(0);
    hub.missed(7);
    hub.missed(2);
    hub.text(&activation("a"), "y");
    drop(hub);
    assert_eq!(drain(events), [text("a", "x"), RunEvent::Missed { notices: 0, bytes: 9 }, text("a", "y")]);
}

#[test]
fn who_has_stopped_listening_is_forgotten() {
    let hub = Hub::default();
    drop(hub.events());
    let events = hub.events();
    hub.notice(&Notice::Paused);
    assert_eq!(hub.lock().mailboxes.len(), 1);
    drop(events);
    hub.notice(&Notice::Paused);
    assert!(!hub.anybody.load(Ordering::Acquire));
}

#[test]
fn the_growth_of_the_log_stands_between_the_texts_that_it_came_between() {
    let hub = Hub::default();
    hub.durable(3);
    let texts = hub.texts();
    hub.text(&activation("a"), "x");
    (4..9).for_each(|next| hub.durable(next));
    hub.notice(&Notice::Paused);
    hub.close();
    let mut told = Vec::new();
    while let Some(next) = texts.next().now_or_never().expect("the hub is closed") {
        told.push(next);
    }
    assert_eq!(told, [Told::Durable(3), Told::Event(text("a", "x")), Told::Durable(8)]);
}
