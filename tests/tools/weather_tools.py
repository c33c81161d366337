"""Functions that a persona's file names as tools."""

import asyncio


def weather(city: str) -> dict[str, str]:
    return {"weather": f"rain in {city}"}


async def slow(city: str) -> str:
    await asyncio.sleep(3600)
    return city


def broken(city: str) -> str:
    raise KeyError(city)


def odd(city: str) -> object:
    return object()
