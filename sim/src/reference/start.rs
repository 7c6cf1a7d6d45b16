//! What a superstep starts: activations, and the sub-graphs that they open.

use superstep_engine::{
    ActivationId, Failure, FailureClass, FrameId, MessageStatus, Notice, Payload, Received, Scene, View,
};
use superstep_graph::{VertexName, VertexSpec};

use super::frame::{Frame, Message, Place, Trail};
use super::judge::Plan;
use super::program::{elements, parted, received, run, together};
use super::{Begun, Ended, Open, Run};

impl Run<'_> {
    pub(super) fn start(&mut self, plan: Plan) {
        for place in &plan.skips {
            let inbox =
                self.frames.get_mut(&place.0).map(|frame| std::mem::take(&mut frame.state(&place.1).inbox));
            self.settle_all(place.0, &inbox.unwrap_or_default(), MessageStatus::Buffered);
        }
        for place in &plan.losers {
            // A join that would fail takes part like one that fires.
            let fails = plan.fails.contains(place).then_some(true);
            self.lose(place, plan.starts.get(place).copied().or(fails));
        }
        for place in plan.fails.iter().filter(|place| !plan.losers.contains(place)) {
            self.fail_join(place);
        }
        for (place, slot) in &plan.pardons {
            if let Some(frame) = self.frames.get_mut(&place.0) {
                frame.state(&place.1).owes.remove(slot);
            }
        }
        for (id, end, limited) in plan.closes {
            self.close(id, end, limited);
        }
        for (place, fires) in plan.starts {
            if !plan.losers.contains(&place) {
                self.activate(&place, fires);
            }
        }
        self.open_frames();
    }

    fn settle_all(&mut self, frame: FrameId, messages: &[Message], status: MessageStatus) {
        for message in messages {
            self.settle(frame, message, status, None);
        }
    }

    fn lose(&mut self, place: &Place, fires: Option<bool>) {
        self.cancel(place);
        if fires.is_some() {
            self.notices.push(Notice::Cancelled { activation: self.id(place) });
        }
        if let (Some(fires), Some(frame)) = (fires, self.frames.get_mut(&place.0)) {
            let inbox = std::mem::take(&mut frame.state(&place.1).inbox);
            let (lost, left): (Vec<Message>, Vec<Message>) =
                inbox.into_iter().partition(|message| fires || !frame.is_counted(message));
            frame.state(&place.1).inbox = left;
            self.settle_all(place.0, &lost, MessageStatus::Cancelled);
        }
    }

    fn fail_join(&mut self, place: &Place) {
        let Some(frame) = self.frames.get_mut(&place.0) else { return };
        let missing: Vec<String> = frame.missing(&place.1).iter().map(VertexName::to_string).collect();
        let inbox = std::mem::take(&mut frame.state(&place.1).inbox);
        let message = format!(
            "the join of vertex {:?} is incomplete: nothing came from {}",
            place.1,
            missing.join(", ")
        );
        let failure = Failure::new(FailureClass::Incomplete, message);
        let begun = Begun { id: self.id(place), trail: merged(&inbox), grouped: false };
        self.done.insert(place.clone(), (begun, Err(failure)));
        self.settle_all(place.0, &inbox, MessageStatus::Cancelled);
    }

    /// A frame has ended; its opener has, once all that it opened have.
    fn close(&mut self, id: FrameId, end: Ended, limited: bool) {
        let Some(parent) = self.frames.get(&id).and_then(|frame| frame.parent.clone()) else { return };
        let waiting = if end.is_ok() || limited { MessageStatus::Buffered } else { MessageStatus::Cancelled };
        self.drop_frame(id, waiting);
        let (place, element) = parent;
        let Some(open) = self.open.get_mut(&place) else { return };
        open.ends[element] = Some(end);
        if open.ends.iter().all(Option::is_some)
            && let Some(open) = self.open.remove(&place)
        {
            let ends = open.ends.into_iter().flatten().collect();
            self.complete(&place, open.begun, ends);
        }
    }

    fn id(&self, (frame, vertex): &Place) -> ActivationId {
        let (frame, vertex) = (*frame, vertex.clone());
        ActivationId { frame, vertex, incarnation: 0, superstep: self.superstep, element: None }
    }

    /// Starts a vertex, and lets its program run unless it is a sub-graph.
    pub(super) fn activate(&mut self, place: &Place, fires: bool) {
        let id = self.id(place);
        let Some(frame) = self.frames.get_mut(&place.0) else { return };
        let Some(vertex) = frame.rules.vertex(&place.1) else { return };
        let (drained, firing) = frame.drain(&place.1, fires);
        let mut trail = merged(&drained);
        trail.extend(firing.map(|firing| (place.1.clone(), firing)));
        let parts = parted(vertex.combiner, &drained);
        let seen = received(vertex.combiner, &parts);
        let messages = seen.clone().unwrap_or_default();
        let scene = scene(frame, &place.1, self.superstep, (messages, &drained));
        keep(frame, &place.1, &drained);
        for part in &parts {
            for (position, message) in part.iter().enumerate() {
                let status = if position == 0 { MessageStatus::Delivered } else { MessageStatus::Combined };
                self.settle(place.0, message, status, Some(self.superstep));
            }
        }
        let views = seen.and_then(|seen| views(vertex, scene, &seen));
        let grouped = vertex.for_each.is_some() && views.is_ok();
        let count = views.as_ref().map_or(1, Vec::len);
        self.activations += count as u64;
        let elements = grouped.then(|| u32::try_from(count).unwrap_or(u32::MAX));
        self.notices.push(Notice::Started { activation: id.clone(), elements });
        let begun = Begun { id, trail, grouped };
        match views {
            Err(failure) => drop(self.done.insert(place.clone(), (begun, Err(failure)))),
            Ok(views) if vertex.graph.is_some() && !views.is_empty() => self.want(place, begun, views),
            Ok(views) => {
                let ends = self.run_all(&begun, vertex, &views);
                self.complete(place, begun, ends);
            }
        }
    }

    fn run_all(&mut self, begun: &Begun, vertex: &VertexSpec, views: &[View]) -> Vec<Ended> {
        let mut ends = Vec::new();
        for (element, view) in (0u32..).zip(views) {
            let id = ActivationId { element: begun.grouped.then_some(element), ..begun.id.clone() };
            ends.push(run(&mut self.model, &id, vertex, view));
        }
        ends
    }

    fn complete(&mut self, place: &Place, begun: Begun, mut ends: Vec<Ended>) {
        let vertex = self.frames.get(&place.0).and_then(|frame| frame.rules.vertex(&place.1));
        let Some(vertex) = vertex else { return };
        let end = if begun.grouped { together(vertex, ends) } else { ends.remove(0) };
        self.done.insert(place.clone(), (begun, end));
    }

    /// Notes that an activation opens a sub-graph for each of its views.
    fn want(&mut self, place: &Place, begun: Begun, views: Vec<View>) {
        self.open.insert(place.clone(), Open { begun, ends: vec![None; views.len()] });
        for (element, view) in views.into_iter().enumerate() {
            let all = || Payload::list(view.messages.iter().map(|message| &message.payload));
            let input = match (&view.element, view.messages.as_slice()) {
                (Some(element), _) => element.clone(),
                (None, [only]) => only.payload.clone(),
                (None, _) => all(),
            };
            self.wanted.push((place.clone(), element, input));
        }
    }

    /// Opens what is wanted, and what that wants, in the order of those who want it (rule 19).
    pub(super) fn open_frames(&mut self) {
        while !self.wanted.is_empty() {
            let mut wanted = std::mem::take(&mut self.wanted);
            wanted.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
            let mut opened = Vec::new();
            for (place, element, input) in wanted {
                let opener = self.frames.get(&place.0).and_then(|frame| frame.rules.vertex(&place.1));
                let program = opener.and_then(|opener| opener.graph.as_ref());
                let Some(graph) = program.and_then(|program| self.library.get(&program.reference.name))
                else {
                    continue;
                };
                let id = FrameId(self.next_frame);
                self.next_frame += 1;
                let mut frame = Frame::open(graph, input, self.superstep);
                frame.parent = Some((place, element));
                self.frames.insert(id, frame);
                opened.push((id, graph));
            }
            for (id, graph) in opened {
                for name in &graph.entry {
                    self.activate(&(id, name.clone()), false);
                }
            }
        }
    }
}

