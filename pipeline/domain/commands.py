"""What people are told to type, whole: as it stands it acts on the model type that the sentence is about."""


def reconcile_command(model_type: str) -> str:
    """Brings replicas and registry to what the transition log says."""
    return f"`python -m pipeline reconcile --model-type {model_type}`"
