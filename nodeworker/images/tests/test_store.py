"""The node's images: policies, one unpacking for many who ask, what survives a crash, what is collected."""

import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nodeworker.images import ImageError, ImageStore, Progress
from nodeworker.images import layers as layers_module
from nodeworker.images.layers import directory_name
from nodeworker.images.tests.api import StubApi
from nodeworker.images.tests.layers import directory, file, root_only, sha, tar

pytestmark = root_only
ONE, TWO = tar(directory("etc/"), file("etc/one", "1")), tar(file("two", "2"))
WEB = "docker.io/shop/web:1"


@pytest.fixture
def api() -> StubApi:
    return StubApi()


@pytest.fixture
def store(tmp_path: Path, api: StubApi) -> ImageStore:
    return ImageStore(tmp_path, api)


def layer_folders(home: Path) -> set[str]:
    return {path.name for path in (home / "layers").iterdir() if path.is_dir()}


def test_an_image_is_unpacked_and_its_uppermost_layer_comes_first(store: ImageStore, api: StubApi) -> None:
    api.add(WEB, ONE, TWO)
    ready = store.ensure("shop/web:1", "IfNotPresent")
    assert [sorted(each.name for each in path.iterdir()) for path in ready.lower_directories] == [["two"], ["etc"]]
    assert ready.config == {"config": {"Cmd": ["sh"]}} and ready.reference == WEB


def test_blobs_on_this_machine_are_not_fetched(tmp_path: Path, api: StubApi) -> None:
    blobs = tmp_path / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (blobs / sha(ONE).removeprefix("sha256:")).write_bytes(ONE)
    api.add(WEB, ONE)
    ImageStore(tmp_path / "node", api, tmp_path / "blobs").ensure(WEB, "IfNotPresent")
    assert api.asked == ["GET /rest/v1/images/resolve"]


def test_a_name_that_has_not_moved_is_not_asked_again_on_the_same_machine(tmp_path: Path, api: StubApi) -> None:
    (tmp_path / "blobs").mkdir()
    stamp = tmp_path / "blobs" / "names.stamp"
    stamp.touch()
    api.add(WEB, ONE)
    store = ImageStore(tmp_path / "node", api, tmp_path / "blobs")
    store.ensure(WEB, "IfNotPresent")
    asked = len(api.asked)
    store.ensure(WEB, "IfNotPresent")
    assert len(api.asked) == asked
    stamp.unlink()
    stamp.touch()
    newer = api.add(WEB, TWO)
    assert store.ensure(WEB, "IfNotPresent").digest == newer.digest


def test_always_asks_each_time(store: ImageStore, api: StubApi) -> None:
    api.add(WEB, ONE)
    store.ensure(WEB, "Always")
    newer = api.add(WEB, TWO)
    assert store.ensure(WEB, "Always").digest == newer.digest


def test_what_is_not_there_is_pulled_with_its_progress(store: ImageStore, api: StubApi) -> None:
    api.add(WEB, ONE, pull=True)
    seen: list[Progress] = []
    store.ensure(WEB, "IfNotPresent", seen.append)
    assert [step.status for step in seen][:1] == ["Pulling"] and seen[-1].status == "Unpacked"


def test_never_does_not_pull(store: ImageStore, api: StubApi) -> None:
    api.add(WEB, ONE, pull=True)
    with pytest.raises(ImageError, match=r"import it with \./gantry image import") as caught:
        store.ensure(WEB, "Never")
    assert caught.value.reason == "ErrImageNeverPull" and api.asked == ["GET /rest/v1/images/resolve"]


def test_a_name_that_is_none_is_told_as_such(store: ImageStore) -> None:
    with pytest.raises(ImageError, match="must be lowercase") as caught:
        store.ensure("Shop/Web", "Always")
    assert caught.value.reason == "InvalidImageName"


def test_the_sentence_of_a_failed_pull_is_passed_on(store: ImageStore, api: StubApi) -> None:
    api.refuse_pull = ("ErrImagePull", "pull access denied for shop/web")
    with pytest.raises(ImageError, match="pull access denied for shop/web") as caught:
        store.ensure(WEB, "IfNotPresent")
    assert caught.value.reason == "ErrImagePull"


