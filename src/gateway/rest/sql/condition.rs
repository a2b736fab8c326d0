//! `where`: filters, trees of them, and what joins a level to the one around.

use super::Sql;
use super::read::{Pair, bare, pairs};
use crate::gateway::rest::catalog::Kind;
use crate::gateway::rest::grammar::{Is, Operation, Quantifier, Test};
use crate::gateway::rest::plan::{Condition, Embedded, Node, Value, array};

/// Whose columns conditions are about.
#[derive(Clone, Copy)]
enum Subject<'n, 'a> {
    /// A node's relation, with what is embedded there.
    Node(&'n Node<'a>),
    /// The same where nothing is joined: embedded rows are looked for.
    Bare(&'n Node<'a>),
    /// What is changed.
    Changed,
}

/// Writes ` where ` first, ` and ` later.
struct And(bool);

impl And {
    fn next(&mut self, sql: &mut Sql<'_>) {
        sql.push(if self.0 { " and " } else { " where " });
        self.0 = true;
    }
}

impl<'a> Sql<'a> {
    /// Everything that rows of a node must be like. `bare`: nothing embedded is joined, so it is looked for.
    pub(super) fn conditions(
        &mut self,
        node: &Node<'a>,
        link: Option<(&Embedded<'a>, usize)>,
        is_bare: bool,
    ) {
        let mut and = And(false);
        let joins = link.map(|(embed, around)| pairs(embed, around));
        for Pair { left, right } in joins.into_iter().flatten() {
            and.next(self);
            for (place, (letter, number, name)) in [left, right].into_iter().enumerate() {
                if place > 0 {
                    self.push(" = ");
                }
                self.part(letter, number);
                self.push(".");
                self.name(name);
            }
        }
        let subject = if is_bare {
            Subject::Bare(node)
        } else {
            Subject::Node(node)
        };
        for condition in &node.conditions {
            and.next(self);
            self.condition(subject, condition);
        }
        if is_bare {
            for embed in node.embeds.iter().filter(|embed| embed.inner) {
                and.next(self);
                self.exists(node, embed);
            }
        }
    }

    /// What rows that are changed must be like.
    pub(super) fn conditions_of_changed(&mut self, conditions: &[Condition<'a>]) {
        let mut and = And(false);
        for condition in conditions {
            and.next(self);
            self.condition(Subject::Changed, condition);
        }
    }

    fn exists(&mut self, around: &Node<'a>, embed: &Embedded<'a>) {
        self.push("exists (");
        bare(self, &embed.node, Some((embed, around.number)));
        self.push(")");
    }

    fn condition(&mut self, subject: Subject<'_, 'a>, condition: &Condition<'a>) {
        match condition {
            Condition::Test { value, test } => self.test(subject, value, test),
            Condition::Present { place, present } => match subject {
                Subject::Node(node) => {
                    let number = node.embeds.get(*place).map_or(0, |embed| embed.node.number);
                    self.part("e", number);
                    self.push(if *present {
                        ".v is not null"
                    } else {
                        ".v is null"
                    });
                }
                Subject::Bare(node) => {
                    if !present {
                        self.push("not ");
                    }
                    match node.embeds.get(*place) {
                        Some(embed) => self.exists(node, embed),
                        None => self.push("false"),
                    }
                }
                Subject::Changed => self.push("false"),
            },
            Condition::Tree {
                negated,
                any,
                members,
            } => {
                self.push(if *negated { "not (" } else { "(" });
                for (place, member) in members.iter().enumerate() {
                    if place > 0 {
                        self.push(if *any { " or " } else { " and " });
                    }
                    self.condition(subject, member);
                }
                self.push(")");
            }
        }
    }

    fn subject(&mut self, subject: Subject<'_, 'a>, value: &Value<'a>) {
        match subject {
            Subject::Node(node) | Subject::Bare(node) => self.column(node, value),
            Subject::Changed => self.column_of("m", None, false, value),
        }
    }

    fn test(&mut self, subject: Subject<'_, 'a>, column: &Value<'a>, test: &'a Test) {
        self.push(if test.negated { "not (" } else { "(" });
        match &test.operation {
            Operation::Compare {
                operator,
                quantifier,
                value,
            } => {
                self.subject(subject, column);
                self.push(" ");
                self.push(operator.sql);
                self.push(match quantifier {
                    None => " ",
                    Some(Quantifier::Any) => " any (",
                    Some(Quantifier::All) => " all (",
                });
                match operator.pattern {
                    true => self.value(value.replace('*', "%")),
                    false => self.value(value.as_str()),
                }
                if quantifier.is_some() {
                    self.push(")");
                }
            }
            Operation::Is(is) => {
                self.subject(subject, column);
                self.push(match is {
                    Is::Null => " is null",
                    Is::NotNull => " is not null",
                    Is::True => " is true",
                    Is::False => " is false",
                    Is::Unknown => " is unknown",
                });
            }
            Operation::In(elements) => {
                self.subject(subject, column);
                self.push(" = any (");
                self.value(array(elements.iter()));
                self.push(")");
            }
            Operation::Distinct(value) => {
                self.subject(subject, column);
                self.push(" is distinct from ");
                self.value(value.as_str());
            }
            Operation::Search {
                function,
                config,
                value,
            } => {
                self.searched(subject, column, config.as_deref());
                self.push(" @@ pg_catalog.");
                self.push(function);
                self.push("(");
                self.config(config.as_deref());
                self.value(value.as_str());
                self.push(")");
            }
        }
        self.push(")");
    }

    /// What can be searched: the column if it is made for that, else what can be made of it.
    fn searched(&mut self, subject: Subject<'_, 'a>, column: &Value<'a>, config: Option<&'a str>) {
        if column.kind == Kind::Vector {
            return self.subject(subject, column);
        }
        self.push("pg_catalog.to_tsvector(");
        self.config(config);
        self.subject(subject, column);
        self.push(")");
    }

    fn config(&mut self, config: Option<&'a str>) {
        if let Some(config) = config {
            self.value(config);
            self.push("::regconfig, ");
        }
    }
}
