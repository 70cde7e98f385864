"""Writes the client for asyncio from the one that blocks: the same calls, with ``await`` where that waits.

    python write_async.py           writes src/glyphmill/_async.py
    python write_async.py --check   fails unless that is what stands there
"""

import pathlib
import re
import sys

folder = pathlib.Path(__file__).parent / "src" / "glyphmill"

renamed = ("Job", "Jobs", "Batch", "Batches", "Uploads", "Runner", "OCRClient")


def to_async(source: str) -> str:
    text = source.replace('"""The client that blocks."""', '"""The client for asyncio. Written by write_async.py from _sync.py."""')
    # The event is the same in both.
    text = re.sub(r"class JobEvent\(NamedTuple\):.*?\n\n\n", "", text, flags=re.DOTALL)
    text = text.replace(" NamedTuple,", "").replace("from ._run import Runner", "from ._run_async import Runner\nfrom ._sync import JobEvent")
    for name in renamed:
        text = re.sub(rf"(?<![.\w\"]){name}\b(?!\")", f"Async{name}", text)
    text = text.replace("Iterator", "AsyncIterator").replace("httpx.Client", "httpx.AsyncClient")
    text = re.sub(r"    def (?!__init__|_job|_batch|update|list|pages|items|results|events)(\w+)\(", r"    async def \1(", text)
    text = re.sub(r"    def events(\(self, job_id.*?\n(?:.*\n){2}.*yield)", r"    async def events\1", text)
    text = text.replace("def __enter__", "def __aenter__").replace("def __exit__", "def __aexit__")
    text = re.sub(r"(self\._runner\.run\()", r"await \1", text)
    text = re.sub(r"return (self\._ask\()", r"return await \1", text)
    text = re.sub(r"(return )?(self\._(?:jobs|batches)\.(?:wait|result|text|page|get|cancel|retry|delete|retry_failed)\()", r"\1await \2", text)
    text = re.sub(r"\bfor (\w+) in (self\._runner\.iterate)", r"async for \1 in \2", text)
    text = text.replace("self._client.close()", "await self._client.aclose()").replace("        self.close()", "        await self.close()")
    return text.replace("``with`` closes", "``async with`` closes")


wanted = to_async((folder / "_sync.py").read_text())
target = folder / "_async.py"
if "--check" in sys.argv:
    sys.exit(0 if target.read_text() == wanted else f"{target} is not what write_async.py writes")
target.write_text(wanted)
