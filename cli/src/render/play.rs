//! A graph over the supersteps of a run: what was there when, and what ran.

use std::collections::BTreeMap;

use superstep_graph::VertexName;

use super::column::id_of;
use super::drawing::{Arrow, Drawing, Figure};

/// Supersteps from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spell {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// Something that was there for some supersteps, and not for others.
pub(super) struct Lived<T> {
    /// What it was like at last.
    pub(super) latest: T,
    /// When it was there; sorted, and apart from each other.
    pub(super) spells: Vec<Spell>,
}

/// A vertex over the supersteps of a run.
pub(super) struct Role {
    /// The vertex as it is drawn; one that edges name and the graph has not is drawn, too.
    pub(super) figure: Lived<Figure>,
    /// When the graph had it.
    pub(super) present: Vec<Spell>,
    /// Activations by superstep, each element of a forEach counted; none where there were none.
    pub(super) activations: BTreeMap<u64, u64>,
}

/// A graph over the supersteps of a run.
pub(super) struct Play {
    /// The name of the graph.
    pub(super) name: String,
    /// What it is for.
    pub(super) description: Option<String>,
    /// The last superstep.
    pub(super) last: u64,
    /// Its vertices.
    pub(super) roles: BTreeMap<VertexName, Role>,
    /// Its edges, by their ids.
    pub(super) arrows: BTreeMap<String, Lived<Arrow>>,
}

/// One graph as it was from a superstep on.
pub(super) struct Scene {
    /// The first superstep in which it was so.
    pub(super) from: u64,
    /// The graph.
    pub(super) drawing: Drawing,
}

impl Play {
    /// The play of `scenes`, which are sorted and of which there is one, up to superstep `last`.
    pub(super) fn of(scenes: Vec<Scene>, last: u64, activations: BTreeMap<(VertexName, u64), u64>) -> Self {
        let (name, description) = scenes
            .first()
            .map(|scene| (scene.drawing.name.clone(), scene.drawing.description.clone()))
            .unwrap_or_default();
        let mut play = Self { name, description, last, roles: BTreeMap::new(), arrows: BTreeMap::new() };
        let ends: Vec<u64> = scenes.iter().skip(1).map(|next| next.from - 1).chain([last]).collect();
        for (scene, last) in scenes.into_iter().zip(ends) {
            play.take(scene.drawing, Spell { first: scene.from, last });
        }
        for ((vertex, superstep), count) in activations {
            if let Some(role) = play.roles.get_mut(&vertex) {
                *role.activations.entry(superstep).or_default() += count;
            }
        }
        play
    }

    fn take(&mut self, drawing: Drawing, spell: Spell) {
        for figure in drawing.figures {
            let role = self.roles.entry(figure.name.clone()).or_insert_with(|| Role {
                figure: Lived { latest: figure.clone(), spells: Vec::new() },
                present: Vec::new(),
                activations: BTreeMap::new(),
            });
            extend(&mut role.figure.spells, spell);
            if figure.program.is_some() {
                extend(&mut role.present, spell);
                role.figure.latest = figure;
            }
        }
        for arrow in drawing.arrows {
            let lived = self
                .arrows
                .entry(id_of(&arrow))
                .or_insert_with(|| Lived { latest: arrow.clone(), spells: Vec::new() });
            extend(&mut lived.spells, spell);
            lived.latest = arrow;
        }
    }
}

/// Adds a spell that comes after the others, or makes the last one longer.
fn extend(spells: &mut Vec<Spell>, spell: Spell) {
    match spells.last_mut() {
        Some(before) if before.last + 1 >= spell.first => before.last = spell.last,
        Some(_) | None => spells.push(spell),
    }
}

impl Role {
    /// The number of activations over the supersteps in which the vertex is drawn, each stretch of equal
    /// numbers once.
    pub(super) fn activity(&self) -> Vec<(Spell, u64)> {
        let mut stretches: Vec<(Spell, u64)> = Vec::new();
        for spell in &self.figure.spells {
            let mut next = spell.first;
            for (&superstep, &count) in self.activations.range(spell.first..=spell.last) {
                if next < superstep {
                    stretch(&mut stretches, Spell { first: next, last: superstep - 1 }, 0);
                }
                stretch(&mut stretches, Spell { first: superstep, last: superstep }, count);
                next = superstep + 1;
            }
            if next <= spell.last {
                stretch(&mut stretches, Spell { first: next, last: spell.last }, 0);
            }
        }
        stretches
    }
}

fn stretch(stretches: &mut Vec<(Spell, u64)>, spell: Spell, count: u64) {
    match stretches.last_mut() {
        Some((before, same)) if *same == count && before.last + 1 == spell.first => before.last = spell.last,
        Some(_) | None => stretches.push((spell, count)),
    }
}

#[cfg(test)]
mod tests {
    use superstep_graph::GraphSpec;

    use super::*;

    fn scene(from: u64, vertices: &[&str], edges: &[(&str, &str)]) -> Scene {
        let spec: GraphSpec = serde_json::from_value(serde_json::json!({
            "entry": ["a"],
            "vertices": vertices.iter().map(|name| serde_json::json!({"name": name, "function": {"cel": "1"}})).collect::<Vec<_>>(),
            "edges": edges.iter().map(|(from, to)| serde_json::json!({"from": from, "to": to})).collect::<Vec<_>>(),
        }))
        .unwrap();
        Scene { from, drawing: Drawing::of("g", &spec) }
    }

    fn spells(spells: &[Spell]) -> Vec<(u64, u64)> {
        spells.iter().map(|spell| (spell.first, spell.last)).collect()
    }

    #[test]
    fn what_comes_goes_and_comes_back_has_a_spell_each_time() {
        let scenes = vec![
            scene(0, &["a", "b"], &[("a", "b")]),
            scene(2, &["a"], &[("a", "b")]),
            scene(3, &["a"], &[]),
            scene(5, &["a", "b"], &[("a", "b")]),
        ];
        let ran = [("a", 0, 1), ("b", 1, 3), ("b", 5, 1), ("b", 6, 1)];
        let ran = ran.map(|(name, superstep, count)| ((VertexName::from(name), superstep), count));
        let play = Play::of(scenes, 7, BTreeMap::from(ran));
        let role = &play.roles[&VertexName::from("b")];
        assert_eq!(spells(&role.figure.spells), [(0, 2), (5, 7)]);
        assert_eq!(spells(&role.present), [(0, 1), (5, 7)]);
        let activity: Vec<(u64, u64, u64)> =
            role.activity().iter().map(|(spell, count)| (spell.first, spell.last, *count)).collect();
        assert_eq!(activity, [(0, 0, 0), (1, 1, 3), (2, 2, 0), (5, 6, 1), (7, 7, 0)]);
        assert_eq!(spells(&play.arrows["a.out.b"].spells), [(0, 2), (5, 7)]);
        assert_eq!(spells(&play.roles[&VertexName::from("a")].figure.spells), [(0, 7)]);
    }
}
