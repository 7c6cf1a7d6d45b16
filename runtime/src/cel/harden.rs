//! What is changed in an expression after parsing, so that it ends and is deterministic.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators,
};

use super::environment::ORDERED;

/// The variable that every step of a loop reads: true while there are steps left. It cannot be
/// written in an expression.
pub(super) const FUEL: &str = "@fuel";

/// Rewrites `expr`: loops count their steps and take the keys of a map in order, and `a['x']`, for a
/// path `a` and a name `x`, is read as `a.x`.
pub(super) fn harden(expr: &mut IdedExpr) {
    match &mut expr.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|target| harden(target));
            call.args.iter_mut().for_each(harden);
            harden_call(call);
            if let Some(select) = constant_select(call) {
                expr.expr = select;
            }
        }
        Expr::Comprehension(comprehension) => {
            let ComprehensionExpr { iter_range, accu_init, loop_cond, loop_step, result, .. } =
                &mut **comprehension;
            [iter_range, accu_init, loop_cond, loop_step, result].into_iter().for_each(harden);
            harden_loop(comprehension);
        }
        Expr::List(list) => list.elements.iter_mut().for_each(harden),
        Expr::Map(map) => map.entries.iter_mut().for_each(|entry| harden_entry(&mut entry.expr)),
        Expr::Struct(made) => made.entries.iter_mut().for_each(|entry| harden_entry(&mut entry.expr)),
        Expr::Select(select) => harden(&mut select.operand),
    }
}

fn harden_entry(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => harden(&mut field.value),
        EntryExpr::MapEntry(entry) => {
            harden(&mut entry.key);
            harden(&mut entry.value);
        }
    }
}

/// A list takes the keys of a map on the right of `+`.
fn harden_call(call: &mut CallExpr) {
    if call.func_name != operators::ADD || call.target.is_some() {
        return;
    }
    if let Some(right) =
        call.args.get_mut(1).filter(|right| !matches!(right.expr, Expr::List(_) | Expr::Literal(_)))
    {
        wrap(right, |inner| function(ORDERED, vec![inner]));
    }
}

/// A path in brackets as a path with dots, so that it is known what it reads.
fn constant_select(call: &CallExpr) -> Option<Expr> {
    let [operand, index] = call.args.as_slice() else { return None };
    if call.func_name != operators::INDEX || !matches!(&operand.expr, Expr::Ident(_) | Expr::Select(_)) {
        return None;
    }
    let is_name = |field: &str| {
        let mut letters = field.chars();
        letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    match &index.expr {
        Expr::Literal(LiteralValue::String(field)) if is_name(field.inner()) => {
            Some(Expr::Select(SelectExpr {
                operand: Box::new(operand.clone()),
                field: field.inner().to_owned(),
                test: false,
            }))
        }
        Expr::Literal(_)
        | Expr::Unspecified
        | Expr::Call(_)
        | Expr::Comprehension(_)
        | Expr::Ident(_)
        | Expr::List(_)
        | Expr::Map(_)
        | Expr::Select(_)
        | Expr::Struct(_) => None,
    }
}

/// The step is counted where the shape that the interpreter appends in place by stays as it is.
fn harden_loop(comprehension: &mut ComprehensionExpr) {
    wrap(&mut comprehension.iter_range, |inner| function(ORDERED, vec![inner]));
    let counted = if matches!(comprehension.loop_cond.expr, Expr::Literal(_)) {
        inside_step(&mut comprehension.loop_step)
    } else {
        None
    };
    wrap(counted.unwrap_or(&mut comprehension.loop_cond), |inner| {
        let fuel = IdedExpr { id: 0, expr: Expr::Ident(FUEL.to_owned()) };
        let never = IdedExpr { id: 0, expr: Expr::Literal(LiteralValue::Null) };
        function(operators::CONDITIONAL, vec![fuel, inner, never])
    });
}

/// The condition of `filter`, or the item of `map`.
fn inside_step(step: &mut IdedExpr) -> Option<&mut IdedExpr> {
    let Expr::Call(call) = &mut step.expr else { return None };
    if call.func_name == operators::CONDITIONAL {
        return call.args.first_mut();
    }
    match call.args.get_mut(1).map(|right| &mut right.expr) {
        Some(Expr::List(list)) if call.func_name == operators::ADD => list.elements.first_mut(),
        _ => None,
    }
}

fn wrap(place: &mut IdedExpr, outer: impl FnOnce(IdedExpr) -> Expr) {
    let inner = std::mem::take(place);
    *place = IdedExpr { id: inner.id, expr: outer(inner) };
}

fn function(name: &str, args: Vec<IdedExpr>) -> Expr {
    Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args })
}
