//! What builds promise of their results: equal inputs give equal digests, changed ones are seen, secrets stay secret.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::SystemTime;

use strake_tests::{Host, Image, needs_root};

const EPOCH: &str = "1700000000";

#[test]
fn second_build_is_cached_and_gives_the_same_layers() {
    if !needs_root("a cached step") {
        return;
    }
    let host = Host::with_base();
    host.write("ctx/a", "a");
    let text = "FROM base AS one\nRUN cat /proc/sys/kernel/random/uuid >/made\nFROM base\nCOPY a /\nCOPY --from=one /made /\nRUN cat /made >/copy\n";
    let (_, first) = host.dockerfile("ctx", text).image();
    let (outcome, second) = host.build("ctx").image();
    for step in ["RUN cat /proc", "COPY --from", "RUN cat"] {
        assert_eq!(outcome.step(step), "cached", "{step}");
    }
    assert_eq!(first.config_text, second.config_text);
    let (outcome, third) = host.build("ctx").args("--no-cache").image();
    assert_eq!(outcome.step("RUN cat /proc"), "done");
    assert_ne!(first.diff_ids(), third.diff_ids());
}

#[test]
fn steps_that_are_not_to_be_cached_say_so() {
    let host = Host::new();
    host.write("ctx/a", "");
    host.write("ctx/Dockerfile", "FROM scratch AS files\nCOPY a /\nFROM files AS app\nCOPY a /b\n");
    let build =
        |flags: &str| host.strake(&["build", "ctx", "--progress", "plain", "--explain-cache"]).args(flags).ok().stderr;
    build("");
    let every = build("--no-cache");
    assert_eq!(every.matches("not cached: --no-cache was given").count(), 2, "{every}");
    let one = build("--no-cache-filter Files,fils");
    assert_eq!(one.matches("not cached: --no-cache-filter names its stage").count(), 1, "{one}");
    let warning = "warning[W1034]: --no-cache-filter: there is no stage \"fils\" (did you mean files?)";
    assert!(one.contains(warning) && !one.contains("stage \"files\""), "{one}");
}

#[test]
fn cached_build_with_an_epoch_gives_the_same_digest() {
    if !needs_root("a cached step") {
        return;
    }
    let host = Host::with_base();
    let text = "FROM base\nRUN cat /proc/sys/kernel/random/uuid >/made\nWORKDIR /w\nCOPY . .\n";
    let first = host.dockerfile("ctx", text).env("SOURCE_DATE_EPOCH", EPOCH).args("-o type=oci,dest=1.tar").ok();
    let second = host.build("ctx").env("SOURCE_DATE_EPOCH", EPOCH).args("-o type=oci,dest=2.tar").ok();
    assert_eq!(first.digest(), second.digest());
    assert!(fs::read(host.path("1.tar")).unwrap() == fs::read(host.path("2.tar")).unwrap());
}

#[test]
fn workdir_after_a_changed_copy_is_cached() {
    let host = Host::new();
    host.write("ctx/a", "1");
    let text = "FROM scratch\nCOPY a /\nWORKDIR /srv/app\nCOPY a .\n";
    let (_, first) = host.dockerfile("ctx", text).image();
    host.write("ctx/a", "2");
    let (outcome, second) = host.build("ctx").image();
    assert_eq!((outcome.step("COPY a /"), outcome.step("WORKDIR")), ("done".to_owned(), "cached".to_owned()));
    assert_eq!((&first.diff_ids()[1], second.file("srv/app/a")), (&second.diff_ids()[1], "2".to_owned()));
    // Another directory is another result.
    let (outcome, _) = host.dockerfile("ctx", &text.replace("/srv/app", "/srv/other")).image();
    assert_eq!(outcome.step("WORKDIR"), "done");
}

#[test]
fn step_on_an_equal_result_of_a_changed_stage_does_not_run_again() {
    if !needs_root("an early cutoff") {
        return;
    }
    let host = Host::with_base();
    let text = "FROM base AS up\nCOPY noise /noise\nRUN echo same >/out; touch -d @1000000000 /out\n\
                FROM base\nCOPY --from=up /out /\nRUN cat /proc/sys/kernel/random/uuid >/made\n";
    host.write("ctx/noise", "1");
    let (_, first) = host.dockerfile("ctx", text).image();
    host.write("ctx/noise", "2");
    let (outcome, second) = host.build("ctx").image();
    assert_eq!(outcome.step("RUN echo same"), "done");
    assert_eq!(outcome.step("RUN cat /proc"), "cached");
    assert_eq!(first.file("made"), second.file("made"));
}

