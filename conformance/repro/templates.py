"""The templates in ``reports/``, and those that a backend has of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from conformance import content
from conformance.content import ContentError


def rendered(name: str, *folders: Path, **values: Any) -> str:
    """A template's text, without spaces at the ends of lines.

    It is looked for in ``folders`` first, then in the suite's ``reports``.

    Raises:
        ContentError: a template is wrong; it names file and line.
    """
    paths = [*folders, content.root("reports")]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(paths),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        text = environment.get_template(name).render(values)
    except jinja2.TemplateSyntaxError as error:
        file = Path(error.filename or paths[-1] / name)
        raise ContentError(f"not a template: {error.message}", file, error.lineno) from None
    except jinja2.UndefinedError as error:
        file = next(path / name for path in paths if (path / name).is_file())
        raise ContentError(f"not a template: {error.message}", file) from None
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"
