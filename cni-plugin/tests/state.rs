//! What calls leave in the state folder, and what they send to the agent.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod plugin;

use std::{collections::BTreeMap, fs, os::unix::net::UnixDatagram};

use serde_json::{Value, json};

use plugin::{Answer, Folder, call};

/// A call for a container of the network `net`.
fn run(command: &str, container: &str, folder: &Folder, keys: &Value) -> Answer {
    let env = [("CNI_COMMAND", command), ("CNI_CONTAINERID", container)];
    let env: BTreeMap<_, _> = env.map(|(key, value)| (key.to_owned(), Some(value.to_owned()))).into();
    let mut config = json!({
        "cniVersion": "1.1.0", "name": "net", "type": "weft-cni", "prevResult": {},
        "bpffs": folder.path.join("bpf"), "stateDir": folder.path.join("state"),
    });
    for (key, value) in keys.as_object().unwrap() {
        config[key] = value.clone();
    }
    let answer = call(&env, &config.to_string(), folder);
    assert_eq!(answer.code, Some(0), "{command} {container}: {answer:?}");
    answer
}

fn records(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.path.join("state/pods")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn two_adds_leave_one_record_and_two_dels_none() {
    let folder = Folder::new("twice");
    for _ in 0..2 {
        run("ADD", "c1", &folder, &json!({}));
        assert_eq!(records(&folder), ["c1@eth0.json"]);
    }
    for _ in 0..2 {
        run("DEL", "c1", &folder, &json!({}));
        assert!(records(&folder).is_empty());
    }
}

#[test]
fn del_forgets_a_record_that_is_garbage() {
    let folder = Folder::new("garbage");
    run("ADD", "c1", &folder, &json!({}));
    fs::write(folder.path.join("state/pods/c1@eth0.json"), "{").unwrap();
    let answer = run("DEL", "c1", &folder, &json!({}));
    assert!(answer.stderr.contains("the record is not understood"), "{answer:?}");
    assert!(records(&folder).is_empty());
}

#[test]
fn gc_forgets_what_is_not_named_and_only_of_its_network() {
    let folder = Folder::new("gc");
    for (container, network) in [("c1", "net"), ("c2", "net"), ("c3", "another")] {
        run("ADD", container, &folder, &json!({"name": network}));
    }
    run("GC", "", &folder, &json!({}));
    assert_eq!(records(&folder).len(), 3, "no list says nothing");
    run("GC", "", &folder, &json!({"cni.dev/valid-attachments": [{"containerID": "c1"}]}));
    assert_eq!(records(&folder).len(), 3, "a list that is not understood says nothing");
    let valid = json!([{"containerID": "c1", "ifname": "eth0"}]);
    run("GC", "", &folder, &json!({"cni.dev/valid-attachments": valid}));
    assert_eq!(records(&folder), ["c1@eth0.json", "c3@eth0.json"]);
    run("GC", "", &folder, &json!({"cni.dev/valid-attachments": []}));
    assert_eq!(records(&folder), ["c3@eth0.json"]);
}

#[test]
fn the_agent_gets_a_hint_of_each_change() {
    let folder = Folder::new("hint");
    fs::create_dir_all(folder.path.join("state")).unwrap();
    let agent = UnixDatagram::bind(folder.path.join("state/hint")).unwrap();
    agent.set_nonblocking(true).unwrap();
    for (command, hint) in [("ADD", "ADD c1@eth0"), ("DEL", "DEL c1@eth0")] {
        run(command, "c1", &folder, &json!({}));
        let mut text = [0; 64];
        let length = agent.recv(&mut text).unwrap();
        assert_eq!(text[..length], *hint.as_bytes());
    }
}

#[test]
fn an_agent_that_does_not_read_its_hints_holds_nobody_up() {
    let folder = Folder::new("deaf");
    fs::create_dir_all(folder.path.join("state")).unwrap();
    let path = folder.path.join("state/hint");
    let _deaf = UnixDatagram::bind(&path).unwrap();
    let full = UnixDatagram::unbound().unwrap();
    full.set_nonblocking(true).unwrap();
    while full.send_to(b"x", &path).is_ok() {}
    // A call that waited for the agent would wait for ever.
    let answer = run("ADD", "c1", &folder, &json!({"logLevel": "debug"}));
    assert!(answer.stderr.contains("the agent was not told"), "{answer:?}");
    assert_eq!(answer.stdout, "{}");
}
