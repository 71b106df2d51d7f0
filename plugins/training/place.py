"""On which nodes a training pod may run: spot ones while a retry remains, with the GPUs that were asked for."""

from kubernetes.client import (
    V1Affinity,
    V1NodeAffinity,
    V1NodeSelector,
    V1NodeSelectorRequirement,
    V1NodeSelectorTerm,
    V1PodSpec,
)

from pipeline.bootstrap.settings_at_start import TrainingPod

# By who makes the nodes: label, its value on spot nodes, and on the others; without a value, those lack the label.
_CAPACITY = {
    "karpenter": ("karpenter.sh/capacity-type", "spot", "on-demand"),
    "gke": ("cloud.google.com/gke-spot", "true", ""),
    "eks": ("eks.amazonaws.com/capacityType", "SPOT", "ON_DEMAND"),
    "plain": ("retraining/capacity", "spot", "on-demand"),
}
# Of a T4; on EKS and plain nodes NVIDIA's GPU feature discovery sets it.
_T4 = {
    "karpenter": "karpenter.k8s.aws/instance-gpu-name=t4",
    "gke": "cloud.google.com/gke-accelerator=nvidia-tesla-t4",
    "eks": "nvidia.com/gpu.product=Tesla-T4",
    "plain": "nvidia.com/gpu.product=Tesla-T4",
}


def put(spec: V1PodSpec, pod: TrainingPod, *, last_try: bool) -> None:
    """The last try is the one that has to end: nobody takes its node away."""
    label, spot, lasting = _CAPACITY[pod.nodes.value]
    chosen = dict([_gpu_label(pod)]) if pod.gpus else {}
    if not last_try:
        chosen[label] = spot
    elif lasting:
        chosen[label] = lasting
    else:
        spec.affinity = _without(label)
    spec.node_selector = chosen


def _gpu_label(pod: TrainingPod) -> tuple[str, str]:
    key, _, value = (pod.gpu_label or _T4[pod.nodes.value]).partition("=")
    return key, value


def _without(label: str) -> V1Affinity:
    missing = V1NodeSelectorRequirement(key=label, operator="DoesNotExist")
    terms = [V1NodeSelectorTerm(match_expressions=[missing])]
    return V1Affinity(
        node_affinity=V1NodeAffinity(
            required_during_scheduling_ignored_during_execution=V1NodeSelector(node_selector_terms=terms)
        )
    )
