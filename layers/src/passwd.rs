use std::fmt;

use crate::{Error, ImagePath, Result, Rootfs};

/// Largest `/etc/passwd` or `/etc/group` that is read (edges.md 13).
const FILE_LIMIT: u64 = 16 << 20;
/// Largest number of a user or group that a process may be given (the reference's limit, that of a signed 32-bit number).
const MAX_ID: u32 = i32::MAX.unsigned_abs();

/// The user a process runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Numeric user.
    pub uid: u32,
    /// Numeric primary group.
    pub gid: u32,
    /// Supplementary groups: the primary one, since a process without it there could pass a file that denies it to the
    /// group (CVE-2023-25173), then those of the group file in its order.
    pub groups: Vec<u32>,
    /// Home directory; `/` where the passwd file tells none (linux.md §1.1).
    pub home: String,
}

/// The owner that files get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Numeric user.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Names that the image does not know, to be warned of (dockerfile.md D-31).
    pub unknown: Vec<UnknownName>,
}

/// A name of a user or group that an image does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// `user` or `group`.
    pub what: &'static str,
    /// The name.
    pub name: String,
    /// A name that the image knows and that looks much like it.
    pub similar: Option<String>,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = if self.what == "user" { "passwd" } else { "group" };
        write!(f, "{} {:?} is not in /etc/{file} of the image", self.what, self.name)?;
        match &self.similar {
            Some(similar) => write!(f, " (did you mean {similar:?}?)"),
            None => Ok(()),
        }
    }
}

/// A line of `/etc/passwd`.
#[derive(Debug)]
struct PasswdLine {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

/// A line of `/etc/group`.
#[derive(Debug)]
struct GroupLine {
    name: String,
    gid: u32,
    members: Vec<String>,
}

/// Finds who a process runs as under `USER spec` (dockerfile.md §13.7; conformance case `user-forms`): names and numbers are
/// looked up in the image; a number it does not know has group 0; with an explicit group there are no others.
/// `root` needs no passwd file (D-35). An empty `spec` is `0`. What follows a second colon is passed over, as everywhere.
pub fn resolve_user(spec: &str, rootfs: &Rootfs) -> Result<User> {
    let passwd = read_passwd(rootfs)?;
    let mut parts = spec.split(':');
    let (name, group) = (parts.next().unwrap_or_default(), parts.next().filter(|group| !group.is_empty()));
    let number = if name.is_empty() { Some(0) } else { parse_id(name) };
    let known = match number {
        Some(uid) => passwd.iter().find(|line| line.uid == uid),
        None => passwd.iter().find(|line| line.name == name),
    };
    let mut user = User { uid: 0, gid: 0, groups: Vec::new(), home: "/".to_owned() };
    match (known, number) {
        (Some(line), _) => (user.uid, user.gid) = (line.uid, line.gid),
        (None, Some(uid)) => user.uid = uid,
        (None, None) if name == "root" => "/root".clone_into(&mut user.home),
        (None, None) => return Err(unknown_user(name, passwd.iter().map(|line| line.name.as_str()))),
    }
    // The home hangs on the number alone: of several lines that have it, the first tells.
    if let Some(line) = passwd.iter().find(|line| line.uid == user.uid).filter(|line| !line.home.is_empty()) {
        user.home.clone_from(&line.home);
    }
    match group {
        Some(group) => user.gid = group_id(group, rootfs)?,
        // The group file lists names, so a number that the passwd file does not know is in no group.
        None => {
            if let Some(line) = known {
                let groups = read_group(rootfs)?;
                let listed = groups.iter().filter(|group| group.members.contains(&line.name));
                user.groups = listed.map(|group| group.gid).collect();
            }
        }
    }
    user.groups.retain(|group| *group != user.gid);
    user.groups.insert(0, user.gid);
    for (what, id) in [("user", user.uid), ("group", user.gid)] {
        if id > MAX_ID {
            return Err(Error::Invalid(format!("{what} {id} of USER {spec} is larger than {MAX_ID}")));
        }
    }
    Ok(user)
}

/// Finds the owner that `--chown=spec` means, and that of directories which WORKDIR makes under `USER spec`
/// (dockerfile.md §13.5): a number alone is the group, too; a user's name brings its group; a name that the image does not
/// know is user 0, or leaves the group the user's. In a stage without a file system no name but `root` can be known.
pub fn resolve_owner(spec: &str, rootfs: &Rootfs) -> Result<Owner> {
    let (name, group) = match spec.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (spec, None),
    };
    let mut owner = Owner::default();
    if let Some(uid) = owner_id(name) {
        (owner.uid, owner.gid) = (uid, uid);
    } else if !name.is_empty() {
        require_files(name, "user", rootfs)?;
        let passwd = read_passwd(rootfs)?;
        match passwd.iter().find(|line| line.name == name) {
            Some(line) => (owner.uid, owner.gid) = (line.uid, line.gid),
            None => {
                let similar = similar(name, passwd.iter().map(|line| line.name.as_str()));
                owner.unknown.push(UnknownName { what: "user", name: name.to_owned(), similar });
            }
        }
    }
    if let Some(group) = group {
        if let Some(gid) = owner_id(group) {
            owner.gid = gid;
        } else if group.is_empty() {
            owner.gid = 0;
        } else {
            require_files(group, "group", rootfs)?;
            let groups = read_group(rootfs)?;
            match groups.iter().find(|line| line.name == group) {
                Some(line) => owner.gid = line.gid,
                None => {
                    let similar = similar(group, groups.iter().map(|line| line.name.as_str()));
                    owner.unknown.push(UnknownName { what: "group", name: group.to_owned(), similar });
                }
            }
        }
    }
    Ok(owner)
}

