"""The tables of the store: present objects, the log of revisions, and the indexes that selectors and owners need.

Written by `transaction` in raw SQL; read by `read`, `log`, the admin and whoever likes the ORM. Times are milliseconds
since 1970 in UTC, so that a row needs no parsing on the hot path; `Stored` and `Change` give them as datetimes.
"""

from django.db import models

from apps.store.guard import GuardedModel


class Object(GuardedModel):
    """One object as it is now. `body` is its JSON with the revision inside; Secrets are encrypted."""

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=63)
    namespace = models.CharField(max_length=63, blank=True)
    name = models.CharField(max_length=253)
    uid = models.CharField(max_length=36, unique=True)
    revision = models.BigIntegerField()
    generation = models.BigIntegerField(default=0)
    created = models.BigIntegerField()
    deletion_time = models.BigIntegerField(null=True, blank=True)
    body = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "namespace", "name"], name="object_key")]

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}".replace(" /", " ")


class Revision(GuardedModel):
    """One change, numbered without holes in commit order. The previous labels and fields tell who left a selector."""

    number = models.BigIntegerField(primary_key=True)
    verb = models.CharField(max_length=8)
    kind = models.CharField(max_length=63)
    namespace = models.CharField(max_length=63, blank=True)
    name = models.CharField(max_length=253)
    uid = models.CharField(max_length=36)
    time = models.BigIntegerField()
    actor = models.CharField(max_length=253, blank=True)
    cause = models.BigIntegerField(null=True, blank=True)
    request = models.CharField(max_length=64, blank=True)
    previous = models.BigIntegerField(null=True, blank=True)
    labels = models.TextField(blank=True)
    fields = models.TextField(blank=True)
    previous_labels = models.TextField(blank=True)
    previous_fields = models.TextField(blank=True)
    body = models.BinaryField()

    class Meta:
        indexes = [models.Index(fields=["kind", "namespace", "name"], name="revision_key")]

    def __str__(self) -> str:
        return f"{self.number} {self.verb} {self.kind} {self.namespace}/{self.name}"


class Label(GuardedModel):
    """A label of an object, or (`field`) one of the fields that its kind lets people select by."""

    id = models.BigAutoField(primary_key=True)
    object = models.ForeignKey(Object, on_delete=models.DO_NOTHING, db_constraint=False, related_name="labels")
    kind = models.CharField(max_length=63)
    field = models.BooleanField(default=False)
    key = models.CharField(max_length=317)
    value = models.CharField(max_length=253, blank=True)

    class Meta:
        indexes = [models.Index(fields=["kind", "field", "key", "value", "object"], name="label_look_up")]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class Owner(GuardedModel):
    """An owner reference of an object."""

    id = models.BigAutoField(primary_key=True)
    object = models.ForeignKey(Object, on_delete=models.DO_NOTHING, db_constraint=False, related_name="owners")
    kind = models.CharField(max_length=63)
    owner_uid = models.CharField(max_length=36)
    controller = models.BooleanField(default=False)
    blocking = models.BooleanField(default=False)

    class Meta:
        indexes = [models.Index(fields=["owner_uid", "kind"], name="owner_look_up")]

    def __str__(self) -> str:
        return f"{self.kind} owned by {self.owner_uid}"


class Counter(GuardedModel):
    """A number that a plan can be checked against.

    `revision` is the cluster's revision, `compacted` and `compacted-hot` how far the log is gone (see `compaction`),
    `children/<uid>` moves with the set of objects that name that owner as their controller, `bound/<node>` with the set
    of pods bound to that node.
    """

    name = models.CharField(max_length=270, primary_key=True)
    value = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


class Cursor(GuardedModel):
    """How far a tailer has handled the log."""

    name = models.CharField(max_length=63, primary_key=True)
    revision = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.name} at {self.revision}"


class Delay(GuardedModel):
    """A key to look at again at a later time; the earliest time wins."""

    id = models.BigAutoField(primary_key=True)
    queue = models.CharField(max_length=63)
    key = models.CharField(max_length=320)
    due = models.BigIntegerField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["queue", "key"], name="delay_key")]

    def __str__(self) -> str:
        return f"{self.queue}: {self.key}"
