"""Layers as they should be, and as an attacker would write them: nothing outside of the target is read or changed."""

import gzip
import os
import stat
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from nodeworker.images.tests.layers import (
    Member,
    directory,
    file,
    hard_link,
    member,
    raw_header,
    root_only,
    symlink,
    tar,
    unpacked,
)
from nodeworker.images.unpack import UnpackError

pytestmark = root_only


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A file of the host that no layer may read, replace or change."""
    path = tmp_path / "canary"
    path.write_text("secret")
    path.chmod(0o600)
    before = path.stat()
    yield path
    after = path.stat()
    assert path.read_text() == "secret"
    assert (after.st_mode, after.st_uid, after.st_nlink, after.st_mtime_ns) == (
        before.st_mode,
        before.st_uid,
        before.st_nlink,
        before.st_mtime_ns,
    )


def whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def opaque(path: Path) -> bool:
    return "trusted.overlay.opaque" in os.listxattr(path)


def refusal(folder: Path, content: bytes, **more: bytes) -> str:
    with pytest.raises(UnpackError) as caught:
        unpacked(folder, content, **more)  # type: ignore[arg-type]
    return str(caught.value)


def test_files_directories_links_owners_modes_and_times_are_kept(tmp_path: Path) -> None:
    root = unpacked(
        tmp_path,
        tar(
            directory("./", mode=0o711, mtime=5),
            directory("bin/", mode=0o1777, uid=7, gid=8, mtime=100),
            file("bin/tool", "run", mode=0o4755, uid=1000, mtime=1234567890.5),
            symlink("bin/sh", "/bin/tool"),
            hard_link("bin/same", "bin/tool"),
            member("pipe", tarfile.FIFOTYPE, mode=0o600),
        ),
    )
    tool = (root / "bin/tool").stat()
    assert (tool.st_mode & 0o7777, tool.st_uid, tool.st_nlink, tool.st_mtime) == (0o4755, 1000, 2, 1234567890.5)
    folder = (root / "bin").stat()
    assert (folder.st_mode & 0o7777, folder.st_uid, folder.st_gid, folder.st_mtime) == (0o1777, 7, 8, 100)
    assert (root / "bin/sh").readlink() == Path("/bin/tool")
    assert stat.S_ISFIFO((root / "pipe").lstat().st_mode)
    assert (root.stat().st_mode & 0o7777, root.stat().st_mtime) == (0o711, 5)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_compressed_layers_are_unpacked(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    content = tar(file("a", "b" * 100_000))
    assert (unpacked(tmp_path, content, packed=pack(content)) / "a").stat().st_size == 100_000


def test_several_gzip_members_are_one_layer(tmp_path: Path) -> None:
    content = tar(file("a", "hello"))
    packed = gzip.compress(content[:700]) + gzip.compress(content[700:])
    assert (unpacked(tmp_path, content, packed=packed) / "a").read_text() == "hello"


def test_an_empty_layer_is_a_layer(tmp_path: Path) -> None:
    assert list(unpacked(tmp_path, bytes(1024)).iterdir()) == []


def test_long_names_and_names_of_any_bytes_are_kept(tmp_path: Path) -> None:
    long = "/".join(["d" * 200] * 4) + "/" + "f" * 250
    strange = b"\xff\x1b[31m\n".decode("utf-8", "surrogateescape")
    root = unpacked(tmp_path, tar(file(long), file(strange)))
    assert (root / long).exists()
    assert (root / strange).exists()


@pytest.mark.parametrize("name", ["../x", "a/../../x", "./../x", "a/..", ".."])
def test_a_name_that_climbs_is_refused(tmp_path: Path, canary: Path, name: str) -> None:
    assert "contains '..'" in refusal(tmp_path, tar(file(name)))


def test_an_absolute_name_stays_inside(tmp_path: Path) -> None:
    assert (unpacked(tmp_path, tar(file("/etc/x"))) / "etc/x").exists()


def test_a_link_to_the_host_is_followed_inside_only(tmp_path: Path, canary: Path) -> None:
    name = f"gantry-canary-{uuid.uuid4()}"
    root = unpacked(tmp_path, tar(directory("etc/"), symlink("d", "/etc"), file(f"d/{name}")))
    assert (root / "etc" / name).exists() and not Path("/etc", name).exists()


def test_a_link_to_a_directory_of_the_host_leads_nowhere(tmp_path: Path, canary: Path) -> None:
    content = tar(symlink("d", str(tmp_path)), file("d/canary", "overwritten"))
    assert "leads nowhere" in refusal(tmp_path, content)


def test_a_chain_of_links_out_ends_inside(tmp_path: Path, canary: Path) -> None:
    root = unpacked(tmp_path, tar(symlink("a", ".."), symlink("b", "a/.."), file("b/canary", "overwritten")))
    assert (root / "canary").read_text() == "overwritten"


def test_a_file_replaces_a_link_instead_of_following_it(tmp_path: Path, canary: Path) -> None:
    root = unpacked(tmp_path, tar(symlink("x", str(canary)), file("x", "mine", mode=0o777, uid=5)))
    assert (root / "x").read_text() == "mine" and not (root / "x").is_symlink()


def test_a_directory_replaces_a_link_instead_of_following_it(tmp_path: Path, canary: Path) -> None:
    content = tar(symlink("x", str(tmp_path)), directory("x/", mode=0o777), file("x/canary", "mine"))
    assert (unpacked(tmp_path, content) / "x/canary").read_text() == "mine"


@pytest.mark.parametrize("target", ["/etc/shadow", "missing", "d/missing", "/"])
def test_a_hard_link_to_what_the_layer_does_not_hold_is_refused(tmp_path: Path, target: str) -> None:
    assert "link" in refusal(tmp_path, tar(hard_link("x", target)))


def test_a_hard_link_that_climbs_is_refused(tmp_path: Path, canary: Path) -> None:
    assert "'..'" in refusal(tmp_path, tar(hard_link("x", "../canary")))


def test_a_hard_link_through_a_link_stays_inside(tmp_path: Path, canary: Path) -> None:
    content = tar(symlink("d", str(tmp_path)), hard_link("x", "d/canary"))
    assert "leads nowhere" in refusal(tmp_path, content)


def test_a_hard_link_to_a_symbolic_link_does_not_follow_it(tmp_path: Path, canary: Path) -> None:
    root = unpacked(tmp_path, tar(symlink("l", str(canary)), hard_link("x", "l"), file("x", "mine")))
    assert (root / "x").read_text() == "mine" and (root / "l").is_symlink()


@pytest.mark.parametrize("name", [".", "/", "./."])
def test_the_root_stays_a_directory(tmp_path: Path, name: str) -> None:
    """CVE-2021-29136."""
    assert "root must be a directory" in refusal(tmp_path, tar(symlink(name, "/etc")))


def test_a_whiteout_hides_what_lies_below(tmp_path: Path) -> None:
    root = unpacked(tmp_path, tar(directory("d/"), file("d/.wh.gone", "")))
    assert whiteout(root / "d/gone") and not (root / "d/.wh.gone").exists()


@pytest.mark.parametrize("order", [1, -1])
def test_a_whiteout_spares_a_file_of_its_own_layer(tmp_path: Path, order: int) -> None:
    root = unpacked(tmp_path, tar(*[file("kept", "mine"), file(".wh.kept", "")][::order]))
    assert (root / "kept").read_text() == "mine"


@pytest.mark.parametrize("order", [1, -1])
def test_a_directory_that_is_removed_and_made_anew_is_opaque(tmp_path: Path, order: int) -> None:
    both: list[Member] = [file(".wh.d", ""), directory("d/")]
    root = unpacked(tmp_path, tar(*both[::order], file("d/new")))
    assert opaque(root / "d") and (root / "d/new").exists()


@pytest.mark.parametrize("order", [1, -1])
def test_an_opaque_whiteout_counts_whatever_its_place(tmp_path: Path, order: int) -> None:
    root = unpacked(tmp_path, tar(directory("d/"), *[file("d/.wh..wh..opq", ""), file("d/new")][::order]))
    assert opaque(root / "d") and (root / "d/new").exists() and not (root / "d/.wh..wh..opq").exists()


@pytest.mark.parametrize("name", [".wh.", "d/.wh.", ".wh..", ".wh...", "d/.wh..."])
def test_a_whiteout_of_nothing_or_of_a_parent_is_refused(tmp_path: Path, name: str) -> None:
    assert "must name what it removes" in refusal(tmp_path, tar(file(name, "")))


def test_an_opaque_whiteout_through_a_link_marks_a_directory_inside(tmp_path: Path, canary: Path) -> None:
    root = unpacked(tmp_path, tar(directory("in/"), symlink("d", "/in"), file("d/.wh..wh..opq", "")))
    assert opaque(root / "in") and not opaque(tmp_path)


def test_what_lies_below_a_whiteout_is_refused(tmp_path: Path) -> None:
    assert "below a whiteout" in refusal(tmp_path, tar(directory(".wh.d/"), file(".wh.d/x")))


def test_devices_are_not_made_and_do_not_act_as_whiteouts(tmp_path: Path) -> None:
    nodes = [member("null", tarfile.CHRTYPE, devmajor=0, devminor=0), member("sda", tarfile.BLKTYPE, devmajor=8)]
    assert list(unpacked(tmp_path, tar(*nodes)).iterdir()) == []


def test_overlay_attributes_are_dropped_and_others_kept(tmp_path: Path) -> None:
    wanted = {
        "SCHILY.xattr.user.kept": "1",
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.trusted.overlay.metacopy": "",
        "SCHILY.xattr.user.overlay.redirect": "/etc",
        "SCHILY.xattr.trusted.mine": "1",
    }
    root = unpacked(tmp_path, tar(directory("d/", pax_headers=wanted), file("f", pax_headers=wanted)))
    assert os.listxattr(root / "f") == ["user.kept"] and os.listxattr(root / "d") == ["user.kept"]


def test_file_capabilities_are_kept(tmp_path: Path) -> None:
    value = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    attributes = {"SCHILY.xattr.security.capability": value.decode("latin-1")}
    root = unpacked(tmp_path, tar(file("ping", mode=0o755, uid=3, pax_headers=attributes)))
    assert os.getxattr(root / "ping", "security.capability") == value


def test_the_last_of_several_entries_wins(tmp_path: Path) -> None:
    root = unpacked(tmp_path, tar(file("x", "1"), directory("x/"), symlink("x", "y"), file("x", "4")))
    assert (root / "x").read_text() == "4"


def test_a_file_in_place_of_a_full_directory_is_refused(tmp_path: Path) -> None:
    assert "not empty" in refusal(tmp_path, tar(file("d/x"), file("d")))


def test_a_directory_replaced_by_a_link_takes_its_open_descriptor_along(tmp_path: Path, canary: Path) -> None:
    content = tar(directory("d/"), symlink("d", str(tmp_path)), file("d/canary", "overwritten"))
    assert "leads nowhere" in refusal(tmp_path, content)


def test_a_name_too_deep_or_too_long_is_refused(tmp_path: Path) -> None:
    assert "directories deep" in refusal(tmp_path, tar(file("d/" * 300 + "x")))


def test_a_name_with_a_part_too_long_is_refused(tmp_path: Path) -> None:
    assert "more than 255 bytes" in refusal(tmp_path, tar(file("n" * 256)))


def test_an_owner_that_cannot_be_is_refused(tmp_path: Path) -> None:
    assert "not a user that can exist" in refusal(tmp_path, tar(file("x", uid=1 << 33)))


def test_another_content_than_the_image_says_is_refused(tmp_path: Path) -> None:
    assert "but the image says" in refusal(tmp_path, tar(file("a")), packed=tar(file("b")))


def test_a_truncated_layer_is_refused(tmp_path: Path) -> None:
    content = tar(file("a", "x" * 5000))
    assert "truncated" in refusal(tmp_path, content, packed=content[:2000])


def test_a_truncated_compressed_layer_is_refused(tmp_path: Path) -> None:
    content = tar(file("a", os.urandom(50_000).hex()))
    assert "damaged" in refusal(tmp_path, content, packed=gzip.compress(content)[:-3000])


def test_junk_after_the_compressed_data_is_refused(tmp_path: Path) -> None:
    content = tar(file("a"))
    assert "damaged" in refusal(tmp_path, content, packed=gzip.compress(content) + b"junk")


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    header = raw_header(b"zeros", size=b"%011o\0" % (7 << 30))
    packed = gzip.compress(header + bytes(1 << 20))
    assert "far more than its size allows" in refusal(tmp_path, b"", packed=packed)


def test_a_zstd_window_of_gigabytes_is_refused(tmp_path: Path) -> None:
    packed = b"\x28\xb5\x2f\xfd" + bytes([0b00000100, 0xFF]) + bytes(64)
    assert "damaged" in refusal(tmp_path, b"", packed=packed)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (raw_header(b"x", size=b"\xff" * 12), "size of a header is negative"),
        (raw_header(b"x", size=b"\x80" + b"\xff" * 11), "claims a size"),
        (raw_header(b"x", size=b"%011o\0" % (1 << 30), kind=b"x"), "extended header of 1073741824 bytes"),
        (raw_header(b"x", size=b"%011o\0" % (1 << 30), kind=b"L"), "extended header of 1073741824 bytes"),
        (raw_header(b"x", kind=b"S"), "sparse"),
        (raw_header(b"x", kind=b"Q"), "unknown type"),
        (raw_header(b"x", size=b"not-a-numbe\0"), "not a number"),
        (raw_header(b"x", kind=b"x") * 20, "stacks more than 16"),
        (b"\x01" * 512, "not a number"),
        (raw_header(b""), "a name must have"),
    ],
)
def test_a_header_that_is_wrong_is_refused(tmp_path: Path, header: bytes, sentence: str) -> None:
    assert sentence in refusal(tmp_path, header + bytes(1024))


def test_a_path_in_an_extended_header_is_checked_as_any_other(tmp_path: Path, canary: Path) -> None:
    info, data = file("innocent")
    info.pax_headers = {"path": "../canary"}
    assert "contains '..'" in refusal(tmp_path, tar((info, data)))
