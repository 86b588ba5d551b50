"""The volumes of a pod. Part of the description of the pod."""

from apps.kinds import rules
from apps.kinds.schema import BOOLEAN, INTEGER, INTEGER64, QUANTITY, STRING, Field, List, Map, Struct
from apps.kinds.shapes.references import LOCAL_OBJECT_REFERENCE

HOST_PATH_VOLUME_SOURCE = Struct(
    "io.k8s.api.core.v1.HostPathVolumeSource",
    {
        "path": Field(1, STRING, required=True, check=rules.path_without_parents),
        "type": Field(
            2,
            STRING,
            enum=("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"),
        ),
    },
)


EMPTY_DIR_VOLUME_SOURCE = Struct(
    "io.k8s.api.core.v1.EmptyDirVolumeSource",
    {
        "medium": Field(1, STRING, enum=("", "Memory")),
        "sizeLimit": Field(2, QUANTITY),
    },
)


KEY_TO_PATH = Struct(
    "io.k8s.api.core.v1.KeyToPath",
    {
        "key": Field(1, STRING, required=True, check=rules.config_key),
        "path": Field(2, STRING, required=True, check=rules.relative_path),
        "mode": Field(3, INTEGER, check=rules.file_mode),
    },
)


SECRET_VOLUME_SOURCE = Struct(
    "io.k8s.api.core.v1.SecretVolumeSource",
    {
        "secretName": Field(1, STRING, required=True),
        "items": Field(2, List(KEY_TO_PATH)),
        "defaultMode": Field(3, INTEGER, check=rules.file_mode, default=0o644),
        "optional": Field(4, BOOLEAN),
    },
)


NFS_VOLUME_SOURCE = Struct(
    "io.k8s.api.core.v1.NFSVolumeSource",
    {
        "server": Field(1, STRING, required=True),
        "path": Field(2, STRING, required=True, check=rules.absolute_path),
        "readOnly": Field(3, BOOLEAN),
    },
)


PERSISTENT_VOLUME_CLAIM_VOLUME_SOURCE = Struct(
    "io.k8s.api.core.v1.PersistentVolumeClaimVolumeSource",
    {
        "claimName": Field(1, STRING, required=True),
        "readOnly": Field(2, BOOLEAN),
    },
)


OBJECT_FIELD_SELECTOR = Struct(
    "io.k8s.api.core.v1.ObjectFieldSelector",
    {
        "apiVersion": Field(1, STRING, default="v1"),
        "fieldPath": Field(2, STRING, required=True),
    },
)


RESOURCE_FIELD_SELECTOR = Struct(
    "io.k8s.api.core.v1.ResourceFieldSelector",
    {
        "containerName": Field(1, STRING),
        "resource": Field(2, STRING, required=True),
        "divisor": Field(3, QUANTITY, default="0"),
    },
)


DOWNWARD_API_VOLUME_FILE = Struct(
    "io.k8s.api.core.v1.DownwardAPIVolumeFile",
    {
        "path": Field(1, STRING, required=True, check=rules.relative_path),
        "fieldRef": Field(2, OBJECT_FIELD_SELECTOR),
        "resourceFieldRef": Field(3, RESOURCE_FIELD_SELECTOR),
        "mode": Field(4, INTEGER, check=rules.file_mode),
    },
)


DOWNWARD_API_VOLUME_SOURCE = Struct(
    "io.k8s.api.core.v1.DownwardAPIVolumeSource",
    {
        "items": Field(1, List(DOWNWARD_API_VOLUME_FILE)),
        "defaultMode": Field(2, INTEGER, check=rules.file_mode, default=0o644),
    },
)


CONFIG_MAP_VOLUME_SOURCE = Struct(
    "io.k8s.api.core.v1.ConfigMapVolumeSource",
    {
        "name": Field((1, 1), STRING, required=True),
        "items": Field(2, List(KEY_TO_PATH)),
        "defaultMode": Field(3, INTEGER, check=rules.file_mode, default=0o644),
        "optional": Field(4, BOOLEAN),
    },
)


