"""Read the settings file: YAML and command-line overrides into the typed model."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from pydantic import ValidationError

from schemas.errors import ConfigError
from schemas.settings import Settings, Strict
from schemas.settings.layout import Tree
from tasks.configuration.problems import arranged, check_plain_values, in_words, lifted
from tasks.storage.aws import use_block
from tasks.storage.lake import S3_SCHEME

# Below this key a null in an override removes the key; in the file null means the defaults.
MODELS = "models."
BUCKET_PART = S3_SCHEME.rstrip("/")
# Keys whose value is a number or a mapping: a mapping in an override replaces the file's number.
_NUMBER_OR_MAPPING = {"quality.max_quarantined_share"}
_NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_DEEPEST = 50
_MOST_VALUES = 100_000
_LARGEST_FILE = 1 << 20
_OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)


@dataclass(frozen=True)
class LoadedSettings:
    """The settings of a run.

    Attributes:
        settings: the effective settings.
        warnings: old spellings that were accepted, and settings without effect; one sentence or two each.
    """

    settings: Settings
    warnings: tuple[str, ...] = ()


def load_settings(path: Path, overrides: Sequence[str] = (), cwd: Path | None = None) -> Settings:
    """Read and check a settings file like :func:`read_settings`, without its warnings."""
    return read_settings(path, overrides, cwd).settings


def read_settings(
    path: Path,
    overrides: Sequence[str] = (),
    cwd: Path | None = None,
    checks: Sequence[Callable[[Mapping[str, Any]], list[str]]] = (),
) -> LoadedSettings:
    """Read a settings file and check it as a whole.

    This process then calls AWS with the credentials that the settings name.

    Relative paths in the file are relative to the file's folder, those in overrides to the working
    directory; all are returned as absolute paths (``s3://`` addresses as they are), so that the effective
    settings do not depend on where a command is started.

    Args:
        path: the YAML file; also ``s3://bucket/key``, then relative paths in it are in the same bucket.
        overrides: ``key.path=value`` texts; the value is YAML, a mapping is merged into the file's, and
            null removes a model: with ``models.arima=null`` no ARIMA is fitted.
        cwd: working directory; the process's own if None.
        checks: further checks of the values; each returns one line per problem.

    Raises:
        ConfigError: the file is missing or is not a YAML mapping, an override is malformed, or values are
            wrong; all wrong values are listed, each with its key, what is expected and what was found.
    """
    here = (cwd or Path.cwd()).absolute()
    in_bucket = _is_in_bucket(path)
    file = path if in_bucket else here / path.expanduser()
    tree = _with_absolute_paths(_read_from_bucket(path) if in_bucket else _read_yaml(file), file.parent)
    tree.setdefault("storage", _absolute(Settings.model_fields["storage"].default, file.parent))
    changes = [(override, _with_absolute_paths(parse_override(override), here)) for override in overrides]
    tree, warnings, problems = complete_tree(Settings, tree, str(file), changes)
    tree, found = check_plain_values(Settings, tree)
    problems += found
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        problems += in_words(Settings, tree, error)
    problems += [problem for check in checks for problem in check(tree)]
    if problems:
        raise _wrong(file, problems)
    use_block(settings.credentials_block)
    return LoadedSettings(settings, tuple(warnings))


def complete_tree(
    root: type[Strict], tree: Tree, where: str, overrides: Sequence[tuple[str, Tree]]
) -> tuple[Tree, list[str], list[str]]:
    """Bring keys to their current names and places, merge overrides, and lift expert settings.

    Args:
        root: the model of the whole file.
        tree: keys and values of the file.
        where: the file's name in warnings.
        overrides: each override as written and as a tree, in the order in which they apply.

    Returns:
        The tree in the shape of the model, warnings and problems.

    Raises:
        ConfigError: an override sets a key below a single value.
    """
    tree, warnings, problems = arranged(root, tree, where)
    for override, given in overrides:
        change, more_warnings, more_problems = arranged(root, given, f"--set {override}")
        warnings += more_warnings
        problems += more_problems
        _merge(tree, change, override)
    tree, more_warnings, more_problems = lifted(root, tree)
    return tree, warnings + more_warnings, problems + more_problems


class _UniqueKeyLoader(yaml.SafeLoader):
    """Rejects a key that occurs twice in one mapping; YAML would silently keep the last one.

    Numbers with colons (190:20:30) and with a leading zero (007) are text: YAML 1.1 would read the first in base 60 and
    the second in base 8.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build one mapping."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' occurs twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_UniqueKeyLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NUMBER_TAGS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_UniqueKeyLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0b[01_]+)$"),
    list("-+0123456789"),
)
_UniqueKeyLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


def _loaded(text: str) -> Any:
    """Load YAML text.

    Raises:
        yaml.YAMLError: the text is not valid YAML, or nested too deeply.
        ValueError: a value cannot be represented, such as a date that does not exist.
    """
    depth = 0
    for token in yaml.scan(text, Loader=_UniqueKeyLoader):
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > _DEEPEST:
            raise yaml.scanner.ScannerError(None, None, f"more than {_DEEPEST} levels of nesting", token.start_mark)
    content = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506
    _check_size(content)
    return content


