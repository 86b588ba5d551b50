"""How good a node is for a pod: each score 0 to 100, weighed and added. Called by `schedule.py`; pure."""

from collections.abc import Callable, Sequence

from apps.scheduling.logic.seen import NodeSeen, PodAsking

# A pod that names no request still takes something; without this, such pods would pile up on one node.
LEAST_CPU = 100
LEAST_MEMORY = 200 * 2**20
SMALLEST_IMAGE = 23 * 2**20
LARGEST_IMAGE = 1000 * 2**20

Score = Callable[[PodAsking, NodeSeen, Sequence[NodeSeen]], float]


def least_allocated(pod: PodAsking, node: NodeSeen, nodes: Sequence[NodeSeen]) -> float:
    """Prefer the node with most room left."""
    return 100 * (2 - sum(_fractions(pod, node))) / 2


def balanced_allocation(pod: PodAsking, node: NodeSeen, nodes: Sequence[NodeSeen]) -> float:
    """Prefer the node on which cpu and memory are used alike."""
    cpu, memory = _fractions(pod, node)
    return 100 * (1 - abs(cpu - memory) / 2)


def spread_by_owner(pod: PodAsking, node: NodeSeen, nodes: Sequence[NodeSeen]) -> float:
    """Prefer the node with the fewest pods of the same controller."""
    if not pod.owner:
        return 100
    most = max(other.owners.get(pod.owner, 0) for other in nodes)
    return 100 * (most - node.owners.get(pod.owner, 0)) / most if most else 100


def image_locality(pod: PodAsking, node: NodeSeen, nodes: Sequence[NodeSeen]) -> float:
    """Prefer the node that has the pod's images, if they are large."""
    size = sum(node.images.get(image, 0) for image in pod.images)
    largest = LARGEST_IMAGE * max(1, len(pod.images))
    return 100 * (min(max(size, SMALLEST_IMAGE), largest) - SMALLEST_IMAGE) / (largest - SMALLEST_IMAGE)


SCORES: tuple[tuple[Score, int], ...] = (
    (least_allocated, 1),
    (balanced_allocation, 1),
    (spread_by_owner, 2),
    (image_locality, 1),
)


def score(pod: PodAsking, node: NodeSeen, nodes: Sequence[NodeSeen]) -> int:
    """Return the node's score among `nodes`, all of which could take the pod."""
    return round(sum(weight * rate(pod, node, nodes) for rate, weight in SCORES))


def _fractions(pod: PodAsking, node: NodeSeen) -> tuple[float, float]:
    cpu = node.used.cpu + max(pod.requests.cpu, LEAST_CPU)
    memory = node.used.memory + max(pod.requests.memory, LEAST_MEMORY)
    return _fraction(cpu, node.allocatable.cpu), _fraction(memory, node.allocatable.memory)


def _fraction(used: int, of: int) -> float:
    return min(1.0, used / of) if of > 0 else 1.0