/// A number, or `root`.
fn owner_id(text: &str) -> Option<u32> {
    if text == "root" { Some(0) } else { parse_id(text) }
}

/// A number, with or without `+` before it: the reference takes either.
fn parse_id(text: &str) -> Option<u32> {
    text.parse().ok()
}

fn require_files(name: &str, what: &str, rootfs: &Rootfs) -> Result<()> {
    if !rootfs.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{what} {name:?} cannot be looked up: the image has neither /etc/passwd nor /etc/group"
    )))
}

fn group_id(group: &str, rootfs: &Rootfs) -> Result<u32> {
    let groups = read_group(rootfs)?;
    let number = parse_id(group);
    let known = groups.iter().find(|line| match number {
        Some(gid) => line.gid == gid,
        None => line.name == group,
    });
    match (known, number) {
        (Some(line), _) => Ok(line.gid),
        (None, Some(gid)) => Ok(gid),
        (None, None) if group == "root" => Ok(0),
        (None, None) => {
            let similar = similar(group, groups.iter().map(|line| line.name.as_str()));
            Err(unknown_in_step(&UnknownName { what: "group", name: group.to_owned(), similar }))
        }
    }
}

fn unknown_user<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    unknown_in_step(&UnknownName { what: "user", name: name.to_owned(), similar: similar(name, known) })
}

fn unknown_in_step(unknown: &UnknownName) -> Error {
    Error::Invalid(unknown.to_string())
}

fn read_passwd(rootfs: &Rootfs) -> Result<Vec<PasswdLine>> {
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, rest @ ..] = fields.as_slice() else { return None };
        let home = rest.get(1).copied().unwrap_or_default().to_owned();
        Some(PasswdLine { name: (*name).to_owned(), uid: parse_id(uid)?, gid: parse_id(gid)?, home })
    };
    Ok(read_lines(rootfs, "etc/passwd")?.lines().filter_map(parse).collect())
}

