"""An export of a workflow behind FastAPI, as one would write it.

python exported.py PORT FOLDER
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

PORT, FOLDER = int(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(FOLDER))
flow = import_module(next(FOLDER.glob("*.py")).stem).flow
app = FastAPI()


class Asked(BaseModel):
    """What a request brings."""

    question: str


@app.post("/run")
async def run(asked: Asked) -> dict[str, Any]:
    """One request."""
    return {"outputs": await flow(asked.question)}


uvicorn.run(app, host="127.0.0.1", port=PORT, access_log=False, log_level="error")
