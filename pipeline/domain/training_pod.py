"""What a training in Kubernetes asks the cluster for (specification §7: 2 × T4, 8 processors, 16 GB)."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from pipeline.domain.bounds import AtLeastOne, Positive, Range

MAX_GPUS = 16


class Nodes(Enum):
    """Who makes the nodes: that decides the labels of spot nodes and of nodes with a T4."""

    KARPENTER = "karpenter"
    GKE = "gke"
    EKS = "eks"
    PLAIN = "plain"


@dataclass(frozen=True)
class TrainingPod:
    """Size and place of the pod; what every pod has in common is in `include/k8s/train-pod.yaml`."""

    gpus: Annotated[int, Range(at_least=0, at_most=MAX_GPUS)] = 2
    """GPUs that a training pod asks for; finding fewer, it fails at once. 0: it trains on its processors."""
    cpus: Positive = 8.0
    """Processors that a training pod asks for."""
    memory_gb: AtLeastOne = 16
    """Memory of a training pod, in GiB; beyond it, it is killed."""
    nodes: Nodes = Nodes.KARPENTER
    """Who makes the cluster's nodes: decides the labels by which a training pod finds spot nodes and GPUs of the kind
    T4. `plain`: nodes labelled by hand, `retraining/capacity=spot` or `on-demand`."""
    gpu_label: str = ""
    """Label of nodes with the GPUs wanted, as `key=value`; empty: that of a T4."""

    def __post_init__(self) -> None:
        key, _, value = self.gpu_label.partition("=")
        if self.gpu_label and not (key and value):
            raise ValueError(f"need a label as key=value, not {self.gpu_label!r}")
