use super::super::graph::Op;
use super::{case, copies, env, history, runs, sources, workdirs};

fn windows() -> super::Case {
    case().platform("windows/amd64")
}

#[test]
fn paths_take_backslashes_and_lose_the_drive() {
    let text = "# escape=`\nFROM windows\nWORKDIR C:\\one\nCOPY a.txt C:\\tools\\\nWORKDIR two\\three\nWORKDIR ..\\four\nCOPY conf\\x.ini .\\\nWORKDIR \\five\nWORKDIR six/seven\n";
    let stage = windows().stage(text);
    let made: Vec<_> = workdirs(&stage).iter().map(|op| op.path.as_str()).collect();
    assert_eq!(made, ["\\one", "\\one\\two\\three", "\\one\\two\\four", "\\five", "\\five\\six\\seven"]);
    assert_eq!(stage.config.config.working_dir, "\\five\\six\\seven");
    let copies = copies(&stage);
    assert_eq!((copies[0].dest.as_str(), copies[0].workdir.as_str()), ("/tools/", "\\one"));
    assert_eq!(sources(copies[1]), ["conf/x.ini"]);
    assert_eq!(copies[1].dest, "./");
    assert_eq!(history(&stage)[0], "WORKDIR /one");
    assert_eq!(stage.config.os_version.as_deref(), Some("10.0.20348.1"));
    assert_eq!(stage.platform.to_string(), "windows(10.0.20348.1)/amd64");
}

#[test]
fn there_is_no_path_and_the_shell_is_cmd() {
    let stage =
        windows().stage("# escape=`\nFROM scratch\nENV Dir=C:\\app dir=C:\\b\nENTRYPOINT app.exe $X\nRUN dir\n");
    assert_eq!(stage.config.config.env, ["Dir=C:\\b"]);
    assert_eq!(stage.config.config.entrypoint, ["cmd", "/S", "/C", "app.exe $X"]);
    assert_eq!(env(runs(&stage)[0]), ["Dir=C:\\b"]);
    assert_eq!(runs(&stage)[0].cwd, "\\");
}

#[test]
fn variables_are_found_in_any_letter_case() {
    let stage = windows().stage("FROM windows\nENV Name=x\nLABEL l=$NAME\n");
    assert_eq!(stage.config.config.labels["l"], "x");
}

#[test]
fn the_version_of_windows_is_in_the_arguments() {
    let text = "FROM windows\nARG TARGETOSVERSION\nARG TARGETPLATFORM\nLABEL v=$TARGETOSVERSION p=$TARGETPLATFORM\n";
    let stage = case().platform("windows(10.0.20348.1)/amd64").stage(text);
    assert_eq!(history(&stage)[2], "- LABEL v=10.0.20348.1 p=windows(10.0.20348.1)/amd64");
}

#[test]
fn paths_that_windows_cannot_have_are_located() {
    for (line, words) in [
        ("WORKDIR C:", &["No relative path specified in \"C:\""][..]),
        ("COPY app.txt \\\\server\\share\\", &["UNC paths are not supported", "server\\share"]),
        ("COPY app.txt D:\\data\\", &["not on the system drive (C:)", "D:\\data"]),
        ("RUN --mount=type=tmpfs,target=C:\\t x", &["no tmpfs"]),
    ] {
        let errors = windows().errors(&format!("# escape=`\nFROM windows\n{line}\n"));
        assert!(errors.len() == 1 && errors[0].starts_with("3: "), "{errors:?}");
        assert!(words.iter().all(|word| errors[0].contains(word)), "{errors:?}");
    }
}

#[test]
fn volumes_and_ports_are_kept_as_written() {
    let text = "# escape=`\nFROM windows\nVOLUME C:\\data D:\\\nVOLUME [\"C:\\\\with space\"]\nSTOPSIGNAL SIGTERM\n";
    let stage = windows().stage(text);
    assert_eq!(stage.config.config.volumes.iter().collect::<Vec<_>>(), ["C:\\data", "C:\\with space", "D:\\"]);
    assert_eq!(stage.config.config.stop_signal, "SIGTERM");
}

#[test]
fn heredocs_do_not_honour_interpreters() {
    let stage = windows().stage("FROM windows\nRUN <<EOF\n#!/bin/sh\necho\nEOF\n");
    assert_eq!(runs(&stage)[0].script, None);
    let errors = windows().errors("FROM windows\nRUN <<EOF more\nx\nEOF\n");
    assert!(errors[0].starts_with("2: a here-document among other text"), "{errors:?}");
}

#[test]
fn triggers_take_windows_paths() {
    let text = "# escape=`\nFROM windows AS base\nWORKDIR C:\\app\nONBUILD COPY app.txt in\\app.txt\nONBUILD WORKDIR in\nFROM base\n";
    let stage = windows().stage(text);
    assert_eq!(copies(&stage)[0].dest, "in/app.txt");
    assert!(matches!(&stage.steps[1].op, Op::Workdir(op) if op.path == "\\app\\in"));
}

#[test]
fn an_image_without_windows_or_its_version_is_warned_of() {
    let texts = |text: &str, platform: &str| case().platform(platform).warnings(text);
    let bare = texts("FROM scratch AS base\nENV A=1\nFROM base\nENV B=1\n", "windows/amd64");
    assert_eq!(bare.len(), 2, "{bare:?}");
    assert!(bare[0].contains("1: ") && bare[0].contains("holds no Windows"), "{bare:?}");
    assert!(bare[1].contains("3: ") && bare[1].contains("os.version"), "{bare:?}");
    let versioned = texts("FROM scratch\nENV A=1\n", "windows(10.0.20348.1)/amd64");
    assert!(versioned.len() == 1 && versioned[0].contains("holds no Windows"), "{versioned:?}");
    // A carrier that the image only copies from is what carriers are for.
    let text = "FROM scratch AS files\nCOPY a /\nFROM windows\nCOPY --from=files a C:/\n";
    assert_eq!(texts(text, "windows/amd64"), [""; 0]);
    assert_eq!(texts("FROM scratch\nENV A=1\n", "linux/amd64"), [""; 0]);
}
