//! Which columns of tables the columns of a view are, read from the rule that makes the view.
//!
//! Postgres stores the parsed query of a view as a tree in text form. Each entry of its list of results says from
//! which column of which relation it comes, if it is one unchanged; that is all that is read here. A tree that is not as
//! expected gives nothing, and then relationships through the view are not found.

/// A column of a view: its number, and the relation and number of the column that it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) column: i16,
    pub(super) relation: i64,
    pub(super) source: i16,
}

/// A piece of the text.
enum Token<'a> {
    Open,
    Close,
    Word(&'a str),
}

/// Depth of the members of the query itself: a list of queries around it, and its own braces.
const QUERY: usize = 2;
/// Depth of the members of one result of it.
const ENTRY: usize = 4;

/// The columns of the view with this rule that come from a relation unchanged.
pub(super) fn origins(rule: &str) -> Vec<Origin> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut in_results = false;
    let mut label = "";
    let (mut column, mut relation, mut source) = (0, 0, 0);
    for token in Tokens(rule) {
        match token {
            Token::Open => depth += 1,
            Token::Close => {
                if in_results && depth == ENTRY && relation != 0 && source > 0 && column > 0 {
                    found.push(Origin {
                        column,
                        relation,
                        source,
                    });
                }
                if depth == ENTRY {
                    (column, relation, source) = (0, 0, 0);
                }
                depth = depth.saturating_sub(1);
                in_results &= depth > QUERY;
            }
            Token::Word(word) if depth == QUERY && word.starts_with(':') => {
                in_results = word == ":targetList";
            }
            Token::Word(word) if in_results && depth == ENTRY => match label {
                _ if word.starts_with(':') => label = word,
                ":resno" => column = word.parse().unwrap_or(0),
                ":resorigtbl" => relation = word.parse().unwrap_or(0),
                ":resorigcol" => source = word.parse().unwrap_or(0),
                _ => {}
            },
            Token::Word(_) => {}
        }
    }
    found
}

/// What is left of the text.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let text = self.0.trim_start();
        let mut characters = text.chars();
        let first = characters.next()?;
        if let Some(token) = match first {
            '(' | '{' => Some(Token::Open),
            ')' | '}' => Some(Token::Close),
            _ => None,
        } {
            self.0 = characters.as_str();
            return Some(token);
        }
        // A backslash makes the next character a part of the word, whatever it is.
        let mut escaped = false;
        let end = text.find(|c: char| {
            let ends = !escaped && (c.is_whitespace() || "(){}".contains(c));
            escaped = !escaped && c == '\\';
            ends
        });
        let (word, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
        self.0 = rest;
        Some(Token::Word(word))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: &str = r#"({QUERY :commandType 1 :rtable ({RTE :eref {ALIAS :aliasname old :colnames (\"a\" \"b\)\")} :subquery
        {QUERY :targetList ({TARGETENTRY :expr {VAR} :resno 7 :resorigtbl 99 :resorigcol 9 :resjunk false})}})
        :targetList ({TARGETENTRY :expr {VAR :varno 3 :resno 8} :resno 1 :resname i\(d\ x :ressortgroupref 0 :resorigtbl
        16397 :resorigcol 2 :resjunk false} {TARGETENTRY :expr {CONST :constvalue 4 [ 1 2 ]} :resno 2 :resname <>
        :resorigtbl 0 :resorigcol 0} {TARGETENTRY :resno 3 :resorigtbl 16400 :resorigcol 1}) :override 0 :returningList <>})"#;

    #[test]
    fn results_of_the_outer_query_are_found_and_no_others() {
        let origin = |column, relation, source| Origin {
            column,
            relation,
            source,
        };
        assert_eq!(origins(RULE), [origin(1, 16397, 2), origin(3, 16400, 1)]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[(){}:a-z0-9 \\\\]{0,60}|.*") {
            origins(&text);
        }
    }
}
