//! JSON strings.

/// Appends `text` as a JSON string. Bytes that are not UTF-8 (a database in `SQL_ASCII`) become U+FFFD.
pub(in crate::changes::record) fn push_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    push_escaped(text, out);
    out.push(b'"');
}

/// Appends the inside of a JSON string.
pub(super) fn push_escaped(text: &[u8], out: &mut Vec<u8>) {
    if std::str::from_utf8(text).is_ok() {
        push_escaped_utf8(text, out);
    } else {
        push_escaped_utf8(String::from_utf8_lossy(text).as_bytes(), out);
    }
}

fn push_escaped_utf8(mut text: &[u8], out: &mut Vec<u8>) {
    // Copies whole runs: nearly all text needs no escape at all.
    while let Some(at) = text
        .iter()
        .position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'))
    {
        let (plain, rest) = text.split_at(at);
        out.extend_from_slice(plain);
        let Some((special, rest)) = rest.split_first() else {
            return;
        };
        push_escape(*special, out);
        text = rest;
    }
    out.extend_from_slice(text);
}

fn push_escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        other => {
            let digit = |nibble: u8| {
                if nibble < 10 {
                    b'0' + nibble
                } else {
                    b'a' + nibble - 10
                }
            };
            out.extend_from_slice(&[
                b'\\',
                b'u',
                b'0',
                b'0',
                digit(other >> 4),
                digit(other & 0x0f),
            ]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}
