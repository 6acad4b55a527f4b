//! Ports of EXPOSE and signals of STOPSIGNAL (dockerfile.md §13.9, §13.15).

use std::net::IpAddr;
use std::ops::RangeInclusive;

/// The ports that one word of EXPOSE means, and what is odd about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ports {
    /// `port/protocol`, ascending.
    pub(super) ports: Vec<String>,
    /// The protocol has upper-case letters.
    pub(super) has_upper_case: bool,
    /// An address or a host port stands before the port; it is dropped.
    pub(super) has_host_part: bool,
    /// The word as it should be written.
    pub(super) plain: String,
}

/// Reads `[[ip:]host:]port[-port][/protocol]`.
pub(super) fn parse(word: &str) -> Result<Ports, String> {
    let invalid = |problem: String| format!("invalid port: {word:?}: {problem}");
    let (numbers, protocol) = match word.split_once('/') {
        Some((numbers, protocol)) if !protocol.is_empty() => (numbers, protocol),
        Some((numbers, _)) => (numbers, "tcp"),
        None => (word, "tcp"),
    };
    let lower = protocol.to_lowercase();
    if !matches!(lower.as_str(), "tcp" | "udp" | "sctp") {
        return Err(invalid(format!("invalid proto: {protocol}")));
    }
    let (before, range) = numbers.rsplit_once(':').unwrap_or(("", numbers));
    let (address, host) = before.rsplit_once(':').unwrap_or(("", before));
    if range.is_empty() {
        return Err(invalid("no port specified".to_owned()));
    }
    if !address.is_empty() && !is_address(address) {
        return Err(invalid(format!("invalid IP address: {address}")));
    }
    let ports = port_range(range).ok_or_else(|| invalid(format!("invalid containerPort: {range}")))?;
    if !host.is_empty() {
        let host_ports = port_range(host).ok_or_else(|| invalid(format!("invalid hostPort: {host}")))?;
        // Several ports of the host may stand before one of the container.
        if ports.len() > 1 && ports.len() != host_ports.len() {
            return Err(invalid(format!("invalid ranges specified for container and host Ports: {range} and {host}")));
        }
    }
    Ok(Ports {
        ports: ports.map(|port| format!("{port}/{lower}")).collect(),
        has_upper_case: lower != protocol,
        has_host_part: !before.is_empty(),
        plain: if word.contains('/') { format!("{range}/{lower}") } else { range.to_owned() },
    })
}

/// Reads `port[-port]`.
fn port_range(text: &str) -> Option<RangeInclusive<u16>> {
    let number = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let ports: RangeInclusive<u16> = number(first)?..=number(last)?;
    (!ports.is_empty()).then_some(ports)
}

/// Tells whether a text is an address, one of IPv6 perhaps in brackets.
fn is_address(text: &str) -> bool {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().is_ok()
}

/// Signals of Linux by name, without `SIG` (signal(7)); real-time ones are `RTMIN`, `RTMIN+n`, `RTMAX-n`, `RTMAX`.
const SIGNALS: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "UNUSED", "URG",
    "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

/// Tells whether a text is a signal: any number but 0, or a name with or without `SIG`, in any letter case.
pub(super) fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<i64>() {
        return number != 0;
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    SIGNALS.contains(&name)
        || (1..=15).any(|offset| name == format!("RTMIN+{offset}"))
        || (1..=14).any(|offset| name == format!("RTMAX-{offset}"))
}

/// Gives the names of signals, for suggestions.
pub(super) fn signal_names() -> impl Iterator<Item = String> {
    SIGNALS.iter().map(|name| format!("SIG{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_take_ranges_and_protocols() {
        assert_eq!(parse("80").expect("valid").ports, ["80/tcp"]);
        assert_eq!(parse("80/").expect("valid").ports, ["80/tcp"]);
        assert_eq!(parse("90-91/UDP").expect("valid").ports, ["90/udp", "91/udp"]);
        assert!(parse("90-91/UDP").expect("valid").has_upper_case);
        let host = parse("127.0.0.1:80:8080/tcp").expect("valid");
        assert_eq!((host.ports, host.has_host_part), (vec!["8080/tcp".to_owned()], true));
        assert_eq!(host.plain, "8080/tcp");
        assert!(!parse(":80").expect("valid").has_host_part);
    }

    #[test]
    fn words_that_are_no_ports_are_refused() {
        assert_eq!(parse("80/tpc"), Err("invalid port: \"80/tpc\": invalid proto: tpc".to_owned()));
        assert_eq!(parse("http"), Err("invalid port: \"http\": invalid containerPort: http".to_owned()));
        for bad in ["", "70000", "5-4", "-1", "1-", "+5", "/", "80:"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_stands_before_a_port_is_checked_before_it_is_dropped() {
        for good in ["8000-8010:80", "8000-8001:80-81", "::1:8080:80", "[::1]:8080:80", "127.0.0.1::80", ":80"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        let bad = |word| parse(word).expect_err("it is no port");
        assert_eq!(bad("localhost:80:80"), "invalid port: \"localhost:80:80\": invalid IP address: localhost");
        assert_eq!(bad("http:80"), "invalid port: \"http:80\": invalid hostPort: http");
        let ranges = "invalid ranges specified for container and host Ports: 90-91 and 80-82";
        assert_eq!(bad("80-82:90-91"), format!("invalid port: \"80-82:90-91\": {ranges}"));
    }

    #[test]
    fn signals_are_names_and_numbers() {
        for good in ["9", "-1", "SIGINT", "int", "SIGRTMIN+3", "RTMAX-14", "SIGCLD"] {
            assert!(is_signal(good), "{good}");
        }
        for bad in ["0", "", "SIGFOO", "RTMIN+16", "RTMAX-15", "RTMIN+01"] {
            assert!(!is_signal(bad), "{bad}");
        }
    }
}
