//! The body of `POST /api/broadcast`: which messages it has, or what is wrong with each (protocol.md §5.5).

use std::borrow::Cow;

use serde_json::{Value, json};

use super::fields;
use crate::protocol::size;

const BLANK: &str = "can't be blank";
const INVALID: &str = "is invalid";
pub(super) const TOO_LARGE: &str = "Payload size exceeds tenant limit";

/// So many wrong messages are described; those after them are not looked at, so that the answer stays shorter than the
/// question.
const DESCRIBED: usize = 1_000;

/// A message of a batch. What is JSON text stays as it was sent.
#[derive(Debug, PartialEq)]
pub(super) struct Message<'a> {
    /// Sub-topic; a `realtime:` in front belongs to it (P-177).
    pub(super) topic: Cow<'a, str>,
    /// JSON text of a string.
    pub(super) event: &'a str,
    /// JSON text of an object.
    pub(super) payload: &'a str,
    pub(super) private: bool,
    /// JSON text of a string.
    pub(super) id: Option<&'a str>,
}

/// Reads a JSON text; `limit` is the tenant's for one payload. The error is the body of the 422 answer.
pub(super) fn read(json: &str, limit: usize) -> Result<Vec<Message<'_>>, Value> {
    let whole = |problem: &str| json!({ "errors": { "messages": [problem] } });
    let mut list = None;
    // Anything but an object has no `messages`.
    if json.starts_with('{') {
        fields::of_object(json, |key, value| {
            if key == "messages" {
                list = Some(value);
            }
        })
        .map_err(|_| whole(INVALID))?;
    }
    let list = match list {
        None => return Err(whole(BLANK)),
        Some(list) if list.starts_with('[') => list,
        Some(object) if object.starts_with('{') && is_empty(object) => return Err(whole(BLANK)),
        Some(_) => return Err(whole(INVALID)),
    };
    let mut messages = Vec::new();
    let mut errors = Vec::new();
    let mut wrong = 0;
    let mut objects = true;
    let read = fields::of_list(list, |element| {
        if !element.starts_with('{') {
            objects = false;
            return false;
        }
        if wrong == DESCRIBED {
            return true;
        }
        match message(element, limit) {
            Ok(message) if wrong == 0 => messages.push(message),
            Ok(_) => errors.push(json!({})),
            Err(problems) => {
                if wrong == 0 {
                    errors = vec![json!({}); messages.len()];
                }
                wrong += 1;
                errors.push(problems);
            }
        }
        true
    });
    if !objects || read.is_err() {
        return Err(whole(INVALID));
    }
    if wrong > 0 {
        return Err(json!({ "errors": { "messages": errors } }));
    }
    if messages.is_empty() {
        return Err(whole(BLANK));
    }
    Ok(messages)
}

fn is_empty(object: &str) -> bool {
    let mut empty = true;
    fields::of_object(object, |_, _| empty = false).is_ok() && empty
}

/// One message, or its problems by field.
fn message(json: &str, limit: usize) -> Result<Message<'_>, Value> {
    let (mut topic, mut event, mut payload, mut private, mut id) = (None, None, None, None, None);
    let read = fields::of_object(json, |key, value| match key {
        "topic" => topic = Some(value),
        "event" => event = Some(value),
        "payload" => payload = Some(value),
        "private" => private = Some(value),
        "id" => id = Some(value),
        _ => {}
    });
    let mut problems = serde_json::Map::new();
    let mut note = |field: &str, problem: &str| {
        problems.insert(field.to_owned(), json!([problem]));
    };
    if read.is_err() {
        note("payload", INVALID);
    }
    let topic = required(topic);
    let named = required(event);
    let payload = object(payload, limit);
    for (field, problem) in [
        ("topic", topic.as_ref().err()),
        ("event", named.as_ref().err()),
        ("payload", payload.as_ref().err()),
    ] {
        if let Some(problem) = problem {
            note(field, problem);
        }
    }
    let private = flag(private).unwrap_or_else(|| {
        note("private", INVALID);
        false
    });
    let id = optional(id).unwrap_or_else(|| {
        note("id", INVALID);
        None
    });
    match (topic, event, payload) {
        (Ok(topic), Some(event), Ok(payload)) if problems.is_empty() => Ok(Message {
            topic,
            event,
            payload,
            private,
            id,
        }),
        _ => Err(Value::Object(problems)),
    }
}

/// A string that is not blank.
fn required(json: Option<&str>) -> Result<Cow<'_, str>, &'static str> {
    match json {
        None | Some("null") => Err(BLANK),
        Some(json) => match fields::string(json) {
            Some(text) if text.trim().is_empty() => Err(BLANK),
            Some(text) => Ok(text),
            None => Err(INVALID),
        },
    }
}

fn object(json: Option<&str>, limit: usize) -> Result<&str, &'static str> {
    match json {
        Some(json) if json.starts_with('{') => match size::json_fits(json, limit) {
            true => Ok(json),
            false => Err(TOO_LARGE),
        },
        // A blank string counts as nothing, here and below.
        other => match required(other) {
            Err(BLANK) => Err(BLANK),
            _ => Err(INVALID),
        },
    }
}