#[test]
fn changed_file_is_seen_whatever_its_times_say() {
    let host = Host::new();
    let old = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let set = |name: &str, content: &str| {
        let path = host.write(name, content);
        fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    };
    for flags in ["", "--no-cache"] {
        set("ctx/in-place", "old1");
        set("ctx/renamed", "old2");
        fs::create_dir_all(host.path("ctx/dir")).unwrap();
        set("ctx/dir/deep", "old3");
        let (_, image) = host.dockerfile("ctx", "FROM scratch\nCOPY in-place renamed dir /\n").args(flags).image();
        assert_eq!(image.file("in-place"), "old1");
        set("ctx/in-place", "new1");
        set("beside", "new2");
        fs::rename(host.path("beside"), host.path("ctx/renamed")).unwrap();
        set("ctx/dir/deep", "new3");
        let (_, image) = host.build("ctx").args(flags).image();
        let seen = [image.file("in-place"), image.file("renamed"), image.file("deep")];
        assert_eq!(seen, ["new1", "new2", "new3"], "{flags:?}");
    }
}

#[test]
fn digest_does_not_depend_on_where_and_how_the_build_runs() {
    if !needs_root("a step") {
        return;
    }
    let host = Host::with_base();
    // What RUN makes has the time of its making, so it is put right for the comparison of whole manifests.
    let text = "FROM base\nWORKDIR /w/deep\nCOPY . .\nCOPY big /x/y/\nRUN umask >/u; date >/dev/null; touch -d @5 /u\n";
    let write = |folder: &str, reverse: bool| {
        let mut names: Vec<_> = (0..30).map(|number| format!("{folder}/sub/{number}")).collect();
        if reverse {
            names.reverse();
        }
        for name in names {
            host.write(&name, name.rsplit('/').next().unwrap());
        }
        host.write(&format!("{folder}/big"), vec![7_u8; 3 << 20]);
        host.write(&format!("{folder}/Dockerfile"), text);
        // Modes are content; times of files are as well, times of folders are not.
        let script =
            "find . -type f -exec touch -d @1000000000 {} + -exec chmod 644 {} +; find . -type d -exec chmod 755 {} +";
        let status = Command::new("sh").args(["-c", script]).current_dir(host.path(folder)).status().unwrap();
        assert!(status.success());
    };
    write("one", false);
    write("other/place", true);
    let base = format!("base=oci-layout://{}", host.path("base").display());
    let run = |number: usize, context: &str, shell: &str| {
        let store = format!("store{number}");
        let command = format!(
            "{shell}; exec {} build \"$1\" --root \"$2\" --build-context \"$3\" -o \"type=oci,dest=$4\" --progress json",
            strake_tests::binary().display()
        );
        let dest = host.path(&format!("{number}.tar"));
        let output = Command::new("sh")
            .args(["-c", &command, "sh"])
            .args([&host.path(context), &host.path(&store)])
            .args([&base, &dest.display().to_string()])
            .env("SOURCE_DATE_EPOCH", EPOCH)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read(dest).unwrap()
    };
    let plain = run(0, "one", "cd /");
    for (number, context, shell) in [
        (1, "other/place", "umask 077; cd /tmp"),
        (2, "one", "export TZ=Asia/Kathmandu LC_ALL=tr_TR.UTF-8 LANG=C"),
        (3, "other/place", "export RAYON_NUM_THREADS=1; umask 0"),
        (4, "one", "export RAYON_NUM_THREADS=7"),
        (0, "one", "export TZ=UTC"),
    ] {
        assert!(plain == run(number, context, shell), "{shell}");
    }
}

