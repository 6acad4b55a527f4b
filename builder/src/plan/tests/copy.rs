use super::super::graph::CopyFrom;
use super::{case, copies, history, sources};

#[test]
fn sources_destination_and_flags_are_expanded() {
    let text = "FROM scratch\nARG N=a D=/d U=5\nWORKDIR /w\nCOPY --chown=$U:6 --chmod=640 --link --exclude=*.$N ${N}.txt b $D/\nADD [\"x y\", \"z\"]\n";
    let stage = case().arg("N", "b").stage(text);
    let copy = copies(&stage)[0];
    assert_eq!(sources(copy), ["b.txt", "b"]);
    assert_eq!((copy.dest.as_str(), copy.workdir.as_str()), ("/d/", "/w"));
    // A mode takes the effect of --link away.
    assert_eq!((copy.chown.as_deref(), copy.link, copy.parents), (Some("5:6"), false, false));
    assert!(copies(&case().stage("FROM scratch\nCOPY --link a /\n"))[0].link);
    assert_eq!(copy.exclude, ["*.b"]);
    assert_eq!(copy.from, CopyFrom::Context);
}

#[test]
fn history_shows_owner_mode_and_names_only() {
    let text = "FROM scratch AS s\nFROM scratch\nCOPY --from=s --parents --chown=1:2 --chmod=640 --link --exclude=x a b /d/\nADD a /e\nCOPY <<F1 <<\"F2\" /docs/\none\nF1\ntwo\nF2\nCOPY *.none /d/\n";
    insta::assert_snapshot!(history(&case().stage(text)).join("\n"), @r"
    COPY --parents --chown=1:2 --chmod=640 a b /d/ # buildkit
    ADD a /e # buildkit
    COPY <<F1 <<F2 /docs/ # buildkit
    COPY *.none /d/ # buildkit
    ");
}

#[test]
fn heredoc_bodies_are_expanded_unless_quoted() {
    let text = "FROM scratch\nENV X=5\nARG A=1\nCOPY <<F1 <<\"F2\" <<-F3 /docs/\nexpand $X ${A} \\$X \"$(x)\"\nF1\nraw $X\nF2\n\ttabs '$X'\n\tF3\n";
    let stage = case().stage(text);
    let all = sources(copies(&stage)[0]);
    assert_eq!(all, ["<<F1 expand 5 1 $X \"$(x)\"\n", "<<F2 raw $X\n", "<<F3 tabs '5'\n"]);
}

#[test]
fn from_takes_stages_numbers_images_and_contexts() {
    let text = "ARG WHERE=one\nFROM scratch AS one\nFROM scratch AS two\nFROM scratch\nCOPY --from=ONE a /\nCOPY --from=1 a /\nCOPY --from=busybox a /\nCOPY --from=$WHERE a /\nCOPY --from=data a /\nCOPY --from=scratch . /\nCOPY --from=busybox:latest b /\n";
    let planned = case().context("data", "/some/folder").image("busybox:latest", "{}").plan(text);
    let stage = &planned.graph.stages[planned.graph.target.0];
    let from: Vec<_> = copies(stage).iter().map(|copy| format!("{:?}", copy.from)).collect();
    insta::assert_snapshot!(from.join("\n"), @r#"
    Stage(StageId(0))
    Stage(StageId(1))
    Image(ImageId(0))
    Stage(StageId(0))
    NamedContext("data")
    Scratch
    Image(ImageId(0))
    "#);
    assert_eq!(planned.graph.images.len(), 1);
}

#[test]
fn add_takes_addresses_and_repositories() {
    let text = "FROM scratch\nADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d http://h/x /\nADD --keep-git-dir https://h/r.git#v1 /src\nADD --unpack=true plain /p\n";
    let stage = case().stage(text);
    let copies = copies(&stage);
    assert_eq!(sources(copies[0]), ["http://h/x"]);
    assert_eq!(sources(copies[1]), ["git https://h/r.git"]);
    assert_eq!(copies[1].add.as_ref().and_then(|add| add.keep_git_dir), Some(true));
    assert_eq!(copies[2].add.as_ref().and_then(|add| add.unpack), Some(true));
}

#[test]
fn sources_that_do_not_fit_are_refused() {
    let text = "FROM scratch\nCOPY http://h/x /\nCOPY https://h/r.git /\nADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d plain /\nADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d http://h/x http://h/y /\nCOPY --chmod=999 a /\n";
    insta::assert_snapshot!(case().errors(text).join("\n"), @r"
    2: source can't be a URL for COPY
    3: source can't be a git ref for COPY
    4: checksum requires HTTP(S) or Git sources
    5: checksum can't be specified for multiple sources
    6: invalid chmod parameter: '999'. it should be octal string and between 0 and 07777
    ");
}

#[test]
fn flags_and_address_of_a_repository_do_not_contradict_each_other() {
    let text = "FROM scratch\nADD --checksum=ab https://h/r.git?checksum=cd /\nADD --checksum=sha256:ab https://h/r.git /\nADD --keep-git-dir https://h/r.git?keep-git-dir=0 /\nADD --checksum=ab --keep-git-dir https://h/r.git?checksum=ab&keep-git-dir=1 /\n";
    insta::assert_snapshot!(case().errors(text).join("\n"), @r#"
    2: --checksum and checksum in the address say different things
    3: invalid checksum: "sha256:ab" is not the beginning of a commit's id
    4: --keep-git-dir and keep-git-dir in the address say different things
    "#);
}

#[test]
fn titles_have_variables_filled_in() {
    let stage = case().stage("FROM scratch\nARG A=x\ncopy --link $A \"${A}\" /$B\n");
    assert_eq!(stage.steps[0].title, "COPY --link x \"x\" /$B");
}
