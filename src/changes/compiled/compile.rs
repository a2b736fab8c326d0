//! From the tree that Postgres stores to an [`Expression`], where every node of it is one whose meaning is known.
//!
//! Functions of Postgres itself are known by their oids, which never change; others by what they do ([`super::body`]).

use super::body::{self, Typed};
use super::expression::{Comparison, Expression};
use super::functions::Functions;
use super::tree::{Item, Node};
use super::value::{Type, Value};

/// Why something is not compiled, in words that follow "because".
pub(super) type Refusal = String;

/// What a tree is read with.
pub(super) struct Compiler<'a> {
    pub(super) functions: &'a Functions,
    /// The role may call it.
    pub(super) callable: &'a dyn Fn(u32) -> bool,
    /// By the number of a column: its place among those that are read, noted for later, or `None` if there is no such column.
    pub(super) column: &'a mut dyn FnMut(i16, Type) -> Option<usize>,
}

/// Compares oids with [`COMPARISONS`].
const ORDER: [Comparison; 6] = [
    Comparison::Equal,
    Comparison::Unequal,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
];

/// Functions behind `=`, `<>`, `<`, `<=`, `>`, `>=`, with the types they compare; 0 where only equality is known.
const COMPARISONS: [(&str, [u32; 6]); 12] = [
    ("int2", [63, 145, 64, 148, 146, 151]),
    ("int4", [65, 144, 66, 149, 147, 150]),
    ("int8", [467, 468, 469, 471, 470, 472]),
    ("int24", [158, 164, 160, 166, 162, 168]),
    ("int42", [159, 165, 161, 167, 163, 169]),
    ("int28", [1850, 1851, 1852, 1854, 1853, 1855]),
    ("int82", [1856, 1857, 1858, 1860, 1859, 1861]),
    ("int48", [852, 853, 854, 856, 855, 857]),
    ("int84", [474, 475, 476, 478, 477, 479]),
    ("text", [67, 157, 0, 0, 0, 0]),
    ("uuid_", [2956, 2959, 0, 0, 0, 0]),
    ("bool", [60, 84, 0, 0, 0, 0]),
];

/// `->` and `->>` of `json` and `jsonb`: function, and whether it gives text.
const MEMBERS: [(&str, u32, bool); 4] = [
    ("json_object_field", 3947, false),
    ("json_object_field_text", 3948, true),
    ("jsonb_object_field", 3478, false),
    ("jsonb_object_field_text", 3214, true),
];

/// `current_setting(text)` and `current_setting(text, boolean)`.
const CURRENT_SETTING: [u32; 2] = [2077, 3294];

/// Casts between integers, and the type they give.
const INTEGERS: [(u32, Type); 6] = [
    (313, Type::Int4),
    (480, Type::Int4),
    (481, Type::Int8),
    (754, Type::Int8),
    (314, Type::Int2),
    (714, Type::Int2),
];

/// Collations under which texts are equal when their bytes are: none, the database's default, `C` and `POSIX`. One of
/// somebody's own may not be deterministic.
const BYTEWISE: [u32; 4] = [0, 100, 950, 951];

/// Where a role must be allowed to call what the bodies of functions call.
pub(crate) fn called_in_bodies() -> impl Iterator<Item = u32> {
    let members = MEMBERS.iter().map(|(_, function, _)| *function);
    members.chain(CURRENT_SETTING).chain([67])
}

