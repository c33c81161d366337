"""A finished film of a persona that says a script, or of recorded speech: faster than it plays, resumable.

In: a `FilmRequest` with names as a person gives them. Out: an MP4, and captions where asked for. Imports
engines by name, the face, the persona's file and the ground; no conversation. Start at `render_film`:

    asyncio.run(render_film(FilmRequest(output=Path("hello.mp4"), text="Hello.")))

`film_request` resolves the names, `speech_track` makes the speech and the face's controls of each frame,
`output` the files; `previews` shows what a replica's face can do.
"""
