//! See the crate. After a new compiler: `TRYBUILD=overwrite cargo test -p demitasse-compile-fail`, and read the difference.

#[test]
fn a_buffer_has_one_owner() {
    let cases = trybuild::TestCases::new();
    cases.pass("cases/written_then_returned.rs");
    cases.compile_fail("cases/returned_while_written.rs");
    cases.compile_fail("cases/filled_while_written.rs");
    cases.compile_fail("cases/returned_twice.rs");
    cases.compile_fail("cases/used_after_return.rs");
}

#[test]
fn a_record_does_not_outlive_its_loan() {
    let cases = trybuild::TestCases::new();
    cases.pass("cases/record_copied.rs");
    cases.compile_fail("cases/record_kept.rs");
    cases.compile_fail("cases/record_carried_out.rs");
}