#[test]
fn secrets_are_in_nothing_that_is_kept() {
    if !needs_root("a secret") {
        return;
    }
    let host = Host::with_base();
    let secret = "hunter2-0123456789/+&";
    host.write("outside/secret", secret);
    let text = "FROM base\nRUN --mount=type=secret,id=s --mount=type=secret,id=s,env=TOKEN \
                cat /run/secrets/s; echo; echo \"$TOKEN\"; test \"$TOKEN\" = \"$(cat /run/secrets/s)\" && echo equal >/made\n\
                RUN cat /run/secrets/s 2>/dev/null || echo gone >/gone\n";
    let (outcome, image) = host.dockerfile("ctx", text).args("--secret id=s,src=outside/secret").image();
    assert_eq!((image.file("made"), image.file("gone")), ("equal\n".to_owned(), "gone\n".to_owned()));
    assert!(!outcome.stderr.contains("hunter2"), "{}", outcome.stderr);
    assert!(outcome.log().contains("****"), "{}", outcome.log());
    for form in [secret, "hunter2-0123456789%2F%2B%26", "aHVudGVyMi0wMTIzNDU2Nzg5LysmCg"] {
        for folder in ["store", "image", "tmp"] {
            assert_eq!(host.holding(folder, form.as_bytes()), Vec::<std::path::PathBuf>::new(), "{form} in {folder}");
        }
    }
}

#[test]
fn secrets_are_masked_where_the_output_splits_or_encodes_them() {
    if !needs_root("a secret") {
        return;
    }
    let host = Host::with_base();
    // "hunter2-0123456789/+&" encoded: base64, and for URLs.
    let text = "FROM base\nRUN --mount=type=secret,id=s printf 'a hunter2-01'; sleep 0.2; printf '23456789/+& b\\n'; \
                echo aHVudGVyMi0wMTIzNDU2Nzg5Lysm; echo hunter2-0123456789%2F%2B%26; \
                head -c 70000 /dev/zero; cat /run/secrets/s; exit 3\n";
    host.write("secret", "hunter2-0123456789/+&");
    for progress in ["json", "plain"] {
        let build = host.dockerfile("ctx", text).args("--secret id=s,src=secret --progress").arg(progress);
        let outcome = build.run();
        for form in ["hunter2", "aHVudGVy", "0123456789"] {
            // The command itself, which the error cites, is not secret.
            let written: String = if progress == "json" { outcome.log() } else { after_command(&outcome.stderr) };
            assert!(!written.contains(form), "{form} in {written}");
        }
    }
}

