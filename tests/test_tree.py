"""Nested structures."""

from collections import OrderedDict, namedtuple

import pytest

from cornu import tree

Point = namedtuple("Point", "x y")


def test_leaves_of_a_dict_come_by_sorted_key_of_an_ordered_dict_in_its_order():
    assert tree.flatten({"b": 2, "a": (1, [3])}) == [1, 3, 2]
    assert tree.flatten(OrderedDict(b=2, a=1)) == [2, 1]
    assert tree.flatten(None) == [None]
    assert tree.flatten([None, ()]) == [None]


@pytest.mark.parametrize(
    "structure", [1, [1, (2, 3)], {"b": [1], "a": {"c": 2}}, Point(1, [2]), OrderedDict(b=1, a=2)]
)
def test_pack_is_the_inverse_of_flatten(structure):
    packed = tree.pack_sequence_as(structure, tree.flatten(structure))
    assert packed == structure
    assert type(packed) is type(structure)


def test_paths():
    assert tree.flatten_with_path({"a": (1, [2])}) == [(("a", 0), 1), (("a", 1, 0), 2)]


def test_map_keeps_the_order_of_keys():
    assert list(tree.map_structure(lambda x: x, {"b": 1, "a": 2})) == ["b", "a"]
    assert tree.map_structure(lambda a, b: a + b, [1, (2,)], [3, (4,)]) == [4, (6,)]


@pytest.mark.parametrize(
    ("a", "b"), [([1, 2], (1, 2)), ([1, 2], [1]), ({"a": 1}, {"b": 1}), ([1, 2], [1, [2]])]
)
def test_structures_that_differ_are_refused(a, b):
    with pytest.raises(ValueError):
        tree.assert_same_structure(a, b)
    with pytest.raises(ValueError):
        tree.map_structure(lambda x, y: x, a, b)


def test_map_up_to_passes_parts():
    pairs = tree.map_structure_up_to([1, 2], lambda x, y: (x, y), [1, 2], [[1], [2, 3]])
    assert pairs == [(1, [1]), (2, [2, 3])]


def test_shapes_are_leaves_of_shape_structures():
    mapped = tree.map_shape_structure(len, {"a": (1, None), "b": [(2, 3), [4, 5, 6]]})
    assert mapped == {"a": 2, "b": [2, 3]}


def test_traverse():
    def replace(node):
        return tree.MAP_TO_NONE if node == 1 else None

    assert tree.traverse(replace, [1, 2, (3,)]) == [None, 2, (3,)]
    assert tree.lists_to_tuples([1, [2, {"a": [1]}]]) == (1, (2, {"a": (1,)}))