def _check_size(content: object) -> None:
    """Check that aliases (``*name``) do not make the content endless or huge."""
    level, seen = [content], 0
    for _ in range(_DEEPEST + 1):
        level = [
            item
            for value in level
            if isinstance(value, (dict, list))
            for item in (value.values() if isinstance(value, dict) else value)
        ]
        seen += len(level)
        if not level:
            return
        if seen > _MOST_VALUES:
            break
    raise yaml.constructor.ConstructorError(None, None, f"aliases (*name) give more than {_MOST_VALUES:,} values")


def _read_yaml(file: Path) -> Tree:
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise ConfigError(f"The settings file {file} is larger than {_LARGEST_FILE:,} bytes. Expected YAML text.")
        content = _loaded(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(
            f"The settings file {file} does not exist. Give its path with --settings (in a form: settings_file), or "
            "let `restock init FOLDER` propose one for your exported files."
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"The settings file {file} cannot be read: {error}. Expected YAML text in UTF-8.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"The settings file {file} is not valid YAML: {_where(error)}. Correct that line.") from None
    if not isinstance(content, dict):
        raise ConfigError(f"The settings file {file} contains no settings. Expected YAML lines such as 'name: shoes'.")
    return {str(key): value for key, value in content.items()}


def _is_in_bucket(path: Path) -> bool:
    """Whether a path is an ``s3://`` address; :class:`pathlib.Path` keeps one of its slashes."""
    return path.parts[:1] == (BUCKET_PART,)


def _read_from_bucket(path: Path) -> Tree:
    from tasks.storage.s3 import download_matching

    address = _absolute(str(path), path.parent)
    with TemporaryDirectory() as folder:
        found = download_matching(address, Path(folder))
        if address not in found:
            raise ConfigError(f"The settings file {address} does not exist. Correct the address, or upload the file.")
        return _read_yaml(found[address])


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error).splitlines()[0]
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem


def parse_override(override: str) -> Tree:
    """``a.b=value`` as {"a": {"b": value}}.

    Raises:
        ConfigError: the text is not ``key.path=value``, or the value is not valid YAML.
    """
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(
            f"--set {override}: expected key.path=value, for example inventory.lead_time=2 "
            "(in a form: overrides, one per line)."
        )
    try:
        value = _loaded(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(
            f"--set {override}: the value is not valid YAML ({_where(error)}). Quote text with special characters."
        ) from None
    tree: Any = value
    for part in reversed(parts):
        tree = {part: tree}
    return dict(tree)


def _merge(base: Tree, extra: Mapping[str, Any], override: str, path: str = "") -> None:
    for key, value in extra.items():
        at = f"{path}{key}"
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value, override, f"{at}.")
        elif isinstance(value, dict) and base.get(key) is not None and at not in _NUMBER_OR_MAPPING:
            raise ConfigError(
                f"--set {override}: {at} is {base[key]!r} in the settings file, a value without keys. "
                f"Replace {at} as a whole: --set {at}=..."
            )
        elif value is None and path == MODELS:
            base.pop(key, None)
        else:
            base[key] = value


def _with_absolute_paths(tree: Tree, folder: Path) -> Tree:
    """The tree with every path made absolute; values that are not text are left for the checks."""
    result = dict(tree)
    if isinstance(result.get("storage"), str):
        result["storage"] = _absolute(result["storage"], folder)
    challenger = result.get("challenger")
    if isinstance(challenger, dict) and isinstance(challenger.get("settings"), dict):
        challenger = {**challenger, "settings": _with_absolute_paths(challenger["settings"], folder)}
    if isinstance(challenger, dict) and isinstance(challenger.get("lake"), str):
        challenger = {**challenger, "lake": _absolute(challenger["lake"], folder)}
    if challenger is not None:
        result |= {"challenger": challenger}
    for group, key in (("models", "weights"), ("sources", "path")):
        if isinstance(result.get(group), dict):
            result[group] = {name: _with_absolute(part, key, folder) for name, part in result[group].items()}
    return result


def _with_absolute(part: object, key: str, folder: Path) -> object:
    """A part of the tree with an absolute path under a key; unchanged if it has no text there."""
    if isinstance(part, dict) and isinstance(part.get(key), str):
        return {**part, key: _absolute(part[key], folder)}
    return part


def _absolute(address: str, folder: Path) -> str:
    if address.startswith(S3_SCHEME):
        return address
    path = Path(address) if _is_in_bucket(Path(address)) else folder / Path(address).expanduser()
    absolute = os.path.normpath(path)
    return f"{S3_SCHEME}{absolute[len(BUCKET_PART) + 1 :]}" if _is_in_bucket(path) else absolute


def _wrong(file: Path, problems: Sequence[str]) -> ConfigError:
    lines = "".join(f"\n  - {problem}" for problem in problems)
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return ConfigError(f"The settings ({file}, with overrides from --set or a form if any) have {count}:{lines}")
