"""What a node knows about itself before it has asked anybody: HOME/node/config.json.

Written by the launcher (`gantry up`, later `gantry node join`), read once by nodeworker/__main__.py.
"""

from pathlib import Path

import msgspec


class NodeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The node's own settings. Paths are absolute."""

    name: str  # the Node object's name
    instance: str  # six hex digits, see wire/instance.py
    home: str  # the instance's HOME; the node's things are in HOME/node, sockets in HOME/run
    api: str  # https://127.0.0.1:6443
    ca: str  # certificate of the cluster's CA
    certificate: str  # CN=system:node:<name>, O=system:nodes; it also serves the streaming endpoint
    key: str
    broker: str = ""  # Redis URL of Celery; empty: the node works by its own watch only
    service_cidr: str = "10.96.0.0/16"
    pod_cidr: str = "10.244.0.0/16"  # the cluster's range; the node's own /24 comes from Node.spec.podCIDR
    address: str = "127.0.0.1"  # InternalIP: where the control plane reaches the streaming endpoint
    stream_listen: str = "127.0.0.1:10250"
    blobs: str = ""  # HOME/blobs when the control plane's store is on this machine, else empty
    max_pods: int = 110

    @property
    def node_home(self) -> Path:
        return Path(self.home) / "node"

    @property
    def zygote_socket(self) -> Path:
        return Path(self.home) / "run" / "zygote.sock"

    @property
    def stream_address(self) -> tuple[str, int]:
        host, _, port = self.stream_listen.rpartition(":")
        return host.strip("[]") or "127.0.0.1", int(port)


def load_config(path: Path) -> NodeConfig:
    """Read config.json; a wrong file is told with its path and field."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=NodeConfig)
    except FileNotFoundError:
        raise SystemExit(
            f"{path} does not exist: run `./gantry up` once, it writes the node's configuration."
        ) from None
    except msgspec.ValidationError as problem:
        raise SystemExit(f"{path} is not a node configuration: {problem}") from None


def save_config(path: Path, config: NodeConfig) -> None:
    """Write config.json by rename, so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    scratch.write_bytes(msgspec.json.format(msgspec.json.encode(config), indent=2))
    scratch.replace(path)
