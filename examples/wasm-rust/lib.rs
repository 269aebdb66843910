//! A function that greets whoever the event or the request names: a reactor
//! without WASI. `alloc` gives the place for an event, `handle` takes it there
//! and returns the place and length of the answer.

use std::fmt::Write;

#[no_mangle]
pub extern "C" fn alloc(length: usize) -> *mut u8 {
    Box::leak(vec![0; length].into_boxed_slice()).as_mut_ptr()
}

/// # Safety
///
/// The event is where `alloc` said, and is not used afterwards.
#[no_mangle]
pub unsafe extern "C" fn handle(event: *mut u8, length: usize) -> u64 {
    let event = Vec::from_raw_parts(event, length, length);
    match greet(&event) {
        Ok(answer) => {
            let answer = Box::leak(answer.into_bytes().into_boxed_slice());
            (answer.as_ptr() as u64) << 32 | answer.len() as u64
        }
        Err(message) => {
            let kind = "InvalidEvent";
            fail(kind.as_ptr(), kind.len(), message.as_ptr(), message.len());
            0
        }
    }
}

#[link(wasm_import_module = "millicent")]
extern "C" {
    /// Says that the request has failed: the errorType and errorMessage of
    /// the answer.
    fn fail(kind: *const u8, kind_length: usize, message: *const u8, message_length: usize);
}

fn greet(event: &[u8]) -> Result<String, String> {
    let event = std::str::from_utf8(event).map_err(|e| format!("the event: {e}"))?;
    let name = member(event, "name").unwrap_or("world");
    let mut answer = String::with_capacity(64 + name.len());
    write!(answer, r#"{{"message":"Hello, {name}!","runtime":"Rust"}}"#).map_err(|e| e.to_string())?;
    Ok(answer)
}

/// The first string that the JSON text has under a name, as it is written
/// there: escapes and all, so that it can be put into other JSON.
fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = json;
    let mut named = false; // the last string was the name
    while let Some(start) = rest.find('"') {
        let between = rest[..start].trim();
        rest = &rest[start + 1..];
        let text = &rest[..string_end(rest)?];
        rest = &rest[text.len() + 1..];
        if named && between == ":" {
            return Some(text);
        }
        named = text == name && rest.trim_start().starts_with(':');
    }
    None
}

/// Where the string ends whose inside a text begins with.
fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|b| {
        let ends = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        ends
    })
}
