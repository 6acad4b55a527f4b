//! Which network a step gets (linux.md §1.6).

#![cfg(target_os = "linux")]

mod bridge;
mod link;
mod netlink;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use bridge::{Bridge, Place};
use strake_layers::NoticeSink;
use strake_parser::Network;

use super::files::Reach;
use super::plan::NetworkPlan;
use super::{LinuxOptions, Rung};
use crate::{Error, Result};

/// The networks of one runner's steps.
#[derive(Debug)]
pub(super) struct Networks {
    options: LinuxOptions,
    /// Made when the first step asks for it; the answer serves all others.
    bridge: OnceLock<Result<Bridge, NoBridge>>,
    has_warned: AtomicBool,
}

/// Why there is no bridge, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoBridge {
    pub(super) cause: String,
    pub(super) help: String,
}

/// A step's network, kept as long as the step runs.
#[derive(Debug)]
pub(super) struct StepNetwork {
    pub(super) plan: NetworkPlan,
    /// Which name servers it reaches.
    pub(super) reach: Reach,
    /// What `host-gateway` means in it.
    pub(super) gateway: Option<IpAddr>,
    _place: Option<Place>,
}

/// What a step asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub(super) network: Network,
    pub(super) refuses_host: bool,
    pub(super) rung: Rung,
    pub(super) notices: &'a NoticeSink,
}

impl Networks {
    pub(super) fn new(options: LinuxOptions) -> Self {
        Self { options, bridge: OnceLock::new(), has_warned: AtomicBool::new(false) }
    }

    /// Gives a step its network.
    pub(super) fn provide(&self, wish: Wish<'_>) -> Result<StepNetwork> {
        match wish.network {
            Network::None => {
                Ok(StepNetwork { plan: NetworkPlan::Loopback, reach: Reach::Own, gateway: None, _place: None })
            }
            Network::Host => Ok(host()),
            Network::Default => match self.place(wish.rung) {
                Ok((place, gateway)) => Ok(StepNetwork {
                    plan: NetworkPlan::Prepared(place.namespace.clone()),
                    reach: Reach::Own,
                    gateway: Some(gateway),
                    _place: Some(place),
                }),
                Err(reason) => self.fall_back(&reason, wish),
            },
        }
    }

    fn place(&self, rung: Rung) -> Result<(Place, IpAddr), NoBridge> {
        if rung != Rung::Rootful {
            return Err(rootless());
        }
        let bridge = self.bridge.get_or_init(|| Bridge::join(&self.options)).as_ref().map_err(Clone::clone)?;
        Ok((bridge.place()?, bridge.gateway()))
    }

    fn fall_back(&self, reason: &NoBridge, wish: Wish<'_>) -> Result<StepNetwork> {
        let NoBridge { cause, help } = reason;
        if wish.refuses_host {
            return Err(Error::environment(format!("a step cannot get a network of its own: {cause}"))
                .with_help(format!("{help}, or give the step the host's network (`--network-fallback=host`)")));
        }
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            wish.notices.warn(format!(
                "steps use the host's network, its interfaces and local services included: {cause}; for a network of \
                 their own: {help}"
            ));
        }
        Ok(host())
    }

    /// Why the default network is the host's, found without a change of the host.
    pub(super) fn why_no_bridge(rung: Rung) -> Option<NoBridge> {
        if rung != Rung::Rootful {
            return Some(rootless());
        }
        bridge::check_forwarding().and_then(|()| bridge::rehearse()).err()
    }
}

fn rootless() -> NoBridge {
    NoBridge { cause: "a bridge needs root".to_owned(), help: "run strake as root".to_owned() }
}

fn host() -> StepNetwork {
    StepNetwork { plan: NetworkPlan::Host, reach: Reach::Host, gateway: Some(Ipv4Addr::LOCALHOST.into()), _place: None }
}
