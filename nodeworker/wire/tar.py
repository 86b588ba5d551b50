"""A lean, suspicious reader of tar streams: pure parsing, no file is touched here.

Called by the node when it unpacks a layer (nodeworker.images.unpack) and by the control plane when it reads an
image archive (apps.images.archives). Python's own tarfile is three times slower and guesses where a hostile archive
should be refused.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

BLOCK = 512
READ_SIZE = 1 << 20
MAX_HEADER_DATA = 1 << 20  # a PAX header or a GNU long name; real ones are a few hundred bytes
MAX_NAME = 4096  # PATH_MAX
MAX_SIZE = 1 << 44

REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
_LONG_NAME, _LONG_LINK, _PAX, _GLOBAL_PAX, _SPARSE = b"L", b"K", b"x", b"g", b"S"
_NO_DATA = (HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO)
_ZERO = bytes(BLOCK)


class TarError(ValueError):
    """The stream is not a tar archive that may be trusted; the text says where and why."""


@dataclass(slots=True)
class Entry:
    """One member: names are bytes, because a layer may hold any; times are nanoseconds."""

    name: bytes
    type: bytes
    size: int
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    link: bytes = b""
    pax: dict[str, bytes] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The name as it may stand in a message: no control sequence, no newline."""
        return printable(self.name)


def printable(name: bytes) -> str:
    """Return a name from an archive in a form that is safe in messages and on terminals."""
    text = name[:200].decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


class TarReader:
    """Iterate over the entries; between two of them `chunks()` gives the data of the present one."""

    def __init__(self, read: Callable[[int], bytes], *, max_entries: int = 2_000_000) -> None:
        self._read = read
        self._buffer = memoryview(b"")
        self._left = 0  # data bytes of the present entry not read yet
        self._padding = 0
        self._max_entries = max_entries

    def __iter__(self) -> Iterator[Entry]:
        for _ in range(self._max_entries):
            entry = self._next_entry()
            if entry is None:
                return
            yield entry
        raise TarError(f"the archive has more than {self._max_entries} entries")

    def chunks(self) -> Iterator[memoryview]:
        """Yield the data of the present entry, in pieces as they arrive."""
        while self._left:
            piece = self._take(self._left)
            self._left -= len(piece)
            yield piece
        while self._padding:
            self._padding -= len(self._take(self._padding))

    def drain(self) -> None:
        """Read to the end of the stream: what follows the last entry counts for a digest too."""
        self._buffer = memoryview(b"")
        while self._read(READ_SIZE):
            pass

    def _take(self, most: int) -> memoryview:
        if not self._buffer:
            self._buffer = memoryview(self._read(READ_SIZE))
            if not self._buffer:
                raise TarError("the archive ends in the middle of an entry: it is truncated")
        piece, self._buffer = self._buffer[:most], self._buffer[most:]
        return piece

    def _exactly(self, size: int) -> bytes:
        piece = self._take(size)
        if len(piece) == size:
            return bytes(piece)
        parts = [bytes(piece)]
        missing = size - len(piece)
        while missing:
            parts.append(bytes(self._take(missing)))
            missing -= len(parts[-1])
        return b"".join(parts)

    def _header(self) -> bytes | None:
        """Return the next header block, or None at the end (a zero block, or the end of the stream at a border)."""
        if not self._buffer:
            self._buffer = memoryview(self._read(READ_SIZE))
            if not self._buffer:
                return None
        block = self._exactly(BLOCK)
        return None if block == _ZERO else block

    def _next_entry(self) -> Entry | None:
        pax: dict[str, bytes] = {}
        long_name = long_link = None
        for _ in range(16):  # at most a handful of prefix headers belongs to one entry
            for _piece in self.chunks():
                pass
            block = self._header()
            if block is None:
                return None
            entry = _parse(block)
            if entry.type not in (_LONG_NAME, _LONG_LINK, _PAX, _GLOBAL_PAX):
                return self._finish(entry, pax, long_name, long_link)
            data = self._header_data(entry)
            if entry.type == _LONG_NAME:
                long_name = data.rstrip(b"\0")
            elif entry.type == _LONG_LINK:
                long_link = data.rstrip(b"\0")
            elif entry.type == _PAX:
                pax |= _parse_pax(data)
        raise TarError("the archive stacks more than 16 extended headers on one entry")

    def _header_data(self, entry: Entry) -> bytes:
        if entry.size > MAX_HEADER_DATA:
            raise TarError(f"an extended header of {entry.size} bytes is larger than {MAX_HEADER_DATA}")
        self._padding = -entry.size % BLOCK
        return self._exactly(entry.size) if entry.size else b""

    def _finish(self, entry: Entry, pax: dict[str, bytes], long_name: bytes | None, long_link: bytes | None) -> Entry:
        entry.name = pax.get("path", long_name if long_name is not None else entry.name)
        entry.link = pax.get("linkpath", long_link if long_link is not None else entry.link)
        if pax:
            _apply_pax(entry, pax)
        if entry.type in (b"\0", b"7"):
            entry.type = REGULAR
        if entry.type == REGULAR and entry.name.endswith(b"/"):
            entry.type = DIRECTORY
        _check(entry)
        if entry.type in _NO_DATA:
            # GNU tar and others may record a size for a link; POSIX says that no data follows.
            entry.size = 0
        self._left, self._padding = entry.size, -entry.size % BLOCK
        return entry


