//! Reads the text in which Postgres stores an expression (`pg_node_tree`): nodes in braces, lists in parentheses, bytes in
//! brackets. Knows the notation, not what any node means.

/// What stands in a field or a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    /// `<>`
    Nothing,
    /// Anything without structure: a number, a name, `true`. Escapes are not undone: what needs it is not compiled.
    Word(String),
    /// `( ... )`
    List(Vec<Item>),
    /// `{NAME :field item ...}`
    Node(Node),
    /// `length [ byte ... ]`: a value as Postgres holds it.
    Bytes(Vec<u8>),
}

/// A node and its fields, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) kind: String,
    pub(super) fields: Vec<(String, Item)>,
}

/// How deep nodes may be within each other. Postgres writes trees by recursion, we read them so.
const DEPTH: usize = 200;

/// The item that `text` is; `None` if it is not in the notation.
pub(super) fn read(text: &str) -> Option<Item> {
    let mut reader = Reader { rest: text };
    let item = reader.item(0)?;
    reader.skip();
    reader.rest.is_empty().then_some(item)
}

impl Item {
    pub(super) fn node(&self) -> Option<&Node> {
        match self {
            Self::Node(node) => Some(node),
            _ => None,
        }
    }

    /// The items of a list, none of an empty field.
    pub(super) fn list(&self) -> Option<&[Item]> {
        match self {
            Self::List(items) => Some(items),
            Self::Nothing => Some(&[]),
            _ => None,
        }
    }

    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }
}

impl Node {
    pub(super) fn field(&self, name: &str) -> Option<&Item> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, item)| item)
    }

    /// A field that is a number or a word.
    pub(super) fn word(&self, name: &str) -> Option<&str> {
        self.field(name)?.word()
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.word(name)?.parse().ok()
    }

    pub(super) fn list(&self, name: &str) -> Option<&[Item]> {
        self.field(name)?.list()
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\n', '\t']);
    }

    fn eat(&mut self, sign: char) -> bool {
        self.skip();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Up to a space or a bracket that is not escaped; `None` if there is nothing.
    fn token(&mut self) -> Option<&'a str> {
        self.skip();
        let mut escaped = false;
        let end = self
            .rest
            .find(|sign: char| {
                let ends = !escaped && matches!(sign, ' ' | '\n' | '\t' | '(' | ')' | '{' | '}');
                escaped = !escaped && sign == '\\';
                ends
            })
            .unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    fn item(&mut self, depth: usize) -> Option<Item> {
        if depth > DEPTH {
            return None;
        }
        if self.eat('(') {
            let mut items = Vec::new();
            while !self.eat(')') {
                items.push(self.item(depth + 1)?);
            }
            return Some(Item::List(items));
        }
        if self.eat('{') {
            let kind = self.token()?.to_owned();
            let mut fields = Vec::new();
            while !self.eat('}') {
                let name = self.token()?.strip_prefix(':')?.to_owned();
                // What follows a name is its value, whatever it looks like.
                let value = self.item(depth + 1)?;
                fields.push((name, value));
            }
            return Some(Item::Node(Node { kind, fields }));
        }
        match self.token()? {
            "<>" => Some(Item::Nothing),
            word => match self.bytes(word) {
                Some(bytes) => bytes.map(Item::Bytes),
                None => Some(Item::Word(word.to_owned())),
            },
        }
    }

    /// The bytes behind their number, if there are any; the inner `None`: there are, but not as announced.
    fn bytes(&mut self, count: &str) -> Option<Option<Vec<u8>>> {
        let count: usize = count.parse().ok()?;
        let before = self.rest;
        if self.token() != Some("[") {
            self.rest = before;
            return None;
        }
        let mut bytes = Vec::new();
        loop {
            match self.token() {
                // Of a value of fixed size the whole word is written, of which the value is the beginning.
                Some("]") => return Some((bytes.len() >= count).then_some(bytes)),
                Some(byte) => match byte.parse::<i16>() {
                    // Written as signed numbers.
                    Ok(byte) => bytes.push((byte & 0xff) as u8),
                    Err(_) => return Some(None),
                },
                None => return Some(None),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nodes_lists_words_and_bytes_are_read() {
        let tree = "{OPEXPR :opno 98 :args ({VAR :varattno 2} {CONST :constisnull false :constvalue 5 [ 20 0 0 0 -1 ]}) :x <> :n -1}";
        let item = read(tree).unwrap();
        let node = item.node().unwrap();
        assert_eq!(node.kind, "OPEXPR");
        assert_eq!(node.number::<u32>("opno"), Some(98));
        assert_eq!(node.field("x"), Some(&Item::Nothing));
        assert_eq!(node.number::<i32>("n"), Some(-1));
        let arguments = node.list("args").unwrap();
        assert_eq!(
            arguments[1].node().unwrap().field("constvalue"),
            Some(&Item::Bytes(vec![20, 0, 0, 0, 255]))
        );
    }

    #[test]
    fn what_is_cut_off_is_not_read() {
        let tree = "{BOOLEXPR :boolop and :args ({VAR :varattno 2} {CONST :constvalue 2 [ 1 2 ]})}";
        for end in 0..tree.len() {
            assert_eq!(read(&tree[..end]), None, "{end}");
        }
        assert_eq!(read("{A} {B}"), None);
        assert_eq!(read(&"(".repeat(100_000)), None);
    }

    #[test]
    fn a_name_that_looks_like_a_field_is_a_value() {
        let item = read("{TARGETENTRY :resname :commandType :resno 1}").unwrap();
        let node = item.node().unwrap();
        assert_eq!(node.word("resname"), Some(":commandType"));
        assert_eq!(node.word("commandType"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ (){}<>:a-c0-9\\[\\]\\\\-]{0,60}") {
            let _ = read(&text);
        }
    }
}
