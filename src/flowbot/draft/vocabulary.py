"""The words by which people name columns and ask for answers: what is wanted, what is given, and what is neither."""

from __future__ import annotations


def _listed(*lines: str) -> tuple[str, ...]:
    return tuple(part.strip() for line in lines for part in line.split(",") if part.strip())


ANSWERS = _listed(
    "expected output, expected answer, expected response, expected, ground truth, groundtruth, gold answer, gold label",
    "gold, ideal, correct answer, reference answer, final answer, label text, label name, answer, answers, target, targets",
    "target text, output, outputs, label, labels, chosen, reference, completion, response, reply, result, y",
)
"""Names of what is wanted, the surest first: the first that a file has is the output."""
MARKS = frozenset(_listed("expected, gold, target, correct, true"))
"""First words of what is wanted: `expected total`."""
FACTS = frozenset(
    _listed(
        "sql, category, categories, class, classes, intent, intents, sentiment, urgency, priority, topic, topics, tag, tags",
        "emotion, stance, toxicity, toxic, spam, is spam, rating, stars, grade, summary, translation, solution, verdict",
        "decision, entities, keywords, severity, department, team, queue, language",
    )
)
"""Names of what is wanted where none of `ANSWERS` is there: all that a file has are outputs."""
GIVEN = frozenset(
    _listed(
        "question, query, text, input, inputs, prompt, instruction, problem, email, mail, message, messages, body, content",
        "context, contexts, passage, passages, document, documents, article, review, comment, sentence, premise, hypothesis",
        "claim, title, subject, description, ticket, utterance, dialogue, dialog, conversation, history, transcript, tweet",
        "post, note, request, functions, tools, schema, database, db, choices, options, diff, abstract, paragraph",
        "paragraphs, snippet, user message, user input, puzzle, headline",
    )
)
"""Names of what is given."""
TELLING = frozenset(
    _listed(
        "rationale, explanation, explanations, reasoning, thought, thoughts, cot, steps, references, evidence, supporting",
        "proof, hint, gold, expected, feedback, score, scores, confidence, correct, rejected, prediction, predictions",
        "predicted, suggestion, suggestions",
    )
)
"""Words in the names of what tells the answer, or was written when it was known."""
MACHINES = frozenset(
    _listed(
        "model, gpt, chatgpt, llm, ai, machine, bot, claude, gemini, llama, mistral, generated, automatic, baseline, pred"
    )
)
"""Words in the names of answers that a model or a system gave: none is expected, and none is given."""
HUMANS = frozenset(_listed("human, manual, annotated, annotator, expert, corrected"))
"""First words of the names of answers that people gave: they are wanted."""
RECORDS = frozenset(
    _listed(
        "id, ids, uuid, guid, uid, hash, sha1, sha256, md5, timestamp, created, updated, annotator, annotators, worker",
        "split, partition, subset, index, idx, license, meta, metadata, row, rowid, kwargs, config, settings, test, tests",
        "modified, opened, inserted, submitted, received, datetime, vectors, file, filename, path",
    )
)
"""Words in the names of what only says where a row comes from."""
CODES = frozenset(_listed("nr, no, num, number, key, code, ref, ticket, issue, case, order, incident"))
"""Last words in the names of what may number the rows, if the values do."""
TIMES = frozenset(_listed("date, time, at, on, day, when"))
"""Words in the names of what is a time, if the values are."""
PEOPLE = frozenset(
    _listed(
        "agent, agents, assignee, assignees, owner, handler, operator, technician, rep, representative, approver",
        "resolver, reviewer, rater, moderator, reporter, requester, creator",
    )
)
"""Words in the names of who has to do with a row: known later, or no matter."""
AFTER = frozenset(
    _listed(
        "csat, nps, satisfaction, survey, resolution, close, closing, resolved, closed, solved, completed, reopened, reopens, sla",
        "duration, elapsed, breached, status, votes, watchers, cost, latency, tokens",
    )
)
"""Words in the names of what is known when all is over: no input, and an answer only where nothing else is."""
VAGUE = frozenset(
    _listed(
        "assigned, final, correct, true, actual, current, main, primary, the, of, id, name, value, text, type, ticket",
        "customer, user, for, to, in, is, column",
    )
)
"""Words of a column's name by which a prompt does not mean it."""
ASKING = frozenset(
    _listed(
        "answer, reply, respond, return, output, classify, predict, decide, determine, find, choose, pick, assign, give",
        "say, tell, extract, label, route, which, what, write, select, identify, state, estimate, rate, provide, detect",
        "produce, generate, name, sort",
    )
)
"""Words of a sentence that asks for something."""
GROUPS = frozenset(
    _listed(
        "doc, document, user, customer, client, session, thread, conversation, dialogue, dialog, database, db, author",
        "patient, case, ticket, order, group, cluster, article, page, url, file, story, video, image, speaker, participant",
        "account, passage, context, student, repo, repository",
    )
)
"""Words in the names of what several rows belong to; so does what ends in `id` and repeats."""