impl Compiler<'_> {
    pub(super) fn item(&mut self, item: &Item) -> Result<Typed, Refusal> {
        let node = item
            .node()
            .ok_or_else(|| "it is not understood".to_owned())?;
        self.node(node).map_err(|refusal| match refusal.is_empty() {
            // A field that should be there is not: another version of Postgres writes it differently.
            true => format!("{} is not understood", node.kind),
            false => refusal,
        })
    }

    fn node(&mut self, node: &Node) -> Result<Typed, Refusal> {
        let unknown = String::new;
        match node.kind.as_str() {
            "VAR" => self.variable(node),
            "CONST" => constant(node),
            "FUNCEXPR" => self.function(node),
            "OPEXPR" | "DISTINCTEXPR" | "NULLIFEXPR" => self.operator(node),
            "SCALARARRAYOPEXPR" => self.any(node),
            "BOOLEXPR" => {
                let arguments = node.list("args").ok_or_else(unknown)?;
                let mut parts = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    parts.push(self.boolean(argument)?);
                }
                let expression = match (node.word("boolop"), parts.len()) {
                    (Some("and"), _) => Expression::And(parts),
                    (Some("or"), _) => Expression::Or(parts),
                    (Some("not"), 1) => Expression::Not(Box::new(parts.remove(0))),
                    _ => return Err(unknown()),
                };
                Ok((expression, Type::Bool))
            }
            "NULLTEST" => {
                let (of, of_type) = self.item(node.field("arg").ok_or_else(unknown)?)?;
                // JSON's null is no NULL, and a row is NULL when all of it is.
                if of_type == Type::Json && !matches!(of, Expression::Column(_))
                    || node.word("argisrow") != Some("false")
                {
                    return Err("it asks whether a row or JSON is NULL".to_owned());
                }
                let test = Expression::IsNull(Box::new(of));
                match node.word("nulltesttype") {
                    Some("0") => Ok((test, Type::Bool)),
                    Some("1") => Ok((Expression::Not(Box::new(test)), Type::Bool)),
                    _ => Err(unknown()),
                }
            }
            "BOOLEANTEST" => {
                let of = Box::new(self.boolean(node.field("arg").ok_or_else(unknown)?)?);
                let test = match node.word("booltesttype") {
                    Some("0") => Expression::Is(of, true),
                    Some("1") => Expression::Not(Box::new(Expression::Is(of, true))),
                    Some("2") => Expression::Is(of, false),
                    Some("3") => Expression::Not(Box::new(Expression::Is(of, false))),
                    Some("4") => Expression::IsNull(of),
                    Some("5") => Expression::Not(Box::new(Expression::IsNull(of))),
                    _ => return Err(unknown()),
                };
                Ok((test, Type::Bool))
            }
            // Called so up to version 15, and from 16 on.
            "COALESCE" | "COALESCEEXPR" => {
                let arguments = node.list("args").ok_or_else(unknown)?;
                let mut parts = Vec::with_capacity(arguments.len());
                let mut of = None;
                for argument in arguments {
                    let (part, part_of) = self.item(argument)?;
                    if *of.get_or_insert(part_of) != part_of || part_of == Type::Other {
                        return Err(unknown());
                    }
                    parts.push(part);
                }
                Ok((Expression::Coalesce(parts), of.ok_or_else(unknown)?))
            }
            "RELABELTYPE" => {
                let (of, of_type) = self.item(node.field("arg").ok_or_else(unknown)?)?;
                let to = node.number("resulttype").map(Type::of);
                // varchar and text are the same but for their name.
                match of_type == Type::Text && to == Some(Type::Text) {
                    true => Ok((of, Type::Text)),
                    false => Err("it takes one type for another".to_owned()),
                }
            }
            "COERCEVIAIO" => {
                let (of, from) = self.item(node.field("arg").ok_or_else(unknown)?)?;
                let to = Type::of(node.number("resulttype").ok_or_else(unknown)?);
                match (from, to) {
                    // A value cast through its text, in a direction whose every step is known.
                    (
                        Type::Text,
                        Type::Uuid | Type::Int2 | Type::Int4 | Type::Int8 | Type::Bool,
                    )
                    | (Type::Text, Type::Json)
                    | (Type::Uuid | Type::Int2 | Type::Int4 | Type::Int8, Type::Text) => {
                        Ok((Expression::Cast(Box::new(of), to), to))
                    }
                    _ => Err("it casts between types that are not known".to_owned()),
                }
            }
            "SUBLINK" => self.sublink(node),
            kind => Err(format!("{kind} is not known")),
        }
    }

    fn boolean(&mut self, item: &Item) -> Result<Expression, Refusal> {
        match self.item(item)? {
            (expression, Type::Bool) => Ok(expression),
            _ => Err("something in it is no truth value".to_owned()),
        }
    }

    fn variable(&mut self, node: &Node) -> Result<Typed, Refusal> {
        let own = node.word("varlevelsup") == Some("0") && node.word("varno") == Some("1");
        if !own {
            return Err("it reads another table".to_owned());
        }
        let of = Type::of(node.number("vartype").ok_or_else(String::new)?);
        let number = node.number("varattno").ok_or_else(String::new)?;
        let place = (self.column)(number, of);
        let place = place.ok_or_else(|| "it reads the whole row or a system column".to_owned())?;
        Ok((Expression::Column(place), of))
    }

    fn may_call(&self, function: u32) -> Result<(), Refusal> {
        match (self.callable)(function) {
            true => Ok(()),
            false => Err(format!("the role may not call function {function}")),
        }
    }

    fn function(&mut self, node: &Node) -> Result<Typed, Refusal> {
        let oid: u32 = node.number("funcid").ok_or_else(String::new)?;
        let arguments = node.list("args").ok_or_else(String::new)?;
        self.may_call(oid)?;
        if CURRENT_SETTING.contains(&oid) {
            let mut texts = arguments.iter().map(|argument| self.item(argument));
            let name = match texts.next().transpose()? {
                Some((Expression::Constant(Value::Text(name)), _)) => name,
                _ => return Err("the name of a setting is computed".to_owned()),
            };
            let missing_ok = match texts.next().transpose()? {
                None => false,
                Some((Expression::Constant(Value::Bool(missing_ok)), _)) => missing_ok,
                _ => return Err(String::new()),
            };
            // Those that are known are set, but for the one that is known not to be.
            let unset = self.functions.claim_is_unset && missing_ok;
            let setting = body::setting(&name, unset);
            let setting =
                setting.ok_or_else(|| format!("setting {name} is not one of a request"))?;
            return Ok((setting, Type::Text));
        }
        if let Some((_, to)) = INTEGERS.iter().find(|(function, _)| *function == oid) {
            let [argument] = arguments else {
                return Err(String::new());
            };
            let (of, _) = self.item(argument)?;
            return Ok((Expression::Cast(Box::new(of), *to), *to));
        }
        let known = self.functions.known(oid, arguments.is_empty())?;
        for inner in called_in_bodies() {
            self.may_call(inner)?;
        }
        Ok(known)
    }

    fn operator(&mut self, node: &Node) -> Result<Typed, Refusal> {
        let oid: u32 = node.number("opfuncid").ok_or_else(String::new)?;
        let collation: u32 = node.number("inputcollid").ok_or_else(String::new)?;
        let [one, other] = node.list("args").ok_or_else(String::new)? else {
            return Err("an operator of one side is not known".to_owned());
        };
        self.may_call(oid)?;
        if let Some((_, _, text)) = MEMBERS.iter().find(|(_, function, _)| *function == oid) {
            let (of, of_type) = self.item(one)?;
            let (name, _) = self.item(other)?;
            let Expression::Constant(Value::Text(name)) = name else {
                return Err("the name of a claim is computed".to_owned());
            };
            if of_type != Type::Json || matches!(of, Expression::Column(_)) {
                return Err("it looks into JSON of the row".to_owned());
            }
            let member = Expression::Member {
                of: Box::new(of),
                name: name.into_owned().into(),
                text: *text,
            };
            return Ok((member, if *text { Type::Text } else { Type::Json }));
        }
        let how = comparison(oid, collation)?;
        let ((one, one_type), (other, _)) = (self.item(one)?, self.item(other)?);
        let (one, other) = (Box::new(one), Box::new(other));
        Ok(match (node.kind.as_str(), how) {
            ("OPEXPR", how) => (Expression::Compare(how, one, other), Type::Bool),
            ("DISTINCTEXPR", Comparison::Equal) => (Expression::Distinct(one, other), Type::Bool),
            ("NULLIFEXPR", Comparison::Equal) => (Expression::NullIf(one, other), one_type),
            _ => return Err(String::new()),
        })
    }

    /// `one = ANY (ARRAY[...])`, which `IN` becomes.
    fn any(&mut self, node: &Node) -> Result<Typed, Refusal> {
        let oid: u32 = node.number("opfuncid").ok_or_else(String::new)?;
        let collation: u32 = node.number("inputcollid").ok_or_else(String::new)?;
        self.may_call(oid)?;
        let how = comparison(oid, collation)?;
        let [one, array] = node.list("args").ok_or_else(String::new)? else {
            return Err(String::new());
        };
        let array = array
            .node()
            .filter(|array| array.kind == "ARRAYEXPR" || array.kind == "ARRAY");
        let items = array.filter(|array| array.word("multidims") == Some("false"));
        let items = items.and_then(|array| array.list("elements"));
        let items = items.ok_or_else(|| "an array is not written out".to_owned())?;
        let (one, _) = self.item(one)?;
        let mut list = Vec::with_capacity(items.len());
        for item in items {
            list.push(self.item(item)?.0);
        }
        match (node.word("useOr"), how) {
            (Some("true"), Comparison::Equal) => {
                Ok((Expression::Any(Box::new(one), list), Type::Bool))
            }
            // `NOT IN`
            (Some("false"), Comparison::Unequal) => {
                let any = Expression::Any(Box::new(one), list);
                Ok((Expression::Not(Box::new(any)), Type::Bool))
            }
            _ => Err("a comparison with an array is not known".to_owned()),
        }
    }

    /// `(select expression)`: without any table in it, it is the expression.
    fn sublink(&mut self, node: &Node) -> Result<Typed, Refusal> {
        let foreign = || "it looks into a table".to_owned();
        let query = node
            .field("subselect")
            .and_then(Item::node)
            .ok_or_else(String::new)?;
        if node.word("subLinkType") != Some("4") || query.kind != "QUERY" {
            return Err(foreign());
        }
        for (field, item) in &query.fields {
            let empty = match item {
                Item::Nothing => true,
                Item::Word(word) => word == "false" || word == "0",
                _ => false,
            };
            let fine = match field.as_str() {
                "commandType" => item.word() == Some("1"),
                "canSetTag" | "querySource" | "stmt_location" | "stmt_len" | "targetList" => true,
                "jointree" => item.node().is_some_and(|from| {
                    let empty = |(_, item): &(String, Item)| *item == Item::Nothing;
                    from.kind == "FROMEXPR" && from.fields.iter().all(empty)
                }),
                // `(select (select auth.uid()))`
                "hasSubLinks" => true,
                _ => empty,
            };
            if !fine {
                return Err(foreign());
            }
        }
        let [Item::Node(target)] = query.list("targetList").ok_or_else(String::new)? else {
            return Err(foreign());
        };
        if target.word("resjunk") != Some("false") {
            return Err(foreign());
        }
        self.item(target.field("expr").ok_or_else(String::new)?)
    }
}