fn read_group(rootfs: &Rootfs) -> Result<Vec<GroupLine>> {
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, gid, rest @ ..] = fields.as_slice() else { return None };
        let members = rest.first().copied().unwrap_or_default();
        let members =
            members.split(',').map(str::trim).filter(|member| !member.is_empty()).map(str::to_owned).collect();
        Some(GroupLine { name: (*name).to_owned(), gid: parse_id(gid)?, members })
    };
    Ok(read_lines(rootfs, "etc/group")?.lines().filter_map(parse).collect())
}

/// The text of a file of the image; empty where there is none. Bytes that are no UTF-8 belong to no name that is asked for.
fn read_lines(rootfs: &Rootfs, path: &str) -> Result<String> {
    let path = ImagePath::parse(path).map_err(|error| Error::Internal(error.to_string()))?;
    let bytes = rootfs.read_small_file(&path, FILE_LIMIT)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The known name that differs least, by at most two letters and less than half of the name.
fn similar<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let most = (name.chars().count() / 2).min(2);
    // Distances grow with the product of the lengths; nobody mistypes a name that long.
    let candidates =
        known.filter(|other| other.len() < 64 && name.len() < 64).map(|other| (distance(name, other), other));
    let (_, best) = candidates.filter(|(distance, _)| *distance <= most).min()?;
    Some(best.to_owned())
}