def test_an_image_that_is_here_starts_while_the_api_is_away(store: ImageStore, api: StubApi) -> None:
    image = api.add(WEB, ONE)
    store.ensure(WEB, "Always")
    api.away = True
    assert store.ensure(WEB, "Always").digest == image.digest
    with pytest.raises(ImageError, match="could not be asked"):
        store.ensure("other", "IfNotPresent")


def test_a_digest_is_asked_for_once(store: ImageStore, api: StubApi) -> None:
    image = api.add(WEB, ONE)
    name = f"docker.io/shop/web@{image.digest}"
    api.images[name] = image
    store.ensure(name, "IfNotPresent")
    asked = len(api.asked)
    assert store.ensure(name, "IfNotPresent").digest == image.digest and len(api.asked) == asked


def test_many_who_ask_at_once_cause_one_unpacking(store: ImageStore, api: StubApi) -> None:
    api.add(WEB, ONE, TWO)
    with ThreadPoolExecutor(16) as pool:
        ready = list(pool.map(lambda _: store.ensure(WEB, "IfNotPresent"), range(16)))
    assert sum(each.startswith("GET /rest/v1/blobs/") for each in api.asked) == 2
    assert len({tuple(each.lower_directories) for each in ready}) == 1


def test_a_layer_shared_by_two_images_is_unpacked_once(store: ImageStore, api: StubApi, tmp_path: Path) -> None:
    api.add(WEB, ONE, TWO)
    api.add("docker.io/library/other:latest", ONE)
    store.ensure(WEB, "IfNotPresent")
    store.ensure("other", "IfNotPresent")
    assert layer_folders(tmp_path) == {directory_name(sha(ONE)), directory_name(sha(TWO))}


def test_a_transfer_that_breaks_off_is_continued(store: ImageStore, api: StubApi) -> None:
    api.add(WEB, ONE)
    api.break_after = 700
    assert store.ensure(WEB, "IfNotPresent").lower_directories
    assert api.asked.count(f"GET /rest/v1/blobs/{sha(ONE)}") == 2


def test_a_blob_with_another_content_is_refused_and_nothing_is_left(
    store: ImageStore, api: StubApi, tmp_path: Path
) -> None:
    api.add(WEB, ONE)
    api.blobs[sha(ONE)] = ONE[:-1] + b"x"
    with pytest.raises(ImageError, match="did not arrive as it should"):
        store.ensure(WEB, "IfNotPresent")
    assert layer_folders(tmp_path) == set() and store.images() == []
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_blob_that_is_longer_than_announced_is_refused(store: ImageStore, api: StubApi) -> None:
    api.add(WEB, ONE)
    api.blobs[sha(ONE)] = ONE + bytes(1 << 21)
    with pytest.raises(ImageError, match="is longer than"):
        store.ensure(WEB, "IfNotPresent")


def test_a_hostile_layer_leaves_nothing(store: ImageStore, api: StubApi, tmp_path: Path) -> None:
    api.add(WEB, ONE, tar(file("../x")))
    with pytest.raises(ImageError, match=r"shop/web:1: layer sha256:.*contains '\.\.'"):
        store.ensure(WEB, "IfNotPresent")
    assert layer_folders(tmp_path) <= {directory_name(sha(ONE))}
    assert store.local(WEB) is None


def test_images_are_there_again_after_a_restart(store: ImageStore, api: StubApi, tmp_path: Path) -> None:
    api.add(WEB, ONE)
    before = store.ensure(WEB, "IfNotPresent")
    again = ImageStore(tmp_path, StubApi(away=True))
    assert again.local(WEB) == before
    assert again.images() == [{"names": [f"docker.io/shop/web@{before.digest}", WEB], "sizeBytes": len(ONE)}]


def test_a_layer_that_no_sync_reached_does_not_survive_a_reboot(
    store: ImageStore, api: StubApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers_module.Layers, "sync", lambda _: None)
    api.add(WEB, ONE)
    store.ensure(WEB, "IfNotPresent")
    monkeypatch.setattr(layers_module, "boot_id", lambda: "another boot")
    assert ImageStore(tmp_path, api).local(WEB) is None
    assert layer_folders(tmp_path) == set()


