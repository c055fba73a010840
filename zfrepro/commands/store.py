"""Show what the result store holds, by experiment, and delete what none uses.

The store keeps the files of every finished job, so that nothing is computed twice: after a change of code that cannot change a number,
when settings are changed back, in a second experiment that shares networks with a first. It lies in results/.store, or where
$ZFREPRO_STORE says; ZFREPRO_STORE=none does without.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path

from zfrepro.running import manager
from zfrepro.storage import result_store
from zfrepro.storage.result_store import Entry, ResultStore
from zfrepro.storage.store_folder import store_folder

UNUSED = "(no experiment)"


def main(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    folder = store_folder()
    if folder is None or not folder.is_dir():
        print("There is no result store here: it is made in results/.store by the first run.")
        return
    store = ResultStore(folder)
    if options.prune:
        with manager.run_lock(Path("results")):
            print(prune(store))
        return
    for line in describe(store):
        print(line)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "zfrepro store", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prune", action="store_true", help="delete the results that no experiment uses")
    return parser


def describe(store: ResultStore) -> Iterable[str]:
    """A line for every experiment, largest first: results, size; what several share counts for each."""
    users = used_keys(store)
    sizes = store.objects()
    jobs: dict[str, list[Entry]] = {}
    entries = list(store.entries())
    for entry in entries:
        for name in users.get(entry.key, {UNUSED}):
            jobs.setdefault(name, []).append(entry)
    totals = {name: _bytes(entries, sizes) for name, entries in jobs.items()}
    for name in sorted(jobs, key=lambda name: (name == UNUSED, -totals[name], name)):
        hours = sum(entry.seconds for entry in jobs[name]) / 3600
        yield f"{name:<32} {len(jobs[name]):>5} results  {_size(totals[name]):>9}  {hours:>8.2f} hours of computing"
    yield f"{'in all, in ' + str(store.root):<32} {len(entries):>5} results  {_size(sum(sizes.values())):>9}"
    if UNUSED in jobs:
        yield "Delete what no experiment uses: zfrepro store --prune"


def prune(store: ResultStore) -> str:
    """Delete what no experiment uses, in any results folder that uses this store; returns what was done, in a sentence."""
    gone = [str(folder) for folder in store.folders() if not folder.is_dir()]
    freed = store.prune(lambda: used_keys(store))
    note = f"; these folders no longer exist, nothing is kept for them: {', '.join(gone)}" if gone else ""
    return f"{_size(freed)} deleted from {store.root}{note}"


def used_keys(store: ResultStore) -> dict[str, set[str]]:
    """Key -> experiments; those of other folders than this one with the folder."""
    current = Path("results").resolve()
    keys: dict[str, set[str]] = {}
    for folder in {current, *store.folders()}:
        for key, names in result_store.used_keys(folder).items():
            keys.setdefault(key, set()).update(names if folder == current else {f"{folder}/{name}" for name in names})
    return keys


def _bytes(entries: Iterable[Entry], sizes: Mapping[str, int]) -> int:
    return sum(sizes.get(digest, 0) for digest in {digest for entry in entries for digest in entry.files.values()})


def _size(number: int) -> str:
    return f"{number / 1e9:.2f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"
