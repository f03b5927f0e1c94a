//! How a Go function begins on amd64 (`stacksplit` of cmd/internal/obj/x86/obj6.go, Go 1.21 to 1.27): it compares the stack
//! pointer with the goroutine's guard, jumps away where there is too little stack, and then saves the frame pointer.
//! Nothing of that touches a register that holds an argument.

/// `push %rbp`, which the kernel emulates under a uprobe.
const PUSH_RBP: u8 = 0x55;
/// `cmp GUARD(%r14),%rsp`: small frames.
const COMPARE_RSP: &[u8] = &[0x49, 0x3b, 0x66];
/// `cmp GUARD(%r14),%r12`.
const COMPARE_R12: &[u8] = &[0x4d, 0x3b, 0x66];
/// `lea DISP8(%rsp),%r12`, `lea DISP32(%rsp),%r12`: large frames.
const LEA_8: &[u8] = &[0x4c, 0x8d, 0x64, 0x24];
const LEA_32: &[u8] = &[0x4c, 0x8d, 0xa4, 0x24];
/// `mov %rsp,%r12`, then `sub $SIZE,%r12`, then a jump if that wrapped: huge frames.
const MOVE: &[u8] = &[0x49, 0x89, 0xe4];
const SUBTRACT: &[u8] = &[0x49, 0x81, 0xec];
/// `g.stackguard0` and `g.stackguard1`, which functions on a system stack look at.
const GUARDS: [u8; 2] = [0x10, 0x18];

/// How far behind the function's entry the first `push %rbp` is; none, where the function begins in another way.
pub fn first_push(code: &[u8]) -> Option<usize> {
    let after = after_stack_check(code).unwrap_or(code);
    (after.first() == Some(&PUSH_RBP)).then(|| code.len() - after.len())
}

fn after_stack_check(code: &[u8]) -> Option<&[u8]> {
    let compared = guard(code.strip_prefix(COMPARE_RSP));
    let compared = compared.or_else(|| guard(large_frame(code)?.strip_prefix(COMPARE_R12)));
    let compared = compared.or_else(|| guard(huge_frame(code)?.strip_prefix(COMPARE_R12)));
    // jbe
    jump(compared?, 0x76, 0x86)
}

fn guard(code: Option<&[u8]>) -> Option<&[u8]> {
    code?.split_first().filter(|(guard, _)| GUARDS.contains(guard)).map(|(_, rest)| rest)
}

fn large_frame(code: &[u8]) -> Option<&[u8]> {
    let short = code.strip_prefix(LEA_8).and_then(|rest| rest.get(1..));
    short.or_else(|| code.strip_prefix(LEA_32).and_then(|rest| rest.get(4..)))
}

fn huge_frame(code: &[u8]) -> Option<&[u8]> {
    let subtracted = code.strip_prefix(MOVE)?.strip_prefix(SUBTRACT)?.get(4..)?;
    // jb
    jump(subtracted, 0x72, 0x82)
}

/// Behind a conditional jump, in its short or its long form.
fn jump(code: &[u8], short: u8, long: u8) -> Option<&[u8]> {
    let near = code.strip_prefix(&[short]).and_then(|rest| rest.get(1..));
    near.or_else(|| code.strip_prefix(&[0x0f, long]).and_then(|rest| rest.get(4..)))
}

#[cfg(test)]
mod tests {
    use super::first_push;

    /// What Go 1.21 to 1.27 make of functions with frames of different sizes.
    const BEGINNINGS: [(&str, &[u8], Option<usize>); 7] = [
        ("small frame, near end", &[0x49, 0x3b, 0x66, 0x10, 0x76, 0x16, 0x55, 0x48], Some(6)),
        ("small frame", &[0x49, 0x3b, 0x66, 0x10, 0x0f, 0x86, 0x8a, 0, 0, 0, 0x55, 0x48], Some(10)),
        (
            "large frame on a system stack",
            &[0x4c, 0x8d, 0x64, 0x24, 0xe8, 0x4d, 0x3b, 0x66, 0x18, 0x0f, 0x86, 0x1e, 4, 0, 0, 0x55],
            Some(15),
        ),
        (
            "larger frame",
            &[0x4c, 0x8d, 0xa4, 0x24, 0xc0, 0xfe, 0xff, 0xff, 0x4d, 0x3b, 0x66, 0x10, 0x76, 9, 0x55],
            Some(14),
        ),
        (
            "huge frame",
            &[
                0x49, 0x89, 0xe4, 0x49, 0x81, 0xec, 0x28, 0x86, 1, 0, 0x72, 0x5f, 0x4d, 0x3b, 0x66, 0x10,
                0x76, 0x59, 0x55,
            ],
            Some(18),
        ),
        ("no stack check", &[0x55, 0x48, 0x89, 0xe5], Some(0)),
        ("no frame", &[0x48, 0x0f, 0xaf, 0xc3, 0x48, 0xff, 0xc0, 0xc3, 0x55], None),
    ];

    #[test]
    fn the_first_push_is_behind_the_stack_check() {
        for (what, code, push) in BEGINNINGS {
            assert_eq!(first_push(code), push, "{what}");
        }
    }

    #[test]
    fn what_only_begins_so_is_no_stack_check() {
        for (what, code, push) in BEGINNINGS {
            for length in 0..push.map_or(0, |push| push + 1) {
                assert_eq!(first_push(&code[..length]), None, "{what}, {length} bytes");
            }
        }
        // The guard of no goroutine; a jump that is none of the check's.
        assert_eq!(first_push(&[0x49, 0x3b, 0x66, 0x20, 0x76, 0x16, 0x55]), None);
        assert_eq!(first_push(&[0x49, 0x3b, 0x66, 0x10, 0x77, 0x16, 0x55]), None);
    }
}
