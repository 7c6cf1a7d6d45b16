//! What a template reads: the paths, and the filters and tests that it names.

use minijinja::Environment;
use minijinja::machinery::ast::{Call, CallArg, Expr, Macro, Stmt};
use minijinja::machinery::{Span, parse};

use super::names::Named;
use super::parse_error;
use crate::roots::{CompileError, Position, Reference, Scope};

/// The paths that a template reads, each once, in the order of the text.
///
/// # Errors
/// It does not parse, or names roots, filters or tests that there are not, or other templates.
pub(super) fn references(
    source: &str,
    environment: &Environment<'_>,
) -> Result<Vec<Reference>, Vec<CompileError>> {
    let tree =
        parse(source, super::NAME, Default::default()).map_err(|error| vec![parse_error(source, &error)])?;
    let mut walk =
        Walk { source, environment, scopes: vec![Vec::new()], found: Vec::new(), wrong: Vec::new() };
    walk.statement(&tree);
    if walk.wrong.is_empty() { Ok(walk.found) } else { Err(walk.wrong) }
}

/// What a name of the template's own stands for.
#[derive(Clone)]
struct Bound {
    name: String,
    /// The path that it was set to, if it was set to one.
    path: Option<Vec<String>>,
}

struct Walk<'a> {
    source: &'a str,
    environment: &'a Environment<'a>,
    /// The names of the loops and blocks around, the innermost last.
    scopes: Vec<Vec<Bound>>,
    found: Vec<Reference>,
    /// The mistakes, each place once.
    wrong: Vec<CompileError>,
}