/// The Levenshtein distance of two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, Metadata};

    fn rootfs(files: &[(&str, &str)]) -> Rootfs {
        let file = |(path, text): &(&str, &str)| {
            Entry::inline_file(ImagePath::parse(path).expect("valid"), Metadata::default(), text.as_bytes())
        };
        let entries: Vec<Entry> = files.iter().map(file).collect();
        Rootfs::new(vec![entries.into()])
    }

    /// The users of the conformance suite's base image.
    fn base() -> Rootfs {
        rootfs(&[
            (
                "etc/group",
                "root:x:0:\ndaemon:x:1:\nwww:x:33:\napp:x:1000:\nextra:x:2000:app\nmore:x:2001:www, app\n#c\n+::\n",
            ),
            (
                "etc/passwd",
                "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:d:/usr/sbin:/bin/false\nwww:x:33:33:www:/var/www:\n\
                 bad:x:y:z\napp:x:1000:1000:app:/home/app:/bin/sh\n",
            ),
        ])
    }

    fn user(spec: &str, rootfs: &Rootfs) -> (u32, u32, Vec<u32>, String) {
        let user = resolve_user(spec, rootfs).expect(spec);
        (user.uid, user.gid, user.groups, user.home)
    }

    #[test]
    fn users_of_processes_come_from_the_image() {
        let base = base();
        for (spec, uid, gid, groups, home) in [
            ("", 0, 0, &[][..], "/root"),
            ("root", 0, 0, &[], "/root"),
            ("app", 1000, 1000, &[2000, 2001], "/home/app"),
            ("1000", 1000, 1000, &[2000, 2001], "/home/app"),
            ("33", 33, 33, &[2001], "/var/www"),
            ("app:extra", 1000, 2000, &[], "/home/app"),
            ("app:extra:x", 1000, 2000, &[], "/home/app"),
            ("app:", 1000, 1000, &[2000, 2001], "/home/app"),
            ("1000:33", 1000, 33, &[], "/home/app"),
            ("5000", 5000, 0, &[], "/"),
            ("5000:6000", 5000, 6000, &[], "/"),
            ("+1000", 1000, 1000, &[2000, 2001], "/home/app"),
            ("+5:+6", 5, 6, &[], "/"),
            ("www:0", 33, 0, &[], "/var/www"),
            (":extra", 0, 2000, &[], "/root"),
        ] {
            let groups = [&[gid], groups].concat();
            assert_eq!(user(spec, &base), (uid, gid, groups, home.to_owned()), "{spec}");
        }
    }

    #[test]
    fn root_needs_no_files_and_other_names_do() {
        let empty = Rootfs::default();
        assert_eq!(user("root", &empty), (0, 0, vec![0], "/root".to_owned()));
        assert_eq!(user("root:root", &empty), (0, 0, vec![0], "/root".to_owned()));
        assert_eq!(user("7", &empty), (7, 0, vec![0], "/".to_owned()));
        let message = |spec: &str| resolve_user(spec, &base()).expect_err(spec).to_string();
        let said = ["nobodyhere", "deamon", "app:extr", "4294967295", "bad", "-5", "5:-6", "+", "++5"].map(message);
        insta::assert_snapshot!(said.join("\n"), @r#"
        user "nobodyhere" is not in /etc/passwd of the image
        user "deamon" is not in /etc/passwd of the image (did you mean "daemon"?)
        group "extr" is not in /etc/group of the image (did you mean "extra"?)
        user 4294967295 of USER 4294967295 is larger than 2147483647
        user "bad" is not in /etc/passwd of the image
        user "-5" is not in /etc/passwd of the image
        group "-6" is not in /etc/group of the image
        user "+" is not in /etc/passwd of the image
        user "++5" is not in /etc/passwd of the image
        "#);
    }

    /// The conformance case `run-env-home-of-shared-number`.
    #[test]
    fn the_first_line_with_a_number_tells_the_home() {
        let lines = "root:x:0:0::/root:\ntool:x:0:5::/opt/tool:\nbare:x:7:7:::\nlater:x:7:8::/later:\n";
        let shared = rootfs(&[("etc/passwd", lines)]);
        assert_eq!(user("tool", &shared), (0, 5, vec![5], "/root".to_owned()));
        assert_eq!(user("later", &shared), (7, 8, vec![8], "/".to_owned()));
    }

    /// The conformance case `copy-chown-forms`.
    #[test]
    fn owners_come_from_the_image() {
        let base = base();
        for (spec, uid, gid) in [
            ("5", 5, 5),
            ("5:6", 5, 6),
            ("+5", 5, 5),
            ("+5:+6", 5, 6),
            ("app", 1000, 1000),
            ("www:extra", 33, 2000),
            (":extra", 0, 2000),
            ("5:extra", 5, 2000),
            ("app:9", 1000, 9),
            ("app:", 1000, 0),
            ("root", 0, 0),
            ("1000", 1000, 1000),
        ] {
            assert_eq!(resolve_owner(spec, &base).expect(spec), Owner { uid, gid, unknown: Vec::new() }, "{spec}");
        }
    }

    /// The conformance case `copy-chown-unknown-names`, and D-31.
    #[test]
    fn unknown_owners_build_and_are_told() {
        let base = base();
        let ids = |spec: &str| {
            let owner = resolve_owner(spec, &base).expect(spec);
            (owner.uid, owner.gid, owner.unknown.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let user = "user \"nosuch\" is not in /etc/passwd of the image";
        assert_eq!(ids("nosuch"), (0, 0, vec![user.to_owned()]));
        assert_eq!(ids("-5").2, ["user \"-5\" is not in /etc/passwd of the image"]);
        assert_eq!(ids("app:nosuch").1, 1000);
        assert_eq!(ids("nosuch:extra").1, 2000);
        assert_eq!(ids("ap").2, ["user \"ap\" is not in /etc/passwd of the image (did you mean \"app\"?)"]);
        let message = resolve_owner("app", &Rootfs::default()).expect_err("no files").to_string();
        insta::assert_snapshot!(message, @r#"user "app" cannot be looked up: the image has neither /etc/passwd nor /etc/group"#);
        assert_eq!(resolve_owner("root:0", &Rootfs::default()).map(|owner| owner.uid).ok(), Some(0));
    }

    #[test]
    fn files_are_bounded() {
        let large = "x".repeat(17 << 20);
        let message = resolve_user("app", &rootfs(&[("etc/passwd", &large)])).expect_err("too large").to_string();
        insta::assert_snapshot!(message, @"/etc/passwd of the image exceeds the limit of 16777216 bytes");
    }
}
