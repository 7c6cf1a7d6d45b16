//! Addresses of workers, and what it takes to be trusted there.

use std::time::Duration;

use superstep_transport::{Authority, Identity, Validity};

use crate::command::Home;

#[test]
fn nothing_leaves_the_machine_without_encryption() {
    let home = Home::new();
    for (arguments, said) in [
        ("--connect http://10.0.0.1:7101", "http://10.0.0.1:7101 is not on this machine"),
        ("--connect http://workers:7101", "http://workers:7101 is not on this machine"),
        ("--connect https://127.0.0.1:7101", "https://127.0.0.1:7101 needs certificates: --tls DIR"),
        ("--connect unix:/tmp/socket", "begins with neither https:// nor http://"),
        ("--connect https://127.0.0.1:7101 --tls /nowhere", "cannot read /nowhere/ca.crt"),
    ] {
        home.line(&format!("cluster status {arguments}")).with(2).saying(said);
        home.line(&format!("watch some-run {arguments}")).with(2).saying(said);
        home.line(&format!("run -f tests/graphs/changes.yaml {arguments}")).with(2).saying(said);
    }
}

#[test]
fn certificates_are_not_left_unused() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let client = Identity::client("shop", "client").unwrap();
    let validity = Validity::lasting(Duration::from_secs(3_600));
    Authority::new("one").unwrap().issue(&client, validity).unwrap().write(folder.path()).unwrap();
    let tls = folder.path().display();
    home.line(&format!("cluster status --connect http://127.0.0.1:7101 --tls {tls}"))
        .with(2)
        .saying("http://127.0.0.1:7101 is not encrypted, and there are certificates");
}
