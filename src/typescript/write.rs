//! What was read, as text.

use std::fmt::Write as _;

use super::{Argument, Enum, Field, Function, Link, Schema};

const HEAD: &str = "// Generated from the database by `dovetail types`. Changes are lost.\n\n\
    export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]\n\n";

pub(super) fn module(schema: &str, read: &Schema) -> String {
    let mut out = String::from(HEAD);
    let writer = Writer { schema, read };
    out.push_str("export type Database = {\n");
    let _ = writeln!(out, "  {}: {{", key(schema));
    writer.relations(&mut out, "Tables", true);
    writer.relations(&mut out, "Views", false);
    writer.functions(&mut out);
    out.push_str("    Enums: {\n");
    for one in &read.enums {
        let _ = writeln!(out, "      {}: {}", key(&one.name), labels(one));
    }
    out.push_str("    }\n    CompositeTypes: {}\n  }\n}\n");
    out
}

struct Writer<'a> {
    schema: &'a str,
    read: &'a Schema,
}

impl Writer<'_> {
    fn relations(&self, out: &mut String, title: &str, tables: bool) {
        let _ = writeln!(out, "    {title}: {{");
        let fields = self.read.fields.iter().filter(|f| f.is_table == tables);
        let mut names: Vec<&str> = fields.map(|field| field.relation.as_str()).collect();
        names.dedup();
        for name in names {
            let _ = writeln!(out, "      {}: {{", key(name));
            let fields: Vec<&Field> = self
                .read
                .fields
                .iter()
                .filter(|f| f.relation == name)
                .collect();
            out.push_str("        Row: {\n");
            for field in &fields {
                let _ = writeln!(
                    out,
                    "          {}: {}",
                    key(&field.name),
                    self.value(field, tables)
                );
            }
            out.push_str("        }\n");
            if tables {
                self.changes(out, "Insert", &fields, false);
                self.changes(out, "Update", &fields, true);
            }
            let links = self.read.links.iter().filter(|link| link.relation == name);
            relationships(out, links);
            out.push_str("      }\n");
        }
        out.push_str("    }\n");
    }

    fn changes(&self, out: &mut String, title: &str, fields: &[&Field], all_optional: bool) {
        let _ = writeln!(out, "        {title}: {{");
        for field in fields {
            let optional = match all_optional || field.has_default || !field.required {
                true => "?",
                false => "",
            };
            let value = match field.is_generated {
                true => "never".to_owned(),
                false => self.value(field, true),
            };
            let optional = if field.is_generated { "?" } else { optional };
            let _ = writeln!(out, "          {}{optional}: {value}", key(&field.name));
        }
        out.push_str("        }\n");
    }

    /// Postgres does not know which columns of a view may be null.
    fn value(&self, field: &Field, is_table: bool) -> String {
        let kind = self.kind(&field.kind);
        match field.required && is_table {
            true => kind,
            false => format!("{kind} | null"),
        }
    }

    fn functions(&self, out: &mut String) {
        out.push_str("    Functions: {\n");
        for function in &self.read.functions {
            let _ = writeln!(out, "      {}: {{", key(&function.name));
            out.push_str("        Args: ");
            match function.arguments.is_empty() {
                true => out.push_str("never\n"),
                false => {
                    out.push_str("{\n");
                    for argument in &function.arguments {
                        let optional = if argument.optional { "?" } else { "" };
                        let name = argument.name.as_deref().unwrap_or_default();
                        // A default does not say whether null is taken; all of ours take it for "not given".
                        let or_null = if argument.optional { " | null" } else { "" };
                        let kind = self.kind(&argument.kind);
                        let _ = writeln!(out, "          {}{optional}: {kind}{or_null}", key(name));
                    }
                    out.push_str("        }\n");
                }
            }
            let _ = writeln!(out, "        Returns: {}", self.returns(function));
            out.push_str("      }\n");
        }
        out.push_str("    }\n");
    }

    fn returns(&self, function: &Function) -> String {
        let one = if !function.columns.is_empty() {
            self.columns(&function.columns)
        } else if let Some(relation) = &function.returns_rows_of {
            let schema = quoted(self.schema);
            format!(
                "Database[{schema}][\"Tables\"][{}][\"Row\"]",
                quoted(relation)
            )
        } else {
            self.kind(&function.returns)
        };
        match function.is_set {
            true => format!("({one})[]"),
            false => one,
        }
    }

    fn columns(&self, columns: &[Argument]) -> String {
        let mut out = String::from("{\n");
        for column in columns {
            let name = column.name.as_deref().unwrap_or_default();
            let kind = self.kind(&column.kind);
            let _ = writeln!(out, "          {}: {kind} | null", key(name));
        }
        out.push_str("        }");
        out
    }

    /// As PostgREST writes values of a type.
    fn kind(&self, kind: &str) -> String {
        if let Some(item) = kind.strip_suffix("[]") {
            return format!("{}[]", self.kind(item));
        }
        if let Some(one) = self.read.enums.iter().find(|one| one.kind == kind) {
            return format!("({})", labels(one));
        }
        match kind {
            "smallint" | "integer" | "bigint" | "real" | "double precision" | "numeric" => "number",
            "boolean" => "boolean",
            "json" | "jsonb" => "Json",
            "void" => "undefined",
            "text"
            | "character varying"
            | "character"
            | "\"char\""
            | "name"
            | "uuid"
            | "bytea"
            | "date"
            | "time without time zone"
            | "time with time zone"
            | "interval"
            | "timestamp without time zone"
            | "timestamp with time zone" => "string",
            _ => "unknown",
        }
        .to_owned()
    }
}

fn relationships<'a>(out: &mut String, links: impl Iterator<Item = &'a Link>) {
    out.push_str("        Relationships: [\n");
    for link in links {
        let _ = writeln!(
            out,
            "          {{ foreignKeyName: {}; columns: {}; isOneToOne: {}; referencedRelation: {}; referencedColumns: {} }},",
            quoted(&link.name),
            list(&link.columns),
            link.is_one,
            quoted(&link.target),
            list(&link.target_columns),
        );
    }
    out.push_str("        ]\n");
}

fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    format!("[{}]", quoted.join(", "))
}

fn labels(one: &Enum) -> String {
    let labels: Vec<String> = one.labels.iter().map(|label| quoted(label)).collect();
    labels.join(" | ")
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A name of a property, quoted where it has to be.
fn key(name: &str) -> String {
    let mut letters = name.chars();
    let plain = letters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    match plain {
        true => name.to_owned(),
        false => quoted(name),
    }
}
