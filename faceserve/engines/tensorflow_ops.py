"""What the graph of a TensorFlow SavedModel may do: calculate, and nothing else.

An operation may write files, print into them, read others or call back into Python, and every release has new ones. So
those that a network for images needs are named, and whatever is not named is refused.
"""

from collections.abc import Iterable, Iterator
from typing import Any

_ARITHMETIC = """
    Abs Add AddN AddV2 ArgMax ArgMin BatchMatMulV2 BiasAdd Ceil ClipByValue Cumsum Div DivNoNan Einsum Erf
    Erfc Exp Expm1 Floor FloorDiv FloorMod Inv L2Loss Log Log1p MatMul Max Maximum Mean Min Minimum Mul
    MulNoNan Neg Pow Prod RealDiv Reciprocal Round Rsqrt Sign Sqrt Square SquaredDifference Sub Sum TopKV2
    TruncateDiv
"""
_LAYERS = """
    AvgPool AvgPool3D Conv2D Conv2DBackpropInput Conv3D DepthwiseConv2dNative Elu FusedBatchNormV3 LRN
    LeakyRelu LogSoftmax MaxPool Relu Relu6 ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor Selu
    Sigmoid Softmax Softplus Softsign Tanh
"""
_SHAPES = """
    BatchToSpaceND BroadcastArgs BroadcastTo Cast ConcatV2 Const DepthToSpace DynamicStitch EnsureShape
    ExpandDims Fill GatherNd GatherV2 Identity IdentityN MirrorPad NoOp OneHot OnesLike Pack Pad PadV2
    Placeholder PlaceholderWithDefault PreventGradient Range Rank Reshape ReverseV2 Select SelectV2 Shape
    ShapeN Size Slice SpaceToBatchND SpaceToDepth Split SplitV Squeeze StopGradient StridedSlice Tile
    Transpose Unpack Where ZerosLike
"""
_COMPARISONS = """
    All Any Equal Greater GreaterEqual IsFinite IsInf IsNan Less LessEqual LogicalAnd LogicalNot LogicalOr
    NotEqual
"""
# They keep weights, or call functions whose operations are looked at as well.
_KEEPING = """
    AssignVariableOp DisableCopyOnRead ReadVariableOp StatefulPartitionedCall VarHandleOp VarIsInitializedOp
"""
STATEFUL = frozenset(_KEEPING.split())
CALCULATING = frozenset(f"{_ARITHMETIC} {_LAYERS} {_SHAPES} {_COMPARISONS} PartitionedCall".split()) | STATEFUL
# Every SavedModel brings two functions that save and restore its weights; loading it calls neither.
_OF_THE_SAVER = frozenset(
    ["MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename", "StaticRegexFullMatch", "StringJoin"]
)


def beyond_calculating(saved_model: Any) -> list[str]:
    """Operations of a `SavedModel` message that are not allowed, by name. Raises `ValueError` for an odd file."""
    if len(saved_model.meta_graphs) != 1 or not saved_model.meta_graphs[0].object_graph_def.nodes:
        raise ValueError("the SavedModel is not one graph of TensorFlow 2")
    graph = saved_model.meta_graphs[0]
    functions = {function.signature.name: list(function.node_def) for function in graph.graph_def.library.function}
    saver = _saver_nodes(graph)
    others = [node for node in graph.graph_def.node if node.name not in saver]
    called = _reached(_called(others, functions) | set(graph.object_graph_def.concrete_functions), functions)
    uncalled = _reached(_called((n for n in graph.graph_def.node if n.name in saver), functions), functions) - called
    found = _done_by(graph.graph_def.node, functions) - CALCULATING
    for name, nodes in functions.items():
        found |= _done_by(nodes, functions) - (CALCULATING | _OF_THE_SAVER if name in uncalled else CALCULATING)
    return sorted(found)


def _done_by(nodes: Iterable[Any], functions: dict[str, list[Any]]) -> set[str]:
    """Names of operations, and of called functions that are not in this graph."""
    return {name for node in nodes for name in (node.op, *(set(_in_attributes(node)) - functions.keys() - {""}))}


def _saver_nodes(graph: Any) -> set[str]:
    """The nodes of the graph that would save and restore, if anybody ran it."""
    saver = graph.saver_def
    return {name.partition(":")[0] for name in (saver.save_tensor_name, saver.restore_op_name)} - {""}


def _called(nodes: Iterable[Any], functions: dict[str, list[Any]]) -> set[str]:
    """Functions that these nodes call themselves; a node whose operation is a function is not allowed anyway."""
    return {name for node in nodes for name in _in_attributes(node)} & functions.keys()


def _in_attributes(node: Any) -> Iterator[str]:
    for value in node.attr.values():
        yield value.func.name
        yield from (function.name for function in value.list.func)


def _reached(begun: set[str], functions: dict[str, list[Any]]) -> set[str]:
    """All functions that are called when these are."""
    found, new = set(begun), set(begun)
    while new:
        nodes = (node for name in new for node in functions.get(name, ()))
        new = _called(nodes, functions) - found
        found |= new
    return found
