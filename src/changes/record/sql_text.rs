//! SQL text that cannot be misread: quoted identifiers, quoted literals, type names no `search_path` redirects.
//!
//! Only the text is made here; nothing is executed.
use super::schema::{Oid, TypeInfo, TypeKind, Types};

/// A quoted identifier.
#[must_use]
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A quoted literal that means the same whatever `standard_conforming_strings` says.
#[must_use]
pub(crate) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// The full name of a type, without modifier. Quoting the name matters for more than oddly named types: the bare
/// word `character` or `bit` would mean a length of one.
#[must_use]
pub(crate) fn type_name(types: &Types, type_oid: Oid) -> Option<String> {
    let info = types.get(type_oid)?;
    Some(match &info.kind {
        // Arrays are named after their element, because their own name may have been made unique by Postgres.
        TypeKind::Array { element } => match types.get(*element) {
            Some(element) => format!("{}[]", full_name(element)),
            None => full_name(info),
        },
        _ => full_name(info),
    })
}

fn full_name(info: &TypeInfo) -> String {
    format!("{}.{}", identifier(&info.schema), identifier(&info.name))
}
