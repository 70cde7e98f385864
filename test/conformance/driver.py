"""The cases done with the client for Python: ``driver.py sync`` or ``driver.py async``, assignments in, outcomes out."""

import asyncio
import io
import json
import os
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from glyphmill import AsyncOCRClient, OCRClient, ProblemError
from glyphmill._decode import encode

CASES_AT_ONCE = 16


def snake(name):
    return re.sub(r"[A-Z]", lambda match: "_" + match.group(0).lower(), name)


def keywords(options):
    """Keyword arguments of what the wire calls so; names of the caller's own, as in metadata, stay."""
    nested = ("options", "webhook", "manifest", "prefix")
    return {
        snake(name): {snake(key): item for key, item in value.items()} if name in nested and isinstance(value, dict) else value
        for name, value in options.items()
    }


def look_up(kept, path):
    value = kept
    for name in path.split("."):
        if isinstance(value, list):
            value = value[int(name)] if int(name) < len(value) else None
        else:
            value = (value or {}).get(name)
    return value


def filled(value, kept):
    """With what earlier steps gave in the places that ask for it."""
    if isinstance(value, str):
        match = re.fullmatch(r"\$(\w+(?:\.\w+)*)", value)
        return value if match is None else look_up(kept, match.group(1))
    if isinstance(value, dict):
        return {name: filled(item, kept) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, kept) for item in value]
    return value


def to_document(given):
    ((kind, value),) = given.items()
    if kind == "bytes":
        return value.encode()
    if kind == "filler":
        return b"x" * value
    if kind == "path":
        with tempfile.NamedTemporaryFile(dir=os.environ["DOCUMENTS"], delete=False) as file:
            file.write(value.encode())
        return file.name
    if kind in ("stream", "file"):
        return io.BytesIO(value.encode())
    if kind == "picture":
        import numpy

        return numpy.zeros((value["height"], value["width"], 3), dtype="uint8")
    return value


def plain(value):
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(item) for name, item in value._asdict().items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return encode(value)


def describe(error):
    told = {"name": type(error).__name__, "message": repr(error)}
    if isinstance(error, ProblemError):
        told["code"] = error.code
    if hasattr(error, "status"):
        told["status"] = error.status
    return told


def call_of(client, step):
    """The call that a step asks for: of the client that blocks its value, of the other one something to await."""
    operation, options = step["do"], keywords(step.get("options", {}))
    if operation in ("models", "limits"):
        return getattr(client, operation)()
    if operation == "recognize":
        return client.recognize(to_document(step["input"]), **options)
    if operation == "uploads.create":
        return client.uploads.create(**{"content_type": "image/png", "size_bytes": 10, **options})
    if operation == "uploads.send":
        return client.uploads.send(to_document(step["input"]))
    if operation == "webhooks.unwrap":
        hook = step["webhook"]
        return client.webhooks.unwrap(hook["body"], hook["headers"], hook["secret"], now=hook["nowMs"] / 1000)
    if operation == "jobs.create":
        return client.jobs.create(to_document(step["input"]), **options)
    if operation == "batches.create":
        items = step.get("items")
        if items is not None:
            items = [
                {"source": to_document(item["input"]), **keywords({k: v for k, v in item.items() if k != "input"})}
                for item in items
            ]
        return client.batches.create(items, **options)
    if "timeout_ms" in options:
        options["timeout"] = options.pop("timeout_ms") / 1000
    group, name = operation.split(".")
    arguments = [step["id"]] if "id" in step else []
    if "number" in step:
        arguments.append(step["number"])
    return getattr(getattr(client, group), snake(name))(*arguments, **options)


def options_of(assignment):
    client = assignment["client"]
    options = {}
    if "timeoutMs" in client:
        options["timeout"] = client["timeoutMs"] / 1000
    if "maxRetries" in client:
        options["max_retries"] = client["maxRetries"]
    return options


def run_sync(assignment):
    kept, value = {}, None
    try:
        for step in assignment["steps"]:
            key = assignment["keys"][step.get("key", "owner")]
            with OCRClient(assignment["baseUrl"], key, **options_of(assignment)) as client:
                value = call_of(client, filled(step, kept))
                value = plain(list(value) if hasattr(value, "__next__") else value)
            if "as" in step:
                kept[step["as"]] = value
    except Exception as error:
        return {"kept": kept, "error": describe(error)}
    return {"kept": kept, "value": value}


async def run_async(assignment):
    kept, value = {}, None
    try:
        for step in assignment["steps"]:
            key = assignment["keys"][step.get("key", "owner")]
            async with AsyncOCRClient(assignment["baseUrl"], key, **options_of(assignment)) as client:
                value = call_of(client, filled(step, kept))
                if hasattr(value, "__aiter__"):
                    value = [item async for item in value]
                elif hasattr(value, "__await__"):
                    value = await value
                value = plain(value)
            if "as" in step:
                kept[step["as"]] = value
    except Exception as error:
        return {"kept": kept, "error": describe(error)}
    return {"kept": kept, "value": value}


async def run_all_async(assignments):
    slots = asyncio.Semaphore(CASES_AT_ONCE)

    async def one(assignment):
        async with slots:
            return await run_async(assignment)

    return await asyncio.gather(*map(one, assignments))


def main():
    assignments = json.load(sys.stdin)
    if sys.argv[1] == "async":
        outcomes = asyncio.run(run_all_async(assignments))
    else:
        with ThreadPoolExecutor(CASES_AT_ONCE) as pool:
            outcomes = list(pool.map(run_sync, assignments))
    json.dump(outcomes, sys.stdout)


main()
