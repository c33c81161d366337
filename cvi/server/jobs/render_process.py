"""The process that renders one film: `python -m cvi.server.jobs.render_process`; its pipe is `child`'s."""

from __future__ import annotations

import asyncio

from cvi.rendering.film_request import FilmRequest
from cvi.rendering.render_film import forget_old_films, render_film
from cvi.server.jobs.child import Report, serve_child


def render(request: FilmRequest, report: Report) -> None:
    """Render the film. Raises CviError. What is drawn is kept when the process is killed."""
    forget_old_films()
    asyncio.run(render_film(request, report.progress))


if __name__ == "__main__":
    serve_child(FilmRequest, render)
