//! Members of structures, against GNU readelf, and the table against both.
use weft_gobin::{GO, Release};

use super::{Program, VERSIONS, Variant, oracle};

#[test]
#[ignore = "needs Go and gcc: cargo xtask test"]
fn members_are_where_readelf_says() {
    for version in &VERSIONS {
        let program = Program::built(version, Variant::Plain);
        let described = weft_gobin::described(&program.bytes).expect("ELF").expect("debugging information");
        let names: Vec<(String, u32)> =
            described.iter().map(|(name, member)| (name.to_owned(), member.offset)).collect();
        let structures: Vec<&str> =
            names.iter().filter_map(|(name, _)| name.rsplit_once('.').map(|(of, _)| of)).collect();
        let printed = oracle::members(&program.path, &structures);
        let mut compared = 0;
        for (name, offset) in names.iter().filter(|(name, _)| !name.contains(".gFree.")) {
            assert_eq!(printed.get(name), Some(&u64::from(*offset)), "{} {name}", version.0);
            compared += 1;
        }
        assert!(compared >= 30, "{}: {compared}", version.0);
    }
}

#[test]
#[ignore = "needs Go and gcc: cargo xtask test"]
fn the_table_says_what_the_binaries_say() {
    for version in &VERSIONS {
        let program = Program::built(version, Variant::Plain);
        let described = weft_gobin::described(&program.bytes).expect("ELF").expect("debugging information");
        let release: Release =
            version.0.rsplit_once('.').expect("three numbers").0.parse().expect("a release");
        let row = weft_gobin::offsets()
            .iter()
            .find(|row| row.module == GO && (row.from..=row.to).contains(&release))
            .expect("a row");
        // A member whose place differs between the patches of a release is in no row.
        assert!(row.members.iter().count() > 20, "{}: {}", version.0, row.members.iter().count());
        for (name, member) in row.members.iter() {
            assert_eq!(
                described.iter().find(|(known, _)| known == &name).map(|(_, at)| at),
                Some(member),
                "{}: {name}",
                version.0
            );
        }
    }
}
