//! Which names an expression reads and which functions it calls.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, SourceInfo};

use super::environment::{FUNCTIONS, NAMESPACES, TYPES};
use crate::roots::{CompileError, Position, Reference, Scope};

pub(super) struct Analysis {
    pub(super) references: Vec<Reference>,
    calls: Vec<(String, Position)>,
}

impl Analysis {
    /// Every root and every function that is not known, each place once, in the order of the text.
    pub(super) fn unknown(&self, scope: Scope) -> Vec<CompileError> {
        let known = scope.roots();
        let roots = self.references.iter().map(|reference| (reference.path[0].as_str(), reference.position));
        let roots = roots.filter(|(root, _)| !known.contains(root));
        let roots = roots.map(|(root, position)| CompileError::unknown(position, "root", root, known));
        let calls = self.calls.iter().filter(|(name, _)| !FUNCTIONS.contains(&name.as_str()));
        let calls =
            calls.map(|(name, position)| CompileError::unknown(*position, "function", name, &FUNCTIONS));
        let mut unknown: Vec<CompileError> = roots.chain(calls).collect();
        unknown.sort_by_key(|error| error.position);
        // What a macro stands for may have a name twice.
        unknown.dedup();
        unknown
    }
}

pub(super) fn analyse(expr: &IdedExpr, source: &str, info: &SourceInfo) -> Analysis {
    let mut walk = Walk {
        source,
        info,
        bound: Vec::new(),
        found: Analysis { references: Vec::new(), calls: Vec::new() },
    };
    walk.visit(expr);
    walk.found
        .references
        .retain(|reference| reference.path.len() > 1 || !TYPES.contains(&reference.path[0].as_str()));
    walk.found
}

struct Walk<'a> {
    source: &'a str,
    info: &'a SourceInfo,
    /// The variables of the loops around.
    bound: Vec<&'a str>,
    found: Analysis,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, expr: &'a IdedExpr) {
        match &expr.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(_) => self.path(expr, Vec::new()),
            Expr::Select(select) => self.path(&select.operand, vec![select.field.clone()]),
            Expr::Call(call) => self.call(call, expr.id),
            Expr::Comprehension(comprehension) => {
                self.visit(&comprehension.iter_range);
                self.visit(&comprehension.accu_init);
                let before = self.bound.len();
                self.bound.push(&comprehension.accu_var);
                self.visit_all([&comprehension.result]);
                self.bound.push(&comprehension.iter_var);
                self.bound.extend(comprehension.iter_var2.as_deref());
                self.visit_all([&comprehension.loop_cond, &comprehension.loop_step]);
                self.bound.truncate(before);
            }
            Expr::List(list) => self.visit_all(&list.elements),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Struct(made) => made.entries.iter().for_each(|entry| self.entry(&entry.expr)),
        }
    }

    fn visit_all(&mut self, all: impl IntoIterator<Item = &'a IdedExpr>) {
        all.into_iter().for_each(|expr| self.visit(expr));
    }

    fn entry(&mut self, entry: &'a EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.visit(&field.value),
            EntryExpr::MapEntry(entry) => self.visit_all([&entry.key, &entry.value]),
        }
    }

    /// Follows `a.b.c` down to `a`; `fields` are those above `expr`, the last one first.
    fn path(&mut self, expr: &'a IdedExpr, mut fields: Vec<String>) {
        match &expr.expr {
            Expr::Select(select) => {
                fields.push(select.field.clone());
                self.path(&select.operand, fields);
            }
            Expr::Ident(name) => {
                let name = name.trim_start_matches('.');
                if !name.starts_with('@') && !self.bound.contains(&name) {
                    fields.push(name.to_owned());
                    fields.reverse();
                    let position = self.position(expr.id);
                    self.found.references.push(Reference { path: fields, position });
                }
            }
            Expr::Unspecified
            | Expr::Call(_)
            | Expr::Comprehension(_)
            | Expr::List(_)
            | Expr::Literal(_)
            | Expr::Map(_)
            | Expr::Struct(_) => self.visit(expr),
        }
    }

    fn call(&mut self, call: &'a CallExpr, id: u64) {
        self.visit_all(&call.args);
        let mut name = call.func_name.clone();
        if let Some(target) = &call.target {
            match &target.expr {
                Expr::Ident(namespace)
                    if NAMESPACES.contains(&namespace.as_str())
                        && !self.bound.contains(&namespace.as_str()) =>
                {
                    name = format!("{namespace}.{name}");
                }
                Expr::Unspecified
                | Expr::Ident(_)
                | Expr::Select(_)
                | Expr::Call(_)
                | Expr::Comprehension(_)
                | Expr::List(_)
                | Expr::Literal(_)
                | Expr::Map(_)
                | Expr::Struct(_) => self.visit(target),
            }
        }
        // Operators and what macros leave behind have names that cannot be written.
        if !name.starts_with(['_', '!', '-']) && !name.contains('@') {
            let position = self.position_of_call(&call.func_name, id);
            self.found.calls.push((name, position));
        }
    }

    /// The parser places a call at its parenthesis, behind the name.
    fn position_of_call(&self, name: &str, id: u64) -> Position {
        let offset = self.offset(id);
        let before: String = self.source.chars().take(offset).collect();
        let behind = before.trim_end();
        let shift =
            if behind.ends_with(name) { offset - behind.chars().count() + name.chars().count() } else { 0 };
        Position::of_char(self.source, offset - shift)
    }

    /// Letters before an expression. The parser counts bytes.
    fn offset(&self, id: u64) -> usize {
        let bytes = self.info.offset_for(id).map_or(0, |(start, _)| start as usize);
        self.source.get(..bytes).map_or(bytes, |before| before.chars().count())
    }

    fn position(&self, id: u64) -> Position {
        Position::of_char(self.source, self.offset(id))
    }
}