impl Walk<'_> {
    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(template) => self.all(&template.children),
            Stmt::EmitExpr(emit) => self.visit(&emit.expr),
            Stmt::EmitRaw(_) | Stmt::Continue(_) | Stmt::Break(_) => {}
            Stmt::ForLoop(repeated) => {
                self.visit(&repeated.iter);
                self.scopes.push(vec![Bound { name: "loop".to_owned(), path: None }]);
                self.bind(&repeated.target, None);
                self.visit_any(repeated.filter_expr.as_ref());
                self.all(&repeated.body);
                self.scopes.pop();
                self.all(&repeated.else_body);
            }
            Stmt::IfCond(choice) => {
                self.visit(&choice.expr);
                self.all(&choice.true_body);
                self.all(&choice.false_body);
            }
            Stmt::WithBlock(with) => {
                self.scopes.push(Vec::new());
                for (target, value) in &with.assignments {
                    self.assign(target, value);
                }
                self.all(&with.body);
                self.scopes.pop();
            }
            Stmt::Set(set) => self.assign(&set.target, &set.expr),
            Stmt::SetBlock(set) => {
                self.visit_any(set.filter.as_ref());
                self.all(&set.body);
                self.bind(&set.target, None);
            }
            Stmt::AutoEscape(escaped) => {
                self.visit(&escaped.enabled);
                self.all(&escaped.body);
            }
            Stmt::FilterBlock(filtered) => {
                self.visit(&filtered.filter);
                self.all(&filtered.body);
            }
            Stmt::Block(block) => self.all(&block.body),
            Stmt::Import(import) => self.elsewhere(import.span()),
            Stmt::FromImport(import) => self.elsewhere(import.span()),
            Stmt::Extends(extends) => self.elsewhere(extends.span()),
            Stmt::Include(include) => self.elsewhere(include.span()),
            Stmt::Macro(defined) => self.defined(defined),
            Stmt::CallBlock(block) => {
                self.call(&block.call);
                self.defined(&block.macro_decl);
            }
            Stmt::Do(done) => self.call(&done.call),
        }
    }

    fn all(&mut self, statements: &[Stmt<'_>]) {
        statements.iter().for_each(|statement| self.statement(statement));
    }

    fn defined(&mut self, defined: &Macro<'_>) {
        self.scope().push(Bound { name: defined.name.to_owned(), path: None });
        self.visit_all(&defined.defaults);
        self.scopes.push(vec![Bound { name: "caller".to_owned(), path: None }]);
        for argument in &defined.args {
            self.bind(argument, None);
        }
        self.all(&defined.body);
        self.scopes.pop();
    }

    fn elsewhere(&mut self, span: Span) {
        self.mistake(CompileError::new(self.position(span), "there is no other template".to_owned()));
    }

    fn assign(&mut self, target: &Expr<'_>, value: &Expr<'_>) {
        self.visit(value);
        let path = self.path(value).filter(|(_, whole)| *whole).map(|(path, _)| path);
        self.bind(target, path);
    }

    /// Gives the names in `target` a meaning. One that had another meaning before has none that is known.
    fn bind(&mut self, target: &Expr<'_>, path: Option<Vec<String>>) {
        match target {
            Expr::Var(name) => {
                let known = self.lookup(name.id).is_some();
                let path = path.filter(|_| !known);
                let name = name.id.to_owned();
                // What an inner block sets may, or may not, have been set where it is read.
                for bound in self.scopes.iter_mut().flatten().filter(|bound| bound.name == name) {
                    bound.path = None;
                }
                self.scope().push(Bound { name, path });
            }
            Expr::List(list) => list.items.iter().for_each(|item| self.bind(item, None)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.bind(item, None)),
            Expr::GetAttr(attribute) => self.visit(&attribute.expr),
            Expr::Const(_)
            | Expr::Slice(_)
            | Expr::UnaryOp(_)
            | Expr::BinOp(_)
            | Expr::Compare(_)
            | Expr::IfExpr(_)
            | Expr::Filter(_)
            | Expr::Test(_)
            | Expr::GetItem(_)
            | Expr::Call(_)
            | Expr::Map(_) => {}
        }
    }

    fn scope(&mut self) -> &mut Vec<Bound> {
        if self.scopes.is_empty() {
            self.scopes.push(Vec::new());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    fn lookup(&self, name: &str) -> Option<&Bound> {
        self.scopes.iter().rev().find_map(|scope| scope.iter().rev().find(|bound| bound.name == name))
    }

    fn visit_all<'e, 's: 'e>(&mut self, all: impl IntoIterator<Item = &'e Expr<'s>>) {
        all.into_iter().for_each(|expression| self.visit(expression));
    }

    fn visit_any<'e, 's: 'e>(&mut self, any: Option<&'e Expr<'s>>) {
        self.visit_all(any);
    }

    fn visit(&mut self, expression: &Expr<'_>) {
        match expression {
            Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_) => self.read(expression),
            Expr::Const(_) => {}
            Expr::Slice(slice) => {
                self.visit(&slice.expr);
                self.visit_all([&slice.start, &slice.stop, &slice.step].into_iter().flatten());
            }
            Expr::UnaryOp(operation) => self.visit(&operation.expr),
            Expr::BinOp(operation) => self.visit_all([&operation.left, &operation.right]),
            Expr::Compare(compared) => {
                self.visit(&compared.expr);
                self.visit_all(compared.ops.iter().map(|operation| &operation.expr));
            }
            Expr::IfExpr(choice) => {
                self.visit_all([&choice.test_expr, &choice.true_expr]);
                self.visit_any(choice.false_expr.as_ref());
            }
            Expr::Filter(filter) => {
                self.visit_any(filter.expr.as_ref());
                self.arguments(&filter.args);
                self.known(Named::Filter, filter.name, filter.span());
            }
            Expr::Test(test) => {
                self.visit(&test.expr);
                self.arguments(&test.args);
                self.known(Named::Test, test.name, test.span());
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => self.visit_all(&list.items),
            Expr::Tuple(tuple) => self.visit_all(&tuple.items),
            Expr::Map(map) => self.visit_all(map.keys.iter().chain(&map.values)),
        }
    }

    fn call(&mut self, call: &Call<'_>) {
        // What is called is a method of what stands before the dot.
        if let Expr::GetAttr(method) = &call.expr {
            self.visit(&method.expr);
        } else {
            self.visit(&call.expr);
        }
        self.arguments(&call.args);
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>]) {
        for argument in arguments {
            match argument {
                CallArg::Pos(value)
                | CallArg::Kwarg(_, value)
                | CallArg::PosSplat(value)
                | CallArg::KwargSplat(value) => self.visit(value),
            }
        }
    }

    fn known(&mut self, kind: Named, name: &str, span: Span) {
        if !kind.has(self.environment, name) {
            let position = self.position_of(name, span);
            self.mistake(CompileError::unknown(position, kind.word(), name, kind.usual()));
        }
    }

    /// Takes down the path that is read, as far as it is known.
    fn read(&mut self, expression: &Expr<'_>) {
        self.subscripts(expression);
        let Some((path, _)) = self.path(expression) else { return };
        let root = path[0].as_str();
        let position = self.position(root_span(expression));
        if !Scope::Vertex.roots().contains(&root) {
            let unknown = CompileError::unknown(position, "root", root, Scope::Vertex.roots());
            return self.mistake(unknown);
        }
        if !self.found.iter().any(|known| known.path == path) {
            self.found.push(Reference { path, position });
        }
    }

    /// What stands in brackets along a path is read too.
    fn subscripts(&mut self, expression: &Expr<'_>) {
        if let Expr::GetAttr(attribute) = expression {
            self.subscripts(&attribute.expr);
        } else if let Expr::GetItem(item) = expression {
            self.subscripts(&item.expr);
            self.visit(&item.subscript_expr);
        } else if !matches!(expression, Expr::Var(_)) {
            self.visit(expression);
        }
    }

    /// The path from a root that an expression stands for, as far as it is known, and whether that is all of it.
    /// None if it begins with something else.
    fn path(&self, expression: &Expr<'_>) -> Option<(Vec<String>, bool)> {
        let further = |inner: &Expr<'_>, field: Option<&str>| {
            let (mut path, whole) = self.path(inner)?;
            match field {
                Some(field) if whole => {
                    path.push(field.to_owned());
                    Some((path, true))
                }
                Some(_) | None => Some((path, false)),
            }
        };
        if let Expr::Var(name) = expression {
            return match self.lookup(name.id) {
                Some(bound) => bound.path.clone().map(|path| (path, true)),
                None if self.environment.globals().any(|(global, _)| global == name.id) => None,
                None => Some((vec![name.id.to_owned()], true)),
            };
        }
        if let Expr::GetAttr(attribute) = expression {
            return further(&attribute.expr, Some(attribute.name));
        }
        let Expr::GetItem(item) = expression else { return None };
        let index = if let Expr::Const(index) = &item.subscript_expr { index.value.as_str() } else { None };
        further(&item.expr, index)
    }

    fn mistake(&mut self, mistake: CompileError) {
        if !self.wrong.contains(&mistake) {
            self.wrong.push(mistake);
        }
    }

    fn position(&self, span: Span) -> Position {
        let before = self.source.get(..span.start_offset as usize);
        Position::of_char(self.source, before.map_or(0, |before| before.chars().count()))
    }

    /// Where `name` stands within `span`.
    fn position_of(&self, name: &str, span: Span) -> Position {
        let (start, end) = (span.start_offset as usize, span.end_offset as usize);
        let within = self.source.get(start..end).and_then(|text| text.rfind(name)).unwrap_or(0);
        let before = self.source.get(..start + within);
        Position::of_char(self.source, before.map_or(0, |before| before.chars().count()))
    }
}

/// Where the name stands with which a path begins.
fn root_span(expression: &Expr<'_>) -> Span {
    if let Expr::GetAttr(attribute) = expression {
        root_span(&attribute.expr)
    } else if let Expr::GetItem(item) = expression {
        root_span(&item.expr)
    } else {
        expression.span()
    }
}