fn comparison(oid: u32, collation: u32) -> Result<Comparison, Refusal> {
    if !BYTEWISE.contains(&collation) {
        return Err("it compares under a collation of its own".to_owned());
    }
    let mut found = COMPARISONS
        .iter()
        .flat_map(|(_, functions)| functions.iter().zip(ORDER))
        .filter(|(function, _)| **function == oid && oid != 0);
    let found = found.next().map(|(_, how)| how);
    found.ok_or_else(|| format!("the operator with function {oid} is not known"))
}

fn constant(node: &Node) -> Result<Typed, Refusal> {
    let of = Type::of(node.number("consttype").ok_or_else(String::new)?);
    if node.word("constisnull") == Some("true") {
        return Ok((Expression::Constant(Value::Null), of));
    }
    let Some(Item::Bytes(bytes)) = node.field("constvalue") else {
        return Err(String::new());
    };
    let fixed = |size: usize| bytes.get(..size).ok_or_else(String::new);
    let wrong = |_| String::new();
    // As the memory of the server has them, which is little-endian wherever we run; a text says how long it is, so that
    // another order of bytes shows.
    let value = match of {
        Type::Bool => Value::Bool(fixed(1)? == [1]),
        Type::Int2 => Value::Int(i16::from_le_bytes(fixed(2)?.try_into().map_err(wrong)?).into()),
        Type::Int4 => Value::Int(i32::from_le_bytes(fixed(4)?.try_into().map_err(wrong)?).into()),
        Type::Int8 => Value::Int(i64::from_le_bytes(fixed(8)?.try_into().map_err(wrong)?)),
        Type::Uuid => Value::Uuid(u128::from_be_bytes(fixed(16)?.try_into().map_err(wrong)?)),
        Type::Text => {
            let (head, text) = bytes.split_at_checked(4).ok_or_else(String::new)?;
            let length = u32::from_le_bytes(head.try_into().map_err(wrong)?);
            if usize::try_from(length >> 2) != Ok(bytes.len()) || length & 3 != 0 {
                return Err("a constant is not understood".to_owned());
            }
            let text = std::str::from_utf8(text).map_err(|_| String::new())?;
            Value::Text(text.to_owned().into())
        }
        Type::Json | Type::Other => {
            return Err("a constant is of a type that is not known".to_owned());
        }
    };
    Ok((Expression::Constant(value), of))
}
