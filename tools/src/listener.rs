//! Which process of this machine listens on a TCP port.

use std::{collections::BTreeSet, fs, path::Path};

/// State of a socket that listens, as the system's tables have it.
const LISTEN: &str = "0A";

/// Whether a process listens on a port. What the system does not tell, as of other users' processes, counts as no.
pub fn listens(process: u32, port: u16) -> bool {
    let proc = Path::new("/proc").join(process.to_string());
    let table = |name| fs::read_to_string(proc.join("net").join(name)).unwrap_or_default();
    let sockets: BTreeSet<_> =
        [table("tcp"), table("tcp6")].iter().flat_map(|table| listeners(table, port)).collect();
    let open = fs::read_dir(proc.join("fd")).into_iter().flatten().flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| target.to_str().is_some_and(|target| sockets.contains(target)))
}

/// The sockets of a table that listen on a port, as links to open ones name them.
fn listeners(table: &str, port: u16) -> Vec<String> {
    let of_port = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let (&local, &state, inode) = (columns.get(1)?, columns.get(3)?, columns.get(9)?);
        let (_, local_port) = local.rsplit_once(':')?;
        let is_it = state == LISTEN && u16::from_str_radix(local_port, 16) == Ok(port);
        is_it.then(|| format!("socket:[{inode}]"))
    };
    table.lines().filter_map(of_port).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn who_listens_is_told_from_who_does_not() {
        let own = std::process::id();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        assert!(listens(own, address.port()));
        assert!(!listens(own, client.local_addr().unwrap().port()), "it is connected");
        assert!(!listens(1, address.port()) && !listens(u32::MAX, address.port()));
        // A machine may have none.
        if let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
            assert!(listens(own, listener.local_addr().unwrap().port()));
        }
    }

    #[test]
    fn a_table_that_is_cut_short_has_no_listeners() {
        let line =
            "0: 0100007F:2696 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1";
        assert_eq!(listeners(line, 9_878), ["socket:[4711]"]);
        assert!(listeners(&line[..60], 9_878).is_empty() && listeners(line, 9_879).is_empty());
    }
}