SECRET_PROJECTION = Struct(
    "io.k8s.api.core.v1.SecretProjection",
    {
        "name": Field((1, 1), STRING, required=True),
        "items": Field(2, List(KEY_TO_PATH)),
        "optional": Field(4, BOOLEAN),
    },
)


DOWNWARD_API_PROJECTION = Struct(
    "io.k8s.api.core.v1.DownwardAPIProjection",
    {
        "items": Field(1, List(DOWNWARD_API_VOLUME_FILE)),
    },
)


CONFIG_MAP_PROJECTION = Struct(
    "io.k8s.api.core.v1.ConfigMapProjection",
    {
        "name": Field((1, 1), STRING, required=True),
        "items": Field(2, List(KEY_TO_PATH)),
        "optional": Field(4, BOOLEAN),
    },
)


SERVICE_ACCOUNT_TOKEN_PROJECTION = Struct(
    "io.k8s.api.core.v1.ServiceAccountTokenProjection",
    {
        "audience": Field(1, STRING),
        "expirationSeconds": Field(2, INTEGER64, default=3600),
        "path": Field(3, STRING, required=True, check=rules.relative_path),
    },
)


VOLUME_PROJECTION = Struct(
    "io.k8s.api.core.v1.VolumeProjection",
    {
        "secret": Field(1, SECRET_PROJECTION),
        "downwardAPI": Field(2, DOWNWARD_API_PROJECTION),
        "configMap": Field(3, CONFIG_MAP_PROJECTION),
        "serviceAccountToken": Field(4, SERVICE_ACCOUNT_TOKEN_PROJECTION, not_acted_on=True),
    },
)


PROJECTED_VOLUME_SOURCE = Struct(
    "io.k8s.api.core.v1.ProjectedVolumeSource",
    {
        "sources": Field(1, List(VOLUME_PROJECTION)),
        "defaultMode": Field(2, INTEGER, check=rules.file_mode, default=0o644),
    },
)


CSI_VOLUME_SOURCE = Struct(
    "io.k8s.api.core.v1.CSIVolumeSource",
    {
        "driver": Field(1, STRING, required=True),
        "readOnly": Field(2, BOOLEAN),
        "fsType": Field(3, STRING),
        "volumeAttributes": Field(4, Map(STRING)),
        "nodePublishSecretRef": Field(5, LOCAL_OBJECT_REFERENCE),
    },
)


IMAGE_VOLUME_SOURCE = Struct(
    "io.k8s.api.core.v1.ImageVolumeSource",
    {
        "reference": Field(1, STRING),
        "pullPolicy": Field(2, STRING, enum=("Always", "IfNotPresent", "Never")),
    },
)


VOLUME = Struct(
    "io.k8s.api.core.v1.Volume",
    {
        "name": Field(1, STRING, required=True, check=rules.dns_label),
        "hostPath": Field((2, 1), HOST_PATH_VOLUME_SOURCE, not_acted_on=True),
        "emptyDir": Field((2, 2), EMPTY_DIR_VOLUME_SOURCE),
        "secret": Field((2, 6), SECRET_VOLUME_SOURCE),
        "nfs": Field((2, 7), NFS_VOLUME_SOURCE, not_acted_on=True),
        "persistentVolumeClaim": Field((2, 10), PERSISTENT_VOLUME_CLAIM_VOLUME_SOURCE, not_acted_on=True),
        "downwardAPI": Field((2, 16), DOWNWARD_API_VOLUME_SOURCE),
        "configMap": Field((2, 19), CONFIG_MAP_VOLUME_SOURCE),
        "projected": Field((2, 26), PROJECTED_VOLUME_SOURCE),
        "csi": Field((2, 28), CSI_VOLUME_SOURCE, not_acted_on=True),
        "image": Field((2, 30), IMAGE_VOLUME_SOURCE, not_acted_on=True),
    },
)
