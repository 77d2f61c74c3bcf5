"""LangChain: two branches side by side, and a third prompt that weighs them."""

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import PromptTemplate
from langchain_core.runnables import RunnableParallel
from langchain_openai import ChatOpenAI

import flowbot as fb

FOR = fb.Param("for", "List the advantages in one line.")
AGAINST = fb.Param("against", "List the drawbacks in one line.")
WEIGH = fb.Param("weigh", "Weigh both lines and decide in one sentence.")


def decide(plan):
    llm = ChatOpenAI(model="gpt-4.1", max_retries=0)
    good = PromptTemplate.from_template(f"{FOR}\n\n{{plan}}") | llm | StrOutputParser()
    bad = PromptTemplate.from_template(f"{AGAINST}\n\n{{plan}}") | llm | StrOutputParser()
    both = RunnableParallel(good=good, bad=bad)
    last = PromptTemplate.from_template(f"{WEIGH}\nFor: {{good}}\nAgainst: {{bad}}") | llm | StrOutputParser()
    return (both | last).invoke({"plan": plan})
