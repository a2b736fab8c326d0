//! Requests by dice, and the catalog they are about.

use std::collections::BTreeMap;

use crate::gateway::rest::catalog::{
    Argument, Catalog, Column, Computed, Function, Kind, Link, Relation, Relationship, Returns,
    Shape, Way,
};
use crate::gateway::rest::media::Form;

/// Part of most hostile texts.
pub(super) const MARK: &str = "mArK";

/// Numbers that look random and are the same every time.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, end: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end.max(1) as u64) as usize
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn of<'x>(&mut self, list: &[&'x str]) -> &'x str {
        list[self.below(list.len())]
    }
}

/// One request, as far as SQL is concerned.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) name: String,
    pub(super) call: bool,
    pub(super) pairs: Vec<(String, String)>,
    pub(super) keys: Vec<String>,
    pub(super) body: bool,
    pub(super) count: bool,
    pub(super) change: usize,
    pub(super) form: Option<Form>,
}

const HOSTILE: [&str; 40] = [
    "mArK",
    "mArK'",
    "mArK\"",
    "mArK';drop table canary;--",
    "mArK\";drop table canary;--",
    "mArK\"\";drop table canary;--",
    "mArK\\\";drop table canary",
    "mArK' or '1'='1",
    "mArK\" or \"1\"=\"1",
    "mArK') or ('1'='1",
    "1) union select mArK from canary",
    "1 union all select null,mArK,null--",
    "1;select pg_sleep(5)--mArK",
    "1 and 1=(select 1 from mArK)",
    "$1mArK",
    "$$mArK$$",
    "$mArK$;$mArK$",
    "/*mArK*/",
    "--mArK",
    "mArK\n--",
    "E'mArK\\'",
    "U&\"mArK\"",
    "mArK::text",
    "mArK::regclass",
    "(select mArK)",
    "mArK->>'a'",
    "mArK\u{2019}\u{ff07}\u{201d}",
    "mArK\u{0}",
    "mArK\r\n;",
    "*",
    "public.mArK",
    "pg_catalog.pg_read_file('mArK')",
    "mArK(id)",
    "}mArK{",
    "\\",
    "\"",
    "'",
    "..",
    ";",
    "as mArK",
];

const COLUMNS: [&str; 8] = [
    "id",
    "title",
    "data",
    "user_id",
    "words",
    "odd \"name\"",
    "label",
    "done",
];
const RELATIONS: [&str; 6] = [
    "users",
    "tags",
    "todos",
    "todos_user_id_fkey",
    "parent_id",
    "odd \"table\"",
];

