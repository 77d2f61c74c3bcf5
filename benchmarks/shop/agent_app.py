"""The agent as a program of FlowBot's: its texts are `fb.Param`s, and nothing else changes."""

from agent import TEXTS, build
from langchain_openai import ChatOpenAI

import flowbot as fb

PARAMS = {name: fb.Param(name, text) for name, text in TEXTS.items()}


def text(name: str) -> str:
    return str(PARAMS[name])


agent = build(text, ChatOpenAI(model="gpt-4.1-mini", api_key="none", temperature=0, max_tokens=60))
