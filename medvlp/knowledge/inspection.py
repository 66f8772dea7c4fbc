"""The content of a knowledge bundle as text and pictures: sizes, degrees, the commonest entities, and the neighbourhood of a concept."""

import difflib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medvlp.errors import KnowledgeError
from medvlp.knowledge.bundle import KnowledgeBundle
from medvlp.knowledge.dropped import describe_dropped

NEIGHBOURS = 12
"""Maximum number of neighbours in a picture."""
_Places = dict[int, tuple[float, float]]
"""Position of every drawn entity; the one in the middle comes first."""
_FURTHER = 3
"""Maximum number of further neighbours drawn for each neighbour."""
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")
_LONGEST_LABEL = 26


@dataclass(frozen=True, slots=True, order=True)
class Neighbour:
    """An entity that shares a triple with another one."""

    relation: str
    outgoing: bool
    """Whether the triple starts at the inspected entity."""
    entity: int


def describe(bundle: KnowledgeBundle, commonest: int = 20) -> str:
    """Return sizes, relations, semantic types, degrees, the commonest entities and the commonest dropped concepts, as lines of text."""
    provenance = bundle.provenance
    degrees = entity_degrees(bundle)
    relations = Counter(bundle.relations[relation] for relation in bundle.triples[:, 1].tolist())
    types = Counter(entity.semantic_type or "(none)" for entity in bundle.entities)
    lines = [
        f"knowledge {bundle.fingerprint}: ontology {provenance.ontology} ({provenance.ontology_fingerprint}), linker {provenance.linker}, "
        f"at least {provenance.minimum_count} mentions",
        f"  {len(bundle.entities)} entities, {len(bundle.triples)} triples, vectors of {bundle.vectors.shape[1]}, "
        f"{sum(1 + len(entity.synonyms) for entity in bundle.entities)} names",
        "  relations: " + ", ".join(f"{name} {count}" for name, count in relations.most_common()),
        "  semantic types: " + ", ".join(f"{name} {count}" for name, count in types.most_common()),
        f"  triples of an entity: mean {sum(degrees) / len(degrees):.1f}, median {sorted(degrees)[len(degrees) // 2]}, most {max(degrees)}",
        *(f"    {label:>9}  {count:6d}  {'█' * math.ceil(40 * count / len(degrees))}" for label, count in degree_distribution(degrees)),
        "  commonest:",
    ]
    ranked = sorted(range(len(bundle.entities)), key=lambda index: (-bundle.entities[index].count, index))[:commonest]
    for index in ranked:
        entity = bundle.entities[index]
        lines.append(f"    {entity.count:8d}  {entity.concept}  {entity.name}  ({degrees[index]} triples)")
    return "\n".join([*lines, *describe_dropped(bundle.dropped[:commonest])])


def describe_entity(bundle: KnowledgeBundle, entity: int) -> str:
    """Return names and neighbours of one entity, and the entities with the nearest vectors, as lines of text."""
    found = bundle.entities[entity]
    lines = [f"{found.concept}  {found.name}  [{found.semantic_type}], {found.count} mentions"]
    if found.synonyms:
        lines.append("  also: " + ", ".join(found.synonyms))
    for neighbour in neighbours(bundle, entity):
        other = bundle.entities[neighbour.entity]
        arrow = f"──{neighbour.relation}──▶" if neighbour.outgoing else f"◀──{neighbour.relation}──"
        lines.append(f"  {arrow} {other.concept}  {other.name}, {other.count} mentions")
    lines.append("  nearest vectors: " + ", ".join(bundle.entities[index].name for index in nearest(bundle, entity)))
    return "\n".join(lines)


def find_entity(bundle: KnowledgeBundle, name: str) -> int:
    """Return the entity with this concept identifier, name or synonym, ignoring case.

    Raises:
        KnowledgeError: there is none; the message lists the nearest names.
    """
    names: dict[str, int] = {}
    for index, entity in enumerate(bundle.entities):
        for known in (entity.concept, entity.name, *entity.synonyms):
            names.setdefault(known.casefold(), index)
    # A preferred name takes precedence over a synonym of an earlier entity.
    names |= {entity.name.casefold(): index for index, entity in reversed(list(enumerate(bundle.entities)))}
    if (found := names.get(name.casefold())) is not None:
        return found
    near = difflib.get_close_matches(name.casefold(), names, n=3)
    raise KnowledgeError(f"the bundle has no entity named {name!r}" + (f"; the nearest names are {', '.join(near)}" if near else ""))


def entity_degrees(bundle: KnowledgeBundle) -> list[int]:
    """Return the number of triples of each entity; one that joins an entity to itself counts twice."""
    counts: list[int] = torch.bincount(bundle.triples[:, [0, 2]].flatten(), minlength=len(bundle.entities)).tolist()
    return counts


def degree_distribution(degrees: Sequence[int]) -> list[tuple[str, int]]:
    """Return how many entities have 0, 1, 2, 3-4, 5-8, 9-16 … triples; empty classes in between are included."""
    classes = Counter(max(degree - 1, 0).bit_length() + (degree > 0) for degree in degrees)
    return [(_class_name(index), classes[index]) for index in range(min(classes), max(classes) + 1)]


def _class_name(index: int) -> str:
    if index <= 2:
        return str(index)
    return f"{2 ** (index - 2) + 1}-{2 ** (index - 1)}"


