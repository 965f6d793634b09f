//! Giving memory back that is no longer used.

/// `mi_option_purge_delay` of mimalloc 3 (`mimalloc.h`), which the crate does not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
/// Milliseconds after which freed memory goes back to the system; the allocator's own 1,000 keeps
/// what reading all rules and packs took for as long as the program rests: 16 MB of 61.
const DELAY_MS: std::ffi::c_long = 10;

/// Lets the allocator give freed memory back soon. To be called before there is any to give.
#[expect(
    unsafe_code,
    reason = "the allocator offers this as a C function only; it takes no pointer"
)]
pub(crate) fn give_back_soon() {
    // SAFETY: sets a number of the allocator; no other thread runs yet.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, DELAY_MS) };
}
