//! How deeply an expression is nested.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};

/// Whether operations are nested more than `levels` deep in `expr`. It looks no deeper than that.
pub(super) fn exceeds(expr: &IdedExpr, levels: usize) -> bool {
    let Some(left) = levels.checked_sub(1) else { return true };
    let deeper = |inner: &IdedExpr| exceeds(inner, left);
    match &expr.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => false,
        Expr::Call(call) => call.target.iter().any(|target| deeper(target)) || call.args.iter().any(deeper),
        Expr::Comprehension(made) => {
            [&made.iter_range, &made.accu_init, &made.loop_cond, &made.loop_step, &made.result]
                .into_iter()
                .any(deeper)
        }
        Expr::List(list) => list.elements.iter().any(deeper),
        Expr::Map(map) => map.entries.iter().any(|entry| entry_exceeds(&entry.expr, left)),
        Expr::Struct(made) => made.entries.iter().any(|entry| entry_exceeds(&entry.expr, left)),
        Expr::Select(select) => deeper(&select.operand),
    }
}

fn entry_exceeds(entry: &EntryExpr, levels: usize) -> bool {
    match entry {
        EntryExpr::StructField(field) => exceeds(&field.value, levels),
        EntryExpr::MapEntry(entry) => exceeds(&entry.key, levels) || exceeds(&entry.value, levels),
    }
}
