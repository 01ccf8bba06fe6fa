//! Binds the node's addresses before anything starts: a port in use is a plain sentence at
//! once, and a restarted listener finds its socket again.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};

use crate::Failure;
use crate::config::Config;
use crate::services::GATEWAY;

/// The bound sockets.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) ops: TcpListener,
    pub(super) gateway: Option<panel_gateway::Sockets>,
    pub(super) cluster: Option<TcpListener>,
}

impl Sockets {
    pub(super) fn bind(config: &Config) -> Result<Self, Failure> {
        let ops = bind(config.node.ops_listen, "--ops-listen")?;
        let gateway = if config.has_role(GATEWAY) { Some(edge(config)?) } else { None };
        let cluster = if config.cluster.is_wanted() {
            let address = config.cluster.listen_address().parse().map_err(Failure::other)?;
            Some(bind(address, "--cluster-listen")?)
        } else {
            None
        };
        Ok(Self { ops, gateway, cluster })
    }

    /// The address of the site, if it is served here.
    pub(super) fn http(&self) -> Option<SocketAddr> {
        self.gateway.as_ref().and_then(|gateway| gateway.http.local_addr().ok())
    }

    /// Where what is asked in the clear hears where the site is.
    pub(super) fn redirect(&self) -> Option<SocketAddr> {
        let redirect = self.gateway.as_ref()?.redirect.as_ref()?;
        redirect.local_addr().ok()
    }

    /// Where other nodes connect, if they do.
    pub(super) fn cluster(&self) -> Option<SocketAddr> {
        self.cluster.as_ref().and_then(|cluster| cluster.local_addr().ok())
    }

    pub(super) fn service_ports(&self) -> BTreeMap<String, String> {
        let services = self.gateway.iter().flat_map(|gateway| &gateway.services);
        services
            .filter_map(|(name, socket)| {
                Some(((*name).to_owned(), socket.local_addr().ok()?.to_string()))
            })
            .collect()
    }
}

fn edge(config: &Config) -> Result<panel_gateway::Sockets, Failure> {
    let http = bind(config.node.listen, "--listen")?;
    let redirect = config.gateway.tls.redirect();
    let redirect = redirect.map(|at| bind(at, "gateway.tls.redirect_listen")).transpose()?;
    let mut services = Vec::new();
    for spec in &config.services {
        if let Some(port) = config.service_port(spec) {
            let address = SocketAddr::new(config.node.listen.ip(), port);
            services.push((spec.name, bind(address, "--service-ports")?));
        }
    }
    Ok(panel_gateway::Sockets { http, services, redirect })
}

fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|error| {
        Failure::Other(format!("can't listen on {address}: {error}; choose another with {flag}"))
    })
}
