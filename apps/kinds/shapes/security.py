"""What a container and a pod may do on their node. Part of the description of the container and the pod."""

from apps.kinds import rules
from apps.kinds.schema import BOOLEAN, INTEGER64, STRING, Field, List, Struct

CAPABILITIES = Struct(
    "io.k8s.api.core.v1.Capabilities",
    {
        "add": Field(1, List(STRING)),
        "drop": Field(2, List(STRING)),
    },
)


SE_LINUX_OPTIONS = Struct(
    "io.k8s.api.core.v1.SELinuxOptions",
    {
        "user": Field(1, STRING),
        "role": Field(2, STRING),
        "type": Field(3, STRING),
        "level": Field(4, STRING),
    },
)


WINDOWS_SECURITY_CONTEXT_OPTIONS = Struct(
    "io.k8s.api.core.v1.WindowsSecurityContextOptions",
    {
        "gmsaCredentialSpecName": Field(1, STRING),
        "gmsaCredentialSpec": Field(2, STRING),
        "runAsUserName": Field(3, STRING),
        "hostProcess": Field(4, BOOLEAN),
    },
)


SECCOMP_PROFILE = Struct(
    "io.k8s.api.core.v1.SeccompProfile",
    {
        "type": Field(1, STRING, required=True, enum=("Localhost", "RuntimeDefault", "Unconfined")),
        "localhostProfile": Field(2, STRING),
    },
)


APP_ARMOR_PROFILE = Struct(
    "io.k8s.api.core.v1.AppArmorProfile",
    {
        "type": Field(1, STRING, required=True, enum=("Localhost", "RuntimeDefault", "Unconfined")),
        "localhostProfile": Field(2, STRING),
    },
)


SECURITY_CONTEXT = Struct(
    "io.k8s.api.core.v1.SecurityContext",
    {
        "capabilities": Field(1, CAPABILITIES),
        "privileged": Field(2, BOOLEAN),
        "seLinuxOptions": Field(3, SE_LINUX_OPTIONS, not_acted_on=True),
        "windowsOptions": Field(10, WINDOWS_SECURITY_CONTEXT_OPTIONS, not_acted_on=True),
        "runAsUser": Field(4, INTEGER64, check=rules.user_id),
        "runAsGroup": Field(8, INTEGER64, check=rules.user_id),
        "runAsNonRoot": Field(5, BOOLEAN),
        "readOnlyRootFilesystem": Field(6, BOOLEAN),
        "allowPrivilegeEscalation": Field(7, BOOLEAN),
        "procMount": Field(9, STRING, enum=("Default", "Unmasked"), not_acted_on=True),
        "seccompProfile": Field(11, SECCOMP_PROFILE),
        "appArmorProfile": Field(12, APP_ARMOR_PROFILE, not_acted_on=True),
    },
)


SYSCTL = Struct(
    "io.k8s.api.core.v1.Sysctl",
    {
        "name": Field(1, STRING, required=True),
        "value": Field(2, STRING),
    },
)


POD_SECURITY_CONTEXT = Struct(
    "io.k8s.api.core.v1.PodSecurityContext",
    {
        "seLinuxOptions": Field(1, SE_LINUX_OPTIONS, not_acted_on=True),
        "windowsOptions": Field(8, WINDOWS_SECURITY_CONTEXT_OPTIONS, not_acted_on=True),
        "runAsUser": Field(2, INTEGER64, check=rules.user_id),
        "runAsGroup": Field(6, INTEGER64, check=rules.user_id),
        "runAsNonRoot": Field(3, BOOLEAN),
        "supplementalGroups": Field(4, List(INTEGER64)),
        "supplementalGroupsPolicy": Field(12, STRING, enum=("Merge", "Strict"), not_acted_on=True),
        "fsGroup": Field(5, INTEGER64, check=rules.user_id),
        "sysctls": Field(7, List(SYSCTL)),
        "fsGroupChangePolicy": Field(9, STRING, enum=("OnRootMismatch", "Always"), not_acted_on=True),
        "seccompProfile": Field(10, SECCOMP_PROFILE),
        "appArmorProfile": Field(11, APP_ARMOR_PROFILE, not_acted_on=True),
        "seLinuxChangePolicy": Field(13, STRING, not_acted_on=True),
    },
)
