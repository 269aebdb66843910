//! A reactor that leaves what it is told wherever a Rust program can:
//! "OP N TEXT".

use std::cell::RefCell;
use std::collections::HashMap;

static mut KEPT: [u8; 1 << 14] = [0; 1 << 14];

thread_local! {
    static SEEN: RefCell<HashMap<String, Vec<u8>>> = RefCell::new(HashMap::new());
}

#[no_mangle]
pub extern "C" fn alloc(length: usize) -> *mut u8 {
    Box::leak(vec![0; length].into_boxed_slice()).as_mut_ptr()
}

#[no_mangle]
pub unsafe extern "C" fn handle(event: *mut u8, length: usize) -> u64 {
    let event = String::from_raw_parts(event, length, length);
    let parts: Vec<&str> = event.split(' ').collect();
    let n: usize = parts[1].parse().unwrap();
    let answer = Box::leak(leave(parts[0], n, parts[2]).to_string().into_boxed_str());
    (answer.as_ptr() as u64) << 32 | answer.len() as u64
}

unsafe fn leave(op: &str, n: usize, text: &str) -> usize {
    match op {
        "heap" => {
            for _ in 0..n {
                Box::leak(text.repeat(100).into_boxed_str());
            }
        }
        "static" => {
            for (i, b) in KEPT.iter_mut().enumerate() {
                *b = text.as_bytes()[i % text.len()];
            }
        }
        "grow" => {
            let page = core::arch::wasm32::memory_grow(0, n);
            if page != usize::MAX {
                let new = std::slice::from_raw_parts((page << 16) as *const u8, n << 16);
                let dirty = new.iter().filter(|b| **b != 0).count();
                std::ptr::copy(text.as_ptr(), (page << 16) as *mut u8, text.len());
                std::ptr::copy(text.as_ptr(), (((page + n) << 16) - text.len()) as *mut u8, text.len());
                return dirty;
            }
        }
        "stack" => return deep(n, text),
        "map" => SEEN.with(|seen| {
            for i in 0..n {
                seen.borrow_mut().insert(format!("{text}{i}"), text.as_bytes().to_vec());
            }
        }),
        "find" => return found(n, text.as_bytes()),
        _ => {}
    }
    SEEN.with(|seen| seen.borrow().len()).saturating_sub(n) // 0 in the first request
}

#[inline(never)]
unsafe fn deep(n: usize, text: &str) -> usize {
    let mut here = [0u8; 512];
    for (b, from) in here.iter_mut().zip(text.bytes()) {
        std::ptr::write_volatile(b, from);
    }
    if n == 0 { 0 } else { deep(n - 1, text) + here[511] as usize }
}

/// Counts a text in the memory. Each of its bytes comes as the next higher one,
/// so that it is not there by the search.
unsafe fn found(size: usize, text: &[u8]) -> usize {
    let at = |i: usize| std::ptr::read_volatile(i as *const u8);
    (8..size - text.len()).filter(|i| text.iter().enumerate().all(|(k, b)| at(i + k) == b - 1)).count()
}