def neighbours(bundle: KnowledgeBundle, entity: int) -> list[Neighbour]:
    """Return the entities that share a triple with ``entity``: each relation and direction once, within a relation the commonest first."""
    found = set()
    for head, relation, tail in bundle.triples[(bundle.triples[:, [0, 2]] == entity).any(1)].tolist():
        found.add(Neighbour(bundle.relations[relation], head == entity, tail if head == entity else head))
    return sorted(found, key=lambda each: (each.relation, not each.outgoing, -bundle.entities[each.entity].count, each.entity))


def nearest(bundle: KnowledgeBundle, entity: int, number: int = 5) -> list[int]:
    """Return the entities whose vectors have the largest cosine with that of ``entity``, nearest first."""
    cosines = torch.nn.functional.cosine_similarity(bundle.vectors, bundle.vectors[entity : entity + 1])
    cosines[entity] = -2.0
    indices: list[int] = cosines.topk(min(number, len(bundle.entities) - 1)).indices.tolist()
    return indices


def draw_neighbourhood(bundle: KnowledgeBundle, entity: int) -> Figure:
    """Draw an entity in the middle, its commonest neighbours around it, and some of their neighbours around these.

    A line is a triple and points from head to tail; a colour is a semantic type; a dot's area grows with the number of mentions.
    """
    near = sorted({each.entity for each in neighbours(bundle, entity)} - {entity}, key=lambda each: -bundle.entities[each].count)
    chosen, hidden = near[:NEIGHBOURS], near[NEIGHBOURS:]
    places = {entity: (0.0, 0.0)}
    for index, each in enumerate(chosen):
        places[each] = _on_circle(1.0, index / len(chosen))
    inner = dict(places)
    for index, each in enumerate(chosen):
        further = [other for other in dict.fromkeys(n.entity for n in neighbours(bundle, each)) if other not in {*places, *near}][:_FURTHER]
        for offset, other in enumerate(further):
            spread = (offset - (len(further) - 1) / 2) * 0.8 / _FURTHER
            places[other] = _on_circle(1.75, (index + spread) / len(chosen))
    types = sorted({bundle.entities[each].semantic_type for each in places})
    colours = {name: _COLOURS[min(index, len(_COLOURS) - 1)] for index, name in enumerate(types)}
    figure = Figure(figsize=(11, 9), layout="constrained")
    axis = figure.subplots()
    _draw_triples(axis, bundle, places, inner)
    _draw_entities(axis, bundle, places, inner, colours)
    more = f"; {len(hidden)} rarer neighbours are not drawn" if hidden else ""
    axis.set_title(f"{bundle.entities[entity].name} ({bundle.entities[entity].concept}) in {bundle.provenance.ontology}{more}", fontsize=11)
    for name, colour in colours.items():
        axis.scatter([], [], color=colour, label=name or "(no type)")
    axis.legend(loc="lower right", fontsize=8, frameon=False)
    axis.set(xlim=(-2.5, 2.5), ylim=(-2.05, 2.05))
    axis.axis("off")
    return figure


def _on_circle(radius: float, turn: float) -> tuple[float, float]:
    return radius * math.cos(2 * math.pi * turn), radius * math.sin(2 * math.pi * turn)


def _draw_triples(axis: Axes, bundle: KnowledgeBundle, places: _Places, inner: _Places) -> None:
    relations: dict[tuple[int, int], list[str]] = {}
    for head, relation, tail in bundle.triples.tolist():
        if head in places and tail in places and head != tail and (head in inner or tail in inner):
            relations.setdefault((head, tail), []).append(bundle.relations[relation])
    middle = next(iter(places))
    for (head, tail), names in relations.items():
        start, end = places[head], places[tail]
        style = {"arrowstyle": "-|>", "color": "#777777", "lw": 0.9, "shrinkA": 7, "shrinkB": 7}
        faint = head not in inner or tail not in inner
        axis.annotate("", xy=end, xytext=start, arrowprops={**style, "alpha": 0.35 if faint else 0.9}, zorder=1)
        if middle in (head, tail):
            outer = end if head == middle else start
            label = ", ".join(sorted(set(names)))
            axis.text(0.55 * outer[0], 0.55 * outer[1], label, fontsize=7, color="#555555", ha="center", va="center",
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6}, zorder=2)  # fmt: skip


def _draw_entities(axis: Axes, bundle: KnowledgeBundle, places: _Places, inner: _Places, colours: dict[str, str]) -> None:
    for each, (x, y) in places.items():
        entity = bundle.entities[each]
        area = 20 + 12 * math.sqrt(entity.count)
        axis.scatter([x], [y], s=min(area, 500), color=colours[entity.semantic_type], edgecolor="white", linewidth=0.8, zorder=3)
        label = entity.name if len(entity.name) <= _LONGEST_LABEL else entity.name[: _LONGEST_LABEL - 1] + "…"
        # Labels are outside their dot, away from the middle, so that they cover no line; the label of the middle is below its dot.
        side, shift = ("center", 0.0) if (x, y) == (0.0, 0.0) else ("left", 0.07) if x >= 0 else ("right", -0.07)
        near = each in inner
        axis.text(x + shift, y + (0.05 if y > 0 else -0.05) - 0.1 * (side == "center"), label, ha=side, va="center", zorder=4,
                  fontsize=8.5 if near else 6.5, color="black" if near else "#555555",
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.75})  # fmt: skip