/// What all the messages descend from.
fn merged(messages: &[Message]) -> Trail {
    let mut trail = Trail::new();
    for (join, firing) in messages.iter().flat_map(|message| &message.trail) {
        let latest = trail.entry(join.clone()).or_default();
        *latest = (*latest).max(*firing);
    }
    trail
}

/// What a program sees (rule 2).
fn scene(
    frame: &Frame<'_>,
    name: &VertexName,
    superstep: u64,
    (messages, drained): (Vec<Received>, &[Message]),
) -> Scene {
    let state = &frame.states[name];
    // What was drained of a sender hides what was kept of it before.
    let hidden =
        |kept: &&Message| drained.iter().any(|message| message.from == kept.from && message.id() > kept.id());
    let mut kept: Vec<&Message> = state.kept.iter().filter(|kept| !hidden(kept)).collect();
    kept.sort_by_key(|kept| kept.id());
    let kept = kept.into_iter().map(|kept| Received {
        from: kept.from.clone(),
        port: kept.port.clone(),
        payload: kept.payload.clone(),
    });
    Scene {
        input: frame.input.clone(),
        parameters: Payload::null(),
        messages,
        kept: kept.collect(),
        value: state.value.clone(),
        aggregates: frame.aggregates.clone().into(),
        superstep,
        route: None,
    }
}

/// Keeps what came over edges that retain (rule 4).
fn keep(frame: &mut Frame<'_>, name: &VertexName, drained: &[Message]) {
    for message in drained.iter().filter(|message| !message.direct) {
        let edge = frame.rules.edge(&message.from, &message.port, name);
        if edge.is_some_and(|edge| edge.retain) {
            frame.state(name).keep(message.clone());
        }
    }
}

/// What each element of an activation sees, or the activation itself.
fn views(vertex: &VertexSpec, scene: Scene, seen: &[Received]) -> Result<Vec<View>, Failure> {
    if vertex.for_each.is_none() {
        return Ok(vec![View::from(scene)]);
    }
    let whole = View::from(scene);
    let elements = elements(seen)?.into_iter();
    Ok(elements.map(|element| View { element: Some(element), ..whole.clone() }).collect())
}
