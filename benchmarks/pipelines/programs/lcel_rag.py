"""LangChain's expression language: rephrase, retrieve, answer, in one chain."""

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_openai import ChatOpenAI

import flowbot as fb

REPHRASE = fb.Param("rephrase", "Rephrase the question as keywords.")
RULES = fb.Param("rules", "Answer from the context only.")
NOTES = {
    "ferry": "The last ferry to Skarv leaves Mork quay at 21:40 on weekdays.",
    "museum": "The whaling museum is closed on Mondays and all of January.",
}


@fb.step(kind="tool")
def retrieve(query):
    return [text for word, text in NOTES.items() if word in query.lower()]


def answer(question):
    llm = ChatOpenAI(model="gpt-4.1-mini", temperature=0, max_retries=0)
    ask = ChatPromptTemplate.from_messages([("system", "{rephrase}"), ("human", "{question}")])
    tell = ChatPromptTemplate.from_messages(
        [("system", "{rules}"), ("human", "Context: {context}\nQuestion: {question}")]
    )
    chain = (
        RunnablePassthrough.assign(query=ask | llm | StrOutputParser())
        .assign(context=RunnableLambda(lambda found: "\n".join(retrieve(found["query"]))))
        .pipe(tell)
        .pipe(llm)
        .pipe(StrOutputParser())
    )
    return chain.invoke({"question": question, "rephrase": str(REPHRASE), "rules": str(RULES)})