/// A name that is right, or one that is not, perhaps in quotes so that it is read to its end.
fn name(dice: &mut Dice, right: &[&str]) -> String {
    let text = match dice.below(40) {
        0 => dice.of(&HOSTILE).to_owned(),
        1 => format!("{}{}", dice.of(right), dice.of(&HOSTILE)),
        _ => dice.of(right).to_owned(),
    };
    match text.contains(['"', ' ', '\'', ';', '(']) && !dice.one_in(8) || dice.one_in(6) {
        true => quoted(&text),
        false => text,
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn field(dice: &mut Dice) -> String {
    let mut field = name(dice, &COLUMNS);
    while dice.one_in(4) {
        field.push_str(dice.of(&["->", "->>"]));
        match dice.below(3) {
            0 => field.push_str(dice.of(&["0", "-1", "12"])),
            1 => field.push_str(&quoted(dice.of(&HOSTILE))),
            _ if dice.one_in(4) => field.push_str(dice.of(&HOSTILE)),
            _ => field.push_str("mArK"),
        }
    }
    field
}

fn items(dice: &mut Dice, depth: usize) -> String {
    let mut items = Vec::new();
    for _ in 0..=dice.below(3) {
        let mut item = String::new();
        if depth < 3 && dice.one_in(3) {
            if dice.one_in(5) {
                item.push_str("...");
            } else if dice.one_in(3) {
                item.push_str(&quoted(dice.of(&HOSTILE)));
                item.push(':');
            }
            item.push_str(&name(dice, &RELATIONS));
            if dice.one_in(4) {
                item.push('!');
                item.push_str(&name(
                    dice,
                    &["todos_user_id_fkey", "user_id", "id", "inner", "left"],
                ));
            }
            if dice.one_in(3) {
                item.push_str("!inner");
            }
            item.push_str(&format!("({})", items_or_none(dice, depth + 1)));
        } else if dice.one_in(6) {
            item.push('*');
        } else {
            if dice.one_in(3) {
                item.push_str(&quoted(dice.of(&HOSTILE)));
                item.push(':');
            }
            item.push_str(&field(dice));
            if dice.one_in(4) {
                item.push_str("::");
                item.push_str(dice.of(&[
                    "text",
                    "int",
                    "double precision",
                    "Citext",
                    "mArK",
                    "int;mArK",
                    "text)--",
                ]));
            }
        }
        items.push(item);
    }
    items.join(",")
}

fn items_or_none(dice: &mut Dice, depth: usize) -> String {
    match dice.one_in(6) {
        true => String::new(),
        false => items(dice, depth),
    }
}

fn test(dice: &mut Dice) -> String {
    let not = if dice.one_in(4) { "not." } else { "" };
    let hostile = dice.of(&HOSTILE);
    let test = match dice.below(10) {
        0 => "is.null".to_owned(),
        1 => format!(
            "in.({},{},{hostile})",
            quoted(hostile),
            quoted(dice.of(&HOSTILE))
        ),
        2 => format!(
            "{}.{hostile}",
            dice.of(&["fts", "plfts(english)", "wfts(mArK)", "phfts"])
        ),
        3 => format!("{}(any).{{{hostile}}}", dice.of(&["eq", "like", "match"])),
        4 => format!("isdistinct.{hostile}"),
        5 if dice.one_in(4) => format!("{hostile}.1"),
        _ => {
            let operators = [
                "eq", "neq", "gt", "lte", "like", "ilike", "match", "cs", "cd", "ov", "sl", "adj",
            ];
            format!("{}.{hostile}", dice.of(&operators))
        }
    };
    format!("{not}{test}")
}

fn tree(dice: &mut Dice, depth: usize) -> String {
    let mut members = Vec::new();
    for _ in 0..=dice.below(3) {
        members.push(match depth < 3 && dice.one_in(3) {
            true => format!(
                "{}{}{}",
                dice.of(&["", "not."]),
                dice.of(&["and", "or"]),
                tree(dice, depth + 1)
            ),
            false => {
                let test = match dice.below(3) {
                    0 => "is.true".to_owned(),
                    1 => format!("eq.{}", quoted(dice.of(&HOSTILE))),
                    _ => test(dice),
                };
                format!("{}.{test}", field(dice))
            }
        });
    }
    format!("({})", members.join(","))
}

fn order(dice: &mut Dice) -> String {
    let mut terms = Vec::new();
    for _ in 0..=dice.below(2) {
        let by = match dice.one_in(5) {
            true => format!("{}({})", name(dice, &RELATIONS), field(dice)),
            false => field(dice),
        };
        let ends = [
            "",
            ".asc",
            ".desc",
            ".nullsfirst",
            ".desc.nullslast",
            ".mArK",
            ".desc;--",
        ];
        terms.push(format!("{by}{}", dice.of(&ends)));
    }
    terms.join(",")
}

pub(super) fn request(dice: &mut Dice) -> Request {
    let call = dice.one_in(4);
    let mut pairs = Vec::new();
    let mut add = |name: String, value: String| pairs.push((name, value));
    if !dice.one_in(3) {
        add("select".to_owned(), items(dice, 0));
    }
    for _ in 0..dice.below(3) {
        let path = if dice.one_in(5) {
            format!("{}.", name(dice, &RELATIONS))
        } else {
            String::new()
        };
        add(format!("{path}{}", field(dice)), test(dice));
    }
    if dice.one_in(4) {
        add(
            dice.of(&["and", "or", "not.or", "users.or"]).to_owned(),
            tree(dice, 0),
        );
    }
    if dice.one_in(4) {
        add(dice.of(&["order", "users.order"]).to_owned(), order(dice));
    }
    if dice.one_in(5) {
        add(
            "limit".to_owned(),
            dice.of(&["1", "0", "7", "1;mArK", "99999999999999"])
                .to_owned(),
        );
    }
    if dice.one_in(8) {
        add("offset".to_owned(), dice.of(&["1", "5 mArK"]).to_owned());
    }
    if dice.one_in(6) {
        add(
            "columns".to_owned(),
            format!("{},{}", name(dice, &COLUMNS), name(dice, &COLUMNS)),
        );
    }
    if dice.one_in(6) {
        add("on_conflict".to_owned(), name(dice, &COLUMNS));
    }
    let mut keys = Vec::new();
    for _ in 0..dice.below(3) {
        let right = if call {
            &["a", "odd \"arg\"", "rest"][..]
        } else {
            &COLUMNS[..]
        };
        let key = match dice.one_in(30) {
            true => dice.of(&HOSTILE),
            false => dice.of(right),
        };
        keys.push(key.to_owned());
        if call {
            pairs.push((key.to_owned(), dice.of(&HOSTILE).to_owned()));
        }
    }
    keys.sort();
    keys.dedup();
    let names = if call {
        ["f", "f", "g", "odd \"f\""]
    } else {
        ["todos", "todos", "users", "odd \"table\""]
    };
    let name = match dice.one_in(20) {
        true => dice.of(&HOSTILE).to_owned(),
        false => dice.of(&names).to_owned(),
    };
    let forms = [
        None,
        Some(Form::Csv),
        Some(Form::Array { stripped: true }),
        Some(Form::Array { stripped: false }),
        Some(Form::Object { stripped: false }),
    ];
    Request {
        name,
        call,
        pairs,
        keys,
        body: dice.one_in(2),
        count: dice.one_in(2),
        change: dice.below(6).saturating_sub(2),
        form: forms[dice.below(forms.len())],
    }
}

fn column(name: &str, type_name: &str, kind: Kind) -> Column {
    Column {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        kind,
        default: (name == "done").then(|| "false".to_owned()),
    }
}

fn link(here: &str, there: &str) -> Link {
    Link {
        constraint: "todos_user_id_fkey".to_owned(),
        columns: vec![(here.to_owned(), there.to_owned())],
    }
}

fn related(target: &str, itself: bool, way: Way) -> Relationship {
    Relationship {
        target: target.to_owned(),
        target_is_view: false,
        itself,
        way,
    }
}

pub(super) fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    let schema = catalog.schemas.entry("public".to_owned()).or_default();
    let columns = || {
        vec![
            column("id", "integer", Kind::Other),
            column("title", "text", Kind::Other),
            column("data", "jsonb", Kind::Json),
            column("user_id", "integer", Kind::Other),
            column("parent_id", "integer", Kind::Other),
            column("words", "tsvector", Kind::Vector),
            column("odd \"name\"", "text", Kind::Other),
            column("done", "boolean", Kind::Other),
        ]
    };
    let joined = |target: &str| {
        let way = Way::ManyToMany {
            junction: "odd \"table\"".to_owned(),
            near: link("id", "id"),
            far: link("id", "user_id"),
        };
        related(target, false, way)
    };
    for (name, relationships) in [
        (
            "todos",
            vec![
                related("users", false, Way::ManyToOne(link("user_id", "id"))),
                joined("tags"),
                related("todos", true, Way::ManyToOne(link("parent_id", "id"))),
                related("todos", true, Way::OneToMany(link("id", "parent_id"))),
            ],
        ),
        (
            "users",
            vec![
                related("todos", false, Way::OneToMany(link("id", "user_id"))),
                related(
                    "odd \"table\"",
                    false,
                    Way::OneToOne(link("id", "odd \"name\"")),
                ),
            ],
        ),
        ("tags", vec![joined("todos")]),
        (
            "odd \"table\"",
            vec![related(
                "users",
                false,
                Way::OneToOne(link("odd \"name\"", "id")),
            )],
        ),
    ] {
        let computed = Computed {
            schema: "extra".to_owned(),
            kind: Kind::Other,
        };
        let relation = Relation {
            schema: "public".to_owned(),
            name: name.to_owned(),
            columns: columns(),
            key: vec!["id".to_owned(), "odd \"name\"".to_owned()],
            relationships,
            computed: BTreeMap::from([("label".to_owned(), computed)]),
        };
        schema.relations.insert(name.to_owned(), relation);
    }
    let argument = |name: &str, required, variadic| Argument {
        name: name.to_owned(),
        type_name: if variadic { "text[]" } else { "text" }.to_owned(),
        required,
        variadic,
    };
    let function = |name: &str, shape, set, arguments| Function {
        schema: "public".to_owned(),
        name: name.to_owned(),
        arguments,
        returns: Returns { set, shape },
        volatile: true,
    };
    for function in [
        function(
            "f",
            Shape::Relation("todos".to_owned()),
            true,
            vec![
                argument("a", false, false),
                argument("odd \"arg\"", false, false),
                argument("rest", false, true),
            ],
        ),
        function("g", Shape::Scalar, false, vec![argument("a", false, false)]),
        function(
            "odd \"f\"",
            Shape::Scalar,
            true,
            vec![argument("rest", false, true)],
        ),
    ] {
        schema
            .functions
            .insert(function.name.clone(), vec![function]);
    }
    catalog
}
