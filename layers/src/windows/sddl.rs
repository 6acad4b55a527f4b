//! Security descriptors from their text (\[MS-DTYP\] 2.5.1) to the self-relative binary form (2.4.6), which layers carry.

use super::Sid;
use crate::{Error, Result};

/// Self-relative, with an access list: the control bits of every descriptor here (\[MS-DTYP\] 2.4.6).
const SELF_RELATIVE: u16 = 0x8000;
const DACL_PRESENT: u16 = 0x0004;
/// What may stand between `D:` and the first entry.
const LIST_FLAGS: &[(&str, u16)] = &[("P", 0x1000), ("AR", 0x0100), ("AI", 0x0400)];

/// Types of entries (\[MS-DTYP\] 2.4.4.1).
const TYPES: &[(&str, u8)] = &[("A", 0), ("D", 1)];

/// Flags of entries (\[MS-DTYP\] 2.4.4.1).
const FLAGS: &[(&str, u8)] = &[("OI", 1), ("CI", 2), ("NP", 4), ("IO", 8), ("ID", 0x10)];

/// Rights (\[MS-DTYP\] 2.5.1.1).
const RIGHTS: &[(&str, u32)] = &[
    ("GA", 0x1000_0000),
    ("GX", 0x2000_0000),
    ("GW", 0x4000_0000),
    ("GR", 0x8000_0000),
    ("SD", 0x0001_0000),
    ("RC", 0x0002_0000),
    ("WD", 0x0004_0000),
    ("WO", 0x0008_0000),
    ("FA", 0x001f_01ff),
    ("FR", 0x0012_0089),
    ("FW", 0x0012_0116),
    ("FX", 0x0012_00a0),
    ("CC", 0x0001),
    ("DC", 0x0002),
    ("LC", 0x0004),
    ("SW", 0x0008),
    ("RP", 0x0010),
    ("WP", 0x0020),
    ("DT", 0x0040),
    ("LO", 0x0080),
    ("CR", 0x0100),
];

/// Bytes before the first account of a descriptor (\[MS-DTYP\] 2.4.6).
const HEADER: usize = 20;

/// Makes the binary form of a security descriptor of a file: owner, group, and a list of `A` and `D` entries, as in
/// `O:BAG:SYD:(A;OICI;FA;;;BA)`. Lists for auditing (`S:`) and conditions are refused.
pub fn encode_sddl(text: &str) -> Result<Vec<u8>> {
    encode(text).map_err(|problem| Error::Invalid(format!("security descriptor {text:?}: {problem}")))
}

fn encode(text: &str) -> Result<Vec<u8>, String> {
    let rest = text.strip_prefix("O:").ok_or("it does not begin with its owner, `O:`")?;
    let (owner, rest) = rest.split_once("G:").ok_or("it has no group, `G:`")?;
    let (group, list) = rest.split_once("D:").ok_or("it has no access list, `D:`")?;
    let (owner, group) = (account(owner)?.to_bytes(), account(group)?.to_bytes());
    let (mut flags, entries) = list.split_at(list.find('(').unwrap_or(list.len()));
    let mut control = SELF_RELATIVE | DACL_PRESENT;
    while !flags.is_empty() {
        let (name, bit) = LIST_FLAGS
            .iter()
            .find(|(name, _)| flags.starts_with(name))
            .ok_or_else(|| format!("{flags:?} is no flag of an access list"))?;
        control |= bit;
        flags = &flags[name.len()..];
    }
    let list = access_list(entries)?;

    let mut out = vec![1, 0];
    out.extend_from_slice(&control.to_le_bytes());
    // Owner, group, list for auditing, access list, as offsets.
    for offset in [HEADER, HEADER + owner.len(), 0, HEADER + owner.len() + group.len()] {
        let offset = u32::try_from(offset).expect("two accounts have 136 bytes at most");
        out.extend_from_slice(&offset.to_le_bytes());
    }
    out.extend_from_slice(&owner);
    out.extend_from_slice(&group);
    out.extend_from_slice(&list);
    Ok(out)
}

/// Revision 2, size, number of entries, entries (\[MS-DTYP\] 2.4.5).
fn access_list(mut text: &str) -> Result<Vec<u8>, String> {
    let mut entries = Vec::new();
    let mut count = 0_u16;
    while !text.is_empty() {
        let (entry, rest) = text
            .strip_prefix('(')
            .and_then(|inner| inner.split_once(')'))
            .ok_or_else(|| format!("{text:?} is no entry of an access list"))?;
        entries.extend(access_entry(entry)?);
        count = count.checked_add(1).ok_or("its access list is too long")?;
        text = rest;
    }
    let size = u16::try_from(entries.len() + 8).map_err(|_| "its access list is too long")?;
    let mut out = vec![2, 0];
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend(entries);
    Ok(out)
}

