"""Which instance this is: HOME/config.json, and the names of everything global on the machine that carries its id.

Called by the launcher, the settings, the runtime and the node's network, so that two homes on one machine never touch.
"""

import hashlib
from pathlib import Path

import msgspec


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of HOME/config.json."""

    id: str
    node_name: str
    listen: str = "127.0.0.1:8000"
    api_listen: str = "127.0.0.1:6443"
    stream_listen: str = "127.0.0.1:10250"
    pod_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/16"
    public_url: str = ""
    address: str = "127.0.0.1"

    @classmethod
    def load(cls, home: Path) -> "Instance":
        """Read HOME/config.json; raise FileNotFoundError when `gantry up` has not been here."""
        return msgspec.json.decode((home / "config.json").read_bytes(), type=cls)

    @property
    def bridge(self) -> str:
        return f"gb{self.id}"

    @property
    def nft_table(self) -> str:
        return f"gantry_{self.id}"

    @property
    def cgroup_parent(self) -> str:
        return f"gantry-{self.id}"

    def host_interface(self, n: int) -> str:
        """Return the name of the host's end of a pod's veth pair; the kernel allows 15 characters."""
        name = f"gv{self.id}{n:x}"
        if len(name) > 15:
            raise ValueError(f"interface number {n} is too large for a name of 15 characters")
        return name


def instance_id(home: Path) -> str:
    """Return the id of the instance at `home`: six hexadecimal digits, the same for every way of writing the path."""
    return hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:6]


def save(home: Path, instance: Instance) -> None:
    """Write HOME/config.json by rename, so that no reader ever sees half of it."""
    temporary = home / "config.json.new"
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(instance), indent=2))
    temporary.rename(home / "config.json")


load = Instance.load
