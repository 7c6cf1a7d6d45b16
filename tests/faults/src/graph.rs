//! The graph that floods a worker.

use serde_json::json;

/// How messages reach the vertices of a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flood {
    /// Vertices elsewhere that send.
    pub(crate) senders: usize,
    /// Vertices of the worker that take.
    pub(crate) takers: usize,
    /// How often they do so, one superstep after another.
    pub(crate) times: usize,
}

impl Flood {
    /// How many messages reach the worker.
    pub(crate) fn messages(&self) -> usize {
        self.senders * self.takers * self.times
    }

    /// The graph: each sender sends the text of the input to each taker, which must be at the worker that has the
    /// label `small`. The output is how many characters came to all takers.
    pub(crate) fn graph(&self) -> Vec<String> {
        let came = "messages.size() * math.least(messages.map(one, size(one.payload.text)))";
        let more = format!("aggregates.times < {} ? 'more' : 'enough'", self.times);
        let mut vertices = vec![
            json!({"name": "tick", "requires": ["large"], "function": {"cel": "superstep"},
                "effects": {"contribute": {"times": "1"}}}),
            json!({"name": "all", "requires": ["large"], "join": {"mode": "All"}, "function": {"cel": "superstep"}}),
            json!({"name": "more", "requires": ["large"], "router": {"cel": more}}),
            json!({"name": "end", "requires": ["large"], "function": {"cel": "aggregates.characters"}}),
        ];
        let mut edges = vec![
            json!({"from": "all", "to": "more"}),
            json!({"from": "more", "port": "more", "to": "tick"}),
            json!({"from": "more", "port": "enough", "to": "end"}),
        ];
        for sender in 0..self.senders {
            let name = format!("send{sender:02}");
            edges.push(json!({"from": "tick", "to": name}));
            edges
                .extend((0..self.takers).map(|taker| json!({"from": name, "to": format!("take{taker:02}")})));
            vertices.push(
                json!({"name": name, "requires": ["large"], "function": {"cel": "{'text': input.text}"}}),
            );
        }
        for taker in 0..self.takers {
            let name = format!("take{taker:02}");
            edges.push(json!({"from": name, "to": "all"}));
            vertices.push(json!({"name": name, "requires": ["small"], "join": {"mode": "All"},
                "function": {"cel": "superstep"}, "effects": {"contribute": {"characters": came}}}));
        }
        let graph = json!({
            "apiVersion": "superstep.dev/v1alpha1",
            "kind": "AgentGraph",
            "metadata": {"name": "flood"},
            "spec": {
                "entry": ["tick"],
                "aggregators": [
                    {"name": "times", "fold": "Sum", "persistent": true},
                    {"name": "characters", "fold": "Sum", "persistent": true},
                ],
                "vertices": vertices,
                "edges": edges,
                "outputs": [{"vertex": "end"}],
                "limits": {"supersteps": 1000},
            },
        });
        vec![graph.to_string()]
    }
}