/// Type, flags, size, rights, account (\[MS-DTYP\] 2.4.4.2).
fn access_entry(text: &str) -> Result<Vec<u8>, String> {
    let fields: Vec<&str> = text.split(';').collect();
    let [kind, flags, rights, "", "", sid] = fields[..] else {
        return Err(format!("({text}) is no plain entry: type;flags;rights;;;account"));
    };
    let (_, kind) = TYPES
        .iter()
        .find(|(name, _)| *name == kind)
        .ok_or_else(|| format!("({text}): no entry has type {kind:?} here"))?;
    let flags =
        sum(flags, FLAGS, |flag| u32::from(*flag)).ok_or_else(|| format!("({text}): {flags:?} are no flags"))?;
    let rights = match rights.strip_prefix("0x") {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_hexdigit()) => u32::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None => sum(rights, RIGHTS, |right| *right),
    };
    let rights = rights.ok_or_else(|| format!("({text}): these are no rights of a file"))?;
    let sid = account(sid)?.to_bytes();
    let size = u16::try_from(8 + sid.len()).expect("an account has 68 bytes at most");
    let mut out = vec![*kind, u8::try_from(flags).expect("the flags' sum has eight bits")];
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(&rights.to_le_bytes());
    out.extend(sid);
    Ok(out)
}

/// Adds up two-letter names.
fn sum<T>(mut text: &str, known: &[(&str, T)], value: impl Fn(&T) -> u32) -> Option<u32> {
    let mut sum = 0;
    while !text.is_empty() {
        let (name, found) = known.iter().find(|(name, _)| text.starts_with(name))?;
        sum |= value(found);
        text = &text[name.len()..];
    }
    Some(sum)
}

fn account(text: &str) -> Result<Sid, String> {
    Sid::parse_sddl(text).ok_or_else(|| format!("{text:?} is no account"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_is_encoded_as_the_specification_says() {
        let bytes = encode_sddl("O:BAG:SYD:PAI(D;OICIIO;GRGWGXRCWDSD;;;S-1-5-93-2-2)").unwrap();
        let expected: &[&[u8]] = &[
            &[1, 0, 0x04, 0x94, 20, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0],
            &[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0],
            &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0],
            &[2, 0, 36, 0, 1, 0, 0, 0],
            &[1, 11, 28, 0, 0, 0, 7, 0xe0, 1, 3, 0, 0, 0, 0, 0, 5, 93, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0],
        ];
        assert_eq!(bytes, expected.concat());
        assert_eq!(encode_sddl("O:BAG:SYD:").unwrap().len(), 20 + 16 + 12 + 8);
    }

    #[test]
    fn what_is_no_descriptor_of_a_file_is_refused() {
        let said = [
            "",
            "O:BA",
            "O:BAG:SY",
            "O:XXG:SYD:",
            "O:BAG:SYD:Q(A;;FA;;;BA)",
            "O:BAG:SYD:(A;;FA;;;BA",
            "O:BAG:SYD:(A;;FA;;;BA)x",
            "O:BAG:SYD:(A;;FA;;;BA;)",
            "O:BAG:SYD:(AU;;FA;;;BA)",
            "O:BAG:SYD:(A;ÄÖ;FA;;;BA)",
            "O:BAG:SYD:(A;;FAx;;;BA)",
            "O:BAG:SYD:(A;;0x+1;;;BA)",
            "O:BAG:SYD:(A;;0x100000000;;;BA)",
        ]
        .map(|text| encode_sddl(text).unwrap_err().to_string());
        insta::assert_snapshot!(said.join("\n"), @r#"
        security descriptor "": it does not begin with its owner, `O:`
        security descriptor "O:BA": it has no group, `G:`
        security descriptor "O:BAG:SY": it has no access list, `D:`
        security descriptor "O:XXG:SYD:": "XX" is no account
        security descriptor "O:BAG:SYD:Q(A;;FA;;;BA)": "Q" is no flag of an access list
        security descriptor "O:BAG:SYD:(A;;FA;;;BA": "(A;;FA;;;BA" is no entry of an access list
        security descriptor "O:BAG:SYD:(A;;FA;;;BA)x": "x" is no entry of an access list
        security descriptor "O:BAG:SYD:(A;;FA;;;BA;)": (A;;FA;;;BA;) is no plain entry: type;flags;rights;;;account
        security descriptor "O:BAG:SYD:(AU;;FA;;;BA)": (AU;;FA;;;BA): no entry has type "AU" here
        security descriptor "O:BAG:SYD:(A;ÄÖ;FA;;;BA)": (A;ÄÖ;FA;;;BA): "ÄÖ" are no flags
        security descriptor "O:BAG:SYD:(A;;FAx;;;BA)": (A;;FAx;;;BA): these are no rights of a file
        security descriptor "O:BAG:SYD:(A;;0x+1;;;BA)": (A;;0x+1;;;BA): these are no rights of a file
        security descriptor "O:BAG:SYD:(A;;0x100000000;;;BA)": (A;;0x100000000;;;BA): these are no rights of a file
        "#);
        let many = format!("O:BAG:SYD:{}", "(A;;FA;;;BA)".repeat(3000));
        assert!(encode_sddl(&many).unwrap_err().to_string().ends_with("too long"));
    }
}