def test_a_synced_layer_survives_a_reboot(
    store: ImageStore, api: StubApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.add(WEB, ONE)
    store.ensure(WEB, "IfNotPresent")
    store._layers.sync()
    monkeypatch.setattr(layers_module, "boot_id", lambda: "another boot")
    assert ImageStore(tmp_path, api).local(WEB) is not None


def test_nobody_else_may_look_into_the_layers(store: ImageStore, tmp_path: Path) -> None:
    assert (tmp_path / "layers").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "images").stat().st_mode & 0o777 == 0o700


def test_an_image_that_lost_its_name_is_collected_and_shared_layers_stay(
    store: ImageStore, api: StubApi, tmp_path: Path
) -> None:
    old = api.add(WEB, ONE, TWO)
    store.ensure(WEB, "IfNotPresent")
    new = api.add(WEB, ONE)
    store.ensure(WEB, "IfNotPresent")
    assert store.collect_garbage({new.digest}, min_age=0) == [old.digest]
    assert layer_folders(tmp_path) == {directory_name(sha(ONE))}
    assert store.local(WEB) is not None


def test_an_image_in_use_or_just_asked_for_is_not_collected(store: ImageStore, api: StubApi) -> None:
    old = api.add(WEB, ONE)
    store.ensure(WEB, "IfNotPresent")
    api.add(WEB, TWO)
    store.ensure(WEB, "IfNotPresent")
    assert store.collect_garbage({old.digest}, min_age=0) == []
    assert store.collect_garbage(set()) == []


def test_a_named_image_is_collected_only_when_the_disk_fills_up(
    store: ImageStore, api: StubApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = api.add(WEB, ONE)
    store.ensure(WEB, "IfNotPresent")
    monkeypatch.setattr(store, "_disk_above", lambda _: False)
    assert store.collect_garbage(set(), min_age=0) == []
    monkeypatch.setattr(store, "_disk_above", lambda _: True)
    assert store.collect_garbage(set(), min_age=0) == [image.digest]
    assert store.local(WEB) is None and store.images() == []


_KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from nodeworker.images import ImageStore
from nodeworker.images.tests.api import StubApi
from nodeworker.images.tests.layers import file, tar
api = StubApi()
api.add("docker.io/shop/web:1", tar(*[file(f"f{n}", "x" * 20000) for n in range(3000)]))
store = ImageStore(Path(sys.argv[2]), api)
print("begins", flush=True)
store.ensure("shop/web:1", "IfNotPresent")
print("done", flush=True)
"""


@pytest.mark.parametrize("milliseconds", [0, 60, 120, 180, 240])
def test_kill_9_leaves_no_half_layer(tmp_path: Path, milliseconds: int) -> None:
    project = str(Path(__file__).resolve().parents[3])
    process = subprocess.Popen([sys.executable, "-c", _KILLED, project, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"begins\n"
    killer = threading.Timer(milliseconds / 1000, process.send_signal, [signal.SIGKILL])
    killer.start()
    process.wait()
    killer.cancel()
    process.stdout.close()
    api = StubApi()
    store = ImageStore(tmp_path, api)
    assert not any(name.startswith("partial") for name in layer_folders(tmp_path))
    ready = store.local(WEB)
    for path in ready.lower_directories if ready else []:
        assert len(list(path.iterdir())) == 3000


@pytest.mark.skipif(shutil.which("mount") is None, reason="needs mount")
def test_a_full_disk_is_a_sentence_and_the_next_try_succeeds(tmp_path: Path, api: StubApi) -> None:
    api.add(WEB, tar(file("big", "x" * (6 << 20))))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)], check=False)
    if mounted.returncode != 0:
        pytest.skip("cannot mount a tmpfs here")
    try:
        store = ImageStore(tmp_path, api)
        with pytest.raises(ImageError, match="is full"):
            store.ensure(WEB, "IfNotPresent")
        assert layer_folders(tmp_path) == set()
        subprocess.run(["mount", "-o", "remount,size=32m", str(tmp_path)], check=True)
        assert store.ensure(WEB, "IfNotPresent").lower_directories
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