/// The lines of a plain display that a process wrote.
fn after_command(stderr: &str) -> String {
    let lines = stderr.lines().filter(|line| !line.contains("RUN") && !line.contains("printf"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn cache_mount_persists_and_is_in_no_layer() {
    if !needs_root("a cache mount") {
        return;
    }
    let host = Host::with_base();
    let text = |n: u32| format!("FROM base\nRUN --mount=type=cache,target=/c echo {n} >>/c/seen; cat /c/seen >/made\n");
    let (_, first) = host.dockerfile("ctx", &text(1)).image();
    assert_eq!(first.file("made"), "1\n");
    let (_, second) = host.dockerfile("ctx", &text(2)).image();
    assert_eq!(second.file("made"), "1\n2\n");
    assert_eq!(second.names(1), ["made"]);
}

#[test]
fn agents_socket_is_the_steps_own_with_the_owner_that_is_asked_for() {
    if !needs_root("a mount of an agent") {
        return;
    }
    let host = Host::with_base();
    let socket = host.path("agent");
    let _agent = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
    let text = "FROM base\nRUN --mount=type=ssh --mount=type=ssh,target=/a,mode=0660,uid=1000,gid=1001 \\\n\
                stat -c '%a %u:%g' $SSH_AUTH_SOCK /a >/made; chmod 777 $SSH_AUTH_SOCK; chown 5:5 $SSH_AUTH_SOCK\n";
    let build = host.dockerfile("ctx", text).args(&format!("--ssh default={}", socket.display()));
    let (_, image) = build.image();
    assert_eq!(image.file("made"), "600 0:0\n660 1000:1001\n");
    let meta = fs::metadata(&socket).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o600, 0), "the agent's own socket is as it was");
    let gone = host.dockerfile("ctx", "FROM base\nRUN --mount=type=ssh,required true\n").args("--ssh default=no/agent");
    gone.run().fails().says(&["E1203", "no/agent", "does not answer"]);
}

#[test]
fn owner_of_a_cache_mount_counts_for_the_step() {
    if !needs_root("a cache mount") {
        return;
    }
    let host = Host::with_base();
    let text = |more: &str| format!("FROM base\nRUN --mount=type=cache,target=/c{more} stat -c %a:%u /c >/made\n");
    for (more, found) in [("", "755:0\n"), (",mode=0700", "700:0\n"), (",mode=0700,uid=5", "700:5\n")] {
        let (_, image) = host.dockerfile("ctx", &text(more)).image();
        assert_eq!(image.file("made"), found);
    }
}

#[test]
fn a_part_of_a_cache_may_be_a_file_and_has_its_own_owner() {
    if !needs_root("cache mounts") {
        return;
    }
    let host = Host::with_base();
    let text = "FROM base AS b\n\
                RUN mkdir -p /d/e; echo hi > /d/f; chmod 711 /d; echo pw > /file\n\
                FROM base\n\
                RUN --mount=type=cache,target=/m,id=1,from=b,source=file cat /m >/1\n\
                RUN --mount=type=cache,target=/m,id=2,from=b,source=d stat -c '%a %u' /m >/2; cat /m/f >>/2\n\
                RUN --mount=type=cache,target=/m,id=3 mkdir -p /m/d; echo z >/m/d/file\n\
                RUN --mount=type=cache,target=/m,id=3,source=d,mode=0700,uid=4 stat -c '%a %u' /m >/3; ls /m >>/3\n\
                RUN --mount=type=cache,target=/m,id=3,source=d/file cat /m >/4\n\
                RUN --mount=type=cache,target=/m,id=5,mode=0700,uid=4 stat -c '%a %u' /m >/5\n";
    let (_, image) = host.dockerfile("ctx", text).image();
    let made: Vec<_> = ["1", "2", "3", "4", "5"].map(|name| image.file(name)).into_iter().collect();
    assert_eq!(made, ["pw\n", "711 0\nhi\n", "755 0\nfile\n", "z\n", "700 4\n"]);
}

#[test]
fn layer_holds_what_a_step_changed_and_deleted() {
    if !needs_root("a step") {
        return;
    }
    let host = Host::with_base();
    let text = "FROM base\nRUN mkdir /d && echo 1 >/d/one && echo 2 >/d/two && chmod 4711 /d/two\n\
                RUN rm /d/one && mv /d/two /d/three && ln /d/three /d/four && ln -s three /d/five\n";
    let (_, image) = host.dockerfile("ctx", text).image();
    assert_eq!(image.names(1), ["d/", "d/one", "d/two"]);
    let mut names = image.names(2);
    names.sort();
    assert_eq!(names, ["d/", "d/.wh.one", "d/.wh.two", "d/five", "d/four", "d/three"]);
    host.build("ctx").args("-o out").ok();
    assert_eq!(host.read("out/d/five"), "2\n");
    assert_eq!(fs::metadata(host.path("out/d/four")).unwrap().permissions().mode() & 0o7777, 0o4711);
}

#[test]
fn layers_of_a_stage_that_copies_itself_are_whole() {
    let host = Host::new();
    host.write("ctx/a/one", "1");
    let text = "FROM scratch AS one\nCOPY a /a/\nFROM one\nCOPY --from=one /a /b/\nCOPY --link --from=one /a/one /c/\n";
    let (_, image) = host.dockerfile("ctx", text).image();
    assert_eq!((image.file("b/one"), image.file("c/one")), ("1".to_owned(), "1".to_owned()));
    let read_again = Image::open(&host.path("image"));
    for (layer, id) in read_again.layers().iter().zip(read_again.diff_ids()) {
        assert_eq!(strake_layers::Digest::of(layer).to_string(), id);
    }
}

#[test]
fn dockerfile_outside_of_the_context_and_its_ignore_file_are_used() {
    let host = Host::new();
    host.write("ctx/a", "a");
    host.write("ctx/b", "b");
    host.write("files/my.Dockerfile", "FROM scratch\nCOPY . /\n");
    host.write("files/my.Dockerfile.dockerignore", "b\n");
    let (_, image) = host.build("ctx").args("-f files/my.Dockerfile").image();
    assert_eq!(image.names(0), ["a"]);
}
