"""Runs as a page: one self-contained HTML file, and the same figures as JSON.

In: folders and `cvi.bench.run.Run`s. Out: `report.html` and `report.json`. `analysis` computes what is
said, `timeline` lays out turns, and `page` draws charts (matplotlib) and fills the template `page.html`
(Jinja2). Both packages belong to the extra `bench` and are imported when a page is made. Start reading in
`page`.
"""
