"""What images there are: typed rows beside the blobs, which are the truth about their content.

Written by `catalog.py` only; read by the REST views, the admin and the console.
"""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Source(models.TextChoices):
    """Where a name got its image. What was imported or built here is current by definition.

    Only what was pulled is asked for again.
    """

    IMPORTED = "imported", _("Imported")
    PULLED = "pulled", _("Pulled")
    BUILT = "built", _("Built")


class Layer(models.Model):
    """One blob that unpacks to a directory: `digest` names the blob as it is stored, `diff_id` what it unpacks to."""

    digest = models.CharField(_("digest"), max_length=71, unique=True)
    diff_id = models.CharField(_("diff id"), max_length=71, db_index=True)
    size = models.BigIntegerField(_("size"))
    media_type = models.CharField(_("media type"), max_length=255)

    class Meta:
        verbose_name = _("layer")
        verbose_name_plural = _("layers")

    def __str__(self) -> str:
        return self.digest


class Image(models.Model):
    """One image, known by the digest of its manifest; it may have any number of names, or none."""

    digest = models.CharField(_("digest"), max_length=71, unique=True)
    config_digest = models.CharField(_("config digest"), max_length=71, db_index=True)
    media_type = models.CharField(_("media type"), max_length=255)
    size = models.BigIntegerField(_("size"))
    created = models.DateTimeField(_("created"), null=True)
    architecture = models.CharField(_("architecture"), max_length=64)
    operating_system = models.CharField(_("operating system"), max_length=64)
    source = models.CharField(_("source"), max_length=16, choices=Source.choices)
    recorded = models.DateTimeField(_("recorded"), auto_now_add=True)
    layers: "models.ManyToManyField[Layer, ImageLayer]" = models.ManyToManyField(
        Layer, through="ImageLayer", related_name="images"
    )

    class Meta:
        verbose_name = _("image")
        verbose_name_plural = _("images")
        ordering = ["-recorded"]

    def __str__(self) -> str:
        names = [name.reference for name in self.names.all()]
        return ", ".join(names) or self.digest


class ImageName(models.Model):
    """A name with a tag, in its full form (docker.io/library/nginx:latest). It points to one image at a time."""

    reference = models.CharField(_("reference"), max_length=512, unique=True)
    image = models.ForeignKey(Image, verbose_name=_("image"), on_delete=models.CASCADE, related_name="names")
    source = models.CharField(_("source"), max_length=16, choices=Source.choices)
    moved = models.DateTimeField(_("moved"), auto_now=True)

    class Meta:
        verbose_name = _("image name")
        verbose_name_plural = _("image names")
        ordering = ["reference"]

    def __str__(self) -> str:
        return self.reference


class ImageLayer(models.Model):
    """The order of an image's layers; position 0 is the lowest. The same layer may occur twice."""

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="image_layers")
    layer = models.ForeignKey(Layer, on_delete=models.PROTECT, related_name="image_layers")
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["image", "position"], name="image_layer_position")]

    def __str__(self) -> str:
        return f"{self.position}: {self.layer.digest}"


class NodeImage(models.Model):
    """An image that a node reports to have unpacked (Node.status.images). The node is a name.

    Apps.nodes lies above this app.
    """

    node = models.CharField(_("node"), max_length=253, db_index=True)
    image = models.ForeignKey(Image, verbose_name=_("image"), on_delete=models.CASCADE, related_name="on_nodes")

    class Meta:
        verbose_name = _("image on a node")
        verbose_name_plural = _("images on nodes")
        constraints = [models.UniqueConstraint(fields=["node", "image"], name="node_image_once")]

    def __str__(self) -> str:
        return f"{self.node}: {self.image}"
