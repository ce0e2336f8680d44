"""The engines by which the functions of ``Database.read`` and ``Database.write`` reach the database."""

from sqlalchemy import Engine

from tidewaiter.database.engine import Database


def reading_engine(database: Database) -> Engine:
    """That of functions that read."""
    thread = database._read_thread
    if database._is_for_readers and database._other_threads is not None:
        thread = database._other_threads._threads[0]
    return database._reader.sync_engine if thread is None else thread.engine


def writing_engine(database: Database) -> Engine:
    """That of functions that write."""
    thread = database._write_thread
    return database._writer.sync_engine if thread is None else thread.engine


def group_engine(database: Database) -> Engine:
    """That of groups that are one statement."""
    thread = database._write_thread
    return database._autocommit.sync_engine if thread is None else thread.engine


def all_engines(database: Database) -> list[Engine]:
    """These, and those of the connections that :meth:`Database.reading` and :meth:`Database.writing` give."""
    found = (reading_engine(database), reading_engine(database.for_readers), writing_engine(database))
    pools = (database._reader.sync_engine, database._writer.sync_engine)
    return list({id(one): one for one in (*found, *pools)}.values())
