"""What is wrong with pools that the types cannot say: pools that lead to themselves, targets that stand there twice."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from llmgw.config.faults import Place
from llmgw.config.models import Model, Target


def is_pool(use: str, models: Container[str], providers: Container[str]) -> bool:
    """Whether a target names another model of the file. What begins with a provider's name is that provider's model,
    also where a model of the file is called the same: `openai/gpt-4o: {targets: [openai/gpt-4o]}` gives it settings."""
    return use in models and use.partition("/")[0] not in providers


def uses(model: Model) -> list[str]:
    """What its targets name."""
    return [target.use if isinstance(target, Target) else target for target in model.targets]


def cycles(models: Mapping[str, Model], providers: Container[str]) -> Iterator[tuple[Place, str]]:
    """Each way from a pool back to itself, told once, at the target that closes it."""
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> Iterator[tuple[Place, str]]:
        for n, use in enumerate(uses(models[name])):
            if not is_pool(use, models, providers):
                continue
            if use in path or use == name:
                way = (*path, name)
                ring = " -> ".join((*way[way.index(use) :], use))
                yield ("models", name, "targets", n), f"leads back to {use!r}: {ring}."
            elif use not in done:
                yield from walk(use, (*path, name))
        done.add(name)

    for name in models:
        if name not in done:
            yield from walk(name, ())


def repeated(models: Mapping[str, Model]) -> Iterator[tuple[Place, str]]:
    """Targets that stand in a pool twice: the second has no effect."""
    for name, model in models.items():
        found = uses(model)
        for n, use in enumerate(found):
            if use in found[:n]:
                yield ("models", name, "targets", n), f"names {use!r} again, which has no effect."
