"""Settings of the test run: a home of its own under the temporary directory, nothing shared with a running instance."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("GANTRY_HOME", tempfile.mkdtemp(prefix="gantry-test-"))
if os.environ.get("GANTRY_TEST_DATABASE_URL"):  # the same tests on PostgreSQL
    os.environ["GANTRY_DATABASE_URL"] = os.environ["GANTRY_TEST_DATABASE_URL"]

from dashboard.settings.base import *  # noqa: F403
from dashboard.settings.base import DATABASES, GANTRY_HOME

for folder in ("secrets", "pki", "run/hints", "blobs/sha256", "node"):
    (Path(GANTRY_HOME) / folder).mkdir(parents=True, exist_ok=True)

DEBUG = False
SECRET_KEY = "only-for-tests"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", "testserver"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# A file, not memory: the writer thread and the read pool each have a connection of their own.
if "sqlite" in DATABASES["default"]["ENGINE"]:
    DATABASES["default"]["TEST"] = {"NAME": str(Path(GANTRY_HOME) / "test.sqlite3")}
