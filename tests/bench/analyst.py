"""A wide CSV into Postgres as an analyst writes it: read, melt, insert.

analyst.py ingest CONNINFO FILE    prints the seconds from file to COMMIT
analyst.py read FILE               prints the seconds of pandas.read_csv
analyst.py csv FILE                prints the seconds of the csv module
"""
import csv
import sys
import time


def ingest(conninfo, path):
    import pandas
    import psycopg2
    from psycopg2.extras import execute_values

    began = time.monotonic()
    wide = pandas.read_csv(path)
    long = wide.melt(id_vars="lipid", var_name="sample", value_name="value").dropna()
    with psycopg2.connect(conninfo) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS analyst")
        cursor.execute(
            "CREATE TABLE analyst (lipid text, sample text, value float8, PRIMARY KEY (lipid, sample))"
        )
        execute_values(
            cursor,
            "INSERT INTO analyst (lipid, sample, value) VALUES %s",
            long.itertuples(index=False, name=None),
            page_size=10000,
        )
    connection.close()
    return time.monotonic() - began


def read(path):
    import pandas

    began = time.monotonic()
    pandas.read_csv(path)
    return time.monotonic() - began


def read_rows(path):
    began = time.monotonic()
    with open(path, newline="", encoding="utf-8") as file:
        for _ in csv.reader(file):
            pass
    return time.monotonic() - began


if __name__ == "__main__":
    task = {"ingest": ingest, "read": read, "csv": read_rows}[sys.argv[1]]
    print(task(*sys.argv[2:]))