def _check(entry: Entry) -> None:
    if entry.type == _SPARSE or any(key.startswith("GNU.sparse.") for key in entry.pax):
        raise TarError(f"{entry.shown!r} is stored as a sparse file, which image layers may not contain")
    if entry.type not in (REGULAR, *_NO_DATA):
        raise TarError(f"{entry.shown!r} is of the unknown type {entry.type!r}")
    if not 0 <= entry.size <= MAX_SIZE:
        raise TarError(f"{entry.shown!r} claims a size of {entry.size} bytes")
    if not entry.name or len(entry.name) > MAX_NAME or len(entry.link) > MAX_NAME:
        raise TarError(f"{entry.shown!r}: a name must have 1 to {MAX_NAME} bytes")
    if b"\0" in entry.name or b"\0" in entry.link:
        raise TarError(f"{entry.shown!r}: a name holds a zero byte")


def _parse(block: bytes) -> Entry:
    stored = _number(block[148:156], "checksum")
    if stored != sum(block) - sum(block[148:156]) + 8 * 32:
        raise TarError("a header has a wrong checksum: this is not a tar archive, or it is damaged")
    name = block[:100].split(b"\0", 1)[0]
    magic = block[257:263]
    if magic == b"ustar\0" and block[345]:
        name = block[345:500].split(b"\0", 1)[0] + b"/" + name
    return Entry(
        name=name,
        type=block[156:157],
        size=_number(block[124:136], "size"),
        mode=_number(block[100:108], "mode") & 0o7777,
        uid=_number(block[108:116], "uid"),
        gid=_number(block[116:124], "gid"),
        mtime=_number(block[136:148], "mtime") * 1_000_000_000,
        link=block[157:257].split(b"\0", 1)[0],
    )


def _number(raw: bytes, what: str) -> int:
    """Parse an octal field, or GNU's base-256 form; a negative number is only allowed for a time."""
    if raw[0] & 0x80:
        value = int.from_bytes(raw, "big", signed=False) - (1 << (8 * len(raw) - 1))
        if raw[0] == 0xFF:
            value = int.from_bytes(raw, "big", signed=True)
    else:
        text = raw.split(b"\0", 1)[0].strip(b" ")
        if text and not all(0x30 <= digit <= 0x37 for digit in text):
            raise TarError(f"the {what} of a header is not a number: this is not a tar archive, or it is damaged")
        value = int(text, 8) if text else 0
    if value < 0 and what != "mtime":
        raise TarError(f"the {what} of a header is negative")
    return value


def _parse_pax(data: bytes) -> dict[str, bytes]:
    records: dict[str, bytes] = {}
    position = 0
    while position < len(data):
        length_text, space, _ = data[position : position + 12].partition(b" ")
        if not space or not length_text.isdigit():
            if data[position:].strip(b"\0"):
                raise _bad_pax()
            break
        end = position + int(length_text)
        record = data[position + len(length_text) + 1 : end]
        key, equals, value = record[:-1].partition(b"=")
        if end > len(data) or not record.endswith(b"\n") or not equals or len(records) > 1000:
            raise _bad_pax()
        records[key.decode("utf-8", "replace")] = value
        position = end
    return records


def _bad_pax() -> TarError:
    return TarError("an extended (PAX) header is malformed")


def _apply_pax(entry: Entry, pax: dict[str, bytes]) -> None:
    entry.pax = pax
    try:
        if "size" in pax:
            entry.size = int(pax["size"])
        if "uid" in pax:
            entry.uid = int(pax["uid"])
        if "gid" in pax:
            entry.gid = int(pax["gid"])
        if "mtime" in pax:
            whole, _, fraction = pax["mtime"].partition(b".")
            entry.mtime = int(whole) * 1_000_000_000 + int((fraction[:9].ljust(9, b"0")) or b"0")
    except ValueError as error:
        raise TarError(f"{entry.shown!r}: a number of its extended (PAX) header is malformed") from error