/// `None` for what is no boolean.
fn flag(json: Option<&str>) -> Option<bool> {
    match json {
        None | Some("null" | "false") => Some(false),
        Some("true") => Some(true),
        Some(json) => match &*fields::string(json)? {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            text => text.trim().is_empty().then_some(false),
        },
    }
}

/// `None` for what is no string.
fn optional(json: Option<&str>) -> Option<Option<&str>> {
    match json {
        None | Some("null") => Some(None),
        Some(json) => {
            let text = fields::string(json)?;
            Some((!text.trim().is_empty()).then_some(json))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn problems(json: &str) -> String {
        read(json, 100).unwrap_err()["errors"]["messages"].to_string()
    }

    /// The problems of one message whose field has this value.
    fn with(field: &str, value: &str) -> String {
        let mut message = json!({ "topic": "t", "event": "e", "payload": {} });
        message[field] = serde_json::from_str(value).unwrap();
        match read(&json!({ "messages": [message] }).to_string(), 100) {
            Ok(_) => String::new(),
            Err(error) => error["errors"]["messages"][0].to_string(),
        }
    }

    #[test]
    fn every_way_to_have_no_list_of_messages_has_its_answer() {
        for (body, expected) in [
            ("{}", r#"["can't be blank"]"#),
            ("[]", r#"["can't be blank"]"#),
            ("5", r#"["can't be blank"]"#),
            (r#"{"messages":[]}"#, r#"["can't be blank"]"#),
            (r#"{"messages":{}}"#, r#"["can't be blank"]"#),
            (r#"{"messages":null}"#, r#"["is invalid"]"#),
            (r#"{"messages":"x"}"#, r#"["is invalid"]"#),
            (r#"{"messages":{"0":{}}}"#, r#"["is invalid"]"#),
            (r#"{"messages":[{},5]}"#, r#"["is invalid"]"#),
        ] {
            assert_eq!(problems(body), expected, "{body}");
        }
    }

    #[test]
    fn every_field_has_its_rules() {
        let blank = |field: &str| format!(r#"{{"{field}":["can't be blank"]}}"#);
        let invalid = |field: &str| format!(r#"{{"{field}":["is invalid"]}}"#);
        for field in ["topic", "event"] {
            for value in ["null", r#""""#, r#"" \t""#] {
                assert_eq!(with(field, value), blank(field), "{field} {value}");
            }
            for value in ["5", "true", "[]", "{}"] {
                assert_eq!(with(field, value), invalid(field), "{field} {value}");
            }
        }
        for value in ["null", r#""""#] {
            assert_eq!(with("payload", value), blank("payload"), "{value}");
        }
        for value in [r#""x""#, "5", "[1]", "false"] {
            assert_eq!(with("payload", value), invalid("payload"), "{value}");
        }
        for value in ["1", "0", r#""yes""#, "[]", "{}"] {
            assert_eq!(with("private", value), invalid("private"), "{value}");
        }
        for value in ["5", "{}", "true"] {
            assert_eq!(with("id", value), invalid("id"), "{value}");
        }
        let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(200));
        assert_eq!(
            with("payload", &large),
            format!(r#"{{"payload":["{TOO_LARGE}"]}}"#)
        );
    }

    #[test]
    fn flags_and_ids_are_read_as_the_original_reads_them() {
        for (value, expected) in [
            ("true", true),
            (r#""true""#, true),
            (r#""1""#, true),
            ("false", false),
            (r#""false""#, false),
            (r#""0""#, false),
            (r#""""#, false),
            ("null", false),
        ] {
            assert_eq!(flag(Some(value)), Some(expected), "{value}");
        }
        assert_eq!(optional(Some(r#""a""#)), Some(Some(r#""a""#)));
        assert_eq!(optional(Some(r#"" ""#)), Some(None));
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        let body = r#"{"messages":5,"messages":[{"topic":"a","topic":"b\u0021","event":"e","payload":{"n":1},
            "private":true,"private":false,"private":"1"}]}"#;
        let messages = read(body, 100).unwrap();
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].topic, "b!");
        assert!(messages[0].private);
    }

    #[test]
    fn one_wrong_message_refuses_all_and_the_answer_stays_small() {
        let good = r#"{"topic":"t","event":"e","payload":{}}"#;
        let body = format!(r#"{{"messages":[{good},{{}},{good}]}}"#);
        let error = read(&body, 100).unwrap_err();
        let errors = error["errors"]["messages"].as_array().unwrap();
        assert_eq!(errors.len(), 3);
        assert_eq!((&errors[0], &errors[2]), (&json!({}), &json!({})));
        let many = format!(r#"{{"messages":[{}{{}}]}}"#, "{},".repeat(100_000));
        let error = read(&many, 100).unwrap_err();
        let errors = error["errors"]["messages"].as_array().unwrap();
        assert_eq!(errors.len(), DESCRIBED);
    }
}
